"""What a plan holds, so that nobody moves, stages or unstages it in between; and who lends what."""

from __future__ import annotations

import asyncio
import threading
import time
from contextvars import Context
from typing import Any

import pytest
from bluesky.plan_stubs import abs_set, close_run, mv, open_run, stage, trigger, unstage, wait
from bluesky.plans import scan
from bluesky.preprocessors import stage_wrapper
from bluesky.run_engine import RunEngineInterrupted, TransitionError
from bluesky.suspenders import SuspendBoolHigh
from bluesky.utils import Msg
from ophyd import Component, Signal, SoftPositioner
from ophyd import Device as OphydDevice
from ophyd.pseudopos import (
    PseudoPositioner,
    PseudoSingle,
    pseudo_position_argument,
    real_position_argument,
)
from ophyd_async.core import StandardReadable, soft_signal_rw

from doubles import Device, Finished, Gate, Log, Mover, endless, on_loop, run
from freewheel import EngineClosedError, ResourceConflictError, RunEngine
from freewheel.background import TaskStatus
from freewheel.plan_stubs import background, checkpoint, claim, release, wait_for_background

WAIT = 10


def touching(motor: Any, value: float = 100) -> Any:
    """A task that moves what it has not claimed."""
    yield from mv(motor, value)


def until(engine: RunEngine, condition: Any) -> None:
    """Let the engine's loop turn until something is so."""
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline
        on_loop(engine, lambda: None)


def conflict_of(task: Any) -> ResourceConflictError:
    error = task.exception(WAIT)
    assert isinstance(error, ResourceConflictError), error
    return error


# -- what the foreground holds ------------------------------------------------------------------


def test_nobody_moves_the_motor_of_a_scan_between_two_points(engine: RunEngine) -> None:
    camera, motor = Device("camera"), Device("m")
    tasks: list[Any] = []
    places: list[Any] = []

    def between_points(name: str, doc: Any) -> None:
        places.append(doc["data"]["m"])
        if len(places) < 4:
            tasks.append(engine.background.launch(touching(motor)))

    engine.subscribe(between_points, "event")
    result = engine(scan([camera], motor, 0, 3, 4)).result(WAIT)

    assert result.exit_status == "success"
    assert places == [0, 1, 2, 3]
    for task in tasks:
        error = conflict_of(task)
        assert (error.device, error.holder.name) == (motor, "scan")
        assert "on_conflict='pause'" in str(error)
        assert "claims=" in str(error)
    assert ("set", 100) not in motor.did
    assert not engine.claims


def test_a_hand_is_refused_in_the_middle_of_a_run(engine: RunEngine, log: Log) -> None:
    motor, camera = Device("m"), Device("camera", by_hand=True)

    def plan() -> Any:
        yield from open_run()
        yield from mv(motor, 1)
        log.add("exposing")
        yield from trigger(camera, wait=True)
        yield from close_run()
        log.add("closed")
        yield Msg("sleep", None, 60)

    engine(plan())
    log.wait_for("exposing")
    assert camera.acted.wait(WAIT)
    with pytest.raises(ResourceConflictError, match="Pause the plan"):
        engine.by_hand.set(motor, 500)
    with pytest.raises(ResourceConflictError), engine.claims.hold(motor):
        pass
    assert dict(engine.claims.by_name()) == {"m": "plan", "camera": "plan"}
    on_loop(engine, camera.stop)
    log.wait_for("closed")  # and with that its motor is free
    engine.by_hand.set(motor, 500).result(WAIT)
    assert motor.position == 500
    engine.stop().result(WAIT)


def test_a_motor_without_a_run_is_held_while_it_moves(engine: RunEngine, log: Log) -> None:
    motor = Device("m", by_hand=True)

    def plan() -> Any:
        yield from abs_set(motor, 1, group="A")
        log.add("moving")
        yield from wait("A")
        log.add("there")
        yield Msg("sleep", None, 60)

    engine(plan())
    log.wait_for("moving")
    assert engine.claims[motor] == "plan"
    with pytest.raises(ResourceConflictError):
        engine.by_hand.set(motor, 2)
    on_loop(engine, motor.stop)
    log.wait_for("there")
    assert motor not in engine.claims
    engine.stop().result(WAIT)


