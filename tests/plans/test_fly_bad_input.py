"""Fly scans that hardware, or whoever asks for them, gets wrong."""

from __future__ import annotations

import asyncio
import math
import re
import threading
import time
from pathlib import Path
from types import MethodType
from typing import Any

import pytest
from ophyd_async.core import AsyncStatus

from flying import Bench, line, pause_at_index
from freewheel import ResourceConflictError, RunEngine
from freewheel.plans import FlyError, fly_count, fly_grid, fly_scan
from freewheel.sim import Hang, SimCamera, SimFileCamera, inject


@pytest.fixture
def bench(engine: RunEngine, tmp_path: Path) -> Bench:
    return Bench(engine, tmp_path)


def failure(bench: Bench, plan: Any) -> BaseException:
    error = bench.engine(plan).outcome.exception(30)
    assert error is not None
    return error


# -- refused before anything moves ---------------------------------------------------------------


def test_a_line_outside_of_the_limits_is_refused(bench: Bench) -> None:
    bench.scope.stage.x.limits = (0.0, 20.0)
    error = failure(bench, bench.scan())
    assert "stage-x can move from 0 to 20 um, not to" in str(error)
    assert not bench.account.docs
    assert bench.scope.stage.x.position == 0.0


def test_a_run_up_outside_of_the_limits_is_refused(bench: Bench) -> None:
    bench.scope.stage.x.limits = (-0.1, 31.0)
    error = failure(bench, bench.scan())
    assert "stage-x can move from -0.1 to 31 um, not to" in str(error)
    assert bench.account.check_balanced()["exit_status"] == "fail"
    assert bench.scope.stage.x.position == 0.0


def test_a_camera_that_is_too_slow_is_refused(bench: Bench) -> None:
    error = failure(bench, bench.scan(period=0.002, exposure=0.005))
    assert "file_camera cannot take a frame every 0.002 s: it needs 0.00516 s" in str(error)
    assert not bench.account.docs
    error = failure(bench, bench.scan(period=1e-4))
    assert "file_camera cannot take a frame every 0.0001 s" in str(error)


def test_a_detector_without_the_trigger_is_refused(bench: Bench) -> None:
    error = failure(bench, fly_count([bench.scope.stage.recorder], 5, period=0.01))
    assert "stage-recorder cannot be triggered by its own clock; it can by EXTERNAL_EDGE" in str(
        error
    )


def test_a_device_of_which_another_plan_holds_a_part(bench: Bench) -> None:
    async def keep() -> None:
        await asyncio.Event().wait()

    for device in (bench.scope.stage.x, bench.scope.stage.triggers, bench.scope.file_camera):
        task = bench.engine.background.launch(keep, claims=[device], on_conflict="error")
        assert isinstance(failure(bench, bench.scan()), ResourceConflictError)
        task.cancel()
        task.result(10)
    assert not bench.account.docs


@pytest.mark.parametrize("period", [0, -1, math.nan, math.inf])
def test_periods_that_are_none(bench: Bench, period: float) -> None:
    assert "period of a fly scan" in str(failure(bench, bench.scan(period=period)))


def test_arguments_that_are_none(bench: Bench) -> None:
    stage, flyers = bench.scope.stage, bench.flyers
    rest: Any = {"period": 0.01, "flyers": flyers}
    detectors = bench.detectors
    for plan, text in (
        (fly_scan(detectors, stage.x, 0, num=5, **rest), "axis, start, stop"),
        (fly_scan(detectors, stage.x, 0, 1, num=0, **rest), "num of fly_scan must be a whole"),
        (fly_scan(detectors, stage.x, 0, 1, num=2.5, **rest), "not 2.5"),
        (fly_scan(detectors, stage.x, 0, 1, num=math.nan, **rest), "not nan"),
        (
            fly_scan(detectors, stage.x, 0, math.inf, num=5, **rest),
            "start and stop of fly_scan along stage-x must be finite, not 0 to inf",
        ),
        (fly_scan([], stage.x, 0, 1, num=5, **rest), "needs a detector"),
        (fly_grid(detectors, stage.x, 0, 1, **rest), "axis, start, stop, num"),
        (fly_grid(detectors, stage.x, 0, 1, 0, **rest), "num along stage-x of fly_grid must be"),
        (fly_count(detectors, 0, **rest), "num of fly_count must be a whole number, 1 or more"),
        (bench.scan(flight=-1), "flight of fly_scan must be a whole number, 0 or more, not -1"),
        (bench.scan(exposure=0), "exposure of fly_scan must be a time in seconds above zero"),
        (bench.scan(collect_every=-1), "collect_every of fly_scan must be a time"),
        (bench.scan(patience=math.nan), "patience of fly_scan must be a time"),
    ):
        assert text in str(failure(bench, plan))
    assert not bench.account.docs


