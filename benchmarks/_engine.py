"""The engine and its values, against bluesky, redsun and ophyd."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
import time
from typing import TYPE_CHECKING, Any

import bluesky
from bluesky.utils import Msg

from benchmarks._rows import Row, interleave, make_row
from freewheel import RunEngine, SRLatch, Status
from freewheel.plan_stubs import wait_for_actions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["rows"]

NULLS = 20_000
CALLS = 300
LATCHES = 200
STATUSES = 300
clock = time.perf_counter


class Engines:
    """The engines that are compared, each with a way to wait for its plan."""

    def __init__(self) -> None:
        self.freewheel = RunEngine(loop=asyncio.SelectorEventLoop())
        self.bluesky = bluesky.RunEngine(context_managers=[], call_returns_result=True)
        self.uvloop: RunEngine | None = None
        self.redsun: Any = None
        try:
            import uvloop
        except ImportError:
            pass
        else:
            self.uvloop = RunEngine(loop=uvloop.new_event_loop())
        try:
            from redsun.engine import RunEngine as RedsunEngine
        except ImportError:
            return
        self.redsun = RedsunEngine()

    def futures(self) -> dict[str, Any]:
        """Those whose calls return futures."""
        named = {
            "freewheel": self.freewheel,
            "uvloop": self.uvloop,
            "redsun": self.redsun,
        }
        return {name: engine for name, engine in named.items() if engine is not None}

    def calls(self) -> dict[str, Callable[[Any], Any]]:
        """By name, functions that run a plan to its end."""

        def waiting(engine: Any) -> Callable[[Any], Any]:
            return lambda plan: engine(plan).result()

        return {
            **{name: waiting(engine) for name, engine in self.futures().items()},
            "bluesky": self.bluesky,
        }

    def close(self) -> None:
        for engine in (self.freewheel, self.uvloop):
            if engine is not None:
                engine.close()
                engine.loop.close()


def rows() -> Iterable[Row]:
    """Measure all, row by row."""
    engines = Engines()
    try:
        yield from _calling(engines)
        yield from _there_and_back(engines)
        yield from _latches(engines)
        yield from _nulls(engines)
    finally:
        engines.close()
    yield from _statuses()
    yield from _outstanding_statuses()
    yield _blocking_callback()


def _calling(engines: Engines) -> Iterable[Row]:
    def held(engine: Any) -> Callable[[], float]:
        def measure() -> float:
            total = 0.0
            for _ in range(CALLS):
                plan = [Msg("null")]
                begin = clock()
                future = engine(plan)
                total += clock() - begin
                future.result()
            return total / CALLS * 1e6

        return measure

    figures = interleave({name: held(engine) for name, engine in engines.futures().items()})
    name = "RE(plan) holds the caller"
    yield make_row(name, figures, peer="redsun", unit="µs", must_reach=">= 8")
    if "uvloop" in figures:
        yield make_row(
            f"{name}, uvloop",
            figures,
            peer="redsun",
            unit="µs",
            ours="uvloop",
            must_reach=">= 10",
        )


def _there_and_back(engines: Engines) -> Iterable[Row]:
    def trip(call: Callable[[Any], Any]) -> Callable[[], float]:
        def measure() -> float:
            begin = clock()
            for _ in range(CALLS):
                call([])
            return (clock() - begin) / CALLS * 1e6

        return measure

    figures = interleave({name: trip(call) for name, call in engines.calls().items()}, repeats=9)
    name = "empty plan, there and back"
    yield make_row(name, figures, peer="bluesky", unit="µs", must_reach=">= 1.1")
    yield make_row(name, figures, peer="redsun", unit="µs", must_reach=">= 2.5")
    if "uvloop" in figures:
        yield make_row(f"{name}, uvloop", figures, peer="bluesky", unit="µs", ours="uvloop")
        yield make_row(f"{name}, uvloop", figures, peer="redsun", unit="µs", ours="uvloop")


def _wait_for_ever(latches: Any) -> Any:
    return wait_for_actions(latches, timeout=None)


def _latches(engines: Engines) -> Iterable[Row]:
    def wake_up(engine: Any, latch_type: Any, stub: Any) -> Callable[[], float]:
        def measure() -> float:
            latch = latch_type()
            ready = threading.Semaphore(0)
            times: list[float] = []
            set_at = [0.0]

            def plan() -> Any:
                for _ in range(LATCHES):
                    engine.loop.call_later(0.0005, ready.release)  # when the plan waits
                    yield from stub({"go": latch})
                    times.append(clock() - set_at[0])
                    latch.reset()

            future = engine(plan())
            for _ in range(LATCHES):
                ready.acquire()
                set_at[0] = clock()
                latch.set()
            future.result()
            return sorted(times)[len(times) // 2] * 1e6

        return measure

    cases = {"freewheel": wake_up(engines.freewheel, SRLatch, _wait_for_ever)}
    if engines.uvloop is not None:
        cases["uvloop"] = wake_up(engines.uvloop, SRLatch, _wait_for_ever)
    if engines.redsun is not None:
        from redsun.engine import actions, plan_stubs

        cases["redsun"] = wake_up(engines.redsun, actions.SRLatch, plan_stubs.wait_for_actions)
    figures = interleave(cases)
    name = "latch set in a thread until the plan goes on"
    yield make_row(name, figures, peer="redsun", unit="µs", must_reach=">= 1.1")
    if "uvloop" in figures:
        yield make_row(
            f"{name}, uvloop", figures, peer="redsun", unit="µs", ours="uvloop", must_reach=">= 1.5"
        )


def _nulls(engines: Engines) -> Iterable[Row]:
    def rate(call: Callable[[Any], Any]) -> Callable[[], float]:
        def plan() -> Any:
            message = Msg("null")
            for turn in range(NULLS):
                if turn % 100 == 0:
                    yield Msg("checkpoint")
                yield message

        def measure() -> float:
            begin = clock()
            call(plan())
            return NULLS / (clock() - begin)

        return measure

    figures = interleave({name: rate(call) for name, call in engines.calls().items()})
    name = "null messages"
    shape: dict[str, Any] = {"unit": "1/s", "more_is_better": True}
    yield make_row(name, figures, peer="bluesky", must_reach=">= 1.5", **shape)
    yield make_row(name, figures, peer="redsun", **shape)
    if "uvloop" in figures:
        yield make_row(
            f"{name}, uvloop", figures, peer="bluesky", ours="uvloop", must_reach=">= 2", **shape
        )


def _ophyd_status() -> Any:
    try:
        from ophyd.status import Status as OphydStatus
    except ImportError:
        return None
    return OphydStatus


def _statuses() -> Iterable[Row]:
    def rate(kind: Any, count: int, *, callback: bool) -> Callable[[], float]:
        def measure() -> float:
            called = threading.Semaphore(0)
            begin = clock()
            for _ in range(count):
                status = kind(timeout=60)
                if callback:
                    status.add_callback(lambda _: called.release())
                status.set_finished()
                status.wait()
            if callback:
                for _ in range(count):
                    called.acquire()
            return count / (clock() - begin)

        return measure

    peer = _ophyd_status()
    for callback, name, limit in (
        (False, "Status(timeout=60) made, finished, waited for", ">= 60"),
        (True, "the same, with a callback", ">= 25"),
    ):
        cases = {"freewheel": rate(Status, 100 * STATUSES, callback=callback)}
        if peer is not None:
            cases["ophyd"] = rate(peer, STATUSES, callback=callback)
        yield make_row(
            name,
            interleave(cases, repeats=5),
            peer="ophyd",
            unit="1/s",
            more_is_better=True,
            must_reach=limit,
        )


# A process each: what threads cost is not in Python's own count, and is never all given back.
_OUTSTANDING = """
    import sys, threading
    from {module} import Status

    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096

    warm = Status(timeout=60)  # starts what all statuses share
    before = resident()
    statuses = [Status(timeout=60) for _ in range(10_000)]
    print(resident() - before, threading.active_count())
    sys.stdout.flush()
    import os
    os._exit(0)
