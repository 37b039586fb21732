"""Makes windows of one's own and forgets them, while the engine's thread makes garbage."""

import gc
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import bluesky.plan_stubs as bps
from qtpy.QtCore import QEventLoop, Qt, QTimer
from qtpy.QtWidgets import QApplication, QDockWidget, QMainWindow, QVBoxLayout, QWidget

from freewheel.engine import RunEngine
from freewheel.qt import (
    ClaimsView,
    DevicePanel,
    EngineBridge,
    EngineControls,
    LiveImage,
    LivePlot,
    PlanLog,
)
from freewheel.sim import microscope


class Window(QMainWindow):
    """Parts in a window that knows itself."""

    def __init__(self, engine: Any, devices: dict[str, Any]) -> None:
        super().__init__()
        bridge = self.bridge = EngineBridge(engine, self)
        self.image, self.plot = LiveImage(bridge), LivePlot(bridge)
        self.setCentralWidget(self.image)
        side = QWidget()
        column = QVBoxLayout(side)
        self.parts = [EngineControls(bridge), DevicePanel(bridge, devices), PlanLog(bridge)]
        for part in (self.plot, *self.parts, ClaimsView(bridge)):
            column.addWidget(part)
        dock = QDockWidget("parts")
        dock.setWidget(side)
        self.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
        self.me = self


class Garbage:
    """A plan that makes circles on the engine's thread, round by round."""

    def __init__(self) -> None:
        # The condition guards both: the engine's thread counts, the window's ends it.
        self.changed = threading.Condition()
        self.rounds = 0
        self.ended = False

    def plan(self) -> Iterator[Any]:
        while not self.ended:
            for _ in range(200):
                circle: dict[int, Any] = {}
                circle[0] = [circle]
            others = [[number] for number in range(3000)]
            with self.changed:
                self.rounds += len(others) // 3000
                self.changed.notify_all()
            yield from bps.sleep(0.001)

    def hold_window(self, rounds: int) -> None:
        """Keep the window's thread from its window for so many rounds."""
        end = self.rounds + rounds
        with self.changed:
            assert self.changed.wait_for(lambda: self.rounds >= end, 60)

    def let_window_live(self, rounds: int) -> None:
        """Let the window live for so many rounds."""
        end, loop, clock = self.rounds + rounds, QEventLoop(), QTimer()
        clock.timeout.connect(lambda: self.rounds < end or loop.quit())
        clock.start(5)
        loop.exec()


def main() -> None:
    _app = QApplication([])
    devices = dict(microscope(shape=(64, 64), instant=True))
    garbage = Garbage()
    with RunEngine() as engine:
        future = engine(garbage.plan())
        gc.set_threshold(700, 2, 2)
        windows = []
        for _ in range(4):
            window = Window(engine, devices)
            windows.append(weakref.ref(window))
            window.show()
            garbage.let_window_live(40)
            window.close()
            del window
            garbage.hold_window(60)
            garbage.let_window_live(60)
        gc.collect()
        print("left", sum(ref() is not None for ref in windows))
        garbage.ended = True
        future.outcome.result(30)
    print("ended", flush=True)


if __name__ == "__main__":
    main()
