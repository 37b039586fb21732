"""The fault table of the design: what breaks other engines, and must not break this one."""

# ruff: noqa: N803

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest
from bluesky.run_engine import TransitionError
from bluesky.utils import FailedStatus, Msg, RunEngineInterrupted

from doubles import Gate, SlowlyPaused, SlowlyUnstaged, in_a_run, quick
from freewheel.core import NotStoppedError, Status

T = 10


def test_result_in_a_callback_raises_at_once(RE: Any) -> None:
    raised: list[Any] = []

    def nested(name: str, doc: Any) -> None:
        inner = RE(quick("inner"))
        try:
            inner.result()
        except RuntimeError as error:
            raised.append(error)
        raised.append(inner)

    assert RE(in_a_run(), {"start": nested}).result(T).exit_status == "success"
    assert isinstance(raised[0], RuntimeError)
    assert raised[1].result(T).plan_result == "inner"


class SpeechlessError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


@pytest.mark.parametrize("where", ["plan", "device", "subscriber"])
def test_a_failure_without_a_text_keeps_nothing_from_being_cleaned_up(RE: Any, where: str) -> None:
    device = Unwilling()
    failure = SpeechlessError()
    heard: list[tuple[str, Any]] = []

    def plan() -> Any:
        yield Msg("stage", device)
        yield Msg("open_run")
        if where == "device":
            yield Msg("set", device, 1)
        if where == "plan":
            raise failure
        yield Msg("close_run")

    def subscriber(name: str, doc: Any) -> None:
        heard.append((name, doc))
        if where == "subscriber" and name == "start":
            raise failure

    device.failure = failure
    future = RE(plan(), {"all": subscriber})
    assert future.exception(T) is failure
    assert "SpeechlessError whose text cannot be had (RuntimeError)" in repr(future.outcome)
    assert device.unstaged
    if where != "subscriber":
        assert "text cannot be had" in heard[-1][1]["reason"]
    assert RE(in_a_run()).result(T).exit_status == "success"


def test_the_red_button_says_what_could_not_be_stopped_though_it_has_no_text(RE: Any) -> None:
    device = Unwilling()
    future = RE([Msg("set", device, 1), Msg("sleep", None, 100)])
    device.moved.wait(T)
    device.failure = SpeechlessError()
    with pytest.raises(NotStoppedError, match=r"of 'unwilling' raised .* cannot be had"):
        RE.stop_all().result(T)
    assert future.outcome.result(T).exit_status == "abort"


@pytest.mark.parametrize(("reason", "told"), [(5, "5"), (None, ""), (["beam", 1], "['beam', 1]")])
@pytest.mark.parametrize("paused", [False, True])
def test_a_reason_that_is_no_text_costs_no_stop_document(
    RE: Any, reason: Any, told: str, paused: bool
) -> None:
    gate = Gate(RE)
    heard: list[tuple[str, Any]] = []
    future = RE(in_a_run(gate.plan()), {"all": lambda name, doc: heard.append((name, doc))})
    gate.wait()
    if paused:
        RE.request_pause().result(T)
    RE.abort(reason).result(T)
    assert future.outcome.result(T).exit_status == "abort"
    name, stop = heard[-1]
    assert (name, stop["exit_status"], stop["reason"]) == ("stop", "abort", told)


class Unwilling:
    """A device that raises, once it has a failure, where it is to move or stop."""

    name = "unwilling"
    parent = None
    failure: BaseException | None = None
    unstaged = False

    def __init__(self) -> None:
        self.moved = threading.Event()

    def stage(self) -> list[Any]:
        return [self]

    def unstage(self) -> list[Any]:
        self.unstaged = True
        return [self]

    def set(self, value: Any) -> Any:
        failure = self.failure  # whoever sees that it has moved may break it at once
        self.moved.set()
        if failure is not None:
            raise failure
        return Status()

    def stop(self, *, success: bool = False) -> None:
        if self.failure is not None:
            raise self.failure


