"""An alignment of two motors at once.

Each motor has its own signal, and each alignment its own run. They run beside each other as tasks
of one plan, in the time that the longer one takes.

Run it: ``python plans/align_two_motors.py``
"""

from __future__ import annotations

import argparse
import asyncio
import math
from typing import TYPE_CHECKING

from ophyd_async.core import StandardReadable, StandardReadableFormat, soft_signal_r_and_setter

from freewheel import RunEngine
from freewheel.plans import AlignResult, align, together
from freewheel.sim import Axis, Microscope, microscope

if TYPE_CHECKING:
    from bluesky.utils import MsgGenerator


class Diode(StandardReadable):
    """A photodiode behind a slit: it sees most light where an axis is at ``centre``."""

    def __init__(self, name: str, axis: Axis, centre: float, width: float = 8.0) -> None:
        def light() -> float:
            return math.exp(-(((axis.position - centre) / width) ** 2))

        self.light, _ = soft_signal_r_and_setter(float, 0.0, getter=light, poll_period=0.5)
        self.add_readables([self.light], StandardReadableFormat.HINTED_UNCACHED_SIGNAL)
        super().__init__(name=name)


def align_stage(
    scope: Microscope, diodes: dict[str, Diode]
) -> MsgGenerator[dict[str, AlignResult]]:
    """Align both axes of the stage at once."""
    plans = {
        name: align(getattr(scope.stage, name), diode, -20.0, 20.0, points=17)
        for name, diode in diodes.items()
    }
    results = yield from together(plans)
    return results


def main(x: float = 3.5, y: float = -6.0) -> dict[str, AlignResult]:
    """Find the two centres; return where the axes were left."""
    scope = microscope(shape=(64, 64))
    diodes = {
        "x": Diode("diode x", scope.stage.x, x),
        "y": Diode("diode y", scope.stage.y, y),
    }
    with RunEngine() as RE:  # noqa: N806 - as everybody calls it
        for diode in diodes.values():
            asyncio.run_coroutine_threadsafe(diode.connect(), RE.loop).result()
        results = RE(align_stage(scope, diodes)).result().plan_result
    for name, result in results.items():
        print(f"{name}: {result.position:.2f} um")
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--x", type=float, default=3.5, help="centre in x [um]")
    parser.add_argument("--y", type=float, default=-6.0, help="centre in y [um]")
    arguments = parser.parse_args()
    main(arguments.x, arguments.y)
