"""What lets a simulated stage fly: a trajectory, and triggers at positions of it.

Two flyers, as there are two boxes at an instrument: a motion controller that drives the axes, and
a trigger box that reads their encoders and sends a pulse for each point. They are composed as
ophyd-async composes them, of a logic each.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from ophyd_async.core import FlyableLogic, StandardFlyable, soft_signal_r_and_setter

from freewheel.core._crossings import call_soon

from ._hardware import EndOfFlight, Pulses, Ticker, Timeline, TriggerLine

if TYPE_CHECKING:
    from collections.abc import Callable

    from freewheel.core import FlyPath, FlyRow

    from ._hardware import Floats, FlyingAxis

__all__ = ["Encoders", "Trajectory", "TriggerBox"]

_TURN_AROUND = 0.005  # s at least, from the end of a row's run-down to the next one's run-up
_SHOWN = 0.05  # s from one readback of a flying axis to the next


class Encoders:
    """The cables from the axes' encoders to a trigger box: where the axes are, at any time."""

    def __init__(self) -> None:
        # Replaced by the controller's threads, read by the trigger box's; never changed.
        self.timeline: Timeline | None = None


class _Motion:
    """One run along a timeline, on a thread of its own."""

    def __init__(
        self, timeline: Timeline, encoders: Encoders, axes: dict[str, FlyingAxis], ramp: float
    ) -> None:
        self._encoders = encoders
        self._axes = axes
        self._ramp = ramp
        self._loop = asyncio.get_running_loop()
        self._show_next = 0.0
        self.end = EndOfFlight()
        encoders.timeline = timeline
        self._ticker = Ticker(self._tick, "freewheel-sim-trajectory")

    def halt(self) -> None:
        """Slow down from now on; from any thread."""
        timeline, now = self._encoders.timeline, time.monotonic()
        if timeline is not None and not self.end.is_over and now < timeline.end - self._ramp:
            self._encoders.timeline = timeline.cut(now, self._ramp)
            self._ticker.wake()

    def _tick(self, now: float) -> bool:
        timeline = self._encoders.timeline
        if timeline is None or self._loop.is_closed():
            return False
        over = now >= timeline.end
        positions = {name: float(where) for name, where in timeline.at(now).items()}
        for name, where in positions.items():
            self._axes[name].pass_by(where)
        if over or now >= self._show_next:
            self._show_next = now + _SHOWN
            call_soon(self._loop, self._show, positions, over)
        return not over

    def _show(self, positions: dict[str, float], over: bool) -> None:
        # On the loop, from the hardware's thread.
        for name, where in positions.items():
            self._axes[name].show_readback(where)
        if over:
            self.end.tell()