def test_devices_that_cannot_do_their_part(bench: Bench) -> None:
    scope, (triggers, trajectory) = bench.scope, bench.flyers
    camera, x = scope.file_camera, scope.stage.x

    def scan(detectors: list[Any], flyers: list[Any], *more: Any) -> Any:
        return fly_scan(detectors, x, 0, 1, *more, num=5, period=0.01, flyers=flyers)

    for plan, text in (
        # A camera that also has a clock of its own would take frames of a stage that stands.
        (scan([camera], []), "fly_scan needs flyers: without them nothing moves"),
        (scan([camera], [triggers, scope.shutter]), "shutter is no flyer"),
        (scan([camera], [triggers, "trajectory"]), "'trajectory' is no flyer"),
        (scan(["camera"], [triggers, trajectory]), "'camera' cannot fly"),
        (scan([camera, camera], [triggers, trajectory]), "given file_camera twice"),
        (scan([camera], [triggers, trajectory, triggers]), "given stage-triggers twice"),
        (scan([camera], [triggers, trajectory], x, 5, 9), "given stage-x twice among its axes"),
    ):
        assert text in str(failure(bench, plan))
    assert not bench.account.docs


def test_detectors_of_a_generator(bench: Bench) -> None:
    cameras = (each for each in [bench.scope.file_camera])
    assert bench.engine(fly_count(cameras, 3)).result(30).plan_result.points == 3


# -- wrong in flight -----------------------------------------------------------------------------


def test_a_disk_slower_than_the_camera(engine: RunEngine, tmp_path: Path) -> None:
    bench = Bench(engine, tmp_path)
    stage = bench.scope.stage
    camera = SimFileCamera(
        "slow", shape=(8, 8), exposure=0.001, directory=tmp_path, line=stage.triggers.line, buffer=5
    )
    asyncio.run_coroutine_threadsafe(camera.connect(), engine.loop).result(10)
    write, pause = camera._acquisition._write, threading.Event()

    def write_once_frames_are_lost(pulses: Any) -> int:
        latest = time.monotonic() + 30
        while not camera._acquisition.taking.shots.lost and time.monotonic() < latest:
            pause.wait(0.001)
        return write(pulses)

    camera._acquisition._write = write_once_frames_are_lost
    plan = fly_scan(
        *([camera, stage.recorder], stage.x, 0, 5),
        num=100,
        period=0.005,
        flyers=bench.flyers,
        patience=0.5,
        collect_every=0.02,
    )
    future = engine(plan)
    error = future.outcome.exception(30)
    assert "slow-frames_written" in str(error) or "slow has" in str(error)
    assert asyncio.run(camera.frames_lost.get_value()) > 0
    covered = bench.account.covered()
    assert covered["slow"] == covered["stage-recorder-x"] == len(bench.account.read("slow")) < 100


def test_a_camera_that_delivers_more(bench: Bench) -> None:
    logic = bench.scope.file_camera._trigger_logic
    prepare = logic.prepare_internal

    async def more(num: int, livetime: float, deadtime: float) -> None:
        await prepare(num + 3, livetime, deadtime)

    logic.prepare_internal = more
    error = failure(bench, fly_count([bench.scope.file_camera], 20, period=0.003))
    assert isinstance(error, FlyError)
    assert "file_camera has written 23 events where 20 were asked for" in str(error)
    assert bench.account.check_balanced()["exit_status"] == "fail"


def test_a_camera_that_goes_back(bench: Bench) -> None:
    future = bench.engine(bench.scan(patience=1.0))
    acquisition = bench.scope.file_camera._acquisition

    def go_back() -> None:
        acquisition.taking.shots.stop()
        acquisition.taking._ended = True
        acquisition.taking._written = 7
        # What its thread has written meanwhile must not be shown after that.
        show, acquisition.show_written = acquisition.show_written, lambda count: None
        show(7)

    bench.account.at_index(40, lambda: bench.engine.loop.call_soon(go_back))
    error = future.outcome.exception(30)
    assert isinstance(error, FlyError)
    assert "file_camera went back from" in str(error)
    assert bench.check(None, line()) >= 40


