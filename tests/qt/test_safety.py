"""What a window must not do by itself, and what must be there at any moment."""

import asyncio
import logging
import threading
from typing import Any

import bluesky.plan_stubs as bps
import pytest
from bluesky.preprocessors import run_decorator
from ophyd_async.core import StrictEnum, soft_signal_rw
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication, QLabel, QMessageBox, QPushButton

from freewheel.core import Action, mark_dangerous
from freewheel.forms import create_plan_spec
from freewheel.plan_stubs import wait_for_actions
from freewheel.qt import (
    AcquisitionWindow,
    EngineControls,
    MotorRow,
    PlanForm,
    PlanLog,
    SettingRow,
    demo_plans,
)

LEFT = Qt.MouseButton.LeftButton


def scroll_over(widget: Any) -> bool:
    """Turn the wheel over a widget; tell whether the widget has used that."""
    centre = QPointF(widget.rect().center())
    wheel = QWheelEvent(
        centre,
        QPointF(widget.mapToGlobal(widget.rect().center())),
        QPoint(0, 0),
        QPoint(0, -120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(widget, wheel)
    return bool(wheel.isAccepted())


def press(widget: Any, name: str) -> None:
    widget.findChild(QPushButton, name).click()


def text_of(widget: Any, name: str) -> str:
    return str(widget.findChild(QLabel, name).text())


def question(widget: Any, name: str) -> Any:
    return next((b for b in widget.findChildren(QMessageBox, name) if b.isVisible()), None)


def answer(widget: Any, name: str, text: str) -> None:
    next(b for b in question(widget, name).buttons() if b.text() == text).click()


class Power(StrictEnum):
    OFF = "Off"
    ON = "On"


@pytest.fixture(name="laser")
def _laser(engine: Any, soon: Any) -> Any:
    signal = soft_signal_rw(Power, Power.OFF, "laser")
    asyncio.run_coroutine_threadsafe(signal.connect(), engine.loop).result(10)
    return signal


# -- the wheel, and combo boxes ---------------------------------------------------------------


def test_the_wheel_over_a_form_changes_nothing(scope: Any, qtbot: Any) -> None:
    form = PlanForm(create_plan_spec(demo_plans.grid_scan, scope), scope)
    qtbot.addWidget(form)
    before = form.values()
    for name in ("slow_motor", "slow_num"):
        assert not scroll_over(form.fields[name].editor), name  # it is left to what scrolls
    assert form.values() == before


def test_the_wheel_counts_where_the_keyboard_is(scope: Any, qtbot: Any, soon: Any) -> None:
    form = PlanForm(create_plan_spec(demo_plans.count, scope), scope)
    qtbot.addWidget(form)
    form.show()
    form.activateWindow()
    number = form.fields["num"].editor
    number.setFocus()
    soon(number.hasFocus)
    assert scroll_over(number)
    assert number.value() == 9


def test_a_choice_is_set_by_apply_or_return_and_not_before(
    bridge: Any, laser: Any, qtbot: Any, soon: Any
) -> None:
    row = SettingRow(bridge, laser, "laser")
    qtbot.addWidget(row)
    row.show()
    asked: list[str] = []
    bridge.requestMade.connect(asked.append)
    soon(lambda: text_of(row, "readback") == "Off")
    combo = row.findChild(object, "value")
    assert combo.accessibleName() == "laser"
    row.setFocus()
    assert not scroll_over(combo)
    assert combo.value() is Power.OFF
    qtbot.keyClick(combo, Qt.Key.Key_Down)
    assert combo.value() is Power.ON
    assert asked == []
    qtbot.keyClick(combo, Qt.Key.Key_Return)
    assert asked == ["laser → On"]
    soon(lambda: text_of(row, "readback") == "On" and not bridge.engine.claims)
    row.set_value("Off")
    press(row, "set")
    soon(lambda: text_of(row, "readback") == "Off")


def test_a_dangerous_device_asks_and_no_is_the_answer_by_default(
    bridge: Any, laser: Any, qtbot: Any, soon: Any
) -> None:
    mark_dangerous(laser, "class 4")
    row = SettingRow(bridge, laser, "laser")
    qtbot.addWidget(row)
    row.show()
    soon(lambda: text_of(row, "readback") == "Off")
    asked: list[str] = []
    bridge.requestMade.connect(asked.append)
    row.set_value("On")
    row.apply()
    box = question(row, "danger")
    assert "class 4" in box.informativeText()
    assert box.defaultButton().text() == "Cancel"
    assert not box.isModal()  # Stop all stays within reach
    answer(row, "danger", "Cancel")
    assert asked == []
    row.apply()
    answer(row, "danger", "Set it")
    soon(lambda: text_of(row, "readback") == "On")
    assert asked == ["laser → On"]


# -- devices in forms -------------------------------------------------------------------------


def test_no_motor_is_chosen_by_itself_and_none_twice(scope: Any, qtbot: Any) -> None:
    form = PlanForm(create_plan_spec(demo_plans.grid_scan, scope), scope)
    qtbot.addWidget(form)
    form.set_values({"detectors": ["camera"]})
    assert form.problems().keys() == {"slow_motor", "fast_motor"}
    assert form.fields["slow_motor"].editor.placeholderText() == "choose a device"
    form.set_values({"slow_motor": "stage.x", "fast_motor": "stage.x"})
    assert not form.is_valid
    assert "chosen for 'Slow motor' already" in form.fields["fast_motor"].problem
    form.set_values({"fast_motor": "stage.y"})
    assert form.is_valid


# -- targets and steps ------------------------------------------------------------------------


def test_targets_follow_the_readback_until_they_are_edited(
    bridge: Any, scope: Any, qtbot: Any, soon: Any
) -> None:
    row = MotorRow(bridge, scope.focus)
    qtbot.addWidget(row)
    target = row.findChild(object, "target")
    soon(lambda: target.value() == 0)
    bridge.run(bps.mv(scope.focus, 500))
    soon(lambda: target.value() == 500 and bridge.snapshot().plan_name is None)
    qtbot.keyClick(target, Qt.Key.Key_Up)
    assert target.value() == 501
    bridge.run(bps.mv(scope.focus, 400))
    soon(lambda: text_of(row, "readback") == "400" and bridge.snapshot().plan_name is None)
    assert target.value() == 501  # somebody has filled that in
    press(row, "go")
    soon(lambda: text_of(row, "readback") == "501")
    soon(lambda: not row._editor.edited)
    bridge.run(bps.mv(scope.focus, 7))
    soon(lambda: target.value() == 7)


def test_arrows_do_nothing_before_a_position_is_known(scope: Any, qtbot: Any, bridge: Any) -> None:
    row = MotorRow(bridge, scope.focus)
    qtbot.addWidget(row)
    target = row.findChild(object, "target")
    target.set_value(None)
    qtbot.keyClick(target, Qt.Key.Key_Up)
    assert target.value() is None


def test_steps_are_relative(bridge: Any, scope: Any, qtbot: Any, soon: Any) -> None:
    row = MotorRow(bridge, scope.focus)
    qtbot.addWidget(row)
    soon(lambda: text_of(row, "readback") == "0")
    row.findChild(object, "stepSize").set_value(0.1)
    for shown in ("0.1", "0.2", "0.3"):
        press(row, "stepOn")
        soon(lambda shown=shown: text_of(row, "readback") == shown)
        soon(lambda: bridge.engine.by_hand.moving == ())
    press(row, "stepBack")
    soon(lambda: text_of(row, "readback") == "0.2")


# -- state, stop, halt ------------------------------------------------------------------------


def test_the_state_counts_tasks_and_stop_ends_them(bridge: Any, qtbot: Any, soon: Any) -> None:
    controls = EngineControls(bridge)
    qtbot.addWidget(controls)
    assert text_of(controls, "state") == "idle"
    tasks = [bridge.launch(bps.sleep(60), name=name) for name in ("live_view", "log", "watch")]
    soon(lambda: text_of(controls, "state") == "live_view, 2 more")
    assert controls.findChild(QLabel, "state").accessibleName() == "State: live_view, 2 more"
    assert controls.buttons["stop"].isEnabled()
    assert "live_view, log, watch" in controls.buttons["stop"].toolTip()
    controls.buttons["stop"].click()
    soon(lambda: all(task.done for task in tasks) and text_of(controls, "state") == "idle")
    assert not controls.buttons["stop"].isEnabled()


def test_stop_all_has_a_short_cut_also_while_something_is_asked(
    bridge: Any, qtbot: Any, soon: Any
) -> None:
    controls = EngineControls(bridge)
    qtbot.addWidget(controls)
    controls.show()
    future = bridge.run(bps.sleep(60))
    soon(lambda: controls.buttons["halt"].isEnabled())
    controls.buttons["halt"].click()
    box = question(controls, "reallyHalt")
    assert box.defaultButton().text() == "Cancel"
    assert bridge.snapshot().state == "running"
    box.activateWindow()
    soon(box.isActiveWindow)
    qtbot.keyClick(box, Qt.Key.Key_Period, Qt.KeyboardModifier.ControlModifier)
    soon(lambda: future.outcome.done())
    assert future.outcome.result().reason == "the Stop all button"
    soon(lambda: question(controls, "reallyHalt") is None)  # there is nothing to halt any more


def test_halt_halts_when_it_was_meant(bridge: Any, qtbot: Any, soon: Any) -> None:
    controls = EngineControls(bridge)
    qtbot.addWidget(controls)
    controls.show()
    future = bridge.run(bps.sleep(60))
    soon(lambda: controls.buttons["halt"].isEnabled())
    controls.buttons["halt"].click()
    answer(controls, "reallyHalt", "Halt")
    soon(lambda: future.outcome.done())


def test_a_stop_that_has_to_wait_names_the_device_that_blocks_it(
    bridge: Any, scope: Any, qtbot: Any, soon: Any
) -> None:
    inside, go_on = threading.Event(), threading.Event()

    class Blocking:
        name, parent = "slow_camera", None

        def read(self) -> Any: ...

        def describe(self) -> Any: ...

        def trigger(self) -> Any:
            inside.set()
            go_on.wait(30)

    row = MotorRow(bridge, scope.focus)
    qtbot.addWidget(row)
    bridge.run(bps.trigger(Blocking()))
    soon(inside.is_set)
    row.stop()
    soon(lambda: "the device 'slow_camera' blocks it" in row.problem)
    go_on.set()
    soon(lambda: row.problem == "")


# -- by hand, while a plan holds the device -----------------------------------------------------


def holds(device: Any, go_on: Action) -> Any:
    @run_decorator()
    def plan() -> Any:
        yield from bps.checkpoint()
        yield from bps.mv(device, 1)
        yield from bps.checkpoint()
        yield from wait_for_actions(go_on.event_map, timeout=None)

    return plan()


def test_pause_and_move_is_the_way_to_a_motor_that_a_plan_holds(
    bridge: Any, scope: Any, qtbot: Any, soon: Any, caplog: Any
) -> None:
    row, log = MotorRow(bridge, scope.focus), PlanLog(bridge)
    for widget in (row, log):
        qtbot.addWidget(widget)
    go_on = Action(name="go_on")
    future = bridge.run(holds(scope.focus, go_on), name="aligns")
    soon(lambda: "go_on" in bridge.pending_actions())
    soon(lambda: text_of(row, "holder") == f"held by {future.plan_name}")
    assert not row.findChild(QPushButton, "go").isEnabled()
    row.set_target(5.0)
    caplog.set_level(logging.INFO, logger="freewheel.qt")
    press(row, "pauseAndMove")
    soon(lambda: text_of(row, "readback") == "5")
    assert bridge.snapshot().state == "paused"
    assert row.findChild(QPushButton, "go").isEnabled()
    bridge.resume()
    soon(lambda: not row.findChild(QPushButton, "go").isEnabled())
    bridge.stop()
    soon(lambda: future.outcome.done())
    asked = ["pause", "focus → 5", "resume", "stop"]
    assert [f"By hand: {what}." for what in asked] == [r.getMessage() for r in caplog.records][:4]
    assert [line.split("by hand: ")[1] for line in log.text.splitlines() if "by hand" in line] == (
        asked
    )


def test_a_signal_of_its_own_is_greyed_out_while_a_plan_moves_it(
    bridge: Any, qtbot: Any, soon: Any
) -> None:
    pv = soft_signal_rw(float, name="pv")
    asyncio.run_coroutine_threadsafe(pv.connect(), bridge.engine.loop).result(10)
    row = SettingRow(bridge, pv)
    qtbot.addWidget(row)
    button = row.findChild(QPushButton, "set")
    go_on = Action(name="go_on")
    future = bridge.run(holds(pv, go_on), name="aligns")
    soon(lambda: not button.isEnabled())
    assert button.toolTip() == row.problem_with(2.0) == f"held by {future.plan_name}"
    row.set_value(2.0)
    row.apply()
    soon(lambda: "holds" in row.problem)
    bridge.pause()
    soon(lambda: button.isEnabled())
    row.apply()
    soon(lambda: row.reading == 2.0)
    bridge.stop()
    soon(lambda: future.outcome.done())


def test_nothing_moves_after_stop_all_that_waited_for_a_pause_or_an_answer(
    bridge: Any, scope: Any, qtbot: Any, soon: Any
) -> None:
    row, lamp = MotorRow(bridge, scope.focus), MotorRow(bridge, scope.lamp)
    for widget in (row, lamp):
        qtbot.addWidget(widget)
        widget.show()
    mark_dangerous(scope.lamp)
    soon(lambda: text_of(lamp, "readback") == "100")
    lamp.set_target(50.0)
    lamp.move()
    go_on = Action(name="go_on")
    future = bridge.run(holds(scope.focus, go_on))
    soon(lambda: row.findChild(QPushButton, "pauseAndMove").isEnabled())
    soon(lambda: text_of(row, "readback") == "1")
    row.set_target(5.0)
    asked: list[str] = []
    bridge.requestMade.connect(asked.append)
    press(row, "pauseAndMove")
    bridge.stop_all()
    assert question(lamp, "danger") is None
    soon(lambda: future.outcome.done() and row.guard.holder is None)
    assert asked == ["pause", "stop all"]
    soon(lambda: row.findChild(object, "target").value() == 1)  # where it stands


def test_what_goes_wrong_by_hand_is_in_the_log(
    bridge: Any, scope: Any, qtbot: Any, soon: Any
) -> None:
    row, log = MotorRow(bridge, scope.lamp), PlanLog(bridge)
    for widget in (row, log):
        qtbot.addWidget(widget)
    row.set_target(1000.0)
    row.move()
    soon(lambda: "takes a power from 0 to 100" in row.problem)
    soon(lambda: "by hand: lamp → 1000 failed" in log.text)
    assert row.findChild(object, "target").value() == 1000  # to be mended


# -- closing ------------------------------------------------------------------------------------


@pytest.fixture(name="windows")
def _windows(engine: Any, qtbot: Any) -> Any:
    windows = [AcquisitionWindow(engine, {}, []) for _ in range(2)]
    for window in windows:
        qtbot.addWidget(window, before_close_func=lambda w: w.bridge.close())
        window.show()
    yield windows
    for window in windows:
        window.preview.end()


def test_a_second_window_closes_and_leaves_the_first_its_live_view(windows: Any, soon: Any) -> None:
    first, second = windows
    task = first.bridge.launch(bps.sleep(60), name="live_view")
    soon(lambda: second.busy)
    assert second.close()
    assert not task.status.ended
    assert not first.close()  # the last one asks
    assert question(first, "close").defaultButton().text() == "Go on"
    assert question(first, "close").text() == "live_view is still under way."
    task.cancel()
    soon(lambda: not first.isVisible())  # nothing is left to ask about


def test_of_several_plans_it_is_said_that_they_are_under_way(windows: Any, soon: Any) -> None:
    first, second = windows
    tasks = [first.bridge.launch(bps.sleep(60), name=name) for name in ("live_view", "log")]
    second.close()
    soon(lambda: len(first.bridge.snapshot().background) == 2)
    assert not first.close()
    assert question(first, "close").text() == "live_view, log are still under way."
    for task in tasks:
        task.cancel()
    soon(lambda: not first.isVisible())
