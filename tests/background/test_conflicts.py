"""Who gets a device that two want: the foreground, tasks, programs."""

from __future__ import annotations

import threading
from contextvars import Context
from typing import Any

import pytest
from bluesky.run_engine import InvalidCommand
from bluesky.utils import FailedStatus, Msg, RunEngineInterrupted

from doubles import Device, Finished, Log, endless, on_loop, run
from freewheel import ResourceConflictError, RunEngine, TaskContext
from freewheel.background import BackgroundWarning, TaskStatus
from freewheel.plan_stubs import (
    abs_set,
    background,
    checkpoint,
    claim,
    claim_wrapper,
    read,
    release,
    sleep,
    trigger,
    wait,
    wait_any,
    wait_for_background,
)


def using(log: Log, device: Any, name: str = "task") -> Any:
    """A plan that triggers a device until it is ended."""
    log.add(f"{name} begins")
    try:
        while True:
            yield from checkpoint()
            yield from trigger(device, wait=True)
            log.add(f"{name} turns")
            yield from sleep(0.001)
    finally:
        log.add(f"{name} ends")


def turn(log: Log, count: int = 1) -> Any:
    """A stub that waits until the task has gone on."""
    target = log.entries.count("task turns") + count
    while log.entries.count("task turns") < target:
        yield from sleep(0.001)


def test_the_foreground_cancels_a_task_in_its_way_and_a_warning_names_both(
    engine: RunEngine, log: Log
) -> None:
    camera = Device("camera")

    def snapshot() -> Any:
        task = yield from background(using(log, camera), name="live")
        yield from turn(log)
        yield from trigger(camera, wait=True)
        return task.status, list(log.entries)

    with pytest.warns(BackgroundWarning, match=r"'snapshot' needs 'camera'.*'live'.*cancelled"):
        status, entries = run(engine, snapshot())
    assert status is TaskStatus.CANCELLED
    assert entries[-1] == "task ends"  # before the foreground's message was carried out


def exposing(device: Any) -> Any:
    yield from trigger(device, wait=True)


def test_what_a_cancelled_task_measures_ends_before_others_get_the_device(
    engine: RunEngine,
) -> None:
    camera = Device("camera", by_hand=True)
    task = engine.background.launch(exposing(camera))
    assert camera.acted.wait(10)
    camera.acted.clear()

    def expose_again() -> Any:
        future = engine(exposing(camera))
        assert not camera.acted.wait(0.1)  # the task's exposure is under way
        camera.moves[0].finish()
        assert camera.acted.wait(10)
        return future

    with pytest.warns(BackgroundWarning, match="is cancelled"):
        future = expose_again()
    assert task.status is TaskStatus.CANCELLED
    camera.moves[1].finish()
    assert future.exception(10) is None


