"""Pause, resume, stop, abort and halt: they never block, and are never lost."""

# ruff: noqa: N803

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
from typing import Any

import bluesky.plan_stubs as bps
import pytest
from bluesky.run_engine import TransitionError
from bluesky.utils import Msg, RunEngineInterrupted

from doubles import Blocked, Detector, Gate, SlowCache, quick
from freewheel.plan_stubs import acquire

T = 10
ENDS = ["stop", "abort", "halt"]


def test_pause_and_resume(RE: Any, gate: Any) -> None:
    first = RE(gate.plan())
    gate.wait()
    assert RE.request_pause().result(T) is None
    assert RE.state == "paused"
    assert isinstance(first.exception(T), RunEngineInterrupted)
    second = RE.resume()
    gate.open()
    assert second.result(T).plan_result == "through"
    assert RE.state == "idle"


@pytest.mark.parametrize("call", [*ENDS, "request_pause"])
def test_no_control_call_waits_for_a_busy_loop(RE: Any, gate: Any, call: str) -> None:
    future = RE(gate.plan())
    gate.wait()
    with Blocked(RE):
        answer = getattr(RE, call)()
        assert not answer.done()
    answer.result(T)
    if call == "request_pause":
        assert RE.state == "paused"
        RE.stop().result(T)
    assert isinstance(future.exception(T), RunEngineInterrupted)
    assert RE.state == "idle"


@pytest.mark.parametrize("call", [*ENDS, "request_pause"])
def test_a_request_before_the_first_message_takes_effect(RE: Any, call: str) -> None:
    ran: list[str] = []

    def plan() -> Any:
        ran.append("started")
        yield Msg("checkpoint")
        yield Msg("sleep", None, 60)
        ran.append("slept")

    with Blocked(RE):
        future = RE(plan())
        answer = getattr(RE, call)()
    answer.result(T)
    if call == "request_pause":
        assert RE.state == "paused"
        RE.halt().result(T)
    assert isinstance(future.exception(T), RunEngineInterrupted)
    assert "slept" not in ran
    assert RE.state == "idle"


@pytest.mark.parametrize("call", ENDS)
def test_stopping_a_paused_plan_does_not_wait_for_its_clean_up(
    RE: Any, gate: Any, call: str
) -> None:
    clean_up = Gate(RE)

    def plan() -> Any:
        try:
            yield from gate.plan()
        finally:
            yield from clean_up.plan()

    RE(plan())
    gate.wait()
    RE.request_pause().result(T)
    answer = getattr(RE, call)()
    if call != "halt":
        clean_up.wait()
        assert not answer.done()  # the future means that the clean-up is over
        assert RE.state != "idle"
        clean_up.open()
    answer.result(T)
    assert RE.state == "idle"
    assert clean_up.cleaned.is_set() or call == "halt"


def test_stop_of_a_running_plan_is_done_after_the_clean_up(RE: Any, gate: Any) -> None:
    clean_up = Gate(RE)

    def plan() -> Any:
        try:
            yield from gate.plan()
        finally:
            yield from clean_up.plan()

    future = RE(plan())
    gate.wait()
    stopped = RE.stop()
    clean_up.wait()
    assert not stopped.done()
    assert not future.done()
    assert not future.outcome.done()
    clean_up.open()
    stopped.result(T)
    assert clean_up.cleaned.is_set()


@pytest.mark.parametrize("call", ["resume", *ENDS, "request_pause"])
def test_an_idle_engine_refuses_on_the_spot(RE: Any, call: str) -> None:
    with pytest.raises(TransitionError, match=r"(?i)idle|running|paused"):
        getattr(RE, call)()
    assert RE.state == "idle"
    assert RE(quick(1)).result(T).plan_result == 1


def test_a_running_engine_refuses_resume_on_the_spot(RE: Any, gate: Any) -> None:
    future = RE(gate.plan())
    gate.wait()
    with pytest.raises(TransitionError):
        RE.resume()
    gate.open()
    assert future.result(T).plan_result == "through"


