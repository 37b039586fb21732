"""Tasks of a plan: results, names, failures, merging, flavours."""

from __future__ import annotations

import asyncio
import functools
import threading
from typing import Any

import pytest
from bluesky.utils import Msg

from doubles import Device, Log, endless, failing, on_loop, run, value
from freewheel import BackgroundTask, MergeMode, PlanCall, RunEngine, TaskContext, WaitTimeoutError
from freewheel.background import BackgroundWarning, TaskStatus
from freewheel.plan_stubs import (
    background,
    background_results,
    cancel_background,
    checkpoint,
    sleep,
    wait_for_background,
)


def test_a_task_gives_its_result_to_who_waits(engine: RunEngine) -> None:
    def plan() -> Any:
        task = yield from background(value(5), name="five")
        assert isinstance(task, BackgroundTask)
        assert task.name == "five"
        result = yield from wait_for_background("five")
        return result, task.status, task.result(), task.exception()

    assert run(engine, plan()) == (5, TaskStatus.COMPLETED, 5, None)


def test_without_a_name_all_results_come_by_name(engine: RunEngine) -> None:
    async def coroutine() -> str:
        await asyncio.sleep(0)
        return "coroutine"

    def function() -> str:
        return "function"

    def plan() -> Any:
        yield from background(value("plan"))
        yield from background(coroutine)
        yield from background(function)
        yield from background(value("again"))
        return (yield from wait_for_background())

    assert run(engine, plan()) == {
        "value": "plan",
        "coroutine": "coroutine",
        "function": "function",
        "value-2": "again",
    }


def test_each_plan_numbers_its_tasks_anew(engine: RunEngine) -> None:
    def plan() -> Any:
        first = yield from background(value(1))
        second = yield from background(value(2))
        yield from wait_for_background()
        return first.name, second.name

    assert run(engine, plan()) == run(engine, plan()) == ("value", "value-2")


def test_waiting_with_nothing_started_gives_nothing(engine: RunEngine) -> None:
    assert run(engine, wait_for_background()) == {}
    assert run(engine, background_results()) == {}


def test_the_plans_future_is_done_when_its_tasks_are(engine: RunEngine, log: Log) -> None:
    gate = threading.Event()

    def plan() -> Any:
        yield from background(functools.partial(gate.wait, 10), name="gate")
        log.add("body ends")
        return "body"

    future = engine(plan())
    log.wait_for("body ends")
    task = engine.background["gate"]
    assert not future.done()
    gate.set()
    assert future.result(10).plan_result == "body"
    assert task.done


def test_a_name_that_a_running_task_has_warns_and_goes_to_the_newer_one(engine: RunEngine) -> None:
    def plan() -> Any:
        old = yield from background(endless(), name="x")
        new = yield from background(value(2), name="x")
        result = yield from wait_for_background("x")
        old.cancel()
        return result, old.status.ended, new.status

    with pytest.warns(BackgroundWarning, match="A background task named 'x' is running already"):
        result = run(engine, plan())
    assert result == (2, False, TaskStatus.COMPLETED)


def test_a_failure_is_raised_where_it_is_waited_for(engine: RunEngine) -> None:
    def plan() -> Any:
        yield from background(failing(KeyError("lost")), name="x")
        try:
            yield from wait_for_background("x")
        except KeyError as error:
            return error.args
        return None

    assert run(engine, plan()) == ("lost",)


def test_a_failure_that_nobody_waits_for_is_raised_at_the_end(engine: RunEngine) -> None:
    def plan() -> Any:
        yield from background(failing(KeyError("lost")), name="x")
        yield from sleep(0.01)

    with pytest.raises(KeyError, match="lost") as raised:
        engine(plan()).result(10)
    assert "in the background task 'x'" in raised.value.__notes__
    assert engine.state == "idle"


def test_several_failures_are_raised_as_a_group(engine: RunEngine) -> None:
    def plan() -> Any:
        yield from background(failing(KeyError("one")))
        yield from background(failing(ValueError("two")))

    with pytest.raises(ExceptionGroup) as raised:
        engine(plan()).result(10)
    assert {type(error) for error in raised.value.exceptions} == {KeyError, ValueError}

    def waiting() -> Any:
        yield from background(failing(KeyError("one")))
        yield from background(failing(ValueError("two")))
        try:
            yield from wait_for_background()
        except ExceptionGroup as group:
            return len(group.exceptions)

    assert run(engine, waiting()) == 2


def test_a_failure_beside_the_plans_own_is_a_note_and_a_line_in_the_log(
    engine: RunEngine, caplog: pytest.LogCaptureFixture
) -> None:
    def plan() -> Any:
        task = yield from background(failing(KeyError("of the task")), name="x")
        while not task.done:
            yield from sleep(0.001)
        raise ValueError("of the plan")

    with pytest.raises(ValueError, match="of the plan") as raised:
        engine(plan()).result(10)
    assert any("of the task" in note for note in raised.value.__notes__)
    assert "end its background tasks" in caplog.text