@pytest.mark.parametrize("where", ["plan", "callback", "clean-up", "command", "msg_hook"])
@pytest.mark.parametrize("kind", [SystemExit, GeneratorExit])
def test_a_base_exception_is_that_plans_failure(RE: Any, where: str, kind: type) -> None:
    def raising(*_: Any) -> None:
        raise kind(3)

    async def command(msg: Any) -> None:
        raise kind(3)

    def plan() -> Any:
        yield Msg("open_run")
        try:
            yield Msg("null")
            if where == "plan":
                raising()
            if where == "command":
                yield Msg("bad")
        finally:
            if where == "clean-up":
                raising()
        yield Msg("close_run")

    RE.register_command("bad", command)
    if where == "msg_hook":
        RE.msg_hook = raising
    future = RE(plan(), {"start": raising} if where == "callback" else None)
    error = future.exception(T)
    assert error is not None
    assert isinstance(error, kind) or isinstance(error.__cause__, kind)
    assert future.outcome.exception(T) is error
    RE.msg_hook = None
    assert RE(quick(1)).result(T).plan_result == 1


def test_system_exit_leaves_other_engines_of_the_loop_alone(make_engine: Any) -> None:
    from freewheel import RunEngine

    one = make_engine("asyncio")
    two = RunEngine(loop=one.loop)
    try:

        def leaving() -> Any:
            yield Msg("null")
            raise SystemExit(3)

        def patient() -> Any:
            yield Msg("sleep", None, 0.2)
            return "fine"

        patient_future = two(patient())
        assert isinstance(one(leaving()).exception(T), SystemExit)
        assert patient_future.result(T).plan_result == "fine"
    finally:
        two.close()


def test_halt_gets_out_of_a_hanging_clean_up(RE: Any, gate: Any) -> None:
    clean_up = Gate(RE)  # never opened

    def plan() -> Any:
        try:
            yield from gate.plan()
        finally:
            yield from clean_up.plan()

    future = RE(plan())
    gate.wait()
    stopped = RE.stop()
    clean_up.wait()
    RE.halt().result(T)
    stopped.exception(T)
    assert stopped.done()
    assert isinstance(future.exception(T), RunEngineInterrupted)
    assert future.outcome.result(T).exit_status == "abort"
    assert RE(quick(1)).result(T).plan_result == 1


@pytest.mark.parametrize("first", [None, "stop", "abort", "request_pause"])
def test_halt_gets_out_of_a_plan_that_swallows_everything(RE: Any, first: str | None) -> None:
    turns = threading.Semaphore(0)

    let_go = threading.Event()

    def swallower() -> Any:
        while not let_go.is_set():
            try:
                turns.release()
                yield Msg("sleep", None, 0.001)
            except BaseException:
                continue

    plan = swallower()
    future = RE(plan)
    for _ in range(3):
        assert turns.acquire(timeout=T)
    if first is not None:
        getattr(RE, first)()
        for _ in range(3):
            turns.acquire(timeout=0.1)
    RE.halt().exception(T)
    let_go.set()
    plan.close()
    assert future.outcome.done()
    assert RE.state == "idle"
    assert RE(quick(1)).result(T).plan_result == 1


def test_halt_twice_gets_out_of_a_hanging_unstage(RE: Any, gate: Any) -> None:
    motor = SlowlyUnstaged(RE)  # never let go

    def plan() -> Any:
        yield Msg("stage", motor)
        yield from gate.plan()

    future = RE(plan())
    gate.wait()
    first = RE.halt()
    assert motor.in_unstage.wait(T)
    RE.halt().exception(T)
    assert first.done()
    assert future.outcome.done()
    assert RE(quick(1)).result(T).plan_result == 1
    motor.let_go()