def test_a_task_says_which_device_it_waits_for(engine: RunEngine, log: Log) -> None:
    motor, told = Device("m", by_hand=True), []
    engine.events.background_changed.connect(lambda task: told.append(task.standing))

    def plan() -> Any:
        yield from abs_set(motor, 1, group="A")
        log.add("moving")
        yield from wait("A")

    future = engine(plan())
    log.wait_for("moving")
    task = engine.background.launch(touching(motor), name="t", on_conflict="pause")
    until(engine, lambda: task.waits_for)
    assert task.waits_for == "'m', which 'plan' holds"
    assert repr(task) == "<BackgroundTask 't': running, waits for 'm', which 'plan' holds>"
    assert "'t' is running, waits for 'm'" in engine.explain()
    for place in range(3):  # it looks whether these were in its way, and has nothing new to say
        engine.by_hand.set(Device("other"), place).result(WAIT)
    on_loop(engine, motor.stop)
    future.result(WAIT)
    until(engine, lambda: not task.waits_for)
    until(engine, lambda: ("set", 100) in motor.did)
    on_loop(engine, motor.stop)
    task.result(WAIT)
    assert told.count("running, waits for 'm', which 'plan' holds") == 1
    assert task.standing == "completed"


def test_a_task_that_has_only_waited_for_a_device_ends_at_once(engine: RunEngine, log: Log) -> None:
    camera, motor = Device("camera"), Device("m", by_hand=True)

    def plan() -> Any:
        yield from claim(camera)
        yield from abs_set(motor, 1, group="A")
        log.add("moving")
        yield from wait("A")

    future = engine(plan())
    log.wait_for("moving")
    view = stage_wrapper(touching(Device("n")), [camera])
    task = engine.background.launch(view, name="t", on_conflict="pause")
    until(engine, lambda: task.waits_for)
    task.cancel()
    until(engine, lambda: task.status.ended)
    assert task.status is TaskStatus.CANCELLED
    assert not future.done()
    assert camera.did == []  # nor is it unstaged under the plan that has it
    on_loop(engine, motor.stop)
    future.result(WAIT)


class SlowToStop(Device):
    """Takes its time to stop, and stops then whatever it does by then."""

    def __init__(self, name: str, log: Log) -> None:
        super().__init__(name)
        self._log = log
        self.may_stop = asyncio.Event()

    async def stop(self, *, success: bool = True) -> None:
        self._log.add("stopping")
        await self.may_stop.wait()
        self.did.append(("stop", success))


@pytest.mark.parametrize("command", ["stop", "set"])
def test_a_task_has_a_device_when_the_message_is_over_that_it_was_for(
    engine: RunEngine, log: Log, command: str
) -> None:
    """The plan goes on for long, and does nothing more to any device."""
    motor = SlowToStop("m", log)

    async def stops(msg: Msg) -> None:
        await msg.obj.stop()

    if command == "set":  # one's own, that waits
        engine.register_command("set", stops)

    def plan() -> Any:
        yield Msg(command, motor)
        yield from endless()

    def unstaging() -> Any:
        yield Msg("unstage", motor)

    future = engine(plan())
    log.wait_for("stopping")
    task = engine.background.launch(unstaging(), on_conflict="pause")
    until(engine, lambda: task.waits_for)
    on_loop(engine, motor.may_stop.set)
    task.result(WAIT)
    engine.stop()
    with pytest.raises(RunEngineInterrupted):
        future.result(WAIT)


@pytest.mark.parametrize("pause", [False, True])
def test_nobody_moves_what_a_plan_stops_until_it_has_stopped(
    engine: RunEngine, log: Log, pause: bool
) -> None:
    motor = SlowToStop("m", log)

    def plan() -> Any:
        yield Msg("checkpoint")
        yield from mv(motor, 1)
        log.add("there")
        if pause:
            yield Msg("sleep", None, 60)

    future = engine(plan())
    log.wait_for("there")
    if pause:
        engine.request_pause()
    log.wait_for("stopping")
    with pytest.raises(ResourceConflictError, match="'plan' holds"):
        engine.by_hand.set(motor, 5)
    task = engine.background.launch(touching(motor), name="t", on_conflict="pause")
    until(engine, lambda: task.waits_for)
    assert motor.did == [("set", 1)]
    on_loop(engine, motor.may_stop.set)
    task.result(WAIT)
    assert motor.did[:3] == [("set", 1), ("stop", True), ("set", 100)]
    if pause:
        engine.stop().result(WAIT)
    assert future.outcome.result(WAIT).exit_status == "success"