@pytest.mark.parametrize("part", ["trajectory", "triggers"])
def test_a_flyer_that_never_ends(bench: Bench, part: str) -> None:
    device = getattr(bench.scope.stage, part)
    with inject(device, Hang("complete")):
        error = failure(bench, bench.scan(30, patience=0.4))
    assert isinstance(error, FlyError)
    assert f"stage-{part} is not complete" in str(error)
    bench.check(30, line(30))


def test_a_camera_that_falls_silent(bench: Bench) -> None:
    future = bench.engine(bench.scan(patience=0.3))
    acquisition = bench.scope.file_camera._acquisition
    bench.account.at_index(40, lambda: acquisition.taking.shots.stop())
    error = future.outcome.exception(30)
    assert isinstance(error, FlyError)
    assert re.search(r"file_camera has \d+ of 300 events", str(error))


def test_a_camera_that_does_not_answer(bench: Bench) -> None:
    with inject(bench.scope.file_camera, Hang("get_index")):
        error = failure(bench, bench.scan(patience=0.3))
    assert isinstance(error, FlyError)
    assert "file_camera was asked how many events it has written, and has not answered" in str(
        error
    )


class Turntable:
    """A flyer of bluesky's protocols alone: it can be stopped, but is not staged."""

    name, parent = "turntable", None

    def __init__(self) -> None:
        self.turns = asyncio.Event()
        self.stops = 0

    def prepare(self, value: Any) -> AsyncStatus:
        return AsyncStatus(asyncio.sleep(0))

    def kickoff(self) -> AsyncStatus:
        return AsyncStatus(asyncio.sleep(0))

    def complete(self) -> AsyncStatus:
        return AsyncStatus(self.turns.wait())

    def stop(self, success: bool = True) -> None:
        self.stops += 1


@pytest.mark.parametrize("verb", ["stop", "abort"])
def test_a_flyer_that_is_not_staged_is_stopped(
    bench: Bench, verb: str, caplog: pytest.LogCaptureFixture
) -> None:
    turntable = Turntable()
    future = bench.engine(
        fly_scan(
            *(bench.detectors, bench.scope.stage.x, 0, 30),
            num=300,
            period=0.002,
            flyers=[*bench.flyers, turntable],
            collect_every=0.02,
        )
    )
    bench.account.at_index(40, getattr(bench.engine, verb))
    assert future.outcome.result(30).interrupted
    assert turntable.stops == 1
    assert "has failed" not in caplog.text


@pytest.mark.parametrize("part", ["trajectory", "triggers", "recorder"])
@pytest.mark.parametrize("verb", ["prepare", "kickoff", "complete"])
@pytest.mark.parametrize("end", [pytest.param("abort", marks=pytest.mark.servers), "halt"])
def test_what_hangs_can_be_ended(bench: Bench, part: str, verb: str, end: str) -> None:
    device = getattr(bench.scope.stage, part)
    hangs = threading.Event()
    with inject(device, Hang(verb)) as injection:
        bench.engine.msg_hook = lambda _: hangs.set() if injection.calls(verb) else None
        future = bench.engine(bench.scan(30, patience=60))
        assert hangs.wait(30)
        getattr(bench.engine, end)().result(30)
        assert future.outcome.result(30).interrupted
        bench.engine.msg_hook = None
    bench.fresh()
    bench.engine(bench.scan(30)).result(30)
    bench.check(30, line(30))


def test_a_halt_gives_up_what_is_being_prepared(bench: Bench) -> None:
    opening, given_up = threading.Event(), threading.Event()
    (data_logic,) = bench.scope.stage.recorder._data_logics

    # It never opens its file. ophyd-async knows its logic by this name.
    async def prepare_unbounded(_: Any, name: str) -> None:
        opening.set()
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()

    data_logic.prepare_unbounded = MethodType(prepare_unbounded, data_logic)
    future = bench.engine(bench.scan(30))
    assert opening.wait(30)
    bench.engine.halt().result(30)
    assert future.outcome.result(30).interrupted
    # Otherwise it would arm the recorder in the middle of the next plan.
    assert given_up.wait(10)


