"""What users of other background engines look for, under the names that they know."""

from __future__ import annotations

import asyncio
import functools
import threading
from typing import Any

import pytest

from doubles import Device, Log, endless, on_loop, run, value
from freewheel import BackgroundTask, MergeMode, ResourceConflictError, RunEngine, TaskContext
from freewheel.background import TaskStatus, service
from freewheel.plan_stubs import background, checkpoint, mv, sleep, wait_for_background

T = 10


def later(gate: threading.Event, result: Any) -> Any:
    """A function that returns when the test lets it."""
    return functools.partial(_wait, gate, result)


def _wait(gate: threading.Event, result: Any) -> Any:
    assert gate.wait(T)
    return result


# -- looking -------------------------------------------------------------------------------------


def test_tasks_by_status(engine: RunEngine, log: Log) -> None:
    done = engine.background.launch(value(1), name="done")
    done.wait(T)
    runs = engine.background.launch(endless(log), name="runs")
    log.wait_for("task begins")
    background_ = engine.background
    assert background_.tasks() == (done, runs)
    assert background_.tasks("completed") == background_.tasks(TaskStatus.COMPLETED) == (done,)
    assert background_.tasks(status=["running", TaskStatus.COMPLETED]) == (done, runs)
    assert background_.tasks("failed") == ()
    assert background_.get("runs") is runs
    with pytest.raises(ValueError, match="'finished' is not a valid TaskStatus"):
        background_.tasks("finished")
    runs.cancel()
    runs.wait(T)


def test_a_task_knows_what_has_started_it_and_with_what(engine: RunEngine) -> None:
    def middle() -> Any:
        return (yield from background(value(1), name="inner", detach=True))

    def plan() -> Any:
        outer = yield from background(middle(), name="outer", metadata={"sample": "A"})
        return outer, (yield from wait_for_background("outer"))

    future = engine(plan())
    outer, inner = future.result(T).plan_result
    assert outer.parent is future
    assert inner.parent is outer
    assert outer.metadata == {"sample": "A"}
    assert inner.metadata == {}
    launched = engine.background.launch(value(1), sample="B")
    assert launched.parent is None
    assert launched.metadata == {"sample": "B"}
    with pytest.raises(TypeError):
        launched.metadata["sample"] = "C"
    launched.wait(T)
    inner.wait(T)


def test_what_a_task_was_started_with_is_in_its_runs(engine: RunEngine) -> None:
    found: list[Any] = []
    engine.subscribe(lambda _, doc: found.append(doc.get("sample")), "start")

    def plan() -> Any:
        from doubles import in_a_run

        yield from background(in_a_run(), metadata={"sample": "A"})

    run(engine, plan())
    assert found == ["A"]


def test_enums_are_texts() -> None:
    assert f"{TaskStatus.RUNNING} {MergeMode.HOT}" == "running hot"
    assert TaskStatus("paused") is TaskStatus.PAUSED


# -- results that nobody was there to receive ----------------------------------------------------


async def test_what_is_pending_can_be_awaited(engine: RunEngine) -> None:
    pending = engine.background.pending
    assert not await pending.wait_async(0)
    gate = threading.Event()
    task = engine.background.launch(later(gate, 5))
    waits = asyncio.create_task(pending.wait_async(T))
    awaits = asyncio.ensure_future(pending)
    await asyncio.sleep(0)
    gate.set()
    assert await waits
    assert await awaits
    assert await pending
    assert pending.pop() is task
    assert pending.pop() is None


async def test_drain_gives_what_has_come_and_what_still_comes(engine: RunEngine) -> None:
    gates = [threading.Event() for _ in range(2)]
    first = engine.background.launch(value(0), name="first")
    first.wait(T)
    for gate, name in zip(gates, ("second", "third"), strict=True):
        engine.background.launch(later(gate, name), name=name)
    cancelled = engine.background.launch(endless(), name="cancelled")
    drained = []
    async for task in engine.background.drain():
        drained.append(task.name)
        if gates:
            gates.pop(0).set()
        else:
            cancelled.cancel()
    assert drained == ["first", "second", "third"]
    assert engine.background.pending.empty


async def test_drain_without_anything(engine: RunEngine) -> None:
    assert [task async for task in engine.background.drain()] == []


def test_a_task_that_drains_does_not_wait_for_itself(engine: RunEngine) -> None:
    gate = threading.Event()

    async def drains() -> list[str]:
        gate.set()
        return [task.name async for task in engine.background.drain()]

    engine.background.launch(later(gate, 1), name="other")
    assert engine.background.launch(drains).wait(T) == ["other"]


def test_two_tasks_that_drain_do_not_wait_for_each_other(engine: RunEngine) -> None:
    gate = threading.Event()

    async def drains() -> list[str]:
        return [task.name async for task in engine.background.drain()]

    engine.background.launch(later(gate, 1), name="other")
    two = [engine.background.launch(drains) for _ in range(2)]
    gate.set()
    for task in two:
        task.wait(T)


