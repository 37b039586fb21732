"""The stage that flies, its trigger box, and the detectors that take its pulses."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import h5py
import numpy as np
import pytest
from ophyd_async.core import DetectorTrigger, StandardDetector, TriggerInfo
from scanspec.core import Path as SpecPath

from freewheel.core import FlyPath, FlyRow, HasSafePoint
from freewheel.sim import Axis, Microscope, SimFileCamera, Stage, TriggerBox, microscope_async

EDGE = DetectorTrigger.EXTERNAL_EDGE


@pytest.fixture
async def scope(tmp_path: Path) -> Microscope:
    return await microscope_async(shape=(16, 16), exposure=0.001, directory=tmp_path)


def row(stage: Stage, num: int, step: float = 0.1, y: float = 0.0) -> FlyRow:
    return FlyRow(num, {stage.y: y, stage.x: 0.0}, {stage.y: 0.0, stage.x: step})


async def read_all(detector: StandardDetector) -> dict[str, np.ndarray]:
    """Read what a detector's documents point to, after it was unstaged."""
    found = {}
    async for name, doc in detector.collect_asset_docs():
        if name == "stream_resource":
            with h5py.File(urlparse(doc["uri"]).path, "r") as file:
                found[doc["data_key"]] = np.asarray(file[doc["parameters"]["dataset"]][()])
    return found


async def test_a_stage_flies_at_constant_speed_past_its_points(scope: Microscope) -> None:
    stage = scope.stage
    path = FlyPath((row(stage, 50), row(stage, 50, y=1.0)), 0.002)
    await stage.recorder.stage()
    await stage.recorder.prepare(TriggerInfo(trigger=EDGE, number_of_events=100))
    await stage.recorder.events_to_kickoff.set(100)
    await stage.recorder.kickoff()
    await asyncio.gather(stage.triggers.prepare(path), stage.trajectory.prepare(path))
    await stage.triggers.kickoff()
    await stage.trajectory.kickoff()
    await asyncio.gather(
        stage.triggers.complete(), stage.trajectory.complete(), stage.recorder.complete()
    )
    await stage.recorder.unstage()
    columns = await read_all(stage.recorder)
    xs, times = columns["stage-recorder-x"], columns["stage-recorder-time"]
    wanted = np.arange(50) * 0.1
    np.testing.assert_allclose(xs, np.concatenate([wanted, wanted]), atol=1e-3)
    np.testing.assert_allclose(np.diff(times[:50]), 0.002, rtol=1e-3)
    assert await stage.x.user_readback.get_value() == stage.x.position > 4.9
    assert (await stage.x.locate())["setpoint"] == stage.x.position


async def test_both_stop_at_a_safe_point(scope: Microscope) -> None:
    stage = scope.stage
    path = FlyPath((row(stage, 10_000, step=0.01),), 0.001)
    box, trajectory = stage.triggers.flyable_logic, stage.trajectory.flyable_logic
    assert isinstance(box, HasSafePoint)
    assert isinstance(trajectory, HasSafePoint)
    assert await box.stop_at_safe_point() == 0  # nothing flies
    await asyncio.gather(stage.triggers.prepare(path), stage.trajectory.prepare(path))
    sent: list[int] = []
    stage.triggers.line.connect(lambda pulses: sent.append(len(pulses.times)))
    some = asyncio.Event()
    stage.triggers.sent.subscribe_reading(
        lambda r: some.set() if r["stage-triggers-sent"]["value"] > 20 else None
    )
    await stage.triggers.kickoff()
    await stage.trajectory.kickoff()
    await some.wait()
    done = await box.stop_at_safe_point()
    await trajectory.stop_at_safe_point()
    await asyncio.gather(stage.triggers.complete(), stage.trajectory.complete())
    assert done == sum(sent) < 10_000


async def test_a_stopped_axis_stops_the_trajectory(scope: Microscope) -> None:
    stage = scope.stage
    await stage.trajectory.prepare(FlyPath((row(stage, 1000, step=1.0),), 0.01))
    await stage.trajectory.kickoff()
    await stage.x.stop(success=True)
    await stage.trajectory.complete()
    assert stage.x.position < 500


async def test_a_trajectory_refuses_what_it_cannot_do(scope: Microscope) -> None:
    stage = scope.stage
    stage.x.limits = (0.0, 4.0)
    with pytest.raises(ValueError, match="stage-x can move from 0 to 4 um, not to"):
        await stage.trajectory.prepare(FlyPath((row(stage, 50),), 0.002))
    other = Axis("other")
    with pytest.raises(ValueError, match="moves stage-x, stage-y, not 'other'"):
        await stage.trajectory.prepare(FlyPath((FlyRow(5, {other: 0}, {other: 1}),), 0.01))
    with pytest.raises(ValueError, match="stage-x can move from 0 to 4 um, not to 5 um"):
        await stage.x.set(5.0)
    with pytest.raises(ValueError, match="a lower and a higher position"):
        Axis("axis", limits=(1.0, 0.0))
    with pytest.raises(ValueError, match="a period above zero"):
        await stage.triggers.prepare(FlyPath((FlyRow(5),), 0.0))


