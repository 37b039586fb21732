"""What a window keeps from one time to the next."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest
from qtpy.QtCore import QCoreApplication, QObject, QSettings, Qt
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QDockWidget, QTabBar

import freewheel.plans
from freewheel.forms import find_plans
from freewheel.qt import AcquisitionWindow, demo_plans
from freewheel.qt._window._dock_tabs import restore_docks


@pytest.fixture(name="kept")
def _kept(tmp_path: Any) -> Callable[[], QSettings]:
    return lambda: QSettings(str(tmp_path / "window.ini"), QSettings.Format.IniFormat)


@pytest.fixture(name="opened")
def _opened(engine: Any, scope: Any, qtbot: Any, kept: Any) -> Any:
    made = []

    def opened(devices: Any = None, settings: Any = None) -> Any:
        window = AcquisitionWindow(
            engine,
            devices or dict(scope),
            lambda there: find_plans([freewheel.plans, demo_plans], there),
            settings=settings or kept(),
        )
        qtbot.addWidget(window, before_close_func=lambda w: w.bridge.close())
        window.show()
        made.append(window)
        return window

    yield opened
    for window in made:
        window.preview.end()


def test_plan_and_values_are_as_they_were(opened: Any) -> None:
    window = opened()
    window.chooser.choose("live_view").set_values({"detectors": ["camera"], "rate": 7.5})
    window.chooser.choose("scan").set_values({"detectors": ["camera"], "num": 123, "stop": -2.5})
    window.close()
    again = opened()
    assert again.chooser.form.spec.name == "scan"
    values = again.chooser.form.values()
    assert (values["num"], values["stop"], values["detectors"]) == (123, -2.5, ["camera"])
    assert again.chooser.choose("live_view").values()["rate"] == 7.5


@pytest.mark.parametrize("damage", ["garbage", ["a", "b"], 7, "[NaN, Infinity]", "[5, 5]"])
def test_a_window_opens_whatever_is_in_its_file(opened: Any, kept: Any, damage: Any) -> None:
    settings = kept()
    for name in ("geometry", "docks", "theme", "levels", "plot", "plan", "forms", "presets"):
        settings.setValue(name, damage)
    for name in ("axes", "steps", "positions", "calibration"):
        settings.setValue(f"stage/{name}", damage)
    window = opened(settings=settings)
    assert window.image.levels is None
    assert not window.plot.together
    assert window.chooser.form is not None


def test_docks_are_where_they_were_put(opened: Any) -> None:
    window = opened()
    docks = {dock.objectName(): dock for dock in window.findChildren(QDockWidget)}
    window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, docks["Claims"])
    docks["Log"].hide()
    window.close()
    again = opened()
    docks = {dock.objectName(): dock for dock in again.findChildren(QDockWidget)}
    assert again.dockWidgetArea(docks["Claims"]) == Qt.DockWidgetArea.LeftDockWidgetArea
    assert docks["Log"].isHidden()
    assert not docks["Queue"].isHidden()


def test_no_tabs_are_left_where_no_docks_are(opened: Any) -> None:
    window = opened()

    def tabs() -> list[str]:
        bars = [bar for bar in window.findChildren(QTabBar) if bar.parent() is window]
        shown = [bar for bar in bars if bar.isVisible()]
        return sorted(bar.tabText(tab) for bar in shown for tab in range(bar.count()))

    docks = {dock.objectName(): dock for dock in window.findChildren(QDockWidget)}
    every = sorted(docks.keys() - {"Plan"})
    assert tabs() == every
    at_first = window.saveState()
    docks["Errors"].close()
    docks["Errors"].show()
    window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, docks["Claims"])
    restore_docks(window, at_first)
    QCoreApplication.processEvents()
    assert tabs() == every
    window.close()
    window = opened()
    assert tabs() == every


def test_levels_that_were_set_by_hand_are_kept(opened: Any, kept: Any) -> None:
    window = opened()
    assert window.image.levels is None  # fitted to each frame
    window.close()
    window = opened()
    assert window.image.levels is None
    window.image.levels = (20.0, 300.5)
    window.close()
    again = opened()
    assert again.image.levels == (20.0, 300.5)
    again.image.levels = None
    assert again.image.levels is None


def test_the_axes_of_the_plot_are_as_they_were(opened: Any) -> None:
    window = opened()
    actions = {action.text(): action for action in window.findChildren(QAction)}
    actions["Logarithmic, where all is above 0"].trigger()
    actions["All on one axis"].trigger()
    assert (window.plot.together, window.plot.logarithmic) == (True, True)
    window.plot.set_axes(together=False)
    window.close()
    again = opened()
    assert (again.plot.together, again.plot.logarithmic) == (False, True)
    actions = {action.text(): action for action in again.findChildren(QAction)}
    assert actions["Logarithmic, where all is above 0"].isChecked()


def test_docks_can_be_put_back(opened: Any) -> None:
    window = opened()
    docks = {dock.objectName(): dock for dock in window.findChildren(QDockWidget)}
    docks["Log"].hide()
    (back,) = [a for a in window.findChildren(object) if getattr(a, "text", None)
               and callable(a.text) and a.text() == "&Put the docks back"]  # fmt: skip
    back.trigger()
    assert not docks["Log"].isHidden()


def test_values_are_kept_when_a_plan_is_run(opened: Any, kept: Any, soon: Any) -> None:
    window = opened()
    window.chooser.choose("scan").set_values(
        {"detectors": ["camera"], "motor": "stage.x", "num": 2}
    )
    future = window.controls.run()
    soon(lambda: future.outcome.done() and '"num": 2' in str(kept().value("forms", "")))


def test_a_device_that_comes_late_is_filled_in_and_what_is_edited_stays(
    opened: Any, scope: Any, soon: Any
) -> None:
    window = opened()
    window.chooser.choose("live_view").set_values({"detectors": ["camera"], "rate": 7.5})
    window.close()
    late: Future[Any] = Future()
    again = opened({"camera": late, "stage": scope.stage})
    late.set_result(scope.camera)
    soon(lambda: not again.is_connecting)
    form = again.chooser.form
    assert form.spec.name == "live_view"
    assert form.values()["detectors"] == ["camera"]
    form.set_values({"rate": 3.0})
    again.chooser.set_plans(again.chooser.entries, {"camera": scope.camera})
    assert again.chooser.form.values()["rate"] == 3.0


@pytest.mark.parametrize("text", ["", "nonsense", "[1, 2]", '{"scan": 3}', '{"scan": {"num": []}}'])
def test_what_is_damaged_is_left_out(opened: Any, kept: Any, text: str) -> None:
    settings = kept()
    settings.setValue("forms", text)
    settings.setValue("plan", "no such plan")
    settings.setValue("theme", "pink")
    window = opened(settings=settings)
    assert window.chooser.choose("scan").values()["stop"] is not None


def test_nothing_is_kept_without_settings(engine: Any, scope: Any, qtbot: Any) -> None:
    window = AcquisitionWindow(engine, dict(scope), find_plans([demo_plans], scope))
    qtbot.addWidget(window)
    window.close()
    assert window.findChildren(QObject, "memory") == []
