"""A plan's signature as a form: what is offered, what is refused, what reaches the plan."""

import datetime
import enum
import functools
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

import bluesky.plans as bp
import jsonschema
import pytest
from annotated_types import Ge, Gt, Interval, MultipleOf, Unit
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator, plan
from ophyd_async.core import Device, SignalRW, soft_signal_rw
from ophyd_async.sim import SimMotor

import freewheel.forms
from freewheel.core import Action, continuous
from freewheel.forms import (
    FieldType,
    InvalidArgumentsError,
    UnresolvableAnnotationError,
    check_value,
    collect_arguments,
    create_plan_spec,
    find_plans,
    plan_schema,
    resolve_arguments,
)

if TYPE_CHECKING:
    from nowhere import Unknown


@pytest.mark.parametrize(
    ("given", "delay"), [("0.5", 0.5), (0.5, 0.5), ([1, 2.5], [1.0, 2.5]), (["1", "2"], [1.0, 2.0])]
)
def test_a_number_or_several(given: Any, delay: Any) -> None:
    """What count takes for its delay, which goes into the start document as a copy."""
    devices = {"motor": SimMotor("motor")}
    spec = create_plan_spec(bp.count, devices)
    values = {"detectors": ["motor"], "delay": given}
    assert resolve_arguments(spec, values, devices)["delay"] == delay
    with pytest.raises(InvalidArgumentsError, match="delay"):
        resolve_arguments(spec, {**values, "delay": "soon"}, devices)


class Mode(enum.Enum):
    FAST = 1
    SLOW = "s"


class Stage(Device):
    def __init__(self, name: str = "") -> None:
        self.x = SimMotor()
        self.y = SimMotor()
        super().__init__(name)


class Shouts(Protocol):
    def shout(self) -> None: ...


class Horn:
    name = "horn"

    def shout(self) -> None: ...


@pytest.fixture(name="devices")
def _devices() -> dict[str, Any]:
    return {"stage": Stage("stage"), "theta": SimMotor(name="theta"), "horn": Horn()}


def many(
    detectors: Sequence[Readable],
    motor: Movable | None = None,
    mode: Mode = Mode.FAST,
    speed: Literal["slow", "fast"] = "slow",
    exposure: Annotated[float, Gt(0), Unit("s")] = 0.1,
    num: Annotated[int, Interval(ge=1, le=9), MultipleOf(2)] = 2,
    where: Path = Path("data"),
    day: datetime.date = datetime.date(2026, 1, 31),
    wait: datetime.timedelta = datetime.timedelta(seconds=3),
    corners: tuple[float, float] = (0.0, 1.0),
    snap: Action = Action(name="snap", description="One frame"),  # noqa: B008
    hook: Callable[[], None] | None = None,
) -> MsgGenerator[None]:
    """Do many things.

    Parameters
    ----------
    detectors : sequence
        What is read.
    exposure, num : float
        How long,
        and how often.
    """
    yield from ()


def test_each_kind_of_parameter_has_its_field(devices: dict[str, Any]) -> None:
    spec = create_plan_spec(many, devices)
    fields = {parameter.name: parameter.field.value for parameter in spec.parameters}
    assert fields == {
        "detectors": "device",
        "motor": "device",
        "mode": "choice",
        "speed": "choice",
        "exposure": "number",
        "num": "integer",
        "where": "path",
        "day": "date",
        "wait": "duration",
        "corners": "list",
        "snap": "actions",
        "hook": "hidden",
    }
    assert (spec.name, spec.togglable, spec.pausable) == ("many", False, False)
    assert spec.docs == inspect.getdoc(many)


def test_devices_are_offered_by_what_they_can_do(devices: dict[str, Any]) -> None:
    spec = create_plan_spec(many, devices)
    assert spec["motor"].choices == ["stage.x", "stage.y", "theta"]
    assert spec["motor"].optional
    assert spec["detectors"].multiselect


