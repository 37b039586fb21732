"""Previews: how fast they are, and how true.

``python -m benchmarks --only previews`` prints the table; it takes three minutes, for each plan of
`tests/support/foreseen.py` is run on simulated devices that take their time. What a preview says of
events, data, claims and limits is held by the tests; here it is the durations.
"""

from __future__ import annotations

import logging
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import bluesky.plans as bp

from benchmarks._preview_window import window_rows
from benchmarks._rows import Row, interleave, make_row
from freewheel import PlanCall, RunEngine, preview
from freewheel.engine import remember_call_sites

if TYPE_CHECKING:
    from collections.abc import Iterable

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
from foreseen import PLANS, Instruments, run_for_real

__all__ = ["rows"]

PREVIEWS = 100
POINTS = 100
SHORTEST = 2.0  # s: what is shorter hangs on the machine more than on the devices


def rows() -> Iterable[Row]:
    """Return the rows of this module."""
    logging.getLogger("bluesky").setLevel(logging.CRITICAL)  # a plan that fails on purpose
    with tempfile.TemporaryDirectory() as folder:
        instruments = Instruments(Path(folder), instant=False, slow=True)
        yield from speed_rows(instruments)
        yield from duration_rows(instruments)
    yield from window_rows()


def speed_rows(instruments: Instruments) -> Iterable[Row]:
    """How long previews take, in CPU time, beside iterating the plan and doing nothing with it."""
    call = PlanCall(bp.scan, ([instruments.camera], instruments.stage.x, 0, 100, POINTS))

    def previews() -> float:
        began = time.process_time()
        for _ in range(PREVIEWS):
            preview(call)
        return time.process_time() - began

    def iterations() -> float:
        began = time.process_time()
        with remember_call_sites():
            for _ in range(PREVIEWS):
                for _ in call.make():
                    pass
        return time.process_time() - began

    figures = interleave({"freewheel": previews, "iterating": iterations}, repeats=3)
    yield make_row(
        f"{PREVIEWS} previews of a scan of {POINTS} points",
        figures,
        peer="iterating",
        unit="s",
        must_reach="<= 1 s",
    )


def duration_rows(instruments: Instruments) -> Iterable[Row]:
    """How long plans take, beside what was foreseen."""
    errors = []
    with RunEngine() as engine:
        for name, make in PLANS.items():
            foreseen = preview(make(instruments))
            real = run_for_real(engine, make(instruments))
            error = foreseen.duration / real.duration - 1
            if real.duration >= SHORTEST:
                errors.append(abs(error) * 100)
            yield Row(name, foreseen.duration, real.duration, "in fact", 1 + error, "s")
    for words, figure, most in (
        ("median", statistics.median(errors), 10),
        ("worst", max(errors), 25),
    ):
        text = f"error of {len(errors)} durations of {SHORTEST:g} s and more, {words}"
        yield Row(text, figure, None, "", None, "%", f"<= {most} %")
