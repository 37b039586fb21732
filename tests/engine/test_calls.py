# ruff: noqa: N803
"""``RE(plan)``: what is accepted, what is refused, and the queue."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import CancelledError, Future
from contextvars import ContextVar
from typing import Any

import pytest
from bluesky import plan_stubs as bps
from bluesky.utils import Msg, RunEngineInterrupted

from doubles import in_a_run, quick
from freewheel import PlanCall, PlanFuture, RunEngineResult

T = 10  # seconds; a bound for what should take milliseconds


def test_a_call_returns_a_future_of_the_result(RE: Any) -> None:
    future = RE(quick("value"))
    assert isinstance(future, PlanFuture)
    assert isinstance(future, Future)
    result = future.result(T)
    assert isinstance(result, RunEngineResult)
    assert result.plan_result == "value"
    assert result.exit_status == "success"
    assert result.interrupted is False


def test_call_returns_result_may_be_switched_on_the_instance(RE: Any) -> None:
    RE._call_returns_result = False
    uids = RE(in_a_run()).result(T)
    assert isinstance(uids, tuple)
    assert len(uids) == 1
    RE._call_returns_result = True
    assert RE(in_a_run()).result(T).run_start_uids


def test_a_call_does_not_wait_for_a_blocked_loop(RE: Any) -> None:
    blocked, release = threading.Event(), threading.Event()
    RE.loop.call_soon_threadsafe(lambda: (blocked.set(), release.wait(T)))
    assert blocked.wait(T)
    futures = [RE(quick(1)), RE(quick(2))]
    assert not any(future.done() for future in futures)
    release.set()
    assert [future.result(T).plan_result for future in futures] == [1, 2]


@pytest.mark.parametrize(
    ("thing", "says"),
    [
        (None, "None"),
        (3, "3"),
        (2.5, "2.5"),
        ("count", "count"),
        (quick, "quick"),
        (bps.null, "null"),
        (object(), "object"),
    ],
)
def test_what_is_no_plan_is_refused_on_the_spot(RE: Any, thing: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says) as refusal:
        RE(thing)
    assert "RE(" in str(refusal.value)  # says what to write instead
    assert RE.state == "idle"
    assert RE(quick(1)).result(T).plan_result == 1


def test_a_coroutine_is_refused_and_closed(RE: Any) -> None:
    async def coroutine() -> None:
        """Never awaited: pytest fails on the warning unless it was closed."""

    with pytest.raises(TypeError, match="coroutine"):
        RE(coroutine())
    assert RE.state == "idle"


def test_an_exhausted_generator_is_refused_by_name(RE: Any) -> None:
    plan = quick()
    list(plan)
    with pytest.raises((TypeError, ValueError), match="quick"):
        RE(plan)
    assert RE(quick(1)).result(T).plan_result == 1


def test_the_same_generator_twice_is_refused_or_fails_but_never_succeeds(
    RE: Any, gate: Any
) -> None:
    plan = gate.plan()
    first = RE(plan)
    gate.wait()
    try:
        second = RE(plan)
    except (TypeError, ValueError):
        second = None
    gate.open()
    assert first.result(T).plan_result == "through"
    if second is not None:
        with pytest.raises((TypeError, ValueError, RuntimeError)):
            second.result(T)
    assert RE(quick(1)).result(T).plan_result == 1


def test_lists_of_messages_and_plan_objects_are_plans(RE: Any) -> None:
    assert RE([Msg("null"), Msg("checkpoint")]).result(T).exit_status == "success"

    class Plan:
        def __iter__(self) -> Any:
            return quick()

    assert RE(Plan()).result(T).exit_status == "success"


def test_subs_and_metadata_are_of_the_one_call(RE: Any) -> None:
    def run() -> Any:
        yield Msg("open_run", plan_name="run")
        yield Msg("close_run")

    seen: list[Any] = []
    RE(run(), lambda name, doc: seen.append((name, doc)), sample="gold").result(T)
    assert [name for name, _ in seen] == ["start", "stop"]
    assert seen[0][1]["sample"] == "gold"
    RE.background.launch(run()).result(T)
    RE(run()).result(T)
    assert len(seen) == 2


def test_bad_subs_are_refused_on_the_spot(RE: Any) -> None:
    with pytest.raises((TypeError, ValueError, KeyError, AttributeError)):
        RE(quick(), {"no such document": print}).result(T)
    assert RE(quick(1)).result(T).plan_result == 1


def test_calls_queue_first_in_first_out(RE: Any, gate: Any) -> None:
    order: list[int] = []

    def noting(number: int) -> Any:
        order.append(number)
        yield Msg("null")

    running = RE(gate.plan())
    gate.wait()
    waiting = [RE(noting(number)) for number in range(20)]
    assert RE.queued == tuple(waiting)
    assert isinstance(RE.queued, tuple)
    gate.open()
    running.result(T)
    for future in waiting:
        future.result(T)
    assert order == list(range(20))
    assert RE.queued == ()


def test_cancel_removes_one_that_waits(RE: Any, gate: Any) -> None:
    ran: list[str] = []

    def noting(name: str) -> Any:
        ran.append(name)
        yield Msg("null")

    RE(gate.plan())
    gate.wait()
    one, two = RE(noting("one")), RE(noting("two"))
    assert one.cancel() is True
    assert RE.queued == (two,)
    assert one.cancelled()
    with pytest.raises(CancelledError):
        one.result(T)
    with pytest.raises(CancelledError):
        one.outcome.result(T)
    gate.open()
    two.result(T)
    assert ran == ["two"]
    assert two.cancel() is False


def test_cancel_of_a_plan_that_runs_answers_false_and_changes_nothing(RE: Any, gate: Any) -> None:
    future = RE(gate.plan())
    gate.wait()
    assert future.cancel() is False
    assert future.outcome.cancel() is False
    assert RE.state == "running"
    gate.open()
    assert future.result(T).plan_result == "through"
    assert future.outcome.result(T).exit_status == "success"


def test_a_failed_plan_cancels_those_behind_it_and_says_so(
    RE: Any, gate: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def then_fail() -> Any:
        yield from gate.plan()
        raise ValueError("on purpose")

    first = RE(then_fail())
    gate.wait()
    waiting = [RE(quick()), RE(quick())]
    with caplog.at_level(logging.INFO, "freewheel"):
        gate.open()
        with pytest.raises(ValueError, match="on purpose"):
            first.result(T)
        for future in waiting:
            with pytest.raises(CancelledError):
                future.result(T)
    assert any("cancel" in record.getMessage() for record in caplog.records)
    assert RE.queued == ()
    assert RE(quick(1)).result(T).plan_result == 1


@pytest.mark.parametrize("end", ["stop", "abort", "halt"])
def test_an_ended_plan_cancels_those_behind_it(
    RE: Any, gate: Any, end: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = RE(gate.plan())
    gate.wait()
    waiting = RE(quick())
    with caplog.at_level(logging.INFO, "freewheel"):
        getattr(RE, end)().result(T)
    with pytest.raises(RunEngineInterrupted):
        first.result(T)
    with pytest.raises(CancelledError):
        waiting.result(T)
    assert any("quick" in record.getMessage() for record in caplog.records)
    assert RE(quick(1)).result(T).plan_result == 1


def test_a_paused_plan_keeps_them_waiting(RE: Any, gate: Any) -> None:
    first = RE(gate.plan())
    gate.wait()
    waiting = RE(quick(2))
    RE.request_pause().result(T)
    with pytest.raises(RunEngineInterrupted):
        first.result(T)
    assert RE.state == "paused"
    late = RE(quick(3))  # while paused, a call queues as well
    assert RE.queued == (waiting, late)
    assert not waiting.done()
    resumed = RE.resume()
    gate.open()
    assert resumed.result(T).plan_result == "through"
    assert [waiting.result(T).plan_result, late.result(T).plan_result] == [2, 3]


def test_the_metadata_is_read_when_the_plan_starts(RE: Any, gate: Any) -> None:
    starts: list[Any] = []
    RE.subscribe(lambda name, doc: starts.append(doc), "start")

    RE(gate.plan())
    gate.wait()
    second = RE(in_a_run())
    RE.md["sample"] = "late"
    gate.open()
    second.result(T)
    assert starts[0]["sample"] == "late"


def test_a_call_from_a_callback_on_the_loop_queues(RE: Any) -> None:
    inner: list[Any] = []

    def call_again(name: str, doc: Any) -> None:
        inner.append(RE(quick("inner")))

    RE(in_a_run(), {"stop": call_again}).result(T)
    assert inner[0].result(T).plan_result == "inner"


def test_each_call_of_a_plan_call_makes_a_new_plan(RE: Any) -> None:
    call = PlanCall(quick, (7,))
    first, second = RE(call), RE(call)
    assert first.plan_name == second.plan_name == "quick"
    assert first.result(T).plan_result == second.result(T).plan_result == 7
    assert RE(PlanCall(lambda: [Msg("null")])).result(T).exit_status == "success"


def test_a_plan_call_that_makes_no_plan_is_refused_on_the_spot(RE: Any) -> None:
    with pytest.raises(TypeError, match="returned None instead of a generator"):
        RE(PlanCall(lambda: None))
    assert RE(quick(1)).result(T).plan_result == 1


def _finished() -> Any:
    plan: Any = (message for message in [])
    next(plan, None)
    return plan


@pytest.mark.parametrize(
    "plan",
    [None, 3, "text", _finished(), [3], (Msg("null"),), Msg("null"), PlanCall(list), list],
    ids=lambda plan: type(plan).__name__,
)
def test_what_is_no_usual_plan_is_not_started_at_a_look(RE: Any, plan: Any) -> None:
    foreground = RE._foreground
    assert foreground.start_usual(plan, {}) is None
    assert foreground.current is None
    RE.queue.hold()
    assert foreground.start_usual([Msg("null")], {}) is None
    RE.queue.release()
    for usual in ([Msg("null")], []):
        assert foreground.start_usual(usual, {}).result(T).exit_status == "success"


@pytest.mark.parametrize("by", ["call", "queue"])
def test_a_plan_is_the_same_whichever_way_it_starts(RE: Any, by: str) -> None:
    seen: list[Any] = []
    colour: ContextVar[str] = ContextVar("colour")
    colour.set("red")

    def painted() -> Any:
        seen.append((colour.get(), RE.current.status, RE.current.elapsed is not None, RE.state))
        uid = yield Msg("open_run")
        seen.append(uid)
        yield Msg("close_run")

    docs: list[Any] = []
    RE.subscribe(lambda name, doc: docs.append(doc), "start")
    if by == "call":
        future = RE(painted(), sample="a")
    else:
        future = RE.queue.submit(painted(), metadata={"sample": "a"})
    result = future.result(T)
    assert docs[0]["sample"] == "a"
    assert seen[0] == ("red", "running", True, "running")
    assert (future.plan_name, str(future.status)) == ("painted", "completed")
    assert result.run_start_uids == (seen[1],)
    assert future.outcome.result(T) is result
    assert RE.state == "idle"