def test_limits_units_and_tooltips_are_found(devices: dict[str, Any]) -> None:
    spec = create_plan_spec(many, devices)
    assert spec["exposure"].unit == "s"
    assert (spec["exposure"].bounds.minimum, spec["exposure"].bounds.exclusive_minimum) == (0, True)
    num = spec["num"].bounds
    assert (num.minimum, num.maximum, num.step) == (1, 9, 2)
    assert spec["num"].docs == "How long, and how often."
    assert spec["detectors"].docs == "What is read."


def test_a_protocol_need_not_be_runtime_checkable(devices: dict[str, Any]) -> None:
    def scare(who: Shouts) -> MsgGenerator[None]:
        yield from ()

    assert create_plan_spec(scare, devices)["who"].choices == ["horn"]


def test_a_signal_is_offered_by_its_datatype() -> None:
    class Box(Device):
        def __init__(self) -> None:
            self.number = soft_signal_rw(float)
            self.text = soft_signal_rw(str)
            super().__init__("box")

    def tune(knob: SignalRW[float]) -> MsgGenerator[None]:
        yield from ()

    assert create_plan_spec(tune, {"box": Box()})["knob"].choices == ["box.number"]


def test_a_signal_that_stands_by_itself_is_offered_as_any_device() -> None:
    def scan(detectors: Sequence[Readable[Any]], motor: Movable[Any]) -> MsgGenerator[None]:
        yield from ()

    spec = create_plan_spec(scan, {"x": soft_signal_rw(float, name="x")})
    assert spec["motor"].choices == spec["detectors"].choices == ["x"]


def test_string_annotations_are_evaluated_one_by_one(devices: dict[str, Any]) -> None:
    def quoted(motor: "Movable", other: "Unknown | None" = None) -> "MsgGenerator[None]":
        yield from ()

    spec = create_plan_spec(quoted, devices)
    assert spec["motor"].field is FieldType.DEVICE
    assert spec["other"].hidden


@pytest.mark.parametrize(
    ("annotation", "says"),
    [
        (dict[str, Any], "dict"),
        (Callable[[], None], "Callable"),
        (object, "object"),
        ("Unknown", "TYPE_CHECKING"),
    ],
)
def test_what_no_form_can_show_is_refused(annotation: Any, says: str) -> None:
    def odd(thing: Any) -> MsgGenerator[None]:
        yield from ()

    odd.__annotations__["thing"] = annotation
    with pytest.raises(UnresolvableAnnotationError, match=says) as caught:
        create_plan_spec(odd, {})
    assert (caught.value.plan_name, caught.value.param_name) == ("odd", "thing")
    assert "'odd'" in str(caught.value)
    assert "'thing'" in str(caught.value)


def test_a_parameter_without_annotation_or_default_is_refused() -> None:
    def bare(thing) -> MsgGenerator[None]:  # type: ignore[no-untyped-def]
        yield from ()

    with pytest.raises(UnresolvableAnnotationError, match=r"'thing' has no annotation.*annotate"):
        create_plan_spec(bare, {})


def test_something_that_is_no_plan_is_refused() -> None:
    with pytest.raises(TypeError, match="no plan"):
        create_plan_spec(lambda: 3, {})


def test_two_actions_of_one_name_are_refused() -> None:
    def twice(
        a: Action = Action(name="go"),  # noqa: B008
        b: Sequence[Action] = (Action(name="go"),),
    ) -> MsgGenerator[None]:
        yield from ()

    with pytest.raises(ValueError, match="'go'"):
        create_plan_spec(twice, {})


