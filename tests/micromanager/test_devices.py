"""Devices of the demo configuration, on the engine."""

# ruff: noqa: N803

from __future__ import annotations

import asyncio
import logging
import math
import queue
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import numpy as np
import pytest
from bluesky.utils import FailedStatus

from freewheel import PlanCall, ResourceConflictError
from freewheel.forms import collect_arguments, create_plan_spec, resolve_arguments
from freewheel.micromanager import CoreError, CoreTimeoutError, Opening, devices
from freewheel.plans import live_view
from freewheel.testing import assert_events, assert_valid

if TYPE_CHECKING:
    from freewheel import RunEngine
    from freewheel.testing import DocumentLog

WAIT = 20  # s, for what must come


def cause_of(future: Any) -> BaseException:
    """Return what a plan failed of, as the device raised it."""
    error = future.exception(WAIT)
    assert isinstance(error, FailedStatus)
    assert error.__cause__ is not None
    return error.__cause__


def test_everything_of_the_configuration_is_there_by_name(scope):
    assert list(scope)[:4] == ["dhub", "camera", "dichroic", "emission"]
    assert scope["white_light_shutter"].label == "White Light Shutter"
    assert scope.camera is scope["camera"]
    assert scope.xy is scope["xy"]
    assert scope.focus is scope["z"]
    assert scope.groups["Channel"] is scope["channel_group"]
    assert scope["objective"].name == "objective"
    with pytest.raises(KeyError, match=r"no device 'nope'; there are: dhub, camera"):
        scope["nope"]
    assert scope.objective is scope["objective"]
    assert not hasattr(scope, "nope")
    assert repr(scope).startswith("<MicroManagerDevices: dhub, camera, ")


def test_a_device_that_is_busy_is_described_all_the_same(scope, on_loop):
    go_on = threading.Event()

    async def describe() -> Any:
        lane = scope.camera._port.lane("Camera")
        busy = lane.begin(lambda: go_on.wait(WAIT))
        try:
            keys = await asyncio.wait_for(scope.camera.binning.describe(), WAIT / 4)
            assert not busy.done()
        finally:
            go_on.set()
            await busy
        return keys

    (key,) = on_loop(describe()).values()
    assert (key["dtype"], key["dtype_numpy"], key["shape"]) == ("integer", "<i8", [])
    assert on_loop(scope.camera.binning.locate()) == {"setpoint": 1, "readback": 1}


def test_a_scan_over_the_focus_takes_frames(RE: RunEngine, scope, documents: DocumentLog):
    RE(bp.scan([scope.camera, scope.xy], scope.focus, -5, 5, 5)).result(WAIT)
    assert_valid(documents)
    assert_events(documents, z=[-5, -2.5, 0, 2.5, 5], xy_x=[0] * 5, xy_y=[0] * 5)
    frames = documents.data("camera-image")
    assert {(frame.shape, frame.dtype.name) for frame in frames} == {((512, 512), "uint16")}
    assert len({frame.tobytes() for frame in frames}) == 5
    descriptor = documents.of("descriptor")[0]
    assert descriptor["data_keys"]["z"]["units"] == "um"
    configuration = descriptor["configuration"]["camera"]["data"]
    assert configuration["camera-exposure"] == 1
    assert configuration["camera-properties-Binning"] == 1
    assert documents.of("start")[0]["hints"]["dimensions"] == [(["z"], "primary")]


def test_the_shape_of_frames_follows_binning_and_region(
    RE: RunEngine, scope, documents: DocumentLog
):
    RE(bps.mv(scope.camera.binning, 2)).result(WAIT)
    RE(bp.count([scope.camera])).result(WAIT)
    RE(bps.mv(scope.camera.binning, 1)).result(WAIT)
    RE(bps.mv(scope.camera.roi, np.array([10, 20, 64, 32], np.int32))).result(WAIT)
    RE(bp.count([scope.camera])).result(WAIT)
    RE(bps.mv(scope.camera.roi, np.zeros(4, np.int32))).result(WAIT)
    RE(bps.mv(scope.camera.properties["PixelType"], "8bit")).result(WAIT)
    RE(bp.count([scope.camera])).result(WAIT)
    shapes = [d["data_keys"]["camera-image"]["shape"] for d in documents.of("descriptor")]
    kinds = [d["data_keys"]["camera-image"]["dtype_numpy"] for d in documents.of("descriptor")]
    frames = documents.data("camera-image")
    assert shapes == [[256, 256], [32, 64], [512, 512]]
    assert [list(frame.shape) for frame in frames] == shapes
    assert kinds == ["<u2", "<u2", "|u1"]
    assert [frame.dtype.str for frame in frames] == kinds


