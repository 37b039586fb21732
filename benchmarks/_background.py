"""Background plans: what a start costs, and what they cost others.

``python -m benchmarks --only background`` prints the table. No peer has background plans: the
figures are compared with the same engine without them, in the same process and in turns.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import threading
import time
import tracemalloc
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from bluesky.utils import Msg

from benchmarks._live import SoftCamera, steps
from benchmarks._rows import Row, interleave, make_row
from freewheel import RunEngine, SRLatch
from freewheel.engine._bluesky import inside_of
from freewheel.plan_stubs import background, checkpoint, pace, sleep, wait_for_actions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["rows"]

STARTS = 200
POINTS = 2_000
FLAT_OUT = 96_000  # of all plans together: a start and an end are not to count
PACED = 120  # turns at 60 Hz
TASKS = 16


def rows() -> Iterable[Row]:
    """Return the rows of this module."""
    yield from cost_of_check_rows()
    with RunEngine() as engine:
        yield start_row(engine)
        yield from beside_others_rows(engine)
        yield from throughput_rows(engine)
        yield from memory_rows(engine)


# -- starting --------------------------------------------------------------------------------------


def start_row(engine: RunEngine) -> Row:
    """From the ``background`` message until the task's first message, and an empty plan."""

    def empty() -> float:
        began = time.perf_counter()
        for _ in range(STARTS):
            engine([]).result(10)
        return (time.perf_counter() - began) / STARTS * 1e6

    def start() -> float:
        times: list[float] = []

        def task(began: float) -> Any:
            times.append(time.perf_counter() - began)
            yield Msg("null")

        def plan() -> Any:
            for _ in range(STARTS):
                began = time.perf_counter()
                yield from background(task(began), name="task")
                yield Msg("wait_for_background", None, "task")

        engine(plan()).result(60)
        return statistics.median(times) * 1e6

    figures = interleave({"start": start, "empty plan": empty})
    return make_row(
        "start of a background plan until its first message",
        figures,
        ours="start",
        peer="empty plan",
        unit="µs",
        must_reach=">= 0.5",
    )


# -- the claim check -------------------------------------------------------------------------------


class PassesAll:
    """A claim check that lets every message pass, and notes nothing."""

    def passes(self, _: Msg) -> bool:
        """Have the message carried out."""
        return True

    async def make_way(self, _: Msg) -> bool:
        """Have the message carried out."""
        return True

    def finished(self, _: Msg) -> None:
        """Do nothing."""

    def run_closed(self, _: Any) -> None:
        """Do nothing."""

    def plan_over(self) -> None:
        """Do nothing."""


def holding_another(device: Any, ready: threading.Event) -> Any:
    """A background plan that rests, and holds a device that is not the loop's."""
    yield from checkpoint()
    yield Msg("configure", device)
    ready.set()
    yield from sleep(600)


