"""Arguments that come in groups: a row for each."""

from typing import Annotated, Any

import bluesky.plans as bp
import jsonschema
import pytest
from bluesky.protocols import Movable
from ophyd_async.core import AsyncStatus, StandardReadable

from freewheel.core import PlanCall
from freewheel.forms import (
    FieldType,
    InvalidArgumentsError,
    Rows,
    UnresolvableAnnotationError,
    check_value,
    collect_arguments,
    create_plan_spec,
    find_plans,
    plan_schema,
    resolve_arguments,
    values_of_call,
)
from freewheel.sim import Axis, microscope

LINE = ["motor", "start", "stop"]


@pytest.fixture(name="scope")
def _scope() -> Any:
    return microscope(shape=(16, 16), instant=True)


@pytest.mark.parametrize(
    ("plan", "columns"),
    [
        (bp.scan, LINE),
        (bp.rel_scan, LINE),
        (bp.inner_product_scan, LINE),
        (bp.relative_inner_product_scan, LINE),
        (bp.grid_scan, [*LINE, "num"]),
        (bp.rel_grid_scan, [*LINE, "num"]),
        (bp.list_scan, ["motor", "points"]),
        (bp.rel_list_scan, ["motor", "points"]),
        (bp.list_grid_scan, ["motor", "points"]),
        (bp.rel_list_grid_scan, ["motor", "points"]),
    ],
)
def test_it_is_known_what_the_arguments_of_blueskys_scans_are(
    plan: Any, columns: list[str], scope: Any
) -> None:
    rows = create_plan_spec(plan, scope)["args"]
    assert rows.field is FieldType.ROWS
    assert [column.name for column in rows.columns] == columns
    assert "stage.x" in rows.columns[0].choices


class Pair(StandardReadable):
    """A stage that is moved whole, and whose axes are moved by themselves."""

    def __init__(self, name: str) -> None:
        self.x, self.y = Axis(), Axis()
        super().__init__(name=name)

    def set(self, place: tuple[float, float]) -> AsyncStatus: ...


def test_the_axes_of_a_stage_that_moves_whole_are_on_offer() -> None:
    devices = {"xy": Pair("xy"), "focus": Axis("focus")}

    def centre(stage: Movable[Any], place: str) -> Any:
        yield from ()

    assert create_plan_spec(centre, devices)["stage"].choices == ["xy", "xy.x", "xy.y", "focus"]
    rows = create_plan_spec(bp.grid_scan, devices)["args"]  # where it would be given a number
    assert rows.columns[0].choices == ["xy.x", "xy.y", "focus"]
    assert create_plan_spec(bp.count, devices)["detectors"].choices == ["xy", "focus"]
    spec = create_plan_spec(bp.scan, devices)
    values = {"detectors": ["focus"], "args": [["xy.x", 0, 1], ["xy.y", 0, 2]], "num": 2}
    assert resolve_arguments(spec, values, devices)["args"][0] is devices["xy"].x
    with pytest.raises(InvalidArgumentsError, match=r"choose xy\.x or xy\.y"):
        resolve_arguments(spec, values | {"args": [["xy", 0, 1]]}, devices)


def test_the_axes_of_a_stage_of_ophyd_are_on_offer() -> None:
    from ophyd import Component, Device, Signal, SoftPositioner

    class Table(Device):
        x = Component(SoftPositioner, init_pos=0.0)
        trim = Component(Signal, value=0.0)
        far = Component(SoftPositioner, lazy=True)  # would be made, and waited for

    devices = {"table": Table(name="table")}
    spec = create_plan_spec(bp.scan, devices)
    assert spec["args"].columns[0].choices == ["table.x"]
    values = {"detectors": ["table"], "args": [["table.x", 0, 1]], "num": 2}
    assert resolve_arguments(spec, values, devices)["args"][0] is devices["table"].x


def test_the_plans_without_a_form_say_why_and_what_to_do(scope: Any) -> None:
    entries = find_plans([bp], scope)
    reasons = {entry.name: entry.reason for entry in entries if not entry.available}
    assert set(reasons) == {"scan_nd", "ramp_plan"}
    assert "write one around it that has such parameters" in reasons["scan_nd"]
    assert "it takes a plan, which a form cannot make" in reasons["ramp_plan"]


