# ruff: noqa: N803
"""``RE.stop_all()``: every device is stopped and everything that runs is ended, in every state."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import CancelledError
from typing import Any

import pytest
from bluesky.utils import Msg, RunEngineInterrupted
from ophyd_async.core import AsyncStatus

from doubles import Blocked, quick
from freewheel import BlockingRunEngine, NotStoppedError, Status
from freewheel.background import TaskStatus
from freewheel.engine import _stop_all
from freewheel.plan_stubs import background

T = 15


class Axis:
    """A classic device: its ``stop`` is a plain function, and it knows whether it moves."""

    parent = None

    def __init__(self, name: str, log: list[str]) -> None:
        self.name = name
        self.log = log
        self.moving = False
        self.set_off = threading.Event()
        self.lock = threading.Lock()
        self.status: Any = None

    def set(self, value: Any) -> Any:
        self.moving = True
        self.status = Status()
        self.set_off.set()
        return self.status

    def stop(self, *, success: bool = False) -> None:
        self.log.append(f"stop {self.name}")
        with self.lock:  # the red button and the plan's clean-up may both come at once
            self.moving = False
            if self.status is not None and not self.status.done:
                self.status.set_finished()


class AsyncAxis(Axis):
    """A device whose ``stop`` is a coroutine, and must run on the loop."""

    async def stop(self, success: bool = False) -> None:  # type: ignore[override]
        assert asyncio.get_running_loop() is not None
        super().stop(success=success)


class TaskAxis(Axis):
    """A device whose ``stop`` is a plain function that starts a task, and so needs the loop."""

    def stop(self, *, success: bool = False) -> Any:
        asyncio.get_running_loop()
        return AsyncStatus(self._stop())

    async def _stop(self) -> None:
        super().stop()


class RaisingAxis(Axis):
    def stop(self, *, success: bool = False) -> None:
        self.log.append(f"stop {self.name}")
        raise OSError("no line to the controller")


class HangingAxis(Axis):
    def __init__(self, name: str, log: list[str]) -> None:
        super().__init__(name, log)
        self.let_go = threading.Event()

    def stop(self, *, success: bool = False) -> None:
        if threading.current_thread().name.startswith("stop "):
            self.let_go.wait(60)


@pytest.fixture
def log() -> list[str]:
    return []


def moving(axis: Any, log: list[str]) -> Any:
    try:
        yield Msg("open_run")
        yield Msg("checkpoint")
        yield Msg("set", axis, 1, group="move")
        yield Msg("wait", None, group="move")
        yield Msg("sleep", None, 600)
    finally:
        log.append(f"clean up {axis.name}")
        yield Msg("null")


@pytest.mark.parametrize("kind", [Axis, AsyncAxis, TaskAxis])
def test_plan_tasks_and_hands_come_to_rest(RE: Any, log: list[str], kind: Any) -> None:
    axes = {name: kind(name, log) for name in ("plan", "owned", "detached", "launched", "hand")}
    stops: list[Any] = []
    RE.subscribe(lambda name, doc: stops.append(doc), "stop")

    def plan() -> Any:
        yield from background(moving(axes["owned"], log), name="owned")
        yield from background(moving(axes["detached"], log), name="detached", detach=True)
        yield from moving(axes["plan"], log)

    future = RE(plan())
    RE.background.launch(moving(axes["launched"], log), name="launched")
    by_hand = RE.by_hand.set(axes["hand"], 1)
    for axis in axes.values():
        assert axis.set_off.wait(T)
    tasks = [RE.background[name] for name in ("owned", "detached", "launched")]
    assert RE.stop_all("the beam is gone").result(T) is None
    assert RE.state == "idle"
    assert isinstance(future.exception(T), RunEngineInterrupted)
    assert future.outcome.result(T).exit_status == "abort"
    assert RE.background.running == ()
    assert {task.status for task in tasks} == {TaskStatus.CANCELLED}
    by_hand.result(T)
    assert not any(axis.moving for axis in axes.values())
    for name in ("plan", "owned", "detached", "launched"):
        assert log.index(f"stop {name}") < log.index(f"clean up {name}")
    assert {stop["reason"] for stop in stops} == {"the beam is gone"}
    assert RE(quick(1)).result(T).plan_result == 1


def test_what_a_clean_up_sets_off_is_stopped_again(RE: Any, log: list[str]) -> None:
    axis, late = Axis("axis", log), Axis("late", log)

    def plan() -> Any:
        try:
            yield from moving(axis, log)
        finally:
            RE.by_hand._core.household.touched.add([late])
            late.set(1)

    RE(plan())
    assert axis.set_off.wait(T)
    RE.stop_all().result(T)
    assert not late.moving
    assert "stop late" in log


class Gate:
    """What a clean-up waits for, and a stop of everything does not stop."""

    name, parent = "gate", None

    def __init__(self) -> None:
        self.asked, self.status = threading.Event(), Status()

    def set(self, value: Any) -> Any:
        self.asked.set()
        return self.status


def test_what_a_plan_moves_that_was_begun_since_is_not_stopped_again(
    RE: Any, log: list[str]
) -> None:
    axis, gate, begun = Axis("axis", log), Gate(), threading.Event()

    def task() -> Any:
        try:
            begun.set()
            yield Msg("sleep", None, 600)
        finally:
            yield Msg("set", gate, 1, group="gate")
            yield Msg("wait", None, group="gate")

    future = RE(moving(axis, log))
    assert axis.set_off.wait(T)
    RE.background.launch(task(), name="task")
    assert begun.wait(T)
    stopped = RE.stop_all()
    assert gate.asked.wait(T)  # so that the stop of everything is not over
    future.exception(T)
    axis.set_off.clear()
    log.clear()
    RE(moving(axis, log))
    assert axis.set_off.wait(T)
    gate.status.set_finished()
    stopped.result(T)
    assert axis.moving
    assert log == []


@pytest.mark.parametrize("part", ["stop", "name", "moving"])
def test_a_device_that_raises_at_a_look_keeps_no_other(RE: Any, log: list[str], part: str) -> None:
    def gone(_: Any) -> Any:
        raise ConnectionError("the server has gone")

    good, bad = Axis("good", log), Axis("bad", log)
    kind = type("GoneAxis", (Axis,), {})
    bad.__class__ = kind

    def plan() -> Any:
        yield Msg("set", bad, 1)
        yield Msg("set", good, 1)
        yield Msg("sleep", None, 60)

    future = RE(plan())
    assert good.set_off.wait(T)
    setattr(kind, part, property(gone))
    # This device's own stop looks at itself, too: so it cannot be stopped, and is named.
    assert isinstance(RE.stop_all().exception(T), NotStoppedError)
    assert isinstance(future.exception(T), RunEngineInterrupted)
    # By the button, and by the plan's own clean-up.
    assert log.count("stop good") >= 2
    assert not RE.claims


def test_a_stop_that_raises_or_hangs_keeps_no_other(
    RE: Any, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_stop_all, "AT_MOST", 1.0)
    hangs, raises, good = HangingAxis("hangs", log), RaisingAxis("raises", log), Axis("good", log)

    def plan() -> Any:
        for axis in (hangs, raises, good):
            yield Msg("set", axis, 1)
        yield Msg("sleep", None, 600)

    RE(plan())
    assert good.set_off.wait(T)
    try:
        with pytest.raises(NotStoppedError) as caught:
            RE.stop_all().result(T)
    finally:
        hangs.let_go.set()
    assert not good.moving
    text = str(caught.value)
    assert "stop() of 'hangs' has not come back" in text
    assert "stop() of 'raises' raised OSError: no line to the controller" in text
    assert "good" not in text


def test_a_busy_loop_keeps_no_classic_device_and_is_named(
    RE: Any, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_stop_all, "AT_MOST", 1.0)
    axis, other = Axis("classic", log), AsyncAxis("async", log)

    def plan() -> Any:
        yield Msg("set", axis, 1)
        yield Msg("set", other, 1)
        yield Msg("sleep", None, 600)

    future = RE(plan())
    assert other.set_off.wait(T)
    with Blocked(RE):
        button = RE.stop_all()
        error = button.exception(T)
        assert not axis.moving
        assert isinstance(error, NotStoppedError)
        assert "'async' could not be called: the engine's thread is busy" in str(error)
        assert "plan 'plan' is still aborting" in str(error)
    assert isinstance(future.exception(T), RunEngineInterrupted)


@pytest.mark.parametrize("state", ["idle", "paused", "stopping", "closed"])
def test_it_is_never_refused(make_engine: Any, log: list[str], state: str) -> None:
    engine, axis, let_go = make_engine(), Axis("axis", log), threading.Event()

    def plan() -> Any:
        try:
            yield from moving(axis, log)
        finally:
            engine.loop.call_later(0.05, let_go.set)
            yield Msg("wait_for", None, [lambda: asyncio.to_thread(let_go.wait, T)])

    if state == "closed":
        engine.close()
    elif state != "idle":
        engine(plan())
        assert axis.set_off.wait(T)
        if state == "paused":
            engine.request_pause().result(T)
        else:
            engine.stop()
    assert engine.stop_all("why not").result(T) is None
    if state != "closed":
        assert engine.state == "idle"


def test_from_the_engines_own_thread(RE: Any, log: list[str]) -> None:
    axis, buttons = Axis("axis", log), []
    future = RE(moving(axis, log))
    assert axis.set_off.wait(T)
    RE.loop.call_soon_threadsafe(lambda: buttons.append(RE.stop_all("from a callback")))
    assert "from a callback" in str(future.exception(T))
    buttons[0].result(T)
    assert not axis.moving


@pytest.mark.parametrize("mode", ["cancel", "hold"])
def test_what_waits_is_cancelled_or_held(
    RE: Any, log: list[str], mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    RE.queue.on_interruption = mode
    axis = Axis("axis", log)
    RE(moving(axis, log))
    waiting = RE(quick(1))
    assert axis.set_off.wait(T)
    with caplog.at_level(logging.WARNING, "freewheel"):
        RE.stop_all("smoke").result(T)
    lines = [record.getMessage() for record in caplog.records]
    if mode == "cancel":
        with pytest.raises(CancelledError):
            waiting.result(T)
        assert RE.queue.held is None
        assert any("RE(plan) starts the next plan" in line for line in lines)
    else:
        assert "smoke" in RE.queue.held
        assert any("RE.queue.release()" in line for line in lines)
        RE.queue.release()
        assert waiting.result(T).plan_result == 1


def test_an_idle_engines_queue_is_held_too(RE: Any) -> None:
    RE.queue.on_interruption = "hold"
    RE.stop_all().result(T)
    assert RE.queue.held
    waiting = RE(quick(1))
    assert RE.state == "idle"
    RE.queue.release()
    assert waiting.result(T).plan_result == 1


def test_devices_of_plans_that_have_ended_are_stopped_too(RE: Any, log: list[str]) -> None:
    axis = Axis("axis", log)

    def plan() -> Any:
        yield Msg("set", axis, 1)

    RE(plan()).result(T)
    RE(quick()).result(T)
    log.clear()
    axis.moving = True  # by somebody else's hand
    RE.stop_all().result(T)
    assert not axis.moving


def test_a_task_that_is_started_meanwhile_is_ended_and_told_of(
    RE: Any, log: list[str], caplog: Any
) -> None:
    caplog.set_level(logging.WARNING, "freewheel")
    with Blocked(RE):
        stopped = RE.stop_all()
        task = RE.background.launch(moving(Axis("axis", log), log), name="late")
    assert task.result(T) is None
    assert task.status is TaskStatus.CANCELLED
    assert stopped.result(T) is None
    assert "'late' is aborted" in caplog.text


def test_a_service_that_ends_ends_everything(RE: Any, log: list[str]) -> None:
    axis, own = Axis("launched", log), Axis("plan", log)
    fire = threading.Event()

    def interlock(context: Any) -> None:
        while not context.cancel_event.is_set():
            if fire.wait(0.01):
                raise RuntimeError("the door is open")

    RE.adopt(interlock)
    task = RE.background.launch(moving(axis, log), name="launched")
    future = RE(moving(own, log))
    assert axis.set_off.wait(T)
    assert own.set_off.wait(T)
    fire.set()
    assert "the door is open" in str(future.exception(T))
    assert task.future.exception(T) is None
    assert task.status is TaskStatus.CANCELLED
    assert not axis.moving
    assert not own.moving


def test_a_blocking_engine_waits_for_it(log: list[str]) -> None:
    axis = Axis("axis", log)
    with BlockingRunEngine() as engine:
        engine.background.launch(moving(axis, log))
        assert axis.set_off.wait(T)
        assert engine.stop_all() is None
        assert engine.background.running == ()
        assert not axis.moving
