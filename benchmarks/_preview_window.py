"""What previews of a form cost a window that shows a live view at 60 Hz, and that live view.

Somebody types a value, looks at what the plan would do, and types the next one half a second later,
for scans that are so long that a preview is nearly always under way. Seconds in which values are
previewed take turns with seconds in which they change as often and are not, in one window and one
live view.
"""

from __future__ import annotations

import itertools
import os
import statistics
import threading
import time
from typing import TYPE_CHECKING, Any, Final

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np

from benchmarks._rows import Row
from freewheel import RunEngine
from freewheel.plans import live_view
from freewheel.sim import microscope

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["window_rows"]

_TURNS: Final = int(os.environ.get("FREEWHEEL_BENCH_TURNS", "8"))
_TURN: Final = 4.0  # s
_TICK: Final = 0.005
_LOOKED: Final = 0.5  # s: for so long somebody looks at a preview
_POINTS: Final = 500
_RATE: Final = 60.0


class _Bench:
    """A window with a live view, and what is seen of both."""

    def __init__(self) -> None:
        from qtpy.QtCore import QTimer

        from freewheel.forms import find_plans
        from freewheel.qt import AcquisitionWindow, demo_plans

        self.engine = RunEngine()
        self.scope = microscope(shape=(256, 256), exposure=0.005)
        plans = find_plans([demo_plans], self.scope)
        self.window = AcquisitionWindow(self.engine, dict(self.scope), plans)
        self.window.show()
        self.form = self.window.chooser.choose("scan")
        self.gaps: list[float] = []
        self.shown: list[float] = []  # how long after a value was typed [s]
        self._last = self._typed_at = 0.0
        self._are_previewed = True
        self._points = itertools.count(_POINTS)
        self._tick = QTimer()
        self._tick.setInterval(round(1000 * _TICK))
        self._tick.timeout.connect(self._ticked)
        self._types = QTimer()
        self._types.setSingleShot(True)
        self._types.timeout.connect(self._type)
        self.window.preview.judged.connect(self._judged)

    def _ticked(self) -> None:
        now = time.perf_counter()
        self.gaps.append(now - self._last)
        self._last = now

    def _judged(self, foreseen: Any) -> None:
        if foreseen is None or not foreseen.is_complete or not self.window.preview.text:
            return
        self.shown.append(time.perf_counter() - self._typed_at)
        self._types.start(round(1000 * _LOOKED))

    def _type(self) -> None:
        self._typed_at = time.perf_counter()
        if not self._are_previewed:  # as often as if it was waited for
            wait = statistics.median(self.shown or [_TURN])
            self._types.start(round(1000 * (wait + _LOOKED)))
        self.form.set_values(
            {"detectors": ["camera"], "motor": "stage.x", "num": next(self._points)}
        )

    def watch(self, *, previews: bool) -> tuple[list[float], int, float]:
        """Return the gaps of the window, the live view's frames, and its thread's seconds."""
        from qtpy.QtCore import QEventLoop, QTimer

        self.gaps = []
        self._are_previewed = previews
        self.window.preview.follow(self.form if previews else None)
        self._type()
        loop = QEventLoop()
        QTimer.singleShot(round(1000 * _TURN), loop.quit)
        before, used = self._frames, self._used()
        self._last = time.perf_counter()
        self._tick.start()
        loop.exec()
        self._tick.stop()
        self._types.stop()
        return self.gaps, self._frames - before, self._used() - used

    def _used(self) -> float:
        clock = time.pthread_getcpuclockid(self._thread)
        return time.clock_gettime(clock)

    def __enter__(self) -> _Bench:
        self._frames = 0
        began = threading.Event()

        def count(name: str, _: Any) -> None:
            self._frames += name == "event"
            if self._frames == 10:
                self._thread = threading.get_ident()
                began.set()

        self.engine.subscribe(count)
        self.window.bridge.run(live_view([self.scope.camera], rate=_RATE))
        began.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        from qtpy.QtWidgets import QApplication

        self.window.preview.end()
        self.engine.stop_all().result(20)
        self.window.close()
        QApplication.processEvents()
        self.engine.close()


def window_rows() -> Iterable[Row]:
    """Return the stalls of the window, and the frames of the live view, with and without."""
    from qtpy.QtWidgets import QApplication

    application = QApplication.instance() or QApplication([])
    gaps: dict[bool, list[float]] = {True: [], False: []}
    frames: dict[bool, list[int]] = {True: [], False: []}
    used: dict[bool, list[float]] = {True: [], False: []}
    with _Bench() as bench:
        bench.watch(previews=True)  # what is imported, and found out once
        bench.shown.clear()
        for turn in range(2 * _TURNS):
            made = bool(turn % 2)
            seen, number, seconds = bench.watch(previews=made)
            gaps[made] += seen
            frames[made].append(number)
            used[made].append(seconds / max(number, 1))
        shown = list(bench.shown)
    del application
    stall = {made: 1000 * float(np.percentile(each, 99)) for made, each in gaps.items()}
    took = {made: _TURN * _TURNS / sum(each) for made, each in frames.items()}
    cpu = {made: 1e6 * statistics.median(each) for made, each in used.items()}
    name = f"live view at {_RATE:g} Hz beside previews"
    yield Row(
        f"{name} of scans of {_POINTS:,} points and more: shown in {_TURN * _TURNS:g} s",
        len(shown),
        None,
        "",
        None,
        "previews",
        f">= {_TURNS} previews",
    )
    yield Row(
        f"{name}: one is shown after", statistics.median(shown or [np.inf]), None, "", None, "s"
    )
    yield Row(
        f"{name}: stall of the window, p99",
        stall[True],
        stall[False],
        "without",
        None,
        "ms",
        "<= 20 ms",
    )
    ratio = took[False] / took[True]
    yield Row(
        f"{name}: time a frame",
        1000 * took[True],
        1000 * took[False],
        "without",
        ratio,
        "ms",
        ">= 0.98 x",
    )
    yield Row(
        f"{name}: processor time a frame",
        cpu[True],
        cpu[False],
        "without",
        cpu[False] / cpu[True],
        "µs",
    )
