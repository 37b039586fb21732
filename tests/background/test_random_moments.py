"""Pause, resume, stop, abort, halt and failure at random moments, with 1 to 16 tasks."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
from bluesky.run_engine import TransitionError
from bluesky.utils import Msg
from ophyd_async.sim import SimMotor

from doubles import CountedCamera
from freewheel import RunEngine
from freewheel.plan_stubs import abs_set, background, checkpoint, sleep, trigger_and_read, wait

TASKS = 16


async def soon(_: float) -> None:
    """Take the time of one turn of the loop for an exposure."""
    await asyncio.sleep(0)


class Motor(SimMotor):
    """A motor that knows where it was sent last, and where a plan knew it to have arrived.

    It moves in an instant: it is always where a move has put it, never in between.
    """

    sent = sent_before = arrived = 0.0

    def set(self, value: float, *args: Any, **kwargs: Any) -> Any:
        self.sent_before, self.sent = self.sent, value
        return super().set(value, *args, **kwargs)


class Bench:
    """An engine with devices, and an account of its documents."""

    def __init__(self, engine: RunEngine) -> None:
        self.engine = engine
        self.motors = [Motor(f"motor{n}") for n in range(TASKS + 1)]
        self.cameras = [
            CountedCamera(f"camera{n}", shape=(16, 16), sleep=soon) for n in range(TASKS + 1)
        ]
        self.call(self._connect())
        self.starts: list[str] = []
        self.stops: Counter[str] = Counter()
        # On the engine's thread: what is left to count until the moment has come.
        self.left = 0
        self.now = threading.Event()
        engine.subscribe(self.count)
        engine.events.plan_ended.connect(self.ended)

    def call(self, coro: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coro, self.engine.loop).result(20)

    async def _connect(self) -> None:
        await asyncio.gather(*(d.connect() for d in [*self.motors, *self.cameras]))

    def count(self, name: str, doc: Any) -> None:
        if name == "start":
            self.starts.append(doc["uid"])
        elif name == "stop":
            self.stops[doc["run_start"]] += 1
        self.left -= 1
        if self.left <= 0:
            self.now.set()

    def ended(self, future: Any) -> None:
        self.now.set()

    def reach(self, documents: int) -> None:
        """Wait until so many documents have passed, or the plan has ended: a random moment."""
        self.now.clear()
        self.left = documents
        if self.engine.state != "idle":
            assert self.now.wait(20)

    async def positions(self) -> list[float]:
        return [await motor.user_readback.get_value() for motor in self.motors]

    async def settle(self) -> list[str]:
        """Return the asyncio tasks that are left, after those that have ended have gone."""
        for _ in range(20):
            await asyncio.sleep(0)
        me = asyncio.current_task()
        return [task.get_name() for task in asyncio.all_tasks() if task is not me]


def acquiring(bench: Bench, number: int, fail_after: int | None = None) -> Any:
    """A plan that stages its own camera, moves its own motor and takes its own runs."""
    motor, camera = bench.motors[number], bench.cameras[number]
    target = 0.0
    while True:
        yield Msg("stage", camera, group="stage")
        yield from wait("stage")
        yield Msg("open_run", number=number)
        for _ in range(3):
            yield from checkpoint()
            target += 1
            yield from abs_set(motor, target, group="A")
            yield from wait("A")
            motor.arrived = target
            yield from trigger_and_read([camera, motor])
        yield from checkpoint()  # or a pause would repeat events of a run that is closed
        yield Msg("close_run")
        yield Msg("unstage", camera, group="unstage")
        yield from wait("unstage")
        if fail_after is not None and target >= fail_after:
            raise ValueError("as it was told to")
        yield from sleep(0)


def parent(bench: Bench, tasks: int, fail_after: int | None) -> Any:
    for number in range(1, tasks + 1):
        yield from background(acquiring(bench, number))
    yield from acquiring(bench, 0, fail_after)


def check_all_is_over(bench: Bench) -> None:
    engine = bench.engine
    assert engine.state == "idle"
    assert engine.background.running == ()
    assert not engine.claims
    assert [camera.staged for camera in bench.cameras] == [0] * (TASKS + 1)
    assert bench.stops == Counter(bench.starts)
    assert set(bench.stops.values()) <= {1}
    for motor, position in zip(bench.motors, bench.call(bench.positions()), strict=True):
        # The move that was under way was completed, or was not begun. Then the one before was the
        # last, and that may have been cut short in its turn, before its plan knew of its end.
        assert position in (motor.sent, motor.sent_before, motor.arrived)


@pytest.mark.parametrize("tasks", [1, 2, 3, 5, 8, 16])
@pytest.mark.parametrize("end", ["stop", "abort", "halt", "fail", "cancel"])
def test_everything_is_balanced_whenever_it_ends(engine: RunEngine, tasks: int, end: str) -> None:
    chance = random.Random(f"{tasks} {end}")
    bench = Bench(engine)
    before = bench.call(bench.settle())
    for _ in range(2):
        fail_after = chance.randrange(3, 9) if end == "fail" else None
        future = engine(parent(bench, tasks, fail_after))
        for _ in range(chance.randrange(3)):
            bench.reach(chance.randrange(1, 12 * tasks))
            with suppress(TransitionError):  # it may have failed meanwhile, as it was told to
                engine.request_pause().result(20)
                if chance.random() < 0.3:
                    break
                engine.resume()
        _end(bench, end, chance)
        outcome = future.outcome
        if end == "fail":
            with suppress(TransitionError):
                engine.resume()  # if it is still paused
            assert isinstance(outcome.exception(20), ValueError)
        else:
            assert outcome.result(20).interrupted
        check_all_is_over(bench)
        assert bench.call(bench.settle()) == before


def _end(bench: Bench, end: str, chance: random.Random) -> None:
    engine = bench.engine
    if engine.state == "running" and end != "fail":
        bench.reach(chance.randrange(1, 40))
    if end == "cancel":
        for task in engine.background.running:
            task.cancel()
        engine.stop().result(20)
    elif end != "fail":
        getattr(engine, end)().result(20)


def test_tasks_that_end_and_are_cancelled_at_random_moments(engine: RunEngine) -> None:
    chance = random.Random(3)
    bench = Bench(engine)

    def once(number: int) -> Any:
        plan = acquiring(bench, number)
        for msg in plan:
            answer = yield msg
            while True:
                try:
                    following = plan.send(answer)
                except StopIteration:
                    return
                answer = yield following
                if following.command == "unstage":
                    yield from wait("unstage")
                    plan.close()
                    return

    def foreground() -> Any:
        for number in range(1, TASKS + 1):
            yield from background(once(number), name=str(number))
        yield from acquiring(bench, 0, fail_after=9)

    for _ in range(3):
        future = engine(foreground())
        bench.reach(TASKS)
        running = engine.background.running
        for task in chance.sample(running, k=len(running) // 2):
            bench.reach(chance.randrange(1, 10))
            task.cancel()
        assert isinstance(future.outcome.exception(20), ValueError)
        check_all_is_over(bench)


def test_cameras_that_are_fought_over_stay_balanced(engine: RunEngine) -> None:
    """The foreground takes the camera of a live view again and again, and gives it back."""
    bench = Bench(engine)

    def snapshots() -> Any:
        yield from background(
            acquiring(bench, 1),
            name="live",
            claims=[bench.cameras[1], bench.motors[1]],
            on_conflict="pause",
        )
        for number in range(20):
            for _ in range(number % 4):
                yield from sleep(0)
            yield Msg("claim", None, bench.cameras[1], bench.motors[1])
            yield Msg("stage", bench.cameras[1], group="stage")
            yield from wait("stage")
            yield from abs_set(bench.motors[1], 100 + number, group="A")
            yield from wait("A")
            bench.motors[1].arrived = 100 + number
            yield Msg("open_run")
            yield from trigger_and_read([bench.cameras[1]])
            yield Msg("close_run")
            yield Msg("unstage", bench.cameras[1], group="unstage")
            yield from wait("unstage")
            yield Msg("release", None, bench.cameras[1], bench.motors[1])
        engine.background.cancel("live")

    engine(snapshots()).result(20)
    check_all_is_over(bench)