def test_a_run_that_closes_does_not_let_go_of_what_still_moves(engine: RunEngine, log: Log) -> None:
    motor = Device("m", by_hand=True)

    def plan() -> Any:
        yield from open_run()
        yield from abs_set(motor, 1, group="A")
        yield from close_run()
        log.add("closed")
        yield from wait("A")
        log.add("there")
        yield Msg("sleep", None, 60)

    engine(plan())
    log.wait_for("closed")
    assert engine.claims[motor] == "plan"
    on_loop(engine, motor.stop)
    log.wait_for("there")
    assert motor not in engine.claims
    engine.stop().result(WAIT)


def test_nobody_stages_or_unstages_what_the_foreground_has_staged(
    engine: RunEngine, log: Log
) -> None:
    camera = Device("camera")

    def plan() -> Any:
        yield from stage(camera)
        log.add("staged")
        yield Msg("wait_for", None, [lambda: gate.wait()])
        yield from unstage(camera)
        log.add("unstaged")
        yield Msg("sleep", None, 60)

    def task() -> Any:
        yield from stage(camera)
        yield from unstage(camera)

    gate = on_loop(engine, asyncio.Event)
    engine(plan())
    log.wait_for("staged")
    conflict_of(engine.background.launch(task()))
    assert camera.did == ["stage"]
    engine.loop.call_soon_threadsafe(gate.set)
    log.wait_for("unstaged")
    engine.background.launch(task()).result(WAIT)
    assert camera.did == ["stage", "unstage", "stage", "unstage"]
    engine.stop().result(WAIT)


def test_what_is_held_is_held_until_the_clean_up_is_over(engine: RunEngine, log: Log) -> None:
    camera = Device("camera")
    refused: list[Any] = []

    def unstage_and_look() -> list[Any]:
        try:
            engine.by_hand.set(camera, 1)
        except ResourceConflictError as error:
            refused.append(error)
        return [camera]

    camera.unstage = unstage_and_look  # type: ignore[method-assign]

    def plan() -> Any:
        yield from stage(camera)

    engine(plan()).result(WAIT)
    assert len(refused) == 1
    assert not engine.claims


def test_a_device_is_free_when_what_it_was_told_last_is_done_at_once(engine: RunEngine) -> None:
    mover, held, free, gate = Mover(), threading.Event(), threading.Event(), Gate(engine)
    engine.events.claims_changed.connect(
        lambda claims: held.set() if claims else held.is_set() and free.set()
    )

    def plan() -> Any:
        yield Msg("set", mover, 1)
        yield from gate.plan()
        mover.set = lambda value: Finished()  # type: ignore[method-assign,assignment,return-value]
        yield Msg("set", mover, 2)
        yield from endless()

    future = engine(plan())
    assert held.wait(WAIT)
    gate.open()
    assert free.wait(WAIT)
    engine.stop()
    with pytest.raises(RunEngineInterrupted):
        future.result(WAIT)


def test_events_tell_of_implicit_holds(engine: RunEngine, log: Log) -> None:
    motor = Device("m", by_hand=True)
    seen = threading.Event()
    engine.events.claims_changed.connect(lambda held: held == {"m": "plan"} and seen.set())

    def plan() -> Any:
        yield from abs_set(motor, 1, group="A")
        yield from wait("A")

    future = engine(plan())
    assert seen.wait(WAIT)
    on_loop(engine, motor.stop)
    future.result(WAIT)


# -- waiting instead of being refused -----------------------------------------------------------


def test_a_task_that_would_rather_wait_gets_the_device_after_the_run(
    engine: RunEngine, log: Log
) -> None:
    motor = Device("m")

    def plan() -> Any:
        yield from open_run()
        yield from mv(motor, 1)
        log.add("held")
        yield Msg("wait_for", None, [lambda: gate.wait()])
        yield from close_run()
        yield Msg("sleep", None, 60)

    gate = on_loop(engine, asyncio.Event)
    engine(plan())
    log.wait_for("held")
    task = engine.background.launch(touching(motor, 7), on_conflict="pause")
    for _ in range(5):
        on_loop(engine, lambda: None)
    assert not task.done
    assert motor.position == 1
    engine.loop.call_soon_threadsafe(gate.set)
    task.result(WAIT)
    assert motor.position == 7
    engine.stop().result(WAIT)