def test_a_paused_engine_refuses_a_pause_on_the_spot(RE: Any, gate: Any) -> None:
    RE(gate.plan())
    gate.wait()
    RE.request_pause().result(T)
    with pytest.raises(TransitionError):
        RE.request_pause()
    assert RE.state == "paused"
    RE.stop().result(T)


def test_two_stops_both_end(RE: Any, gate: Any) -> None:
    RE(gate.plan())
    gate.wait()
    with Blocked(RE):
        answers = [RE.stop(), RE.stop()]
    for answer in answers:
        answer.result(T)
    assert RE.state == "idle"


def test_a_pause_and_a_stop_while_the_loop_is_busy_end_stopped(RE: Any, gate: Any) -> None:
    future = RE(gate.plan())
    gate.wait()
    with Blocked(RE):
        paused, stopped = RE.request_pause(), RE.stop()
    stopped.result(T)
    paused.exception(T)
    assert paused.done()
    assert RE.state == "idle"
    assert future.outcome.result(T).exit_status == "success"


def test_a_deferred_pause_takes_effect_at_the_checkpoint(RE: Any, gate: Any) -> None:
    after: list[str] = []

    def plan() -> Any:
        yield from gate.plan(messages=5)
        after.append("nulls")
        yield Msg("checkpoint")
        after.append("checkpoint")
        return "end"

    first = RE(plan())
    gate.wait()
    RE.request_pause(defer=True).result(T)
    assert RE.state == "running"
    gate.open()
    assert isinstance(first.exception(T), RunEngineInterrupted)
    assert RE.state == "paused"
    assert after == ["nulls"]
    assert RE.resume().result(T).plan_result == "end"
    assert after == ["nulls", "checkpoint"]


def test_deferred_pauses_do_not_cost_half_a_second_each(RE: Any) -> None:
    """Thirty of them: with bluesky's fixed sleep this runs into the limit."""
    ready = threading.Event()

    def plan() -> Any:
        while True:
            yield Msg("checkpoint")
            ready.set()
            yield Msg("sleep", None, 0.001)

    future = RE(plan())
    done = threading.Event()

    def pause_often() -> None:
        nonlocal future
        for _ in range(30):
            ready.wait(T)
            RE.request_pause(defer=True).result(T)
            future.exception(T)
            future = RE.resume()
        done.set()

    worker = threading.Thread(target=pause_often)
    worker.start()
    assert done.wait(T)
    worker.join()
    RE.stop().result(T)
    assert RE.state == "idle"


def _as_queueserver_does(RE: Any, defer: bool) -> Any:
    return asyncio.run_coroutine_threadsafe(RE._request_pause_coro(defer), RE.loop)


@pytest.mark.parametrize("defer", [False, True])
@pytest.mark.parametrize(
    "pause", [lambda RE, defer: RE.request_pause(defer=defer), _as_queueserver_does]
)
def test_waiting_for_an_action_is_a_safe_place_to_pause(RE: Any, pause: Any, defer: bool) -> None:
    from freewheel import Action
    from freewheel.plan_stubs import wait_for_actions

    action = Action(name="go")
    on_offer = threading.Event()
    RE.events.actions_changed.connect(lambda names: on_offer.set() if names else None)

    def plan() -> Any:
        yield Msg("checkpoint")
        return (yield from wait_for_actions(action.event_map, timeout=None))

    first = RE(plan())
    assert on_offer.wait(T)
    pause(RE, defer).result(T)
    assert isinstance(first.exception(T), RunEngineInterrupted)
    assert RE.state == "paused"
    second = RE.resume()
    RE.loop.call_soon_threadsafe(action.latch.set)
    assert second.result(T).plan_result == ("go", action.latch)