def test_a_stop_while_a_devices_pause_is_slow_wins(RE: Any, gate: Any) -> None:
    motor = SlowlyPaused(RE)

    def plan() -> Any:
        yield Msg("null", motor)  # now the engine knows it
        yield from gate.plan()

    future = RE(plan())
    gate.wait()
    paused = RE.request_pause()
    assert motor.in_pause.wait(T)
    stopped = RE.stop()
    motor.let_go()
    stopped.result(T)
    paused.exception(T)
    assert RE.state == "idle"
    assert future.outcome.result(T).exit_status == "success"


@pytest.mark.parametrize("how", ["halt", "stop", "abort", "raise", "complete"])
def test_the_future_is_done_only_when_unstage_is(RE: Any, gate: Any, how: str) -> None:
    motor = SlowlyUnstaged(RE)

    def plan() -> Any:
        yield Msg("stage", motor)
        yield from gate.plan()
        if how == "raise":
            raise ValueError("on purpose")

    future = RE(plan())
    gate.wait()
    answer = None
    if how in ("raise", "complete"):
        gate.open()
    else:
        answer = getattr(RE, how)()
    assert motor.in_unstage.wait(T)
    assert not future.done()
    assert not future.outcome.done()
    assert answer is None or not answer.done()
    assert RE.state != "idle"
    motor.let_go()
    error = future.exception(T)
    assert motor.unstaged.is_set()
    if how == "raise":
        assert isinstance(error, ValueError)
    elif how == "complete":
        assert error is None
    else:
        assert isinstance(error, RunEngineInterrupted)


