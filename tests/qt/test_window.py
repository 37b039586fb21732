"""The whole window: live view, snapshot, a scan that takes the camera, closing."""

import threading
from typing import Any

import bluesky.plan_stubs as bps
import pytest
from bluesky.preprocessors import finalize_wrapper
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget, QLabel, QMessageBox, QPushButton

import freewheel.plans
from freewheel.background import BackgroundWarning
from freewheel.core import Action, Status, continuous
from freewheel.forms import find_plans
from freewheel.plan_stubs import claim, wait_for_actions
from freewheel.qt import AcquisitionWindow, demo_plans


@pytest.fixture(name="window")
def _window(engine: Any, scope: Any, qtbot: Any) -> Any:
    entries = find_plans([freewheel.plans, demo_plans], scope)
    window = AcquisitionWindow(engine, dict(scope), entries)
    qtbot.addWidget(window, before_close_func=lambda w: w.bridge.close())
    window.show()
    yield window
    window.preview.end()  # one that asks before it closes is deleted when Qt comes round to it


def choose_live(window: Any) -> None:
    window.chooser.choose("live_view").set_values({"detectors": ["camera"], "rate": 50})


def button(window: Any, name: str) -> QPushButton:
    return window.findChild(QPushButton, name)


def row_of(window: Any, task: str) -> Any:
    return window.progress.findChild(object, f"task:{task}")


def test_live_view_with_snapshot_pause_and_exposure(window: Any, soon: Any, qtbot: Any) -> None:
    streams: dict[str, str] = {}
    snapshots: list[Any] = []

    def note(name: str, doc: Any) -> None:
        if name == "descriptor":
            streams[doc["uid"]] = doc["name"]
        elif name == "event" and streams.get(doc["descriptor"]) == "snapshot":
            snapshots.append(doc)

    window.bridge.documentReceived.connect(note)
    choose_live(window)
    button(window, "run").click()
    soon(lambda: window.image.frame is not None and "snap" in window.actions.buttons)
    assert window.bridge.snapshot().state == "idle"  # the foreground is free
    assert window.controls.findChild(QLabel, "state").text() == "live_view"
    window.actions.buttons["snap"].click()
    soon(lambda: snapshots)
    row = row_of(window, "live_view")
    pause = row.findChild(QPushButton, "pause")
    pause.click()
    soon(lambda: "paused" in row.findChild(QLabel, "status").text())
    assert pause.text() == "Resume"
    pause.click()
    soon(lambda: "running" in row.findChild(QLabel, "status").text())
    setting = window.devices.rows["camera.exposure"]
    setting.set_value(0.05)
    setting.apply()
    soon(lambda: setting._readback.text() == "0.05")
    row.findChild(QPushButton, "cancel").click()
    soon(lambda: not window.busy)
    soon(lambda: window.progress.task_names == ())


def test_a_scan_takes_the_camera_and_the_live_view_comes_back(window: Any, soon: Any) -> None:
    said: list[str] = []

    # On the engine's thread: the scan may be over before the window looks.
    def note(task: Any) -> None:
        said.append(task.status.value)

    window.bridge.engine.events.background_changed.connect(note)
    choose_live(window)
    button(window, "run").click()
    soon(lambda: window.image.frame is not None)
    assert window.progress.task_names == ("live_view",)
    form = window.chooser.choose("scan")
    form.set_values({"detectors": ["camera"], "motor": "stage.x", "num": 3})
    scan = window.controls.run()
    soon(lambda: scan.outcome.done())
    assert scan.outcome.result().exit_status == "success"
    soon(lambda: window.bridge.snapshot().background[0].status.value == "running")
    soon(lambda: "paused" in said and said[-1] == "running")
    assert "background live_view: running" in window.log.text
    soon(lambda: "scan completed" in window.log.text)
    window.stop_and_close()
    soon(lambda: not window.isVisible())


def holders(window: Any) -> list[str]:
    """Return who holds a device, as the table of them says."""
    items = [window.claims.item(row, 1) for row in range(window.claims.rowCount())]
    return [item.text() for item in items if item is not None]


def test_the_window_says_to_whom_the_live_view_gives_way(
    window: Any, scope: Any, soon: Any
) -> None:
    go_on = Action(name="go_on")

    def takes_the_camera() -> Any:
        yield from bps.trigger(scope.camera, wait=True)
        yield from wait_for_actions(go_on.event_map, timeout=None)

    choose_live(window)
    window.controls.run()
    soon(lambda: window.image.frame is not None)
    window.bridge.run(takes_the_camera())
    row = row_of(window, "live_view")
    status, pause = row.findChild(QLabel, "status"), row.findChild(QPushButton, "pause")
    soon(lambda: "gives way to takes_the_camera" in status.text())
    assert not pause.isEnabled()
    assert "comes back" in pause.toolTip()
    soon(lambda: holders(window) == ["takes_the_camera"])  # told by itself
    soon(lambda: "go_on" in window.actions.buttons)
    window.actions.buttons["go_on"].click()
    soon(lambda: "running" in status.text() and pause.isEnabled())
    soon(lambda: holders(window) == ["live_view"])


