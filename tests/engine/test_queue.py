# ruff: noqa: N803
"""``RE.queue``: what waits, holding and releasing it, and what a stop or a failure does to it."""

from __future__ import annotations

import dataclasses
import inspect
import logging
import math
import threading
from concurrent.futures import CancelledError
from typing import Any

import pytest
from bluesky.utils import Msg, RunEngineInterrupted

from doubles import at_log, in_a_run, quick
from freewheel import (
    BlockingRunEngine,
    EngineClosedError,
    PlanCall,
    PlanStatus,
    ServiceFailedError,
)
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


# -- order --------------------------------------------------------------------------------------


def labelled(name: str, order: list[str]) -> Any:
    order.append(name)
    yield Msg("null")
    return name


def names(RE: Any) -> list[str]:
    return [future.plan_name for future in RE.queue]


def test_the_highest_priority_is_next_and_of_equals_the_first_come(RE: Any) -> None:
    RE.queue.hold()
    order: list[str] = []
    for name, priority in [("a", 0), ("b", 5), ("c", 0), ("d", 5), ("e", -1), ("f", 0.5)]:
        RE.queue.submit(labelled(name, order), priority=priority, name=name)
    assert names(RE) == ["b", "d", "f", "a", "c", "e"]
    last = RE(labelled("g", order))  # which is priority 0
    assert list(RE.queue).index(last) == 5
    waiting = tuple(RE.queue)
    RE.queue.release()
    for future in waiting:
        future.result(T)
    assert order == ["b", "d", "f", "a", "c", "g", "e"]


def test_submit_starts_at_once_what_nothing_is_in_the_way_of(RE: Any, documents: Any) -> None:
    seen: list[str] = []
    future = RE.queue.submit(
        PlanCall(in_a_run, ([Msg("null")],)),
        lambda name, doc: seen.append(name),
        name="mine",
        metadata={"sample": "gold"},
    )
    future.result(T)
    assert future.plan_name == "mine"
    assert documents[0][1]["sample"] == "gold"
    assert seen == ["start", "stop"]


@pytest.mark.parametrize("priority", ["high", None, [1], 1j, True])
def test_a_priority_that_is_no_number_is_refused(RE: Any, priority: Any) -> None:
    with pytest.raises(TypeError, match="priority of a plan is a number"):
        RE.queue.submit(quick(), priority=priority)
    assert RE.state == "idle"


@pytest.mark.parametrize(
    "priority",
    [math.nan, math.inf, -math.inf, 10**400],
    ids=["nan", "inf", "-inf", "huge"],
)
def test_a_priority_is_finite(RE: Any, priority: Any) -> None:
    with pytest.raises(ValueError, match="is a finite number"):
        RE.queue.submit(quick(), priority=priority)
    assert RE.state == "idle"


def test_what_is_no_name_and_no_metadata_is_refused(RE: Any) -> None:
    for wrong in ({"name": 3}, {"name": ""}, {"metadata": [1]}):
        with pytest.raises(TypeError, match="of a plan is"):
            RE.queue.submit(quick(), **wrong)
    with pytest.raises(TypeError, match="is a function, not a plan"):
        RE.queue.submit(quick)


def test_a_plan_is_moved_and_takes_on_the_priority_of_its_place(RE: Any) -> None:
    RE.queue.hold()
    a, b, c, d = (
        RE.queue.submit(quick(), priority=priority, name=name)
        for name, priority in [("a", 5), ("b", 5), ("c", 0), ("d", 0)]
    )
    RE.queue.move(d, 0)
    assert list(RE.queue) == [d, a, b, c]
    RE.queue.move(a, -1)
    assert list(RE.queue) == [d, b, c, a]
    assert [each.priority for each in RE.snapshot().waiting] == [5, 5, 0, 0]
    late = RE.queue.submit(quick(), priority=3, name="late")
    assert list(RE.queue) == [d, b, late, c, a]
    RE.queue.move(late, 2)
    assert list(RE.queue)[2] is late


def test_a_position_out_of_range_is_an_error_that_says_so(RE: Any) -> None:
    RE.queue.hold()
    future = RE(quick())
    RE(quick())
    for position in (2, -3):
        with pytest.raises(IndexError, match=rf"{position} is no position.*2 plan\(s\) wait"):
            RE.queue.move(future, position)
    assert RE.queue[0] is future


