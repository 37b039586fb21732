"""What previews iterate in place of bluesky's stubs sends the same messages."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import bluesky.plan_stubs as bps
import pytest
from bluesky.utils import Msg

from freewheel.core._call_sites import bare_plans
from freewheel.previews._stubs import QUICK_STUBS


class Rewindable:
    """A signal that says whether a device may be asked twice."""

    def get(self) -> bool:
        return False


class Sensor:
    """A device that is read only."""

    def __init__(self, name: str, parent: Any = None) -> None:
        self.name = name
        self.parent = parent

    def read(self) -> Any: ...
    def describe(self) -> Any: ...


class Camera(Sensor):
    """One that is triggered, too."""

    def trigger(self) -> Any: ...


class Once(Camera):
    """One that must not be triggered again."""

    rewindable = Rewindable()


SENSOR, CAMERA, ONCE = Sensor("sensor"), Camera("camera"), Once("once")
PART = Sensor("part", CAMERA)


def messages(devices: Any, *, quick: bool, fails: bool = False) -> list[Any]:
    """Return what is sent, with groups by the order in which they come, and how it ends."""
    groups: dict[str, int] = {}
    found: list[Any] = []
    with bare_plans(QUICK_STUBS) if quick else nullcontext():
        plan = iter(bps.trigger_and_read(devices, name="live"))
        answer: Any = None
        while True:
            try:
                msg = plan.send(answer)
            except StopIteration as end:
                return [*found, end.value]
            except Exception as error:
                return [*found, repr(error)]
            assert isinstance(msg, Msg)
            kwargs = {k: v for k, v in msg.kwargs.items() if k != "group"}
            group = msg.kwargs.get("group")
            number = None if group is None else groups.setdefault(group, len(groups))
            found.append((msg.command, msg.obj, msg.args, kwargs, number, msg.run))
            if fails and msg.command == "read":
                fails = False
                msg = plan.throw(ValueError("no light"))
                found.append(msg)
            answer = {f"{msg.obj.name}-value": 1} if msg.command == "read" else True


@pytest.mark.parametrize(
    "devices",
    [[CAMERA, SENSOR], [SENSOR], [CAMERA, PART], [PART, CAMERA], [CAMERA, ONCE], [], (CAMERA,)],
)
@pytest.mark.parametrize("fails", [False, True])
def test_an_event_is_taken_by_the_same_messages(devices: Any, fails: bool) -> None:
    mine = messages(devices, quick=True, fails=fails)
    assert mine == messages(devices, quick=False, fails=fails)
    assert devices == [] or mine[0][0] in ("trigger", "create", "rewindable")


def test_it_is_what_a_preview_iterates() -> None:
    with bare_plans(QUICK_STUBS):
        made = bps.trigger_and_read([CAMERA])
    assert made.__name__ == "_trigger_and_read"
