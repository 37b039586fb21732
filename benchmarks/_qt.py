"""Stalls of a window: gaps of a 5 ms timer while the engine is busy, beside the naive way.

The naive way is what one writes first: one Qt signal a frame, into a pyqtgraph ``ImageView``.
Both run in one process, in turn. ``FREEWHEEL_BENCH_SECONDS`` sets how long the flood lasts.
"""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import bluesky.plan_stubs as bps
import numpy as np
from bluesky.preprocessors import finalize_wrapper, run_wrapper

from benchmarks._rows import Row, resident
from freewheel import RunEngine
from freewheel.plan_stubs import trigger_and_read
from freewheel.plans import live_view

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TICK = 0.005
_FLOOD = float(os.environ.get("FREEWHEEL_BENCH_SECONDS", "10"))
_NAIVE_FLOOD = min(3.0, _FLOOD)  # it keeps every frame that it has not painted: memory runs out


class Frames:
    """A detector without hardware: each reading is another frame.

    Parameters
    ----------
    size
        Height and width [pixels].
    fresh
        Whether each frame is memory of its own; otherwise a few are shown in turn.
    """

    parent = None

    def __init__(self, size: int, *, fresh: bool = False) -> None:
        self.name = "frames"
        rng = np.random.default_rng(1)
        self._pool = [rng.integers(0, 4096, (size, size), np.uint16) for _ in range(4)]
        self._fresh = fresh
        self._count = 0
        self.block = 0.0  # how long the next reading blocks its loop [s]

    def read(self) -> dict[str, Any]:
        if self.block:
            time.sleep(self.block)
            self.block = 0.0
        self._count += 1
        frame = self._pool[self._count % len(self._pool)]
        value = frame.copy() if self._fresh else frame
        now = time.time()
        number = {"value": float(self._count % 100), "timestamp": now}
        return {"frames": {"value": value, "timestamp": now}, "number": number}

    def describe(self) -> dict[str, Any]:
        shape = list(self._pool[0].shape)
        return {
            "frames": {"source": "bench", "dtype": "array", "shape": shape},
            "number": {"source": "bench", "dtype": "number", "shape": []},
        }


@dataclass
class Stalls:
    """Gaps between the ticks of a timer in the window [s], and how long control calls held it."""

    gaps: list[float] = field(default_factory=list)
    calls: list[float] = field(default_factory=list)
    ages: list[float] = field(default_factory=list)
    rate: float = 0.0
    memory: float = 0.0
    measured: int = 0  # frames of which a region was measured

    @property
    def worst(self) -> float:
        return 1000 * max(self.gaps, default=0.0)

    @property
    def p99(self) -> float:
        return 1000 * float(np.percentile(self.gaps, 99)) if self.gaps else 0.0


class Bench:
    """One window with a timer in it, and one engine."""

    def __init__(self, *, ours: bool, tools: bool = False) -> None:
        import pyqtgraph as pg
        from qtpy.QtCore import QObject, Qt, QTimer, Signal

        from freewheel.qt import EngineBridge, EngineControls, LiveImage

        self.engine = RunEngine()
        self.stalls = Stalls()
        self._last = 0.0
        self.parts: list[Any] = []
        if tools:
            window = whole_window(self.engine)
            self.parts.append(window)
            self.bridge, image = window.bridge, window.image
        else:
            self.bridge = EngineBridge(self.engine)
            self.parts.append(EngineControls(self.bridge))
            image = LiveImage(self.bridge) if ours else pg.ImageView()
            self.parts.append(image)
            image.resize(700, 700)
            image.show()
        self.image = image
        if ours:
            image.frameShown.connect(lambda doc: self.stalls.ages.append(time.time() - doc["time"]))
        else:

            class Naive(QObject):
                frame = Signal(object)

            naive = Naive()
            naive.frame.connect(lambda f: image.setImage(f))
            self.engine.subscribe(lambda _, doc: naive.frame.emit(doc["data"]["frames"]), "event")
            self.parts.append(naive)
            self.bridge.close()
            self.bridge = EngineBridge(self.engine)
        self.timer = QTimer()
        self.timer.setTimerType(Qt.TimerType.PreciseTimer)
        self.timer.timeout.connect(self._tick)

    def _tick(self) -> None:
        now = time.perf_counter()
        if self._last:
            self.stalls.gaps.append(now - self._last)
        self._last = now

    def wait(self, seconds: float) -> None:
        from qtpy.QtCore import QEventLoop, QTimer

        loop = QEventLoop()
        QTimer.singleShot(int(1000 * seconds), loop.quit)
        loop.exec()

    def until(self, condition: Callable[[], bool], limit: float = 30.0) -> None:
        end = time.monotonic() + limit
        while not condition() and time.monotonic() < end:
            self.wait(0.02)

    def call(self, ask: Callable[..., Any], *args: Any) -> Any:
        began = time.perf_counter()
        try:
            return ask(*args)
        finally:
            self.stalls.calls.append(time.perf_counter() - began)

    def measure(self) -> None:
        self._last = 0.0
        self.timer.start(round(1000 * _TICK))

    def close(self) -> None:
        self.timer.stop()
        if self.engine.state != "idle":
            self.engine.halt().result(20)
        self.bridge.close()
        for part in self.parts:
            getattr(part, "close", lambda: None)()
        self.engine.close()
        _kept.append(self.parts)


