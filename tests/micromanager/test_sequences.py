"""Frames that the camera takes by itself."""

# ruff: noqa: N803

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import TYPE_CHECKING, Any

import bluesky.plan_stubs as bps
import pytest
from bluesky.preprocessors import run_wrapper
from bluesky.utils import FailedStatus
from ophyd_async.core import DetectorTrigger, TriggerInfo

from doubles import at_message
from freewheel.micromanager import (
    BufferOverflowError,
    CoreError,
    FrameLimits,
    FrameTimeoutError,
    devices,
    load,
)
from freewheel.plans import live_view
from freewheel.testing import assert_valid

if TYPE_CHECKING:
    from freewheel import RunEngine
    from freewheel.testing import DocumentLog

WAIT = 30


def fly(camera: Any, value: Any, *, after_kickoff: Any = None) -> Any:
    """Let a camera take frames, and collect them when it is done."""
    yield from bps.open_run()
    yield from bps.prepare(camera, value, wait=True)
    yield from bps.declare_stream(camera, name="frames", collect=True)
    yield from bps.kickoff(camera, wait=True)
    if after_kickoff is not None:
        after_kickoff()
    try:
        yield from bps.complete(camera, wait=True)
    finally:
        yield from bps.collect(camera, name="frames")
        yield from bps.close_run()


def test_frames_of_a_sequence_become_a_stream(RE: RunEngine, scope, documents: DocumentLog):
    RE(fly(scope.camera, 30)).result(WAIT)
    assert_valid(documents)
    events = documents.events("frames")
    assert documents.data("camera-frame", "frames") == list(range(1, 31))
    assert [event["seq_num"] for event in events] == list(range(1, 31))
    elapsed = documents.data("camera-elapsed", "frames")
    assert elapsed == sorted(elapsed)
    told = [json.loads(text) for text in documents.data("camera-metadata", "frames")]
    assert [int(tags["ImageNumber"]) for tags in told] == list(range(30))
    assert {tags["Camera"] for tags in told} == {"Camera"}
    shapes = {frame.shape for frame in documents.data("camera-image", "frames")}
    assert shapes == {(512, 512)}


def test_frames_are_collected_while_they_come(RE: RunEngine, scope, documents: DocumentLog):
    def plan() -> Any:
        camera = scope.camera
        yield from bps.open_run()
        yield from bps.stage(camera, wait=True)
        info = TriggerInfo(number_of_events=40, livetime=0.02)  # many times the period below
        yield from bps.prepare(camera, info, wait=True)
        yield from bps.declare_stream(camera, name="frames", collect=True)
        yield from bps.kickoff(camera, wait=True)
        yield from bps.collect_while_completing(
            [camera], [camera], flush_period=0.02, stream_name="frames"
        )
        yield from bps.unstage(camera, wait=True)
        yield from bps.close_run()

    RE(plan()).result(WAIT)
    assert_valid(documents)
    assert documents.data("camera-frame", "frames") == list(range(1, 41))
    assert len(documents.of("event_page")) > 1
    settings = documents.of("descriptor")[0]["configuration"]["camera"]["data"]
    assert settings["camera-exposure"] == 20


def test_what_a_camera_can_not_do_by_itself_is_refused(RE: RunEngine, scope):
    for value, said in (
        (0, "camera takes 1 frame or more, not 0"),
        (TriggerInfo(trigger=DetectorTrigger.EXTERNAL_EDGE, deadtime=1), "must be INTERNAL"),
    ):
        error = RE(bps.prepare(scope.camera, value, wait=True)).exception(WAIT)
        assert said in str(error)
    error = RE(run_wrapper(bps.kickoff(scope.camera, wait=True))).exception(WAIT)
    assert "camera was not prepared" in str(error)


def test_an_overflow_is_an_error_with_a_count(RE: RunEngine, core, scope, documents: DocumentLog):
    core.setCircularBufferMemoryFootprint(2)  # MB: three frames or four
    scope.camera.frame_limits = FrameLimits(in_hand=5 * 512 * 512 * 2)
    error = RE(fly(scope.camera, 200)).exception(WAIT)
    assert isinstance(error, FailedStatus)
    assert isinstance(error.__cause__, BufferOverflowError)
    came = documents.data("camera-frame", "frames")
    assert came == list(range(1, len(came) + 1))  # those before it are not lost
    assert 0 < len(came) < 200
    assert f"could not deliver 200 frames: {len(came)} of 200 came before the core's buffer" in (
        str(error.__cause__)
    )
    assert "of 2 MB overflowed" in str(error.__cause__)


