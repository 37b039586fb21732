# ruff: noqa: N803
"""``RE.queue.every``: a plan that runs again and again, at the next safe point."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from bluesky.utils import Msg, RunEngineInterrupted

from doubles import quick
from freewheel import EngineClosedError, PlanCall, PlanStatus
from freewheel.engine._periodic import next_due

T = 10
SOON = 0.005


class Focus:
    """A plan that counts its runs, and may be held up or fail."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.begun = 0
        self.under_way = self.most = 0
        self.told = threading.Condition()
        self.fails = False
        self._go = engine.loop.create_future()
        self.let_go()

    def plan(self, *names: str) -> Any:
        with self.told:
            self.begun += 1
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            self.told.notify_all()
        try:
            yield Msg("checkpoint")
            yield Msg("wait_for", None, [lambda: asyncio.shield(self._go)])
            if self.fails:
                raise ValueError("on purpose")
        finally:
            self.under_way -= 1

    def hold_up(self) -> None:
        self._go = self.engine.loop.create_future()

    def let_go(self) -> None:
        go = self._go
        self.engine.loop.call_soon_threadsafe(lambda: go.done() or go.set_result(None))

    def runs(self, more: int) -> None:
        with self.told:
            wanted = self.begun + more
            assert self.told.wait_for(lambda: self.begun >= wanted, T), "it does not run"


@pytest.fixture
def focus(RE: Any) -> Focus:
    return Focus(RE)


def ended(RE: Any) -> threading.Event:
    event = threading.Event()
    RE.events.plan_ended.connect(lambda _: event.set())
    return event


def long(over: threading.Event, points: list[int]) -> Any:
    yield Msg("open_run")
    while not over.is_set():
        yield Msg("checkpoint")
        points.append(1)
        yield Msg("sleep", None, 0.0005)
    yield Msg("close_run")


def test_it_is_listed_at_once_whatever_the_loop_does(RE: Any) -> None:
    busy = threading.Event()
    RE.loop.call_soon_threadsafe(busy.wait, T)
    handle = RE.queue.every(3600, quick)
    listed, (picture,) = RE.queue.periodic, RE.snapshot().periodic
    handle.cancel()
    after = RE.queue.periodic
    busy.set()
    assert listed == (handle,)
    assert 3500 < picture.due_in <= 3600
    assert after == ()


def test_it_runs_again_and_again_while_nothing_else_does(RE: Any, focus: Focus) -> None:
    handle = RE.queue.every(SOON, focus.plan, "a")
    assert handle.seconds == SOON
    assert handle.call == PlanCall(focus.plan, ("a",))
    focus.runs(3)
    assert RE.queue.periodic == (handle,)
    assert "every 0.005 s" in repr(handle)
    assert handle.runs >= 2
    assert handle.cancel()
    assert not handle.cancel()
    assert handle.done
    assert "cancelled" in repr(handle)
    RE(quick()).result(T)
    begun = focus.begun
    RE([Msg("sleep", None, 4 * SOON)]).result(T)
    assert focus.begun == begun
    assert RE.queue.periodic == ()


def test_it_steps_in_at_the_checkpoints_of_the_plan_that_runs(RE: Any, focus: Focus) -> None:
    over, points = threading.Event(), []
    first = RE(long(over, points))
    handle = RE.queue.every(SOON, PlanCall(focus.plan))
    focus.runs(3)
    assert first.status in (PlanStatus.PARKED, PlanStatus.RUNNING)
    handle.cancel()
    over.set()
    assert first.result(T).exit_status == "success"
    assert points


def test_it_never_runs_twice_at_once_and_leaves_out_what_it_missed(RE: Any, focus: Focus) -> None:
    over = threading.Event()
    first = RE(long(over, []))
    focus.hold_up()
    handle = RE.queue.every(SOON, focus.plan)
    focus.runs(1)
    first_run = handle.future
    RE.loop.call_soon_threadsafe(RE.loop.call_later, 8 * SOON, focus.let_go)  # 8 times overdue
    first_run.result(T)
    focus.runs(2)
    assert focus.most == 1
    handle.cancel()
    over.set()
    first.result(T)