@pytest.mark.parametrize("call", ["request_pause", *ENDS])
def test_control_from_a_document_callback(RE: Any, call: str) -> None:
    answers: list[Any] = []

    def run() -> Any:
        yield Msg("open_run")
        yield Msg("checkpoint")
        yield Msg("sleep", None, 60)
        yield Msg("close_run")

    stops: list[Any] = []
    RE.subscribe(lambda name, doc: stops.append(doc), "stop")
    future = RE(run(), {"start": lambda name, doc: answers.append(getattr(RE, call)())})
    assert isinstance(future.exception(T), RunEngineInterrupted)
    answers[0].result(T)
    if call == "request_pause":
        assert RE.state == "paused"
        RE.abort().result(T)
    assert RE.state == "idle"
    assert len(stops) == 1


def test_control_from_within_a_plan(RE: Any) -> None:
    answers: list[Any] = []

    def plan() -> Any:
        yield Msg("checkpoint")
        answers.append(RE.stop())
        yield Msg("sleep", None, 60)

    future = RE(plan())
    assert isinstance(future.exception(T), RunEngineInterrupted)
    answers[0].result(T)
    assert future.outcome.result(T).exit_status == "success"


def test_many_pauses_leave_runs_balanced(RE: Any, documents: Any) -> None:
    pauses = 0
    moved_on = threading.Semaphore(0)

    def twelve_runs() -> Any:
        for number in range(12):
            yield Msg("open_run", number=number)
            while pauses < 8 * (number + 1):
                yield Msg("checkpoint")
                moved_on.release()
                yield Msg("sleep", None, 0.0005)
            yield Msg("close_run")

    future = RE(twelve_runs())
    while pauses < 96:
        assert moved_on.acquire(timeout=T)
        RE.request_pause().result(T)
        assert RE.state == "paused"
        pauses += 1
        future = RE.resume()
    future.result(T)
    names = [name for name, _ in documents if name in ("start", "stop")]
    assert names == ["start", "stop"] * 12
    assert all(doc["exit_status"] == "success" for name, doc in documents if name == "stop")


def test_an_interrupted_wait_for_leaves_no_task(RE: Any) -> None:
    reached = threading.Event()
    tasks: list[asyncio.Task[Any]] = []

    async def forever() -> None:
        tasks.append(asyncio.current_task())
        reached.set()
        await asyncio.get_running_loop().create_future()

    RE([Msg("wait_for", None, [forever])])
    assert reached.wait(T)
    RE.stop().result(T)

    async def settled() -> None:
        await asyncio.wait(tasks, timeout=1)

    asyncio.run_coroutine_threadsafe(settled(), RE.loop).result(T)
    left = [task for task in tasks if not task.done()]
    for task in left:
        RE.loop.call_soon_threadsafe(task.cancel)
    asyncio.run_coroutine_threadsafe(settled(), RE.loop).result(T)
    assert not left
    gc.collect()


def test_the_hooks_stay_the_users(RE: Any, gate: Any) -> None:
    assert RE.state_hook is None
    assert RE.msg_hook is None
    assert RE.waiting_hook is None
    assert RE.pause_msg == ""
    assert RE.context_managers == []
    states: list[str] = []
    messages: list[str] = []
    RE.state_hook = lambda new, old: states.append(f"{old}>{new}")
    RE.msg_hook = lambda msg: messages.append(msg.command)
    future = RE(gate.plan())
    gate.wait()
    RE.request_pause().result(T)
    future = RE.resume()
    gate.open()
    future.result(T)
    assert "idle>running" in states
    assert "running>pausing" in states
    assert "pausing>paused" in states
    assert "paused>running" in states
    assert states[-1] == "running>idle"
    assert messages[0] == "checkpoint"
    assert RE.state_hook is not None


