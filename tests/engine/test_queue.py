# ruff: noqa: N803
"""``RE.queue``: what waits, holding and releasing it, and what a stop or a failure does to it."""

from __future__ import annotations

import logging
from concurrent.futures import CancelledError
from typing import Any

import pytest
from bluesky.utils import Msg, RunEngineInterrupted

from doubles import quick
from freewheel import BlockingRunEngine, PlanStatus, ServiceFailedError
from freewheel.core import EngineState

T = 10


def failing() -> Any:
    yield Msg("null")
    raise ValueError("on purpose")


def test_it_is_a_sequence_of_the_futures_that_wait(RE: Any, gate: Any) -> None:
    assert len(RE.queue) == 0
    assert RE.queue.held is None
    RE(gate.plan())
    gate.wait()
    waiting = [RE(quick()), RE(quick())]
    assert list(RE.queue) == waiting
    assert RE.queue[0] is waiting[0]
    assert RE.queue[-1] is waiting[1]
    assert RE.queue[:1] == (waiting[0],)
    assert waiting[1] in RE.queue
    assert RE.queue.index(waiting[1]) == 1
    assert RE.queued == tuple(waiting)
    assert "quick, quick" in repr(RE.queue)
    assert "behind 'plan'" in repr(waiting[0])
    gate.open()
    waiting[1].result(T)
    assert len(RE.queue) == 0


def test_a_held_queue_lets_the_plan_that_runs_go_on_and_starts_nothing(RE: Any, gate: Any) -> None:
    running = RE(gate.plan())
    gate.wait()
    waiting = RE(quick(2))
    RE.queue.hold("lunch")
    assert RE.queue.held == "lunch"
    gate.open()
    assert running.result(T).plan_result == "through"
    late = RE(quick(3))
    assert RE.state == "idle"
    assert list(RE.queue) == [waiting, late]
    assert not waiting.done()
    assert "held (lunch)" in repr(waiting)
    assert "RE.queue.release()" in repr(waiting)
    assert RE.snapshot().queue_held == "lunch"
    RE.queue.release()
    assert [waiting.result(T).plan_result, late.result(T).plan_result] == [2, 3]
    assert RE.queue.held is None
    assert "held" not in repr(late)


def test_a_hold_without_a_reason_is_one(RE: Any) -> None:
    RE.queue.hold()
    assert RE.queue.held
    future = RE(quick(1))
    RE.queue.release()
    RE.queue.release()
    assert future.result(T).plan_result == 1


def test_clear_returns_the_cancelled_and_keeps_the_hold(RE: Any) -> None:
    RE.queue.hold("look first")
    waiting = (RE(quick()), RE(quick()))
    assert RE.queue.clear() == waiting
    for future in waiting:
        with pytest.raises(CancelledError):
            future.result(T)
    assert RE.queue.clear() == ()
    assert RE.queue.held == "look first"


def test_one_that_waits_in_a_held_queue_may_be_cancelled(RE: Any) -> None:
    RE.queue.hold()
    one, two = RE(quick(1)), RE(quick(2))
    assert one.cancel()
    assert list(RE.queue) == [two]
    RE.queue.release()
    assert two.result(T).plan_result == 2


@pytest.mark.parametrize("end", ["stop", "abort", "halt"])
def test_a_stop_holds_what_waits_where_that_was_chosen(
    RE: Any, gate: Any, end: str, caplog: pytest.LogCaptureFixture
) -> None:
    RE.queue.on_interruption = "hold"
    RE(gate.plan())
    gate.wait()
    waiting = RE(quick(2))
    with caplog.at_level(logging.WARNING, "freewheel"):
        getattr(RE, end)().result(T)
    assert end in RE.queue.held
    assert list(RE.queue) == [waiting]
    (line,) = [r.getMessage() for r in caplog.records if "queue is held" in r.getMessage()]
    assert "quick" in line
    assert "RE.queue.release()" in line
    assert "RE.queue.clear()" in line
    RE.queue.release()
    assert waiting.result(T).plan_result == 2


