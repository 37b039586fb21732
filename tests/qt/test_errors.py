"""What went wrong is listed, with details on a click; an invalid form says why it is not run."""

from typing import Any

import bluesky.plan_stubs as bps
import pytest
from bluesky.utils import Msg
from ophyd_async.core import StandardReadable, WatchableAsyncStatus, WatcherUpdate
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QDockWidget, QLabel, QPushButton, QTreeWidget

from freewheel.core import ResourceConflictError
from freewheel.forms import create_plan_spec, find_plans
from freewheel.qt import AcquisitionWindow, ErrorList, PlanForm, PlanLog, demo_plans
from freewheel.qt._link._failures import device_of


def breaks() -> Any:
    yield from bps.null()
    raise ValueError("the sample is upside down\nand wet")


@pytest.fixture(name="errors")
def _errors(bridge: Any, qtbot: Any) -> ErrorList:
    errors = ErrorList(bridge)
    qtbot.addWidget(errors)
    errors.show()
    return errors


def test_plans_tasks_requests_and_hands_are_listed_once_each(
    errors: ErrorList, bridge: Any, scope: Any, soon: Any
) -> None:
    bridge.run(breaks())
    soon(lambda: len(errors.rows) == 1)
    task = bridge.launch(breaks(), name="aside")
    soon(lambda: task.status.ended and len(errors.rows) == 2)
    bridge.resume()
    bridge.set_by_hand(scope.lamp, 1000.0)
    soon(lambda: len(errors.rows) == 4)
    assert [row[1] for row in errors.rows] == [
        "by hand: lamp → 1000 failed",
        "resume is not possible",
        "background aside failed",
        "breaks failed",
    ]
    assert errors.rows[0][2] == "lamp"
    assert errors.rows[3][3] == "ValueError: the sample is upside down"