def test_one_callback_of_results_takes_nothing_from_the_others(
    engine: RunEngine, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    def leave(*_: object) -> None:
        raise SystemExit(3)

    async def cancelled(*_: object) -> None:
        raise asyncio.CancelledError

    for callback in (leave, cancelled, lambda *_: log.add("told")):
        engine.background.on_merge(callback)
    engine.background.launch(lambda: 1).wait(T)
    log.wait_for("told")
    engine.execute(asyncio.sleep, 0)
    assert caplog.text.count("A callback of on_merge raised for the task '<lambda>'") == 2


def test_a_coroutine_function_is_told_of_results(
    engine: RunEngine, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    async def tell(task: BackgroundTask, mode: MergeMode) -> None:
        await asyncio.sleep(0)
        log.add((task.result(), mode, asyncio.get_running_loop() is engine.loop))

    async def fail(task: BackgroundTask, _: MergeMode) -> None:
        await asyncio.sleep(0)
        log.add("fails")
        raise ValueError("not told")

    engine.background.on_merge(tell)
    disconnect = engine.background.on_merge(fail)
    engine.background.launch(value(5), name="five")
    log.wait_for((5, MergeMode.WAKEUP, True))
    log.wait_for("fails")
    on_loop(engine, lambda: None)
    assert "A callback of on_merge raised for the task 'five'" in caplog.text
    assert "not told" in caplog.text
    disconnect()


# -- objects with a method run -------------------------------------------------------------------


class Count:
    """Runs on a thread."""

    def __init__(self, device: Any = None, begun: Any = None) -> None:
        self.device_ids = () if device is None else (device,)
        self.begun = begun or threading.Event()

    def run(self, context: TaskContext) -> Any:
        self.begun.set()
        rounds = 0
        while context.rest_while_paused() and not context.cancel_event.wait(0.001):
            rounds += 1
        return sorted(context.devices), rounds >= 0


class Watch(Count):
    """Runs on the loop."""

    async def run(self, context: TaskContext) -> Any:  # type: ignore[override]
        self.begun.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.told = context.cancelled, context.resume_event.is_set()


class Move(Count):
    """Is a plan."""

    def run(self, context: TaskContext) -> Any:
        (motor,) = context.devices.values()
        yield from mv(motor, 3)
        self.begun.set()
        while True:
            yield from checkpoint()
            yield from sleep(0.001)


@pytest.mark.parametrize("kind", [Count, Watch, Move])
@pytest.mark.parametrize("by_name", [True, False])
def test_an_object_with_run_is_a_payload_and_its_devices_are_claims(
    engine: RunEngine, kind: Any, by_name: bool
) -> None:
    motor = Device("m")
    engine.background.devices["m"] = motor
    thing = kind("m" if by_name else motor)
    task = engine.background.launch(thing)
    assert task.name == kind.__name__
    assert thing.begun.wait(T)
    assert task.claims == (motor,)
    with pytest.raises(ResourceConflictError):
        engine.by_hand.set(motor, 1)
    task.pause()
    while task.status is not TaskStatus.PAUSED:
        on_loop(engine, lambda: None)
    task.resume()
    task.cancel()
    assert task.wait(T) is None
    assert engine.claims.by_name() == {}
    if kind is Count:
        assert task.value == (["m"], True)
    if kind is Watch:
        assert thing.told == (True, True)


def test_a_plan_starts_one_too_and_lends_it_the_device(engine: RunEngine) -> None:
    class Once:
        def __init__(self, motor: Any) -> None:
            self.device_ids = [motor]

        def run(self, context: TaskContext) -> Any:
            return list(context.devices)

    def plan() -> Any:
        yield from background(Once(Device("m")))
        return (yield from wait_for_background("Once"))

    assert run(engine, plan()) == ["m"]


def test_run_without_a_context(engine: RunEngine) -> None:
    class Plain:
        def run(self) -> int:
            return 4

    assert engine.background.launch(Plain()).wait(T) == 4
    assert engine.execute(Plain()) == 4


def test_registered_classes_are_launched_by_name(engine: RunEngine) -> None:
    engine.background.register(count=Count, five=lambda: value(5))
    begun = threading.Event()
    task = engine.background.launch_registered("job 7", "count", begun=begun)
    assert engine.background["job 7"] is task
    assert begun.wait(T)
    task.cancel()
    task.wait(T)
    assert engine.background.launch_registered("job 8", "five").wait(T) == 5


def test_what_is_wrong_with_names_is_said(engine: RunEngine) -> None:
    engine.background.register(count=Count)
    with pytest.raises(KeyError, match="registered as 'cuont'; registered are: 'count'"):
        engine.background.launch_registered("job", "cuont")
    with pytest.raises(TypeError, match="register its class, count=Count"):
        engine.background.register(count=Count())
    engine.background.devices["cam"] = Device("cam")
    with pytest.raises(KeyError, match=r"Count needs the device 'm', .* it has: 'cam'"):
        engine.background.launch(Count("m"))
    with pytest.raises(TypeError, match="an object with a method `run`"):
        engine.background.launch(object())
    with pytest.raises(TypeError, match="a service holds no devices"):
        engine.adopt(Count("cam"))
    with pytest.raises(TypeError, match="takes no arguments any more"):
        engine.execute(Count(), 3)
    assert not engine.background.running


# -- services ------------------------------------------------------------------------------------


def test_service_without_brackets() -> None:
    @service
    class Guard:
        def __init__(self) -> None:
            self.begun = threading.Event()

        def run(self, context: TaskContext) -> None:
            self.begun.set()
            context.cancel_event.wait(60)

    guard = Guard()
    with RunEngine():
        assert guard.begun.wait(T)
    with pytest.raises(TypeError, match="a class with a method `run`"):
        service(3)  # type: ignore[type-var]