class _TrajectoryLogic(FlyableLogic[Any, None]):
    def __init__(self, axes: tuple[FlyingAxis, ...], encoders: Encoders) -> None:
        self._axes = axes
        self._encoders = encoders
        # On the loop that runs the device.
        self._path: FlyPath | None = None
        self._ramp = 0.0
        self._speeds: dict[FlyingAxis, float] = {}
        self._motion: _Motion | None = None

    async def on_prepare(self, value: FlyPath) -> None:
        await self.stop()
        self._check(value)
        for axis in value.axes:
            self._speeds[axis] = abs(await axis.velocity.get_value())
        ramps = [
            await axis.acceleration_time.get_value() for axis in value.axes if self._speeds[axis]
        ]
        self._ramp = max(ramps, default=0.0)
        run_up, limits = self._ends(value), {}
        for axis in value.axes:
            limits[axis] = [ends[axis] for row in run_up for ends in row]
        for axis, ends in limits.items():
            for where in (min(ends), max(ends)):
                await axis.check_value(where)
        await asyncio.gather(*(axis.set(where) for axis, where in run_up[0][0].items()))
        self._path = value

    def _know(self, path: FlyPath, known: Callable[[Any], Any]) -> None:
        """Take the axes' speeds and ramps from what is known of them, without asking them."""
        for axis in path.axes:
            self._speeds[axis] = abs(known(axis.velocity) or 0.0)
        ramps = [known(axis.acceleration_time) for axis in path.axes if self._speeds[axis]]
        self._ramp = max(ramps, default=0.0)

    def travel(self, path: FlyPath, known: Callable[[Any], Any]) -> float:
        """Return how long the axes take to where the first run-up begins [s]."""
        ahead = _TrajectoryLogic(self._axes, self._encoders)
        ahead._know(path, known)
        begin, _ = ahead._ends(path)[0]
        here = {axis: known(axis) or 0.0 for axis in path.axes}
        return ahead._turn_around(here, begin)

    def flight(self, path: FlyPath, known: Callable[[Any], Any]) -> float:
        """Return how long it takes from the kick-off until all is at rest [s]."""
        ahead = _TrajectoryLogic(self._axes, self._encoders)
        ahead._know(path, known)
        return ahead._timeline(path, _TURN_AROUND).end

    def _check(self, path: FlyPath) -> None:
        for axis in path.axes:
            if axis not in self._axes:
                names = ", ".join(each.name for each in self._axes)
                msg = f"this trajectory moves {names}, not {getattr(axis, 'name', axis)!r}"
                raise ValueError(msg)

    def _ends(self, path: FlyPath) -> list[tuple[dict[FlyingAxis, float], dict[FlyingAxis, float]]]:
        """Return for each row where its run-up begins and where its run-down ends."""
        ends = []
        for row in path.rows:
            extra = {axis: row.step[axis] / path.period * self._ramp / 2 for axis in row.start}
            begin = {axis: row.lower(axis) - extra[axis] for axis in row.start}
            end = {axis: row.upper(axis) + extra[axis] for axis in row.start}
            ends.append((begin, end))
        return ends

    def _timeline(self, path: FlyPath, began: float) -> Timeline:
        when = began
        times: list[float] = []
        places: dict[FlyingAxis, list[float]] = {axis: [] for axis in path.axes}

        def pass_by(where: Callable[[FlyingAxis], float], after: float) -> None:
            nonlocal when
            when += max(after, 1e-9)  # ascending
            times.append(when)
            for axis, known in places.items():
                known.append(where(axis))

        for row, (begin, end) in zip(path.rows, self._ends(path), strict=True):
            here = {axis: known[-1] for axis, known in places.items() if known}
            pass_by(begin.__getitem__, self._turn_around(here, begin) if times else 0.0)
            pass_by(row.lower, self._ramp)
            pass_by(row.upper, path.period * row.num)
            pass_by(end.__getitem__, self._ramp)
        positions = {axis.name: np.array(known) for axis, known in places.items()}
        return Timeline(np.array(times), positions)

    def _turn_around(self, here: dict[FlyingAxis, float], there: dict[FlyingAxis, float]) -> float:
        travel = [
            abs(where - here[axis]) / self._speeds[axis] + self._ramp
            for axis, where in there.items()
            if self._speeds[axis] and where != here[axis]
        ]
        return max(travel, default=0.0) or _TURN_AROUND

    async def on_kickoff(self, ctx: None) -> None:
        path = self._path
        if path is None:  # prepared, and then stopped
            msg = "the trajectory was stopped after it was prepared; prepare it again"
            raise RuntimeError(msg)
        timeline = self._timeline(path, time.monotonic() + _TURN_AROUND)
        axes = {axis.name: axis for axis in path.axes}
        self._motion = _Motion(timeline, self._encoders, axes, self._ramp)
        for axis in path.axes:
            axis.when_stopped = self._motion.halt

    async def on_complete(self, ctx: None) -> None:
        motion = self._motion
        if motion is not None:
            await self._rest(motion)
            await motion.end.wait()

    async def _rest(self, motion: _Motion) -> None:
        await motion.end.rest()
        if self._motion is motion:
            self._motion = self._path = None
            for axis in self._axes:
                axis.when_stopped = None
                await axis.user_setpoint.set(axis.position)

    async def stop(self) -> None:
        motion = self._motion
        self._path = None
        if motion is not None:
            motion.halt()
            await self._rest(motion)

    async def stop_at_safe_point(self) -> None:
        await self.stop()


class Trajectory(StandardFlyable[Any, None]):
    """A motion controller that drives axes along a path, at constant speed in each row.

    A flyer: ``prepare`` takes a `freewheel.core.FlyPath`, checks the axes' limits with run-up and
    run-down, and moves to where the first run-up begins; ``kickoff`` starts the motion, and what
    ``complete`` returns is done when it has come to rest. Stopped in flight it slows down where
    it is.

    Parameters
    ----------
    axes : sequence of FlyingAxis
        The axes that it can move.
    encoders : Encoders
        Where it says where they are.
    name : str
        Name of the device.
    """

    def __init__(self, axes: tuple[FlyingAxis, ...], encoders: Encoders, name: str = "") -> None:
        self._logic = _TrajectoryLogic(axes, encoders)
        super().__init__(name=name)

    @cached_property
    def flyable_logic(self) -> FlyableLogic[Any, None]:
        """How it flies."""
        return self._logic

    def expected_time(self, verb: str, value: Any, known: Callable[[Any], Any]) -> float | None:
        """Say how long a path takes, for previews; see `freewheel.core.TellsTimes`."""
        if verb == "prepare":
            return self._logic.travel(value, known)
        return self._logic.flight(value, known) if verb == "complete" else None


