"""Lean versions of the commands that a live loop is made of.

Each does what bluesky's command of that name does, with the same documents, errors, hooks and
order; what is rarely asked for is left to bluesky's own. What they save:

- the look at a device's attributes for each message (what a class has, its instances have);
- tracing's description of each message, as long as nobody has set up a tracer;
- for each status a future, three closures and a task to wait in: one object that counts down;
- a wake-up of the loop through its self-pipe for each status: one for all that end together, and
  none for those that end on the loop.

All of it runs on the engine's loop, but for `_Pending.finished`.
"""

# This is one of the places where bluesky's private names are allowed.
from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Final

from bluesky.protocols import Movable, Readable, Triggerable, check_supports
from bluesky.utils import Msg
from opentelemetry.trace import ProxyTracerProvider, get_tracer_provider
from typing_extensions import get_protocol_members

from freewheel.core._crossings import call_soon
from freewheel.core._groups import fresh_group

from ._bundler import LeanRunBundler

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from bluesky.protocols import Status

__all__ = ["install_lean_commands"]

#: Statuses that are added between two looks for groups that nobody will wait for.
PURGE_EVERY: Final = 512

_log = logging.getLogger("bluesky")


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
        if rest is not None and all(hasattr(obj, name) for name in rest):
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


class _Countdown:
    """What one ``wait`` waits for: all of its statuses, or the first failure among them."""

    __slots__ = ("_future", "_left")

    def __init__(self, future: asyncio.Future[None], left: int) -> None:
        self._future = future
        self._left = left

    def one_ended(self, failed: bool) -> None:
        self._left -= 1
        if failed or not self._left:
            self.end()

    def end(self) -> None:
        if not self._future.done():
            self._future.set_result(None)


class _Pending:
    """A status that a plan may wait for.

    In bluesky's groups it stands where bluesky has a function that returns a future, and it is
    one: calling it gives a future, made when it is first asked for. To
    ``RunEngine._status_object_completed`` it looks like that future.
    """

    __slots__ = (
        "_action",
        "_countdown",
        "_done",
        "_failure",
        "_future",
        "_obj",
        "_owner",
        "_pardon",
        "status",
    )

    def __init__(self, owner: _Statuses, status: Status, obj: Any, action: str) -> None:
        self._owner = owner
        self.status = status
        self._obj = obj
        self._action = action
        self._pardon = owner.engine._pardon_failures
        self._done = False
        self._failure: BaseException | None = None
        self._future: asyncio.Future[None] | None = None
        self._countdown: _Countdown | None = None

    def finished(self, _: Any = None) -> None:
        """Be told that the status has ended; from any thread."""
        if _log.isEnabledFor(logging.DEBUG):
            self._owner.engine.log.debug(
                "The object %r reports %r is done with status %r.",
                self._obj,
                self._action,
                self.status.success,
            )
        self._owner.ended(self)

    def settle(self) -> None:
        """Take the status's end up: on the loop."""
        self._owner.engine._status_object_completed(self.status, self, self._pardon)

    def __call__(self) -> asyncio.Future[None]:
        """Return a future that ends like the status."""
        future = self._future
        if future is None:
            future = self._future = self._owner.engine._loop.create_future()
            self._tell(future)
        return future

    def _tell(self, future: asyncio.Future[None]) -> None:
        if not self._done or future.done():
            return
        if self._failure is None:
            future.set_result(None)
        else:
            future.set_exception(self._failure)
            future.exception()  # retrieved: it need not be waited for

    def count_on(self, countdown: _Countdown | None) -> None:
        """Have a countdown told of the end; with ``None`` have it told no more."""
        self._countdown = countdown

    @property
    def action(self) -> str:
        """The command that the status is of."""
        return self._action

    def uses_device(self) -> bool:
        """Tell whether the device is under way, or kicked off and not yet completed."""
        # Not every status that a device returns has `done`, and bluesky takes those too.
        done = getattr(self.status, "done", self._done)
        return not done or (self._action == "kickoff" and self._failure is None)

    # What `_status_object_completed` does to a future. --------------------------------------

    def done(self) -> bool:
        return self._done

    def exception(self) -> BaseException | None:
        return self._failure

    def set_result(self, _: None) -> None:
        self._end(None)

    def set_exception(self, failure: BaseException) -> None:
        self._end(failure)

    def _end(self, failure: BaseException | None) -> None:
        if self._done:
            return
        self._done = True
        self._failure = failure
        if self._future is not None:
            self._tell(self._future)
        countdown, self._countdown = self._countdown, None
        if countdown is not None:
            countdown.one_ended(failure is not None)


