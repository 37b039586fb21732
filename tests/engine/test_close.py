"""The end of engines: close, collection, forks."""

# ruff: noqa: N803

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
import weakref
from concurrent.futures import CancelledError
from typing import Any

import pytest
from bluesky.utils import Msg, RunEngineInterrupted

from doubles import Device, in_a_run, quick, run_script
from freewheel import BlockingRunEngine, EngineClosedError, PlanCall, RunEngine

T = 10


def test_close_aborts_what_runs_and_lets_it_clean_up(RE: Any, gate: Any, documents: Any) -> None:
    future = RE(in_a_run(gate.plan()))
    gate.wait()
    waiting = RE(quick())
    RE.close()
    assert gate.cleaned.is_set()
    assert isinstance(future.exception(T), RunEngineInterrupted)
    assert future.outcome.result(T).exit_status == "abort"
    with pytest.raises(CancelledError):
        waiting.result(T)
    assert [name for name, _ in documents] == ["start", "stop"]
    assert documents[-1][1]["exit_status"] == "abort"
    assert not RE._th.is_alive()


def test_a_plan_that_comes_while_the_engine_is_closed_is_refused(RE: Any) -> None:
    """And not begun by an engine that nobody will end: its future would never be done."""
    begun: list[None] = []

    def plan() -> Any:
        begun.append(None)
        yield Msg("null")

    def made_too_late() -> Any:
        RE.close()  # after the call was let in, and before the plan has its place
        return plan()

    with pytest.raises(EngineClosedError, match="closed"):
        RE(PlanCall(made_too_late))
    assert not begun


def test_close_stops_what_is_moved_by_hand(RE: Any) -> None:
    device = Device("device", by_hand=True)
    move = RE.by_hand.set(device, 1)
    assert device.acted.wait(T)
    RE.close()
    assert "stop" in device.did
    assert isinstance(move.exception(T), EngineClosedError)


def test_close_leaves_no_task_that_another_began_in_its_end() -> None:
    engine = RunEngine()
    begun: list[asyncio.Task[Any]] = []

    async def ends_late() -> None:
        try:
            await asyncio.sleep(600)
        finally:
            begun.append(asyncio.get_running_loop().create_task(asyncio.sleep(600)))

    loop = engine.loop
    loop.call_soon_threadsafe(lambda: begun.append(loop.create_task(ends_late())))
    asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(T)
    engine.close()
    assert len(begun) == 2
    assert all(task.cancelled() for task in begun)


def test_close_ends_a_paused_plan(RE: Any, gate: Any) -> None:
    future = RE(gate.plan())
    gate.wait()
    RE.request_pause().result(T)
    RE.close()
    assert gate.cleaned.is_set()
    assert future.outcome.result(T).exit_status == "abort"


def test_close_twice_and_a_closed_engine_refuses_everything(RE: Any) -> None:
    RE.close()
    RE.close()
    for call in (
        lambda: RE(quick()),
        RE.resume,
        RE.stop,
        RE.abort,
        RE.halt,
        RE.request_pause,
    ):
        with pytest.raises(EngineClosedError, match=r"(?i)closed"):
            call()