class _PulseTrain:
    """The pulses of one flight, on a thread of their own."""

    def __init__(
        self,
        path: FlyPath,
        encoders: Encoders,
        line: TriggerLine,
        show: Callable[[int], None],
    ) -> None:
        self._path = path
        self._encoders = encoders
        self._line = line
        self._show = show
        self._loop = asyncio.get_running_loop()
        self._show_next = 0.0
        # Guards what follows: the thread sends, the loop holds.
        self._lock = threading.Lock()
        self._held = False
        self.sent = 0
        self._row = 0
        self._sent_of_row = 0
        self._began: float | None = None  # when the row's first pulse rises
        self._looked = time.monotonic()  # until when encoders were looked at
        self.end = EndOfFlight()
        self._ticker = Ticker(self._tick, "freewheel-sim-triggers")

    def hold(self) -> int:
        """Send no more, and return how many were sent; from any thread."""
        with self._lock:
            self._held = True
            sent = self.sent
        self._ticker.wake()
        return sent

    def _tick(self, now: float) -> bool:
        with self._lock:
            while not self._held and self._row < len(self._path.rows) and self._send(now):
                self._end_row()
            over = self._held or self._row >= len(self._path.rows) or self._loop.is_closed()
            if self._began is None:
                self._looked = now
        if over or now >= self._show_next:
            self._show_next = now + _SHOWN
            call_soon(self._loop, self._show, self.sent)
        if over:
            self.end.tell()
        return not over

    def _end_row(self) -> None:
        # The next row begins after this one, however late this look at the encoders is.
        assert self._began is not None
        self._looked = self._began + self._path.period * self._path.rows[self._row].num
        self._row, self._sent_of_row, self._began = self._row + 1, 0, None

    def _send(self, now: float) -> bool:
        """Send what is due of the row; return whether the row is complete."""
        row, period = self._path.rows[self._row], self._path.period
        if self._began is None:
            self._began = self._begin_of(row)
        if self._began is None or now < self._began:
            return False
        due = min(row.num, int((now - self._began) / period) + 1)
        if due > self._sent_of_row:
            numbers = np.arange(self._sent_of_row, due, dtype=np.float64)
            times: Floats = self._began + period * numbers
            timeline = self._encoders.timeline
            positions = {} if timeline is None else timeline.at(times + period / 2)
            self._line.send(Pulses(times, period, positions))
            self.sent += due - self._sent_of_row
            self._sent_of_row = due
        # The last point lasts until its period is over.
        return due == row.num and now >= self._began + period * row.num

    def _begin_of(self, row: FlyRow) -> float | None:
        moving = [axis for axis in row.start if row.step[axis]]
        if not moving:
            return self._looked
        timeline = self._encoders.timeline
        if timeline is None:
            return None
        axis = max(moving, key=lambda axis: abs(row.step[axis]))
        return timeline.crossing(axis.name, row.lower(axis), row.step[axis] > 0, self._looked)


class _TriggerLogic(FlyableLogic[Any, None]):
    def __init__(self, encoders: Encoders, line: TriggerLine, show: Callable[[int], None]) -> None:
        self._encoders = encoders
        self._line = line
        self._show = show
        # On the loop that runs the device.
        self._path: FlyPath | None = None
        self._train: _PulseTrain | None = None

    async def on_prepare(self, value: FlyPath) -> None:
        await self.stop()
        if not 0 < value.period < math.inf or not value.rows:
            msg = f"a trigger box needs a period above zero and points, not {value!r}"
            raise ValueError(msg)
        self._path, self._train = value, None
        self._encoders.timeline = None
        self._show(0)

    async def on_kickoff(self, ctx: None) -> None:
        if self._path is None:
            msg = "the trigger box was stopped after it was prepared; prepare it again"
            raise RuntimeError(msg)
        self._train = _PulseTrain(self._path, self._encoders, self._line, self._show)

    async def on_complete(self, ctx: None) -> None:
        if self._train is not None:
            await self._train.end.wait()

    async def stop(self) -> None:
        self._path = None
        await self.stop_at_safe_point()

    async def stop_at_safe_point(self) -> int:
        train = self._train
        if train is None:
            return 0
        sent = train.hold()
        await train.end.rest()
        return sent


class TriggerBox(StandardFlyable[Any, None]):
    """A box that sends a pulse for each point of a path, when the axes are there.

    A flyer: ``prepare`` takes a `freewheel.core.FlyPath`. Where axes move, it waits for the
    fastest one to pass the beginning of each row, and then sends the row's pulses by its own clock;
    where none moves, it begins at once. It can be stopped between any two pulses.

    Parameters
    ----------
    name : str
        Name of the device.
    encoders : Encoders, optional
        Of the axes that it looks at; none for a box that is a clock.

    Attributes
    ----------
    line : TriggerLine
        The cable to the detectors.
    sent : SignalR
        How many pulses were sent since it was prepared, twenty times a second.
    """

    def __init__(self, name: str = "triggers", *, encoders: Encoders | None = None) -> None:
        self.line = TriggerLine()
        self.sent, show = soft_signal_r_and_setter(int)
        self._logic = _TriggerLogic(encoders or Encoders(), self.line, show)
        super().__init__(name=name)

    @cached_property
    def flyable_logic(self) -> FlyableLogic[Any, None]:
        """How it flies."""
        return self._logic

    def expected_time(self, verb: str, value: Any, known: Callable[[Any], Any]) -> float | None:
        """Say how long the pulses take, for previews; see `freewheel.core.TellsTimes`."""
        if verb == "complete":
            return float(value.period) * int(value.num)
        return 0.0 if verb == "prepare" else None
