# ruff: noqa: N803
"""``RE.by_hand``: a stop goes ahead of all that the engine does, and a paused plan lends."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import bluesky.plan_stubs as bps
import pytest
from bluesky.utils import Msg, RunEngineInterrupted
from ophyd_async.core import soft_signal_rw

from doubles import Blocked, Gate
from freewheel import ResourceConflictError
from freewheel.plan_stubs import claim

T = 10


class Motor:
    """A classic motor: its ``stop`` is a plain function."""

    name, parent = "motor", None

    def __init__(self) -> None:
        self.stopped_on: list[str] = []

    def read(self) -> Any:
        return {}

    def describe(self) -> Any:
        return {}

    def set(self, value: Any) -> Any:
        raise NotImplementedError

    def stop(self) -> None:
        self.stopped_on.append(threading.current_thread().name)


class CoroutineMotor(Motor):
    """One whose moves end as cancelled when it is stopped, as those of ophyd-async do."""

    def __init__(self) -> None:
        super().__init__()
        self.moving = threading.Event()
        self.move: Any = None

    def set(self, value: Any) -> Any:
        self.move = asyncio.get_running_loop().create_future()
        self.moving.set()
        return self.move

    async def stop(self) -> None:  # type: ignore[override]
        super().stop()
        if self.move is not None:
            self.move.cancel()


def test_a_classic_device_is_stopped_while_the_loop_is_blocked(RE: Any) -> None:
    motor = Motor()
    with Blocked(RE):
        RE.by_hand.stop(motor).result(T)
    assert motor.stopped_on == ["stop motor"]


def test_a_stop_that_belongs_to_the_loop_is_done_there(RE: Any) -> None:
    motor = CoroutineMotor()
    with Blocked(RE):
        future = RE.by_hand.stop(motor)
        assert not future.done()
    future.result(T)
    assert motor.stopped_on == ["bluesky-run-engine"]


def test_a_move_that_is_cut_short_says_by_what(RE: Any) -> None:
    motor = CoroutineMotor()
    move = RE.by_hand.set(motor, 1)
    assert motor.moving.wait(T)
    RE.by_hand.stop(motor).result(T)
    with pytest.raises(RuntimeError, match="'motor' by hand was cut short: the device was stopped"):
        move.result(T)


def test_the_device_that_blocks_the_loop_is_named(RE: Any) -> None:
    inside, go_on = threading.Event(), threading.Event()

    class Blocking(Motor):
        name = "slow_camera"

        def trigger(self) -> Any:
            inside.set()
            go_on.wait(T)

    future = RE([Msg("trigger", Blocking())])
    assert inside.wait(T)
    text = RE.explain()
    go_on.set()
    future.exception(T)
    assert "has not answered for 0.2 s: the device 'slow_camera' blocks it." in text


def test_who_is_told_of_the_pause_may_move_what_the_plan_holds(RE: Any) -> None:
    motor = CoroutineMotor()
    moves: list[Any] = []
    has_it = threading.Event()

    def told(new: str, old: str) -> None:
        if new == "paused":
            moves.append(RE.by_hand.set(motor, 1))

    RE.state_hook = told

    def plan() -> Any:
        yield from claim(motor)
        yield Msg("checkpoint")
        has_it.set()
        yield from bps.sleep(60)

    RE(plan())
    assert has_it.wait(T)
    RE.request_pause().result(T)
    assert motor.moving.wait(T)
    RE.by_hand.stop(motor).result(T)
    assert moves[0].exception(T) is not None
    RE.stop().result(T)


# -- the axis of a scan --------------------------------------------------------------------------


def scan_of(gate: Gate, axis: Any) -> Any:
    """Move an axis as bluesky's scans do, and be between points for as long as the gate says."""
    yield from bps.open_run({"motors": [axis.name]})
    yield from bps.mv(axis, 1.0)
    yield from gate.plan()
    place = yield from bps.rd(axis)
    yield from bps.close_run()
    return place


@pytest.mark.parametrize("beside", [False, True])
def test_an_axis_is_not_set_between_two_points_of_its_scan(RE: Any, beside: bool) -> None:
    axis, gate = soft_signal_rw(float, name="axis"), Gate(RE)
    asyncio.run_coroutine_threadsafe(axis.connect(), RE.loop).result(T)
    if beside:
        scan = RE.background.launch(scan_of(gate, axis), name="scan").future
    else:
        scan = RE(scan_of(gate, axis))
    gate.wait()
    with pytest.raises(
        ResourceConflictError, match=r"'manual move' needs 'axis', which 'scan.* holds"
    ):
        RE.by_hand.set(axis, 2.0, between=True)
    gate.open()
    result = scan.result(T)
    assert (result if beside else result.plan_result) == 1.0
    RE.by_hand.set(axis, 2.0, between=True).result(T)


def test_the_axis_of_a_scan_that_is_paused_is_lent(RE: Any) -> None:
    axis, gate = soft_signal_rw(float, name="axis"), Gate(RE)
    asyncio.run_coroutine_threadsafe(axis.connect(), RE.loop).result(T)
    scan = RE(scan_of(gate, axis))
    gate.wait()
    RE.request_pause().result(T)
    RE.by_hand.set(axis, 2.0, between=True).result(T)
    with pytest.raises(RunEngineInterrupted):
        scan.result(T)
    gate.open()
    assert RE.resume().result(T).plan_result == 2.0


def test_what_a_scan_does_not_move_is_set_between_two_points(RE: Any) -> None:
    axis, gate = soft_signal_rw(float, name="axis"), Gate(RE)
    gain = soft_signal_rw(float, name="gain")
    for signal in (axis, gain):
        asyncio.run_coroutine_threadsafe(signal.connect(), RE.loop).result(T)
    scan = RE(scan_of(gate, axis))
    gate.wait()
    gain_set = RE.by_hand.set(gain, 3.0, between=True)
    gate.open()
    gain_set.result(T)
    scan.result(T)
