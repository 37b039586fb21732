"""What a client names is looked up, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from bluesky.plans import count
from ophyd.sim import SynAxis, det
from ophyd_async.core import Device, soft_signal_rw

from freewheel.hosts._names import device_named, plan_named


class Stage:
    """A device of two axes."""

    name = "stage"
    parent = None
    secret = "no device"

    def __init__(self) -> None:
        self.x = SynAxis(name="stage_x")
        self._hidden = SynAxis(name="hidden")

    def read(self) -> dict[str, Any]:
        return {}

    def describe(self) -> dict[str, Any]:
        return {}


STAGE = Stage()


def _private() -> Any:
    yield


SCRIPT = {"count": count, "det": det, "stage": STAGE, "_private": _private, "open": open}


def test_a_device_and_a_part_of_one() -> None:
    assert device_named(SCRIPT, "det") is det
    assert device_named(SCRIPT, "stage.x") is STAGE.x


def test_a_part_of_what_only_holds_others_together() -> None:
    holder = Device(name="holder")
    holder.x = soft_signal_rw(float)
    assert device_named({"holder": holder}, "holder.x") is holder.x


@pytest.mark.parametrize(
    "name",
    ["rotor", "stage.y", "stage._hidden", "stage.secret", "stage.__class__", "count", "", 5, ["x"]],
)
def test_what_is_no_device_is_refused_with_those_that_are(name: Any) -> None:
    with pytest.raises(KeyError, match=r"no device .*There are: det, stage"):
        device_named(SCRIPT, name)


def test_devices_stand_for_their_names_wherever_they_are() -> None:
    call = plan_named(SCRIPT, "count", [["det"]], {"num": 2, "md": {"sample": "opal", "d": "det"}})
    assert call.args == ([det],)
    assert dict(call.kwargs) == {"num": 2, "md": {"sample": "opal", "d": det}}


@pytest.mark.parametrize("name", ["scan", "_private", "open", "det", "__import__", ""])
def test_what_is_no_plan_is_refused_with_those_that_are(name: str) -> None:
    with pytest.raises(KeyError, match=r"no plan .*There are: count"):
        plan_named(SCRIPT, name, [], {})


def test_a_call_that_does_not_fit_is_refused() -> None:
    with pytest.raises(TypeError):
        plan_named(SCRIPT, "count", [], {"speed": 3})