def test_two_threads_close_an_engine_at_the_same_time(
    RE: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second asks for nothing on a loop that the first one ends."""
    closes, both, may_end = threading.Event(), threading.Event(), threading.Event()
    life, asked = RE._life, []

    class ByHand:
        async def close(self) -> None:
            asked.append(self)
            closes.set()
            await asyncio.to_thread(may_end.wait, T)

    def begin_close() -> None:
        if closes.is_set():
            both.set()

    monkeypatch.setattr(life, "_by_hand", ByHand())
    monkeypatch.setattr(life.services, "begin_close", begin_close)
    first, second = (threading.Thread(target=RE.close) for _ in range(2))
    first.start()
    assert closes.wait(T)
    second.start()
    assert both.wait(T)
    may_end.set()
    for thread in (first, second):
        thread.join(T)
        assert not thread.is_alive()
    assert len(asked) == 1
    assert not RE._th.is_alive()


def test_a_closed_engine_is_closed_again_by_a_thread_with_the_number_of_its_own(
    RE: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which has ended: the next thread that begins often gets its number."""
    RE.close()
    monkeypatch.setattr(type(RE._core), "on_loop_thread", lambda core: True)
    RE.close()


def test_what_is_refused_by_a_closed_engine_is_not_left_unawaited(RE: Any) -> None:
    RE.close()
    with pytest.raises(EngineClosedError):
        RE([Msg("null")])
    assert RE.snapshot().state in ("idle", "closed")


def test_with_closes() -> None:
    with RunEngine() as RE:  # noqa: N806
        thread = RE._th
        loop = RE.loop
        assert RE(quick(1)).result(T).plan_result == 1
    thread.join(T)
    assert not thread.is_alive()
    assert loop.is_closed()


def test_an_exception_leaves_with_and_closes() -> None:
    def leave() -> None:
        with RunEngine() as RE:  # noqa: N806
            threads.append(RE._th)
            raise ValueError("mine")

    threads: list[Any] = []
    with pytest.raises(ValueError, match="mine"):
        leave()
    assert not threads[0].is_alive()


def test_a_given_loop_is_left_open() -> None:
    loop = asyncio.new_event_loop()
    RE = RunEngine(loop=loop)  # noqa: N806
    RE(quick()).result(T)
    RE.close()
    assert not loop.is_closed()
    assert not loop.is_running()
    loop.close()


def test_close_does_not_wait_for_ever_for_a_clean_up_that_hangs(RE: Any, gate: Any) -> None:
    stuck = RE.loop.create_future()

    def plan() -> Any:
        try:
            yield from gate.plan()
        finally:
            yield Msg("wait_for", None, [lambda: stuck])

    future = RE(plan())
    gate.wait()
    begin = time.monotonic()
    RE.close(timeout=0.3)
    assert time.monotonic() - begin < T
    assert future.outcome.done()


def test_close_on_the_engines_own_thread_does_not_dead_lock(RE: Any) -> None:
    closed = threading.Event()
    errors: list[BaseException] = []

    def close() -> None:
        try:
            RE.close()
        except RuntimeError as error:
            errors.append(error)
        closed.set()

    RE.loop.call_soon_threadsafe(close)
    assert closed.wait(T)
    assert "RE.abort() here" in str(errors[0])
    RE.close()
    assert not RE._th.is_alive()


def test_close_by_a_subscriber_whom_the_plan_waits_for_is_refused(RE: Any) -> None:
    said: list[str] = []

    def subscriber(name: str, doc: Any) -> None:
        if name == "start":
            with pytest.raises(RuntimeError, match=r"RE\.abort\(\)") as caught:
                RE.close()
            said.append(str(caught.value))
            RE.abort("the subscriber has seen enough")

    RE.subscribe(subscriber, delivery="queued")
    future = RE(in_a_run([Msg("sleep", None, 600)]))
    assert isinstance(future.exception(T), RunEngineInterrupted)
    assert len(said) == 1
    assert not RE.closed


def test_engines_made_and_closed_give_everything_back() -> None:
    def one() -> None:
        with RunEngine() as RE:  # noqa: N806
            RE(quick()).result(T)

    one()
    gc.collect()
    threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        one()
    gc.collect()
    assert threading.active_count() <= threads
    assert len(os.listdir("/proc/self/fd")) <= files


def test_engines_made_and_dropped_give_everything_back() -> None:
    def one() -> tuple[weakref.ref[Any], threading.Thread]:
        RE = RunEngine()  # noqa: N806
        RE(quick()).result(T)
        return weakref.ref(RE), RE._th

    one()[1].join(0)
    gc.collect()
    files = len(os.listdir("/proc/self/fd"))
    made = [one() for _ in range(50)]
    deadline = time.monotonic() + T
    for engine, thread in made:
        while thread.is_alive() and time.monotonic() < deadline:
            gc.collect()  # again, for it may have been in the midst of a call of the engine's
            thread.join(0.05)
        assert not thread.is_alive()
        assert engine() is None
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= files + 3


def test_a_forgotten_engine_with_a_plan_is_not_collected_under_it() -> None:
    done = threading.Event()

    def plan() -> Any:
        for _ in range(20):
            yield Msg("sleep", None, 0.002)
        done.set()
        return "end"

    def start() -> Any:
        return RunEngine()(plan())

    future = start()
    gc.collect()
    assert future.result(T).plan_result == "end"
    assert done.is_set()
    del future
    gc.collect()


def test_a_blocking_engine_returns_results_and_raises() -> None:
    def failing() -> Any:
        yield Msg("null")
        raise ValueError("mine")

    with BlockingRunEngine(call_returns_result=True) as RE:  # noqa: N806
        assert RE(quick(1)).plan_result == 1
        with pytest.raises(ValueError, match="mine"):
            RE(failing())
        with pytest.raises(RunEngineInterrupted):
            RE([Msg("pause"), Msg("null")])
        assert RE.state == "paused"
        with pytest.raises(RuntimeError):  # it would queue, and the caller wait for ever
            RE(quick(2))
        assert RE.resume().exit_status == "success"
        with pytest.raises(RunEngineInterrupted):
            RE([Msg("pause"), Msg("null")])
        RE.stop()
        assert RE.state == "idle"
        with pytest.raises(RunEngineInterrupted):
            RE([Msg("pause"), Msg("null")])
        RE.reset()
        assert RE.state == "idle"


def test_calls_in_a_forked_child_are_refused() -> None:
    answer = run_script(
        """
        import os, sys, warnings
        from bluesky.utils import Msg
        from freewheel import ForkedProcessError, RunEngine

        RE = RunEngine()
        RE([Msg("null")]).result(10)
        done = RE([Msg("null")])
        done.result(10)
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
        if child == 0:
            refused = 0
            for call in (lambda: RE([Msg("null")]), RE.stop, RE.abort, RE.halt, RE.resume,
                         RE.request_pause):
                try:
                    call()
                except ForkedProcessError:
                    refused += 1
            RE.close()
            os._exit(0 if refused == 6 else 10 + refused)
        _, status = os.waitpid(child, 0)
        assert RE([Msg("null")]).result(10).exit_status == "success"
        RE.close()
        sys.exit(os.waitstatus_to_exitcode(status))
        """
    )
    assert answer.returncode == 0, answer.stderr


def test_a_forked_child_that_leaves_by_sys_exit_does_not_hang() -> None:
    answer = run_script(
        """
        import os, sys, warnings
        from bluesky.utils import Msg
        from freewheel import RunEngine

        RE = RunEngine()
        future = RE([Msg("checkpoint"), Msg("sleep", None, 0.3)])
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
        if child == 0:
            sys.exit(7)
        _, status = os.waitpid(child, 0)
        future.result(10)
        RE.close()
        print(os.waitstatus_to_exitcode(status))
        """
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip() == "7"