def test_a_pause_during_a_move_to_the_start(bench: Bench) -> None:
    preparing = threading.Event()
    bench.engine.msg_hook = lambda msg: preparing.set() if msg.command == "wait_for" else None
    future = bench.engine(bench.scan(30))
    assert preparing.wait(30)
    bench.engine.request_pause().result(30)
    if bench.engine.state == "paused":
        bench.engine.resume()
    assert future.outcome.result(30).plan_result.points == 30
    bench.check(30, line(30))


def test_a_detector_that_does_not_fly(bench: Bench) -> None:
    camera = SimCamera(shape=(8, 8))
    asyncio.run_coroutine_threadsafe(camera.connect(), bench.engine.loop).result(10)
    error = failure(bench, fly_count([camera], 3))
    assert "camera" in str(error)
    assert "StandardDetector" in str(error)


def test_a_detector_that_somebody_used_while_it_was_paused(bench: Bench) -> None:
    future = bench.engine(bench.scan())
    pause_at_index(bench, 40)
    acquisition = bench.scope.file_camera._acquisition
    bench.engine.loop.call_soon_threadsafe(acquisition.show_written, 250)
    bench.engine.resume()
    error = future.outcome.exception(30)
    assert isinstance(error, FlyError)
    assert "250 events" in str(error)


# -- wrong while it is brought to rest -------------------------------------------------------------


def falls_silent(bench: Bench) -> None:
    bench.scope.file_camera._acquisition.taking.shots.stop()
    pulse = threading.Event()
    bench.scope.stage.triggers.line.connect(lambda _: pulse.set())
    assert pulse.wait(10)


def dies(bench: Bench) -> None:
    bench.scope.stage.trajectory._logic._motion.end.tell(RuntimeError("following error"))


def dies_at_the_safe_point(bench: Bench) -> None:
    logic = bench.scope.stage.trajectory._logic
    motion = logic._motion

    async def stands_and_dies() -> None:
        # It stands, and says only afterwards that it did not come there well.
        motion.end.tell = lambda: None
        motion.halt()
        error = RuntimeError("following error")
        asyncio.get_running_loop().call_later(0.05, type(motion.end).tell, motion.end, error)

    logic.stop_at_safe_point = stands_and_dies


def never_stands(bench: Bench) -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    bench.scope.stage.triggers.stop_at_safe_point = never


def miscounts(bench: Bench) -> None:
    logic = bench.scope.stage.triggers._logic
    stop = logic.stop_at_safe_point

    async def three_more() -> int:
        return await stop() + 3

    logic.stop_at_safe_point = three_more


@pytest.mark.parametrize(
    ("breaks", "text"),
    [
        (falls_silent, "are missing"),
        (dies, "following error"),
        (dies_at_the_safe_point, "following error"),
        (never_stands, "stage-triggers was told to stop, and has not come to its safe point"),
        (miscounts, "3 are missing"),
    ],
)
@pytest.mark.parametrize("verb", ["request_pause", "stop"])
def test_what_fails_while_it_lands(
    bench: Bench, breaks: Any, text: str, verb: str, caplog: pytest.LogCaptureFixture
) -> None:
    engine = bench.engine
    future = engine(bench.scan(1000, patience=0.3))  # it is not to end before it is broken
    bench.account.wait_for_index(40)
    rests = threading.Event()
    engine.events.state_changed.connect(
        lambda new, old: rests.set() if new in ("paused", "idle") else None
    )

    def break_it() -> None:
        breaks(bench)
        getattr(engine, verb)()

    engine.loop.call_soon_threadsafe(break_it)
    assert rests.wait(30)
    # It rests or ends, as it was told, and says what was wrong.
    assert "A section of the plan 'fly_scan' has failed" in caplog.text
    assert text in caplog.text
    if verb == "request_pause":
        engine.resume()
        assert text in str(future.outcome.exception(30))
    future.outcome.exception(30)
    status = bench.account.check_balanced()["exit_status"]
    assert status == ("success" if verb == "stop" else "fail")
    frames = bench.account.covered()["file_camera"]
    assert 40 <= frames <= len(bench.account.read("file_camera"))