def test_preprocessors_and_registered_commands_work(RE: Any) -> None:
    from freewheel import register_bound_command

    seen: list[Any] = []

    async def my_command(msg: Any) -> str:
        seen.append(msg.args)
        return "answer"

    async def bound(engine: Any, msg: Any) -> Any:
        return engine

    def twice(plan: Any) -> Any:
        yield Msg("null")
        return (yield from plan)

    RE.register_command("my_command", my_command)
    register_bound_command(RE, bound)
    RE.preprocessors.append(twice)
    messages: list[str] = []
    RE.msg_hook = lambda msg: messages.append(msg.command)

    def plan() -> Any:
        first = yield Msg("my_command", None, 1)
        second = yield Msg("bound")
        return first, second

    assert RE(plan()).result(T).plan_result == ("answer", RE)
    assert messages == ["null", "my_command", "bound"]
    assert seen == [(1,)]


class Shutter:
    """A signal that suspenders look at."""

    name = "shutter"

    def __init__(self) -> None:
        self.value = 0
        self.callbacks: list[Any] = []

    def subscribe(self, cb: Any, event_type: Any = None, run: bool = True) -> None:
        self.callbacks.append(cb)
        if run:
            cb(value=self.value)

    def clear_sub(self, cb: Any) -> None:
        self.callbacks.remove(cb)

    def get(self) -> int:
        return self.value

    def put(self, value: int) -> None:
        self.value = value
        for cb in list(self.callbacks):
            cb(value=value)


def test_a_suspender_suspends_and_releases(RE: Any) -> None:
    from bluesky.suspenders import SuspendBoolHigh

    signal = Shutter()
    RE.install_suspender(SuspendBoolHigh(signal))
    suspended, go_on = threading.Event(), threading.Event()
    RE.events.state_changed.connect(
        lambda new, old: suspended.set() if new == "suspending" else None
    )

    def plan() -> Any:
        while not suspended.is_set():
            yield Msg("checkpoint")
            go_on.set()
            yield Msg("sleep", None, 0.01)
        return "end"

    future = RE(plan())
    assert go_on.wait(T)
    signal.put(1)
    assert suspended.wait(T)
    assert not future.done()
    signal.put(0)
    assert future.result(T).plan_result == "end"
    RE.remove_suspender(RE.suspenders[0])


def test_a_suspender_that_finds_the_loop_busy_is_asked_again(RE: Any) -> None:
    from bluesky.suspenders import SuspendBoolHigh

    free = threading.Event()

    class Asked(SuspendBoolHigh):
        def get_futures(self) -> Any:
            if self.tripped and not free.is_set():
                RE.loop.call_soon_threadsafe(free.wait, T)
            try:
                return super().get_futures()
            except AttributeError:  # its event was not made in time
                free.set()
                raise

    signal, held = Shutter(), threading.Event()
    suspender = Asked(signal)
    RE.install_suspender(suspender)
    RE.loop.call_soon_threadsafe(held.wait, T)
    with pytest.raises(RuntimeError, match="suspender event"):
        signal.put(1)
    held.set()
    future = RE(quick(1))
    assert free.wait(T)
    signal.put(0)
    assert future.result(T).plan_result == 1
    RE.remove_suspender(suspender)


def test_a_suspender_that_lets_go_while_it_is_asked_keeps_no_plan(RE: Any) -> None:
    from bluesky.suspenders import SuspendBoolHigh

    class LetsGo(SuspendBoolHigh):
        ready = False

        @property
        def tripped(self) -> bool:
            was = super().tripped
            if was and self.ready:
                self.ready = False
                signal.put(0)  # from another thread, after it was looked at
            return was

    signal = Shutter()
    suspender = LetsGo(signal)
    RE.install_suspender(suspender)
    signal.put(1)
    suspender.ready = True
    assert RE(quick(1)).result(T).plan_result == 1
    suspended, go_on = threading.Event(), threading.Event()
    RE.events.state_changed.connect(
        lambda new, old: suspended.set() if new == "suspending" else None
    )

    def plan() -> Any:
        while not suspended.is_set():
            go_on.set()
            yield Msg("checkpoint")
            yield Msg("sleep", None, 0.01)

    future = RE(plan())
    assert go_on.wait(T)
    signal.put(1)
    assert suspended.wait(T)
    signal.put(0)
    future.result(T)
    RE.remove_suspender(suspender)


