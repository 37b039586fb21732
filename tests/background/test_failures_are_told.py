"""No failure beside the foreground plan is lost, and none takes what it has nothing to do with."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from bluesky.utils import Msg, RunEngineInterrupted

from doubles import Log, endless
from freewheel import RunEngine, TaskContext
from freewheel.background import TaskStatus
from freewheel.plan_stubs import background, checkpoint, sleep


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == "freewheel"]


def fail() -> None:
    raise ValueError("no such exposure")


def ended(future: Any) -> None:
    """Wait for a future's end without looking at how it ended."""
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    assert done.wait(10)


def test_a_change_that_fails_says_so_in_its_repr_and_once_in_the_log(
    engine: RunEngine, caplog: pytest.LogCaptureFixture
) -> None:
    future = engine.between_messages(fail)
    ended(future)
    assert "failed with ValueError: no such exposure" in repr(future)
    (line,) = lines(caplog)
    assert "'fail' between two messages" in line
    assert "ValueError: no such exposure" in line
    assert caplog.records[-1].exc_info is not None
    with pytest.raises(ValueError, match="no such exposure"):
        future.result()
    assert len(lines(caplog)) == 1


def test_a_change_whose_failure_somebody_waits_for_is_not_logged(
    engine: RunEngine, caplog: pytest.LogCaptureFixture
) -> None:
    gate = threading.Event()
    heard: list[BaseException | None] = []

    def wait_and_fail() -> None:
        assert gate.wait(10)
        fail()

    future = engine.between_messages(wait_and_fail)
    thread = threading.Thread(target=lambda: heard.append(future.exception(10)))
    thread.start()
    while not future.observed:
        thread.join(0.001)
    gate.set()
    thread.join(10)
    assert isinstance(heard[0], ValueError)
    assert lines(caplog) == []


def test_a_move_by_hand_that_fails_is_logged(
    engine: RunEngine, caplog: pytest.LogCaptureFixture
) -> None:
    class Stuck:
        name = "stuck"
        parent = None

        def set(self, value: Any) -> Any:
            raise RuntimeError("limit switch")

        def read(self) -> dict[str, Any]:
            return {}

        def describe(self) -> dict[str, Any]:
            return {}

    future = engine.by_hand.set(Stuck(), 3)
    ended(future)
    assert "failed with RuntimeError: limit switch" in repr(future)
    assert any("'stuck'" in line and "limit switch" in line for line in lines(caplog))


def test_a_future_that_was_cancelled_says_so(engine: RunEngine, log: Log) -> None:
    entered, gate = threading.Event(), threading.Event()

    def block() -> None:
        entered.set()
        assert gate.wait(10)

    engine.between_messages(block)
    assert entered.wait(10)
    future = engine.between_messages(fail)
    assert future.cancel()
    gate.set()
    assert "cancelled" in repr(future)


def test_a_launched_task_that_fails_is_told_with_type_message_and_traceback(
    engine: RunEngine, caplog: pytest.LogCaptureFixture
) -> None:
    def bad() -> Any:
        yield Msg("null")
        raise ValueError("no light")

    heard = threading.Event()
    engine.background.on_merge(lambda *_: heard.set())
    task = engine.background.launch(bad(), name="bad")
    assert heard.wait(10)
    engine(iter([Msg("null")])).result(10)
    (line,) = lines(caplog)
    assert "'bad' failed: ValueError: no light" in line
    assert caplog.records[-1].exc_info is not None
    assert repr(task) == "<BackgroundTask 'bad': failed with ValueError: no light>"


# -- cancellations that nobody asked for -------------------------------------------------------


async def inner_cancelled() -> None:
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


def plan_cancelled() -> Any:
    yield Msg("null")
    raise asyncio.CancelledError


@pytest.mark.parametrize("make", [lambda: inner_cancelled, plan_cancelled])
def test_a_cancellation_that_nobody_asked_for_is_a_failure(engine: RunEngine, make: Any) -> None:
    tasks = []

    def plan() -> Any:
        tasks.append((yield from background(make(), name="x")))

    with pytest.raises(RuntimeError, match="' ended with a cancellation that nobody") as raised:
        engine(plan()).result(10)
    assert tasks[0].status is TaskStatus.FAILED
    assert isinstance(raised.value.__cause__, asyncio.CancelledError)


def awaits_what_was_cancelled() -> Any:
    yield Msg("null")
    yield Msg("cancelled inside")


