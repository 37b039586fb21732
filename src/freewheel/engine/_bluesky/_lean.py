"""Lean versions of the commands that a live loop is made of.

Each does what bluesky's command of that name does, with the same documents, errors, hooks and
order; what is rarely asked for is left to bluesky's own. What they save:

- the look at a device's attributes for each message (what a class has, its instances have);
- tracing's description of each message, as long as nobody has set up a tracer;
- for each status a future, three closures and a task to wait in: one object that counts down.

All of it runs on the engine's loop.
"""

from __future__ import annotations

import asyncio
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, final

from bluesky.protocols import Movable, Readable, Triggerable, check_supports
from bluesky.utils import Msg
from typing_extensions import get_protocol_members

from freewheel.core._groups import fresh_group
from freewheel.core._triggerable import is_triggerable

from ._bundler import LeanRunBundler
from ._statuses import Pending
from ._wait_for import wait_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._core import EngineCore

__all__ = ["LeanCommands"]


@final
class _Supports:
    """Checks that devices have a protocol; what is defined by their class is looked at once."""

    def __init__(self, protocol: type) -> None:
        self._protocol = protocol
        # For a type what must still be looked at: the members that it leaves to its instances.
        # Bounded by the device classes of the process.
        self._rest: dict[type, tuple[str, ...]] = {}

    def __call__(self, obj: Any) -> None:
        """Raise bluesky's error if ``obj`` has not the protocol."""
        kind = type(obj)
        rest = self._rest.get(kind)
        if rest == () or (rest is not None and all(hasattr(obj, name) for name in rest)):
            return
        check_supports(obj, self._protocol)
        members = get_protocol_members(self._protocol)
        missing = tuple(name for name in members if getattr(kind, name, None) is None)
        # Methods of instances may be None, which counts as not there: asked for each time.
        if not any(callable(getattr(self._protocol, name, None)) for name in missing):
            self._rest[kind] = missing


_check_readable = _Supports(Readable)
_check_triggerable = _Supports(Triggerable)
_check_movable = _Supports(Movable)