def test_color_frames(RE: RunEngine, scope, documents: DocumentLog):
    RE(bps.mv(scope.camera.properties["PixelType"], "32bitRGB")).result(WAIT)
    RE(bp.count([scope.camera])).result(WAIT)
    key = documents.of("descriptor")[0]["data_keys"]["camera-image"]
    frame = documents.data("camera-image")[0]
    assert key["shape"] == list(frame.shape) == [512, 512, 3]
    assert key["dtype_numpy"] == frame.dtype.str == "|u1"


def test_where_a_stage_is_has_no_sign_at_zero(core, scope, on_loop):
    assert math.copysign(1, core.getXPosition()) == -1
    assert math.copysign(1, on_loop(scope.xy.x.position.get_value())) == 1


def test_two_axes_of_one_stage_move_together(RE: RunEngine, core, scope):
    RE(bps.mv(scope.xy.x, 100, scope.xy.y, -50)).result(WAIT)
    assert core.getXYPosition() == pytest.approx([100, -50], abs=0.1)
    RE(bps.mv(scope.xy, (3, 4))).result(WAIT)
    assert core.getXYPosition() == pytest.approx([3, 4], abs=0.1)
    RE(bps.mv(scope.xy.y, 8)).result(WAIT)
    assert core.getXYPosition() == pytest.approx([3, 8], abs=0.1)


def test_an_axis_of_a_stage_is_chosen_in_a_form_and_scanned(
    RE: RunEngine, scope: Any, core: Any
) -> None:
    spec = create_plan_spec(bp.grid_scan, scope)
    assert {"xy.x", "xy.y"} < set(spec["args"].columns[0].choices)
    assert "xy" not in spec["args"].columns[0].choices  # it goes to pairs
    rows = [["xy.x", 0, 20, 3], ["xy.y", 5, 10, 2]]
    values = resolve_arguments(spec, {"detectors": ["camera"], "args": rows}, scope)
    args, kwargs = collect_arguments(spec, values)
    assert RE(bp.grid_scan(*args, **kwargs)).result(WAIT).exit_status == "success"
    assert core.getXYPosition() == pytest.approx([20, 10], abs=0.1)
    problems = RE.preview(PlanCall(bp.scan, ([], scope.xy, 0, 1, 2))).problems
    assert "move xy.x or xy.y" in str(problems)


def test_a_stage_that_is_stopped_on_its_way(RE: RunEngine, core, scope):
    core.setProperty("XY", "Velocity", 100)  # um/s
    core.setTimeoutMs(60_000)

    def stop_it() -> Any:
        yield from bps.abs_set(scope.xy, (5000, 0), group="far")
        while not core.deviceBusy("XY"):
            yield from bps.null()
        yield from bps.stop(scope.xy)
        yield from bps.wait(group="far")

    RE(stop_it()).result(WAIT)  # stopped on purpose: no failure
    assert core.getXYPosition()[0] < 4000

    def fail_it() -> Any:
        yield from bps.abs_set(scope.xy.x, 5000, group="far")
        while not core.deviceBusy("XY"):
            yield from bps.null()
        yield from bps.wait_for([lambda: scope.xy.stop(success=False)])
        yield from bps.wait(group="far")

    error = cause_of(RE(fail_it()))
    assert str(error) == "Micro-Manager's 'XY' could not arrive: it was stopped"
    core.setProperty("XY", "Velocity", 100_000)
    RE(bps.mv(scope.xy, (1, 2))).result(WAIT)
    assert core.getXYPosition() == pytest.approx([1, 2], abs=0.1)