def test_a_cancelled_task_counts_as_ended_with_none(engine: RunEngine, log: Log) -> None:
    def plan() -> Any:
        task = yield from background(endless(log), name="x")
        while "task begins" not in log.entries:
            yield from sleep(0.001)
        yield from cancel_background("x")
        assert task.status is TaskStatus.CANCELLED
        results = yield from background_results()
        return (yield from wait_for_background("x")), results, task.result()

    assert run(engine, plan()) == (None, {"x": None}, None)
    assert log.entries == ["task begins", "task ends"]


def test_waiting_can_time_out_and_names_what_runs(engine: RunEngine) -> None:
    def plan() -> Any:
        task = yield from background(endless(), name="slow")
        try:
            yield from wait_for_background("slow", timeout=0.01)
        except WaitTimeoutError as error:
            task.cancel()
            return str(error)

    assert "'slow'" in run(engine, plan())


def test_results_arrive_hot_while_the_plan_runs(engine: RunEngine) -> None:
    merged: list[tuple[str, MergeMode, Any]] = []
    engine.background.on_merge(lambda task, mode: merged.append((task.name, mode, task.result())))

    def plan() -> Any:
        task = yield from background(value(5), name="five")
        while not task.done:
            yield from sleep(0.001)
        return (yield from background_results()), task.merge

    assert run(engine, plan()) == ({"five": 5}, MergeMode.HOT)
    assert on_loop(engine, lambda: list(merged)) == [("five", MergeMode.HOT, 5)]
    assert engine.background.pending.empty


def test_a_result_that_comes_after_the_plan_waits_to_be_drained(engine: RunEngine) -> None:
    merged: list[tuple[str, MergeMode]] = []
    engine.background.on_merge(lambda task, mode: merged.append((task.name, mode)))
    gate = threading.Event()

    def plan() -> Any:
        yield from background(lambda: gate.wait(10), name="late", detach=True)

    run(engine, plan())
    pending = engine.background.pending
    assert (pending.size, pending.empty, pending.wait(0)) == (0, True, False)
    gate.set()
    assert pending.wait(10)
    (task,) = pending.pop_all()
    assert (task.name, task.result(), task.merge) == ("late", True, MergeMode.WAKEUP)
    assert pending.empty
    assert on_loop(engine, lambda: list(merged)) == [("late", MergeMode.WAKEUP)]


def test_a_result_that_comes_during_a_pause_waits_until_the_plan_drains_it(
    engine: RunEngine, log: Log
) -> None:
    gate = threading.Event()

    def plan() -> Any:
        yield from checkpoint()
        yield from background(lambda: gate.wait(10), name="late")
        log.add("started")
        yield from sleep(0.05)
        while "late" not in (yield from background_results()):
            yield from sleep(0.001)
        return (yield from background_results())

    future = engine(plan())
    log.wait_for("started")
    engine.request_pause().result(10)
    assert future.exception(10) is not None
    gate.set()
    assert engine.background.pending.wait(10)
    assert engine.background["late"].merge is MergeMode.WAKEUP
    assert engine.resume().result(10).plan_result == {"late": True}
    assert engine.background.pending.empty


def test_another_plan_drains_what_waits(engine: RunEngine) -> None:
    task = engine.background.launch(value(3), name="three")
    assert task.result(10) == 3
    assert engine.background.pending.size == 1
    assert run(engine, background_results()) == {"three": 3}
    assert engine.background.pending.empty


def test_pending_is_bounded(caplog: pytest.LogCaptureFixture, engine: RunEngine) -> None:
    from freewheel.background import PendingResults

    pending = PendingResults(capacity=2)
    tasks = [engine.background.launch(value(n), name=str(n)) for n in range(3)]
    for task in tasks:
        task.result(10)
        pending.put(task)
    assert [task.name for task in pending.pop_all()] == ["1", "2"]
    assert "that of '0' is dropped" in caplog.text


def test_a_merge_callback_that_raises_is_logged_and_harms_nothing(
    engine: RunEngine, caplog: pytest.LogCaptureFixture
) -> None:
    disconnect = engine.background.on_merge(lambda task, mode: 1 / 0)
    assert engine.background.launch(value(1)).result(10) == 1
    on_loop(engine, lambda: None)
    assert "A callback of on_merge raised" in caplog.text
    disconnect()