def test_a_task_waits_for_what_is_unstaged_just_now(engine: RunEngine, log: Log) -> None:
    camera, unstaged = Device("camera"), Finished(False)
    camera.unstage = lambda: unstaged  # type: ignore[method-assign]

    def plan() -> Any:
        yield from stage(camera)
        yield from open_run()
        yield from trigger(camera, wait=True)
        log.add("held")
        yield Msg("wait_for", None, [lambda: gate.wait()])
        yield from close_run()
        yield Msg("unstage", camera, group="A")
        log.add("unstaging")
        yield from wait("A")

    def task() -> Any:
        yield from trigger(camera, wait=True)

    gate = on_loop(engine, asyncio.Event)
    future = engine(plan())
    log.wait_for("held")
    late = engine.background.launch(task(), on_conflict="pause")
    on_loop(engine, lambda: None)
    engine.loop.call_soon_threadsafe(gate.set)
    log.wait_for("unstaging")
    for _ in range(5):  # the loop turns, and the task has yet to begin
        on_loop(engine, lambda: None)
    assert camera.did.count("trigger") == 1
    on_loop(engine, unstaged.finish)
    future.result(WAIT)
    late.result(WAIT)
    assert camera.did.count("trigger") == 2


def test_a_plan_that_waits_for_the_task_that_waits_for_it_says_so(engine: RunEngine) -> None:
    motor = Device("m")

    def plan() -> Any:
        yield from open_run()
        yield from mv(motor, 1)
        yield from background(touching(motor), name="late", on_conflict="pause")
        with pytest.raises(ResourceConflictError) as refused:
            yield from wait_for_background("late")
        yield from close_run()
        return refused.value

    error = run(engine, plan())
    assert (error.device, error.holder.name, error.requester.name) == (motor, "plan", "late")


# -- lending ------------------------------------------------------------------------------------


def test_a_plan_lends_what_it_holds_to_a_task_that_claims_it(engine: RunEngine) -> None:
    motor = Device("m")

    def plan() -> Any:
        yield from claim(motor)
        yield from background(touching(motor, 3), name="own", claims=motor)
        yield from wait_for_background("own")
        yield from mv(motor, 4)  # it has come back
        yield from release(motor)

    run(engine, plan())
    assert [what for what in motor.did if what != "stop"] == [("set", 3), ("set", 4)]


def test_what_is_lent_is_taken_back_as_any_conflict(engine: RunEngine, log: Log) -> None:
    motor = Device("m")

    def plan() -> Any:
        yield from claim(motor)
        task = yield from background(endless(log), claims=motor)
        yield from mv(motor, 4)
        return task

    with pytest.warns(UserWarning, match="is cancelled"):
        task = run(engine, plan())
    assert task.status is TaskStatus.CANCELLED
    assert ("set", 4) in motor.did


def test_a_task_takes_from_its_own_child_what_that_would_give_the_foreground(
    engine: RunEngine, log: Log
) -> None:
    motor = Device("m")

    def child() -> Any:
        yield from mv(motor, 1)
        log.add("child moved")
        yield from endless(log, "child")

    def task() -> Any:
        yield from background(child(), name="child", on_conflict="pause")
        yield Msg("wait_for", None, [lambda: moved.wait()])
        yield from mv(motor, 2)
        return "done"

    moved = on_loop(engine, asyncio.Event)
    parent = engine.background.launch(task())
    log.wait_for("child moved")
    engine.loop.call_soon_threadsafe(moved.set)
    until(engine, lambda: ("set", 2) in motor.did)
    parent.cancel()
    parent.result(WAIT)