def test_a_device_that_is_busy_for_longer_than_the_cores_time_out(RE: RunEngine, core, scope):
    core.setProperty("XY", "Velocity", 10)
    core.setTimeoutMs(200)
    error = cause_of(RE(bps.mv(scope.xy, (5000, 0))))
    assert isinstance(error, CoreTimeoutError)
    assert "'XY' could not go to x = 5000 um, y = 0 um: it was still busy after 0.2 s" in str(error)


def test_the_loop_is_free_while_the_camera_exposes(RE: RunEngine, core, scope, on_loop):
    RE(bps.mv(scope.camera.exposure, 400)).result(WAIT)
    status = on_loop(_started(scope.camera))
    turns = 0
    while not status.done:
        on_loop(asyncio.sleep(0))
        turns += 1
    assert status.success
    assert turns > 20


async def _started(camera: Any) -> Any:
    return camera.trigger()


def test_a_region_is_cleared_when_another_camera_has_its_frame(RE: RunEngine, core, on_loop):
    core.loadDevice("Second", "DemoCamera", "DCam")
    core.initializeDevice("Second")
    core.setProperty("Second", "Binning", "2")
    both = devices(core)
    on_loop(both.connect())
    first, second = both["camera"], both["second"]
    RE(bps.mv(first.exposure, 400)).result(WAIT)

    def meanwhile() -> Any:
        # To clear a region the core must have that camera as the current one.
        yield from bps.trigger(first, group="frame")
        yield from bps.mv(second.roi, [0, 0, 0, 0])
        yield from bps.wait("frame")
        return (yield from bps.rd(first))

    assert RE(meanwhile()).result(WAIT).plan_result.shape == (512, 512)


def test_states_go_by_label_or_number(RE: RunEngine, core, scope, on_loop):
    RE(bps.mv(scope["objective"], 1)).result(WAIT)
    assert core.getStateLabel("Objective") == "Nikon 10X S Fluor"
    RE(bps.mv(scope["objective"], "Nikon 20X Plan Fluor ELWD")).result(WAIT)
    assert on_loop(scope["objective"].locate())["readback"] == "Nikon 20X Plan Fluor ELWD"
    key = on_loop(scope["objective"].describe())["objective"]
    assert key["choices"][:2] == ["Nikon 40X Plan Fluor ELWD", "Nikon 10X S Fluor"]
    assert "takes one of Nikon 40X" in str(cause_of(RE(bps.mv(scope["objective"], "5000X"))))
    assert "objective has positions 0 to 5, not 6" in str(
        RE(bps.mv(scope["objective"], 6)).exception(WAIT)
    )


def test_a_preset_is_set_and_told(RE: RunEngine, core, scope, on_loop):
    group = scope.groups["Channel"]
    RE(bps.mv(group, "FITC")).result(WAIT)
    assert core.getCurrentConfig("Channel") == "FITC"
    assert on_loop(group.read())["channel_group"]["value"] == "FITC"
    claimed = {device.name for device in group.claimed_devices()}
    assert claimed == {"core", "dichroic", "emission", "excitation"}
    core.setProperty("Emission", "Label", "State-9")
    assert on_loop(group.read())["channel_group"]["value"] == ""
    error = cause_of(RE(bps.mv(group, "GFP")))
    assert str(error) == (
        "the group 'Channel' has no preset 'GFP'; it has Cy5, DAPI, FITC, Rhodamine"
    )


