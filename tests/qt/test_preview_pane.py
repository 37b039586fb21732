"""What the window says of the plan in its form, before it runs."""

import asyncio
import gc
import threading
from typing import Any

import bluesky.plan_stubs as bps
import pytest
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator
from ophyd_async.core import NotConnectedError, StandardReadable
from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QDockWidget, QMainWindow, QMessageBox, QPushButton, QWidget

import freewheel.plans
from freewheel.core import PlanCall
from freewheel.forms import find_plans
from freewheel.previews import _look
from freewheel.qt import AcquisitionWindow, PreviewPane, demo_plans


def brighten(lamp: Movable[float], power: float = 50.0) -> MsgGenerator:
    """Set the lamp."""
    yield from bps.mv(lamp, power)


def interrupt() -> MsgGenerator:
    """Do what a person does who presses Ctrl-C."""
    yield from bps.null()
    raise KeyboardInterrupt


def watch(lamp: Movable[float], camera: Readable[Any]) -> MsgGenerator:
    """Look at a value, and do something impossible by it."""
    reading = yield from bps.read(camera)
    frame = reading["camera-image"]["value"]
    yield from bps.mv(lamp, 500 + int(frame.size))


@pytest.fixture(name="window")
def _window(engine: Any, scope: Any, qtbot: Any) -> Any:
    entries = find_plans([freewheel.plans, demo_plans, brighten, interrupt, watch], scope)
    window = AcquisitionWindow(engine, dict(scope), entries)
    qtbot.addWidget(window, before_close_func=lambda w: (w.preview.end(), w.bridge.close()))
    window.show()
    return window


def enabled(window: Any, name: str = "run") -> bool:
    return bool(window.findChild(QPushButton, name).isEnabled())


def test_it_says_what_the_plan_would_do_as_values_change(window: Any, soon: Any) -> None:
    form = window.chooser.choose("scan")
    form.set_values({"detectors": ["camera"], "motor": "stage.x", "num": 7})
    soon(lambda: "7 events" in window.preview.text)
    assert "needs camera, stage, stage-x" in window.preview.text
    form.set_values({"num": 9})
    assert window.preview.text == ""  # that was about other values
    soon(lambda: "9 events" in window.preview.text)
    assert enabled(window)


class Away(StandardReadable):
    """A device whose server is away for a while."""

    def __init__(self) -> None:
        self.is_away = True
        super().__init__(name="away")

    async def describe(self) -> Any:
        if self.is_away:
            raise NotConnectedError("ca://AWAY")
        return await super().describe()


def window_that_counts(device: Any, engine: Any, qtbot: Any) -> Any:
    devices = {device.name: device}
    window = AcquisitionWindow(engine, devices, find_plans([demo_plans], devices))
    qtbot.addWidget(window, before_close_func=lambda w: (w.preview.end(), w.bridge.close()))
    window.preview._away.setInterval(1)
    window.chooser.choose("count").set_values({"detectors": [device.name]})
    return window


def test_a_plan_whose_device_comes_back_can_be_run_then(engine: Any, qtbot: Any, soon: Any) -> None:
    device = Away()
    window = window_that_counts(device, engine, qtbot)
    soon(lambda: "away is not connected" in window.preview.text)
    assert not enabled(window)
    device.is_away = False  # and nobody touches the form
    soon(lambda: enabled(window))


