"""The simulated camera: frames, settings, reproducibility."""

from __future__ import annotations

import math

import numpy as np
import pytest
from ophyd_async.core import init_devices

from freewheel.sim import SimCamera, View


async def no_wait(_: float) -> None:
    return


async def make(**options: object) -> SimCamera:
    camera = SimCamera("camera", **{"sleep": no_wait, "shape": (96, 128), **options})
    await camera.connect()
    return camera


async def take(camera: SimCamera) -> np.ndarray:
    await camera.trigger()
    reading = await camera.read()
    assert list(reading) == ["camera-image"]
    return reading["camera-image"]["value"]


async def test_description_matches_frame() -> None:
    camera = await make()
    key = (await camera.describe())["camera-image"]
    frame = await take(camera)
    assert key["dtype"] == "array"
    assert key["shape"] == [96, 128] == list(frame.shape)
    assert np.dtype(key["dtype_numpy"]) == np.uint16 == frame.dtype
    assert camera.hints == {"fields": ["camera-image"]}


async def test_configuration_names_every_knob() -> None:
    camera = await make(exposure=0.02, gain=2.0)
    values = {key: part["value"] for key, part in (await camera.read_configuration()).items()}
    assert list(values) == ["camera-exposure", "camera-gain", "camera-binning", "camera-roi"]
    assert values["camera-exposure"] == 0.02
    assert values["camera-gain"] == 2.0
    assert values["camera-roi"].tolist() == [0, 0, 128, 96]
    assert set(await camera.describe_configuration()) == set(values)


async def test_frames_are_new_arrays_and_stay_as_they_are() -> None:
    camera = await make()
    frames = [await take(camera) for _ in range(20)]
    copies = [frame.copy() for frame in frames]
    for _ in range(20):
        await take(camera)
    for index, (frame, copy) in enumerate(zip(frames, copies, strict=True)):
        assert np.array_equal(frame, copy)
        assert not any(np.shares_memory(frame, other) for other in frames[index + 1 :])


async def test_same_seed_same_frames() -> None:
    first, second, other = await make(seed=7), await make(seed=7), await make(seed=8)
    for _ in range(3):
        frame = await take(first)
        assert np.array_equal(frame, await take(second))
        assert not np.array_equal(frame, await take(other))


async def test_features_move_and_noise_is_fresh() -> None:
    camera = await make(shape=(256, 256), exposure=0.02)
    first = (await take(camera)).astype(float)
    second = (await take(camera)).astype(float)
    for _ in range(30):
        last = (await take(camera)).astype(float)
    assert np.std(second - first) > 1
    assert np.abs(last - first).max() > 20 * np.std(second - first)


async def test_brightness_follows_exposure_gain_and_light() -> None:
    light = 1.0
    camera = await make(view=lambda: View(light=light))
    await camera.exposure.set(0.005)
    bright = (await take(camera)).mean() - 100
    await camera.exposure.set(0.010)
    assert (await take(camera)).mean() - 100 == pytest.approx(2 * bright, rel=0.05)
    await camera.gain.set(3.0)
    assert (await take(camera)).mean() - 100 == pytest.approx(6 * bright, rel=0.05)
    light = 0.0
    assert (await take(camera)).mean() - 100 < 0.1 * bright


async def test_noise_is_shot_noise() -> None:
    camera = await make(shape=(512, 512), exposure=0.2)  # so large that no feature passes by
    await camera.roi.set([0, 0, 16, 16])
    frames = np.stack([await take(camera) for _ in range(400)]).astype(float)
    still = np.median(frames, axis=0)
    electrons = still - 100
    variance = np.median((frames - still) ** 2, axis=0) / 0.6745**2
    ratio = np.median(variance / electrons)
    assert ratio == pytest.approx(1.0, rel=0.15)


async def test_saturation_neither_wraps_nor_shows_noise() -> None:
    camera = await make(exposure=1000.0)
    frame = await take(camera)
    assert frame.min() == frame.max() == 65535


async def test_darkness_does_not_wrap() -> None:
    camera = await make(gain=60.0, exposure=0.0)
    frame = await take(camera)
    assert frame.max() < 2000


async def test_focus_blurs() -> None:
    view = View()
    camera = await make(shape=(256, 256), view=lambda: view)
    sharp = await take(camera)
    view = View(z=30.0)
    blurred = await take(camera)
    assert blurred.max() < sharp.max()