def test_a_detached_task_outlives_its_plan(engine: RunEngine, log: Log) -> None:
    def plan() -> Any:
        task = yield from background(endless(log), name="x", detach=True)
        return task

    task = run(engine, plan())
    assert task.status is TaskStatus.RUNNING
    assert engine.state == "idle"

    def other() -> Any:
        engine.background.cancel("x")
        return (yield from wait_for_background("x"))

    assert run(engine, other()) is None
    assert log.entries == ["task begins", "task ends"]


def test_a_detached_task_that_fails_is_logged(
    engine: RunEngine, caplog: pytest.LogCaptureFixture
) -> None:
    task = engine.background.launch(failing(KeyError("lost")), name="x")
    assert engine.background.pending.wait(10)
    on_loop(engine, lambda: None)
    assert "The background task 'x' failed" in caplog.text
    with pytest.raises(KeyError):
        task.result(10)


def test_launch_runs_a_plan_with_metadata_beside_the_foreground(engine: RunEngine) -> None:
    documents: list[tuple[str, Any]] = []
    engine.subscribe(lambda name, doc: documents.append((name, doc)))

    def plan() -> Any:
        yield Msg("open_run", sample="a")
        yield Msg("close_run")

    engine.background.launch(plan(), operator="me").result(10)
    assert [name for name, _ in documents] == ["start", "stop"]
    assert documents[0][1]["operator"] == "me"
    assert documents[0][1]["scan_id"] == 1 == engine.md["scan_id"]


def test_a_function_gets_a_context_if_it_takes_one(engine: RunEngine) -> None:
    def function(factor: int, context: TaskContext) -> Any:
        return factor, context.cancelled, context.rest_while_paused()

    task = engine.background.launch(functools.partial(function, 2))
    assert task.result(10) == (2, False, True)
    assert engine.background.launch(lambda: 3).result(10) == 3


def test_a_function_is_cancelled_and_paused_through_its_context(
    engine: RunEngine, log: Log
) -> None:
    def function(context: TaskContext) -> str:
        log.add("begins")
        while context.resume_event.wait(10) and not context.cancel_event.wait(0.001):
            log.add("turns")
        return "ignored"

    task = engine.background.launch(function)
    log.wait_for("turns")
    task.pause()
    while task.status is not TaskStatus.PAUSED:
        on_loop(engine, lambda: None)
    task.resume()
    while task.status is not TaskStatus.RUNNING:
        on_loop(engine, lambda: None)
    assert task.cancel("enough")
    assert task.result(10) is None
    assert task.status is TaskStatus.CANCELLED
    assert not task.cancel()


def test_a_paused_coroutine_rests_at_its_await_and_can_be_cancelled(
    engine: RunEngine, log: Log
) -> None:
    async def coroutine() -> None:
        log.add("begins")
        try:
            while True:
                await asyncio.sleep(0)
                log.add("turns")
        finally:
            await asyncio.sleep(0)
            log.add("ends")

    task = engine.background.launch(coroutine)
    log.wait_for("turns", 3)
    task.pause()
    while task.status is not TaskStatus.PAUSED:
        on_loop(engine, lambda: None)
    count = log.entries.count("turns")
    for _ in range(5):
        on_loop(engine, lambda: None)
    assert log.entries.count("turns") <= count + 1
    task.resume()
    log.wait_for("turns", count + 5)
    task.pause()
    task.cancel()
    assert task.result(10) is None
    assert log.entries[-1] == "ends"


def test_a_trio_coroutine_function_runs_under_its_flavour(engine: RunEngine, log: Log) -> None:
    trio = pytest.importorskip("trio")

    async def payload(number: int) -> int:
        await trio.sleep(0)
        return number

    async def for_ever() -> None:
        log.add("begins")
        try:
            await trio.sleep_forever()
        finally:
            log.add("ends")

    launch = engine.background.launch
    assert launch(functools.partial(payload, 4), flavour="trio").result(10) == 4
    task = launch(for_ever, flavour=trio)
    log.wait_for("begins")
    task.cancel()
    assert task.result(10) is None
    assert log.entries == ["begins", "ends"]


def test_flavours_are_named_by_module_or_by_name(engine: RunEngine) -> None:
    async def coroutine() -> str:
        return threading.current_thread().name

    def function() -> str:
        return threading.current_thread().name

    launch = engine.background.launch
    assert launch(coroutine, flavour=asyncio).result(10) == "bluesky-run-engine"
    assert launch(coroutine, flavour="asyncio").result(10) == "bluesky-run-engine"
    assert launch(function, flavour=threading).result(10) != "bluesky-run-engine"
    assert launch(function, flavour="threading").result(10) != "bluesky-run-engine"


def test_system_exit_in_a_payload_is_that_tasks_failure(engine: RunEngine) -> None:
    def function() -> None:
        raise SystemExit(3)

    async def coroutine() -> None:
        raise SystemExit(3)

    def plan() -> Any:
        yield from checkpoint()
        raise SystemExit(3)

    for payload in (function, coroutine, plan()):
        task = engine.background.launch(payload)
        assert isinstance(task.exception(10), SystemExit)
    assert run(engine, value(1)) == 1


