"""Which devices a form fills in by itself, and which it does not take twice."""

from typing import Any

import bluesky.plan_stubs as bps
import pytest
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator
from ophyd_async.core import Device

from freewheel.core import mark_dangerous
from freewheel.forms import create_plan_spec, find_devices, repeated_devices, suggest_devices
from freewheel.sim import Axis, Lamp, SimCamera, Stage


@pytest.fixture(name="devices")
def _devices() -> dict[str, Device]:
    return {"stage": Stage("stage"), "focus": Axis("focus"), "camera": SimCamera("camera")}


def plan_of(*parameters: str, kind: Any = Movable) -> Any:
    def plan(*args: Any) -> MsgGenerator[None]:
        yield from bps.null()

    import inspect

    one = inspect.Parameter
    plan.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [one(name, one.POSITIONAL_OR_KEYWORD, annotation=kind) for name in parameters]
    )
    plan.__annotations__ = dict.fromkeys(parameters, kind)
    return plan


def suggested(devices: Any, *parameters: str, kind: Any = Movable) -> dict[str, str]:
    return suggest_devices(create_plan_spec(plan_of(*parameters, kind=kind), devices), devices)


@pytest.mark.parametrize(
    ("parameter", "device"),
    [
        ("focus", "focus"),
        ("focus_motor", "focus"),
        ("stage_x", "stage.x"),
        ("x", "stage.x"),
        ("y_axis", "stage.y"),
        ("motor", None),
        ("slow_motor", None),
        ("z", None),
    ],
)
def test_a_device_is_suggested_by_its_name_or_not_at_all(
    devices: Any, parameter: str, device: str | None
) -> None:
    assert suggested(devices, parameter).get(parameter) == device


def test_the_only_one_that_fits_is_suggested_once(devices: Any) -> None:
    assert suggested(devices, "detector", kind=SimCamera) == {"detector": "camera"}
    assert suggested(devices, "detector", "other", kind=SimCamera) == {"detector": "camera"}


def test_what_is_dangerous_is_chosen_by_a_person() -> None:
    lamp = Lamp("lamp")
    assert suggested({"lamp": lamp}, "lamp") == {"lamp": "lamp"}
    mark_dangerous(lamp)
    assert suggested({"lamp": lamp}, "lamp") == {}


def test_one_motor_for_two_parameters_is_told_of(devices: Any) -> None:
    spec = create_plan_spec(plan_of("slow_motor", "fast_motor"), devices)
    twice = {"slow_motor": "stage.x", "fast_motor": "stage.x"}
    assert repeated_devices(spec, twice, devices) == {
        "fast_motor": "stage.x is chosen for 'Slow motor' already"
    }
    assert repeated_devices(spec, {**twice, "fast_motor": "stage.y"}, devices) == {}


def test_what_is_only_read_may_be_chosen_twice() -> None:
    class Sensor:
        name, parent = "sensor", None

        def read(self) -> Any: ...

        def describe(self) -> Any: ...

    devices = {"sensor": Sensor()}
    spec = create_plan_spec(plan_of("one", "other", kind=Readable), devices)
    assert repeated_devices(spec, {"one": "sensor", "other": "sensor"}, devices) == {}


def test_a_file_may_mark_its_devices(tmp_path: Any) -> None:
    from freewheel.core import danger_of

    (tmp_path / "lab.py").write_text(
        "from typing import Annotated\n"
        "from freewheel.core import Dangerous\n"
        "from freewheel.sim import Lamp\n"
        "laser: Annotated[Lamp, Dangerous('class 4')] = Lamp('laser')\n"
        "lamp = Lamp('lamp')\n"
    )
    found = find_devices(tmp_path / "lab.py")
    assert {name: danger_of(device) for name, device in found.items()} == {
        "laser": "class 4",
        "lamp": None,
    }