# Widgets of the benches that are over: pyqtgraph's do not survive being garbage with PyQt6.
_kept: list[Any] = []


def whole_window(engine: RunEngine) -> Any:
    """The acquisition window with each dock beside the others, and its plot beside the picture.

    A region and a line are measured in each frame.
    """
    from qtpy.QtWidgets import QDockWidget

    import freewheel.plans
    from freewheel.forms import find_plans
    from freewheel.qt import AcquisitionWindow, demo_plans
    from freewheel.sim import microscope

    scope = microscope(shape=(64, 64))
    plans = find_plans([freewheel.plans, demo_plans], scope)
    window = AcquisitionWindow(engine, dict(scope), plans)
    for dock in window.findChildren(QDockWidget):
        window.addDockWidget(window.dockWidgetArea(dock), dock)
        dock.show()
    plot = QDockWidget("Plot")
    plot.setWidget(window.plot)  # which is behind the picture otherwise
    window.addDockWidget(window.dockWidgetArea(dock), plot)
    window.resize(1920, 1080)  # it is wider: the docks want that beside each other
    window.show()
    window.plot.show()
    window.image.roi = (256, 256, 1536, 1536)
    window.image.profile_line = ((0, 0), (2047, 2047))
    return window


def session(*, ours: bool, tools: bool = False) -> Stalls:
    """A 60 Hz live view of 2048 x 2048, with everything that a person may ask for meanwhile.

    With ``tools`` it is in a window whose docks are all open, a region and a line are measured in
    each frame, and a scalar is plotted.
    """
    bench = Bench(ours=ours, tools=tools)
    camera = Frames(2048)
    blocks = [0.0]
    bench.engine.subscribe(lambda *_: time.sleep(blocks.pop()) if blocks else None, "event")

    def long_clean_up() -> Any:
        plan = live_view([camera], rate=60)
        yield from finalize_wrapper(plan, lambda: bps.sleep(2))

    def burst() -> Any:
        for _ in range(20):
            for _ in range(2000):
                yield from bps.null()
            yield from bps.sleep(0.05)

    try:
        bench.call(bench.bridge.run, long_clean_up())
        bench.wait(1)
        bench.measure()
        bench.wait(3)
        bench.call(bench.bridge.pause)
        bench.until(lambda: bench.engine.state == "paused")
        bench.call(bench.bridge.resume)
        bench.wait(1)
        camera.block = 0.3
        bench.wait(0.1)
        bench.call(bench.bridge.trigger_action, "snap")
        bench.wait(1)
        blocks.append(1.0)
        bench.wait(0.1)
        bench.call(bench.bridge.pause)
        bench.until(lambda: bench.engine.state == "paused")
        bench.call(bench.bridge.resume)
        bench.wait(1)
        bench.call(bench.bridge.stop)
        bench.until(lambda: bench.engine.state == "idle")
        bench.call(bench.bridge.run, burst())
        bench.until(lambda: bench.engine.state == "idle" and not bench.engine.queued)
        bench.wait(1.5)
        bench.stalls.measured = bench.image.history.shape[1] if tools else 0
    finally:
        bench.close()
    return bench.stalls


