"""Interlocks: while one is tripped some messages to some devices wait; all else goes on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, final

from freewheel.core import EngineClosedError, InterlockError, InterlockPicture
from freewheel.core._crossings import call_soon
from freewheel.core._devices import checked_devices, claimed_with, device_chain, device_name
from freewheel.core._verbs import NEEDED

from ._conditions import condition_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable

    from bluesky.utils import Msg

    from ._conditions import Condition, State

__all__ = ["Interlock", "Interlocks"]

_log = logging.getLogger("freewheel")

Otherwise: TypeAlias = Literal["wait", "fail"]

#: What begins a move or a measurement.
DEFAULT_VERBS: Final = ("set", "trigger", "prepare", "kickoff")
#: What is never judged: it brings things to rest.
NEVER: Final = ("stop", "unstage")
#: Seconds between two looks at a function that somebody waits for, which tells of no change.
LOOK_EVERY: Final = 0.05
#: Seconds between two lines in the log about a condition that fails.
TELL_EVERY: Final = 10.0
#: So many devices are remembered, with the interlocks that they are under.
_KNOWN: Final = 4096


@final
class Interlock:
    """One interlock of an engine; see `Interlocks.add`. Any thread may use it.

    Attributes
    ----------
    name : str
        Its name.
    devices : tuple or None
        Whose messages it judges; ``None`` for those of all devices.
    verbs : frozenset of str
        Which of them.
    otherwise : {"wait", "fail"}
        What becomes of a message while it is tripped.
    """

    __slots__ = (
        "_condition",
        "_owner",
        "_parts",
        "_silent_until",
        "_told",
        "devices",
        "name",
        "otherwise",
        "verbs",
    )

    def __init__(
        self,
        owner: Interlocks,
        name: str,
        condition: Condition,
        devices: tuple[Any, ...] | None,
        verbs: frozenset[str],
        otherwise: Otherwise,
    ) -> None:
        self._owner = owner
        self._condition = condition
        self.name = name
        self.devices = devices
        self.verbs = verbs
        self.otherwise: Otherwise = otherwise
        # By id: what its devices are, and drive, with the ids of what contains each.
        self._parts = {
            id(part): device_chain(part)
            for device in devices or ()
            for part in claimed_with(device)
        }
        # Of an error of its condition; written by any thread.
        self._told = False
        self._silent_until = 0.0

    def look(self) -> State:
        """Return how its condition stands now, with what it is in words."""
        state = self._condition.look()
        if (state.error is not None) is not self._told:
            self._tell_of_error(state)
        return state

    @property
    def tripped(self) -> bool:
        """Whether it keeps messages from being carried out now."""
        return self.look().tripped

    @property
    def why(self) -> str:
        """What its condition is now, in words."""
        return self.look().why

    def _tell_of_error(self, state: State) -> None:
        self._told = state.error is not None
        now = time.monotonic()
        if state.error is None or now < self._silent_until:
            return  # or one that fails and answers in turn fills the log
        self._silent_until = now + TELL_EVERY
        _log.error(
            "The condition of the interlock %r does not answer (%s): it counts as tripped.",
            self.name,
            state.why,
            exc_info=state.error,
        )

    def covers(self, device: Any) -> bool:
        """Tell whether a device is one of its, a part of one, contains one, or drives one."""
        if self.devices is None:
            return True
        for part in claimed_with(device):
            chain = device_chain(part)
            if any(own in chain or id(part) in above for own, above in self._parts.items()):
                return True
        return False

    @property
    def tells(self) -> bool:
        """Whether it is told of changes; a function is not, and is asked while somebody waits."""
        return self._condition.tells

    def look_again(self) -> None:
        """Have those who wait for it look at once: what its function answers has changed."""
        self._owner.changed()

    def remove(self) -> None:
        """Judge nothing any more; what waits for it goes on."""
        self._owner.remove(self.name)

    def start(self) -> None:
        """Follow the condition; for `Interlocks`."""
        self._condition.start(self._owner.changed)

    def stop(self) -> None:
        """Follow it no more; for `Interlocks`."""
        self._condition.stop()

    def __repr__(self) -> str:
        which = "all devices" if self.devices is None else ", ".join(map(device_name, self.devices))
        state = self.look()
        how = f"tripped: {state.why}" if state.tripped else "not tripped"
        if self._owner.get(self.name) is not self:
            how = "removed"
        return f"<Interlock {self.name}: {', '.join(sorted(self.verbs))} of {which}; {how}>"


@final
class _Wait:
    """Somebody who waits until he is allowed to do something to a device."""

    __slots__ = ("device", "future", "names", "owner", "verb", "who")

    def __init__(
        self, owner: object, who: str, verb: str, device: Any, names: tuple[str, ...]
    ) -> None:
        self.owner = owner
        self.who = who
        self.verb = verb
        self.device = device
        self.names = names
        self.future: asyncio.Future[None] | None = None

    def __str__(self) -> str:
        return f"{self.who!r}, to {self.verb} {device_name(self.device)!r}"


@final
class Interlocks(Mapping[str, Interlock]):
    """The interlocks of an engine, by name: ``RE.interlocks``. Any thread may use it.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        The engine's loop.
    told : callable
        Called when something has changed with what returns how they stand; by any thread.

    Attributes
    ----------
    is_empty : bool
        Whether there is none: a look without a lock, for each message.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, told: Callable[[Callable[[], object]], None]
    ) -> None:
        self._loop = loop
        self._told = told
        self._lock = threading.Lock()  # held by whoever replaces the two below; nothing is called
        self._all: Mapping[str, Interlock] = MappingProxyType({})
        self._closed = False  # only ever set, under the lock
        self.is_empty = True
        # By verb and device: the device, so that its id is nobody else's, and the interlocks that
        # it is under. Filled on the loop's thread; replaced after _all by whoever changes that.
        self._known: dict[tuple[str, int], tuple[Any, tuple[Interlock, ...]]] = {}
        self._waits: dict[int, _Wait] = {}  # by id; of the loop's thread, copied by others
        # Whether the loop will look. Written by all: it is cleared before the loop looks, so that
        # whoever finds it set has changed something before that.
        self._called = False

    # -- looking ------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Interlock:
        try:
            return self._all[name]
        except KeyError:
            names = ", ".join(map(repr, self._all)) or "none"
            raise KeyError(f"no interlock is called {name!r}; there are: {names}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def __repr__(self) -> str:
        return f"<Interlocks: {', '.join(map(repr, self._all.values())) or 'none'}>"

    def picture(self) -> tuple[InterlockPicture, ...]:
        """Return how they all stand, and who waits for them."""
        waits = list(self._waits.copy().values())
        looks = [(each.name, each.look()) for each in self._all.values()]
        return tuple(
            InterlockPicture(
                name,
                state.tripped,
                state.why if state.tripped else "",
                tuple(str(wait) for wait in waits if name in wait.names),
            )
            for name, state in looks
        )

    # -- changing -----------------------------------------------------------------------------

    def add(
        self,
        name: str,
        condition: Any,
        *,
        devices: Any = None,
        verbs: str | Iterable[str] = DEFAULT_VERBS,
        otherwise: Otherwise = "wait",
    ) -> Interlock:
        """Have messages wait, or fail, while a condition is tripped.

        Those of the plan in the foreground, of background plans, and moves by hand. Everything
        else goes on. ``stop`` and ``unstage`` are never judged, nor is the clean-up of the engine
        and of a plan that was stopped or aborted. A stop, an abort and a halt get out of the wait.
        A message passes if it had begun before the trip was told.

        Parameters
        ----------
        name : str
            What it is called where it is told of.
        condition : signal, function or suspender
            A signal of ophyd or ophyd-async: tripped while its value is true. A function without
            arguments: tripped while it returns true; it is asked at each message that it judges,
            so that it must be quick, and while somebody waits 20 times a second, from any thread.
            One of bluesky's suspenders, which is not installed: tripped while that is. One that
            raises, or is not known yet, counts as tripped.
        devices : device or iterable of devices, optional
            Whose messages are judged, with those of their parts, of what contains them, and of
            what drives them; by default those of all devices.
        verbs : str or iterable of str
            Which messages: by default those that begin a move or a measurement, ``set``,
            ``trigger``, ``prepare`` and ``kickoff``.
        otherwise : {"wait", "fail"}
            What becomes of them: they wait, or fail with `InterlockError`.

        Returns
        -------
        Interlock
            To be looked at, and removed.

        Raises
        ------
        TypeError
            For a condition, or a device, that is none.
        ValueError
            For a name that is taken, a verb that cannot be judged, or no devices.
        EngineClosedError
            If the engine is closed.
        """
        if not isinstance(name, str) or not name:
            raise TypeError(f"The name of an interlock is a text, not {name!r}.")
        if otherwise not in ("wait", "fail"):
            raise ValueError(f'otherwise is "wait" or "fail", not {otherwise!r}.')
        several = None if devices is None else checked_devices(devices)
        if several == ():
            raise ValueError(
                "An interlock of no devices keeps nothing from happening. Leave `devices` out for "
                "all of them."
            )
        made = Interlock(
            self,
            name,
            condition_of(condition, self._loop),
            several,
            _checked_verbs(verbs),
            otherwise,
        )
        with self._lock:
            if self._closed:
                raise EngineClosedError(
                    "This run engine is closed, and judges nothing any more. Make a new one: "
                    "RE = RunEngine()."
                )
            if name in self._all:
                raise ValueError(
                    f"There is an interlock {name!r} already: RE.interlocks.remove({name!r}) "
                    "removes it."
                )
            self._replace({**self._all, name: made})
        try:
            made.start()
        except BaseException:
            self._drop(name)
            raise
        self.changed()
        return made

    def remove(self, name: str) -> None:
        """Have an interlock judge nothing any more; what waits for it goes on.

        Raises
        ------
        KeyError
            If there is none of that name.
        """
        self._drop(name).stop()

    def close(self) -> None:
        """Follow no condition any more: the engine is closed."""
        with self._lock:
            self._closed = True
        for name in tuple(self):
            with suppress(KeyError):  # somebody removes it just now
                self.remove(name)

    def _drop(self, name: str) -> Interlock:
        with self._lock:
            gone = self[name]
            self._replace({key: each for key, each in self._all.items() if key != name})
        self.changed()
        return gone

    def _replace(self, interlocks: dict[str, Interlock]) -> None:
        self._all = MappingProxyType(interlocks)
        self._known = {}
        self.is_empty = not interlocks

    def changed(self) -> None:
        """Have those who wait look again; from any thread."""
        self._told(self.picture)
        if self._waits and not self._called:
            self._called = True
            call_soon(self._loop, self._wake)

    def _wake(self) -> None:
        self._called = False
        for wait in self._waits.values():
            _end(wait.future)

    # -- judging, on the loop's thread --------------------------------------------------------

    def allows(self, msg: Msg) -> bool:
        """Tell whether a message may be carried out now."""
        if self.is_empty:
            return True
        command = msg.command
        if command != "acquire":
            return not any(each.tripped for each in self._over(command, msg.obj))
        return not any(each.tripped for device in msg.args for each in self._over(command, device))

    def _over(self, verb: str, device: Any) -> tuple[Interlock, ...]:
        """Return the interlocks that judge a verb to a device."""
        known = self._known
        entry = known.get((verb, id(device)))
        if entry is None:
            # After ``known`` was looked up: if another thread adds one now, it replaces that.
            found = [each for each in self._all.values() if _judges(each, verb, device)]
            if len(known) >= _KNOWN:
                known.clear()
            entry = known[verb, id(device)] = device, tuple(found)
        return entry[1]

    async def until_allowed(
        self, verb: str, devices: tuple[Any, ...], who: str, owner: object, *, wait: bool = True
    ) -> None:
        """Wait until a verb may be done to devices.

        Parameters
        ----------
        who : str
            Who waits, for whoever wonders.
        owner : object
            Whose waits `give_up` ends.
        wait : bool
            Whether it may wait; if not, it fails.

        Raises
        ------
        InterlockError
            If an interlock is tripped that is not waited for.
        """
        waiting: _Wait | None = None
        try:
            while tripped := self._tripped(verb, devices):
                device, found = tripped
                for each, state in found:
                    if each.otherwise == "fail" or not wait:
                        raise InterlockError(each.name, state.why, verb, device, who)
                names = tuple(each.name for each, _ in found)
                if waiting is None or (waiting.device, waiting.names) != (device, names):
                    before, waiting = waiting, _Wait(owner, who, verb, device, names)
                    self._note(waiting, found)
                    self._forget(before)
                    if before is None:
                        continue  # what has changed before it was among the waits woke nobody
                asks = not all(each.tells for each, _ in found)
                await self._changed_or_after(waiting, LOOK_EVERY if asks else None)
        finally:
            self._forget(waiting)
        if waiting is not None:
            _log.info("%r goes on: no interlock keeps it any more.", who)

    def _tripped(
        self, verb: str, devices: tuple[Any, ...]
    ) -> tuple[Any, list[tuple[Interlock, State]]] | None:
        for device in devices:
            looks = [(each, each.look()) for each in self._over(verb, device)]
            if found := [(each, state) for each, state in looks if state.tripped]:
                return device, found
        return None

    def _note(self, waiting: _Wait, found: list[tuple[Interlock, State]]) -> None:
        self._waits[id(waiting)] = waiting
        reasons = ", ".join(f"{each.name!r} ({state.why})" for each, state in found)
        _log.warning("Interlocked: %s, waits for %s.", waiting, reasons)
        self._told(self.picture)

    def _forget(self, waiting: _Wait | None) -> None:
        if waiting is not None:
            del self._waits[id(waiting)]
            self._told(self.picture)

    async def _changed_or_after(self, waiting: _Wait, seconds: float | None) -> None:
        future = waiting.future = self._loop.create_future()
        timer = None if seconds is None else self._loop.call_later(seconds, _end, future)
        try:
            await future
        finally:
            if timer is not None:
                timer.cancel()

    def give_up(self, owner: object) -> None:
        """End the waits of somebody who is to wait no more: they fail."""
        for wait in self._waits.values():
            if wait.owner is owner and wait.future is not None and not wait.future.done():
                why = "and nothing waits for it any more"
                wait.future.set_exception(
                    InterlockError(wait.names[0], why, wait.verb, wait.device, wait.who)
                )


def _end(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)


def _judges(interlock: Interlock, verb: str, device: Any) -> bool:
    if verb == "acquire":  # which is to trigger, among others
        verb = "trigger"
        if not hasattr(device, "trigger"):
            return False
    return verb in interlock.verbs and interlock.covers(device)


def _checked_verbs(verbs: Any) -> frozenset[str]:
    given = (verbs,) if isinstance(verbs, str) else tuple(verbs)
    known = [verb for verb in NEEDED if verb not in NEVER]
    for verb in given:
        if verb in NEVER:
            raise ValueError(f"{verb!r} is never kept waiting: it brings a device to rest.")
        if verb not in known:
            raise ValueError(f"{verb!r} is no verb that an interlock judges: {', '.join(known)}.")
    if not given:
        raise ValueError("An interlock that judges no verb keeps nothing from happening.")
    return frozenset("trigger" if verb == "acquire" else verb for verb in given)