@pytest.mark.parametrize("command", ["stash", "clear_cache", "stage"])
def test_what_a_resume_does_not_repeat_is_waited_for_again(RE: Any, command: str) -> None:
    slow = SlowCache()
    waits = threading.Semaphore(0)
    RE.waiting_hook = lambda statuses: waits.release() if statuses else None

    def plan() -> Any:
        yield Msg("checkpoint")
        yield Msg(command, slow, *([{}] if command == "stash" else []), group="slow")
        yield Msg("wait", None, group="slow")
        return slow.status.done

    RE(plan())
    for turn in range(3):
        assert waits.acquire(timeout=T), turn
        RE.request_pause().result(T)
        future = RE.resume()
    assert waits.acquire(timeout=T)
    slow.status.set_finished()
    assert future.result(T).plan_result is True
    assert slow.begun == 1


def test_what_was_begun_ahead_of_a_checkpoint_is_begun_again(RE: Any) -> None:
    detector = Detector()
    seen: list[str] = []
    RE.msg_hook = lambda msg: seen.append(msg.command)

    def plan() -> Any:
        ahead = Msg("trigger", detector, group="ahead")
        yield ahead
        yield Msg("checkpoint", None, ahead)
        yield Msg("pause")
        yield Msg("wait", None, group="ahead")
        yield Msg("checkpoint")
        yield Msg("pause")

    assert isinstance(RE(plan()).exception(T), RunEngineInterrupted)
    assert isinstance(RE.resume().exception(T), RunEngineInterrupted)
    RE.resume().result(T)
    assert detector.triggered == 2
    assert seen == ["trigger", "checkpoint", "pause", "trigger", "wait", "checkpoint", "pause"]


@pytest.mark.parametrize("take", [bps.trigger_and_read, acquire])
def test_a_pause_after_a_run_was_closed_repeats_nothing_of_it(RE: Any, take: Any) -> None:
    detector = Detector()
    documents: list[str] = []
    RE.subscribe(lambda name, _: documents.append(name))

    def plan() -> Any:
        yield Msg("open_run")
        yield Msg("checkpoint")
        yield from take([detector])
        yield Msg("close_run")
        yield Msg("pause")
        return "over"

    assert isinstance(RE(plan()).exception(T), RunEngineInterrupted)
    assert RE.resume().result(T).plan_result == "over"
    assert detector.triggered == 1
    assert documents == ["start", "descriptor", "event", "stop"]


def test_a_pause_after_a_run_repeats_what_has_nothing_to_do_with_runs(RE: Any) -> None:
    went: list[int] = []
    RE.register_command("go", _noting(went))

    def plan() -> Any:
        yield Msg("checkpoint")
        yield Msg("go", None, 1)
        yield Msg("open_run")
        yield Msg("close_run")
        yield Msg("pause")

    assert isinstance(RE(plan()).exception(T), RunEngineInterrupted)
    RE.resume().result(T)
    assert went == [1, 1]


def _noting(went: list[int]) -> Any:
    async def go(msg: Msg) -> None:
        went.append(msg.args[0])

    return go


def test_blueskys_plans_that_end_before_their_first_message_are_not_complained_of(RE: Any) -> None:
    """bluesky warns of plans that nobody has iterated; here warnings are errors."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in range(5):
            future = RE(bps.sleep(60))
            RE.stop().result(T)
            assert future.done()
        task = RE.background.launch(bps.sleep(60))
        task.cancel()
        task.exception(T)
        del future, task
        gc.collect()
    assert [str(each.message) for each in told] == []


def test_a_stop_as_the_plan_is_told_of_comes_before_its_first_message(RE: Any) -> None:
    sent: list[str] = []

    def plan() -> Any:
        sent.append("first")
        yield Msg("null")

    RE.events.plan_started.connect(lambda _: RE.stop())
    outcome = RE(plan()).outcome.result(T)
    assert outcome.interrupted
    assert sent == []
