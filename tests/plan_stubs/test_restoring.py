"""`restoring`: devices go back to where they were, however the plan has ended but for two ways."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from bluesky.utils import FailedStatus, Msg, RunEngineInterrupted

from doubles import Device, at_message
from freewheel import RunEngine
from freewheel.core import PlanStatus
from freewheel.plan_stubs import background, mv, restoring, sleep, wait_for_background
from freewheel.sim import microscope

T = 10


class Locatable(Device):
    """Has a setpoint, and is a little beside it."""

    def locate(self) -> dict[str, Any]:
        return {"setpoint": self.position, "readback": self.position + 0.01}


class Stuck(Device):
    """Goes away, and refuses to come back."""

    def set(self, value: Any) -> Any:
        if value == 0:
            raise RuntimeError(f"{self.name} is stuck")
        return super().set(value)


class Lost(Device):
    """Goes away, and fails on its way back."""

    def set(self, value: Any) -> Any:
        status = super().set(value)
        if value == 0:
            status = self.moves.pop()
            status.finish(RuntimeError(f"{self.name} is lost"))
        else:
            self.moves.pop().finish()
        return status


def at(device: Device, place: Any) -> Device:
    device.position = place
    return device


@pytest.fixture
def one() -> Device:
    return at(Locatable("one"), 3)


@pytest.fixture
def two() -> Device:
    return at(Device("two"), 4)


class Away:
    """A plan that moves devices away, and waits there."""

    def __init__(self, *devices: Device) -> None:
        self.devices = devices
        self.there = threading.Event()

    def plan(self, seconds: float = 600, error: BaseException | None = None) -> Any:
        for device in self.devices:
            yield from mv(device, 9)
        self.there.set()
        if error is not None:
            raise error
        yield Msg("checkpoint")
        yield from sleep(seconds)
        return "away"

    def wait(self) -> None:
        assert self.there.wait(T)
        assert {device.position for device in self.devices} == {9}


def test_after_a_plan_that_completes(engine: RunEngine, one: Device, two: Device) -> None:
    result = engine(restoring(Away(one, two).plan(0), one, two)).result(T)
    assert result.plan_result == "away"
    assert (one.position, two.position) == (3, 4)


def test_after_a_plan_that_fails(engine: RunEngine, one: Device, two: Device) -> None:
    future = engine(restoring(Away(one, two).plan(error=ValueError("on purpose")), one, two))
    assert isinstance(future.exception(T), ValueError)
    assert (one.position, two.position) == (3, 4)


@pytest.mark.parametrize("end", ["stop", "abort"])
def test_after_a_stop_and_an_abort(engine: RunEngine, one: Device, two: Device, end: str) -> None:
    away = Away(one, two)
    future = engine(restoring(away.plan(), one, two))
    away.wait()
    getattr(engine, end)().result(T)
    assert future.status.ended
    assert (one.position, two.position) == (3, 4)


@pytest.mark.parametrize("end", ["halt", "stop_all"])
def test_not_after_a_halt_and_a_stop_of_all(
    engine: RunEngine, one: Device, two: Device, end: str
) -> None:
    away = Away(one, two)
    future = engine(restoring(away.plan(), one, two))
    away.wait()
    getattr(engine, end)().result(T)
    future.outcome.exception(T)
    assert (one.position, two.position) == (9, 9)


def test_a_stop_of_all_that_comes_on_the_way_back(engine: RunEngine, two: Device) -> None:
    slow = at(Device("slow", by_hand=True), 1)

    def away() -> Any:
        slow.position = 9
        yield from mv(two, 9)

    def back() -> Any:
        yield from restoring(restoring(away(), two), slow)

    future = engine(back())
    assert slow.acted.wait(T)  # it is on its way, and ``two`` is back
    slow.acted.clear()
    engine.stop_all().result(T)
    future.outcome.exception(T)
    assert slow.did == [("set", 1), *["stop"] * slow.did.count("stop")]
    # And of one that has not begun to go back:
    first, second = at(Device("first", by_hand=True), 1), at(Device("second"), 2)

    def both_away() -> Any:
        first.position = 9
        yield from mv(second, 9)

    def one_after_the_other() -> Any:
        yield from restoring(restoring(both_away(), first), second)

    future = engine(one_after_the_other())
    assert first.acted.wait(T)
    engine.stop_all().result(T)
    future.outcome.exception(T)
    assert second.position == 9


def test_a_stop_on_the_way_back_does_not_leave_them_there(engine: RunEngine, two: Device) -> None:
    slow = at(Device("slow", by_hand=True), 1)
    asked, stopping = [], threading.Event()

    def stop() -> None:
        slow.acted.clear()
        asked.append(engine.stop())
        stopping.set()

    at_message(engine, 5, stop)  # while the plan waits for it
    future = engine(restoring(mv(two, 9), slow, two))
    assert stopping.wait(T)
    # The wait was cut short, and what would be stopped half-way is sent once more.
    assert slow.acted.wait(T)
    slow.moves[-1].finish()
    asked[0].result(T)
    assert future.status is PlanStatus.STOPPED
    assert slow.did[:2] == [("set", 1), ("set", 1)]
    assert (slow.position, two.position) == (1, 4)


@pytest.mark.parametrize("kind", [Stuck, Lost])
def test_the_failure_of_one_keeps_no_other(engine: RunEngine, one: Device, kind: type) -> None:
    broken = kind("broken", by_hand=kind is Lost)
    future = engine(restoring(Away(one, broken).plan(0), broken, one))
    error = future.exception(T)
    assert isinstance(error, (RuntimeError, FailedStatus))
    assert kind.__name__.lower() in str(error)
    assert one.position == 3


def test_a_stop_at_each_message_on_the_way_back(engine: RunEngine, one: Device) -> None:
    for number in range(1, 9):
        one.position, two = 3, at(Device("two"), 4)
        at_message(engine, number, engine.stop)
        future = engine(restoring(mv(one, 9), one, two))
        future.outcome.result(T)
        engine.msg_hook = None
        assert (one.position, two.position) == (3, 4), number


def test_the_failures_of_several_are_a_group_and_a_note_of_the_plans_own(
    engine: RunEngine, one: Device
) -> None:
    broken = [Stuck("a"), Stuck("b")]
    error = engine(restoring(Away(*broken, one).plan(0), *broken, one)).exception(T)
    assert isinstance(error, ExceptionGroup)
    assert [str(each) for each in error.exceptions] == ["a is stuck", "b is stuck"]
    failing = Away(one, broken[0]).plan(error=ValueError("on purpose"))
    broken[0].position = 0
    error = engine(restoring(failing, broken[0], one)).exception(T)
    assert isinstance(error, ValueError)
    assert "Besides, 'a' did not go back" in error.__notes__[0]
    assert one.position == 3


def test_in_the_background_and_after_a_pause(engine: RunEngine, one: Device, two: Device) -> None:
    away = Away(two)

    def plan() -> Any:
        task = yield from background(restoring(mv(one, 9), one))
        yield from wait_for_background(task)
        yield from restoring(away.plan(0.01), two)

    engine.msg_hook = lambda msg: engine.request_pause() if msg.command == "sleep" else None
    future = engine(plan())
    with pytest.raises(RunEngineInterrupted):
        future.result(T)
    away.wait()
    engine.msg_hook = None
    engine.resume()
    future.outcome.result(T)
    assert (one.position, two.position) == (3, 4)


def test_what_cannot_be_set_is_refused_before_anything_moves(
    engine: RunEngine, one: Device
) -> None:
    for wrong in ("one", object(), microscope(instant=True).camera):
        with pytest.raises(TypeError, match="devices that can be set"):
            engine(restoring(mv(one, 9), wrong)).result(T)
    assert one.position == 3


@pytest.mark.parametrize("plan", [None, microscope, "plan"])
def test_what_is_no_plan_is_refused_before_anything_is_asked(
    engine: RunEngine, one: Device, plan: Any
) -> None:
    messages: list[Any] = []
    engine.msg_hook = messages.append
    with pytest.raises(TypeError, match=r"restoring\(\) takes a plan, such as"):
        engine(restoring(plan, one)).result(T)
    assert messages == []


def test_devices_of_ophyd_async_and_a_list_of_messages(engine: RunEngine) -> None:
    stage = microscope(instant=True).stage
    engine(mv(stage.x, 0.5)).result(T)
    engine(restoring([Msg("set", stage.x, 2, group="a"), Msg("wait", None, group="a")], stage.x))
    assert engine([Msg("locate", stage.x)]).result(T).exit_status == "success"
    seen: list[Any] = []

    def where() -> Any:
        seen.append((yield Msg("locate", stage.x)))

    engine(where()).result(T)
    assert seen[0]["setpoint"] == 0.5