def test_a_task_whose_detector_hangs_ends_all_the_same(
    engine: RunEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("freewheel.engine._bluesky._clean_up.MEASURE_GRACE", 0.05)
    camera = Device("camera", by_hand=True)
    task = engine.background.launch(exposing(camera))
    assert camera.acted.wait(10)
    task.cancel()
    assert task.exception(10) is None
    assert task.status is TaskStatus.CANCELLED
    assert "lets go of camera, which did not come to rest" in caplog.text
    assert not engine.claims


def test_a_task_that_pauses_comes_back_when_the_device_is_released(
    engine: RunEngine, log: Log
) -> None:
    camera = Device("camera")

    def plan() -> Any:
        task = yield from background(using(log, camera), name="live", on_conflict="pause")
        yield from turn(log)
        yield from trigger(camera, wait=True)
        statuses = [task.status]
        owner = [engine.claims[camera]]
        yield from release(camera)
        owner.append(engine.claims[camera])
        yield from turn(log)
        statuses.append(task.status)
        task.cancel()
        return statuses, owner

    statuses, owner = run(engine, plan())
    assert statuses == [TaskStatus.PAUSED, TaskStatus.RUNNING]
    assert owner == ["plan", "live"]


def test_a_task_that_pauses_comes_back_when_the_foreground_plan_ends(
    engine: RunEngine, log: Log
) -> None:
    camera = Device("camera")
    task = engine.background.launch(using(log, camera), name="live", on_conflict="pause")
    log.wait_for("task turns")

    def snapshot() -> Any:
        yield from trigger(camera, wait=True)
        yield from checkpoint()
        return task.status, task.standing

    standing = "paused, waits for 'camera', which 'snapshot' holds"
    assert run(engine, snapshot()) == (TaskStatus.PAUSED, standing)
    log.wait_for("task turns", log.entries.count("task turns") + 2)
    assert task.standing == "running"
    assert engine.claims[camera] == "live"
    engine.background.cancel("live")
    task.result(10)
    assert not engine.claims


def test_a_staged_device_of_a_paused_task_is_unstaged_and_staged_again(
    engine: RunEngine, log: Log
) -> None:
    camera = Device("camera")

    def live() -> Any:
        yield Msg("stage", camera)
        yield from using(log, camera)

    def plan() -> Any:
        yield from background(live(), name="live", on_conflict="pause")
        yield from turn(log)
        yield from claim(camera)
        staged = [camera.staged]
        yield from release(camera)
        yield from turn(log)
        staged.append(camera.staged)
        engine.background.cancel("live")
        return staged

    assert run(engine, plan()) == [0, 1]
    assert camera.staged == 0


def test_a_task_that_is_cancelled_while_it_gives_way_leaves_the_device_alone(
    engine: RunEngine, log: Log
) -> None:
    camera = Device("camera", by_hand=True)

    def live() -> Any:
        yield Msg("stage", camera)
        yield from abs_set(camera, 1, group="mine")
        log.add("task turns")
        try:
            yield from endless()
        finally:
            yield Msg("unstage", camera)
            yield Msg("stop", camera)

    def plan() -> Any:
        task = yield from background(live(), name="live", on_conflict="pause")
        yield from turn(log)
        yield from claim(camera)
        yield from abs_set(camera, 2, group="move")
        before = list(camera.did)
        task.cancel()
        yield from wait_for_background_result(task)
        log.add("ended")
        after = list(camera.did)
        camera.moves[-1].finish()
        yield from wait("move")
        return before == after, task.status

    def wait_for_background_result(task: Any) -> Any:
        while not task.done:
            yield from sleep(0.001)

    assert run(engine, plan()) == (True, TaskStatus.CANCELLED)


def test_a_task_that_is_cancelled_as_it_is_to_give_way_is_waited_for(
    engine: RunEngine, log: Log
) -> None:
    camera = Device("camera")

    def live() -> Any:
        try:
            yield from using(log, camera)
        finally:
            for _ in range(10):
                yield from sleep(0.001)
            log.add("cleaned up")

    def plan(turns: int) -> Any:
        def cancel(left: int) -> None:
            if left:
                engine.loop.call_soon(cancel, left - 1)
            else:
                task.cancel()

        engine.loop.call_soon(cancel, turns)  # before, while or after it is asked to rest
        for _ in range(4):
            yield from checkpoint()
        yield from trigger(camera, wait=True)
        log.add("triggered")

    for turns in range(8):
        task = engine.background.launch(live(), name="live", on_conflict="pause")
        log.wait_for("task turns", log.entries.count("task turns") + 1)
        run(engine, plan(turns))
        task.result(10)
    assert log.entries.count("triggered") == log.entries.count("cleaned up") == 8


def staging(log: Log, camera: Device) -> Any:
    """Stage the camera, and unstage it however that ends."""
    yield Msg("stage", camera)
    try:
        yield from using(log, camera)
    finally:
        yield Msg("unstage", camera)


def test_what_was_given_back_and_not_staged_again_is_not_unstaged(
    engine: RunEngine, log: Log
) -> None:
    camera = Device("camera")
    task = engine.background.launch(staging(log, camera), name="live", on_conflict="pause")
    log.wait_for("task turns")

    def plan() -> Any:
        yield from claim(camera)
        task.pause()  # it is to stay where it is when the camera is given back
        yield from release(camera)

    run(engine, plan())
    assert task.status is TaskStatus.PAUSED
    task.cancel()
    task.result(10)
    assert camera.did.count("stage") == camera.did.count("unstage") == 1
    assert camera.staged == 0


class SlowlyStaged(Device):
    """A device whose staging, after the first, takes until the test ends it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.staging = Finished()
        self.slow = threading.Event()

    def stage(self) -> Any:
        super().stage()
        if "unstage" in self.did:
            self.staging = Finished(done=False)
            self.slow.set()
        return self.staging

    def unstage(self) -> Any:
        assert self.staging.done, "unstaged while it was being staged"
        return super().unstage()


def test_a_task_that_is_cancelled_while_it_takes_back_its_device_waits_for_that(
    engine: RunEngine, log: Log
) -> None:
    camera = SlowlyStaged("camera")
    task = engine.background.launch(staging(log, camera), name="live", on_conflict="pause")
    log.wait_for("task turns")

    def plan() -> Any:
        yield from claim(camera)
        yield from release(camera)

    run(engine, plan())
    assert camera.slow.wait(10)
    task.cancel()
    assert on_loop(engine, lambda: task.done) is False
    camera.staging.finish()
    task.result(10)
    assert camera.did.count("stage") == camera.did.count("unstage") == 2


def test_a_task_that_cleans_up_has_nothing_staged_again(engine: RunEngine, log: Log) -> None:
    camera = Device("camera")

    def live() -> Any:
        yield Msg("stage", camera)
        try:
            yield from using(log, camera)
        finally:
            log.add("cleans up")
            while "given back" not in log.entries:
                yield from sleep(0.001)

    def plan() -> Any:
        task = yield from background(live(), name="live", on_conflict="pause")
        yield from turn(log)
        yield from claim(camera)
        task.cancel()
        while "cleans up" not in log.entries:
            yield from sleep(0.001)
        yield from release(camera)
        yield from sleep(0.01)
        log.add("given back")
        while not task.done:
            yield from sleep(0.001)

    run(engine, plan())
    assert camera.did.count("stage") == camera.did.count("unstage") == 1


def test_with_error_the_foreground_message_is_refused(engine: RunEngine, log: Log) -> None:
    camera = Device("camera")

    def plan() -> Any:
        task = yield from background(using(log, camera), name="live", on_conflict="error")
        yield from turn(log)
        try:
            yield from trigger(camera, wait=True)
        except ResourceConflictError as error:
            task.cancel()
            return error.device, error.holder, error.requester.name

    device, holder, requester = run(engine, plan())
    assert (device, holder.name, requester) == (camera, "live", "plan")


def test_a_function_that_cannot_be_paused_refuses_the_foreground(engine: RunEngine) -> None:
    camera = Device("camera")
    gate = threading.Event()

    def plan() -> Any:
        yield from background(lambda: gate.wait(10), name="f", claims=camera, on_conflict="pause")
        try:
            yield from trigger(camera, wait=True)
        except ResourceConflictError:
            gate.set()
            return True

    assert run(engine, plan())


def test_a_function_with_a_context_gives_way_and_comes_back(engine: RunEngine) -> None:
    camera = Device("camera")
    events: list[bool] = []

    def function(context: TaskContext) -> None:
        context.cancel_event.wait(10)

    def plan() -> Any:
        task = yield from background(function, name="f", claims=[camera], on_conflict="pause")
        yield from trigger(camera, wait=True)
        events.append(task.status is TaskStatus.PAUSED)
        yield from release(camera)
        while task.status is not TaskStatus.RUNNING:
            yield from sleep(0.001)
        task.cancel()

    run(engine, plan())
    assert events == [True]


def test_a_task_holds_what_it_declared_and_what_it_touches_until_it_ends(
    engine: RunEngine, log: Log
) -> None:
    declared, touched, read_only = Device("declared"), Device("touched"), Device("read only")

    def task() -> Any:
        yield from read(read_only)
        yield from trigger(touched, wait=True)
        log.add("touched")
        yield from endless(log)

    handle = engine.background.launch(task(), name="x", claims=declared)
    log.wait_for("touched")
    assert set(handle.claims) == {declared, touched}
    assert dict(engine.claims) == {declared: "x", touched: "x"}
    assert engine.snapshot().claims == {"declared": "x", "touched": "x"}
    handle.cancel()
    handle.result(10)
    assert handle.claims == ()
    assert not engine.claims


@pytest.mark.parametrize("command", ["read", "describe", "locate"])
def test_looking_at_a_device_needs_no_claim(engine: RunEngine, log: Log, command: str) -> None:
    class Located(Device):
        def locate(self) -> dict[str, Any]:
            return {"setpoint": 0, "readback": 0}

    device = Located("d")

    async def describe(msg: Msg) -> Any:
        return msg.obj.describe()

    engine.register_command("describe", describe)
    task = engine.background.launch(endless(log), claims=device, on_conflict="error")

    def plan() -> Any:
        yield Msg(command, device)

    engine(plan()).result(10)
    engine.background.launch(plan()).result(10)
    task.cancel()


@pytest.mark.parametrize(
    "msg",
    [
        Msg("set", Device("d"), 1),
        Msg("trigger", Device("d")),
        Msg("stage", Device("d")),
        Msg("unstage", Device("d")),
        Msg("configure", Device("d"), {}),
        Msg("stop", Device("d")),
        Msg("kickoff", Device("d")),
        Msg("complete", Device("d")),
        Msg("collect", Device("d")),
        Msg("prepare", Device("d"), 1),
    ],
    ids=lambda msg: msg.command,
)
def test_every_message_that_needs_a_device_is_checked(
    engine: RunEngine, log: Log, msg: Msg
) -> None:
    holder = engine.background.launch(endless(log), claims=msg.obj, on_conflict="error")

    def plan() -> Any:
        yield Msg("open_run")
        yield msg

    with pytest.raises(ResourceConflictError):
        engine(plan()).result(10)
    with pytest.raises(ResourceConflictError):
        engine.background.launch(plan()).result(10)
    holder.cancel()
    holder.result(10)
    assert msg.obj.did == []


def test_an_acquire_message_is_checked_too(engine: RunEngine, log: Log) -> None:
    camera = Device("camera")
    holder = engine.background.launch(endless(log), claims=camera, on_conflict="error")

    def plan() -> Any:
        yield Msg("open_run")
        yield Msg("acquire", None, camera, name="primary")

    with pytest.raises(ResourceConflictError):
        engine(plan()).result(10)
    holder.cancel()
    holder.result(10)


def test_between_tasks_the_late_one_is_refused(engine: RunEngine, log: Log) -> None:
    stage = Device("stage")
    x, y = Device("x", stage), Device("y", stage)
    engine.background.launch(using(log, x), name="early")
    log.wait_for("task turns")
    with pytest.raises(ResourceConflictError):
        engine.background.launch(endless(), claims=[y, stage], name="all or none")

    def late(device: Any) -> Any:
        yield from abs_set(device, 1, wait=True)
        return "moved"

    with pytest.raises(ResourceConflictError) as refused:
        engine.background.launch(late(stage), name="late").result(10)
    assert refused.value.holder.name == "early"
    assert refused.value.requester.name == "late"
    # Two children of one device do not conflict.
    assert engine.background.launch(late(y)).result(10) == "moved"


def test_a_task_that_reaches_for_what_the_foreground_moves_is_refused(
    engine: RunEngine, log: Log
) -> None:
    stage = Device("stage")
    motor = Device("motor", stage, by_hand=True)

    def late(device: Any) -> Any:
        yield from abs_set(device, 2, wait=False, group="late")
        return "moved"

    def plan() -> Any:
        yield from abs_set(motor, 1, group="A")
        early = yield from background(late(stage), name="early")
        log.add("moving")
        yield from wait("A")
        try:
            yield from wait_for_background("early")
        except ResourceConflictError as error:
            assert early.status is TaskStatus.FAILED
            holder = error.holder.name
        yield from background(late(motor), name="late")
        return holder, (yield from wait_for_background("late"))

    future = engine(plan())
    log.wait_for("moving")
    assert isinstance(engine.background["early"].exception(10), ResourceConflictError)
    # From outside as well: the foreground waits for the motor at this moment.
    with pytest.raises(ResourceConflictError) as refused:
        engine.background.launch(endless(), claims=motor)
    assert refused.value.holder.name == "plan"
    with pytest.raises(ResourceConflictError), engine.claims.hold(stage):
        pass
    motor.moves[0].finish()
    assert future.result(10).plan_result == ("plan", "moved")


def test_what_is_held_by_hand_is_refused_to_plans(engine: RunEngine, log: Log) -> None:
    motor = Device("motor")

    def plan() -> Any:
        yield from abs_set(motor, 1, wait=True)

    with engine.claims.hold(motor, holder="joystick"):
        assert engine.claims[motor] == "joystick"
        # Whoever holds may use it in plans of his own; these are somebody else's.
        others = Context()
        foreground = others.run(engine, plan())
        task = others.run(engine.background.launch, plan())
        for future in (foreground, task.future):
            with pytest.raises(ResourceConflictError) as refused:
                future.result(10)
            assert refused.value.holder.name == "joystick"
        with pytest.raises(ResourceConflictError), engine.claims.hold(motor):
            pass
    engine(plan()).result(10)
    assert motor.did == [("set", 1), "stop"]


def test_a_program_cannot_hold_what_a_task_holds(engine: RunEngine, log: Log) -> None:
    motor = Device("motor")
    engine.background.launch(endless(log), claims=motor)
    with pytest.raises(ResourceConflictError), engine.claims.hold(motor):
        pass


def test_claims_of_the_foreground_are_held_and_released_with_the_plan(
    engine: RunEngine,
) -> None:
    motor = Device("motor")

    def body() -> Any:
        with pytest.raises(ResourceConflictError):
            engine.background.launch(endless(), claims=motor)
        yield from checkpoint()
        return engine.claims[motor]

    def plan() -> Any:
        inside = yield from claim_wrapper(body(), motor)
        outside = motor in engine.claims
        yield from claim(motor)
        return inside, outside

    assert run(engine, plan()) == ("plan", False)
    assert not engine.claims


def test_claim_wrapper_releases_when_the_plan_fails(engine: RunEngine) -> None:
    motor = Device("motor")

    def body() -> Any:
        yield from checkpoint()
        raise ValueError

    def plan() -> Any:
        try:
            yield from claim_wrapper(body(), motor)
        except ValueError:
            return motor in engine.claims

    assert run(engine, plan()) is False


def test_a_foreground_claim_is_all_or_none_and_gives_back(engine: RunEngine, log: Log) -> None:
    gives, refuses = Device("gives"), Device("refuses")

    def plan() -> Any:
        yield from background(using(log, gives), name="gives", claims=gives, on_conflict="pause")
        yield from turn(log)
        with engine.claims.hold(refuses, holder="hand"):
            with pytest.raises(ResourceConflictError):
                yield from claim(gives, refuses)
            yield from turn(log)  # the task goes on
        engine.background.cancel("gives")
        return engine.claims.get(gives)

    assert run(engine, plan()) in ("gives", None)


def test_waiting_for_a_task_gives_back_what_was_borrowed_from_it(
    engine: RunEngine, log: Log
) -> None:
    camera = Device("camera")

    def frames() -> Any:
        for _ in range(3):
            yield from checkpoint()
            yield from trigger(camera, wait=True)
            log.add("task turns")
            yield from sleep(0.01)
        return "frames"

    def plan() -> Any:
        task = yield from background(frames(), name="live", on_conflict="pause")
        yield from turn(log)
        yield from trigger(camera, wait=True)
        assert task.status is TaskStatus.PAUSED
        first = yield from wait_any(task, timeout=10)
        return first is task, (yield from wait_for_background("live"))

    assert run(engine, plan()) == (True, "frames")


def test_waiting_for_a_task_that_needs_a_claimed_device_is_refused_not_hung(
    engine: RunEngine, log: Log
) -> None:
    camera = Device("camera")

    def plan() -> Any:
        yield from background(using(log, camera), name="live", on_conflict="pause")
        yield from turn(log)
        yield from claim(camera)
        try:
            yield from wait_for_background("live")
        except ResourceConflictError as error:
            yield from release(camera)
            engine.background.cancel("live")
            return error.requester.name

    assert run(engine, plan()) == "live"


@pytest.mark.filterwarnings("ignore::freewheel.background.BackgroundWarning")
def test_claims_in_opposite_orders_hang_nobody(engine: RunEngine, log: Log) -> None:
    one, other = Device("one"), Device("other")

    def task(first: Any, second: Any) -> Any:
        for _ in range(20):
            yield from claim(first)
            yield from sleep(0)
            yield from claim(second)
            yield from release(first, second)

    def plan() -> Any:
        tasks = []
        for n in range(8):
            pair = (one, other) if n % 2 else (other, one)
            tasks.append((yield from background(task(*pair), on_conflict="cancel")))
        for _ in range(10):
            yield from claim(one, other)
            yield from sleep(0)
            yield from release(one, other)
        while not all(task.done for task in tasks):
            yield from sleep(0.001)
        return [task.exception() for task in tasks]

    errors = run(engine, plan())
    assert all(error is None or isinstance(error, ResourceConflictError) for error in errors)
    assert not engine.claims


def test_a_pause_while_a_task_gives_way_loses_nothing(engine: RunEngine, log: Log) -> None:
    camera = Device("camera")
    gate = threading.Event()

    def live() -> Any:
        try:
            yield from using(log, camera)
        finally:
            yield from wait_for_background("gate")

    def plan() -> Any:
        yield from checkpoint()
        yield from background(lambda: gate.wait(10), name="gate", detach=True)
        yield from background(live(), name="live", detach=True)
        yield from turn(log)
        log.add("wants")
        yield Msg("stage", camera)
        return camera.staged

    with pytest.warns(BackgroundWarning):  # noqa: PT031 - it comes from another thread
        future = engine(plan())
        log.wait_for("task ends")
        engine.request_pause().result(10)
        with pytest.raises(RunEngineInterrupted):
            future.result(10)
        gate.set()
        future = engine.resume()
        assert future.result(10).plan_result == 1
    assert camera.staged == 0


def test_a_task_that_failed_to_take_back_its_device_is_told(engine: RunEngine, log: Log) -> None:
    class Jammed(Device):
        def stage(self) -> list[Any]:
            if "unstage" in self.did:
                raise OSError("jammed")
            return super().stage()

    camera = Jammed("camera")

    def live() -> Any:
        yield Msg("stage", camera)
        yield from using(log, camera)

    def plan() -> Any:
        yield from background(live(), name="live", on_conflict="pause")
        yield from turn(log)
        yield from claim(camera)
        yield from release(camera)
        try:
            yield from wait_for_background("live")
        except OSError as error:
            return str(error)

    assert run(engine, plan()) == "jammed"


def test_a_command_replaced_while_something_is_claimed_is_checked_and_stays(
    engine: RunEngine,
) -> None:
    motor = Device("motor")
    calls: list[Msg] = []

    async def own_set(msg: Msg) -> None:
        calls.append(msg)

    def plan() -> Any:
        yield Msg("set", motor, 1)

    with engine.claims.hold(motor):
        engine.register_command("set", own_set)
        with pytest.raises(ResourceConflictError):
            Context().run(engine, plan()).result(10)
    engine(plan()).result(10)
    engine.background.launch(plan()).result(10)
    assert len(calls) == 2
    engine.unregister_command("set")
    with pytest.raises(InvalidCommand):
        engine(plan()).result(10)


def test_failed_status_of_a_device_ends_its_use(engine: RunEngine, log: Log) -> None:
    motor = Device("motor", by_hand=True)

    def plan() -> Any:
        yield from abs_set(motor, 1, group="A")
        log.add("moving")
        try:
            yield from wait("A")
        except FailedStatus:
            task = yield from background(endless(), claims=motor)
            task.cancel()
            return True

    future = engine(plan())
    log.wait_for("moving")
    on_loop(engine, lambda: None)
    motor.moves[0].finish(OSError("stuck"))
    assert future.result(10).plan_result


@pytest.mark.parametrize("on_conflict", ["pause", "cancel"])
@pytest.mark.filterwarnings("ignore::freewheel.background.BackgroundWarning")
def test_a_move_of_a_task_is_stopped_before_the_foreground_moves_the_device_without_a_run(
    engine: RunEngine, on_conflict: Any
) -> None:
    calls: list[str] = []

    class Motor(Device):
        def set(self, value: Any) -> Any:
            calls.append(f"set {value}")
            return super().set(value)

        def stop(self, *, success: bool = False) -> None:
            calls.append("stop")
            super().stop(success=success)

    motor = Motor("m", by_hand=True)
    task = engine.background.launch(abs_set(motor, 1, wait=True), on_conflict=on_conflict)
    assert motor.acted.wait(10)
    motor.acted.clear()
    moved = engine(abs_set(motor, 2, wait=True))
    assert motor.acted.wait(10)
    assert calls[:3] == ["set 1", "stop", "set 2"]
    task.cancel()
    engine.stop()
    assert moved.exception(10)