@pytest.mark.parametrize("plan", [plan_cancelled, awaits_what_was_cancelled])
def test_in_the_foreground_too(engine: RunEngine, plan: Any) -> None:
    async def cancelled_inside(_: Msg) -> None:
        await inner_cancelled()

    engine.register_command("cancelled inside", cancelled_inside)
    future = engine(plan())
    waiting = engine(plan())
    with pytest.raises(RuntimeError, match=f"'{plan.__name__}' ended with a canc") as raised:
        future.result(10)
    assert isinstance(raised.value.__cause__, asyncio.CancelledError)
    assert future.status == "failed"
    assert future.outcome.exception(10) is raised.value
    assert waiting.cancelled()  # as after any failure


def test_a_plan_that_answers_a_stop_with_a_cancellation_was_ended_as_asked(
    engine: RunEngine, log: Log
) -> None:
    def plan() -> Any:
        try:
            yield from endless(log)
        finally:
            raise asyncio.CancelledError

    future = engine(plan())
    log.wait_for("task begins")
    engine.stop()
    result = future.outcome.result(10)
    assert result.interrupted
    assert result.exit_status == "abort"


def test_a_cancellation_that_was_asked_for_is_none(engine: RunEngine, log: Log) -> None:
    async def wait() -> None:
        log.add("waits")
        await asyncio.get_running_loop().create_future()

    task = engine.background.launch(wait)
    log.wait_for("waits")
    assert task.cancel()
    assert task.result(10) is None
    assert task.status is TaskStatus.CANCELLED


def test_a_failure_before_stop_is_in_the_outcome(engine: RunEngine, log: Log) -> None:
    def bad() -> Any:
        yield Msg("null")
        raise ValueError("no light")

    def plan() -> Any:
        task = yield from background(bad(), name="bad")
        while not task.done:
            yield from sleep(0.001)
        log.add("failed")
        while True:
            yield from checkpoint()
            yield from sleep(0.001)

    future = engine(plan())
    log.wait_for("failed")
    engine.stop()
    result = future.outcome.result(10)
    assert result.exit_status == "fail"
    assert isinstance(result.exception, ValueError)
    with pytest.raises(RunEngineInterrupted):
        future.result(10)


def test_what_a_function_returns_after_it_was_cancelled_is_kept(
    engine: RunEngine, log: Log
) -> None:
    def count(context: TaskContext) -> int:
        log.add("counts")
        context.cancel_event.wait(10)
        return 17

    task = engine.background.launch(count)
    log.wait_for("counts")
    task.cancel()
    assert task.wait(10) is None
    assert task.status is TaskStatus.CANCELLED
    assert task.value == 17


# -- subscribers --------------------------------------------------------------------------------


def run_with(count: int) -> Any:
    yield Msg("open_run")
    for _ in range(count):
        yield Msg("create", None, name="primary")
        yield Msg("save")
    yield Msg("close_run")


@pytest.mark.parametrize("detach", [True, False])
def test_a_raising_subscriber_fails_the_plan_of_its_document_but_no_detached_one(
    engine: RunEngine, caplog: pytest.LogCaptureFixture, detach: bool
) -> None:
    def subscriber(name: str, doc: Any) -> None:
        raise ValueError(f"not mine: {name}")

    engine.subscribe(subscriber)

    def plan() -> Any:
        return (yield from background(run_with(3), name="x", detach=detach))

    if not detach:
        with pytest.raises(ValueError, match="not mine: start"):
            engine(plan()).result(10)
        return
    task = engine(plan()).result(10).plan_result
    task.result(10)
    assert task.status is TaskStatus.COMPLETED
    told = [line for line in lines(caplog) if "not mine" in line]
    assert len(told) == len({"start", "stop"})
    assert all("'x'" in line for line in told)


def test_a_raising_subscriber_does_not_end_a_launched_task(
    engine: RunEngine, caplog: pytest.LogCaptureFixture
) -> None:
    def subscriber(name: str, doc: Any) -> None:
        raise ValueError("not mine")

    engine.subscribe(subscriber)
    task = engine.background.launch(run_with(3), name="x")
    task.result(10)
    assert len([line for line in lines(caplog) if "not mine" in line]) == 1


def test_the_foreground_still_fails_with_its_subscriber(engine: RunEngine, log: Log) -> None:
    def subscriber(name: str, doc: Any) -> None:
        raise ValueError("mine")

    engine.subscribe(subscriber)
    with pytest.raises(ValueError, match="mine"):
        engine(run_with(1)).result(10)
