"""A slow temperature log beside a scan.

The log is a background task of the scan's plan: it begins and ends with it, has a run of its own,
and needs no device that the scan moves.

Run it: ``python plans/temperature_log.py``
"""

import argparse
from collections.abc import Sequence
from typing import Annotated, Any

from annotated_types import Ge, Gt, Unit
from bluesky.preprocessors import run_wrapper, stage_wrapper
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from freewheel import RunEngine
from freewheel.plan_stubs import (
    background,
    cancel_background,
    checkpoint,
    mv,
    trigger_and_read,
)
from freewheel.plans import log_readings
from freewheel.sim import microscope


def focus_stack(
    detectors: Sequence[Readable[Any]],
    focus: Movable[float],
    points: Annotated[int, Ge(1)] = 8,
    step: Annotated[float, Unit("um")] = 2.0,
) -> MsgGenerator[None]:
    """Take one frame at each of several foci, from 0 upwards."""

    def scan() -> MsgGenerator[None]:
        for place in range(points):
            yield from checkpoint()
            yield from mv(focus, step * place)
            yield from trigger_and_read([*detectors, focus])
        yield from checkpoint()

    metadata = {"plan_name": "focus_stack"}
    yield from stage_wrapper(run_wrapper(scan(), md=metadata), detectors)


def logged_stack(
    detectors: Sequence[Readable[Any]],
    focus: Movable[float],
    logged: Sequence[Readable[Any]],
    points: Annotated[int, Ge(1)] = 8,
    period: Annotated[float, Gt(0), Unit("s")] = 1.0,
) -> MsgGenerator[None]:
    """Take a focus stack, and log something slow, such as a temperature, meanwhile."""
    yield from background(log_readings(logged, period=period), name="log")
    yield from focus_stack(detectors, focus, points)
    yield from cancel_background("log")


def main(points: int = 8, period: float = 0.1) -> dict[str, int]:
    """Run the stack; return the number of events of each plan."""
    scope = microscope(shape=(128, 128))
    events: dict[str, int] = {}
    runs: dict[str, str] = {}

    def count(name: str, doc: Any) -> None:
        if name == "start":
            runs[doc["uid"]] = doc["plan_name"]
        elif name == "stop":
            events[runs[doc["run_start"]]] = sum(doc["num_events"].values())

    with RunEngine() as RE:  # noqa: N806 - as everybody calls it
        RE.subscribe(count)
        plan = logged_stack([scope.camera], scope.focus, [scope.temperature], points, period)
        RE(plan).result()
    for plan, number in events.items():
        print(f"{plan}: {number} events")
    return events


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=8)
    parser.add_argument("--period", type=float, default=0.1, help="seconds between log entries")
    arguments = parser.parse_args()
    main(arguments.points, arguments.period)