def test_a_paused_plan_lends_to_hands_and_waits_to_have_it_back(
    engine: RunEngine, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    motor = Device("m")

    def plan() -> Any:
        yield from open_run()
        yield from checkpoint()
        yield from mv(motor, 1)
        log.add("there")
        yield Msg("sleep", None, 0.01)
        yield Msg("pause")
        log.add("goes on")
        yield from close_run()

    with pytest.raises(RunEngineInterrupted):
        engine(plan()).result(WAIT)
    with engine.claims.hold(motor, holder="joystick"):
        assert engine.claims[motor] == "joystick"
        engine.by_hand.set(motor, 50).result(WAIT)
        resumed = engine.resume()
        on_loop(engine, lambda: None)
        on_loop(engine, lambda: None)
        assert "goes on" not in log.entries
        assert not resumed.done()
    resumed.result(WAIT)
    assert "'m' (joystick)" in caplog.text
    assert motor.position == 1  # it was rewound
    with pytest.raises(TransitionError):
        engine.resume()


def test_a_suspension_does_not_get_out_of_a_resume_that_waits_for_a_hand(
    engine: RunEngine, log: Log
) -> None:
    motor = Device("m")

    def plan() -> Any:
        yield from open_run()
        yield from checkpoint()
        yield from mv(motor, 1)
        yield Msg("pause")
        log.add("goes on")
        yield from close_run()

    async def at_once() -> None:
        log.add("was suspended")

    with pytest.raises(RunEngineInterrupted):
        engine(plan()).result(WAIT)
    with engine.claims.hold(motor):
        resumed = engine.resume()
        on_loop(engine, lambda: None)
        engine.request_suspend(at_once)
        on_loop(engine, lambda: None)
        on_loop(engine, lambda: None)
        assert not log.entries
    resumed.result(WAIT)
    assert log.entries == ["was suspended", "goes on"]


def test_a_stop_gets_out_of_a_resume_that_waits_for_a_hand(engine: RunEngine) -> None:
    motor = Device("m")

    def plan() -> Any:
        yield from open_run()
        yield from checkpoint()
        yield from mv(motor, 1)
        yield Msg("pause")

    with pytest.raises(RunEngineInterrupted):
        engine(plan()).result(WAIT)
    with engine.claims.hold(motor):
        engine.resume()
        engine.stop().result(WAIT)
    assert engine.state == "idle"


def test_a_paused_task_lends_to_hands_too(engine: RunEngine, log: Log) -> None:
    motor = Device("m")

    def task() -> Any:
        yield from mv(motor, 1)
        yield from endless(log)

    running = engine.background.launch(task())
    until(engine, lambda: motor.did)
    with pytest.raises(ResourceConflictError):
        engine.by_hand.set(motor, 2)
    running.pause()
    until(engine, lambda: running.status is TaskStatus.PAUSED)
    with engine.claims.hold(motor):
        running.resume()
        on_loop(engine, lambda: None)
        on_loop(engine, lambda: None)
        assert running.status is TaskStatus.PAUSED
    until(engine, lambda: running.status is TaskStatus.RUNNING)
    running.cancel()
    running.result(WAIT)


def test_a_task_that_is_about_to_go_on_lends_to_nobody(engine: RunEngine) -> None:
    motor = Device("m")
    task = engine.background.launch(endless(), claims=motor)
    task.pause()
    until(engine, lambda: task.status is TaskStatus.PAUSED)
    told: list[Any] = []

    def take() -> None:
        status = task.status  # it is paused still: the resume is on its way
        with pytest.raises(ResourceConflictError), engine.claims.hold(motor):
            pass
        told.append(status)

    def resume_and_take() -> None:
        task.resume()
        engine.loop.call_soon_threadsafe(take)

    on_loop(engine, resume_and_take)
    until(engine, lambda: told)
    assert told == [TaskStatus.PAUSED]
    until(engine, lambda: task.status is TaskStatus.RUNNING)
    task.pause()
    until(engine, lambda: task.status is TaskStatus.PAUSED)
    with engine.claims.hold(motor):  # it lends again
        assert engine.claims[motor] == "manual move"


def test_who_holds_by_hand_lends_to_the_plans_that_he_submits(engine: RunEngine) -> None:
    motor = Device("m")
    with engine.claims.hold(motor, holder="me"):
        engine(touching(motor, 1)).result(WAIT)
        engine.background.launch(touching(motor, 2)).result(WAIT)
        engine.by_hand.set(motor, 3).result(WAIT)
        with pytest.raises(ResourceConflictError, match="hold"):
            Context().run(engine, touching(motor, 4)).result(WAIT)
    assert [what for what in motor.did if what != "stop"] == [("set", 1), ("set", 2), ("set", 3)]


def test_a_hand_lends_to_the_tasks_of_a_plan_that_has_waited_in_the_queue(
    engine: RunEngine,
) -> None:
    motor, gate = Device("m"), Gate(engine)

    def with_task() -> Any:
        yield from background(touching(motor, 3), claims=motor)

    ahead = engine(gate.plan())
    with engine.claims.hold(motor):
        future = engine(with_task())
        gate.open()
        ahead.result(WAIT)
        future.result(WAIT)
    assert ("set", 3) in motor.did


def test_a_hand_lends_nothing_to_a_plan_behind_the_one_that_he_has_submitted(
    engine: RunEngine,
) -> None:
    motor, gate = Device("m"), Gate(engine)

    def with_task() -> Any:
        yield from background(touching(motor, 3), claims=motor)

    with engine.claims.hold(motor):
        ahead = engine(gate.plan())
        # Submitted by somebody else, who holds nothing.
        future = Context().run(engine, with_task())
        gate.open()
        ahead.result(WAIT)
        with pytest.raises(ResourceConflictError):
            future.result(WAIT)
    assert motor.did == []


def test_what_a_hand_has_lent_on_is_not_back_when_the_hand_lets_go(
    engine: RunEngine, log: Log
) -> None:
    motor = Device("m")

    def owner() -> Any:
        yield from mv(motor, 1)
        log.add("there")
        while True:
            yield from checkpoint()
            yield Msg("sleep", None, 0.001)

    first = engine.background.launch(owner())
    log.wait_for("there")
    first.pause()
    until(engine, lambda: first.status is TaskStatus.PAUSED)
    with engine.claims.hold(motor, holder="me"):
        second = engine.background.launch(endless(log, "second"), name="second", claims=motor)
    assert engine.claims[motor] == "second"
    assert first.claims == ()
    with pytest.raises(ResourceConflictError, match="'second' holds"):
        engine.by_hand.set(motor, 2)
    second.cancel()
    second.result(WAIT)
    assert first.claims == (motor,)
    first.cancel()
    first.result(WAIT)
    assert not engine.claims


# -- devices that move others -------------------------------------------------------------------


class Rotated(PseudoPositioner):
    """Two real axes, turned."""

    a = Component(PseudoSingle)
    b = Component(PseudoSingle)
    rx = Component(SoftPositioner, init_pos=0)
    ry = Component(SoftPositioner, init_pos=0)

    @pseudo_position_argument
    def forward(self, position: Any) -> Any:
        return self.RealPosition(rx=position.a + position.b, ry=position.a - position.b)

    @real_position_argument
    def inverse(self, position: Any) -> Any:
        return self.PseudoPosition(a=0, b=0)


@pytest.mark.parametrize("other", ["rx", "b", ""])
def test_a_pseudo_axis_holds_its_positioner(engine: RunEngine, log: Log, other: str) -> None:
    pp = Rotated(name="pp")
    task = engine.background.launch(endless(log), claims=pp.a, on_conflict="error")
    needed = getattr(pp, other) if other else pp
    with pytest.raises(ResourceConflictError) as refused:
        engine([Msg("set", needed, 1)]).result(WAIT)
    assert refused.value.holder is task
    task.cancel()
    task.result(WAIT)
    assert not engine.claims


def test_a_device_says_what_it_drives(engine: RunEngine, log: Log) -> None:
    motor, other = Device("m"), Device("other")

    class Instrument(Device):
        def claimed_devices(self) -> list[Any]:
            return [motor]

    instrument = Instrument("instrument")
    task = engine.background.launch(endless(log), claims=instrument)
    with pytest.raises(ResourceConflictError):
        engine.by_hand.set(motor, 1)
    engine.by_hand.set(other, 1).result(WAIT)
    task.cancel()
    task.result(WAIT)
    engine.by_hand.set(motor, 1).result(WAIT)


def test_what_a_standard_readable_reads_elsewhere_counts(engine: RunEngine, log: Log) -> None:
    outside = soft_signal_rw(float, name="outside")

    class Readable(StandardReadable):
        def __init__(self) -> None:
            with self.add_children_as_readables():
                self.inside = soft_signal_rw(float)
            self.add_readables([outside])
            super().__init__("readable")

    readable = Readable()
    task = engine.background.launch(endless(log), claims=readable)
    for part in (outside, readable.inside):
        with pytest.raises(ResourceConflictError):
            engine.by_hand.set(part, 1.0)
    task.cancel()
    task.result(WAIT)


# -- the end of a plan --------------------------------------------------------------------------


def test_a_finally_takes_the_device_of_a_task_first(engine: RunEngine, log: Log) -> None:
    shutter = Device("shutter")

    def task() -> Any:
        yield from mv(shutter, "open")
        log.add("open")
        yield from endless(log)

    def plan() -> Any:
        running.append((yield from background(task())))
        try:
            yield Msg("wait_for", None, [lambda: opened.wait()])
            raise ValueError("the plan fails")
        finally:
            yield from mv(shutter, "closed")
            log.add(running[0].status)

    running: list[Any] = []
    opened = on_loop(engine, asyncio.Event)
    future = engine(plan())
    log.wait_for("open")
    engine.loop.call_soon_threadsafe(opened.set)
    with pytest.warns(UserWarning, match="is cancelled"):
        error = future.exception(WAIT)
    assert str(error) == "the plan fails"
    assert log.entries[-1] is TaskStatus.CANCELLED
    assert shutter.position == "closed"


def test_a_plan_that_fails_ends_its_tasks_before_its_own_clean_up(
    engine: RunEngine, log: Log
) -> None:
    camera, motor = Device("camera"), Device("m")
    camera.unstage = lambda: log.add("unstaged") or []  # type: ignore[method-assign]

    def task() -> Any:
        try:
            yield from endless(log)
        finally:
            yield from mv(motor, 0)
            log.add("task cleaned up")

    def plan() -> Any:
        yield from stage(camera)
        yield from background(task())
        yield from checkpoint()
        raise ValueError("the plan fails")

    with pytest.raises(ValueError, match="the plan fails"):
        engine(plan()).result(WAIT)
    entries = [entry for entry in log.entries if entry in ("unstaged", "task cleaned up")]
    assert entries == ["task cleaned up", "unstaged"]


@pytest.mark.parametrize("on_conflict", ["cancel", "pause", "error"])
def test_a_task_that_is_being_cancelled_is_waited_for(
    engine: RunEngine, log: Log, on_conflict: Any
) -> None:
    camera = Device("camera")

    def task() -> Any:
        yield from stage(camera)
        log.add("staged")
        try:
            yield from endless(log)
        finally:
            yield Msg("sleep", None, 0.05)
            yield from unstage(camera)

    running = engine.background.launch(task(), on_conflict=on_conflict)
    log.wait_for("staged")
    running.cancel()
    engine([Msg("stage", camera), Msg("unstage", camera)]).result(WAIT)
    assert running.done
    assert camera.did == ["stage", "unstage", "stage", "unstage"]


# -- suspenders ---------------------------------------------------------------------------------


def test_suspenders_reach_launched_and_detached_tasks_but_no_watchdog(
    engine: RunEngine, log: Log
) -> None:
    beam = Signal(name="beam", value=0)

    def task(name: str) -> Any:
        while True:
            yield from checkpoint()
            yield Msg("sleep", None, 0.001)
            log.add(name)

    def plan() -> Any:
        yield from background(task("detached"), name="detached", detach=True)

    engine(plan()).result(WAIT)
    launched = engine.background.launch(task("launched"), name="launched")
    engine.background.launch(task("watchdog"), name="watchdog", suspendable=False)
    for name in ("launched", "detached", "watchdog"):
        log.wait_for(name)
    engine.install_suspender(SuspendBoolHigh(beam))
    beam.put(1)
    until(engine, lambda: launched.status is TaskStatus.SUSPENDED)
    until(engine, lambda: engine.background["detached"].status is TaskStatus.SUSPENDED)
    assert engine.background["watchdog"].status is TaskStatus.RUNNING
    late = engine.background.launch(task("late"), name="late", suspendable=False)
    log.wait_for("late")
    count = log.entries.count("watchdog")
    log.wait_for("watchdog", count + 3)
    beam.put(0)
    until(engine, lambda: launched.status is TaskStatus.RUNNING)
    count = log.entries.count("launched")
    log.wait_for("launched", count + 3)
    for running in (*engine.background.running, late):
        running.cancel()
        running.result(WAIT)
    engine.clear_suspenders()


class Asked(SuspendBoolHigh):
    """A suspender that is asked for what it waits for, and answers when it is let."""

    def __init__(self, signal: Any) -> None:
        super().__init__(signal)
        self.asked, self.may_answer = threading.Event(), threading.Event()
        self.may_answer.set()

    def put_on(self, engine: RunEngine) -> None:
        engine.install_suspender(self)  # which asks, too
        self.asked.clear()
        self.may_answer.clear()

    def get_futures(self) -> Any:
        self.asked.set()
        assert self.may_answer.wait(WAIT)
        return super().get_futures()


def test_a_pause_while_suspenders_are_asked_takes_effect_before_the_first_message(
    engine: RunEngine, log: Log
) -> None:
    suspender = Asked(Signal(name="beam", value=0))
    suspender.put_on(engine)

    def plan() -> Any:
        log.add("begun")
        yield Msg("null")
        return "done"

    future = engine(plan())
    assert suspender.asked.wait(WAIT)
    paused = engine.request_pause()
    on_loop(engine, lambda: None)
    suspender.may_answer.set()
    paused.result(WAIT)
    with pytest.raises(RunEngineInterrupted):
        future.result(WAIT)
    assert engine.state == "paused"
    assert log.entries == []
    assert engine.resume().result(WAIT).plan_result == "done"
    engine.clear_suspenders()


def test_a_task_is_paused_while_suspenders_are_asked(engine: RunEngine, log: Log) -> None:
    suspender = Asked(Signal(name="beam", value=0))
    suspender.put_on(engine)
    task = engine.background.launch(endless(log, "turn"))
    assert suspender.asked.wait(WAIT)
    task.pause()
    on_loop(engine, lambda: None)
    suspender.may_answer.set()
    until(engine, lambda: task.status is TaskStatus.PAUSED)
    task.resume()
    log.wait_for("turn begins")
    task.cancel()
    task.result(WAIT)
    engine.clear_suspenders()


def test_an_end_does_not_wait_for_suspenders_to_be_asked(engine: RunEngine, log: Log) -> None:
    suspender = Asked(Signal(name="beam", value=0))
    suspender.put_on(engine)
    future = engine([Msg("null")])
    assert suspender.asked.wait(WAIT)
    engine.abort("no more").result(WAIT)
    assert future.outcome.result(WAIT).exit_status == "abort"
    suspender.may_answer.set()
    engine.clear_suspenders()


# -- by hand ------------------------------------------------------------------------------------


def test_by_hand_holds_the_device_until_it_has_come_to_rest(engine: RunEngine) -> None:
    mover = Mover("m")
    move = engine.by_hand.set(mover, 5, holder="joystick")
    assert mover.given.acquire(timeout=WAIT)
    assert engine.claims[mover] == "joystick"
    assert engine.by_hand.moving == (mover,)
    with pytest.raises(ResourceConflictError, match="joystick"):
        engine(touching(mover)).result(WAIT)
    mover.statuses[0].set_finished()
    assert move.result(WAIT) is mover.statuses[0]
    assert not engine.claims
    assert engine.by_hand.moving == ()


def test_a_move_by_hand_that_fails_fails_its_future(engine: RunEngine) -> None:
    mover = Mover("m")
    move = engine.by_hand.set(mover, 5)
    assert mover.given.acquire(timeout=WAIT)
    mover.statuses[0].set_exception(ValueError("jammed"))
    with pytest.raises(ValueError, match="jammed"):
        move.result(WAIT)
    assert not engine.claims


def test_between_two_messages_a_hand_may_set_what_the_plan_holds(
    engine: RunEngine, log: Log
) -> None:
    camera = Device("camera")

    def live() -> Any:
        yield from open_run()
        while True:
            yield from checkpoint()
            yield from trigger(camera, wait=True)
            log.add("frame")

    engine(live())
    log.wait_for("frame")
    engine.by_hand.set(camera, 0.5, between=True).result(WAIT)
    assert camera.position == 0.5
    engine.stop().result(WAIT)


@pytest.mark.parametrize("thing", ["stage.x", 3, None, OphydDevice(name="no set")])
def test_only_what_can_be_set_is_set_by_hand(engine: RunEngine, thing: Any) -> None:
    with pytest.raises(TypeError, match="can be set"):
        engine.by_hand.set(thing, 1)


def test_a_hand_that_meets_the_end_of_the_engine_is_told() -> None:
    looked, may_go_on = threading.Event(), threading.Event()

    class SlowToTell(Device):
        """A device that is asked for its parent between the check and the move."""

        @property
        def parent(self) -> None:
            looked.set()
            assert may_go_on.wait(WAIT)

        @parent.setter
        def parent(self, _: Any) -> None: ...

    engine = RunEngine()
    refused: list[BaseException] = []

    def move() -> None:
        try:
            engine.by_hand.set(SlowToTell("m"), 1).result(WAIT)
        except EngineClosedError as error:
            refused.append(error)

    thread = threading.Thread(target=move)
    thread.start()
    assert looked.wait(WAIT)
    engine.close()
    may_go_on.set()
    thread.join(WAIT)
    assert len(refused) == 1
    assert not engine.claims


def test_a_move_under_way_ends_with_the_engine() -> None:
    mover = Mover("m")
    with RunEngine() as engine:
        move = engine.by_hand.set(mover, 5)
        assert mover.given.acquire(timeout=WAIT)
    with pytest.raises(EngineClosedError, match="'m'"):
        move.result(WAIT)
    assert not engine.claims


def test_a_resume_waits_for_a_hand_that_moves_what_the_plan_moved_without_a_run(
    engine: RunEngine, caplog: pytest.LogCaptureFixture
) -> None:
    motor = Device("m", by_hand=True)
    engine(mv(motor, 1))
    assert motor.acted.wait(WAIT)
    engine.request_pause().result(WAIT)
    with engine.claims.hold(motor, "look"):
        resumed = engine.resume()
        until(engine, lambda: "goes on when it has back" in caplog.text)
        motor.acted.clear()
    assert motor.acted.wait(WAIT)  # the move is made again
    on_loop(engine, motor.stop)
    resumed.result(WAIT)