def test_what_a_task_waits_for_has_a_line_of_its_own(window: Any, scope: Any, soon: Any) -> None:
    go_on = Action(name="go_on")

    def has_the_camera() -> Any:
        yield from claim(scope.camera)
        yield from wait_for_actions(go_on.event_map, timeout=None)

    window.bridge.run(has_the_camera())
    soon(lambda: "go_on" in window.actions.buttons)
    choose_live(window)
    window.controls.run()
    soon(lambda: "live_view" in window.progress.task_names)
    row = row_of(window, "live_view")
    status, waits = row.findChild(QLabel, "status"), row.findChild(QLabel, "waitsFor")
    soon(lambda: waits.text() == "waits for 'camera', which 'has_the_camera' holds")
    assert status.text() == "running"
    assert not waits.isHidden()
    window.actions.buttons["go_on"].click()
    soon(waits.isHidden)


def test_a_continuous_plan_can_be_run_in_the_foreground(window: Any, soon: Any) -> None:
    choose_live(window)
    assert button(window, "runOtherwise").text() == "Run in foreground"
    button(window, "runOtherwise").click()
    soon(lambda: window.image.frame is not None and window.bridge.snapshot().state == "running")
    assert window.progress.task_names == ()
    window.chooser.choose("scan").set_values({"detectors": ["camera"], "motor": "stage.x"})
    assert button(window, "run").text() == "Queue"
    assert button(window, "runOtherwise").text() == "Run in background, gives way"
    button(window, "run").click()
    soon(lambda: window.bridge.snapshot().queue == ("scan",))
    button(window, "stop").click()
    soon(lambda: not window.busy)


def test_two_live_views_of_one_camera_are_one_too_many(window: Any, soon: Any) -> None:
    choose_live(window)
    window.controls.run()
    soon(lambda: window.image.frame is not None)
    window.controls.run()
    soon(lambda: "live_view-2 failed: ResourceConflictError" in window.log.text)
    soon(lambda: window.progress.task_names == ("live_view",))


def test_a_continuous_plan_that_may_not_be_paused_is_stopped_for_another(
    engine: Any, scope: Any, qtbot: Any, soon: Any
) -> None:
    stay = Action(name="stay")

    @continuous
    def strict() -> Any:
        yield from bps.trigger(scope.camera, wait=True)
        yield from wait_for_actions(stay.event_map, timeout=None)

    window = AcquisitionWindow(engine, dict(scope), find_plans([strict], scope))
    qtbot.addWidget(window, before_close_func=lambda w: w.bridge.close())
    task = window.controls.run()
    soon(lambda: "stay" in window.actions.buttons)
    assert not row_of(window, "strict").findChild(QPushButton, "pause").isEnabled()
    with pytest.warns(BackgroundWarning, match="strict"):  # noqa: PT031 - it comes on the loop
        future = window.bridge.run(bps.trigger(scope.camera, wait=True))
        soon(lambda: future.outcome.done() and task.done)
    assert task.status.value == "cancelled"


def test_a_window_with_nothing_under_way_closes(window: Any) -> None:
    assert window.close()
    assert not window.isVisible()


def test_closing_while_a_plan_runs_asks_and_then_cleans_up(
    window: Any, soon: Any, qtbot: Any
) -> None:
    begun: list[bool] = []
    cleaned: list[bool] = []

    def long() -> Any:
        def wait() -> Any:
            begun.append(True)  # the engine runs before: a plan stopped there has nothing to clean
            yield from bps.sleep(60)

        def clean_up() -> Any:
            yield from bps.sleep(0.05)
            cleaned.append(True)

        yield from finalize_wrapper(wait(), clean_up)

    window.bridge.run(long())
    soon(lambda: begun)
    assert not window.close()
    box = window.findChild(QMessageBox)
    assert "long" in box.text()
    assert box.defaultButton().text() == "Go on"
    box.button(QMessageBox.StandardButton.Cancel).click()
    assert window.isVisible()
    assert window.busy
    window.close()
    boxes = [b for b in window.findChildren(QMessageBox) if b.isVisible()]
    boxes[0].button(QMessageBox.StandardButton.Yes).click()
    soon(lambda: not window.isVisible())
    assert cleaned == [True]


