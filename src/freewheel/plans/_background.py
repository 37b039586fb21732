"""Plans for use beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence  # noqa: TC003 - forms read the annotations
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Gt, Unit
from bluesky.preprocessors import run_wrapper, stage_wrapper
from bluesky.protocols import Movable, Readable  # noqa: TC002 - forms read the annotations
from bluesky.utils import MsgGenerator  # noqa: TC002

from freewheel.core._devices import device_name
from freewheel.plan_stubs import (
    background,
    cancel_background,
    checkpoint,
    claim_wrapper,
    mv,
    pace,
    trigger_and_read,
    wait_any,
    wait_for_background,
)

__all__ = ["AlignResult", "align", "log_readings", "snapshot", "together"]


def snapshot(
    detectors: Sequence[Readable[Any]],
    *,
    frames: Annotated[int, Ge(1)] = 1,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[None]:
    """Take a few frames, and hold the detectors meanwhile.

    A live view that runs in the background with ``on_conflict="pause"`` gives way to it, and goes
    on by itself afterwards.

    Parameters
    ----------
    detectors : sequence of Readable
        The detectors.
    frames : int
        How many events to take.
    md : mapping, optional
        Metadata of the run.

    Yields
    ------
    Msg
        ``claim``, messages of one run, ``release``

    Raises
    ------
    ValueError
        For less than one frame.
    """
    if frames < 1:
        raise ValueError(f"a snapshot takes 1 frame or more, not {frames!r}")
    devices = list(detectors)

    def take() -> MsgGenerator[None]:
        for _ in range(frames):
            yield from checkpoint()
            yield from trigger_and_read(devices)
        yield from checkpoint()

    metadata = {
        "plan_name": "snapshot",
        "detectors": [device.name for device in devices],
        "hints": {},
        **(md or {}),
    }
    yield from claim_wrapper(stage_wrapper(run_wrapper(take(), md=metadata), devices), *devices)


def log_readings(
    devices: Sequence[Readable[Any]],
    *,
    period: Annotated[float, Gt(0), Unit("s")] = 10.0,
    readings: Annotated[int, Ge(0)] = 0,
    stream: str = "log",
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[int]:
    """Read devices again and again, slowly, into a run of its own; for the background.

    Parameters
    ----------
    devices : sequence of Readable
        What to read; what can be triggered is. Devices that are only read are left to others.
    period : float
        Seconds from one reading to the next. The time of a reading does not add to it.
    readings : int
        How many to take; 0 goes on until the task is ended.
    stream : str
        Name of the stream.
    md : mapping, optional
        Metadata of the run.

    Yields
    ------
    Msg
        Messages of one run

    Returns
    -------
    int
        How many readings were taken.

    Raises
    ------
    ValueError
        If the period is not positive.
    """
    if not period > 0:
        raise ValueError(f"the period of a log must be a positive number of seconds, not {period}")
    several = list(devices)
    taken = 0

    def take() -> MsgGenerator[None]:
        nonlocal taken
        while not readings or taken < readings:
            yield from pace(period)
            yield from checkpoint()
            yield from trigger_and_read(several, stream)
            taken += 1
        yield from checkpoint()

    metadata = {
        "plan_name": "log_readings",
        "detectors": [device.name for device in several],
        "period": period,
        "hints": {},
        **(md or {}),
    }
    yield from run_wrapper(take(), md=metadata)
    return taken


@dataclass(frozen=True)
class AlignResult:
    """Where a motor was aligned to.

    Attributes
    ----------
    position : float
        Where the motor was left, in its units.
    signal : float
        The largest signal of the scan, in the signal's units.
    """

    position: float
    signal: float


def align(
    motor: Movable[float],
    signal: Readable[float],
    start: float,
    stop: float,
    *,
    points: Annotated[int, Ge(3)] = 21,
    key: str | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[AlignResult]:
    """Move a motor to where a signal is largest.

    Parameters
    ----------
    motor : Movable
        What to move.
    signal : Readable
        What to make large.
    start, stop : float
        Where to look, in the motor's units.
    points : int
        How many places to look at. The position is that of the parabola through the best one and
        its neighbours.
    key : str, optional
        The signal's data key; by default its only one, or else the one that has its name.
    md : mapping, optional
        Metadata of the run.

    Yields
    ------
    Msg
        Messages of one run

    Returns
    -------
    AlignResult
        The position that the motor was left at.

    Raises
    ------
    ValueError
        For less than three points.
    """
    if points < 3:
        raise ValueError(f"an alignment needs 3 points or more, not {points!r}")
    step = (stop - start) / (points - 1)
    signals: list[float] = []
    position = start

    def scan() -> MsgGenerator[None]:
        nonlocal position
        for place in range(points):
            yield from checkpoint()
            yield from mv(motor, start + place * step)
            readings = yield from trigger_and_read([signal])
            signals.append(float(readings[key or _key_of(signal, readings)]["value"]))
        position = start + _peak_offset(signals) * step
        yield from checkpoint()
        yield from mv(motor, position)
        yield from checkpoint()

    metadata = {
        "plan_name": "align",
        "motors": [device_name(motor, "motor")],
        "detectors": [signal.name],
        "num_points": points,
        "hints": {},
        **(md or {}),
    }
    yield from run_wrapper(scan(), md=metadata)  # which returns the run's uid
    return AlignResult(position, max(signals))


def _key_of(signal: Readable[float], readings: Mapping[str, Any]) -> str:
    if len(readings) == 1:
        return next(iter(readings))
    if signal.name in readings:
        return signal.name
    raise ValueError(
        f"{signal.name!r} has several data keys: {', '.join(readings)}. Name one of them as `key`."
    )


def _peak_offset(signals: Sequence[float]) -> float:
    """Return the place of the maximum, in steps, by the parabola through its neighbourhood."""
    best = max(range(len(signals)), key=signals.__getitem__)
    if best in (0, len(signals) - 1):
        return float(best)
    left, middle, right = signals[best - 1 : best + 2]
    curvature = left - 2 * middle + right
    return best if curvature == 0 else best + (left - right) / (2 * curvature)


def together(plans: Mapping[str, MsgGenerator[Any]]) -> MsgGenerator[dict[str, Any]]:
    """Run several plans at once, and wait for all.

    If one of them fails, the others are cancelled, with their clean-up, and its error is raised.

    Parameters
    ----------
    plans : mapping of str to generator
        The plans, by the names that their tasks and results get.

    Yields
    ------
    Msg
        ``background`` for each, ``wait_any``, ``wait_for_background``

    Returns
    -------
    dict of str to object
        What each plan returned.
    """
    running = {}
    for name, plan in plans.items():
        running[name] = yield from background(plan, name=name)
    results: dict[str, Any] = {}
    try:
        while running:
            first = yield from wait_any(*running.values())
            del running[first.name]
            results[first.name] = yield from wait_for_background(first.name)
    except Exception:
        for name in running:
            yield from cancel_background(name)
        raise
    return {name: results[name] for name in plans}
