"""The whole window: live view, snapshot, a scan that takes the camera, closing."""

from typing import Any

import bluesky.plan_stubs as bps
import pytest
from bluesky.preprocessors import finalize_wrapper
from qtpy.QtWidgets import QMessageBox

import freewheel.plans
from freewheel.forms import find_plans
from freewheel.qt import AcquisitionWindow, _demo_plans


@pytest.fixture(name="window")
def _window(engine: Any, scope: Any, qtbot: Any) -> Any:
    entries = find_plans([freewheel.plans, _demo_plans], scope)
    window = AcquisitionWindow(engine, dict(scope), entries)
    qtbot.addWidget(window, before_close_func=lambda w: w.bridge.close())
    window.show()
    return window


def start_live(window: Any) -> None:
    window.chooser.choose("live_view").set_values({"detectors": ["camera"], "rate": 50})


def test_live_view_with_snapshot_pause_and_exposure(window: Any, soon: Any, qtbot: Any) -> None:
    streams: dict[str, str] = {}
    snapshots: list[Any] = []

    def note(name: str, doc: Any) -> None:
        if name == "descriptor":
            streams[doc["uid"]] = doc["name"]
        elif name == "event" and streams.get(doc["descriptor"]) == "snapshot":
            snapshots.append(doc)

    window.bridge.documentReceived.connect(note)
    start_live(window)
    window.controls.buttons["run"].click()
    soon(lambda: window.image.frame is not None and "snap" in window.actions.buttons)
    window.actions.buttons["snap"].click()
    soon(lambda: snapshots)
    window.controls.buttons["pause"].click()
    soon(lambda: window.bridge.snapshot().state == "paused")
    soon(lambda: window.controls.buttons["resume"].isEnabled())
    window.controls.buttons["resume"].click()
    soon(lambda: window.controls.buttons["pause"].isEnabled())
    row = window.devices.rows["camera.exposure"]
    row.set_value(0.05)
    row.apply()
    soon(lambda: row._readback.text() == "0.05")
    window.controls.buttons["stop"].click()
    soon(lambda: not window.busy)


def test_a_scan_takes_the_camera_and_the_live_view_comes_back(window: Any, soon: Any) -> None:
    said: list[str] = []

    # On the engine's thread: the scan may be over before the window looks.
    def note(task: Any) -> None:
        said.append(task.status.value)

    window.bridge.engine.events.background_changed.connect(note)
    start_live(window)
    window.run_in_background()
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
    box.button(QMessageBox.StandardButton.No).click()
    assert window.isVisible()
    assert window.busy
    window.close()
    boxes = [b for b in window.findChildren(QMessageBox) if b.isVisible()]
    boxes[0].button(QMessageBox.StandardButton.Yes).click()
    soon(lambda: not window.isVisible())
    assert cleaned == [True]


def test_a_bad_value_refuses_to_run_and_says_why(window: Any, soon: Any) -> None:
    form = window.chooser.choose("live_view")
    form.set_values({"detectors": ["camera"], "rate": -1})
    assert window.controls.run() is None
    assert "rate" in window.log.text
    assert not window.busy