class _Statuses:
    """The statuses that an engine's plan has under way."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self._added = 0
        # Those that ended on other threads: appended by these, taken by the loop.
        self._ended: deque[_Pending] = deque()
        # Whether the loop will look. Written by all; see `ended` for why that needs no lock.
        self._called = False
        # What was started last with each device of the plan. Written on the loop's thread; copied,
        # in one step, by others.
        self._latest: dict[Any, _Pending] = {}

    def in_use(self) -> list[Any]:
        """Return the devices that are under way, or flying; from any thread."""
        latest = self._latest.copy()
        return [obj for obj, pending in latest.items() if pending.uses_device()]

    def slim(self, queue: Any) -> None:
        """Use ``queue``, empty and smaller than a ``deque``, for statuses of other threads."""
        self._ended = queue

    def forget(self) -> None:
        """Forget the devices of a plan that has ended."""
        self._latest.clear()

    def add(self, obj: Any, status_object: Status, group: Hashable, action: str) -> None:
        """Add a status to a group; takes the place of bluesky's ``_add_status_to_group``."""
        engine = self.engine
        pending = self.track(obj, status_object, action)
        engine._groups[group].add(pending)
        engine._status_objs[group].add(status_object)
        self._added += 1
        if self._added >= PURGE_EVERY:
            self._added = 0
            self._purge()

    def track(self, obj: Any, status: Status, action: str) -> _Pending:
        """Follow a status that is in no group."""
        pending = self._latest[obj] = _Pending(self, status, obj, action)
        try:
            status.add_callback(pending.finished)
        except AttributeError:
            status.finished_cb = pending.finished  # type: ignore[attr-defined]  # old ophyd
        return pending

    def ended(self, pending: _Pending) -> None:
        """Take up the end of a status; from any thread."""
        engine = self.engine
        if threading.get_ident() == engine._th.ident:
            pending.settle()
            return
        self._ended.append(pending)
        # The loop clears the flag before it empties the queue: whoever finds the flag set has
        # appended before that, and is not forgotten. Two that both find it clear both call.
        if not self._called:
            self._called = True
            call_soon(engine._loop, self._settle_ended)

    def _settle_ended(self) -> None:
        self._called = False
        ended = self._ended
        while ended:
            ended.popleft().settle()

    def _purge(self) -> None:
        """Forget what has ended in groups that grow: a plan that never waits would fill memory."""
        groups, statuses = self.engine._groups, self.engine._status_objs
        for group in [group for group, pendings in groups.items() if not _under_way(pendings)]:
            del groups[group]
            statuses.pop(group, None)
        for group, pendings in groups.items():
            if len(pendings) > PURGE_EVERY:
                done = [p for p in pendings if type(p) is _Pending and p.done()]
                pendings.difference_update(done)
                statuses[group].difference_update([p.status for p in done])

    def put_back(self, group: Hashable, pendings: Iterable[_Pending]) -> None:
        """Have the replay of a ``wait`` that was cut short wait for what is not done again.

        A ``set`` is repeated, and its new status is waited for. A ``stage`` or a ``stash`` with
        the group is not, and may still be under way.
        """
        engine = self.engine
        for pending in pendings:
            if pending.action in engine._uncacheable and not pending.done():
                engine._groups[group].add(pending)
                engine._status_objs[group].add(pending.status)

    async def wait_for(self, pendings: Sequence[_Pending], at_most: float | None) -> bool:
        """Wait until all have ended, or one has failed, or `at_most` seconds are over.

        Returns
        -------
        bool
            Whether all have ended.
        """
        left = [pending for pending in pendings if not pending.done()]
        if not left:
            return True
        if len(left) < len(pendings) and any(p.exception() is not None for p in pendings):
            return False
        loop = self.engine._loop
        future = loop.create_future()
        countdown = _Countdown(future, len(left))
        for pending in left:
            pending.count_on(countdown)
        timer = None if at_most is None else loop.call_later(at_most, countdown.end)
        try:
            await future
        finally:
            if timer is not None:
                timer.cancel()
            for pending in left:
                pending.count_on(None)
        return all(pending.done() for pending in left)


