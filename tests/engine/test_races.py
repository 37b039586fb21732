"""Races, hundreds of times each: the ones that lose plans and stops in other engines."""

# ruff: noqa: N803

from __future__ import annotations

import threading
from typing import Any

import pytest
from bluesky.run_engine import TransitionError
from bluesky.utils import Msg, RunEngineInterrupted

from doubles import quick

T = 20
LOOPS = 500


class Ledger:
    """Counts plans that started and plans that cleaned up."""

    def __init__(self) -> None:
        self.starts = 0
        self.stops = 0

    def plan(self, *messages: Msg) -> Any:
        self.starts += 1
        try:
            yield Msg("checkpoint")
            yield from messages
            return "through"
        finally:
            self.stops += 1


@pytest.mark.parametrize("threads", [2, 5, 8])
def test_double_start_from_many_threads(RE: Any, threads: int) -> None:
    ledger = Ledger()
    barrier = threading.Barrier(threads)
    futures: list[Any] = []
    rounds = LOOPS // threads

    def start() -> None:
        for _ in range(rounds):
            barrier.wait(T)
            futures.append(RE(ledger.plan(Msg("null"))))

    workers = [threading.Thread(target=start) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(futures) == rounds * threads
    assert {future.result(T).plan_result for future in futures} == {"through"}
    assert ledger.starts == ledger.stops == rounds * threads
    assert RE.state == "idle"


@pytest.mark.parametrize("call", ["stop", "abort", "halt"])
def test_an_end_right_after_the_start_is_never_lost(RE: Any, call: str) -> None:
    for _ in range(LOOPS // 2):  # on each of two kinds of loop
        future = RE([Msg("checkpoint"), Msg("sleep", None, 60)])
        getattr(RE, call)().result(T)
        assert isinstance(future.exception(T), RunEngineInterrupted)
        assert future.outcome.result(T).interrupted


def test_a_pause_right_after_the_start_is_never_lost(RE: Any) -> None:
    for _ in range(LOOPS // 2):
        future = RE([Msg("checkpoint"), Msg("sleep", None, 60)])
        RE.request_pause().result(T)
        assert RE.state == "paused"
        assert isinstance(future.exception(T), RunEngineInterrupted)
        RE.halt().result(T)
        assert future.outcome.result(T).interrupted


def test_two_plans_back_to_back_both_run(RE: Any) -> None:
    for turn in range(LOOPS // 2):
        one, two = RE(quick((turn, 1))), RE(quick((turn, 2)))
        assert one.result(T).plan_result == (turn, 1)
        assert two.result(T).plan_result == (turn, 2)


def test_stop_against_the_natural_end(RE: Any) -> None:
    """Either the stop was in time, or it is refused as there is nothing to stop: no third way."""
    stopped = completed = 0
    for turn in range(LOOPS):
        ledger = Ledger()
        future = RE(ledger.plan(*[Msg("null")] * (turn % 40)))
        refused = False
        try:
            RE.stop().result(T)
        except TransitionError:
            refused = True
        result = future.outcome.result(T)
        if result.interrupted:
            assert not refused
            stopped += 1
            assert isinstance(future.exception(T), RunEngineInterrupted)
        else:
            completed += 1
            assert future.result(T).plan_result == "through"
        assert ledger.starts == ledger.stops
        assert RE.state == "idle"
    assert stopped + completed == LOOPS
    assert stopped


def test_stop_from_a_thread_against_the_natural_end(RE: Any) -> None:
    for turn in range(LOOPS // 2):
        ledger = Ledger()
        go = threading.Barrier(2)

        def stop(go: threading.Barrier = go) -> None:
            go.wait(T)
            try:
                RE.stop().result(T)
            except TransitionError:
                return

        worker = threading.Thread(target=stop)
        worker.start()
        future = RE(ledger.plan(*[Msg("null")] * (turn % 60)))
        go.wait(T)
        future.outcome.result(T)
        worker.join()
        assert ledger.starts == ledger.stops <= 1
        assert RE.state == "idle"
        assert RE.queued == ()


def test_two_stops_from_two_threads(RE: Any) -> None:
    for _ in range(LOOPS // 2):
        future = RE([Msg("checkpoint"), Msg("sleep", None, 60)])
        go = threading.Barrier(2)
        refused: list[BaseException] = []

        def stop(go: threading.Barrier = go, refused: list[BaseException] = refused) -> None:
            go.wait(T)
            try:
                RE.stop().result(T)
            except TransitionError as error:
                refused.append(error)

        workers = [threading.Thread(target=stop) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert len(refused) <= 1  # the later one may find the engine idle already
        assert future.outcome.result(T).interrupted
        assert RE.state == "idle"


def test_pause_then_stop_while_a_devices_pause_is_slow(RE: Any) -> None:
    import asyncio

    class Slow:
        name = "slow"
        parent = None

        async def pause(self) -> None:
            for _ in range(20):
                await asyncio.sleep(0)

        async def resume(self) -> None:
            """Nothing to do."""

    slow = Slow()
    for _ in range(LOOPS // 2):
        ready = threading.Event()

        def plan(ready: threading.Event = ready) -> Any:
            yield Msg("null", slow)
            yield Msg("checkpoint")
            ready.set()
            yield Msg("sleep", None, 60)

        future = RE(plan())
        assert ready.wait(T)
        paused, stopped = RE.request_pause(), RE.stop()
        stopped.result(T)
        paused.exception(T)
        assert RE.state == "idle"
        assert future.outcome.result(T).exit_status == "success"


def test_resume_against_stop(RE: Any) -> None:
    for turn in range(LOOPS // 2):
        ledger = Ledger()
        RE(ledger.plan(Msg("pause"), Msg("null"))).exception(T)
        assert RE.state == "paused"
        go = threading.Barrier(2)

        def stop(go: threading.Barrier = go) -> None:
            go.wait(T)
            try:
                RE.stop().exception(T)
            except TransitionError:
                return

        worker = threading.Thread(target=stop)
        worker.start()
        go.wait(T)
        try:
            RE.resume().exception(T)
        except TransitionError:
            assert RE.state != "paused"
        worker.join()
        assert ledger.starts == ledger.stops == 1, turn
        assert RE.state == "idle"


def test_cancel_against_the_start_of_a_queued_plan(RE: Any) -> None:
    for _ in range(LOOPS // 2):
        ledger = Ledger()
        first = RE(quick())
        second = RE(ledger.plan())
        cancelled = second.cancel()
        first.result(T)
        if cancelled:
            assert second.cancelled()
            assert ledger.starts == 0
        else:
            assert second.result(T).plan_result == "through"
            assert ledger.starts == 1
        assert RE(quick(1)).result(T).plan_result == 1


def test_a_latch_storm_loses_no_set(RE: Any) -> None:
    """10,000 sets from four threads, one plan that waits for each of them."""
    from freewheel import SRLatch
    from freewheel.plan_stubs import wait_for_actions

    count = 10_000 // 2 // 4  # on each of two kinds of loop, by each of four threads
    latches = {f"latch{number}": SRLatch() for number in range(4)}
    seen = dict.fromkeys(latches, 0)
    turns = {name: threading.Semaphore(1) for name in latches}

    def plan() -> Any:
        while sum(seen.values()) < 4 * count:
            name, latch = yield from wait_for_actions(latches, timeout=None)
            seen[name] += 1
            latch.reset()
            turns[name].release()

    def setter(name: str) -> None:
        for _ in range(count):
            assert turns[name].acquire(timeout=T)
            latches[name].set()

    future = RE(plan())
    workers = [threading.Thread(target=setter, args=(name,)) for name in latches]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    future.result(T)
    assert set(seen.values()) == {count}


def test_one_latch_pulsed_from_a_thread_is_seen_each_time(RE: Any) -> None:
    from freewheel import SRLatch
    from freewheel.plan_stubs import wait_for_actions

    latch = SRLatch()
    waiting = threading.Semaphore(0)
    seen: list[str] = []
    RE.events.actions_changed.connect(lambda names: waiting.release() if names else None)

    def plan() -> Any:
        for _ in range(LOOPS):
            name, _ = yield from wait_for_actions({"pulse": latch}, timeout=None)
            seen.append(name)

    future = RE(plan())
    for _ in range(LOOPS):
        assert waiting.acquire(timeout=T)
        latch.set()
        latch.reset()
    future.result(T)
    assert len(seen) == LOOPS
