"""A real window for test_real_window: answers on its standard output what is asked on its input.

Each line of the input is an expression, as JSON; its value is written, as a line of JSON, as soon
as it is true. What a person does comes from mouse and keyboard alone.
"""

import argparse
import asyncio
import json
import sys
import threading
from collections import deque
from typing import Any

from ophyd_async.core import AsyncStatus
from qtpy.QtCore import QAbstractAnimation, QPointF, QRect, QSettings, QSize, QTimer
from qtpy.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QDockWidget,
    QGraphicsView,
    QLineEdit,
    QTabBar,
    QWidget,
)

import freewheel.plans
from freewheel.core import mark_dangerous
from freewheel.engine import RunEngine
from freewheel.forms import find_plans
from freewheel.qt import AcquisitionWindow, demo_plans, responsive
from freewheel.sim import SimCamera, microscope


class LitCamera(SimCamera):
    """A camera whose light is on while it is staged, as that of a live view is."""

    lamp: Any = None

    @AsyncStatus.wrap
    async def stage(self) -> None:
        """Put the light on."""
        await self.lamp.set(80)

    @AsyncStatus.wrap
    async def unstage(self) -> None:
        """Put the light off."""
        await self.lamp.set(0)


class Screen:
    """Where the parts of windows are on the screen, and what they show."""

    def __init__(self, windows: list[AcquisitionWindow]) -> None:
        self._windows = windows
        self._had: dict[int, QWidget] = {}  # the keyboard: kept, so that no number stands for two

    def part(self, *names: str, window: int = 0) -> Any:
        """Return the part of a window that can be seen, by the names of those that it is in.

        The first may be the name of a device's row, such as ``"camera.exposure"``.
        """
        found: QWidget = self._windows[window]
        rows = found.devices.rows
        if names and names[0] in rows:
            found, names = rows[names[0]], names[1:]
        for name in names:
            parts = (each for each in found.findChildren(QWidget, name) if each.isVisible())
            found = next(parts, None)
            if found is None:
                return None
        return found

    def at(self, *names: str, window: int = 0, grey: bool = False) -> list[int] | None:
        """Return the middle of what can be seen of a part; `None` for what cannot be used."""
        part = self.part(*names, window=window)
        if part is None or not (part.isEnabled() or grey) or part.visibleRegion().isEmpty():
            return None
        if not self._rests(window):
            return None
        return self._on_screen(part, part.visibleRegion().boundingRect())

    def _rests(self, window: int = 0) -> bool:
        """Tell whether no dock is on its way: what is in it is elsewhere when somebody clicks."""
        on_their_way = self._windows[window].findChildren(QAbstractAnimation)
        return all(each.state() != QAbstractAnimation.State.Running for each in on_their_way)

    def text(self, *names: str) -> str:
        """Return what is written on a part."""
        part = self.part(*names)
        if part is None:
            return ""
        if isinstance(part, QComboBox):
            return str(part.currentText())
        line = part.findChild(QLineEdit)
        return str((part if line is None else line).text())

    def tab(self, text: str) -> list[int] | None:
        """Return where the tab of a dock, or of the middle, is."""
        for bar in self._windows[0].findChildren(QTabBar) if self._rests() else ():
            for index in range(bar.count() if bar.isVisible() else 0):
                if bar.tabText(index).partition(" (")[0] == text:
                    return self._on_screen(bar, bar.tabRect(index))
        return None

    def row(self, name: str, number: int) -> list[int] | None:
        """Return where a row of a list, or of a table, is."""
        rows = self.part(name)
        if rows is None or rows.model().rowCount() <= number or not self._rests():
            return None
        return self._on_screen(rows.viewport(), rows.visualRect(rows.model().index(number, 0)))

    def title(self, name: str) -> list[int] | None:
        """Return where a dock is taken hold of."""
        if not self._rests():
            return None
        dock = self._windows[0].findChild(QDockWidget, name)
        return self._on_screen(dock, QRect(0, 0, dock.width() // 2, 20))

    def close_of(self, name: str) -> list[int] | None:
        """Return where a dock is closed."""
        return self.at(name, "qt_dockwidget_closebutton")

    def pixel(self, x: float, y: float) -> list[int] | None:
        """Return where a pixel of the picture is."""
        image = self._windows[0].image
        if image.frame is None:
            return None
        view = image.findChild(QGraphicsView)
        item = next(i for i in view.scene().items() if type(i).__name__ == "ImageItem")
        place = item.getViewBox().mapViewToScene(QPointF(x, y))
        return self._on_screen(view.viewport(), QRect(view.mapFromScene(place), QSize(1, 1)))

    def focus(self) -> dict[str, Any] | None:
        """Return what has the keyboard: its name, which window it is in, whether it can be seen."""
        part = QApplication.focusWidget()
        if part is None:
            return None
        self._had[id(part)] = part
        names, each = [], part
        while each is not None:
            if each.objectName():
                names.append(each.objectName())
            each = each.parentWidget()
        written = part.tabText(part.currentIndex()) if isinstance(part, QTabBar) else ""
        return {
            "name": part.accessibleName() or written or getattr(part, "text", lambda: "")(),
            "within": names,
            "kind": type(part).__name__,
            "seen": any(
                not each.visibleRegion().isEmpty() for each in (part, *part.findChildren(QWidget))
            ),
            "place": self._on_screen(part, part.rect()),
            "size": [part.width(), part.height()],
            "number": id(part),
        }

    def docks(self) -> dict[str, Any]:
        """Return where each dock is, whether it is shown, and how large it is."""
        window = self._windows[0]
        return {
            dock.objectName(): [
                getattr(window.dockWidgetArea(dock), "name", str(window.dockWidgetArea(dock))),
                not dock.isHidden(),
                dock.isFloating(),
                [other.objectName() for other in window.tabifiedDockWidgets(dock)],
            ]
            for dock in window.findChildren(QDockWidget)
        }

    def answer(self, question: str, text: str) -> list[int] | None:
        """Return where a button of a question is."""
        box = self.part(question)
        buttons = [] if box is None else box.findChildren(QAbstractButton)
        buttons = [b for b in buttons if b.text().replace("&", "") == text]
        return self._on_screen(buttons[0], buttons[0].rect()) if buttons else None

    def menu(self) -> list[str]:
        """Return what is on offer in the menu that is open."""
        menu = QApplication.activePopupWidget()
        return [] if menu is None else [action.text() for action in menu.actions()]

    def _on_screen(self, part: QWidget, place: QRect) -> list[int]:
        point = part.mapToGlobal(place.center())
        return [point.x(), point.y()]


class Questions:
    """What was asked, answered one after the other, each as soon as it is true."""

    def __init__(self, names: dict[str, Any]) -> None:
        self._names = names
        self._asked: deque[str] = deque()  # a thread puts in, the window takes out
        threading.Thread(target=self._listen, daemon=True).start()
        self._clock = QTimer()
        self._clock.timeout.connect(self._look)
        self._clock.start(20)

    def _listen(self) -> None:
        for line in sys.stdin:
            self._asked.append(json.loads(line))

    def _look(self) -> None:
        while self._asked:
            value = eval(self._asked[0], self._names)
            if not value:
                return
            self._asked.popleft()
            print(json.dumps(value, default=str), flush=True)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--settings")
    options.add_argument("--folder")
    options.add_argument("--windows", type=int, default=1)
    chosen = options.parse_args()
    app = QApplication(sys.argv[:1])
    app.setDoubleClickInterval(2000)  # hands are slow where much else is going on
    scope = microscope(shape=(256, 256))
    scope.stage.x.limits = scope.stage.y.limits = (-60.0, 60.0)
    camera = LitCamera("camera", shape=(256, 256), view=scope.camera._view)
    camera.lamp = scope.lamp

    async def make_ready() -> None:
        await camera.connect()
        await scope.lamp.set(0)

    asyncio.run(make_ready())
    mark_dangerous(scope.shutter, "behind it is a laser")
    devices = {**scope, "camera": camera}
    devices.pop("file_camera")
    events: list[Any] = []
    settings = QSettings(chosen.settings, QSettings.Format.IniFormat) if chosen.settings else None
    with RunEngine() as engine:
        engine.queue.on_interruption = "hold"
        plans = find_plans(
            [freewheel.plans.live_view, demo_plans.scan, demo_plans.count, demo_plans.grid_scan],
            devices,
        )
        windows = [
            AcquisitionWindow(engine, devices, plans, settings=settings)
            for _ in range(chosen.windows)
        ]
        window = windows[0]
        if chosen.folder:
            window.bar.destination = chosen.folder
        window.bridge.documentReceived.connect(
            lambda name, doc: events.append(doc) if name == "event" else None
        )
        for number, each in enumerate(windows):
            each.move(0, 60 * number)
            each.show()
        screen = Screen(windows)
        names = {"window": window, "windows": windows, "engine": engine, "scope": devices}
        names |= {"events": events, "screen": screen, "app": app}
        names |= {n: getattr(screen, n) for n in dir(screen) if not n.startswith("_")}
        kept = Questions(names)  # noqa: F841 - its clock is to go on
        with responsive():
            app.exec()
    print(json.dumps("closed"), flush=True)


if __name__ == "__main__":
    main()