def test_a_camera_that_somebody_stops(RE: RunEngine, core, scope, documents: DocumentLog):
    def stop() -> None:
        while core.getRemainingImageCount() == 0 and core.isSequenceRunning():
            pass
        core.stopSequenceAcquisition()

    error = RE(fly(scope.camera, 5000, after_kickoff=stop)).exception(WAIT)
    came = len(documents.events("frames"))
    assert 0 < came < 5000
    assert isinstance(error, FailedStatus)
    assert f"{came} of 5000 came, then it was stopped" in str(error.__cause__)


def test_a_camera_that_stops_delivering(RE: RunEngine, core, scope):
    scope.camera.frame_limits = FrameLimits(first=5, next=0.3)

    def hang() -> None:
        while core.getRemainingImageCount() == 0 and core.isSequenceRunning():
            pass
        core.setExposure(3000)

    error = RE(fly(scope.camera, 5000, after_kickoff=hang)).exception(WAIT)
    assert isinstance(error, FailedStatus)
    assert isinstance(error.__cause__, FrameTimeoutError)
    assert "of 5000 came, and then none for 0.301 s" in str(error.__cause__)


def test_a_second_camera_is_told_which_one_is_in_its_way(RE: RunEngine, core, on_loop):
    core.loadDevice("Second", "DemoCamera", "DCam")
    core.initializeDevice("Second")
    scope = devices(core)
    on_loop(scope.connect())
    core.setCameraDevice("Camera")
    core.startContinuousSequenceAcquisition(0)
    error = RE(bps.trigger(scope["second"], wait=True)).exception(WAIT)
    assert "the camera 'Camera' runs a sequence" in str(error)
    core.stopSequenceAcquisition()
    RE(bps.trigger(scope["second"], wait=True)).result(WAIT)


def test_no_configuration_is_loaded_under_a_sequence(RE: RunEngine, core, scope):
    core.startContinuousSequenceAcquisition(0)
    with pytest.raises(RuntimeError, match="the camera 'Camera' runs a sequence"):
        load(core=core)
    assert core.isSequenceRunning()


def test_a_free_running_live_view_ends_with_its_plan(
    RE: RunEngine, core, scope, documents: DocumentLog
):
    RE(bps.mv(scope.camera.free_running, True)).result(WAIT)
    RE(live_view([scope.camera], rate=500, frames=25)).result(WAIT)
    frames = documents.data("camera-image", "live")
    assert len(frames) == 25
    taken = [event["timestamps"]["camera-image"] for event in documents.events("live")]
    assert len(set(taken)) == 25  # each one new
    assert not core.isSequenceRunning()


def test_a_free_running_live_view_that_is_aborted_while_it_waits(RE: RunEngine, core, scope):
    RE(bps.mv(scope.camera.free_running, True)).result(WAIT)
    RE(bps.mv(scope.camera.exposure, 50)).result(WAIT)
    for number in range(1, 24):
        at_message(RE, number, RE.abort)
        result = RE(live_view([scope.camera], rate=1e6, frames=50)).outcome.result(WAIT)
        assert result.exit_status == "abort", (number, result.exception)
        assert not core.isSequenceRunning(), number


def test_a_kickoff_that_is_not_waited_for_begins_nothing_after_its_plan(RE, core, scope):
    def plan(left: int) -> Any:
        yield from bps.open_run()
        yield from bps.stage(scope.camera, wait=True)
        yield from bps.prepare(scope.camera, 100_000, wait=True)
        yield from bps.kickoff(scope.camera, group="begin")
        for _ in range(left):
            yield from bps.null()
        yield from bps.unstage(scope.camera, wait=True)
        yield from bps.close_run()

    for left in range(12):
        RE(plan(left)).outcome.result(WAIT)
        assert not core.isSequenceRunning(), left


