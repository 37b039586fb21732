"""What ends, pauses or suspends a plan does the same to its tasks; and nothing else meets."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from bluesky.utils import FailedStatus, Msg, RunEngineInterrupted

from doubles import Device, Finished, Log, endless, on_loop, value
from freewheel import RunEngine, TaskContext
from freewheel.background import TaskStatus
from freewheel.plan_stubs import (
    abs_set,
    background,
    checkpoint,
    sleep,
    trigger,
    wait,
    wait_for_background,
)


def parent(log: Log, *payloads: Any) -> Any:
    for payload in payloads:
        yield from background(payload)
    log.add("started")
    try:
        while True:
            yield from checkpoint()
            yield from sleep(0.001)
    finally:
        log.add("plan ends")


@pytest.mark.parametrize("how", ["stop", "abort", "halt"])
def test_ending_a_plan_ends_its_tasks_first_with_their_clean_up(
    engine: RunEngine, log: Log, how: str
) -> None:
    documents: list[tuple[str, Any]] = []
    engine.subscribe(lambda name, doc: documents.append((name, doc)))
    detector = Device("det")

    def task() -> Any:
        yield Msg("open_run")
        yield Msg("stage", detector)
        yield from endless(log)

    engine(parent(log, task()))
    log.wait_for("task begins")
    getattr(engine, how)().result(10)
    assert log.entries.index("task ends") < log.entries.index("plan ends")
    assert detector.staged == 0
    (stop,) = [doc for name, doc in documents if name == "stop"]
    assert stop["exit_status"] == ("success" if how == "stop" else "abort")
    assert engine.background.running == ()


def test_a_plan_that_fails_ends_its_tasks(engine: RunEngine, log: Log) -> None:
    def plan() -> Any:
        yield from background(endless(log), name="x")
        while "task begins" not in log.entries:
            yield from sleep(0.001)
        raise ValueError("mine")

    future = engine(plan())
    with pytest.raises(ValueError, match="mine"):
        future.result(10)
    assert log.entries == ["task begins", "task ends"]
    assert engine.background["x"].status is TaskStatus.CANCELLED


@pytest.mark.parametrize("how", ["stop", "abort", "halt"])
def test_ending_a_paused_plan_ends_its_paused_tasks(engine: RunEngine, log: Log, how: str) -> None:
    engine(parent(log, endless(log)))
    log.wait_for("task begins")
    engine.request_pause().result(10)
    getattr(engine, how)().result(10)
    assert log.entries.count("task ends") == 1
    assert engine.state == "idle"


def test_pausing_and_resuming(engine: RunEngine, log: Log) -> None:
    async def coroutine() -> None:
        while True:
            await asyncio.sleep(0)
            log.add("coroutine turns")

    def function(context: TaskContext) -> None:
        while context.rest_while_paused():
            log.add("function turns")
            context.cancel_event.wait(0.001)

    def task() -> Any:
        while True:
            yield from checkpoint()
            yield from sleep(0.001)
            log.add("plan turns")

    engine(parent(log, task(), coroutine, function))
    for entry in ("plan turns", "coroutine turns", "function turns"):
        log.wait_for(entry)
    engine.request_pause().result(10)
    assert {task.status for task in engine.background.running} == {TaskStatus.PAUSED}
    on_loop(engine, lambda: None)
    before = [log.entries.count(entry) for entry in ("plan turns", "coroutine turns")]
    for _ in range(5):
        on_loop(engine, lambda: None)
    assert [log.entries.count(e) for e in ("plan turns", "coroutine turns")] == before
    engine.resume()
    count = len(log.entries)
    for entry in ("plan turns", "coroutine turns", "function turns"):
        log.wait_for(entry, log.entries[:count].count(entry) + 3)
    engine.stop().result(10)


def test_a_plan_that_only_waits_for_its_tasks_can_be_paused_and_stopped(
    engine: RunEngine, log: Log
) -> None:
    def plan() -> Any:
        yield from background(endless(log), name="x")
        return "value"

    future = engine(plan())
    log.wait_for("task begins")
    engine.request_pause(defer=True)
    with pytest.raises(RunEngineInterrupted):
        future.result(10)
    assert engine.state == "paused"
    assert engine.background["x"].status is TaskStatus.PAUSED
    future = engine.resume()
    engine.background.cancel("x")
    assert future.result(10).plan_result == "value"

    future = engine(plan())
    log.wait_for("task begins", 2)
    engine.stop().result(10)
    assert future.outcome.result(10).exit_status == "success"


def test_a_pause_while_waiting_for_a_task_does_not_lose_its_result(
    engine: RunEngine, log: Log
) -> None:
    gate = threading.Event()

    def plan() -> Any:
        yield from background(lambda: gate.wait(10), name="x")
        log.add("waits")
        return (yield from wait_for_background("x"))

    engine(plan())
    log.wait_for("waits")
    for _ in range(3):
        engine.request_pause().result(10)
        future = engine.resume()
    engine.request_pause().result(10)
    gate.set()
    engine.background["x"].result(10)
    future = engine.resume()
    assert future.result(10).plan_result is True


def test_a_rewind_does_not_start_a_task_again(engine: RunEngine, log: Log) -> None:
    paused = threading.Event()

    def plan() -> Any:
        yield from checkpoint()
        yield from background(endless(log), name="x")
        log.add("started")
        while not paused.is_set():
            yield from sleep(0.002)
        engine.background.cancel("x")

    engine(plan())
    log.wait_for("started")
    engine.request_pause().result(10)
    paused.set()
    engine.resume().result(10)
    assert log.entries.count("task begins") == 1


def test_a_task_paused_by_its_user_stays_so_when_the_plan_resumes(
    engine: RunEngine, log: Log
) -> None:
    engine(parent(log, endless(log)))
    log.wait_for("task begins")
    (task,) = engine.background.running
    task.pause()
    engine.request_pause().result(10)
    engine.resume()
    for _ in range(5):
        on_loop(engine, lambda: None)
    assert task.status is TaskStatus.PAUSED
    task.resume()
    while task.status is not TaskStatus.RUNNING:
        on_loop(engine, lambda: None)
    engine.stop().result(10)


def test_a_suspender_suspends_the_tasks(engine: RunEngine, log: Log) -> None:
    def task() -> Any:
        while True:
            yield from checkpoint()
            yield from sleep(0)
            log.add("turn")

    async def coroutine() -> None:
        while log is not None:
            await asyncio.sleep(0)
            log.add("coroutine turns")

    engine(parent(log, task(), coroutine))
    log.wait_for("turn", 3)
    over = on_loop(engine, asyncio.Event)
    suspended = threading.Event()

    async def until() -> None:
        suspended.set()
        await over.wait()

    engine.request_suspend(until, justification="the beam is gone")
    assert suspended.wait(10)
    while engine.background["coroutine"].status is not TaskStatus.SUSPENDED:
        on_loop(engine, lambda: None)
    for _ in range(5):  # the messages that were under way
        on_loop(engine, lambda: None)
    count = log.entries.count("turn")
    for _ in range(20):
        on_loop(engine, lambda: None)
    assert log.entries.count("turn") == count
    engine.loop.call_soon_threadsafe(over.set)
    log.wait_for("turn", count + 3)
    engine.stop().result(10)


def test_a_pause_without_a_checkpoint_aborts_that_task_and_says_so(
    engine: RunEngine, log: Log
) -> None:
    def task() -> Any:
        yield Msg("clear_checkpoint")
        log.add("task begins")
        while True:
            yield from sleep(0.001)

    future = engine(parent(log, task()))
    log.wait_for("task begins")
    (handle,) = engine.background.running
    engine.request_pause().result(10)
    with pytest.raises(Exception, match="had cleared its checkpoint"):
        handle.result(10)
    engine.stop().result(10)
    assert future.outcome.done()


def test_a_failed_status_reaches_the_plan_that_waits_for_it_alone(
    engine: RunEngine, log: Log
) -> None:
    ours, theirs = Device("ours", by_hand=True), Device("theirs", by_hand=True)

    def task() -> Any:
        yield from abs_set(theirs, 1, group="A")
        yield from wait("A")

    def plan() -> Any:
        yield from background(task(), name="x")
        yield from abs_set(ours, 1, group="A")
        log.add("waits")
        yield from wait("A")
        try:
            yield from wait_for_background("x")
        except FailedStatus as error:
            return str(error)

    future = engine(plan())
    log.wait_for("waits")
    assert theirs.acted.wait(10)
    theirs.moves[0].finish(OSError("stuck"))
    while not engine.background["x"].done:
        on_loop(engine, lambda: None)
    assert not future.done()
    ours.moves[0].finish()
    assert "stuck" in future.result(10).plan_result


def test_groups_of_the_same_name_do_not_meet(engine: RunEngine, log: Log) -> None:
    ours, theirs = Device("ours", by_hand=True), Device("theirs", by_hand=True)

    def task() -> Any:
        yield from abs_set(theirs, 1, group="A")
        yield from wait("A")
        return "task"

    def plan() -> Any:
        yield from abs_set(ours, 1, group="A")
        yield from background(task(), name="x")
        log.add("waits")
        yield from wait("A")
        log.add("waited")
        return (yield from wait_for_background("x"))

    future = engine(plan())
    log.wait_for("waits")
    assert theirs.acted.wait(10)
    ours.moves[0].finish()
    log.wait_for("waited")
    assert not future.done()
    theirs.moves[0].finish()
    assert future.result(10).plan_result == "task"


def test_a_rewind_in_one_plan_repeats_nothing_in_another(engine: RunEngine, log: Log) -> None:
    ours, theirs, free = Device("ours"), Device("theirs"), Device("free")
    gate, paused = threading.Event(), threading.Event()

    def detached() -> Any:
        yield from checkpoint()
        yield from trigger(free, wait=True)
        yield from wait_for_background("gate")

    def task() -> Any:
        yield from checkpoint()
        yield from trigger(theirs, wait=True)
        yield from checkpoint()
        log.add("task ready")
        yield from wait_for_background("gate")

    def plan() -> Any:
        yield from background(lambda: gate.wait(10), name="gate", detach=True)
        yield from background(detached(), detach=True, name="detached")
        yield from background(task(), name="task")
        yield from checkpoint()
        yield from trigger(ours, wait=True)
        log.add("ready")
        while not paused.is_set():
            yield from sleep(0.002)
        gate.set()

    engine(plan())
    log.wait_for("ready")
    log.wait_for("task ready")
    engine.request_pause().result(10)
    paused.set()
    engine.resume().result(10)
    engine.background["detached"].result(10)
    assert ours.did == ["trigger", "trigger"]  # since its last checkpoint
    assert theirs.did == ["trigger"]
    assert free.did == ["trigger"]


def test_a_pause_stops_no_motor_of_a_task_that_runs_on(engine: RunEngine, log: Log) -> None:
    motor = Device("m", by_hand=True)

    def task() -> Any:
        yield from abs_set(motor, 3, wait=True)

    def plan() -> Any:
        yield from abs_set(motor, 1, group="mine")
        motor.moves[0].finish()
        yield from wait("mine")
        yield from background(task(), name="x", detach=True)
        log.add("started")
        yield from sleep(10)

    engine(plan())
    log.wait_for("started")
    while len(motor.moves) < 2:
        on_loop(engine, lambda: None)
    engine.request_pause().result(10)
    assert "stop" not in motor.did
    engine.stop().result(10)
    assert "stop" not in motor.did
    motor.moves[1].finish()
    engine.background["x"].result(10)
    assert motor.position == 3


def test_runs_of_a_task_are_its_own(engine: RunEngine, log: Log) -> None:
    documents: list[tuple[str, Any]] = []
    own: list[str] = []
    engine.subscribe(lambda name, doc: documents.append((name, doc)))
    detector = Device("det")

    def task() -> Any:
        yield Msg("subscribe", None, lambda name, doc: own.append(name), "all")
        yield Msg("open_run", run_of="task")
        yield Msg("create", name="primary")
        yield Msg("read", detector)
        log.add("task has an open event")
        yield from wait_for_background("gate")
        yield Msg("save")
        yield Msg("close_run")

    gate = threading.Event()

    def plan() -> Any:
        yield from background(lambda: gate.wait(10), name="gate")
        yield from background(task(), name="x")
        while not any("task" in doc.get("run_of", "") for _, doc in documents):
            yield from sleep(0.001)
        yield Msg("open_run", run_of="plan")
        yield Msg("create", name="primary")
        yield Msg("read", Device("other"))
        yield Msg("save")
        yield Msg("close_run")
        gate.set()

    engine(plan()).result(10)
    starts = {doc["run_of"]: doc["uid"] for name, doc in documents if name == "start"}
    stops = [doc["run_start"] for name, doc in documents if name == "stop"]
    assert stops == [starts["plan"], starts["task"]]
    assert own == ["start", "descriptor", "event", "stop"]
    assert len({doc["scan_id"] for name, doc in documents if name == "start"}) == 2


def test_commands_registered_by_a_user_work_in_tasks(engine: RunEngine) -> None:
    async def shout(msg: Msg) -> str:
        return str(msg.args[0]).upper()

    def task() -> Any:
        return (yield Msg("shout", None, "hey"))

    engine.register_command("shout", shout)
    assert engine.background.launch(task()).result(10) == "HEY"
    engine.unregister_command("shout")
    assert "shout" in str(engine.background.launch(task()).exception(10))
    assert "shout" not in engine.commands
    engine.register_command("shout", shout)
    assert engine.background.launch(task()).result(10) == "HEY"
    assert "shout" in engine.commands


def test_what_is_unregistered_on_the_engine_is_unknown_in_tasks_too(engine: RunEngine) -> None:
    def task() -> Any:
        yield Msg("checkpoint")
        yield Msg("null")

    assert engine.background.launch(task()).exception(10) is None
    engine.unregister_command("null")
    told = str(engine.background.launch(task()).exception(10))
    assert "'null' is no command" in told
    listed = told.rpartition("the commands are: ")[2].strip('."').split(", ")
    assert "null" not in listed
    assert {"set", "trigger", "open_run", "wait_for_background", "sleep"} <= set(listed)


def test_a_task_uses_the_command_that_replaces_one_of_bluesky(engine: RunEngine) -> None:
    used: list[str] = []

    async def null(msg: Msg) -> None:
        used.append(msg.command)

    def task() -> Any:
        yield Msg("null")

    engine.background.launch(task()).result(10)
    engine.register_command("null", null)
    engine.background.launch(task()).result(10)
    assert used == ["null"]


def test_a_status_that_fails_late_in_a_task_does_not_reach_the_foreground(
    engine: RunEngine,
) -> None:
    status = Finished(done=False)

    class Late(Device):
        def trigger(self) -> Finished:
            return status

    def task() -> Any:
        yield from trigger(Late("late"), group="never waited for")

    engine.background.launch(task()).result(10)
    status.finish(OSError("late"))
    assert engine(value(1)).result(10).plan_result == 1


def test_two_engines_on_one_loop_have_their_own_tasks(log: Log) -> None:
    with RunEngine() as one, RunEngine(loop=one.loop) as two:
        one.background.launch(endless(log, "of one"), name="x")
        log.wait_for("of one begins")
        assert "x" not in two.background
        two.close()
        assert one.background["x"].status is TaskStatus.RUNNING
