"""Waiting for the first of several things."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from doubles import Device, Finished, Log, endless, failing, run
from freewheel import Action, RunEngine, SRLatch
from freewheel.plan_stubs import abs_set, background, checkpoint, sleep, wait, wait_any


def test_each_kind_of_thing_can_be_the_first(engine: RunEngine, log: Log) -> None:
    latch, motor, gate = SRLatch(), Device("m", by_hand=True), threading.Event()

    def plan() -> Any:
        yield from checkpoint()
        task = yield from background(lambda: gate.wait(10))
        status = yield from abs_set(motor, 1, group="A")
        firsts = []
        for number in range(3):
            log.add(f"waits {number}")
            first = yield from wait_any(latch, status, task)
            firsts.append({latch: "latch", status: "status", task: "task"}[first])
            if first is latch:
                latch.reset()
            elif first is status:
                yield from wait("A")
                status = Finished(done=False)
        return firsts

    future = engine(plan())
    log.wait_for("waits 0")
    latch.set()
    log.wait_for("waits 1")
    motor.moves[0].finish()
    log.wait_for("waits 2")
    gate.set()
    assert future.result(10).plan_result == ["latch", "status", "task"]


def test_what_is_done_already_is_found_at_once(engine: RunEngine) -> None:
    first, second = SRLatch(), SRLatch()
    second.set()
    first.set()
    # Of latches the one that changed first, of other things the first named.
    assert run(engine, wait_any(first, second)) is second
    done = Finished()
    assert run(engine, wait_any(done, first)) is done
    assert run(engine, wait_any(first, done)) is first


def test_none_when_the_time_is_over(engine: RunEngine) -> None:
    assert run(engine, wait_any(SRLatch(), timeout=0)) is None
    assert run(engine, wait_any(SRLatch(), timeout=0.01)) is None


def test_a_failed_status_or_task_counts_as_done(engine: RunEngine) -> None:
    status = Finished(done=False)

    def plan() -> Any:
        task = yield from background(failing(KeyError("lost")))
        first = yield from wait_any(task, status)
        assert first is task
        status.finish(OSError())
        return (yield from wait_any(status)) is status, type(task.exception())

    assert run(engine, plan()) == (True, KeyError)


def test_a_set_that_is_reset_at_once_is_not_missed(engine: RunEngine, log: Log) -> None:
    latch = SRLatch()

    def plan() -> Any:
        log.add("waits")
        return (yield from wait_any(latch, timeout=10))

    future = engine(plan())
    log.wait_for("waits")
    while not latch._watchers:
        engine.snapshot()
    latch.set()
    latch.reset()
    assert future.result(10).plan_result is latch


@pytest.mark.parametrize("when", ["while paused", "after the resume"])
def test_a_pause_does_not_lose_it(engine: RunEngine, log: Log, when: str) -> None:
    latch, motor = SRLatch(), Device("m")

    def plan() -> Any:
        yield from checkpoint()
        yield from abs_set(motor, 1, wait=True)
        log.add("waits")
        return (yield from wait_any(latch, SRLatch()))

    engine(plan())
    log.wait_for("waits")
    engine.request_pause().result(10)
    if when == "while paused":
        latch.set()
    future = engine.resume()
    latch.set()
    assert future.result(10).plan_result is latch


def test_a_rewind_does_not_ask_again_what_was_answered(engine: RunEngine, log: Log) -> None:
    latch, paused = SRLatch(), threading.Event()
    latch.set()

    def plan() -> Any:
        yield from checkpoint()
        first = yield from wait_any(latch)
        latch.reset()
        log.add("answered")
        while not paused.is_set():
            yield from sleep(0.002)
        return first is latch

    engine(plan())
    log.wait_for("answered")
    engine.request_pause().result(10)
    paused.set()
    assert engine.resume().result(10).plan_result is True


@pytest.mark.parametrize(
    ("things", "timeout", "error", "text"),
    [
        ((), None, ValueError, "something to wait for"),
        ((1,), None, TypeError, "not 1"),
        ((Action(name="snap"),), None, TypeError, r"`action\.latch`"),
        ((SRLatch(),), -1, ValueError, "0 s or more"),
        ((SRLatch(),), float("nan"), ValueError, "0 s or more"),
    ],
)
def test_bad_input(
    engine: RunEngine, things: Any, timeout: Any, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        engine(wait_any(*things, timeout=timeout)).result(10)


def test_nothing_is_left_on_the_things(engine: RunEngine, log: Log) -> None:
    latch = SRLatch()

    def plan() -> Any:
        yield from background(endless(), name="x")
        for _ in range(3):
            yield from wait_any(latch, timeout=0)
        engine.background.cancel("x")

    run(engine, plan())
    assert latch._watchers == ()