async def test_stage_shifts_the_sample() -> None:
    view = View()
    camera = await make(shape=(128, 256), view=lambda: view, exposure=0.05, sleep=no_wait)
    here = (await take(camera)).astype(float)
    view = View(x=20.0)  # 40 pixels of half a micrometre
    there = (await take(camera)).astype(float)
    together = np.corrcoef(here[:, 40:].ravel(), there[:, :-40].ravel())[0, 1]
    apart = np.corrcoef(here.ravel(), there.ravel())[0, 1]
    assert together > 0.6 > 0.3 > apart


async def test_region_and_binning_change_the_shape() -> None:
    camera = await make()
    await camera.roi.set([10, 20, 60, 40])
    await camera.binning.set(4)
    key = (await camera.describe())["camera-image"]
    frame = await take(camera)
    assert frame.shape == (10, 15) == tuple(key["shape"])


async def test_region_shows_the_same_part() -> None:
    view = View()
    whole = await make(exposure=0.05, view=lambda: view)
    part = await make(exposure=0.05, view=lambda: view)
    await part.roi.set([30, 10, 50, 70])
    big = np.mean([await take(whole) for _ in range(16)], axis=0)
    small = np.mean([await take(part) for _ in range(16)], axis=0)
    assert np.corrcoef(big[10:80, 30:80].ravel(), small.ravel())[0, 1] > 0.95


async def test_large_frames_are_rendered_off_the_loop() -> None:
    camera = await make(shape=(600, 500))
    assert (await take(camera)).shape == (600, 500)


@pytest.mark.parametrize(
    ("options", "culprit"),
    [
        ({"shape": (0, 10)}, "shape"),
        ({"shape": (10, 10, 3)}, "shape"),
        ({"exposure": -1.0}, "exposure"),
        ({"exposure": math.nan}, "exposure"),
        ({"gain": 0.0}, "gain"),
        ({"readout": math.nan}, "readout"),
        ({"seed": -1}, "seed"),
    ],
)
def test_impossible_cameras_are_refused(options: dict[str, object], culprit: str) -> None:
    with pytest.raises(ValueError, match=culprit):
        SimCamera("camera", **options)


@pytest.mark.parametrize(
    ("knob", "value"),
    [
        ("exposure", -0.1),
        ("exposure", math.nan),
        ("exposure", math.inf),
        ("gain", -1.0),
        ("binning", 0),
        ("binning", 97),
        ("roi", [0, 0, 129, 10]),
        ("roi", [-1, 0, 10, 10]),
        ("roi", [0, 0, 0, 10]),
        ("roi", [1, 2, 3]),
    ],
)
async def test_impossible_settings_are_refused(knob: str, value: object) -> None:
    camera = await make()
    signal = getattr(camera, knob)
    before = await signal.get_value()
    with pytest.raises(ValueError, match=knob):
        await signal.set(value)
    assert np.array_equal(await signal.get_value(), before)
    assert (await take(camera)).shape == (96, 128)


async def test_trigger_waits_for_exposure_and_readout() -> None:
    waited: list[float] = []

    async def record(seconds: float) -> None:
        waited.append(seconds)

    camera = await make(exposure=5.0, readout=1.0, sleep=record)
    await camera.trigger()
    await camera.roi.set([0, 0, 128, 48])
    await camera.trigger()
    assert waited[0] == pytest.approx(6.0, abs=1.0)
    assert waited[1] == pytest.approx(5.5, abs=1.0)
    assert waited[1] < waited[0]


async def test_image_can_be_monitored() -> None:
    camera = await make()
    seen: list[tuple[int, ...]] = []
    listener = lambda reading: seen.append(reading["camera-image"]["value"].shape)  # noqa: E731
    camera.image.subscribe_reading(listener)
    await camera.trigger()
    camera.image.clear_sub(listener)
    await camera.trigger()
    assert seen == [(96, 128), (96, 128)]


async def test_named_by_ophyd_async() -> None:
    async with init_devices():
        eye = SimCamera("", shape=(16, 16))
    assert eye.name == "eye"
    assert list(await eye.describe()) == ["eye-image"]


async def test_image_is_read_only() -> None:
    camera = await make()
    assert not hasattr(camera.image, "set")