def test_decorated_partial_and_bound_plans_are_read() -> None:
    @continuous(togglable=True, pausable=True)
    @plan
    def live(rate: float = 3.0, num: int = 1) -> MsgGenerator[None]:
        yield from ()

    class Lab:
        def measure(self, num: int) -> MsgGenerator[None]:
            yield from ()

    spec = create_plan_spec(live, {})
    assert (spec.continuous, spec.togglable, spec.pausable) == (True, True, True)
    partial = create_plan_spec(functools.partial(live, rate=2.0), {})
    assert (partial.continuous, partial.togglable, partial.pausable) == (True, True, True)
    once = create_plan_spec(continuous(togglable=False)(lambda: (yield)), {})
    assert (once.continuous, once.togglable, once.pausable) == (True, False, False)
    assert not create_plan_spec(many, {}).continuous
    assert [p.name for p in create_plan_spec(functools.partial(live, rate=2.0), {}).parameters] == [
        "num"
    ]
    assert [p.name for p in create_plan_spec(Lab().measure, {}).parameters] == ["num"]


def test_arguments_reach_the_plan(devices: dict[str, Any]) -> None:
    spec = create_plan_spec(many, devices)
    values = {
        "detectors": ["theta", "stage.x"],
        "mode": "SLOW",
        "num": "4",
        "day": "2026-02-01",
        "wait": 1.5,
        "where": "a/b",
        "corners": ["1", 2],
    }
    resolved = resolve_arguments(spec, values, devices)
    args, kwargs = collect_arguments(spec, resolved)
    bound = inspect.signature(many).bind(*args, **kwargs)
    bound.apply_defaults()
    given = bound.arguments
    assert given["detectors"] == [devices["theta"], devices["stage"].x]
    assert given["mode"] is Mode.SLOW
    assert (given["num"], given["exposure"]) == (4, 0.1)
    assert given["day"] == datetime.date(2026, 2, 1)
    assert given["wait"] == datetime.timedelta(seconds=1.5)
    assert given["where"] == Path("a/b")
    assert given["corners"] == (1.0, 2.0)
    assert given["snap"] is spec["snap"].default


def test_all_that_is_wrong_is_listed(devices: dict[str, Any]) -> None:
    spec = create_plan_spec(many, devices)
    with pytest.raises(InvalidArgumentsError) as caught:
        resolve_arguments(spec, {"motor": "nobody", "exposure": -1, "num": 11, "extra": 1}, devices)
    assert set(caught.value.problems) == {"detectors", "motor", "exposure", "num", "extra"}
    assert "stage.x" in caught.value.problems["motor"]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("exposure", 0, "greater than 0"),
        ("exposure", "fast", "number"),
        ("num", 3, "multiple of 2"),
        ("speed", "medium", "slow, fast"),
        ("corners", [1, 2, 3], "2 items"),
        ("day", "tomorrow", "date"),
        ("detectors", [], "at least one"),
        ("exposure", 1.5, ""),
        ("motor", None, ""),
    ],
)
def test_a_value_is_judged_by_itself(
    devices: dict[str, Any], name: str, value: Any, says: str
) -> None:
    problem = check_value(create_plan_spec(many, devices)[name], value, devices)
    assert bool(problem) == bool(says)
    assert says in problem


def test_variadic_devices_are_a_multiple_choice(devices: dict[str, Any]) -> None:
    def home(*motors: Movable, speed: float = 1.0) -> MsgGenerator[None]:
        yield from ()

    spec = create_plan_spec(home, devices)
    assert spec["motors"].multiselect
    resolved = resolve_arguments(spec, {"motors": ["theta", "stage.y"], "speed": 2}, devices)
    assert collect_arguments(spec, resolved) == (
        (devices["theta"], devices["stage"].y),
        {"speed": 2.0},
    )


def test_a_default_keeps_the_place_of_what_goes_by_position() -> None:
    def shift(a: int, b: int = 7, /, *rest: int) -> MsgGenerator[None]:
        yield from ()

    spec = create_plan_spec(shift, {})
    resolved = resolve_arguments(spec, {"a": 1, "rest": [3, 4]}, {})
    assert collect_arguments(spec, resolved) == ((1, 7, 3, 4), {})