@final
class LeanCommands:
    """The commands of one engine, and what they share."""

    __slots__ = ("_core",)

    def __init__(self, core: EngineCore) -> None:
        self._core = core

    def _is_traced(self) -> bool:
        return self._core.tracing.is_on(self._core.plan)

    # -- marks --------------------------------------------------------------------------------

    async def checkpoint(self, msg: Msg) -> None:
        """Mark the place that a pause rewinds to.

        Expected message object is::

            Msg("checkpoint", None, *again)

        where ``again`` are messages that a rewind is to send before those that come after the mark:
        of what the plan has begun ahead of it.
        """
        core = self._core
        for run in core.runs.values():
            if run.bundling:
                await core.original("checkpoint")(msg)  # which has an error for this
                return
        core.take_checkpoint(msg.args)
        if core.states.pause_deferred:
            core.pause_at_checkpoint()
        elif core.states.preempted:
            core.park_at_checkpoint()

    # -- events -------------------------------------------------------------------------------

    async def create(self, msg: Msg) -> None:
        """Open an event."""
        run = self._core.runs.get(msg.run)
        if run is None:
            await self._core.original("create")(msg)
        else:
            await run.create(msg)

    async def read(self, msg: Msg) -> Any:
        """Read a device, into the open event if there is one."""
        if msg.args or msg.kwargs:
            return await self._core.original("read")(msg)
        obj = msg.obj
        reading = await self._reading_of(obj)
        run = self._core.runs.get(msg.run)
        if run is None or (run.bundling and _takes(run, obj, reading)):
            return reading
        await run.read(msg, reading)
        return reading

    async def _reading_of(self, obj: Any) -> Any:
        _check_readable(obj)
        reading = obj.read()
        if not isinstance(reading, dict) and isawaitable(reading):
            reading = await reading
        if reading is None:
            # bluesky has an error for this; the device must not be read twice for it.
            await self._core.original("read")(Msg("read", _ReadsNothing(obj.name)))
        return reading

    async def save(self, msg: Msg) -> None:
        """Close the open event, and emit it."""
        run = self._core.runs.get(msg.run)
        if run is None:
            await self._core.original("save")(msg)
        else:
            await run.save(msg)

    # -- devices ------------------------------------------------------------------------------

    async def trigger(self, msg: Msg) -> Any:
        """Trigger a device.

        Expected message object is::

            Msg("trigger", device, group=None, ahead=True)

        where ``ahead`` is for devices that are `TriggersAhead`.
        """
        kwargs = msg.kwargs
        ahead = kwargs.get("ahead") is True
        if msg.args or len(kwargs) > ("group" in kwargs) + ahead:
            return await self._core.original("trigger")(msg)
        obj = msg.obj
        _check_triggerable(obj)
        status = obj.trigger(ahead=True) if ahead else obj.trigger()
        # Under a name of its own: how long it takes is not how long an exposure takes.
        verb = "trigger ahead" if ahead else "trigger"
        self._core.statuses.add(obj, status, kwargs.get("group"), verb)
        return status

    async def set(self, msg: Msg) -> Any:
        """Set a device."""
        core = self._core
        if core.tracing.was_on(core.plan):
            return await core.original("set")(msg)
        obj = msg.obj
        _check_movable(obj)
        kwargs = dict(msg.kwargs)
        group = kwargs.pop("group", None)
        core.devices.moved.add(obj)
        status = obj.set(*msg.args, **kwargs)
        self._core.statuses.add(obj, status, group, "set")
        return status

    async def wait(self, msg: Msg) -> Any:
        """Wait for a group."""
        core, kwargs = self._core, msg.kwargs
        if (
            msg.args
            or "group" not in kwargs
            or kwargs.get("watch")
            or not kwargs.get("error_on_timeout", True)
            or self._is_traced()
        ):
            return await core.original("wait")(msg)
        group, statuses = kwargs["group"], core.statuses
        pendings = statuses.groups.pop(group, None)
        if not pendings:
            return True
        if any(type(pending) is not Pending for pending in pendings):
            statuses.groups[group] = pendings
            return await core.original("wait")(msg)
        objects = statuses.objects.pop(group)
        try:
            core.engine._call_waiting_hook(objects)
            if not await statuses.wait_for(list(pendings), kwargs.get("timeout")):
                # The plan may wait for the group again.
                statuses.groups[group], statuses.objects[group] = pendings, objects
                await self._raise_time_out(pendings)
        except asyncio.CancelledError:
            statuses.put_back(group, pendings)
            raise
        finally:
            core.engine._call_waiting_hook(None)
        return True

    async def _raise_time_out(self, pendings: Any) -> None:
        """Raise what bluesky raises when not all have ended: wait its way, but no longer."""
        await wait_for(
            Msg("wait_for", None, pendings, return_when=asyncio.FIRST_EXCEPTION, timeout=0)
        )

    # -- all at once --------------------------------------------------------------------------

    async def acquire(self, msg: Msg) -> Any:
        """Trigger devices, wait, read them into one event and save it.

        Expected message object is::

            Msg("acquire", None, *devices, name="primary")
        """
        core = self._core
        # A pause tells the devices that the engine has seen.
        core.devices.seen.update(msg.args)
        if core.engine.waiting_hook is not None or self._is_traced():
            if not await self._trigger_and_wait_in_steps(msg):
                return None
        elif not await self._trigger_and_wait(msg.args):
            # The failed status is thrown into the plan before its next message.
            return None
        run = core.runs.get(msg.run)
        if run is None:
            await core.original("create")(msg)  # which has an error for this
        assert run is not None
        await run.create(msg)
        readings: dict[str, Any] = {}
        try:
            for obj in msg.args:
                reading = await self._reading_of(obj)
                if not _takes(run, obj, reading):
                    await run.read(Msg("read", obj, run=msg.run), reading)
                readings.update(reading)
        except BaseException:  # a pause as well: the message is repeated as a whole
            if run.bundling:
                await run.drop(msg)
            raise
        await run.save(msg)
        return readings

    async def _trigger_and_wait(self, devices: Sequence[Any]) -> bool:
        track = self._core.statuses.track
        pendings = [track(obj, obj.trigger(), "trigger") for obj in devices if is_triggerable(obj)]
        if not pendings:
            return True
        done = await self._core.statuses.wait_for(pendings, None)
        return done and all(pending.exception() is None for pending in pendings)

    async def _trigger_and_wait_in_steps(self, msg: Msg) -> bool:
        group = fresh_group("acquire")
        triggered = False
        for obj in msg.args:
            if is_triggerable(obj):
                triggered = True
                await self.trigger(Msg("trigger", obj, group=group, run=msg.run))
        if triggered:
            await self.wait(Msg("wait", None, group=group, run=msg.run))
        return self._core.under_way.failure is None


def _takes(run: Any, obj: Any, reading: Any) -> bool:
    return isinstance(run, LeanRunBundler) and run.take_reading(obj, reading)


class _ReadsNothing:
    """A device by a name, whose `read` returns ``None``."""

    parent = None

    def __init__(self, name: str) -> None:
        self.name = name

    def read(self) -> None:
        return None

    def describe(self) -> dict[str, Any]:
        return {}