def test_properties_have_types_limits_units_and_choices(scope, on_loop):
    properties = scope.camera.properties
    assert on_loop(properties.Gain.describe())["camera-properties-Gain"] | {"source": ""} == {
        "source": "",
        "dtype": "integer",
        "dtype_numpy": "<i8",
        "shape": [],
        "limits": {"control": {"low": -5, "high": 8}},
    }
    temperature = on_loop(properties.CCDTemperature.describe())["camera-properties-CCDTemperature"]
    assert temperature["units"] == "degC"
    assert temperature["dtype"] == "number"
    pixel = on_loop(properties["PixelType"].describe())["camera-properties-PixelType"]
    assert pixel["choices"] == ["16bit", "32bit", "32bitRGB", "64bitRGB", "8bit"]
    assert not hasattr(properties["CameraName"], "set")
    assert on_loop(properties["Photon Flux"].get_value()) == pytest.approx(50)
    with pytest.raises(KeyError, match="has no property 'Nope'; it has: AllowMultiROI"):
        properties["Nope"]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("Gain", 99, "the property 'Gain' of 'Camera' takes -5 to 8, not 99"),
        ("Binning", 3, "the property 'Binning' of 'Camera' takes one of 1, 2, 4, 8, not 3"),
        ("CCDTemperature", float("nan"), "takes a finite number, not nan"),
        ("CCDTemperature", 1000.0, "takes -100 to 10 degC, not 1000"),
    ],
)
def test_a_value_that_is_out_of_limits_fails_with_them(RE, core, scope, name, value, said):
    before = core.getProperty("Camera", name)
    error = cause_of(RE(bps.mv(scope.camera.properties[name], value)))
    assert said in str(error)
    assert core.getProperty("Camera", name) == before


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("white_light_shutter", "open", "takes one of Open, Closed, not open"),
        ("xy", 5, "xy goes to two finite numbers, x and y, not 5"),
        ("xy", (1, "a"), "xy goes to two finite numbers, x and y, not (1, 'a')"),
    ],
)
def test_what_is_no_value_of_a_device_is_told_with_what_is(RE, scope, name, value, said):
    assert said in str(cause_of(RE(bps.mv(scope[name], value))))


def test_an_exposure_that_is_out_of_limits_is_told_as_such(RE, core, scope):
    error = cause_of(RE(bps.mv(scope.camera.exposure, -1)))
    assert "the exposure of 'Camera' takes 0 to 10000 ms, not -1" in str(error)


def test_what_only_the_core_refuses_names_device_and_property(RE: RunEngine, scope):
    error = cause_of(RE(bps.mv(scope.focus, 1e6)))
    assert isinstance(error, CoreError)
    assert error.device == "Z"
    assert "could not go to z = 1e+06 um: " in str(error)
    assert "Position out of range" in str(error)


def test_changes_made_elsewhere_are_seen_at_once(RE: RunEngine, core, scope, on_loop):
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def follow(reading: dict[str, Any]) -> None:
        for key, value in reading.items():
            heard.put((key, value["value"]))

    signals = {
        "camera-exposure": scope.camera.exposure,
        "camera-properties-Gain": scope.camera.properties.Gain,
        "z": scope.focus.position,
        "channel_group": scope.groups["Channel"].preset,
        "objective": scope["objective"].state,
        "white_light_shutter": scope["white_light_shutter"].state,
        "core-auto_shutter": scope["core"].auto_shutter,
    }

    async def subscribe() -> None:
        for signal in signals.values():
            signal.subscribe_reading(follow)

    async def forget() -> None:
        for signal in signals.values():
            signal.clear_sub(follow)

    on_loop(subscribe())
    first = dict(heard.get(timeout=WAIT) for _ in signals)
    assert first.keys() == signals.keys()
    # By another program that has the core: not through the devices.
    for change, told in (
        (lambda: core.setExposure(7), ("camera-exposure", 7)),
        (lambda: core.setProperty("Camera", "Gain", 3), ("camera-properties-Gain", 3)),
        (lambda: core.setPosition("Z", 4), ("z", 4)),
        (lambda: core.setConfig("Channel", "Cy5"), ("channel_group", "Cy5")),
        (lambda: core.setState("Objective", 3), ("objective", "Nikon 20X Plan Fluor ELWD")),
        (lambda: core.setAutoShutter(False), ("core-auto_shutter", False)),
        (lambda: core.setShutterOpen(True), ("white_light_shutter", Opening.OPEN)),
    ):
        change()
        while heard.get(timeout=WAIT) != told:
            pass
    on_loop(forget())