@pytest.mark.parametrize("position", [1.0, "1", None])
def test_what_is_no_position_leaves_the_queue_as_it_is(RE: Any, position: Any) -> None:
    RE.queue.hold()
    futures = [RE(quick()) for _ in range(3)]
    with pytest.raises(TypeError, match="position in the queue is a whole number"):
        RE.queue.move(futures[0], position)
    assert list(RE.queue) == futures


def test_a_call_that_has_just_started_cannot_be_moved_or_edited(RE: Any, gate: Any) -> None:
    RE.queue.hold()
    first = RE.queue.submit(PlanCall(gate.plan))
    second = RE(quick())
    RE.queue.release()
    with pytest.raises(ValueError, match="'plan' does not wait in this queue: it is running"):
        RE.queue.move(first, 0)
    with pytest.raises(ValueError, match="does not wait in this queue"):
        RE.queue.edit(first, PlanCall(quick))
    gate.open()
    second.result(T)
    with pytest.raises(ValueError, match="it is completed already"):
        RE.queue.move(second, 0)
    with pytest.raises(ValueError, match="5 does not wait"):
        RE.queue.move(5, 0)


def test_two_people_move_the_same_entry(RE: Any) -> None:
    RE.queue.hold()
    futures = [RE(quick(), number=n) for n in range(20)]
    ready = threading.Barrier(2)

    def person(position: int) -> None:
        ready.wait(T)
        for _ in range(50):
            RE.queue.move(futures[7], position)

    people = [threading.Thread(target=person, args=(position,)) for position in (0, 19)]
    for each in people:
        each.start()
    for each in people:
        each.join(T)
    assert set(RE.queue) == set(futures)
    assert len(RE.queue) == 20
    assert RE.queue.index(futures[7]) in (0, 19)
    others = [future for future in RE.queue if future is not futures[7]]
    assert others == [future for future in futures if future is not futures[7]]


# -- plans that can be made anew -----------------------------------------------------------------


def test_a_plan_call_shows_its_arguments_and_is_edited(RE: Any) -> None:
    RE.queue.hold()
    future = RE(PlanCall(quick, (7,)))
    other = RE(quick(1))
    assert future.call == PlanCall(quick, (7,))
    assert other.call is None
    assert [str(each) for each in RE.snapshot().waiting] == ["quick(7)", "quick"]
    assert "quick(7), quick" in repr(RE.queue)
    RE.queue.edit(future, dataclasses.replace(future.call, args=(8,)))
    assert [str(each) for each in RE.snapshot().waiting] == ["quick(8)", "quick"]
    RE.queue.edit(future, PlanCall(in_a_run))
    assert future.plan_name == "in_a_run"
    RE.queue.edit(future, PlanCall(quick, (9,)))
    RE.queue.release()
    assert future.result(T).plan_result == 9


def test_the_plan_that_an_edit_replaces_is_closed(RE: Any) -> None:
    RE.queue.hold()
    made: list[Any] = []

    def plan(value: int) -> Any:
        made.append(quick(value))
        return made[-1]

    future = RE(PlanCall(plan, (1,)))
    RE.queue.edit(future, PlanCall(plan, (2,)))
    assert [inspect.getgeneratorstate(each) for each in made] == ["GEN_CLOSED", "GEN_CREATED"]
    future.cancel()
    assert inspect.getgeneratorstate(made[1]) == "GEN_CLOSED"


def test_what_was_made_already_is_neither_edited_nor_put_back(RE: Any) -> None:
    RE.queue.hold()
    future = RE(quick())
    with pytest.raises(TypeError, match=r"'quick' cannot be edited.*Submit PlanCall\("):
        RE.queue.edit(future, PlanCall(quick))
    with pytest.raises(TypeError, match="changed into a PlanCall, not into"):
        RE.queue.edit(future, quick())
    with pytest.raises(TypeError, match="returned None"):
        RE.queue.edit(RE(PlanCall(quick)), PlanCall(lambda: None))
    RE.queue.clear()
    with pytest.raises(TypeError, match=r"'quick' cannot be put back.*Submit PlanCall\("):
        RE.queue.put_back()


