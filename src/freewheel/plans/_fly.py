"""Scans that hardware runs by itself, while the engine collects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any

from annotated_types import Ge, Gt, Unit
from bluesky.preprocessors import finalize_wrapper, run_wrapper
from bluesky.protocols import Checkable, Status
from bluesky.utils import Msg, MsgGenerator, maybe_await
from ophyd_async.core import DetectorTrigger, StandardDetector, TriggerInfo

from freewheel.core import FlyPath, FlyRow, ProgressScope
from freewheel.core._devices import device_name
from freewheel.core._flight import check_period
from freewheel.core._groups import fresh_group
from freewheel.plan_stubs import (
    checkpoint,
    claim_wrapper,
    declare_progress,
    uninterrupted,
    update_progress,
    wait,
)
from freewheel.plan_stubs._answer import answer_of

from ._flight import Flight, FlyDetector, Flyer, Landing
from ._fly_arguments import check_devices, check_ends, check_times, whole_number

__all__ = ["FlyResult", "fly_count", "fly_grid", "fly_scan"]

#: A flyer that is prepared with a `FlyPath`, or a flyer and what makes its own value of one.
FlyerLike = Any | tuple[Any, Callable[[FlyPath], Any]]


@dataclass(frozen=True)
class FlyResult:
    """What a fly scan that came to its end says of itself.

    Attributes
    ----------
    points : int
        How many events each detector has.
    flights : int
        How many flights it took: one, and one more for each interruption.
    """

    points: int
    flights: int


@dataclass
class _Scan:
    """A fly scan under way."""

    detectors: Sequence[Any]
    flyers: Sequence[Flyer]
    path: FlyPath
    exposure: float | None
    flight: int
    collect_every: float
    patience: float
    stream: str
    aboard: list[FlyDetector] = field(default_factory=list)
    landing: Landing = field(default_factory=Landing)
    livetime: float = 0.0
    declared: bool = False
    flights: int = 0

    # -- before it flies ----------------------------------------------------------------------

    async def check(self) -> None:
        """Refuse what cannot be flown. On the engine's loop; nothing has moved yet."""
        await self._check_limits()
        checked = [await self._check_triggers(detector) for detector in self.detectors]
        self.aboard = [detector for detector, _ in checked]
        deadtimes = [deadtime for _, deadtime in checked]
        deadtime = max(deadtimes, default=0.0)
        period = self.path.period
        if self.exposure is None:
            self.livetime = period - deadtime if period else 0.0
        else:
            self.livetime = self.exposure
        for detector, dead in zip(self.detectors, deadtimes, strict=True):
            # A millionth of slack: times that people write are not binary fractions.
            if period and (self.livetime + dead) * (1 - 1e-6) > period:
                raise ValueError(_too_fast(detector, period, self.livetime, dead))
            if period and self.exposure is None and self.livetime <= 0:
                raise ValueError(_too_fast(detector, period, 0.0, deadtime))
        self.path = FlyPath(self.path.rows, period, deadtime)

    async def _check_limits(self) -> None:
        for axis in self.path.axes:
            if isinstance(axis, Checkable):
                edges = [row.lower(axis) for row in self.path.rows]
                edges += [row.upper(axis) for row in self.path.rows]
                for edge in (min(edges), max(edges)):
                    await maybe_await(axis.check_value(edge))

    async def _check_triggers(self, detector: Any) -> tuple[FlyDetector, float]:
        """Choose how a detector is triggered; return it with that, and its dead time [s]."""
        ask = getattr(detector, "get_trigger_deadtime", None)
        supported, deadtime = await ask() if ask is not None else (set(DetectorTrigger), None)
        wanted = (
            (DetectorTrigger.EXTERNAL_EDGE, DetectorTrigger.EXTERNAL_LEVEL)
            if self.flyers
            else (DetectorTrigger.INTERNAL,)
        )
        trigger = next((each for each in wanted if each in supported), None)
        if trigger is None:
            raise ValueError(
                f"{detector.name} cannot be triggered "
                + ("by hardware" if self.flyers else "by its own clock")
                + f"; it can by {', '.join(sorted(each.name for each in supported))}."
            )
        return FlyDetector(detector, trigger), deadtime or 0.0

    # -- flying -------------------------------------------------------------------------------

    def fly(self) -> MsgGenerator[None]:
        """Fly until all points are taken."""
        scope = yield from declare_progress("fly")
        index = 0
        yield from self._lent()  # by an earlier scan of the same plan
        yield from self._tell(scope, index)
        while index < self.path.num:
            yield from checkpoint()
            rest = self.path.after(index)
            path = rest.cut(self.flight) if self.flight else rest
            self.landing.forget()
            flight = Flight(self.aboard, self.flyers, path, self.landing, self.patience)
            self.flights += 1
            index = yield from uninterrupted(
                self._one(flight, scope), self.landing.ask, foreseen=partial(self._foreseen, flight)
            )
            if index is None:  # list(plan)
                break
        yield from checkpoint()
        yield from update_progress(scope, done=True)

    def _tell(self, scope: ProgressScope, index: int) -> MsgGenerator[None]:
        yield from update_progress(
            scope, current=index, initial=0, target=self.path.num, unit="points"
        )

    def _one(self, flight: Flight, scope: ProgressScope) -> MsgGenerator[int]:
        """Make one flight; return the index that it has come to."""
        try:
            yield from self._take_off(flight)
            over = not flight.flown
            while not over:
                yield from answer_of(partial(flight.wait, self.collect_every))
                if self.landing.is_asked and not flight.is_over:
                    yield from answer_of(flight.land)
                over = flight.is_over or self.landing.is_asked
                yield from self._collect(flight, scope)
            flight.check()
        except Exception:
            yield from answer_of(flight.bring_down)
            if self.declared:
                yield from self._collect(flight, scope)
            raise
        except GeneratorExit:
            flight.abandon()
            raise
        finally:
            flight.forget()
        return flight.index

    def _lent(self) -> MsgGenerator[list[FlyDetector]]:
        """Return the detectors that were lent to another plan since this was asked last."""
        lent = []
        for detector in self.aboard:
            stagings = (yield Msg("_count_stagings_again", detector.device)) or 0
            if stagings != detector.stagings:
                lent.append(detector)
            detector.stagings = stagings
        return lent

    def _begin_files(self) -> MsgGenerator[None]:
        """Go on in new files where a detector was lent, and so begins a new one.

        All of them do so, from one index on: they are collected as far as all have come.
        """
        lent = yield from self._lent()
        if lent:
            others = [each.device for each in self.aboard if each not in lent]
            yield from _all("unstage", others[::-1])
            yield from _all("stage", others)
            index = min(detector.index for detector in self.aboard)
            for detector in self.aboard:
                detector.begin_file(index)

    def _take_off(self, flight: Flight) -> MsgGenerator[None]:
        yield from self._begin_files()
        statuses = []
        for detector in flight.on_board:
            if detector.is_external and detector.prepared:
                continue
            info = self._info(detector, flight)
            statuses.append((yield from _begin(flight, "prepare", detector.device, info)))
            detector.prepared = True
        for flyer in self.flyers:
            value = flyer.value(flight.path)
            statuses.append((yield from _begin(flight, "prepare", flyer.device, value)))
        yield from answer_of(partial(flight.ready, statuses))
        if not self.declared:
            yield Msg("declare_stream", None, *self.detectors, name=self.stream, collect=True)
            self.declared = True
        yield from answer_of(flight.measure)
        flight.check_start()
        if self.landing.is_asked:
            return
        yield from self._kick_off(flight)
        flight.follow()

    def _foreseen(self, flight: Flight) -> MsgGenerator[int]:
        """Send what a preview follows: the flight itself waits for hardware, not by messages."""
        prepared, flown = fresh_group("prepare"), fresh_group("fly")
        for detector in flight.on_board:
            if not (detector.is_external and detector.prepared):
                info = self._info(detector, flight)
                yield Msg("prepare", detector.device, info, group=prepared)
                detector.prepared = True
        for flyer in self.flyers:
            yield Msg("prepare", flyer.device, flyer.value(flight.path), group=prepared)
        yield Msg("wait", None, group=prepared)
        if not self.declared:
            yield Msg("declare_stream", None, *self.detectors, name=self.stream, collect=True)
            self.declared = True
        for detector in flight.on_board:
            if detector.is_external:
                count = detector.device.events_to_kickoff
                yield Msg("set", count, flight.path.num, group=fresh_group("set"))
        flying = [each.device for each in flight.on_board]
        flying += [each.device for each in self.flyers]
        for device in flying:
            yield Msg("kickoff", device, group=flown)
        for row in flight.path.rows:
            for axis in flight.path.axes:
                yield Msg("set", axis, row.lower(axis), group=fresh_group("row"))
                yield Msg("set", axis, row.upper(axis), group=fresh_group("row"))
        yield Msg("wait", None, group=flown)
        for device in flying:
            yield Msg("complete", device, group=flown)
        yield Msg("wait", None, group=flown)
        yield Msg("collect", *self.detectors, return_payload=False, name=self.stream)
        for detector in self.aboard:
            detector.index = flight.target
        return flight.index

    def _info(self, detector: FlyDetector, flight: Flight) -> TriggerInfo:
        period, external = self.path.period, detector.is_external
        return TriggerInfo(
            trigger=detector.trigger,
            livetime=self.livetime,
            deadtime=0.0 if external else max(0.0, period - self.livetime),
            number_of_events=(self.path.num if external else flight.target) - detector.index,
            exposure_timeout=period + self.livetime + self.patience,
        )

    def _kick_off(self, flight: Flight) -> MsgGenerator[None]:
        statuses = []
        for detector in flight.on_board:
            if detector.is_external:
                count = detector.device.events_to_kickoff
                statuses.append((yield from _begin(flight, "set", count, flight.path.num)))
        yield from answer_of(partial(flight.ready, statuses))
        statuses = []
        for detector in flight.on_board:
            statuses.append((yield from _begin(flight, "kickoff", detector.device)))
        yield from answer_of(partial(flight.ready, statuses))
        for flyer in self.flyers:
            status = yield from _begin(flight, "kickoff", flyer.device)
            yield from answer_of(partial(flight.ready, [status]))

    def _collect(self, flight: Flight, scope: ProgressScope) -> MsgGenerator[None]:
        # Asked first, within a time: a message that a detector never answers could not be ended.
        yield from answer_of(flight.hear)
        yield Msg("collect", *self.detectors, return_payload=False, name=self.stream)
        yield from answer_of(flight.measure)
        yield from self._tell(scope, flight.index)