def test_details_come_on_a_click_and_can_be_copied(
    errors: ErrorList, bridge: Any, soon: Any, qtbot: Any
) -> None:
    bridge.run(breaks())
    soon(lambda: errors.rows)
    assert errors.details == ""
    tree = errors.findChild(QTreeWidget, "errors")
    place = tree.visualItemRect(tree.topLevelItem(0)).center()
    qtbot.mouseClick(tree.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert "in breaks" in errors.details
    assert "and wet" in errors.details
    errors.findChild(QPushButton, "copy").click()
    assert "in breaks" in QApplication.clipboard().text()
    with qtbot.waitSignal(errors.countChanged, timeout=30_000) as told:
        errors.findChild(QPushButton, "clear").click()
    assert told.args == [0]
    assert errors.rows == ()


def test_the_device_is_named_where_the_error_names_one(
    errors: ErrorList, bridge: Any, scope: Any, soon: Any
) -> None:
    bridge.run([Msg("set", scope.lamp, 1000.0, group="a"), Msg("wait", group="a")])
    soon(lambda: errors.rows)
    assert errors.rows[0][2] == "lamp"
    assert device_of(ResourceConflictError(scope.stage, "scan", "hand")) == "stage"
    caused = RuntimeError("no")
    caused.__cause__ = ResourceConflictError("focus", "scan", "hand")
    assert device_of(caused) == "focus"
    assert device_of(ValueError("nothing")) == ""
    late = TimeoutError("ca://LAB:VALUE, given up after 10.0 s (read of 'detector')")
    away = ConnectionError("'detector' is not connected: no answer from ca://LAB:VALUE. Connect it")
    assert device_of(late) == device_of(away) == "detector"


class AsyncMotor(StandardReadable):
    """A motor of ophyd-async that fails."""

    error: Exception

    @WatchableAsyncStatus.wrap
    async def set(self, value: float) -> Any:
        yield WatcherUpdate(current=0.0, initial=0.0, target=value, name=self.name)
        raise self.error


def classic_motor(name: str) -> Any:
    pytest.importorskip("ophyd")
    from ophyd.sim import SynAxis
    from ophyd.status import MoveStatus

    class Motor(SynAxis):
        """A motor of ophyd that fails."""

        error: Exception | None = None

        def set(self, value: float) -> Any:
            status = MoveStatus(self, value)
            if self.error is None:
                status._finished(success=False)
            else:
                status.set_exception(self.error)
            return status

    return Motor(name=name)


@pytest.mark.parametrize("make", [AsyncMotor, classic_motor], ids=["ophyd-async", "ophyd"])
def test_no_status_is_shown_as_programs_write_it(
    make: Any, errors: ErrorList, bridge: Any, qtbot: Any, soon: Any
) -> None:
    motor = make(name="theta")
    motor.error = RuntimeError("following error")
    log = PlanLog(bridge)
    qtbot.addWidget(log)
    bridge.run(bps.mv(motor, 1.0))
    soon(lambda: errors.rows)
    said = "RuntimeError: following error (set of 'theta')"
    assert errors.rows[0][2:] == ("theta", said)
    assert log.text.splitlines()[-1].endswith(f"mv failed: {said}")
    bridge.set_by_hand(motor, 2.0)
    soon(lambda: len(errors.rows) == 2)
    assert errors.rows[0][2:] == ("theta", "RuntimeError: following error")


def test_a_status_of_ophyd_that_does_not_say_why_is_said_in_words(
    errors: ErrorList, bridge: Any, soon: Any
) -> None:
    motor = classic_motor("theta")
    why = "UnknownStatusFailure: it failed, and does not say why"
    bridge.run(bps.mv(motor, 1.0))
    soon(lambda: errors.rows)
    assert errors.rows[0][2:] == ("theta", f"{why} (set of 'theta')")
    bridge.set_by_hand(motor, 2.0)
    soon(lambda: len(errors.rows) == 2)
    assert errors.rows[0][2:] == ("theta", why)


def test_a_time_out_without_a_word_has_some(errors: ErrorList, bridge: Any, soon: Any) -> None:
    motor = AsyncMotor(name="theta")
    motor.error = TimeoutError()
    bridge.set_by_hand(motor, 2.0)
    soon(lambda: errors.rows)
    assert errors.rows[0][3] == "TimeoutError: no answer in time"


def test_a_missing_value_is_marked_when_its_field_was_left(
    scope: Any, qtbot: Any, soon: Any
) -> None:
    form = PlanForm(create_plan_spec(demo_plans.scan, scope), scope)
    qtbot.addWidget(form)
    form.show()
    form.activateWindow()
    motor = form.fields["motor"]
    assert not form.is_valid
    assert [field.problem for field in form.fields.values()] == [""] * len(form.fields)
    motor.editor.setFocus()
    soon(motor.editor.hasFocus)
    assert motor.problem == ""
    form.fields["num"].editor.setFocus()
    soon(lambda: motor.problem == "is required")
    assert form.fields["detectors"].problem == ""  # nobody was there yet
    with pytest.raises(ValueError, match="detectors"):
        form.arguments()
    assert form.fields["detectors"].problem


def test_a_list_of_choices_that_pops_up_is_no_leaving(scope: Any, qtbot: Any, soon: Any) -> None:
    form = PlanForm(create_plan_spec(demo_plans.scan, scope), scope)
    qtbot.addWidget(form)
    form.show()
    form.activateWindow()
    motor = form.fields["motor"]
    motor.editor.setFocus()
    soon(motor.editor.hasFocus)
    motor.editor.showPopup()
    soon(lambda: QApplication.activePopupWidget() is not None)
    soon(lambda: QApplication.focusWidget() is motor.editor.view())
    assert motor.problem == ""
    motor.editor.hidePopup()
    soon(motor.editor.hasFocus)
    form.fields["num"].editor.setFocus()
    soon(lambda: motor.problem == "is required")


def test_why_nothing_is_run_stands_beside_a_task_too(
    engine: Any, scope: Any, qtbot: Any, soon: Any
) -> None:
    window = AcquisitionWindow(engine, dict(scope), find_plans([demo_plans.scan], scope))
    qtbot.addWidget(window, before_close_func=lambda w: w.bridge.close())
    said = window.controls.findChild(QLabel, "elapsed")
    window.chooser.form.set_values({"detectors": ["camera"]})
    task = window.bridge.launch(bps.sleep(100))
    soon(
        lambda: window.bridge.snapshot().background and window.controls.buttons["stop"].isEnabled()
    )
    assert said.text() == "Motor is required"
    window.chooser.form.set_values({"motor": "stage.x"})
    soon(lambda: said.text() == "in the background")
    window.bridge.cancel_task(task)
    soon(lambda: said.text() == "")


def test_run_is_off_for_an_invalid_form_and_says_why(
    engine: Any, scope: Any, qtbot: Any, soon: Any
) -> None:
    window = AcquisitionWindow(engine, dict(scope), find_plans([demo_plans.scan], scope))
    qtbot.addWidget(window, before_close_func=lambda w: w.bridge.close())
    run, otherwise = window.controls.buttons["run"], window.findChild(QPushButton, "runOtherwise")
    said = window.controls.findChild(QLabel, "elapsed")
    assert not run.isEnabled()
    assert not otherwise.isEnabled()
    assert "Motor is required" in run.toolTip()
    assert "Motor is required" in run.accessibleDescription()
    window.chooser.form.set_values({"detectors": ["camera"]})
    assert said.text() == "Motor is required"
    window.chooser.form.set_values({"motor": "stage.x"})
    assert run.isEnabled()
    assert otherwise.isEnabled()
    assert said.text() == ""
    window.bridge.run(breaks())
    soon(lambda: window.findChild(QDockWidget, "Errors").windowTitle() == "Errors (1)")
