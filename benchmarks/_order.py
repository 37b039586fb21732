"""The queue, interlocks and preemption.

``python -m benchmarks --only order`` prints the table. No peer has any of them: a preemption is
compared with a deferred pause of the same engine, in the same process and in turns.
"""

from __future__ import annotations

import dataclasses
import statistics
import threading
import time
from typing import TYPE_CHECKING, Any

from bluesky.utils import Msg

from benchmarks._rows import Row, interleave, make_row
from freewheel import PlanCall, RunEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["rows"]

QUEUED = 10_000
OPERATIONS = 50
VERDICTS = 20_000
LOCKS = 10
STEPS_IN = 1_000
clock = time.perf_counter


def nothing(number: int) -> Any:
    """A plan of one message."""
    yield Msg("null")


def rows() -> Iterable[Row]:
    """Return the rows of this module."""
    yield from queue_rows()
    yield from verdict_rows()
    yield from preempt_rows()


# -- the queue -------------------------------------------------------------------------------------


def queue_rows() -> Iterable[Row]:
    """What one operation takes while 10,000 plans wait, in the middle of them."""
    with RunEngine() as engine:
        engine.queue.hold("to be measured")
        for number in range(QUEUED):
            engine(PlanCall(nothing, (number,)))
        futures = list(engine.queue)
        middle = futures[QUEUED // 2]
        made: list[Any] = []
        # CPU time of the caller's thread: what else runs on the machine does not count.
        operations: dict[str, Callable[[], object]] = {
            "submit": lambda: made.append(engine.queue.submit(PlanCall(nothing, (0,)), priority=1)),
            "cancel": lambda: made.pop().cancel(),
            "move": lambda: engine.queue.move(middle, QUEUED // 2),
            "edit": lambda: engine.queue.edit(middle, dataclasses.replace(middle.call, args=(1,))),
            "hold": lambda: engine.queue.hold("again"),
            "look at one": lambda: engine.queue[QUEUED // 2],
            "snapshot": engine.snapshot,
        }

        def measured(operation: Callable[[], object]) -> Callable[[], float]:
            def measure() -> float:
                begin = time.thread_time()
                for _ in range(OPERATIONS):
                    operation()
                return (time.thread_time() - begin) / OPERATIONS * 1e3

            return measure

        figures = interleave({name: measured(each) for name, each in operations.items()})
        for name in operations:
            title = f"the queue, {QUEUED:,} plans wait: {name}"
            yield make_row(title, figures, unit="ms", ours=name, must_reach="<= 1 ms")


# -- interlocks ------------------------------------------------------------------------------------


class Device:
    """Has a name, and can be set."""

    parent = None

    def __init__(self, name: str) -> None:
        self.name = name

    def set(self, value: Any) -> Any:
        """Do nothing."""


class Signal:
    """A signal as ophyd's, which never changes."""

    name = "signal"

    def get(self) -> int:
        """Return a value that trips nothing."""
        return 0

    def subscribe(self, callback: Any) -> None:
        """Tell nothing."""

    clear_sub = subscribe


def verdict_rows() -> Iterable[Row]:
    """What a message pays for its verdict, by the sort of condition."""
    conditions: dict[str, Any] = {"a signal": Signal(), "a function": lambda: False}
    devices = [Device(f"device {number}") for number in range(LOCKS)]
    engines = {name: RunEngine() for name in conditions}
    try:
        for name, engine in engines.items():
            for number, device in enumerate(devices):
                engine.interlocks.add(f"lock {number}", conditions[name], devices=device)
        message = Msg("set", devices[LOCKS // 2], 1)

        def measured(engine: RunEngine) -> Callable[[], float]:
            allows = engine.interlocks.allows

            def measure() -> float:
                begin = time.thread_time()
                for _ in range(VERDICTS):
                    allows(message)
                return (time.thread_time() - begin) / VERDICTS * 1e6

            return measure

        figures = interleave({name: measured(engine) for name, engine in engines.items()})
    finally:
        for engine in engines.values():
            engine.close()
    for name in conditions:
        title = f"a verdict of an interlock on {name}, {LOCKS} of them"
        yield make_row(title, figures, unit="µs", ours=name, must_reach="<= 5 µs")


# -- preemption ------------------------------------------------------------------------------------


class Resting:
    """A device that notes when its plan comes to rest: a pause and a parking tell it alike."""

    parent = None
    name = "resting"

    def __init__(self) -> None:
        self.at: list[float] = []

    def pause(self) -> None:
        """Note the time."""
        self.at.append(clock())

    def resume(self) -> None:
        """Do nothing."""


class Points:
    """A plan that takes points, and what steps in at its checkpoints."""

    def __init__(self, engine: RunEngine) -> None:
        self.engine = engine
        self.device = Resting()
        self.over, self.taken = threading.Event(), threading.Semaphore(0)

    def plan(self) -> Any:
        """Take points until it is over."""
        yield Msg("null", self.device)
        while not self.over.is_set():
            yield Msg("checkpoint")
            self.taken.release()
            yield Msg("sleep", None, 0.0002)

    def wait(self) -> None:
        """Wait for two points more."""
        while self.taken.acquire(blocking=False):
            pass
        for _ in range(2):
            self.taken.acquire()

    def _came_to_rest(self, begin: float) -> float:
        """Return the time from the request until the plan has come to rest, at a checkpoint."""
        (at,) = self.device.at
        self.device.at.clear()
        return (at - begin) * 1e6

    def preempt(self) -> float:
        """Have another plan run in this one's place."""
        made = nothing(0)
        self.wait()
        begin = clock()
        self.engine.preempt(made).result(10)
        return self._came_to_rest(begin)

    def pause(self) -> float:
        """Have it pause at its next checkpoint."""
        future: Any = self.engine.current
        self.wait()
        begin = clock()
        self.engine.request_pause(defer=True)
        future.exception(10)
        self.engine.resume()
        return self._came_to_rest(begin)


def preempt_rows() -> Iterable[Row]:
    """From the request until it takes effect, at the checkpoints of a plan that takes points."""
    with RunEngine() as engine:
        points = Points(engine)
        engine(points.plan())
        cases = {"preempt": points.preempt, "deferred pause": points.pause}
        seen: dict[str, list[float]] = {name: [] for name in cases}
        for _ in range(STEPS_IN):
            for name, measure in cases.items():
                seen[name].append(measure())
        points.over.set()
    # Within the spread of the two; of the worst ten of a thousand that is more.
    for name, of, limit in (("median", statistics.median, 0.9), ("99 %", _p99, 0.5)):
        figures = {kind: of(each) for kind, each in seen.items()}
        title = f"at rest for a plan that steps in, {name}"
        yield make_row(
            title,
            figures,
            peer="deferred pause",
            unit="µs",
            ours="preempt",
            must_reach=f">= {limit}",
        )


def _p99(figures: list[float]) -> float:
    return sorted(figures)[int(len(figures) * 0.99)]