def test_a_failure_holds_what_waits_where_that_was_chosen(RE: Any, gate: Any) -> None:
    RE.queue.on_interruption = "hold"

    def then_fail() -> Any:
        yield from gate.plan()
        raise ValueError("on purpose")

    first = RE(then_fail())
    gate.wait()
    waiting = RE(quick(2))
    gate.open()
    assert isinstance(first.exception(T), ValueError)
    assert "then_fail" in RE.queue.held
    assert "ValueError" in RE.queue.held
    assert not waiting.done()
    RE.queue.release()
    assert waiting.result(T).plan_result == 2


def test_nothing_is_held_where_nothing_waits(RE: Any) -> None:
    RE.queue.on_interruption = "hold"
    assert isinstance(RE(failing()).exception(T), ValueError)
    assert RE.queue.held is None
    assert RE(quick(1)).result(T).plan_result == 1


def test_a_hold_by_hand_keeps_its_reason_when_the_plan_is_stopped(RE: Any, gate: Any) -> None:
    RE.queue.on_interruption = "hold"
    RE(gate.plan())
    gate.wait()
    RE(quick())
    RE.queue.hold("lunch")
    RE.stop().result(T)
    assert RE.queue.held == "lunch"


def test_on_interruption_is_one_of_two(RE: Any) -> None:
    assert RE.queue.on_interruption == "cancel"
    with pytest.raises(ValueError, match=r"'cancel' or 'hold', not 'keep'"):
        RE.queue.on_interruption = "keep"


def test_a_blocking_engine_on_a_held_queue_says_why() -> None:
    engine = BlockingRunEngine(call_returns_result=True)
    try:
        engine.queue.hold("the shutter is open")
        with pytest.raises(RuntimeError, match=r"(?s)the shutter is open.*RE.queue.release\(\)"):
            engine(quick())
        engine.queue.release()
        assert engine(quick(1)).plan_result == 1
    finally:
        engine.close()


def test_each_change_is_told(RE: Any, gate: Any) -> None:
    told: list[tuple[Any, ...]] = []
    RE.events.queue_changed.connect(told.append)
    RE(gate.plan())
    gate.wait()
    waiting = RE(quick())
    RE.queue.hold()
    gate.open()
    RE.queue.release()
    waiting.result(T)
    RE(quick()).result(T)
    assert told[0] == (waiting,)
    assert told[-1] == ()


def test_closing_cancels_what_waits_in_a_held_queue(make_engine: Any) -> None:
    engine = make_engine()
    engine.queue.hold()
    waiting = engine(quick())
    engine.close()
    assert waiting.cancelled()


def test_a_paused_plan_and_a_held_queue_go_their_own_ways(RE: Any, gate: Any) -> None:
    first = RE(gate.plan())
    gate.wait()
    RE.queue.hold()
    RE.request_pause().result(T)
    assert isinstance(first.exception(T), RunEngineInterrupted)
    RE.queue.release()
    assert RE.state == EngineState.PAUSED
    waiting = RE(quick(2))
    assert "which is paused" in repr(waiting)
    resumed = RE.resume()
    gate.open()
    assert resumed.result(T).plan_result == "through"
    assert waiting.result(T).plan_result == 2


def test_a_held_queue_is_not_released_while_a_service_is_missing(RE: Any, gate: Any) -> None:
    RE.queue.on_interruption = "hold"
    running, waiting = RE(gate.plan()), RE(quick())
    gate.wait()

    async def interlock() -> None:
        raise RuntimeError("the door is open")

    RE.adopt(interlock).exception(T)
    running.outcome.result(T)
    with pytest.raises(ServiceFailedError, match="the door is open"):
        RE.queue.release()
    assert RE.queue.held is not None
    assert waiting.status is PlanStatus.QUEUED

    async def mended() -> None:
        await RE.loop.create_future()

    mended.__name__ = "interlock"
    RE.adopt(mended)
    RE.queue.release()
    assert waiting.result(T).exit_status == "success"