class Late(StandardReadable):
    """A device that answers when it likes."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()  # it is asked on several loops
        super().__init__(name="late")

    async def describe(self) -> Any:
        await asyncio.to_thread(self.may_answer.wait)
        return await super().describe()


def test_a_device_that_is_late_keeps_nobody_from_running_its_plan(
    engine: Any, qtbot: Any, soon: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(_look, "_PATIENCE", 0.001)
    device = Late()
    window = window_that_counts(device, engine, qtbot)
    soon(lambda: "may fail: late does not answer" in window.preview.text)
    assert enabled(window)
    monkeypatch.setattr(_look, "_PATIENCE", 60)
    device.may_answer.set()  # and nobody touches the form
    soon(lambda: "may fail" not in window.preview.text)
    assert "needs late" in window.preview.text


def test_no_plan_ends_the_previews_of_those_after_it(window: Any, soon: Any) -> None:
    window.chooser.choose("interrupt")
    soon(lambda: "no preview: KeyboardInterrupt" in window.preview.text)
    window.chooser.choose("brighten").set_values({"lamp": "lamp"})
    soon(lambda: "needs lamp" in window.preview.text)


def test_a_live_view_goes_on_until_it_is_stopped(window: Any, soon: Any) -> None:
    window.chooser.choose("live_view").set_values({"detectors": ["camera"], "rate": 20})
    soon(lambda: "until it is stopped, about 20 events" in window.preview.text)


def test_what_is_known_to_fail_is_refused_until_it_is_mended(window: Any, soon: Any) -> None:
    form = window.chooser.choose("brighten")
    form.set_values({"lamp": "lamp", "power": 150.0})
    soon(lambda: "fails: lamp takes a power from 0 to 100" in window.preview.text)
    assert not enabled(window)
    assert not enabled(window, "runOtherwise")
    tip = window.findChild(QPushButton, "run").toolTip()
    assert tip == "lamp takes a power from 0 to 100 %, not 150"
    form.set_values({"power": 80.0})
    assert enabled(window)
    soon(lambda: "moves lamp 80 %" in window.preview.text)


def asked(window: Any) -> Any:
    """Return the question whether to run a plan anyway."""
    box = window.findChild(QMessageBox, "anyway")
    return box if box is not None and box.isVisible() else None


@pytest.mark.parametrize("button", ["run", "runOtherwise"])
def test_what_was_a_guess_may_be_tried(
    button: str, window: Any, soon: Any, qtbot: Any, engine: Any
) -> None:
    window.chooser.choose("watch").set_values({"lamp": "lamp", "camera": "camera"})
    soon(lambda: "may fail: lamp takes a power" in window.preview.text)
    ended: list[Any] = []
    engine.events.plan_ended.connect(ended.append)
    engine.events.background_changed.connect(ended.append)
    run = window.findChild(QPushButton, button)
    assert run.isEnabled()
    run.click()
    soon(lambda: asked(window))
    box = asked(window)
    assert "lamp takes a power from 0 to 100" in box.informativeText()
    assert box.defaultButton() is box.button(QMessageBox.StandardButton.Cancel)
    qtbot.keyClick(box, Qt.Key.Key_Return)
    soon(lambda: not asked(window))
    run.click()
    soon(lambda: asked(window))
    qtbot.keyClick(asked(window), Qt.Key.Key_Escape)
    soon(lambda: not asked(window))
    assert not ended
    run.click()
    soon(lambda: asked(window))
    asked(window).button(QMessageBox.StandardButton.Yes).click()
    soon(lambda: ended and ended[-1].status in ("failed", "completed"))


def test_what_nothing_is_known_against_is_run_without_a_question(window: Any, soon: Any) -> None:
    window.chooser.choose("brighten").set_values({"lamp": "lamp", "power": 30.0})
    soon(lambda: "moves lamp 30 %" in window.preview.text)
    ended: list[Any] = []
    window.bridge.planEnded.connect(ended.append)
    window.findChild(QPushButton, "run").click()
    soon(lambda: ended)
    assert asked(window) is None


def test_a_form_with_a_value_that_does_not_fit_has_no_preview(window: Any, soon: Any) -> None:
    form = window.chooser.choose("scan")
    form.set_values({"detectors": ["camera"], "motor": "stage.x", "num": 3})
    soon(lambda: window.preview.text)
    form.set_values({"detectors": []})
    assert window.preview.text == ""


def test_after_a_plan_the_devices_stand_somewhere_else(window: Any, soon: Any, scope: Any) -> None:
    form = window.chooser.choose("brighten")
    form.set_values({"lamp": "lamp", "power": 30.0})
    judged: list[Any] = []
    window.preview.judged.connect(judged.append)
    soon(lambda: judged and judged[-1] is not None)
    assert judged[-1].moves["lamp"].path == (100.0, 30.0)
    window.controls.run().result(10)
    soon(lambda: judged[-1].moves["lamp"].path == (30.0, 30.0))


def test_what_gives_way_is_told_while_it_is_under_way(
    window: Any, soon: Any, engine: Any, scope: Any
) -> None:
    form = window.chooser.choose("scan")
    form.set_values({"detectors": ["camera"], "motor": "stage.x", "num": 7})
    soon(lambda: "7 events" in window.preview.text)
    call = PlanCall(freewheel.plans.live_view, ([scope.camera],))
    live = engine.background.launch(call, on_conflict="pause")
    soon(lambda: "live_view gives way" in window.preview.text)
    live.cancel()
    soon(lambda: "7 events" in window.preview.text and "gives way" not in window.preview.text)


def test_no_thread_is_left(window: Any, soon: Any) -> None:
    window.chooser.choose("scan").set_values({"detectors": ["camera"], "motor": "stage.x"})
    window.preview.end()
    names = [thread.name for thread in threading.enumerate()]
    assert "freewheel-preview" not in names


def test_one_that_is_deleted_without_being_ended_leaves_no_thread(window: Any, soon: Any) -> None:
    def threads() -> list[threading.Thread]:
        return [each for each in threading.enumerate() if each.name == "freewheel-preview"]

    form = window.chooser.choose("scan")
    form.set_values({"detectors": ["camera"], "motor": "stage.x", "num": 7})
    soon(lambda: "7 events" in window.preview.text)
    (thread,) = threads()
    owner = QWidget()
    window.preview.setParent(owner)
    pane, window.preview = window.preview, PreviewPane(window.bridge, window)
    del owner
    gc.collect()
    thread.join(10)
    assert not thread.is_alive()
    del pane


def test_a_window_that_python_has_forgotten_is_deleted_later(qapp: Any, bridge: Any) -> None:
    for _ in range(10):
        window, dock, pane = QMainWindow(), QDockWidget(), PreviewPane(bridge)
        dock.setWidget(pane)
        window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, dock)
        window.parts, pane.window_of = (dock, pane), window  # a circle, which is collected at once
        window.deleteLater()
        del window, dock, pane
        gc.collect()
        qapp.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert not [each for each in threading.enumerate() if each.name == "freewheel-preview"]