def test_quantities_have_units() -> None:
    pint = pytest.importorskip("pint")

    def move(by: Annotated[pint.Quantity, Unit("mm"), Ge(0)]) -> MsgGenerator[None]:
        yield from ()

    spec = create_plan_spec(move, {})
    assert resolve_arguments(spec, {"by": "5 cm"}, {})["by"].magnitude == pytest.approx(50)
    assert resolve_arguments(spec, {"by": 3}, {})["by"].magnitude == 3
    assert "at least 0 mm" in check_value(spec["by"], "-1 m")
    assert check_value(spec["by"], "5 s")


def test_the_schema_is_valid_and_agrees_with_the_form(devices: dict[str, Any]) -> None:
    schema = plan_schema(create_plan_spec(many, devices))
    validator = jsonschema.Draft202012Validator
    validator.check_schema(schema)
    good = {"detectors": ["theta"], "num": 4, "mode": "s", "motor": None}
    assert list(validator(schema).iter_errors(good)) == []
    for bad in ({}, {"detectors": ["x"]}, {"detectors": ["theta"], "exposure": 0}):
        assert list(validator(schema).iter_errors(bad))
    assert [action["name"] for action in schema["x-actions"]] == ["snap"]
    assert schema["properties"]["exposure"]["x-unit"] == "s"


def test_blueskys_own_plans_are_offered_or_say_why_not(devices: dict[str, Any]) -> None:
    found = find_plans([bp], devices)
    entries = {entry.name: entry for entry in found}
    # Older names of a plan, as bluesky has them, do not make it two.
    assert len({entry.spec.plan for entry in found if entry.spec}) == sum(
        e.available for e in found
    )
    assert entries["count"].available
    assert entries["scan"].available
    assert not entries["scan_nd"].available
    assert "Cycler" in entries["scan_nd"].reason


def test_a_broken_file_shows_its_traceback_and_the_others_are_there(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text(
        "import helper\ndef measure(num: int = helper.N):\n    yield from ()\n"
        "def refused(thing: dict):\n    yield from ()\n"
    )
    (tmp_path / "helper.py").write_text("N = 3\n")
    (tmp_path / "broken.py").write_text("def oops(:\n")
    (tmp_path / "quits.py").write_text("raise SystemExit(3)\n")
    entries = {entry.name: entry for entry in find_plans([str(tmp_path)])}
    assert entries["measure"].available
    assert "'thing'" in entries["refused"].reason
    assert "SyntaxError" in entries["broken"].traceback
    assert "broken.py" in entries["broken"].traceback
    assert "SystemExit" in entries["quits"].reason


def test_a_folder_that_is_not_there_is_an_error() -> None:
    with pytest.raises(FileNotFoundError, match="no_such"):
        find_plans(["./no_such_folder"])


def test_all_that_is_exported_exists() -> None:
    for name in freewheel.forms.__all__:
        assert hasattr(freewheel.forms, name)


def test_devices_are_looked_through_once_for_all_plans_that_ask_for_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked_at: list[Any] = []
    matches = freewheel.forms._build.matches_device

    def look(device: Any, proto: Any) -> bool:
        looked_at.append(device)
        return matches(device, proto)

    def one(motor: Movable[float]) -> MsgGenerator[None]:
        yield from ()

    def other(motors: Sequence[Movable[float]], also: Movable[float]) -> MsgGenerator[None]:
        yield from ()

    monkeypatch.setattr(freewheel.forms._build, "matches_device", look)
    devices = {name: SimMotor(name=name) for name in ("x", "y")}
    found = [entry.spec for entry in find_plans([one, other], devices)]
    choices = [parameter.choices for spec in found if spec for parameter in spec.parameters]
    assert [list(each or ()) for each in choices] == [["x", "y"]] * 3
    assert sum(device in devices.values() for device in looked_at) == 2