def flood(*, ours: bool) -> Stalls:
    """Frames as fast as the engine can take them, each of memory of its own."""
    bench = Bench(ours=ours)
    camera = Frames(512, fresh=True)
    seconds = _FLOOD if ours else _NAIVE_FLOOD
    end = [0.0]

    def flat_out() -> Any:
        while time.monotonic() < end[0]:
            yield from bps.checkpoint()
            yield from trigger_and_read([camera])

    highest = [0.0]

    def look(_: str, doc: Any) -> None:
        # On the engine's thread: a window that is flooded has no time to look.
        if doc["seq_num"] % 50 == 0:
            highest[0] = max(highest[0], resident())

    bench.engine.subscribe(look, "event")
    try:
        # Measured from before the flood: a window that drowns at once never gets to begin.
        bench.wait(0.3)
        bench.measure()
        bench.wait(0.1)
        before = resident()
        end[0] = time.monotonic() + seconds
        bench.bridge.run(run_wrapper(flat_out()))
        bench.wait(seconds)
        bench.until(lambda: bench.engine.state == "idle")
        bench.wait(0.2)
        bench.stalls.memory = highest[0] - before
    finally:
        bench.close()
    return bench.stalls


def rate(*, window: bool) -> float:
    """Frames a second of a 60 Hz live view of 2048 x 2048."""
    times: list[float] = []
    camera = Frames(2048)
    bench = Bench(ours=True) if window else None
    engine = bench.engine if bench else RunEngine()
    engine.subscribe(lambda _, doc: times.append(doc["time"]), "event")
    try:
        future = engine(live_view([camera], rate=60, frames=240))
        if bench:
            bench.until(future.outcome.done)
        future.outcome.result(30)
    finally:
        if bench:
            bench.close()
        else:
            engine.close()
    return (len(times) - 1) / (times[-1] - times[0])


def rows() -> Iterator[Row]:
    """Measure all."""
    from qtpy.QtWidgets import QApplication

    from freewheel.qt import responsive

    app = QApplication.instance() or QApplication([])
    naive = session(ours=False)
    with responsive():
        mine = session(ours=True)
    yield _row("stall at 60 Hz and control calls, p99", mine.p99, naive.p99, "ms", "<= 20 ms")
    yield _row("the same, longest", mine.worst, naive.worst, "ms", "<= 50 ms")
    with responsive():
        tools = session(ours=True, tools=True)
    name = "stall with all docks, region, profile and plot"
    yield Row(f"{name}, p99", tools.p99, mine.p99, "without", None, "ms", "<= 20 ms")
    yield Row(f"{name}, longest", tools.worst, mine.worst, "without", None, "ms", "<= 50 ms")
    yield Row(
        "frames measured meanwhile", tools.measured, None, "", None, "frames", ">= 100 frames"
    )
    held = 1000 * max(mine.calls)
    yield _row("longest control call", held, 1000 * max(naive.calls), "ms", "<= 5 ms")
    naive = flood(ours=False)
    with responsive():
        mine = flood(ours=True)
    yield _row("flooded: longest stall", mine.worst, naive.worst, "ms", ">= 20")
    yield _row("flooded: memory gained", mine.memory, naive.memory, "MB", "<= 20 MB")
    age = 1000 * max(mine.ages)
    yield Row("flooded: age of a frame when shown, longest", age, None, "", None, "ms", "<= 100 ms")
    alone = statistics.median(rate(window=False) for _ in range(3))
    with responsive():
        shown = statistics.median(rate(window=True) for _ in range(3))
    yield Row("rate with the window", shown, alone, "without", shown / alone, "1/s", ">= 0.99")
    app.processEvents()


def _row(name: str, ours: float, naive: float, unit: str, must_reach: str) -> Row:
    return Row(name, ours, naive, "naive", naive / ours if ours > 0 else None, unit, must_reach)