def test_what_a_stop_has_cancelled_is_put_back(RE: Any, gate: Any) -> None:
    RE(gate.plan())
    gate.wait()
    waiting = [
        RE.queue.submit(PlanCall(quick, (n,)), priority=n, name=f"n{n}", metadata={"n": n})
        for n in range(3)
    ]
    RE.stop().result(T)
    assert all(future.cancelled() for future in waiting)
    RE.queue.hold("look first")
    back = RE.queue.put_back()
    assert [future.plan_name for future in back] == ["n2", "n1", "n0"]
    assert list(RE.queue) == list(back)
    assert RE.queue.put_back() == ()
    RE.queue.release()
    assert [future.result(T).plan_result for future in back] == [2, 1, 0]
    assert RE.queue.put_back(back[0])[0].result(T).plan_result == 2


def test_what_is_on_its_way_to_be_cancelled_is_put_back(RE: Any, gate: Any) -> None:
    back: list[Any] = []

    running = RE(gate.plan())
    gate.wait()
    waiting = RE(PlanCall(quick, (2,)))
    with at_log("queued plan(s) cancelled", lambda: back.extend(RE.queue.put_back())):
        RE.queue.clear()
    assert waiting.cancelled()
    gate.open()
    running.result(T)
    assert [future.result(T).plan_result for future in back] == [2]


def test_what_waits_or_runs_is_not_put_back(RE: Any, gate: Any) -> None:
    running = RE(PlanCall(gate.plan))
    waiting = RE(PlanCall(quick))
    for future in (running, waiting):
        with pytest.raises(ValueError, match=r"is (running|queued): what has ended"):
            RE.queue.put_back(future)
    gate.open()
    waiting.result(T)


def test_what_cannot_be_put_back_leaves_all_of_it_for_later(RE: Any) -> None:
    made: list[Any] = []
    broken: list[bool] = []

    def good() -> Any:
        made.append(quick())
        return made[-1]

    def fragile() -> Any:
        if broken:
            raise RuntimeError("not now")
        return quick()

    RE.queue.hold()
    cancelled = RE(PlanCall(good)), RE(PlanCall(fragile))
    RE.queue.clear()
    broken.append(True)
    with pytest.raises(RuntimeError, match="not now"):
        RE.queue.put_back()
    assert len(RE.queue) == 0
    assert made[-1].gi_frame is None  # what was made for it is closed
    broken.clear()
    assert len(RE.queue.put_back()) == len(cancelled)
    with pytest.raises(TypeError, match=r"What RE\(plan\) has returned can be put back, not 'x'"):
        RE.queue.put_back("x")


def test_the_log_says_how_what_was_cancelled_comes_back(
    RE: Any, gate: Any, caplog: pytest.LogCaptureFixture
) -> None:
    RE(gate.plan())
    gate.wait()
    for n in range(10):
        RE(PlanCall(quick, (n,)))
    with caplog.at_level(logging.WARNING, "freewheel"):
        RE.stop().result(T)
    (line,) = [r.getMessage() for r in caplog.records if "cancelled because" in r.getMessage()]
    assert "10 queued plan(s)" in line
    assert "and 2 more" in line
    assert "RE.queue.put_back()" in line


@pytest.mark.parametrize("end", ["stop", "abort", "halt", "failure", "stop_all"])
def test_what_waits_in_a_held_queue_stays_when_the_plan_is_ended(
    RE: Any, gate: Any, end: str
) -> None:
    def then_fail() -> Any:
        yield from gate.plan()
        raise ValueError("on purpose")

    first = RE(then_fail())
    gate.wait()
    waiting = RE(quick(2))
    RE.queue.hold("lunch")
    assert RE.queue.on_interruption == "cancel"
    if end == "failure":
        gate.open()
    else:
        getattr(RE, end)().result(T)
    first.outcome.exception(T)
    assert list(RE.queue) == [waiting]
    assert RE.queue.held == "lunch"
    RE.queue.release()
    assert waiting.result(T).plan_result == 2


def test_nothing_is_submitted_to_an_engine_that_is_closed(make_engine: Any) -> None:
    engine = make_engine()
    engine.close()
    with pytest.raises(EngineClosedError):
        engine.queue.submit(quick())
    with pytest.raises(EngineClosedError):
        engine.queue.put_back()


def test_a_long_queue_is_told_of_in_short(RE: Any) -> None:
    RE.queue.hold("lunch")
    for number in range(1000):
        RE(PlanCall(quick, (number,)))
    for text in (repr(RE.queue), repr(RE), RE.explain(), RE._repr_html_()):
        assert "quick(999)" not in text
        assert "and 992 more" in text or "1000 plans wait" in text
    assert str(RE.snapshot().waiting[-1]) == "quick(999)"