"""


def _outstanding(module: str) -> tuple[float, int]:
    answer = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_OUTSTANDING.format(module=module))],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    size, threads = answer.stdout.split()
    return int(size) / 1e6, int(threads)


def _outstanding_statuses() -> Iterable[Row]:
    size, threads = _outstanding("freewheel")
    figures, counts = {"freewheel": size}, {"freewheel": float(threads)}
    if _ophyd_status() is not None:
        peer_size, peer_threads = _outstanding("ophyd.status")
        figures["ophyd"], counts["ophyd"] = peer_size, float(peer_threads)
    name = "10,000 outstanding statuses with time-outs"
    yield make_row(f"{name}: memory", figures, peer="ophyd", unit="MB", must_reach=">= 25")
    yield make_row(f"{name}: threads", counts, peer="ophyd", unit="", must_reach="<= 16 threads")


def _blocking_callback() -> Row:
    """How late a status's callback is while another's blocks."""

    def measure() -> float:
        release, called = threading.Event(), threading.Event()
        entered = threading.Event()
        blocked = Status()
        blocked.add_callback(lambda _: (entered.set(), release.wait(10)))
        blocked.set_finished()
        entered.wait(10)
        late: list[float] = []
        status = Status()
        begin = clock()
        status.add_callback(lambda _: (late.append(clock() - begin), called.set()))
        status.set_finished()
        called.wait(10)
        release.set()
        return late[0] * 1e3

    figures = interleave({"freewheel": measure}, repeats=21)
    return make_row(
        "a callback that blocks delays another by", figures, unit="ms", must_reach="<= 5 ms"
    )
