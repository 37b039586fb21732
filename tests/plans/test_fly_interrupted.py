"""Fly scans that are paused, suspended, stopped, aborted, halted, or fail, at any moment.

The number of random moments is small here. ``FREEWHEEL_FLY_MOMENTS=full`` takes those that the
project asks of itself: 200 pauses, 50 stops and aborts, 50 failures.
"""

from __future__ import annotations

import asyncio
import random
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from bluesky.run_engine import TransitionError
from bluesky.utils import Msg, RunEngineInterrupted

from flying import FULL, Bench, line, pause, pause_at_index, snake
from freewheel import RunEngine
from freewheel.plans import FlyResult, fly_count
from freewheel.sim import Fail, SimFileCamera, inject

PAUSES = 200 if FULL else 12
ENDS = 50 if FULL else 6
FAILURES = 50 if FULL else 6

pytestmark = pytest.mark.timeout(3600 if FULL else 120)


@pytest.fixture
def bench(engine: RunEngine, tmp_path: Path) -> Bench:
    return Bench(engine, tmp_path)


class Moments:
    """Random moments of a plan, by the messages and documents that have passed.

    The engine's thread counts down, a test waits: no clock says when the moment is.
    """

    def __init__(self, bench: Bench, chance: random.Random) -> None:
        self.chance = chance
        self.engine = bench.engine
        self._left = 0
        self._now = threading.Event()
        bench.engine.msg_hook = self._count
        bench.engine.subscribe(lambda name, doc: self._count(doc))
        bench.engine.events.plan_ended.connect(lambda _: self._now.set())

    def _count(self, _: Any) -> None:
        self._left -= 1
        if self._left <= 0:
            self._now.set()

    def wait(self, most: int) -> None:
        self._now.clear()
        self._left = self.chance.randrange(1, most)
        if self.engine.state != "idle":
            assert self._now.wait(30)
        if self.chance.random() < 0.5:
            # A moment between two of the engine's own steps.
            threading.Event().wait(self.chance.random() * 0.02)


@pytest.mark.servers  # it takes several seconds
def test_paused_at_random_moments(bench: Bench) -> None:
    chance = random.Random("pauses")
    moments = Moments(bench, chance)
    paused = 0
    while paused < PAUSES:
        bench.fresh()
        future = bench.engine(bench.grid() if chance.random() < 0.5 else bench.scan(240))
        flies_grid = "snaking" in future_metadata(bench)
        mine = 0
        while mine < 6 and bench.engine.state != "idle":
            moments.wait(120)
            if pause(bench.engine, chance.random() < 0.3):
                mine += 1
                bench.engine.resume()
        result = future.outcome.result(60)
        paused += mine
        assert isinstance(result.plan_result, FlyResult)
        assert bench.check(240, snake() if flies_grid else line(240)) == 240
        assert bench.account.check_balanced()["exit_status"] == "success"


def future_metadata(bench: Bench) -> dict[str, Any]:
    """Return the start document of the run that was begun last, once it is there."""
    with bench.account.condition:
        assert bench.account.condition.wait_for(lambda: bench.account.named("start"), timeout=30)
    return bench.account.named("start")[0]