def test_a_task_can_be_awaited_from_any_loop(engine: RunEngine) -> None:
    async def main() -> Any:
        task = engine.background.launch(value(8))
        return await task.future

    assert asyncio.run(main()) == 8


def test_the_background_is_a_mapping_of_tasks_by_name(engine: RunEngine, log: Log) -> None:
    task = engine.background.launch(endless(log), name="x")
    log.wait_for("task begins")
    assert dict(engine.background) == {"x": task}
    assert engine.background.running == (task,) == engine.snapshot().background
    assert "x" in engine.background
    assert repr(engine.background) == "<Background: x: running>"
    task.cancel()
    task.result(10)
    assert engine.background["x"] is task
    assert engine.background.running == ()


def test_changes_are_told_as_events(engine: RunEngine) -> None:
    seen: list[TaskStatus] = []
    claims: list[dict[str, str]] = []
    engine.events.background_changed.connect(lambda task: seen.append(task.status))
    engine.events.claims_changed.connect(lambda held: claims.append(dict(held)))
    motor = Device("m")

    def plan() -> Any:
        yield from background(value(1), claims=[motor], name="x")
        yield from wait_for_background("x")

    run(engine, plan())
    assert on_loop(engine, lambda: list(seen)) == [
        TaskStatus.WAITING,
        TaskStatus.RUNNING,
        TaskStatus.COMPLETED,
    ]
    assert claims == [{"m": "x"}, {}]


def test_tasks_of_a_task_belong_to_it(engine: RunEngine, log: Log) -> None:
    def inner() -> Any:
        yield from background(endless(log, "innermost"), name="innermost")
        return "inner"

    def plan() -> Any:
        task = yield from background(inner(), name="inner")
        while "innermost begins" not in log.entries:
            yield from sleep(0.001)
        yield from sleep(0.02)
        still = task.done
        engine.background.cancel("innermost")
        return (yield from wait_for_background("inner")), still

    assert run(engine, plan()) == ("inner", False)
    assert log.entries[-1] == "innermost ends"


def test_closing_the_engine_ends_what_no_plan_owns(log: Log) -> None:
    with RunEngine() as engine:
        task = engine.background.launch(endless(log), name="x")
        log.wait_for("task begins")
    assert task.status is TaskStatus.CANCELLED
    assert log.entries == ["task begins", "task ends"]


def test_a_cancel_right_after_the_launch_is_never_lost(engine: RunEngine) -> None:
    async def coroutine() -> None:
        await asyncio.Event().wait()

    for _ in range(100):
        for payload in (endless(), coroutine):
            task = engine.background.launch(payload)
            assert task.cancel()
            assert task.result(20) is None
            assert task.status is TaskStatus.CANCELLED


def test_a_plan_call_is_a_payload_of_which_each_task_makes_a_plan(engine: RunEngine) -> None:
    call = PlanCall(value, (5,))

    def plan() -> Any:
        first = yield from background(call)
        second = yield from background(call)
        yield from wait_for_background()
        return first.name, second.name, first.result(), second.result()

    assert run(engine, plan()) == ("value", "value-2", 5, 5)
    assert engine.background.launch(call, name="again").result(20) == 5
    with pytest.raises(TypeError, match="takes no arguments any more"):
        engine.execute(call, 3)


def test_a_plan_leaves_the_results_of_a_paused_one_to_that(engine: RunEngine, log: Log) -> None:
    gate, other = threading.Event(), threading.Event()

    def plan() -> Any:
        yield from checkpoint()
        yield from background(lambda: gate.wait(10), name="late")
        log.add("started")
        while not gate.is_set():
            yield from sleep(0.001)
        return (yield from background_results())

    def looks() -> Any:
        results = yield from background_results()
        other.set()
        return results

    future = engine(plan())
    log.wait_for("started")
    engine.request_pause().result(10)
    assert future.exception(10) is not None
    engine.background.launch(value(3), name="three").result(10)
    gate.set()
    assert engine.background["late"].result(10) is True
    looking = engine.background.launch(looks())
    assert other.wait(10)
    assert looking.result(10) == {"three": 3}
    assert engine.background.pending.size == 2  # the paused plan's own, and what `looks` returned
    assert engine.resume().result(10).plan_result["late"] is True


def test_of_launched_tasks_the_last_ones_are_remembered(engine: RunEngine) -> None:
    for number in range(100):
        engine.background.launch(value(number), name=str(number)).result(10)
    on_loop(engine, lambda: None)

    assert list(engine.background) == [str(number) for number in range(36, 100)]