def test_shutter_and_autofocus(RE: RunEngine, core, scope, on_loop):
    shutter = scope.shutter
    assert shutter.claimed_devices() == [scope.camera]
    RE(bps.mv(shutter, True)).result(WAIT)
    assert core.getShutterOpen()
    RE(bps.mv(shutter, "Closed")).result(WAIT)
    assert not core.getShutterOpen()
    RE(bps.mv(scope["core"].auto_shutter, False)).result(WAIT)
    assert not shutter.claimed_devices()
    RE(bps.trigger(scope.autofocus, wait=True)).result(WAIT)
    assert scope.autofocus.claimed_devices() == [scope.focus]
    assert set(on_loop(scope.autofocus.read_configuration())) == {
        "autofocus-offset",
        "autofocus-continuous",
    }


def test_the_root_logger_keeps_its_level():
    # In a process of its own: here somebody else may have imported pymmcore-plus.
    code = (
        "import logging; before = logging.getLogger().level;"
        "import freewheel.micromanager; assert logging.getLogger().level == before;"
        "print(logging.getLogger('pymmcore-plus').level)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == logging.DEBUG


def test_a_hand_moves_a_stage_beside_a_plan_that_does_not_hold_it(RE: RunEngine, core, scope):
    seen = threading.Event()
    RE.subscribe(lambda name, doc: seen.set(), "event")
    future = RE(live_view([scope.camera], rate=100))
    assert seen.wait(WAIT)
    RE.by_hand.set(scope.focus, 5).result(WAIT)
    assert core.getPosition("Z") == pytest.approx(5)
    with pytest.raises(ResourceConflictError, match="'camera-exposure', which 'live_view' holds"):
        RE.by_hand.set(scope.camera.exposure, 3)
    RE.stop().result(WAIT)
    assert future.outcome.result(WAIT).exit_status == "success"
    RE.by_hand.set(scope.camera.exposure, 3).result(WAIT)
    assert core.getExposure() == 3


def test_a_camera_tells_how_large_its_pixels_are_and_how_it_is_turned(
    scope: Any, core: Any, on_loop: Any, RE: RunEngine, documents: DocumentLog
) -> None:
    camera, seen = scope.camera, queue.Queue[float]()
    assert on_loop(camera.pixel_size.get_value()) == core.getPixelSizeUm() == 1.0
    on_loop(_followed(camera.pixel_size, seen))
    assert seen.get(timeout=WAIT) == 1.0
    RE(bps.mv(camera.binning, 2)).result(WAIT)
    assert seen.get(timeout=WAIT) == core.getPixelSizeUm() == 2.0
    core.setPixelSizeAffine("Res20x", (0.0, 0.5, 0.0, -0.5, 0.0, 0.0))
    core.setProperty("Objective", "Label", "Nikon 20X Plan Fluor ELWD")
    while (size := seen.get(timeout=WAIT)) != 1.0:  # 0.5 um, binned
        assert size == 2.0
    affine = on_loop(camera.pixel_affine.get_value())
    assert list(affine) == list(core.getPixelSizeAffine()) == [0, 1, 0, -1, 0, 0]
    RE(bp.count([camera])).result(WAIT)
    told = documents.of("descriptor")[0]["configuration"]["camera"]["data"]
    assert told["camera-pixel_size"] == 1.0
    assert list(told["camera-pixel_affine"]) == [0, 1, 0, -1, 0, 0]
    core.deletePixelSizeConfig("Res20x")
    assert on_loop(camera.pixel_size.get_value(cached=False)) == 0
    assert not any(on_loop(camera.pixel_affine.get_value()))
    on_loop(_followed(camera.pixel_size, None))


async def _followed(signal: Any, seen: queue.Queue[float] | None) -> None:
    def take(readings: Any) -> None:
        seen.put(next(iter(readings.values()))["value"])

    if seen is not None:
        signal.subscribe_reading(take)
        signal.follower = take
    else:
        signal.clear_sub(signal.follower)
