# ruff: noqa: N803
"""``RE.by_hand``: a stop goes ahead of all that the engine does, and a paused plan lends."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import bluesky.plan_stubs as bps
import pytest
from bluesky.utils import Msg

from doubles import Blocked
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
