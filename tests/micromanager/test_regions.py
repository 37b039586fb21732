"""A camera's region of interest: what is refused, and when."""

# ruff: noqa: N803

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import bluesky.plan_stubs as bps
import pytest

from freewheel.plans import live_view

if TYPE_CHECKING:
    from freewheel import RunEngine

WAIT = 30


@pytest.mark.parametrize(
    ("region", "said"),
    [
        ([0, 0, 600, 100], "the sensor has 512 x 512 pixels, as it is binned now, and the region"),
        ([500, 0, 100, 100], "goes to 600 x 100"),
        ([0, 500, 512, 13], "goes to 512 x 513"),
        ([-5, 0, 100, 100], "begins at 0 or more"),
        ([10, 10, 0, 100], "has a pixel or more"),
        ([10, 10, 100], "left, top, width and height, not [10, 10, 100]"),
    ],
)
def test_a_region_beyond_the_sensor_is_refused_with_its_size(
    RE: RunEngine, core, scope, region, said
):
    RE(bps.mv(scope.camera.roi, [8, 16, 64, 32])).result(WAIT)
    error = RE(bps.mv(scope.camera.roi, region)).exception(WAIT)
    assert said in str(error)
    assert core.getROI("Camera") == [8, 16, 64, 32]


def test_the_whole_of_a_binned_sensor_is_its_limit(RE: RunEngine, core, scope):
    RE(bps.mv(scope.camera.binning, 2)).result(WAIT)
    RE(bps.mv(scope.camera.roi, [0, 0, 256, 256])).result(WAIT)
    error = RE(bps.mv(scope.camera.roi, [0, 0, 257, 256])).exception(WAIT)
    assert "the sensor has 256 x 256 pixels" in str(error)


def test_a_sequence_that_counts_its_frames_keeps_its_region(RE: RunEngine, core, scope, documents):
    camera = scope.camera

    def plan() -> Any:
        yield from bps.open_run()
        yield from bps.mv(camera.exposure, 25)  # it is not to be complete when the region is set
        yield from bps.prepare(camera, 40, wait=True)
        yield from bps.declare_stream(camera, name="frames", collect=True)
        yield from bps.kickoff(camera, wait=True)
        try:
            yield from bps.mv(camera.roi, [0, 0, 64, 64])
        except Exception as error:
            refused.append(error)
        yield from bps.complete(camera, wait=True)
        yield from bps.mv(camera.roi, [0, 0, 64, 64])  # what has come is kept
        yield from bps.collect(camera, name="frames")
        yield from bps.close_run()

    refused: list[Exception] = []
    RE(plan()).result(WAIT)
    assert "camera takes a sequence, of which" in str(refused[0])
    assert "of 40 frames have come: its region can be set when it is complete" in str(refused[0])
    assert len(documents.events("frames")) == 40
    assert core.getROI("Camera") == [0, 0, 64, 64]


def test_a_camera_that_runs_freely_begins_anew_with_another_region(
    RE: RunEngine, core, scope, documents
):
    camera = scope.camera
    RE(bps.mv(camera.free_running, True)).result(WAIT)

    def plan() -> Any:
        yield from bps.trigger(camera, wait=True)
        yield from bps.mv(camera.roi, [0, 0, 64, 32])
        yield from live_view([camera], rate=1e6, frames=3)

    RE(plan()).result(WAIT)
    assert [frame.shape for frame in documents.data("camera-image", "live")] == [(32, 64)] * 3


def test_a_camera_that_runs_freely_and_is_stopped_at_the_core_says_so(RE: RunEngine, core, scope):
    RE(bps.mv(scope.camera.free_running, True)).result(WAIT)
    seen = threading.Event()
    RE.subscribe(lambda name, doc: seen.set(), "event")
    RE(bps.mv(scope.camera.exposure, 200)).result(WAIT)
    future = RE(live_view([scope.camera], rate=1e6))
    assert seen.wait(WAIT)
    while not future.done():  # in the midst of a wait for a frame; else it just begins anew
        core.stopSequenceAcquisition("Camera")
    assert "it ran freely, and was stopped" in str(future.exception(WAIT))