class Nothing:
    """A device that does nothing when it is configured."""

    name = "nothing"
    parent = None

    def configure(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Answer at once."""
        return {}, {}


def rate_of_thread(engine: RunEngine, plan: Any, points: int) -> float:
    """Run a plan; return its points per second of the processor that the engine's thread takes.

    By the clock two runs of the same differ by more than what is to be measured.
    """

    def taken() -> float:
        async def look() -> float:
            return time.thread_time()

        return asyncio.run_coroutine_threadsafe(look(), engine.loop).result(10)

    began = taken()
    engine(plan).result(60)
    return points / (taken() - began)


def cost_of_check_rows() -> Iterable[Row]:
    """A live loop's points with the claim check, and with one that lets everything pass.

    With no task, and with one that holds another device; all four in turns, in one run.
    """
    with RunEngine() as checked, RunEngine() as unchecked:
        core, _ = inside_of(unchecked)
        core.claim_check = PassesAll()
        core.registry.clear()  # commands that were made have the other check; they are made anew
        camera = SoftCamera("camera")

        def alone(engine: RunEngine) -> Callable[[], float]:
            return lambda: rate_of_thread(engine, steps([camera], POINTS), POINTS)

        def with_one(engine: RunEngine) -> Callable[[], float]:
            def measured() -> float:
                ready = threading.Event()
                task = engine.background.launch(holding_another(Nothing(), ready))
                ready.wait(10)
                try:
                    return alone(engine)()
                finally:
                    task.cancel()
                    task.result(10)

            return measured

        figures = interleave(
            {
                "no task": alone(checked),
                "no task, no check": alone(unchecked),
                "one task": with_one(checked),
                "one task, no check": with_one(unchecked),
            },
            repeats=15,
        )
    for tasks, limit in (("no task", ">= 0.98"), ("one task", ">= 0.95")):
        yield make_row(
            f"points of a live loop (512 x 512) with the claim check, {tasks}, by processor time",
            figures,
            ours=tasks,
            peer=f"{tasks}, no check",
            unit="1/s",
            more_is_better=True,
            must_reach=limit,
        )


# -- beside others ---------------------------------------------------------------------------------


def at_50_hz() -> Any:
    """A background plan that does a little 50 times a second."""
    while True:
        yield from checkpoint()
        yield Msg("null")
        yield from pace(1 / 50)


def with_tasks(engine: RunEngine, measure: Callable[[], float]) -> Callable[[], float]:
    """Measure while 16 background plans run at 50 Hz."""

    def measured() -> float:
        tasks = [engine.background.launch(at_50_hz()) for _ in range(TASKS)]
        try:
            return measure()
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                task.result(10)

    return measured


def beside_others_rows(engine: RunEngine) -> Iterable[Row]:
    """Pacing and latch wake-up of the foreground, alone and beside 16 plans at 50 Hz."""

    def pacing_errors() -> list[float]:
        ticks: list[float] = []

        def plan() -> Any:
            for _ in range(PACED):
                yield from checkpoint()
                yield from pace(1 / 60)
                ticks.append(time.perf_counter())

        engine(plan()).result(60)
        turns = [late - early for early, late in pairwise(ticks)]
        return [abs(turn - 1 / 60) * 1e3 for turn in turns]

    def latch_wake_ups() -> list[float]:
        latch, ready, times = SRLatch(), threading.Event(), []

        def plan() -> Any:
            for _ in range(100):
                ready.set()
                yield from wait_for_actions({"go": latch}, timeout=None)
                times.append(time.perf_counter() - began[0])
                latch.reset()

        began = [0.0]
        future = engine(plan())
        for _ in range(100):
            ready.wait(10)
            ready.clear()
            time.sleep(0.002)  # until the plan waits, and others have had their turns
            began[0] = time.perf_counter()
            latch.set()
        future.result(60)
        return [seconds * 1e6 for seconds in times]

    def median(measure: Callable[[], list[float]]) -> Callable[[], float]:
        return lambda: statistics.median(measure())

    def spread(measure: Callable[[], list[float]]) -> Callable[[], float]:
        return lambda: statistics.quantiles(measure(), n=20)[-1]

    # Unchanged within the spread: the median beside others is one of the values seen alone.
    cases: tuple[tuple[str, Callable[[], list[float]], str], ...] = (
        ("error of a 60 Hz loop (median)", pacing_errors, "ms"),
        ("latch set in a thread until the plan goes on (median)", latch_wake_ups, "µs"),
    )
    for name, measure, unit in cases:
        figures = interleave(
            {
                "beside 16 at 50 Hz": with_tasks(engine, median(measure)),
                "alone, p95": spread(measure),
            },
            repeats=3,
        )
        yield make_row(
            f"{name}, beside 16 background plans at 50 Hz",
            figures,
            ours="beside 16 at 50 Hz",
            peer="alone, p95",
            unit=unit,
            must_reach=">= 1",
        )


# -- throughput ------------------------------------------------------------------------------------


def throughput_rows(engine: RunEngine) -> Iterable[Row]:
    """Messages per second of 1, 4 and 16 plans together, and of the foreground alone."""

    def flat_out(messages: int) -> Any:
        for _ in range(messages // 100):
            yield Msg("checkpoint")
            for _ in range(99):
                yield Msg("null")

    def alone() -> float:
        began = time.perf_counter()
        engine(flat_out(FLAT_OUT)).result(60)
        return FLAT_OUT / (time.perf_counter() - began)

    def together(number: int) -> Callable[[], float]:
        def measure() -> float:
            began = time.perf_counter()
            tasks = [engine.background.launch(flat_out(FLAT_OUT // number)) for _ in range(number)]
            for task in tasks:
                task.result(60)
            return FLAT_OUT // number * number / (time.perf_counter() - began)

        return measure

    figures = interleave(
        {"foreground": alone, **{str(n): together(n) for n in (1, 4, 16)}}, repeats=5
    )
    for number in (1, 4, 16):
        yield make_row(
            f"messages of {number} flat-out background plans together",
            figures,
            ours=str(number),
            peer="foreground",
            unit="1/s",
            more_is_better=True,
            must_reach=">= 1",
        )


# -- memory ----------------------------------------------------------------------------------------


def memory_rows(engine: RunEngine) -> Iterable[Row]:
    """Memory and threads of 200 background plans."""

    def idle() -> Any:
        yield from checkpoint()
        yield from sleep(600)

    def settle() -> None:
        engine.execute(_nothing)
        gc.collect()

    settle()
    threads = threading.active_count()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tasks = [engine.background.launch(idle()) for _ in range(200)]
    settle()
    each = (tracemalloc.get_traced_memory()[0] - before) / 200 / 1000
    tracemalloc.stop()
    more = threading.active_count() - threads
    for task in tasks:
        task.cancel()
    for task in tasks:
        task.result(20)
    yield Row("memory of one of 200 background plans", each, None, "", None, "kB", "<= 20 kB")
    yield Row("threads that 200 background plans take", more, None, "", None, "", "<= 0 threads")


async def _nothing() -> None:
    """Return at once, from the engine's loop."""