class Stuck:
    """A device whose clean-up does not end before it is told to."""

    name = "stuck"
    parent = None

    def __init__(self, blocks: bool) -> None:
        self.blocks = blocks  # the engine's thread, instead of a status that is never done
        self.staged = threading.Event()
        self._let_go = threading.Event()
        self._status = Status()

    def let_go(self) -> None:
        self._let_go.set()
        if not self._status.done:
            self._status.set_finished()

    def stage(self) -> list[Any]:
        self.staged.set()
        return [self]

    def unstage(self) -> Any:
        if self.blocks:
            self._let_go.wait()
        return self._status

    def never_cleaned(self) -> Any:
        def clean_up() -> Any:
            yield from bps.unstage_all(self)

        def wait() -> Any:
            yield from bps.stage_all(self)
            yield from bps.sleep(60)

        yield from finalize_wrapper(wait(), clean_up)


@pytest.fixture(params=[False, True], ids=["waits", "blocks"])
def stuck(request: Any) -> Any:
    device = Stuck(request.param)
    yield device
    device.let_go()


@pytest.mark.parametrize("background", [False, True], ids=["foreground", "background"])
def test_a_clean_up_that_hangs_can_be_halted(
    stuck: Any, background: bool, engine: Any, qtbot: Any, soon: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("freewheel.qt._link._ending._HALT_MS", 200)
    engine.background.grace = 60  # the engine is not to be the one that gives it up
    window = AcquisitionWindow(engine, {}, [], patience=0.2)
    qtbot.addWidget(window, before_close_func=lambda w: w.bridge.close())
    window.show()
    (window.bridge.launch if background else window.bridge.run)(stuck.never_cleaned())
    soon(stuck.staged.is_set)
    assert not window.close()
    press(window, "Stop and close", soon)
    press(window, "Wait", soon)
    assert window.isVisible()
    press(window, "Halt and close", soon)
    soon(lambda: not window.isVisible())
    assert window.halted
    assert "not possible" not in window.log.text
    stuck.let_go()
    soon(lambda: not window.busy)


def press(window: Any, text: str, soon: Any) -> None:
    def there() -> list[Any]:
        boxes = [box for box in window.findChildren(QMessageBox) if box.isVisible()]
        return [b for box in boxes for b in box.buttons() if b.text() == text]

    soon(there)
    there()[0].click()


def test_a_clean_up_that_ends_after_all_closes_the_window(
    engine: Any, qtbot: Any, soon: Any
) -> None:
    begun = threading.Event()
    go_on = Action(name="go_on")

    def long() -> Any:
        def wait() -> Any:
            begun.set()
            yield from bps.sleep(60)

        yield from finalize_wrapper(wait(), wait_for_actions(go_on.event_map, timeout=None))

    window = AcquisitionWindow(engine, {}, [], patience=0.2)
    qtbot.addWidget(window, before_close_func=lambda w: w.bridge.close())
    window.show()
    window.bridge.run(long())
    soon(begun.is_set)
    window.stop_and_close()
    soon(lambda: any(box.isVisible() for box in window.findChildren(QMessageBox)))
    window.bridge.trigger_action("go_on")
    soon(lambda: not window.isVisible())
    assert not window.halted
    assert not any(box.isVisible() for box in window.findChildren(QMessageBox))


def test_the_red_button_ends_everything_in_every_state(window: Any, soon: Any, scope: Any) -> None:
    red = window.findChild(QPushButton, "stop_all")
    assert red.isEnabled()  # while nothing runs, too: something may move
    future = window.bridge.run(bps.sleep(60))
    task = window.bridge.launch(bps.sleep(60), name="aside")
    soon(lambda: window.bridge.snapshot().state == "running" and task.status == "running")
    assert red.isEnabled()
    red.click()
    soon(lambda: future.outcome.done() and task.done)
    assert not window.busy
    assert "not possible" not in window.log.text


def test_stop_all_is_there_once_whatever_is_hidden(window: Any, soon: Any, qtbot: Any) -> None:
    window.resize(300, 400)
    red = window.findChildren(QPushButton, "stop_all")
    assert len(red) == 1
    for dock in window.findChildren(QDockWidget):
        dock.hide()
    assert not window.bar.toggleViewAction().isVisible()
    soon(red[0].isVisible)
    future = window.bridge.run(bps.sleep(60))
    soon(lambda: window.bridge.snapshot().state == "running")
    window.activateWindow()
    soon(window.isActiveWindow)
    qtbot.keyClick(window, Qt.Key.Key_Period, Qt.KeyboardModifier.ControlModifier)
    soon(future.outcome.done)


def test_a_bad_value_refuses_to_run_and_says_why(window: Any, soon: Any) -> None:
    form = window.chooser.choose("live_view")
    form.set_values({"detectors": ["camera"], "rate": -1})
    assert window.controls.run() is None
    assert "rate" in window.log.text
    assert not window.busy