@pytest.mark.parametrize(("now", "due"), [(10, 12), (11.9, 12), (12, 14), (19, 20), (9.5, 12)])
def test_what_was_missed_is_left_out(now: float, due: float) -> None:
    assert next_due(10, now, 2) == due


def test_it_waits_while_the_queue_is_held(RE: Any, focus: Focus) -> None:
    over = threading.Event()
    first = RE(long(over, []))
    RE.queue.hold("finish this, then stop")
    waiting = threading.Event()
    RE.events.queue_changed.connect(lambda queue: waiting.set() if queue else None)
    handle = RE.queue.every(SOON, focus.plan)
    assert waiting.wait(T)
    assert RE.queue[0].plan_name == "plan"
    stepped_in = RE.preempt(quick(1))  # a person's does not wait for the release
    assert stepped_in.result(T).plan_result == 1
    over.set()
    first.result(T)
    assert focus.begun == 0
    assert RE.state == "idle"
    RE.queue.release()
    focus.runs(1)
    handle.cancel()


@pytest.mark.parametrize("mode", ["cancel", "hold"])
def test_after_a_stop_it_starts_nothing_before_a_person_does(
    RE: Any, focus: Focus, mode: str
) -> None:
    RE.queue.on_interruption = mode
    over = threading.Event()
    first = RE(long(over, []))
    handle = RE.queue.every(3 * SOON, focus.plan)
    RE.stop().result(T)
    if RE.state == "paused":  # it had stepped in, and was what the stop has ended
        RE.stop().result(T)
    first.outcome.result(T)
    begun = focus.begun
    looked = threading.Event()
    RE.loop.call_soon_threadsafe(RE.loop.call_later, 8 * SOON, looked.set)
    assert looked.wait(T)
    if RE.queue.held is None:
        assert focus.begun == begun
        assert not handle.done
        second = RE(long(over, []))
        focus.runs(1)
    else:  # it had waited for its turn, and is among what is held
        second = None
        RE.queue.release()
        focus.runs(1)
    handle.cancel()
    over.set()
    if second is not None:
        second.outcome.result(T)


def test_one_that_fails_is_run_no_more_and_is_told_of(
    RE: Any, focus: Focus, caplog: pytest.LogCaptureFixture
) -> None:
    over = threading.Event()
    first = RE(long(over, []))
    focus.fails = True
    handle = RE.queue.every(SOON, focus.plan)
    assert isinstance(first.exception(T), RunEngineInterrupted)  # it is left paused
    assert RE.state == "paused"
    first = RE.resume()
    RE.between_messages(lambda: None).result(T)
    assert isinstance(handle.failure, ValueError)
    assert handle.done
    assert "failed with ValueError" in repr(handle)
    assert "The periodic plan 'plan' has failed, and is run no more" in caplog.text
    assert RE.queue.periodic == ()
    over.set()
    first.outcome.result(T)


def test_one_that_is_stopped_comes_again(RE: Any, focus: Focus) -> None:
    over = threading.Event()
    first = RE(long(over, []))
    focus.hold_up()
    handle = RE.queue.every(SOON, focus.plan)
    focus.runs(1)
    RE.stop().result(T)
    assert isinstance(first.exception(T), RunEngineInterrupted)
    focus.let_go()
    first = RE.resume()
    focus.runs(1)
    handle.cancel()
    over.set()
    first.outcome.result(T)


def test_a_run_that_waits_is_taken_back_with_its_handle(RE: Any, gate: Any, focus: Focus) -> None:
    first = RE(gate.plan())
    gate.wait()
    waiting = threading.Event()
    RE.events.queue_changed.connect(lambda queue: waiting.set() if queue else None)
    handle = RE.queue.every(SOON, focus.plan)
    assert waiting.wait(T)
    handle.cancel()
    assert RE.queued == ()
    gate.open()
    first.result(T)
    assert focus.begun == 0


