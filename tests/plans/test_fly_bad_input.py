"""Fly scans that hardware, or whoever asks for them, gets wrong."""

from __future__ import annotations

import asyncio
import math
import threading
from pathlib import Path
from typing import Any

import pytest

from flying import Bench, line
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
        (fly_scan(detectors, stage.x, 0, 1, num=0, **rest), "one point or more"),
        (fly_scan([], stage.x, 0, 1, num=5, **rest), "needs a detector"),
        (fly_grid(detectors, stage.x, 0, 1, **rest), "axis, start, stop, num"),
        (fly_grid(detectors, stage.x, 0, 1, 0, **rest), "one point or more along stage-x"),
        (fly_count(detectors, 0, **rest), "one frame or more"),
    ):
        assert text in str(failure(bench, plan))


# -- wrong in flight -----------------------------------------------------------------------------


def test_a_disk_slower_than_the_camera(engine: RunEngine, tmp_path: Path) -> None:
    bench = Bench(engine, tmp_path)
    stage = bench.scope.stage
    camera = SimFileCamera(
        "slow", shape=(8, 8), exposure=0.001, directory=tmp_path, line=stage.triggers.line, buffer=5
    )
    asyncio.run_coroutine_threadsafe(camera.connect(), engine.loop).result(10)
    disk = threading.Event()
    write = camera._acquisition._write
    camera._acquisition._write = lambda pulses: (disk.wait(30), write(pulses))[1]
    plan = fly_scan(
        *([camera, stage.recorder], stage.x, 0, 5),
        num=100,
        period=0.005,
        flyers=bench.flyers,
        patience=0.5,
        collect_every=0.02,
    )
    future = engine(plan)
    threading.Timer(0.3, disk.set).start()
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
    bench.account.wait_for_index(40)
    acquisition = bench.scope.file_camera._acquisition

    def go_back() -> None:
        acquisition.taking.shots.stop()
        acquisition.taking._ended = True
        acquisition.taking._written = 7
        acquisition.show_written(7)

    bench.engine.loop.call_soon_threadsafe(go_back)
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


@pytest.mark.parametrize("part", ["trajectory", "triggers", "recorder"])
@pytest.mark.parametrize("verb", ["prepare", "kickoff", "complete"])
@pytest.mark.parametrize("end", ["abort", "halt"])
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
    bench.account.wait_for_index(40)
    bench.engine.request_pause().result(30)
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
        (never_stands, "stage-triggers was told to stop, and has not come to its safe point"),
        (miscounts, "3 are missing"),
    ],
)
@pytest.mark.parametrize("verb", ["request_pause", "stop"])
def test_what_fails_while_it_lands(
    bench: Bench, breaks: Any, text: str, verb: str, caplog: pytest.LogCaptureFixture
) -> None:
    engine = bench.engine
    future = engine(bench.scan(patience=0.3))
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