@pytest.mark.parametrize("end", ["stop", "abort"])
def test_ended_at_random_moments(bench: Bench, end: str) -> None:
    chance = random.Random(end)
    moments = Moments(bench, chance)
    for _ in range(ENDS // 2):
        bench.fresh()
        future = bench.engine(bench.grid())
        future_metadata(bench)
        moments.wait(150)
        if chance.random() < 0.3:
            pause(bench.engine, chance.random() < 0.5)
        with suppress(TransitionError):
            getattr(bench.engine, end)().result(30)
        result = future.outcome.result(30)
        found = bench.check(None, snake())
        # What is in the files is in the documents: nothing that was taken is lost.
        if found:
            assert len(bench.account.read("file_camera")) == found
        if result.interrupted:
            wanted = "success" if end == "stop" else "abort"
            assert bench.account.check_balanced()["exit_status"] == wanted


@pytest.mark.servers  # it takes several seconds
def test_halted_in_flight(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    chance = random.Random("halt")
    for _ in range(3):
        bench.fresh()
        future = bench.engine(bench.grid())
        bench.account.at_index(chance.randrange(1, 200), bench.engine.halt)
        assert future.outcome.result(30).interrupted
        bench.check(None, snake())
    # What moves has nothing to collect, and is not asked for it.
    assert "Failed to collect" not in caplog.text
    # And the same devices fly again.
    bench.fresh()
    bench.engine(bench.grid()).result(30)
    bench.check(240, snake())


def test_halted_before_anything_was_collected(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    trajectory = bench.scope.stage.trajectory

    def halt(msg: Msg) -> None:
        if msg.command == "kickoff" and msg.obj is trajectory:
            bench.engine.halt()

    bench.engine.msg_hook = halt
    future = bench.engine(bench.grid())
    assert future.outcome.result(30).interrupted
    # Detectors of one stream are collected from together.
    assert "Failed to collect" not in caplog.text
    bench.check(None, snake())


def broken_flyer(bench: Bench) -> None:
    bench.scope.stage.triggers._logic._train.end.tell(RuntimeError("the trigger box is dead"))


def broken_motion(bench: Bench) -> None:
    bench.scope.stage.trajectory._logic._motion.end.tell(RuntimeError("following error"))


def broken_disk(bench: Bench) -> None:
    bench.scope.file_camera._acquisition.file.close()
    bench.scope.file_camera._acquisition.taking.shots.stop()


@pytest.mark.servers  # it takes several seconds
@pytest.mark.parametrize("breaks", [broken_flyer, broken_motion, broken_disk])
def test_failed_at_random_moments(bench: Bench, breaks: Any) -> None:
    chance = random.Random(breaks.__name__)
    for _ in range(FAILURES // 3 + 1):
        bench.fresh()
        future = bench.engine(bench.grid(period=0.01, patience=1.0))
        bench.account.at_index(
            chance.randrange(1, 120), partial(bench.engine.loop.call_soon, breaks, bench)
        )
        assert future.outcome.exception(30) is not None
        assert bench.check(None, snake()) >= 1
        assert bench.account.check_balanced()["exit_status"] == "fail"
    bench.fresh()
    bench.engine(bench.grid()).result(30)
    bench.check(240, snake())


@pytest.mark.parametrize("verb", ["stage", "prepare", "kickoff", "complete"])
@pytest.mark.parametrize("device", ["camera", "recorder", "triggers", "trajectory"])
def test_a_verb_that_fails_fails_the_plan(bench: Bench, verb: str, device: str) -> None:
    stage = bench.scope.stage
    part = {
        "camera": bench.scope.file_camera,
        "recorder": stage.recorder,
        "triggers": stage.triggers,
        "trajectory": stage.trajectory,
    }[device]
    with inject(part, Fail(verb)), pytest.raises(Exception, match="on purpose"):
        bench.engine(bench.scan(20, patience=0.5)).result(30)
    if verb != "stage":
        assert bench.account.check_balanced()["exit_status"] == "fail"
    bench.fresh()
    bench.engine(bench.scan(20)).result(30)
    bench.check(20, line(20))


def test_suspended_in_flight(bench: Bench) -> None:
    engine = bench.engine
    future = engine(bench.grid())
    for index in (30, 110):
        going_on = threading.Event()

        async def until_it_goes_on(event: threading.Event = going_on) -> None:
            await asyncio.to_thread(event.wait)

        waits = threading.Event()
        engine.msg_hook = lambda msg, seen=waits: seen.set() if msg.command == "wait_for" else None
        bench.account.at_index(index, partial(engine.request_suspend, until_it_goes_on))
        assert waits.wait(30)
        going_on.set()
    result = future.result(60)
    assert result.plan_result.flights >= 2
    bench.check(240, snake())


def pause_at(
    engine: RunEngine, command: str, count: int, seen: list[str], asked: threading.Event, msg: Msg
) -> None:
    """Ask for a pause when a command comes for the so-manieth time; a message hook."""
    seen.append(msg.command)
    if msg.command == command and seen.count(command) == count:
        engine.request_pause()
        asked.set()


def test_a_pause_in_the_first_and_in_the_last_moment(bench: Bench) -> None:
    engine = bench.engine
    for command, count in (("kickoff", 4), ("collect", 1), ("prepare", 1), ("declare_stream", 1)):
        bench.fresh()
        seen: list[str] = []
        asked = threading.Event()

        engine.msg_hook = partial(pause_at, engine, command, count, seen, asked)
        future = engine(bench.scan(60))
        assert asked.wait(30)
        with pytest.raises(RunEngineInterrupted):
            future.result(30)
        engine.msg_hook = None
        engine.resume().result(30)
        bench.check(60, line(60))


def test_two_pauses_in_one_frame(bench: Bench) -> None:
    future = bench.engine(bench.scan(30, period=0.05))
    pause_at_index(bench, 5)
    before = bench.account.covered()
    asked = threading.Event()
    bench.engine.msg_hook = partial(pause_at, bench.engine, "kickoff", 2, [], asked)
    future_of_second = bench.engine.resume()
    with pytest.raises(RunEngineInterrupted):
        future_of_second.result(30)
    assert asked.is_set()
    bench.engine.msg_hook = None
    after = bench.account.covered()
    assert after["file_camera"] - before["file_camera"] <= 1
    bench.engine.resume()
    future.outcome.result(30)
    bench.check(30, line(30))


def test_what_was_taken_is_in_the_documents_while_it_is_paused(bench: Bench) -> None:
    bench.engine(bench.grid())
    pause_at_index(bench, 50)
    written = bench.scope.file_camera._acquisition.file._count
    assert bench.account.covered()["file_camera"] == written >= 50
    bench.engine.resume().result(60)
    bench.check(240, snake())


def test_a_stop_while_it_is_paused_closes_the_files(bench: Bench) -> None:
    future = bench.engine(bench.grid())
    pause_at_index(bench, 50)
    bench.engine.stop().result(30)
    assert future.outcome.result(30).exit_status == "success"
    found = bench.check(None, snake())
    assert len(bench.account.read("file_camera")) == found >= 50


@pytest.mark.parametrize("flight", [0, 7])
def test_cameras_on_their_own_clocks(bench: Bench, tmp_path: Path, flight: int) -> None:
    camera, other = bench.scope.file_camera, SimFileCamera("other", shape=(8, 8), exposure=0.001)
    asyncio.run_coroutine_threadsafe(other.connect(), bench.engine.loop).result(10)
    plan = fly_count([camera, other], 60, period=0.004, flight=flight, collect_every=0.02)
    future = bench.engine(plan)
    for index in (10, 30):
        bench.account.wait_for_index(index)
        if pause(bench.engine, False):
            bench.engine.resume()
    assert future.outcome.result(30).plan_result.points == 60
    covered = bench.account.covered()
    assert covered == {"file_camera": 60, "other": 60}
    assert len(bench.account.read("file_camera")) == len(bench.account.read("other")) == 60