def test_a_run_that_was_taken_out_of_the_queue_comes_again(RE: Any, gate: Any) -> None:
    focus = Focus(RE)
    first = RE(gate.plan())
    gate.wait()
    waiting = threading.Event()
    RE.events.queue_changed.connect(lambda queue: waiting.set() if queue else None)
    handle = RE.queue.every(SOON, focus.plan)
    assert waiting.wait(T)
    assert handle.future is not None
    RE.queue.clear()
    gate.open()
    first.result(T)
    focus.runs(1)
    handle.cancel()


@pytest.mark.parametrize(
    ("seconds", "error"),
    [
        ("1", TypeError),
        (None, TypeError),
        (0, ValueError),
        (-1, ValueError),
        (float("nan"), ValueError),
        (float("inf"), ValueError),
    ],
)
def test_a_time_that_is_none(RE: Any, seconds: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="every so many seconds"):
        RE.queue.every(seconds, quick)


def test_what_can_be_run_once_is_refused(RE: Any) -> None:
    plan = quick()
    with pytest.raises(TypeError, match="Give the plan function and its arguments apart"):
        RE.queue.every(1, plan)
    with pytest.raises(TypeError, match="has its arguments already"):
        RE.queue.every(1, PlanCall(quick), 3)
    with pytest.raises(TypeError, match="cannot be called like this"):
        RE.queue.every(1, quick, 1, 2, 3)
    plan.close()
    RE.close()
    with pytest.raises(EngineClosedError):
        RE.queue.every(1, quick)


def test_a_function_that_makes_no_plan(RE: Any, caplog: pytest.LogCaptureFixture) -> None:
    told = threading.Event()

    def no_plan() -> None:
        told.set()

    handle = RE.queue.every(SOON, no_plan)
    assert told.wait(T)
    RE([Msg("null")]).result(T)
    assert isinstance(handle.failure, TypeError)


def test_the_snapshot_tells_what_will_come(RE: Any, focus: Focus) -> None:
    told: list[Any] = []
    changed = threading.Event()

    def hear(_: Any) -> None:
        told.append(RE.snapshot().periodic)
        changed.set()

    def wait_until(says: str) -> None:
        while not any(says in str(picture) for picture in RE.snapshot().periodic):
            assert changed.wait(T), told
            changed.clear()

    RE.events.queue_changed.connect(hear)
    later = RE.queue.every(3600, focus.plan, "a")
    wait_until("plan('a') every 1 h 0 min: next in ")
    assert "plan('a') every 1 h 0 min" in RE.explain()
    later.cancel()
    while RE.snapshot().periodic:
        assert changed.wait(T)
        changed.clear()
    focus.hold_up()
    soon = RE.queue.every(SOON, focus.plan)
    with focus.told:
        assert focus.told.wait_for(lambda: focus.begun, T)
    (picture,) = RE.snapshot().periodic
    assert (picture.due_in, picture.waits_for) == (None, "is running")
    assert picture.runs == 1
    RE.stop().result(T)
    wait_until("waits until a plan is started")
    focus.let_go()
    RE(quick()).result(T)
    focus.runs(1)
    RE.queue.hold()
    wait_until("is queued")
    soon.cancel()


def test_closing_ends_it(make_engine: Any) -> None:
    engine = make_engine()
    focus = Focus(engine)
    engine.queue.every(SOON, focus.plan)
    focus.runs(1)
    engine.close()
    begun = focus.begun
    assert engine.closed
    assert focus.begun == begun


def test_one_that_is_due_while_the_engine_closes_is_no_failure(
    make_engine: Any, caplog: pytest.LogCaptureFixture
) -> None:
    engine = make_engine()
    begun, looked = threading.Event(), threading.Event()

    def slow() -> Any:
        try:
            begun.set()
            yield Msg("sleep", None, 600)
        finally:
            # The engine is being closed.
            yield Msg("sleep", None, 4 * SOON)
            looked.set()

    engine(slow())
    assert begun.wait(T)
    handle = engine.queue.every(2 * SOON, quick)
    engine.close()
    assert looked.is_set()
    assert handle.failure is None
    assert "has failed" not in caplog.text
