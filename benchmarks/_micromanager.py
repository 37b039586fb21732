"""useq's sequences and live frames on Micro-Manager's core, beside pymmcore-plus's own runner.

The same core, the same sequence, in turns in one process. Ours emits bluesky's documents for each
frame; theirs its metadata and a signal.
"""

from __future__ import annotations

import gc
import logging
import statistics
import time
from typing import TYPE_CHECKING, Any

import bluesky.plan_stubs as bps

from benchmarks._rows import Row, interleave, make_row, resident, rounds, spread_of
from freewheel import RunEngine
from freewheel.micromanager import MicroManagerDevices, devices, load
from freewheel.plans import live_view, mda

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import useq

__all__ = ["rows"]

FRAMES = 200
MEMORY_FRAMES = 20_000
MOST_SPREAD = 0.03


def rows() -> Iterable[Row]:
    """Measure sequences in software and in hardware, a live view, and memory."""
    core = load()
    core.setExposure(1)
    logging.getLogger("pymmcore-plus").setLevel(logging.WARNING)  # for both sides
    try:
        with RunEngine() as engine:
            scope = devices(core)
            engine(_connect(scope)).result()
            yield from _sequences(engine, scope)
            yield from _live(engine, scope)
            yield _memory(engine, scope)
    finally:
        core.unloadAllDevices()


def _connect(scope: MicroManagerDevices) -> Any:
    yield from bps.wait_for([scope.connect])


def _sequence(frames: int) -> useq.MDASequence:
    import useq

    return useq.MDASequence(channels=["DAPI"], time_plan={"interval": 0, "loops": frames})


def _per_second(frames: int, run: Callable[[], Any]) -> Callable[[], float]:
    def measure() -> float:
        gc.collect()
        began = time.perf_counter()
        run()
        return frames / (time.perf_counter() - began)

    return measure


def _sequences(engine: RunEngine, scope: MicroManagerDevices) -> Iterable[Row]:
    core = scope.mmcore
    for hardware, name in ((False, "software"), (True, "hardware")):

        def theirs(hardware: bool = hardware) -> None:
            assert core.mda.engine is not None
            core.mda.engine.use_hardware_sequencing = hardware
            core.mda.run(_sequence(FRAMES))

        def ours(hardware: bool = hardware) -> None:
            engine(mda(_sequence(FRAMES), scope, hardware=hardware)).result()

        seen = rounds(
            {"freewheel": _per_second(FRAMES, ours), "pymmcore-plus": _per_second(FRAMES, theirs)},
            repeats=15,
        )
        spread = spread_of(*seen.values())
        yield make_row(
            f"mda, {FRAMES} frames of 512 x 512, timed by {name} (spread {spread:.3f})",
            {name: statistics.median(several) for name, several in seen.items()},
            peer="pymmcore-plus",
            unit="1/s",
            more_is_better=True,
            # 1.0 within the spread, but a loaded machine does not excuse everything.
            must_reach=f">= {1 - min(spread, MOST_SPREAD):.3f}",
        )


def _live(engine: RunEngine, scope: MicroManagerDevices) -> Iterable[Row]:
    core = scope.mmcore

    def snapped() -> None:
        for _ in range(FRAMES):
            core.snapImage()
            core.getImage()

    def taken_out() -> None:
        core.startContinuousSequenceAcquisition(0)
        left = FRAMES
        while left:
            if core.getRemainingImageCount():
                core.popNextImage()
                left -= 1
            else:
                time.sleep(0.001)
        core.stopSequenceAcquisition()

    def ours() -> None:
        # As fast as it can: the rate is out of reach.
        engine(live_view([scope.camera], rate=1e6, frames=FRAMES, at_once=True)).result()

    for runs_freely, exposure in ((False, 1), (False, 10), (True, 1), (True, 10)):
        core.setExposure(exposure)
        engine(bps.mv(scope.camera.free_running, runs_freely)).result()
        bare = taken_out if runs_freely else snapped
        figures = interleave(
            {"freewheel": _per_second(FRAMES, ours), "bare core": _per_second(FRAMES, bare)},
            repeats=7,
        )
        how = "the camera runs freely" if runs_freely else "frames are snapped"
        yield make_row(
            f"live view, {exposure} ms exposure, {how}",
            figures,
            peer="bare core",
            unit="1/s",
            more_is_better=True,
            must_reach=">= 0.95",
        )
    engine(bps.mv(scope.camera.free_running, False)).result()
    core.setExposure(1)


def _memory(engine: RunEngine, scope: MicroManagerDevices) -> Row:
    """Look at the memory early and late in one run."""
    seen: list[float] = []

    def look(name: str, doc: Any) -> None:
        if name == "event" and doc["seq_num"] in (MEMORY_FRAMES // 10, MEMORY_FRAMES):
            gc.collect()
            seen.append(resident())

    token = engine.subscribe(look)
    engine(mda(_sequence(MEMORY_FRAMES), scope)).result()
    engine.unsubscribe(token)
    return Row(
        name=f"memory, from frame {MEMORY_FRAMES // 10:,} to frame {MEMORY_FRAMES:,}",
        ours=seen[1] - seen[0],
        peer=None,
        peer_name="",
        ratio=None,
        unit="MB",
        must_reach="< 10 MB",
    )