def test_a_snap_while_somebody_else_runs_a_sequence(RE: RunEngine, core, scope):
    core.setCameraDevice("Camera")
    core.startContinuousSequenceAcquisition(0)
    error = RE(bps.trigger(scope.camera, wait=True)).exception(WAIT)
    assert isinstance(error, FailedStatus)
    assert isinstance(error.__cause__, CoreError)
    assert "'Camera' could not take a frame" in str(error.__cause__)
    core.stopSequenceAcquisition()
    RE(bps.trigger(scope.camera, wait=True)).result(WAIT)


def test_frames_are_handed_on_as_the_core_gave_them(RE: RunEngine, scope, documents, on_loop):
    RE(bps.mv(scope.camera.exposure, 2)).result(WAIT)

    async def snap() -> Any:
        await scope.camera.trigger()
        return await scope.camera.image.get_value()

    first = on_loop(snap())
    assert on_loop(scope.camera.read())["camera-image"]["value"] is first
    second = on_loop(snap())
    assert second is not first


def test_stopping_the_plan_ends_the_sequence(RE: RunEngine, core, scope):
    started = asyncio.run_coroutine_threadsafe(_event(), RE.loop).result()

    def plan() -> Any:
        yield from bps.open_run()
        yield from bps.stage(scope.camera, wait=True)
        yield from bps.prepare(scope.camera, 100_000, wait=True)
        yield from bps.kickoff(scope.camera, wait=True)
        started.set()
        yield from bps.complete(scope.camera, wait=True)

    future = RE(plan())
    asyncio.run_coroutine_threadsafe(started.wait(), RE.loop).result(WAIT)
    RE.stop().result(WAIT)
    assert future.done()
    assert not core.isSequenceRunning()


async def _event() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
def free(RE: RunEngine, scope) -> Any:
    """The camera, which runs freely when it is triggered."""
    RE(bps.mv(scope.camera.free_running, True)).result(WAIT)
    return scope.camera


async def triggered(camera: Any) -> None:
    await camera.trigger()


async def unstaged(camera: Any) -> None:
    await camera.unstage()


def test_a_trigger_that_waits_for_an_end_begins_nothing_after_its_plan(core, scope, free, on_loop):
    on_loop(triggered(free))
    core.stopSequenceAcquisition()  # past its device: the next trigger begins anew
    stop_lane = scope._port.lane("Camera (stop)")
    release = threading.Event()

    async def meanwhile() -> None:
        await free._sequence.over()
        free._sequence.take_newest()
        async with asyncio.TaskGroup() as several:
            several.create_task(stop_lane.call(lambda: release.wait(WAIT)))
            several.create_task(triggered(free))
            several.create_task(unstaged(free))
            several.create_task(asyncio.sleep(0)).add_done_callback(lambda _: release.set())

    on_loop(meanwhile())
    assert not core.isSequenceRunning()


def test_a_camera_that_is_unstaged_while_it_starts_has_stopped_then(core, scope, free, on_loop):
    starting, release = threading.Event(), threading.Event()

    def hold() -> None:
        starting.set()
        release.wait(WAIT)

    core.events.continuousSequenceAcquisitionStarting.connect(hold)

    async def once() -> bool:
        trigger = asyncio.ensure_future(triggered(free))
        await asyncio.to_thread(starting.wait, WAIT)
        unstage = asyncio.ensure_future(unstaged(free))
        await asyncio.sleep(0)
        await scope._port.lane("Camera (stop)").call(release.set)  # behind its stop
        await unstage
        running = bool(core.isSequenceRunning())
        await trigger
        return running

    for _ in range(20):
        starting.clear()
        release.clear()
        assert not on_loop(once())


def test_of_a_free_running_camera_that_nobody_looks_at_the_newest_frame_is_kept(free, on_loop):
    free.frame_limits = FrameLimits(in_hand=2 * 512 * 512 * 2)
    on_loop(triggered(free))
    sequence = free._sequence
    latest = time.monotonic() + WAIT
    while sequence.came < 30 and time.monotonic() < latest:
        pass
    assert sequence.came >= 30
    assert sequence.waiting <= 1
    on_loop(unstaged(free))
