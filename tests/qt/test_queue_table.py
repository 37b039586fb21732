"""The plans that wait: ordered, edited, held, put back, with times."""

from typing import Any

import bluesky.plan_stubs as bps
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qtpy.QtCore import QMimeData, QPointF, Qt
from qtpy.QtGui import QDropEvent
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QLabel,
    QListWidget,
    QPushButton,
    QTreeWidget,
)

from freewheel.core import PlanCall
from freewheel.forms import create_plan_spec, values_of_call
from freewheel.plan_stubs import claim
from freewheel.qt import EngineControls, QueueTable, demo_plans
from freewheel.qt._link._holders import holder_at_work
from freewheel.qt._plans._form import PlanForm
from freewheel.qt._tasks._kept_rows import KeptRows
from freewheel.qt._tasks._stop_all import StopAllButton


@pytest.fixture(name="table")
def _table(bridge: Any, scope: Any, qtbot: Any) -> QueueTable:
    bridge.engine.queue.hold("lunch")
    table = QueueTable(bridge, scope)
    qtbot.addWidget(table)
    table.resize(600, 300)
    table.show()
    return table


def rows(table: QueueTable) -> QTreeWidget:
    return table.findChild(QTreeWidget, "waiting")


def shown(table: QueueTable, column: int = 1) -> list[str]:
    tree = rows(table)
    return [tree.topLevelItem(row).text(column) for row in range(tree.topLevelItemCount())]


def press(table: QueueTable, name: str) -> None:
    table.findChild(QPushButton, f"queue:{name}").click()


def fill(bridge: Any, count: int = 3) -> list[Any]:
    return [bridge.run(PlanCall(bps.sleep, (number,))) for number in range(count)]


def test_plans_are_moved_by_buttons_and_keys(
    table: QueueTable, bridge: Any, qtbot: Any, soon: Any
) -> None:
    fill(bridge)
    soon(lambda: shown(table) == ["0", "1", "2"])
    assert shown(table, 3) == ["held"] * 3
    assert rows(table).accessibleName() == "Plans that wait"
    table.choose(2)
    press(table, "up")
    soon(lambda: shown(table) == ["0", "2", "1"])
    assert table.chosen.call.args == (2,)  # it stays chosen
    rows(table).setFocus()
    soon(rows(table).hasFocus)
    qtbot.keyClick(rows(table), Qt.Key.Key_Up, Qt.KeyboardModifier.AltModifier)
    soon(lambda: shown(table) == ["2", "0", "1"])
    press(table, "up")  # it is the first
    press(table, "remove")
    soon(lambda: shown(table) == ["0", "1"])