def _under_way(pendings: Any) -> bool:
    # What bluesky itself put into a group is a function that returns a future.
    return any(
        not (pending if type(pending) is _Pending else pending()).done() for pending in pendings
    )


class LeanCommands:
    """The commands, and what they share."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._statuses = _Statuses(engine)
        self._traced = False
        self._asked_for: Any = None  # the task of the plan that a tracer was last looked for

    @property
    def statuses(self) -> _Statuses:
        return self._statuses

    def _is_traced(self) -> bool:
        # Once a tracer is set up it stays.
        if not self._traced:
            self._asked_for = self._engine._task
            self._traced = not isinstance(get_tracer_provider(), ProxyTracerProvider)
        return self._traced

    def _was_traced(self) -> bool:
        """Return whether there was a tracer at the last wait, or when the plan began to set."""
        if self._asked_for is not self._engine._task:
            return self._is_traced()
        return self._traced

    # -- marks --------------------------------------------------------------------------------

    async def checkpoint(self, msg: Msg) -> None:
        """Mark the place that a pause rewinds to."""
        engine = self._engine
        for run in engine._run_bundlers.values():
            if run.bundling:
                await engine._checkpoint(msg)
                return
        engine._reset_checkpoint_state_meth()
        if engine._deferred_pause_requested:
            engine.pause_at_checkpoint()

    # -- events -------------------------------------------------------------------------------

    async def create(self, msg: Msg) -> None:
        """Open an event."""
        run = self._engine._run_bundlers.get(msg.run)
        if run is None:
            await self._engine._create(msg)
        else:
            await run.create(msg)

    async def read(self, msg: Msg) -> Any:
        """Read a device, into the open event if there is one."""
        if msg.args or msg.kwargs:
            return await self._engine._read(msg)
        obj = msg.obj
        reading = await self._reading_of(obj)
        run = self._engine._run_bundlers.get(msg.run)
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
            await self._engine._read(Msg("read", _ReadsNothing(obj.name)))
        return reading

    async def save(self, msg: Msg) -> None:
        """Close the open event, and emit it."""
        run = self._engine._run_bundlers.get(msg.run)
        if run is None:
            await self._engine._save(msg)
        else:
            await run.save(msg)

    # -- devices ------------------------------------------------------------------------------

    async def trigger(self, msg: Msg) -> Any:
        """Trigger a device."""
        kwargs = msg.kwargs
        if msg.args or len(kwargs) > ("group" in kwargs):
            return await self._engine._trigger(msg)
        obj = msg.obj
        _check_triggerable(obj)
        status = obj.trigger()
        self._statuses.add(obj, status, kwargs.get("group"), "trigger")
        return status

    async def set(self, msg: Msg) -> Any:
        """Set a device."""
        engine = self._engine
        if self._was_traced():
            return await engine._set(msg)
        obj = msg.obj
        _check_movable(obj)
        kwargs = dict(msg.kwargs)
        group = kwargs.pop("group", None)
        engine._movable_objs_touched.add(obj)
        status = obj.set(*msg.args, **kwargs)
        self._statuses.add(obj, status, group, "set")
        return status

    async def wait(self, msg: Msg) -> Any:
        """Wait for a group."""
        engine, kwargs = self._engine, msg.kwargs
        if (
            msg.args
            or "group" not in kwargs
            or kwargs.get("watch")
            or not kwargs.get("error_on_timeout", True)
            or self._is_traced()
        ):
            return await engine._wait(msg)
        group = kwargs["group"]
        pendings = engine._groups.pop(group, None)
        if not pendings:
            return True
        if any(type(pending) is not _Pending for pending in pendings):
            engine._groups[group] = pendings
            return await engine._wait(msg)
        statuses = engine._status_objs.pop(group)
        try:
            engine._call_waiting_hook(statuses)
            if not await self._statuses.wait_for(list(pendings), kwargs.get("timeout")):
                # The plan may wait for the group again.
                engine._groups[group], engine._status_objs[group] = pendings, statuses
                await self._raise_time_out(pendings)
        except asyncio.CancelledError:
            self._statuses.put_back(group, pendings)
            raise
        finally:
            engine._call_waiting_hook(None)
        return True

    async def _raise_time_out(self, pendings: Any) -> None:
        """Raise what bluesky raises when not all have ended: wait its way, but no longer."""
        await self._engine._wait_for(
            Msg("wait_for", None, pendings, return_when=asyncio.FIRST_EXCEPTION, timeout=0)
        )

    # -- all at once --------------------------------------------------------------------------

    async def acquire(self, msg: Msg) -> Any:
        """Trigger devices, wait, read them into one event and save it.

        Expected message object is::

            Msg("acquire", None, *devices, name="primary")
        """
        engine = self._engine
        # A pause tells the devices that the engine has seen.
        engine._objs_seen.update(msg.args)
        if engine.waiting_hook is not None or self._is_traced():
            if not await self._trigger_and_wait_in_steps(msg):
                return None
        elif not await self._trigger_and_wait(msg.args):
            # The failed status is thrown into the plan before its next message.
            return None
        run = engine._run_bundlers.get(msg.run)
        if run is None:
            await engine._create(msg)
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
        track = self._statuses.track
        pendings = [track(obj, obj.trigger(), "trigger") for obj in devices if _is_triggerable(obj)]
        if not pendings:
            return True
        done = await self._statuses.wait_for(pendings, None)
        return done and all(pending.exception() is None for pending in pendings)

    async def _trigger_and_wait_in_steps(self, msg: Msg) -> bool:
        group = fresh_group("acquire")
        triggered = False
        for obj in msg.args:
            if _is_triggerable(obj):
                triggered = True
                await self.trigger(Msg("trigger", obj, group=group, run=msg.run))
        if triggered:
            await self.wait(Msg("wait", None, group=group, run=msg.run))
        return self._engine._exception is None


def _is_triggerable(obj: Any) -> bool:
    """Return whether a device can be triggered, by its class if possible."""
    if getattr(obj, "trigger", None) is None:
        return False
    if type(obj) in _check_triggerable._rest:
        return True
    if not isinstance(obj, Triggerable):
        return False
    _check_triggerable(obj)
    return True


def _takes(run: Any, obj: Any, reading: Any) -> bool:
    return isinstance(run, LeanRunBundler) and run.take_reading(obj, reading)


def _is_original(engine: Any, name: str) -> bool:
    for kind in type(engine).__mro__:
        if name in vars(kind):
            return kind.__module__.startswith(("bluesky.", __package__))
    return False


class _ReadsNothing:
    """A device by a name, whose `read` returns ``None``."""

    parent = None

    def __init__(self, name: str) -> None:
        self.name = name

    def read(self) -> None:
        return None

    def describe(self) -> dict[str, Any]:
        return {}


def install_lean_commands(engine: Any) -> None:
    """Register the lean commands with an engine, and have it use the lean bundler.

    A command that the engine's class has changed stays as it is.

    Parameters
    ----------
    engine : RunEngine
        An engine that has just been made; ``pause_at_checkpoint`` and all.
    """
    lean = LeanCommands(engine)
    commands: dict[str, Callable[[Msg], Any]] = {
        "checkpoint": lean.checkpoint,
        "create": lean.create,
        "read": lean.read,
        "save": lean.save,
        "trigger": lean.trigger,
        "set": lean.set,
        "wait": lean.wait,
    }
    for name, command in commands.items():
        if _is_original(engine, f"_{name}"):
            engine.register_command(name, command)
    engine.register_command("acquire", lean.acquire)
    if _is_original(engine, "_add_status_to_group"):
        engine._add_status_to_group = lean.statuses.add
    engine.lean_statuses = lean.statuses
    engine.end_callbacks.append(lean.statuses.forget)