@pytest.mark.parametrize("how", ["halt", "stop"])
def test_a_failure_of_unstage_is_logged_and_in_the_result(
    RE: Any, gate: Any, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    motor = SlowlyUnstaged(RE, fail=OSError("the stage is stuck"))
    motor.let_go()

    def plan() -> Any:
        yield Msg("stage", motor)
        yield from gate.plan()

    future = RE(plan())
    gate.wait()
    with caplog.at_level(logging.ERROR):
        getattr(RE, how)().exception(T)
    result = future.outcome.result(T) if future.outcome.exception(T) is None else None
    assert result is not None, "an interruption is no failure of the plan"
    assert result.interrupted is True
    assert "the stage is stuck" in f"{result.reason} {result.exception!r}"
    assert "motor" in caplog.text
    assert "the stage is stuck" in caplog.text


def test_one_raising_subscriber_takes_no_document_from_the_others(RE: Any) -> None:
    first: list[str] = []
    last: list[str] = []

    def raising(name: str, doc: Any) -> None:
        raise ValueError("subscriber")

    RE.subscribe(lambda name, doc: first.append(name))
    RE.subscribe(raising)
    RE.subscribe(lambda name, doc: last.append(name))
    with pytest.raises(ValueError, match="subscriber"):
        RE(in_a_run()).result(T)
    assert first == last == ["start", "stop"]


@pytest.mark.parametrize("name", ["start", "descriptor", "event", "stop"])
def test_a_subscriber_that_raises_on_one_document_fails_the_run(RE: Any, name: str) -> None:
    from ophyd.sim import det

    def raising(name: str, doc: Any) -> None:
        raise ValueError("subscriber")

    seen: list[str] = []
    RE.subscribe(raising, name)
    RE.subscribe(lambda name, doc: seen.append(name))

    def plan() -> Any:
        yield Msg("open_run")
        yield Msg("create", name="primary")
        yield Msg("read", det)
        yield Msg("save")
        yield Msg("close_run")

    with pytest.raises(ValueError, match="subscriber"):
        RE(plan()).result(T)
    assert seen.count("start") == seen.count("stop") == 1
    assert name in seen


def test_a_failed_status_is_named_in_the_stop_document(RE: Any, documents: Any) -> None:
    from freewheel import Status

    class Broken:
        name = "broken"
        parent = None

        def set(self, value: Any) -> Any:
            status = Status()
            status.set_exception(OSError("the motor is on fire"))
            return status

    with pytest.raises(Exception, match="on fire") as failure:
        RE(in_a_run([Msg("set", Broken(), 1, group="g"), Msg("wait", None, group="g")])).result(T)
    assert isinstance(failure.value, (FailedStatus, OSError))
    stop = documents[-1][1]
    assert stop["exit_status"] == "fail"
    assert "the motor is on fire" in stop["reason"]


def test_a_running_loop_is_refused_with_a_clear_error() -> None:
    from freewheel import RunEngine

    async def make() -> None:
        with pytest.raises((RuntimeError, ValueError), match="loop"):
            RunEngine(loop=asyncio.get_running_loop())

    asyncio.run(make())


def test_an_unknown_command_is_named(RE: Any) -> None:
    with pytest.raises(Exception, match="no_such_command"):
        RE([Msg("no_such_command")]).result(T)
    assert RE(quick(1)).result(T).plan_result == 1


def test_stash_on_something_without_a_cache_is_a_type_error(RE: Any) -> None:
    from freewheel.plan_stubs import clear_cache, stash

    class Thing:
        name = "thing"

    with pytest.raises(TypeError, match="thing"):
        RE(stash(Thing(), {}, group=None, wait=False)).result(T)
    with pytest.raises(TypeError, match="thing"):
        RE(clear_cache(Thing())).result(T)
    with pytest.raises(TypeError, match="thing"):
        RE([Msg("stash", Thing(), {}, group="g")]).result(T)
    assert RE(quick(1)).result(T).plan_result == 1


@pytest.mark.parametrize("bad", [{"args": ()}, {"args": ({}, {})}, {"kwargs": {}}])
def test_a_malformed_stash_message_is_a_runtime_error(RE: Any, bad: Any) -> None:
    class Cache:
        name = "cache"

        def stash(self, values: Any) -> Any:
            raise AssertionError("never called")

        def clear(self) -> Any:
            raise AssertionError("never called")

    args = bad.get("args", ({},))
    kwargs = bad.get("kwargs", {"group": "g"})
    with pytest.raises(RuntimeError):
        RE([Msg("stash", Cache(), *args, **kwargs)]).result(T)
    assert RE(quick(1)).result(T).plan_result == 1


@pytest.mark.parametrize("timeout", [-1, float("nan"), -float("inf")])
def test_a_senseless_time_out_is_a_value_error(RE: Any, timeout: float) -> None:
    from freewheel import SRLatch
    from freewheel.plan_stubs import wait_for_actions

    with pytest.raises(ValueError, match=r"(?i)time"):
        RE(wait_for_actions({"go": SRLatch()}, timeout=timeout)).result(T)
    assert RE(quick(1)).result(T).plan_result == 1


def test_an_unknown_action_is_a_key_error_with_the_names_on_offer(RE: Any) -> None:
    from freewheel import Action
    from freewheel.plan_stubs import wait_for_actions

    on_offer = threading.Event()
    RE.events.actions_changed.connect(lambda names: on_offer.set() if names else None)
    action = Action(name="snap")
    future = RE(wait_for_actions(action.event_map, timeout=None))
    assert on_offer.wait(T)
    for call in (RE.trigger_action, RE.release_action):
        with pytest.raises(KeyError, match="snap"):
            call("snpa")
    RE.trigger_action("snap")
    assert future.result(T).plan_result[0] == "snap"
    with pytest.raises(KeyError):
        RE.trigger_action("snap")


def test_the_engine_is_usable_after_every_kind_of_refusal(RE: Any) -> None:
    for call in (RE.resume, RE.stop, RE.abort, RE.halt, RE.request_pause):
        with pytest.raises(TransitionError):
            call()
    for bad in (None, 1, quick):
        with pytest.raises(TypeError):
            RE(bad)
    assert RE(quick(1)).result(T).plan_result == 1