def test_rows_become_arguments(scope: Any) -> None:
    spec = create_plan_spec(bp.grid_scan, scope)
    values = {
        "detectors": ["camera"],
        "args": [["stage.y", -1, "1", 3], ["stage.x", -2.5, 2, 5]],
        "snake_axes": None,
    }
    args, _ = collect_arguments(spec, resolve_arguments(spec, values, scope))
    assert args[0] == [scope.camera]
    assert args[1:9] == (scope.stage.y, -1.0, 1.0, 3, scope.stage.x, -2.5, 2.0, 5)


def test_lists_of_points_are_lists(scope: Any) -> None:
    spec = create_plan_spec(bp.list_scan, scope)
    found = resolve_arguments(
        spec, {"detectors": ["camera"], "args": [["stage.x", [1, "2", 3.5]]]}, scope
    )
    assert found["args"] == (scope.stage.x, [1.0, 2.0, 3.5])


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([], "needs a row at least"),
        ([["stage.x", 1]], "row 1 has 2 values, and not one each of motor, start, stop"),
        ([["stage.x", 0, 1], [None, 0, 1]], "row 2 needs a motor"),
        ([["stage.x", "far", 1]], "row 1, start: should be a valid number"),
        ([["camera", 0, 1]], "row 1, motor: 'camera' is not on offer"),
        ([["stage.x", 0, 1], ["stage.x", 0, 1]], "row 2 has the motor of another row"),
    ],
)
def test_what_is_wrong_with_a_row_is_said(rows: Any, problem: str, scope: Any) -> None:
    spec = create_plan_spec(bp.scan, scope)
    assert problem in check_value(spec["args"], rows, scope)
    with pytest.raises(InvalidArgumentsError, match="args: "):
        resolve_arguments(spec, {"detectors": ["camera"], "args": rows, "num": 3}, scope)


def test_rows_are_checked_without_devices_as_well(scope: Any) -> None:
    rows = create_plan_spec(bp.scan, scope)["args"]
    assert check_value(rows, [["stage.x", 0, 1]]) == ""
    assert check_value(rows, []) == "needs a row at least"
    assert "row 1, motor" in check_value(rows, [["nobody", 0, 1]])


def test_a_scan_asks_for_the_number_that_no_row_has(scope: Any) -> None:
    spec = create_plan_spec(bp.scan, scope)
    assert not spec["num"].optional
    # Who calls it may still say it behind the others, as bluesky has it.
    found = resolve_arguments(
        spec, {"detectors": [scope.camera], "args": (scope.stage.x, 0, 1, 3), "num": None}, scope
    )
    assert found["args"] == (scope.stage.x, 0, 1, 3)


def test_a_call_is_shown_as_rows(scope: Any) -> None:
    spec = create_plan_spec(bp.scan, scope)
    call = PlanCall(bp.scan, ([scope.camera], scope.stage.x, 0, 1, scope.stage.y, 2, 3, 7), {})
    values = values_of_call(spec, call, scope)
    assert values["args"] == [["stage.x", 0, 1], ["stage.y", 2, 3]]
    assert values["num"] == 7
    call = PlanCall(bp.scan, ([scope.camera], scope.stage.x, 0, 1), {"num": 5})
    assert values_of_call(spec, call, scope)["num"] == 5


def test_a_plan_of_ones_own_says_what_its_groups_are(scope: Any) -> None:
    def mine(*args: Annotated[Any, Rows(motor=Movable, place=float)]) -> Any:
        yield from ()

    spec = create_plan_spec(mine, scope)
    found = resolve_arguments(spec, {"args": [["stage.x", 3]]}, scope)
    assert collect_arguments(spec, found) == ((scope.stage.x, 3.0), {})

    def other(*args: Any) -> Any:
        yield from ()

    with pytest.raises(UnresolvableAnnotationError, match=r"Rows\(motor=Movable"):
        create_plan_spec(other, scope)
    with pytest.raises(TypeError, match="needs a column at least"):
        Rows()


def test_the_schema_of_a_table(scope: Any) -> None:
    schema = plan_schema(create_plan_spec(bp.scan, scope))
    jsonschema.Draft202012Validator.check_schema(schema)
    good = {"detectors": ["camera"], "args": [["stage.x", 0, 1]], "num": 3}
    jsonschema.validate(good, schema)
    for rows in ([["stage.x", 0]], [["stage.x", 0, 1, 2]], [["stage.x", "a", 1]], []):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**good, "args": rows}, schema)
