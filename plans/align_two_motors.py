"""An alignment of two motors at once.

Each motor has its own signal, and each alignment its own run. They run beside each other as tasks
of one plan, in the time that the longer one takes.

Run it: ``python plans/align_two_motors.py``
"""

import argparse
import asyncio
import math
from typing import Annotated

from annotated_types import Ge
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator
from ophyd_async.core import StandardReadable, StandardReadableFormat, soft_signal_r_and_setter

from freewheel import RunEngine
from freewheel.plans import AlignResult, align, together
from freewheel.sim import Axis, microscope


class Diode(StandardReadable):
    """A photodiode behind a slit: it sees most light where an axis is at ``centre``."""

    def __init__(self, name: str, axis: Axis, centre: float, width: float = 8.0) -> None:
        def light() -> float:
            return math.exp(-(((axis.position - centre) / width) ** 2))

        self.light, _ = soft_signal_r_and_setter(float, 0.0, getter=light, poll_period=0.5)
        self.add_readables([self.light], StandardReadableFormat.HINTED_UNCACHED_SIGNAL)
        super().__init__(name=name)


def align_stage(
    x: Movable[float],
    x_signal: Readable[float],
    y: Movable[float],
    y_signal: Readable[float],
    reach: float = 20.0,
    points: Annotated[int, Ge(3)] = 17,
) -> MsgGenerator[dict[str, AlignResult]]:
    """Align two motors at once, each to where its signal is largest.

    Parameters
    ----------
    x, y
        What to move.
    x_signal, y_signal
        What to make large, such as a photodiode behind a slit; one number each.
    reach
        How far to look to either side of 0, in the motors' units.
    points
        How many places to look at.
    """
    results = yield from together(
        {
            "x": align(x, x_signal, -reach, reach, points=points),
            "y": align(y, y_signal, -reach, reach, points=points),
        }
    )
    return results


def main(x: float = 3.5, y: float = -6.0) -> dict[str, AlignResult]:
    """Find the two centres; return where the axes were left."""
    scope = microscope(shape=(64, 64))
    stage = scope.stage
    diodes = Diode("diode x", stage.x, x), Diode("diode y", stage.y, y)
    with RunEngine() as RE:  # noqa: N806 - as everybody calls it
        for diode in diodes:
            asyncio.run_coroutine_threadsafe(diode.connect(), RE.loop).result()
        plan = align_stage(stage.x, diodes[0], stage.y, diodes[1])
        results: dict[str, AlignResult] = RE(plan).result().plan_result
    for name, result in results.items():
        print(f"{name}: {result.position:.2f} um")
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--x", type=float, default=3.5, help="centre in x [um]")
    parser.add_argument("--y", type=float, default=-6.0, help="centre in y [um]")
    arguments = parser.parse_args()
    main(arguments.x, arguments.y)
