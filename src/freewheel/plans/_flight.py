"""One flight: hardware that runs by itself, from its start to a safe point.

Runs inside `freewheel.plan_stubs.uninterrupted`: while hardware flies, no message is cut short.
What was asked for meanwhile makes the flight land: its flyers stop at their next safe point,
the detectors deliver what was triggered, and all of it is collected. Then the request takes effect.

Where a flight has come to is always asked of the detectors, never reckoned.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from bluesky.protocols import Stageable, Stoppable
from bluesky.utils import maybe_await
from ophyd_async.core import DetectorTrigger

from freewheel.core import EngineState, HasSafePoint
from freewheel.core._crossings import completion

from ._fly_errors import FlyError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from bluesky.protocols import Status

    from freewheel.core import FlyPath

__all__ = ["Flight", "FlyDetector", "Flyer", "Landing"]

_log = logging.getLogger("freewheel")

#: For how long devices that are on their way are waited for, when another one has failed [s].
_GRACE: Final = 2.0
#: States in which the plan does not go on: whoever has no safe point is cut short.
_ENDING: Final = frozenset({EngineState.STOPPING, EngineState.ABORTING})


@dataclass(frozen=True)
class Flyer:
    """A flyer, and what it is prepared with for a path."""

    device: Any
    value: Callable[[FlyPath], Any]


@dataclass
class FlyDetector:
    """A detector of a fly scan.

    Attributes
    ----------
    device : object
        The detector.
    trigger : DetectorTrigger
        What makes it take a frame.
    index : int
        How many events it has written, as it said last; in all of its files.
    base : int
        How many of them are in earlier files than the one that it writes.
    stagings : int
        How often it was staged again, for it had been lent; it began a new file each time.
    prepared : bool
        Whether it was prepared; one that waits for triggers is prepared for all of them at once.
    """

    device: Any
    trigger: DetectorTrigger
    index: int = 0
    base: int = 0
    stagings: int = 0
    prepared: bool = False

    def begin_file(self, index: int) -> None:
        """Take note that it begins a new file, at an index."""
        self.index = self.base = index
        self.prepared = False

    @property
    def is_external(self) -> bool:
        """Whether it takes a frame for each trigger, and not by its own clock."""
        return self.trigger is not DetectorTrigger.INTERNAL


class Landing:
    """A request to land; made for each plan, told and waited for on the engine's loop."""

    def __init__(self) -> None:
        self.state: EngineState | None = None
        #: Called with each request: the flight that is under way looks what has become of it.
        self.wake: Callable[[], None] | None = None

    def ask(self, state: EngineState) -> None:
        """Take note of what was asked for; an end is more than a pause."""
        if self.state not in _ENDING:
            self.state = state
        if self.wake is not None:
            self.wake()

    def forget(self) -> None:
        """Begin anew."""
        self.state = self.wake = None

    @property
    def is_asked(self) -> bool:
        """Whether the flight is to land."""
        return self.state is not None


