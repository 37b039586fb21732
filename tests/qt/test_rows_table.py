"""Plans whose arguments come in groups, in a form and in the window."""

from typing import Any

import bluesky.plans
import pytest
from qtpy.QtWidgets import QPushButton, QTableWidget, QWidget

from freewheel.core import PlanCall
from freewheel.forms import create_plan_spec, find_plans, values_of_call
from freewheel.qt import AcquisitionWindow, PlanForm


@pytest.fixture(name="form")
def _form(scope: Any, qtbot: Any) -> Any:
    form = PlanForm(create_plan_spec(bluesky.plans.grid_scan, scope), dict(scope))
    qtbot.addWidget(form)
    form.show()
    return form


def test_rows_are_added_filled_in_and_removed(form: Any, scope: Any) -> None:
    form.set_values({"detectors": ["camera"]})
    table = form.fields["args"].editor
    assert not form.is_valid
    assert "row 1 needs a motor" in form.obstacles
    table._cells[0][0][2]("stage.y")
    for cell, value in zip(table._cells[0][1:], (-1, 1, 3), strict=True):
        cell[2](value)
    assert form.is_valid
    table.findChild(QPushButton, "rows:add").click()
    assert "row 2 needs a motor" in form.obstacles
    table._cells[1][0][2]("stage.y")
    assert "row 2" in form.obstacles
    form.set_values({"args": [["stage.y", -1, 1, 3], ["stage.x", 0, 2, 5]]})
    args, _ = form.arguments()
    assert args[1:9] == (scope.stage.y, -1.0, 1.0, 3, scope.stage.x, 0.0, 2.0, 5)
    table.findChild(QPushButton, "rows:remove").click()
    assert len(form.values()["args"]) == 1
    table.findChild(QPushButton, "rows:remove").click()
    assert len(form.values()["args"]) == 1  # one stays
    assert table.findChild(QTableWidget).rowCount() == 1


def test_a_call_that_waits_is_shown_in_it(form: Any, scope: Any) -> None:
    call = PlanCall(bluesky.plans.grid_scan, ([scope.camera], scope.stage.x, 0, 1, 4), {})
    form.set_values(values_of_call(form.spec, call, scope))
    assert form.is_valid
    assert form.make_call().args[1:5] == (scope.stage.x, 0.0, 1.0, 4)


@pytest.mark.parametrize(
    ("plan", "values", "count"),
    [
        ("scan", {"args": [["stage.x", -1, 1], ["stage.y", 0, 2]], "num": 4}, 4),
        pytest.param(
            "grid_scan",
            {"args": [["stage.y", -1, 1, 2], ["stage.x", -1, 1, 3]]},
            6,
            marks=pytest.mark.servers,
        ),
        pytest.param("list_scan", {"args": [["stage.x", [1, 2, 5]]]}, 3, marks=pytest.mark.servers),
    ],
)
def test_blueskys_scans_run_from_the_window(
    engine: Any, scope: Any, qtbot: Any, soon: Any, plan: str, values: Any, count: int
) -> None:
    window = AcquisitionWindow(engine, dict(scope), find_plans([bluesky.plans], scope))
    qtbot.addWidget(window, before_close_func=lambda w: w.bridge.close())
    window.show()
    events: list[Any] = []
    window.bridge.documentReceived.connect(lambda n, doc: events.append(doc) if n == "stop" else 0)
    form = window.chooser.choose(plan)
    form.set_values({"detectors": ["camera"], **values})
    assert form.is_valid, form.obstacles
    future = window.controls.run()
    soon(lambda: future.outcome.done() and events)
    assert events[-1]["num_events"]["primary"] == count
    window.preview.end()


def test_a_table_is_marked_when_it_was_left_and_its_inputs_are_not(form: Any, qtbot: Any) -> None:
    field = form.fields["args"]
    assert not field.problem  # nobody has been there yet
    assert "row 1 needs a motor" in form.obstacles
    form.activateWindow()
    qtbot.waitUntil(form.isActiveWindow, timeout=30_000)
    motor, start, *_ = (cell[0] for cell in field.editor._cells[0])
    motor.setFocus()
    start.setFocus()
    assert not field.problem  # the keyboard is in another of its cells
    form.fields["detectors"].editor.setFocus()
    assert field.problem == "row 1 needs a motor"
    (sheet,) = {
        part.styleSheet()
        for part in (field.editor, *field.editor.findChildren(QWidget))
        if part.styleSheet()
    }
    assert sheet.startswith("QTableWidget {")