def test_how_many_more_wait_is_said_and_keys_remove(
    table: QueueTable, bridge: Any, qtbot: Any, soon: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("freewheel.qt._tasks._queue_table._ROWS", 2)
    fill(bridge)
    soon(lambda: shown(table) == ["0", "1"])
    assert table.findChild(QLabel, "queue:held").text().startswith("and 1 more")
    table.choose(0)
    assert not table.findChild(QPushButton, "queue:up").isEnabled()
    assert table.findChild(QPushButton, "queue:down").isEnabled()
    rows(table).setFocus()
    soon(rows(table).hasFocus)
    qtbot.keyClick(rows(table), Qt.Key.Key_Delete)
    soon(lambda: shown(table) == ["1", "2"])
    assert "more" not in table.findChild(QLabel, "queue:held").text()


class Rows:
    """A widget's rows, and how many of them were made."""

    def __init__(self) -> None:
        self.shown: list[Any] = []
        self.made = 0
        self.kept: KeptRows[Any] = KeptRows(self.shown.pop, self._insert)

    def _insert(self, row: int, thing: Any) -> None:
        self.shown.insert(row, thing)
        self.made += 1


@given(first=st.lists(st.integers(), unique=True), then=st.permutations(range(10)), cut=st.data())
def test_rows_are_those_of_what_is_shown(first: list[int], then: list[int], cut: Any) -> None:
    rows, things = Rows(), {}
    for numbers in (first, then, then[: cut.draw(st.integers(0, 10))]):
        wanted = [things.setdefault(number, object()) for number in numbers]
        rows.kept.show(wanted)
        assert rows.shown == wanted


@pytest.mark.parametrize(
    ("change", "made"),
    [
        (lambda many: many[1:], 0),
        (lambda many: many[:50] + many[51:], 0),
        (lambda many: [many[70], *many[:70], *many[71:]], 1),
        (lambda many: [*many[1:71], many[0], *many[71:]], 1),
        (lambda many: [*many, object()], 1),
        (lambda many: many, 0),
    ],
)
def test_one_plan_that_comes_or_goes_leaves_the_rows_of_the_others(change: Any, made: int) -> None:
    rows, many = Rows(), [object() for _ in range(100)]
    rows.kept.show(many)
    after = change(many)
    rows.kept.show(after)
    assert (rows.shown, rows.made) == (after, 100 + made)


def test_a_change_of_a_long_queue_lays_out_one_row(
    bridge: Any, scope: Any, qtbot: Any, soon: Any
) -> None:
    bridge.engine.queue.hold("lunch")
    futures = fill(bridge, 300)
    table, controls = QueueTable(bridge, scope), EngineControls(bridge)
    for widget in (table, controls):
        qtbot.addWidget(widget)
    made: list[str] = []
    tree, lines = rows(table), controls.findChild(QListWidget, "queue")
    for name, view in (("tree", tree), ("list", lines)):
        view.model().rowsInserted.connect(
            lambda _, first, last, name=name: made.extend([name] * (last + 1 - first))
        )
    futures[2].cancel()
    soon(lambda: shown(table)[2] == "3")
    assert sorted(made) == ["list", "tree"]  # those that come up from below
    bridge.engine.queue.move(futures[10], 0)
    soon(lambda: shown(table)[0] == "10")
    assert sorted(made[2:]) == ["list", "tree"]
    assert len(shown(table)) == 200
    assert "and 269 more" in lines.item(30).text()


def test_who_holds_an_axis_is_known_without_a_picture_of_the_queue(
    bridge: Any, scope: Any, soon: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = PlanCall(mv_and_wait, (scope.stage.x, 3.0))
    future = bridge.run(moved)
    soon(lambda: scope.stage.x in bridge.engine.claims)
    taken: list[None] = []
    snapshot = bridge.engine.snapshot
    monkeypatch.setattr(type(bridge.engine), "snapshot", lambda _: taken.append(None) or snapshot())
    assert holder_at_work(bridge, scope.stage.x) == "mv_and_wait"
    assert taken == []
    bridge.stop()
    soon(future.done)


def mv_and_wait(motor: Any, place: float) -> Any:
    yield from claim(motor)
    yield from bps.mv(motor, place)
    yield from bps.sleep(60)


def test_stop_all_has_its_keys_while_a_plan_is_edited(
    table: QueueTable, bridge: Any, scope: Any, qtbot: Any, soon: Any
) -> None:
    red = StopAllButton(bridge, table)
    red.show()
    bridge.run(PlanCall(demo_plans.scan, ([scope.camera], scope.stage.x), {"num": 7}))
    soon(lambda: len(shown(table)) == 1)
    table.choose(0)
    press(table, "edit")
    dialog = table.findChild(QDialog, "editCall")
    dialog.activateWindow()
    soon(dialog.isActiveWindow)
    stopped: list[int] = []
    bridge.allStopped.connect(lambda: stopped.append(1))
    qtbot.keyClick(dialog, Qt.Key.Key_Period, Qt.KeyboardModifier.ControlModifier)
    soon(lambda: stopped)


def drop_below(tree: QTreeWidget) -> QDropEvent:
    below = QPointF(10, tree.viewport().height() - 3)  # below all of them
    buttons, no_keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    return QDropEvent(below, Qt.DropAction.MoveAction, QMimeData(), buttons, no_keys)


def test_plans_are_moved_by_dragging(table: QueueTable, bridge: Any, soon: Any) -> None:
    fill(bridge)
    soon(lambda: len(shown(table)) == 3)
    table.choose(0)
    tree = rows(table)
    tree.dropEvent(drop_below(tree))
    soon(lambda: shown(table) == ["1", "2", "0"])


def test_rows_stay_when_the_queue_changes_elsewhere(
    table: QueueTable, bridge: Any, soon: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = fill(bridge)
    soon(lambda: len(shown(table)) == 3)
    table.choose(1)
    tree = rows(table)
    pressed = tree.topLevelItem(1)
    bridge.run(PlanCall(bps.sleep, (3,)))
    soon(lambda: shown(table) == ["0", "1", "2", "3"])
    bridge.move_waiting(third, 0)
    soon(lambda: shown(table) == ["2", "0", "1", "3"])
    bridge.remove_waiting(first)
    soon(lambda: shown(table) == ["2", "1", "3"])
    # The row that somebody may just have taken hold of is the same.
    assert tree.currentItem() is pressed
    bridge.edit_waiting(second, PlanCall(bps.sleep, (7,)))
    soon(lambda: shown(table) == ["2", "7", "3"])
    # One that is gone when it is let go moves no other one.
    moved: list[Any] = []
    tree.dropped.connect(lambda begin, _: moved.append(begin))

    def go_while_dragged(*_: Any) -> None:
        bridge.remove_waiting(second)
        soon(lambda: shown(table) == ["2", "3"])
        tree.dropEvent(drop_below(tree))

    monkeypatch.setattr(QTreeWidget, "startDrag", go_while_dragged)
    tree.startDrag(Qt.DropAction.MoveAction)
    assert moved == [-1]
    assert table.chosen is None


def test_a_plan_that_waits_is_edited_in_its_form(
    table: QueueTable, bridge: Any, scope: Any, soon: Any
) -> None:
    call = PlanCall(demo_plans.scan, ([scope.camera], scope.stage.x), {"num": 7})
    future = bridge.run(call)
    bridge.run(bps.sleep(1))
    soon(lambda: len(shown(table)) == 2)
    table.choose(1)
    assert not table.findChild(QPushButton, "queue:edit").isEnabled()  # made already
    table.choose(0)
    press(table, "edit")
    dialog = table.findChild(QDialog, "editCall")
    assert not dialog.isModal()
    form = dialog.findChild(PlanForm)
    assert form.values()["motor"] == "stage.x"
    assert form.values()["detectors"] == ["camera"]
    assert form.values()["num"] == 7
    ok = dialog.findChild(QDialogButtonBox).button(QDialogButtonBox.StandardButton.Ok)
    form.set_values({"num": 0})
    assert not ok.isEnabled()
    form.set_values({"num": 3, "motor": "focus"})
    ok.click()
    soon(lambda: future.call.args[1] is scope.focus and future.call.args[4] == 3)
    soon(lambda: table.findChild(QDialog, "editCall") is None)


def test_it_is_held_released_and_put_back(table: QueueTable, bridge: Any, soon: Any) -> None:
    refused: list[str] = []
    bridge.requestRefused.connect(lambda what, error: refused.append(f"{what}: {error}"))
    press(table, "putBack")
    soon(lambda: refused == ["put back what was cancelled: no plan was cancelled while it waited"])
    fill(bridge, 2)
    soon(lambda: len(shown(table)) == 2)
    bridge.engine.queue.clear()
    soon(lambda: shown(table) == [])
    press(table, "putBack")
    soon(lambda: shown(table) == ["0", "1"])
    hold = table.findChild(QPushButton, "queue:hold")
    assert hold.text() == "Release"
    hold.click()
    soon(lambda: shown(table) == [] and hold.text() == "Hold")
    hold.click()
    soon(lambda: hold.text() == "Release")
    assert bridge.engine.queue.held == "the Hold button"


def test_times_come_from_the_preview(table: QueueTable, bridge: Any, soon: Any) -> None:
    bridge.engine.queue.release()
    bridge.run(PlanCall(bps.sleep, (60,)))
    bridge.run(PlanCall(bps.sleep, (90,)))
    soon(lambda: len(shown(table)) == 1)
    bridge.engine.preview(bps.sleep, 60)
    bridge.engine.preview(bps.sleep, 90)
    table._show_times()
    soon(lambda: shown(table, 2) == ["1 min 30 s"] and shown(table, 3)[0].startswith("in about"))


def test_values_of_a_call_are_those_of_a_form(scope: Any) -> None:
    spec = create_plan_spec(demo_plans.count, scope)
    call = PlanCall(demo_plans.count, ([scope.stage, scope.camera],), {"delay": 0.5})
    assert values_of_call(spec, call, scope) == {"detectors": ["stage", "camera"], "delay": 0.5}