def _staged(plan: MsgGenerator[None], devices: Sequence[Any]) -> MsgGenerator[None]:
    """Stage devices, and unstage them at the end: these, and not the devices that they are part of.

    bluesky's wrapper stages what is at the top: the stage, and not its recorder.
    """

    def begin() -> MsgGenerator[None]:
        yield from _all("stage", devices)
        yield from plan

    yield from finalize_wrapper(begin(), lambda: _all("unstage", devices[::-1]))


def _all(command: str, devices: Sequence[Any]) -> MsgGenerator[None]:
    group = fresh_group(command)
    for device in devices:
        yield Msg(command, device, group=group)
    yield from wait(group)


def _begin(flight: Flight, command: str, device: Any, *args: Any) -> MsgGenerator[Status]:
    status: Status = yield Msg(command, device, *args, group=fresh_group(command))
    flight.begun.append(status)
    return status


def _too_fast(detector: Any, period: float, exposure: float, deadtime: float) -> str:
    need = exposure + deadtime
    return (
        f"{detector.name} cannot take a frame every {period:g} s: it needs {need:g} s "
        f"({exposure:g} s exposure, {deadtime:g} s dead time). Nothing has moved. "
        "Give a longer period, or a shorter exposure."
    )


def _as_flyer(given: FlyerLike) -> Flyer:
    if isinstance(given, tuple):
        device, value = given
        return Flyer(device, value)
    return Flyer(given, lambda path: path)


