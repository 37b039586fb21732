# ruff: noqa: N803
"""`PlanFuture` and its outcome: every way in which a plan can end."""

from __future__ import annotations

import asyncio
import threading
import traceback
from concurrent.futures import CancelledError
from typing import Any

import pytest
from bluesky.utils import Msg, RunEngineInterrupted

from doubles import in_a_run, quick
from freewheel import PlanStatus

T = 10


def test_outcome_of_a_plan_that_completes(RE: Any) -> None:
    future = RE(quick(3))
    assert future.outcome.result(T).plan_result == 3
    assert future.outcome.result(T).exit_status == "success"


def test_a_failure_is_the_plans_own_exception_in_both(RE: Any) -> None:
    culprit = ValueError("mine")

    def failing() -> Any:
        yield Msg("null")
        raise culprit

    future = RE(failing())
    assert future.exception(T) is culprit
    assert future.outcome.exception(T) is culprit


@pytest.mark.parametrize(
    ("end", "status"), [("stop", "success"), ("abort", "abort"), ("halt", "abort")]
)
def test_an_interrupted_plan_has_a_result_for_its_outcome(
    RE: Any, gate: Any, end: str, status: str
) -> None:
    future = RE(gate.plan())
    gate.wait()
    getattr(RE, end)().result(T)
    assert isinstance(future.exception(T), RunEngineInterrupted)
    outcome = future.outcome.result(T)
    assert outcome.exit_status == status
    assert outcome.interrupted is True


def test_the_reason_of_an_abort_is_in_the_result_and_the_stop_document(
    RE: Any, gate: Any, documents: Any
) -> None:
    future = RE(in_a_run(gate.plan()))
    gate.wait()
    RE.abort("the sample fell off").result(T)
    assert future.outcome.result(T).reason == "the sample fell off"
    name, stop = documents[-1]
    assert name == "stop"
    assert stop["exit_status"] == "abort"
    assert stop["reason"] == "the sample fell off"


def test_outcome_survives_pauses_and_ends_once(RE: Any, gate: Any) -> None:
    first = RE(gate.plan())
    ended: list[Any] = []
    first.outcome.add_done_callback(ended.append)
    gate.wait()
    futures = [first]
    for _ in range(3):
        RE.request_pause().result(T)
        assert isinstance(futures[-1].exception(T), RunEngineInterrupted)
        assert not first.outcome.done()
        futures.append(RE.resume())
    assert len({id(future) for future in futures}) == 4
    assert all(future.outcome is first.outcome for future in futures)
    gate.open()
    assert futures[-1].result(T).plan_result == "through"
    assert first.outcome.result(T).plan_result == "through"
    assert len(ended) == 1


async def test_futures_are_awaited_on_a_foreign_loop(RE: Any) -> None:
    future = RE(quick(7))
    assert (await asyncio.wait_for(future, T)).plan_result == 7
    assert (await future.outcome).plan_result == 7
    assert (await future).plan_result == 7  # again, when it is done

    def failing() -> Any:
        yield Msg("null")
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await RE(failing())