async def test_pulses_that_come_while_a_camera_is_busy_are_lost(tmp_path: Path) -> None:
    box = TriggerBox("box")
    camera = SimFileCamera(
        "camera", shape=(8, 8), exposure=0.009, line=box.line, directory=tmp_path
    )
    await asyncio.gather(box.connect(), camera.connect())
    await camera.stage()
    await camera.prepare(TriggerInfo(trigger=EDGE, number_of_events=40))
    await box.prepare(FlyPath((FlyRow(40),), 0.005))
    await box.kickoff()
    await box.complete()
    taken = asyncio.Event()
    camera.frames_written.subscribe_reading(
        lambda r: taken.set() if r["camera-frames_written"]["value"] == 20 else None
    )
    await taken.wait()
    await camera.unstage()
    assert await camera.get_index() == 20  # every second pulse
    assert await camera.frames_lost.get_value() == 20
    with pytest.raises(ValueError, match="holds one frame or more"):
        SimFileCamera(buffer=0)


async def test_a_held_up_loop_costs_no_frame(scope: Microscope) -> None:
    stage, camera = scope.stage, scope.file_camera
    await camera.stage()
    await camera.prepare(TriggerInfo(trigger=EDGE, number_of_events=100))
    await camera.events_to_kickoff.set(100)
    await camera.kickoff()
    await stage.triggers.prepare(FlyPath((FlyRow(100),), 0.003))
    await stage.triggers.kickoff()
    time.sleep(0.2)  # noqa: ASYNC251 - what is tested
    await asyncio.gather(stage.triggers.complete(), camera.complete())
    await camera.unstage()
    assert len((await read_all(camera))["file_camera"]) == 100
    assert await camera.frames_lost.get_value() == 0


async def test_a_camera_on_its_own_clock_stops_between_two_frames(scope: Microscope) -> None:
    camera = scope.file_camera
    await camera.stage()
    await camera.prepare(TriggerInfo(number_of_events=1000, deadtime=0.004))
    await camera.kickoff()
    some = asyncio.Event()
    camera.frames_written.subscribe_reading(
        lambda r: some.set() if r["file_camera-frames_written"]["value"] > 5 else None
    )
    await some.wait()
    done = await camera.stop_at_safe_point()
    assert done == await camera.get_index() > 5
    await camera.prepare(TriggerInfo(number_of_events=10, deadtime=0.004))
    await camera.kickoff()
    await camera.complete()
    await camera.unstage()
    assert len((await read_all(camera))["file_camera"]) == done + 10


def test_a_path_is_the_same_for_hardware_that_takes_a_scanspec() -> None:
    rows = [
        FlyRow(5, {"y": 0.0, "x": 0.0}, {"y": 0.0, "x": 2.5}),
        FlyRow(5, {"y": 1.0, "x": 10.0}, {"y": 0.0, "x": -2.5}),
        FlyRow(5, {"y": 2.0, "x": 0.0}, {"y": 0.0, "x": 2.5}),
    ]
    path = FlyPath(tuple(rows), 0.1, 0.01)
    whole = SpecPath(path.spec.calculate()).consume()
    assert path.num == len(whole) == 15
    for points in (0, 1, 4, 5, 9, 14):
        rest = path.after(points)
        part = SpecPath(rest.spec.calculate()).consume()
        assert rest.first == points
        assert rest.num == len(part) == 15 - points
        for axis in ("x", "y"):
            np.testing.assert_allclose(part.midpoints[axis], whole.midpoints[axis][points:])
            np.testing.assert_allclose(part.lower[axis], whole.lower[axis][points:])
        assert path.cut(points).num == points
    assert path.after(15).num == 0
    with pytest.raises(ValueError, match="no scanspec"):
        _ = FlyPath((FlyRow(3),), 0.1).spec


def test_many_rows_make_a_scanspec() -> None:
    rows = [FlyRow(2, {"x": 0.0, "y": float(y)}, {"x": 1.0, "y": 0.0}) for y in range(1001)]
    assert len(SpecPath(FlyPath(rows, 0.1).spec.calculate()).consume()) == 2002


async def test_a_late_look_at_the_encoders_finds_each_row_once(
    scope: Microscope, monkeypatch: pytest.MonkeyPatch
) -> None:
    tickers: list[Any] = []

    class Late:
        """A clock that was held up until everything was over."""

        def __init__(self, tick: Any, name: str) -> None:
            tickers.append(tick)

        def wake(self) -> None: ...

    monkeypatch.setattr("freewheel.sim._flyers.Ticker", Late)
    stage = scope.stage
    path = FlyPath(tuple(row(stage, 5, y=y) for y in (0.0, 1.0, 2.0)), 0.002)
    seen: list[Any] = []
    stage.triggers.line.connect(seen.append)
    await asyncio.gather(stage.triggers.prepare(path), stage.trajectory.prepare(path))
    await stage.triggers.kickoff()
    await stage.trajectory.kickoff()
    train, motion = tickers
    end = time.monotonic() + 3600
    assert not train(end)
    assert not motion(end)
    times = np.concatenate([pulses.times for pulses in seen])
    assert len(times) == 15
    assert (np.diff(times) >= 0.002 - 1e-6).all()
    ys = np.concatenate([pulses.positions["stage-y"] for pulses in seen])
    np.testing.assert_allclose(ys, np.repeat([0.0, 1.0, 2.0], 5), atol=1e-6)
    await asyncio.gather(stage.triggers.complete(), stage.trajectory.complete())