def _fly(
    scan: _Scan, axes: Sequence[Any], name: str, md: Mapping[str, Any]
) -> MsgGenerator[FlyResult]:
    flyers = [flyer.device for flyer in scan.flyers]
    check_devices(name, scan.detectors, flyers, axes)
    check_times(name, scan.exposure, scan.collect_every, scan.patience)
    scan.flight = whole_number(name, "flight", scan.flight, least=0)
    metadata = {
        "plan_name": name,
        "detectors": [detector.name for detector in scan.detectors],
        "flyers": [flyer.name for flyer in flyers],
        "motors": [axis.name for axis in axes],
        "num_points": scan.path.num,
        "num_intervals": scan.path.num - 1,
        "period": scan.path.period,
        "hints": {},
        **md,
    }

    def whole() -> MsgGenerator[None]:
        yield from answer_of(scan.check, looks_at=scan.detectors[0])
        staged = [*scan.detectors, *(each for each in flyers if hasattr(each, "stage"))]
        yield from _staged(run_wrapper(scan.fly(), md=metadata), staged)

    yield from claim_wrapper(whole(), *scan.detectors, *flyers, *axes)
    return FlyResult(scan.path.num, scan.flights)


def fly_count(
    detectors: Sequence[StandardDetector],
    num: Annotated[int, Ge(1)] = 1,
    *,
    period: Annotated[float, Ge(0), Unit("s")] = 0.0,
    exposure: Annotated[float, Gt(0), Unit("s")] | None = None,
    flyers: Sequence[Any] = (),
    flight: Annotated[int, Ge(0)] = 0,
    collect_every: Annotated[float, Gt(0), Unit("s")] = 0.1,
    patience: Annotated[float, Gt(0), Unit("s")] = 10.0,
    stream: str = "primary",
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[FlyResult]:
    """Have detectors take a number of frames by themselves, and write them to files.

    A pause lets them finish the frame that they are at, and a resume goes on from the next one; so
    does a suspender. A stop and an abort end the run there. See `fly_scan`.

    Parameters
    ----------
    detectors : sequence of StandardDetector
        The detectors, as ophyd-async has them.
    num : int
        How many frames.
    period : float
        From one frame to the next [s]; 0 for as fast as they can.
    exposure : float, optional
        Of each frame [s]; by default what the period leaves beside the dead time, or what the
        detectors are set to where there is no period.
    flyers : sequence
        What triggers the detectors; see `fly_scan`. Without any, each detector goes by its own
        clock.
    flight : int
        Frames that hardware is given at a time, at most; 0 for all. A pause of hardware without
        a safe point waits until they are taken.
    collect_every : float
        From one collection of documents to the next [s].
    patience : float
        How long nothing may happen, beside a frame's own time, until it is an error [s].
    stream : str
        Name of the stream.
    md : mapping, optional
        Metadata of the run.

    Yields
    ------
    Msg
        Messages of one run.

    Returns
    -------
    FlyResult
        How many frames, in how many flights.

    Raises
    ------
    ValueError
        Before anything is started: if a detector cannot run at that rate, or not by itself.
    FlyError
        If a detector delivers fewer or more frames than it was to, or nothing happens any more.
        What was written until then is in the documents.
    """
    num = whole_number("fly_count", "num", num)
    if period or flyers:
        check_period(period)
    path = FlyPath((FlyRow(num),), period)
    scan = _Scan(
        list(detectors), [_as_flyer(one) for one in flyers], path, exposure, flight,
        collect_every, patience, stream,
    )  # fmt: skip
    return (yield from _fly(scan, (), "fly_count", md or {}))


def fly_scan(
    detectors: Sequence[Any],
    *args: Any,
    num: Annotated[int, Ge(1)],
    period: Annotated[float, Gt(0), Unit("s")],
    flyers: Sequence[Any],
    exposure: Annotated[float, Gt(0), Unit("s")] | None = None,
    flight: Annotated[int, Ge(0)] = 0,
    collect_every: Annotated[float, Gt(0), Unit("s")] = 0.1,
    patience: Annotated[float, Gt(0), Unit("s")] = 10.0,
    stream: str = "primary",
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[FlyResult]:
    """Move axes at constant speed along a line while detectors are triggered at positions.

    A pause lets the hardware finish to its next safe point, and collects what was taken; the
    resume goes on from there: no index twice, and none is missing. So does a deferred pause, and a
    suspender. A stop and an abort end the run at the next safe point, a failure of a device ends
    it with all that was written in its documents.

    Parameters
    ----------
    detectors : sequence of StandardDetector
        The detectors, as ophyd-async has them; they are triggered by hardware.
    *args
        ``axis, start, stop`` for one axis or several that move together: where its middle is at
        the first and at the last point.
    num : int
        How many points.
    period : float
        From one point to the next [s].
    flyers : sequence
        What sends the triggers, and what moves the axes, in the order in which they are
        kicked off, and stopped: triggers first. Each is a flyer that is prepared with a
        `freewheel.core.FlyPath`, or a pair of a flyer and a function that makes its own value of
        one, such as ``(sequencer, lambda path: ScanSpecInfo(spec=path.spec,
        deadtime=path.deadtime))`` for a PandA.
    exposure : float, optional
        Of each frame [s]; by default what the period leaves beside the longest dead time.
    flight : int
        Points that hardware is given at a time, at most; 0 for all. A pause of hardware without
        a safe point waits until they are taken.
    collect_every : float
        From one collection of documents to the next [s].
    patience : float
        How long nothing may happen, beside a point's own time, until it is an error [s].
    stream : str
        Name of the stream.
    md : mapping, optional
        Metadata of the run.

    Yields
    ------
    Msg
        Messages of one run.

    Returns
    -------
    FlyResult
        How many points, in how many flights.

    Raises
    ------
    ValueError
        Before anything moves: if an axis cannot go there, or a detector cannot run at that rate
        or cannot be triggered by hardware.
    ResourceConflictError
        If another plan holds a device, or a part of it.
    FlyError
        If a detector delivers fewer or more frames than were triggered, or nothing happens any
        more. What was written until then is in the documents.
    """
    check_period(period)
    if not args or len(args) % 3:
        msg = "fly_scan takes axis, start, stop for each axis, such as stage.x, 0, 10"
        raise ValueError(msg)
    num = whole_number("fly_scan", "num", num)
    axes = args[::3]
    for axis, first, last in zip(axes, args[1::3], args[2::3], strict=True):
        check_ends("fly_scan", axis, first, last)
    start = {axis: float(where) for axis, where in zip(axes, args[1::3], strict=True)}
    step = {
        axis: (float(stop) - start[axis]) / max(1, num - 1)
        for axis, stop in zip(axes, args[2::3], strict=True)
    }
    path = FlyPath((FlyRow(num, start, step),), period)
    scan = _Scan(
        list(detectors), [_as_flyer(one) for one in flyers], path, exposure, flight,
        collect_every, patience, stream,
    )  # fmt: skip
    return (yield from _fly(scan, axes, "fly_scan", md or {}))


def fly_grid(
    detectors: Sequence[Any],
    *args: Any,
    period: Annotated[float, Gt(0), Unit("s")],
    flyers: Sequence[Any],
    snake: bool = True,
    exposure: Annotated[float, Gt(0), Unit("s")] | None = None,
    flight: Annotated[int, Ge(0)] = 0,
    collect_every: Annotated[float, Gt(0), Unit("s")] = 0.1,
    patience: Annotated[float, Gt(0), Unit("s")] = 10.0,
    stream: str = "primary",
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[FlyResult]:
    """Move axes over a grid, row by row at constant speed, while detectors are triggered.

    Interruptions are those of `fly_scan`, in the middle of a row too.

    Parameters
    ----------
    detectors : sequence of StandardDetector
        The detectors, as ophyd-async has them; they are triggered by hardware.
    *args
        ``axis, start, stop, num`` for each axis, the slowest first; the last one flies.
    period : float
        From one point of a row to the next [s].
    flyers : sequence
        What sends the triggers, and what moves the axes; see `fly_scan`.
    snake : bool
        Whether every axis but the slowest goes back and forth, instead of returning to its start.
    exposure : float, optional
        Of each frame [s]; by default what the period leaves beside the longest dead time.
    flight : int
        Points that hardware is given at a time, at most; 0 for all.
    collect_every : float
        From one collection of documents to the next [s].
    patience : float
        How long nothing may happen, beside a point's own time, until it is an error [s]. Turning
        round between two rows counts.
    stream : str
        Name of the stream.
    md : mapping, optional
        Metadata of the run.

    Yields
    ------
    Msg
        Messages of one run.

    Returns
    -------
    FlyResult
        How many points, in how many flights.

    Raises
    ------
    ValueError, ResourceConflictError, FlyError
        As `fly_scan`.
    """
    check_period(period)
    if not args or len(args) % 4:
        msg = "fly_grid takes axis, start, stop, num for each axis, such as stage.y, 0, 5, 6"
        raise ValueError(msg)
    lines = [_Line(*args[place : place + 4]) for place in range(0, len(args), 4)]
    path = FlyPath(tuple(_rows(lines, snake)), period)
    shape = {
        "shape": [line.num for line in lines],
        "extents": [[line.start, line.stop] for line in lines],
        "snaking": [snake and number > 0 for number in range(len(lines))],
    }
    scan = _Scan(
        list(detectors), [_as_flyer(one) for one in flyers], path, exposure, flight,
        collect_every, patience, stream,
    )  # fmt: skip
    return (yield from _fly(scan, args[::4], "fly_grid", {**shape, **(md or {})}))


class _Line:
    """One axis of a grid."""

    def __init__(self, axis: Any, start: float, stop: float, num: int) -> None:
        check_ends("fly_grid", axis, start, stop)
        self.axis, self.start, self.stop = axis, float(start), float(stop)
        self.num = whole_number("fly_grid", f"num along {device_name(axis)}", num)

    @property
    def step(self) -> float:
        return (self.stop - self.start) / max(1, self.num - 1)

    def places(self, forwards: bool) -> list[float]:
        places = [self.start + number * self.step for number in range(self.num)]
        return places if forwards else places[::-1]


def _rows(lines: Sequence[_Line], snake: bool) -> list[FlyRow]:
    """Return the rows of a grid: the last line flies, the others stand."""
    *slow, fast = lines
    stands: list[dict[Any, float]] = [{}]
    for line in slow:
        stands = [
            {**stand, line.axis: where}
            for number, stand in enumerate(stands)
            for where in line.places(not (snake and number % 2))
        ]
    rows = []
    places = fast.places(True)
    for number, stand in enumerate(stands):
        forwards = not (snake and number % 2)
        start = {**stand, fast.axis: places[0 if forwards else -1]}
        step = {**dict.fromkeys(stand, 0.0), fast.axis: fast.step if forwards else -fast.step}
        rows.append(FlyRow(fast.num, start, step))
    return rows