async def test_many_await_one_future_and_a_cancelled_await_leaves_it_alone(
    RE: Any, gate: Any
) -> None:
    future = RE(gate.plan())

    async def look() -> Any:
        return await future

    lookers = [asyncio.create_task(look()) for _ in range(5)]
    await asyncio.sleep(0)
    lookers[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await lookers[0]
    assert not future.cancelled()
    await asyncio.to_thread(gate.wait)
    gate.open()
    results = await asyncio.wait_for(asyncio.gather(*lookers[1:]), T)
    assert {result.plan_result for result in results} == {"through"}


def test_a_future_is_awaited_on_the_engines_own_loop(RE: Any) -> None:
    async def start_and_wait() -> Any:
        return await RE(quick("own"))

    task = asyncio.run_coroutine_threadsafe(start_and_wait(), RE.loop)
    assert task.result(T).plan_result == "own"


@pytest.mark.parametrize("what", ["result", "exception"])
@pytest.mark.parametrize("which", ["future", "outcome"])
def test_waiting_on_the_engines_own_thread_raises_at_once(RE: Any, what: str, which: str) -> None:
    raised: list[Any] = []
    box: list[Any] = []
    ready = threading.Event()

    def plan() -> Any:
        yield Msg("null")
        ready.wait(T)
        future = box[0] if which == "future" else box[0].outcome
        try:
            getattr(future, what)()
        except RuntimeError as error:
            raised.append(error)
        yield Msg("null")
        return "fine"

    box.append(RE(plan()))
    ready.set()
    assert box[0].result(T).plan_result == "fine"
    assert len(raised) == 1
    assert "thread" in str(raised[0])


def test_a_done_future_may_be_read_on_the_engines_thread(RE: Any) -> None:
    done = RE(quick(5))
    done.result(T)

    def plan() -> Any:
        yield Msg("null")
        return done.result().plan_result

    assert RE(plan()).result(T).plan_result == 5


def test_result_with_a_time_out_does_not_disturb_the_plan(RE: Any, gate: Any) -> None:
    future = RE(gate.plan())
    gate.wait()
    with pytest.raises(TimeoutError):
        future.result(0)
    gate.open()
    assert future.result(T).plan_result == "through"


@pytest.mark.parametrize("which", ["future", "outcome"])
def test_terminal_means_ready(RE: Any, which: str) -> None:
    """In a done-callback the engine takes the next plan, and starts it."""
    started: list[Any] = []
    both = threading.Event()

    def again(_: Any) -> None:
        started.append((RE.state, RE(quick("next"))))
        both.set()

    future = RE(quick(1))
    (future if which == "future" else future.outcome).add_done_callback(again)
    assert both.wait(T)
    assert started[0][1].result(T).plan_result == "next"


def test_idle_means_ready(RE: Any) -> None:
    futures: list[Any] = []
    done = threading.Event()

    def on_state(new: str, old: str) -> None:
        if new == "idle" and len(futures) < 10:
            futures.append(RE(quick(len(futures))))
            if len(futures) == 10:
                done.set()

    RE.events.state_changed.connect(on_state)
    RE(quick())
    assert done.wait(T)
    assert [future.result(T).plan_result for future in futures] == list(range(10))


def test_a_done_callback_that_raises_harms_nothing(RE: Any) -> None:
    def harm(_: Any) -> None:
        raise SystemExit(3)

    future = RE(quick(1))
    future.add_done_callback(harm) if not future.done() else None
    future.outcome.add_done_callback(lambda _: 1 / 0) if not future.done() else None
    assert RE(quick(2)).result(T).plan_result == 2


def test_the_status_of_a_plan_that_completes(RE: Any, gate: Any) -> None:
    future = RE(gate.plan())
    gate.wait()
    waiting = RE(quick())
    assert future.status is PlanStatus.RUNNING
    assert waiting.status is PlanStatus.QUEUED
    assert waiting.cancel()
    assert waiting.status is PlanStatus.CANCELLED
    gate.open()
    future.result(T)
    assert future.status is PlanStatus.COMPLETED


@pytest.mark.parametrize(
    ("end", "status"), [("stop", "stopped"), ("abort", "aborted"), ("halt", "halted")]
)
def test_the_status_of_a_plan_that_is_ended(RE: Any, gate: Any, end: str, status: str) -> None:
    future = RE(gate.plan())
    gate.wait()
    getattr(RE, end)().exception(T)
    assert future.status is PlanStatus(status)
    assert f"{future.plan_name}: {status}" in repr(future)


def test_the_status_of_a_plan_that_fails(RE: Any) -> None:
    def failing() -> Any:
        yield Msg("null")
        raise ValueError("mine")

    future = RE(failing())
    future.exception(T)
    assert future.status is PlanStatus.FAILED
    assert "failing: failed: ValueError" in repr(future)


def test_the_status_of_a_plan_that_is_paused_and_resumed(RE: Any, gate: Any) -> None:
    future = RE(gate.plan())
    gate.wait()
    RE.request_pause().result(T)
    assert future.status is PlanStatus.PAUSED
    resumed = RE.resume()
    assert future.status is PlanStatus.RESUMED
    assert "was paused, and goes on" in repr(future)
    gate.open()
    resumed.result(T)
    assert future.status is resumed.status is PlanStatus.COMPLETED


def test_the_traceback_of_a_failure_begins_with_the_plan(RE: Any) -> None:
    def failing() -> Any:
        yield Msg("null")
        raise ValueError("mine")

    async def failing_too() -> None:
        raise ValueError("mine")

    task = RE.background.launch(failing(), name="a task")
    coroutine = RE.background.launch(failing_too, name="a coroutine")
    for future in (RE(failing()), task.future, coroutine.future):
        error = future.exception(T)
        names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        assert names[0] in ("failing", "failing_too"), names


def test_a_failure_that_is_the_engines_own_keeps_its_traceback(RE: Any) -> None:
    error = RE([Msg("no such command")]).exception(T)
    assert error.__traceback__ is not None


def test_a_cancelled_call_says_why(RE: Any, gate: Any) -> None:
    first, second, third = RE(gate.plan()), RE(quick()), RE(quick())
    gate.wait()
    assert second.cancel()
    RE.stop().result(T)
    assert first.exception(T) is not None
    for future, why in ((second, "it was taken out of the queue"), (third, "a stop was requested")):
        for wait in (future.result, future.exception, future.outcome.result):
            with pytest.raises(CancelledError, match=rf"'quick' was cancelled: {why}\.$"):
                wait(T)
        with pytest.raises(CancelledError, match=why):
            asyncio.run(_awaited(future))


async def _awaited(future: Any) -> Any:
    return await future


def test_the_time_of_a_plan_that_was_paused_ends_with_the_plan(RE: Any, gate: Any) -> None:
    first = RE(gate.plan())
    gate.wait()
    RE.request_pause().result(T)
    second = RE.resume()
    gate.open()
    second.result(T)
    assert first.elapsed == second.elapsed == first.elapsed


def test_a_repr_tells_the_plan_and_how_the_last_one_ended(RE: Any, gate: Any) -> None:
    RE(gate.plan())
    gate.wait()
    assert repr(RE).startswith("<RunEngine running: plan, ")
    RE.request_pause().result(T)
    assert "paused: plan, " in repr(RE)
    assert "RE.resume() has it go on" in repr(RE)
    RE.stop().result(T)
    assert repr(RE).startswith("<RunEngine idle. The last plan: plan stopped, after ")
    assert RE([Msg("no such command")]).exception(T) is not None
    assert "The last plan: list failed: " in repr(RE)
