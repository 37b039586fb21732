"""Scans that hardware runs by itself: what they cost the engine, and how fast they are.

``FREEWHEEL_BENCH_SECONDS`` says how long the scan of scalars lasts (10 s; the limit is for 60).
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
import time
from typing import TYPE_CHECKING, Any

from bluesky.plans import scan

from benchmarks._rows import Row, interleave, make_row
from freewheel import RunEngine
from freewheel.plans import fly_count, fly_scan
from freewheel.recording import NewestFrames
from freewheel.sim import SimFileCamera, microscope

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["rows"]

SECONDS = float(os.environ.get("FREEWHEEL_BENCH_SECONDS", "10"))
SCALARS = 10_000  # a second
FRAMES = 1_000  # a second, and so many altogether
SOFT, HARD = 30, 1_000  # points of a scan, by software and by hardware


def rows() -> Iterable[Row]:
    """Measure, and yield the lines of the table."""
    with tempfile.TemporaryDirectory() as folder, RunEngine() as engine:
        scope = microscope(shape=(256, 256), exposure=0.0005, directory=folder)
        camera = SimFileCamera(
            "fast",
            shape=(256, 256),
            exposure=0.0005,
            readout=0.0002,
            directory=folder,
            line=scope.stage.triggers.line,
        )
        asyncio.run_coroutine_threadsafe(camera.connect(), engine.loop).result()
        yield from _scalars(engine, scope)
        yield from _points(engine, scope, camera)
        yield from _picture(engine, camera)


def _loop_clock() -> int:
    (thread,) = (one for one in threading.enumerate() if one.name == "bluesky-run-engine")
    assert thread.ident is not None
    return time.pthread_getcpuclockid(thread.ident)


def _scalars(engine: RunEngine, scope: Any) -> Iterable[Row]:
    stage, clock = scope.stage, _loop_clock()
    num = int(SECONDS * SCALARS)
    indices: dict[str, int] = {}

    def follow(name: str, doc: Any) -> None:
        if name == "stream_datum":
            source = doc["stream_resource"]
            assert doc["indices"]["start"] == indices.get(source, 0)
            indices[source] = doc["indices"]["stop"]

    plan = fly_scan(
        *([stage.recorder], stage.x, 0, 1000),
        num=num,
        period=1 / SCALARS,
        flyers=[stage.triggers, stage.trajectory],
    )
    used, began = time.clock_gettime(clock), time.perf_counter()
    engine(plan, follow).result()
    used = time.clock_gettime(clock) - used
    share = 100 * used / (time.perf_counter() - began)
    assert set(indices.values()) == {num}, indices
    name = f"fly scan, 10 kHz of scalars for {SECONDS:g} s: the engine's share of a core"
    yield Row(name, share, None, "", None, "%", "< 5 %")


def _points(engine: RunEngine, scope: Any, camera: Any) -> Iterable[Row]:
    stage = scope.stage

    def soft() -> float:
        began = time.perf_counter()
        engine(scan([camera], stage.x, 0, 100, SOFT)).result()
        return SOFT / (time.perf_counter() - began)

    def hard() -> float:
        plan = fly_scan(
            *([camera, stage.recorder], stage.x, 0, 100),
            num=HARD,
            period=1 / FRAMES,
            exposure=0.0005,
            flyers=[stage.triggers, stage.trajectory],
        )
        began = time.perf_counter()
        engine(plan).result()
        return HARD / (time.perf_counter() - began)

    figures = interleave({"freewheel": hard, "by software": soft}, repeats=3)
    yield make_row(
        "the same line as a fly scan, and point by point",
        figures,
        peer="by software",
        unit="1/s",
        more_is_better=True,
        must_reach=">= 20",
    )


def _picture(engine: RunEngine, camera: Any) -> Iterable[Row]:
    shown: list[float] = []

    def show(name: str, doc: Any) -> None:
        if name == "event":
            shown.append(time.perf_counter())

    plan = fly_count([camera], 3 * FRAMES, period=1 / FRAMES, exposure=0.0005)
    token = engine.subscribe(NewestFrames(show), delivery="latest")
    future = engine(plan)
    assert future.result().plan_result.points == 3 * FRAMES
    engine.unsubscribe(token)
    rate = (len(shown) - 1) / (shown[-1] - shown[0])
    name = "live picture during 1 kHz of 256 x 256 frames, none of which is lost"
    yield Row(name, rate, None, "", None, "1/s", ">= 30 1/s")