@dataclass
class Flight:
    """One flight of flyers and detectors.

    Parameters
    ----------
    detectors : sequence of FlyDetector
        The detectors.
    flyers : sequence of Flyer
        What triggers and moves, in the order in which it is kicked off, and stopped.
    path : FlyPath
        The points.
    landing : Landing
        Told when it is to land.
    patience : float
        Seconds in which something has to happen, beside a point's own time.
    """

    detectors: Sequence[FlyDetector]
    flyers: Sequence[Flyer]
    path: FlyPath
    landing: Landing
    patience: float
    begun: list[Status] = field(default_factory=list)  # by messages, before the flight
    _statuses: dict[Any, Status] = field(default_factory=dict)
    _tasks: dict[Any, asyncio.Task[None]] = field(default_factory=dict)
    _cut_off: set[Any] = field(default_factory=set)  # stopped where it was: not waited for
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _indices: dict[Any, float] = field(default_factory=dict)
    _last_change: float = 0.0
    _sent: int | None = None  # how many points the flyers have done, if they count them
    flown: bool = False  # it has taken off
    _landed: bool = False

    @property
    def target(self) -> int:
        """The index at which all detectors are to arrive."""
        return self.path.first + self.path.num

    @property
    def ending(self) -> bool:
        """Whether the plan ends, and does not go on after the landing."""
        return self.landing.state in _ENDING

    @property
    def on_board(self) -> list[FlyDetector]:
        """The detectors that have events to take in this flight."""
        return [each for each in self.detectors if each.is_external or each.index < self.target]

    # -- coroutines that run on the engine's loop ---------------------------------------------

    async def ready(self, statuses: Iterable[Status]) -> None:
        """Wait until devices are prepared, or have begun.

        An end of the plan stops flyers on the way there, and is not waited for.
        """
        self.landing.wake = self._changed.set
        tasks = [asyncio.ensure_future(_ended(status)) for status in statuses]
        for task in tasks:
            task.add_done_callback(lambda _: self._changed.set())
        try:
            while not all(task.done() for task in tasks) and not self.ending:
                self._changed.clear()
                await self._changed.wait()
                if any(task.done() and task.exception() for task in tasks):
                    break
            if self.ending:
                for flyer in self.flyers:
                    await self._stop(flyer.device)
            if tasks:
                # What is about to be armed must not be after it was told to stop.
                await asyncio.wait(tasks, timeout=_GRACE)
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def follow(self) -> None:
        """Ask everything when it is complete. On the loop, after the kick-off."""
        self.flown = True
        self._last_change = time.monotonic()
        for device in [*(each.device for each in self.on_board), *self._flying()]:
            status = self._statuses[device] = device.complete()
            self._tasks[device] = asyncio.ensure_future(_ended(status))
            self._tasks[device].add_done_callback(lambda _: self._note())
            watch = getattr(status, "watch", None)
            if watch is not None:
                watch(partial(self._note_index, device))

    def _flying(self) -> list[Any]:
        return [flyer.device for flyer in self.flyers]

    def _note(self) -> None:
        self._last_change = time.monotonic()
        self._changed.set()

    def _note_index(self, device: Any, /, *, current: float | None = None, **_: Any) -> None:
        """Be told by a status how far its device has come; on the loop."""
        if current is not None and current != self._indices.get(device):
            self._indices[device] = current
            self._note()

    @property
    def is_over(self) -> bool:
        """Whether everything is complete."""
        return all(task.done() for task in self._tasks.values())

    async def wait(self, at_most: float) -> None:
        """Wait until everything is complete, or it is to land, or the time is over.

        Raises
        ------
        FlyError
            If nothing has happened for too long.
        Exception
            What a device fails with.
        """
        end = time.monotonic() + at_most
        while not (self.is_over or self.landing.is_asked) and (left := end - time.monotonic()) > 0:
            self._changed.clear()
            await self._change_within(left)
            self._raise_failure()
        self._raise_failure()
        self._raise_silence()

    def _raise_failure(self) -> None:
        for device, task in self._tasks.items():
            if device not in self._cut_off and task.done() and (error := task.exception()):
                if isinstance(error, TimeoutError) and device not in self._flying():
                    raise FlyError(
                        f"{self._where(device)}, and no further one has come in time. Look at its "
                        "disk, triggers and cables, or give more `patience`."
                    ) from error
                error.add_note(f"while {device.name} flew")
                raise error

    @property
    def _longest_silence(self) -> float:
        return self.path.period + self.patience

    def _raise_silence(self) -> None:
        if self.is_over or time.monotonic() - self._last_change <= self._longest_silence:
            return
        waits = [device for device, task in self._tasks.items() if not task.done()]
        raise FlyError(
            f"nothing has happened for {self._longest_silence:g} s, and the flight is not over: "
            f"{', '.join(map(self._where, waits))}. Look at triggers and cables, or give more "
            "`patience`."
        )

    def _where(self, device: Any) -> str:
        if device in self._indices and device not in self._flying():
            base = sum(each.base for each in self.detectors if each.device is device)
            return f"{device.name} has {base + self._indices[device]:g} of {self.target} events"
        return f"{device.name} is not complete"

    # -- to the ground ------------------------------------------------------------------------

    async def land(self) -> None:
        """Stop at the next safe point, and wait for what was triggered until then.

        What has no safe point is waited for; where the plan ends it is stopped as it is.
        """
        self._landed = True
        for device in self._flying():
            done = await self._stop(device)
            if done is not None:
                self._sent = done if self._sent is None else min(self._sent, done)
        for detector in self.on_board:
            if not detector.is_external:
                await self._stop(detector.device)
        await self._wait_for([*self._flying()])
        await self._settle()

    async def _stop(self, device: Any) -> int | None:
        stoppable = safe_point_of(device)
        if stoppable is not None:
            done: int | None = await self._in_time(stoppable.stop_at_safe_point(), device)
            if device not in self._flying():
                self._cut_off.add(device)  # its status waits for what does not come
            return done
        if not self.ending:
            await self._wait_for([device])
            return None
        self._cut_off.add(device)
        if isinstance(device, Stoppable):
            await self._in_time(_ended(device.stop(success=False)), device)
        if isinstance(device, Stageable):
            await self._in_time(_ended(device.unstage()), device)
        return None

    async def _in_time(self, stop: Awaitable[Any], device: Any) -> Any:
        """Wait until a device stands, as long as something happens.

        Raises
        ------
        FlyError
            If nothing has happened for too long.
        """
        task = asyncio.ensure_future(stop)
        task.add_done_callback(lambda _: self._note())
        self._last_change = time.monotonic()
        try:
            while not task.done():
                self._changed.clear()
                silent = self._last_change + self._longest_silence - time.monotonic()
                if silent <= 0:
                    raise FlyError(
                        f"{device.name} was told to stop, and has not come to its safe point: "
                        f"nothing has happened for {self._longest_silence:g} s."
                    )
                await self._change_within(silent)
        finally:
            task.cancel()
        return task.result()

    async def _wait_for(self, devices: list[Any]) -> None:
        """Wait until devices are complete; at an end of the plan, only until they stand."""
        while True:
            self._changed.clear()
            waits = [device for device in devices if not self._is_done(device)]
            if not waits:
                break
            if self.ending:
                await self._cut_short(waits)
                break
            await self._change_within(self._longest_silence)
            self._raise_silence()
        self._raise_failure()

    async def _cut_short(self, devices: list[Any]) -> None:
        """Stop what does not stand; what stands has a while to say whether it came there well."""
        for device in devices:
            if safe_point_of(device) is None:
                await self._stop(device)
        standing = [self._tasks[each] for each in devices if each not in self._cut_off]
        if standing:
            await asyncio.wait(standing, timeout=_GRACE)
        self._cut_off.update(each for each in devices if not self._tasks[each].done())

    def _is_done(self, device: Any) -> bool:
        return device in self._cut_off or device not in self._tasks or self._tasks[device].done()

    async def _change_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def _settle(self) -> None:
        """Wait until the detectors have delivered what was triggered."""
        expected = None if self._sent is None else self.path.first + self._sent
        # Without a count there is no other sign than silence that no more will come.
        silence = 2 * self.path.period + 0.2 if expected is None else self._longest_silence
        while True:
            self._changed.clear()
            external = [each for each in self.detectors if each.is_external]
            indices = [await self._index_of(each) for each in external]
            if not indices or (expected is not None and min(indices) >= expected):
                return
            if not await self._change_within(silence):
                return  # what is missing is found when the indices are compared

    async def bring_down(self) -> None:
        """Stop everything after a failure, whatever else fails, and take what is there."""
        self.landing.ask(EngineState.ABORTING)
        for device in [*self._flying(), *(each.device for each in self.on_board)]:
            detector = device not in self._flying()
            try:
                async with asyncio.timeout(self._longest_silence):
                    await self._stop(device)
                    if detector and isinstance(device, Stageable):
                        await _ended(device.unstage())
            except Exception:
                _log.exception("%s could not be stopped after the flight had failed.", device.name)

    def abandon(self) -> None:
        """Give up what is being prepared: it would arm a device for a plan that is halted."""
        for status in self.begun:
            _give_up(status)

    def forget(self) -> None:
        """Wait for nothing of this flight any more. On the loop."""
        for device, task in self._tasks.items():
            if not task.done():
                # A detector that was not given all of its triggers would fail of time-out later,
                # when nobody looks.
                _give_up(self._statuses[device])
                task.cancel()
            elif not task.cancelled():
                task.exception()  # retrieved: it was raised, or nobody minds

    # -- where it is --------------------------------------------------------------------------

    async def measure(self) -> None:
        """Ask each detector for its index."""
        for detector in self.detectors:
            index = await self._index_of(detector)
            if index < detector.index:
                raise FlyError(
                    f"{detector.device.name} went back from {detector.index} events to {index}: "
                    "its file or its counter was begun anew while the scan ran."
                )
            detector.index = index

    async def hear(self) -> None:
        """Wait until each detector has answered, whatever it says."""
        for detector in self.detectors:
            await self._index_of(detector)

    async def _index_of(self, detector: FlyDetector) -> int:
        """Ask a detector, which may not answer any more."""
        device = detector.device
        try:
            async with asyncio.timeout(self._longest_silence):
                return detector.base + int(await maybe_await(device.get_index()))
        except TimeoutError as error:
            raise FlyError(
                f"{device.name} was asked how many events it has written, and has not answered "
                f"for {self._longest_silence:g} s."
            ) from error

    @property
    def index(self) -> int:
        """How many events all detectors have."""
        return min(detector.index for detector in self.detectors)

    def check_start(self) -> None:
        """Compare the indices before the flight with where it begins.

        Raises
        ------
        FlyError
            If a detector was used by somebody else meanwhile.
        """
        for detector in self.detectors:
            if detector.is_external:
                _compare(detector.device.name, detector.index, self.path.first)

    def check(self) -> None:
        """Compare the indices after the flight with what was asked for.

        Raises
        ------
        FlyError
            If a detector has more or fewer events, or they do not agree.
        """
        external = [detector.index for detector in self.detectors if detector.is_external]
        if not self._landed:
            expected = self.target if self.flown else self.path.first
        elif self._sent is not None:
            expected = self.path.first + self._sent
        else:
            expected = min(external, default=self.target)
        for detector in self.detectors:
            name, index = detector.device.name, detector.index
            if detector.is_external or (self.flown and not self._landed):
                _compare(name, index, expected)
            elif index > self.target:  # each lands at a frame of its own
                _compare(name, index, self.target)


def _give_up(status: Status) -> None:
    """Cancel what a status of ophyd-async waits for."""
    task = getattr(status, "task", None)
    if task is not None:
        task.cancel()


def _compare(name: str, index: int, expected: int) -> None:
    if index < expected:
        raise FlyError(
            f"{name} has written {index} events where {expected} were triggered: "
            f"{expected - index} are missing, and which ones cannot be told from here. Its "
            "exposure and dead time may be longer than the period, or its disk slower."
        )
    if index > expected:
        raise FlyError(
            f"{name} has written {index} events where {expected} were asked for: it got triggers "
            "of something else, or was prepared by somebody else."
        )


def safe_point_of(device: Any) -> HasSafePoint | None:
    """Return what stops a device at a safe point: itself, or its logic, or nothing."""
    for candidate in (device, getattr(device, "flyable_logic", None)):
        if isinstance(candidate, HasSafePoint):
            return candidate
    return None


async def _ended(status: Any) -> None:
    """Wait for a status of any kind."""
    try:
        await completion(status)
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise FlyError(f"{status!r} was cancelled") from error  # by the device itself
