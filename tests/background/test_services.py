"""Services: what runs for as long as the engine does."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from doubles import Log, endless, on_loop, value
from freewheel import EngineClosedError, RunEngine, ServiceFailedError, TaskContext
from freewheel.background import TaskStatus, service


def watchdog(context: TaskContext) -> None:
    context.cancel_event.wait(60)


def test_a_service_runs_until_the_engine_is_closed(log: Log) -> None:
    async def coroutine() -> None:
        log.add("begins")
        try:
            await asyncio.Event().wait()
        finally:
            log.add("ends")

    with RunEngine() as engine:
        adopted = [engine.adopt(coroutine), engine.adopt(watchdog)]
        log.wait_for("begins")
        assert engine(value(1)).result(10).plan_result == 1
        assert all(task.status is TaskStatus.RUNNING for task in adopted)
        assert len(engine.background) == 0  # a service is no task
    assert [task.status for task in adopted] == [TaskStatus.CANCELLED] * 2
    assert log.entries == ["begins", "ends"]


@pytest.mark.parametrize("fails", [True, False])
def test_a_service_that_ends_aborts_the_plan_and_refuses_others(
    engine: RunEngine, log: Log, fails: bool, caplog: pytest.LogCaptureFixture
) -> None:
    gate = threading.Event()

    def guard(limit: int) -> int:
        gate.wait(10)
        if fails:
            raise OSError("the shutter is gone")
        return limit

    engine.adopt(guard, 7)
    future = engine(endless(log))
    log.wait_for("task begins")
    gate.set()
    what = "raised OSError: the shutter is gone" if fails else "returned 7"
    result = future.outcome.result(10)
    assert result.exit_status == "abort"
    assert f"the service 'guard' {what}" in result.reason
    assert what in caplog.text
    for use in (engine, engine.background.launch):
        with pytest.raises(ServiceFailedError, match=what) as refused:
            use(value(1))
        assert isinstance(refused.value.__cause__, OSError) is fails
    gate.clear()
    engine.adopt(guard, 7)
    assert engine(value(1)).result(10).plan_result == 1
    assert engine.background.launch(value(1)).result(10) == 1
    gate.set()


def test_cancelling_a_service_releases_it(engine: RunEngine) -> None:
    task = engine.adopt(watchdog)
    task.cancel()
    assert task.result(10) is None
    assert engine(value(1)).result(10).plan_result == 1


def test_execute_runs_to_the_end_and_returns_the_value(engine: RunEngine) -> None:
    async def coroutine(a: int, b: int) -> int:
        await asyncio.sleep(0)
        return a + b

    def function(a: int) -> str:
        return f"{a} on {threading.current_thread() is not threading.main_thread()}"

    assert engine.execute(coroutine, 1, b=2) == 3
    assert engine.execute(function, 4) == "4 on True"
    assert engine.execute(value(5)) == 5
    with pytest.raises(ZeroDivisionError):
        engine.execute(lambda: 1 / 0)
    assert engine.background.pending.empty


def test_execute_on_the_engines_own_thread_is_refused(engine: RunEngine) -> None:
    with pytest.raises(RuntimeError, match=r"would never return.*RE\.background\.launch"):
        on_loop(engine, lambda: engine.execute(lambda: 1))


def test_a_plan_is_no_service(engine: RunEngine) -> None:
    with pytest.raises(TypeError, match="'endless' cannot be a service"):
        engine.adopt(endless())


def test_instances_of_a_marked_class_are_adopted_when_an_engine_starts(log: Log) -> None:
    @service(flavour="asyncio")
    class Heartbeat:
        def __init__(self, name: str) -> None:
            self.name = name

        async def run(self) -> None:
            log.add(f"{self.name} begins")
            try:
                await asyncio.Event().wait()
            finally:
                log.add(f"{self.name} ends")

    early = Heartbeat("early")
    with RunEngine():
        log.wait_for("early begins")
        late = Heartbeat("late")
        with RunEngine():  # the first engine has the early one still
            log.wait_for("late begins")
    assert log.entries.count("early begins") == 1
    with RunEngine():
        log.wait_for("early begins", 2)
        log.wait_for("late begins", 2)
    assert log.entries.count("early ends") == log.entries.count("late ends") == 2
    del early, late


def test_only_a_class_with_run_can_be_marked() -> None:
    with pytest.raises(TypeError, match="a method `run`"):
        service()(type("Idle", (), {}))
    with pytest.raises(TypeError, match="a method `run`"):
        service()(lambda: None)  # type: ignore[type-var]


def test_a_closed_engine_adopts_and_launches_nothing() -> None:
    engine = RunEngine()
    engine.close()
    uses: list[Any] = [engine.adopt, engine.execute, engine.background.launch]
    for use in uses:
        with pytest.raises(EngineClosedError):
            use(watchdog)
