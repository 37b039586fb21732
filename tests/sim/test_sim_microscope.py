"""The simulated microscope, its parts, and the engines that run it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from urllib.parse import urlparse

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import h5py
import numpy as np
import pytest
from ophyd_async.core import TriggerInfo

import freewheel.sim
from freewheel import RunEngine
from freewheel.sim import (
    Fail,
    FaultError,
    Hang,
    Microscope,
    ShutterState,
    Slow,
    Thermometer,
    inject,
    microscope,
    microscope_async,
)

NAMES = ["camera", "stage", "focus", "shutter", "lamp", "temperature", "file_camera"]


def run(engine: RunEngine, plan: object) -> list[tuple[str, dict]]:
    docs: list[tuple[str, dict]] = []
    engine(plan, lambda name, doc: docs.append((name, doc))).result(30)
    return docs


def events(docs: list[tuple[str, dict]]) -> list[dict]:
    return [doc["data"] for name, doc in docs if name == "event"]


@pytest.fixture
def scope(tmp_path: Path) -> Microscope:
    return microscope(shape=(64, 80), instant=True, directory=tmp_path)


def test_exports() -> None:
    for name in freewheel.sim.__all__:
        assert getattr(freewheel.sim, name) is not None
    with pytest.raises(AttributeError):
        freewheel.sim.nothing  # noqa: B018


def test_mapping_and_attributes(scope: Microscope) -> None:
    assert list(scope) == NAMES
    assert len(scope) == 7
    for name, device in scope.items():
        assert device.name == name
        assert getattr(scope, name) is device
    with pytest.raises(KeyError, match="the microscope has no 'laser'; it has camera"):
        scope["laser"]


def test_before_and_after_engines(tmp_path: Path) -> None:
    early = microscope(shape=(16, 16), instant=True)
    with RunEngine() as first, RunEngine() as second:
        late = microscope(shape=(16, 16), instant=True)
        for scope in (early, late):
            for engine in (first, second, first):
                data = events(run(engine, bp.scan([scope.camera], scope.stage.x, 0, 2, 3)))
                assert [point["stage-x"] for point in data] == [0.0, 1.0, 2.0]


async def test_in_a_running_loop() -> None:
    # Jupyter's cells run so.
    scope = microscope(shape=(16, 16), instant=True)
    await scope.camera.trigger()
    other = await microscope_async(shape=(16, 16), instant=True)
    await other.stage.x.set(3.0)
    assert (await other.stage.read())["stage-x"]["value"] == 3.0


def test_leaves_the_callers_loop_alone() -> None:
    seen: list[object] = []

    def body() -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        microscope(shape=(16, 16))
        seen.append(asyncio.get_event_loop() is loop)
        asyncio.set_event_loop(None)
        loop.close()

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert seen == [True]


def test_all_can_be_read_in_one_run(scope: Microscope) -> None:
    with RunEngine() as engine:
        docs = run(engine, bp.count([scope[name] for name in NAMES], 2))
    keys = {"camera-image", "stage-x", "stage-y", "focus", "shutter", "lamp", "temperature"}
    assert [set(data) for data in events(docs)] == [keys, keys]
    assert any(name == "stream_datum" for name, _ in docs)


def test_light_path(scope: Microscope) -> None:
    def means():  # type: ignore[no-untyped-def]
        yield from bp.count([scope.camera])
        yield from bps.mv(scope.lamp, 50)
        yield from bp.count([scope.camera])
        yield from bps.mv(scope.shutter, ShutterState.CLOSED)
        yield from bp.count([scope.camera, scope.shutter])
        yield from bps.mv(scope.shutter, "Open", scope.lamp, 100, scope.focus, 40)
        yield from bp.count([scope.camera])

    with RunEngine() as engine:
        data = events(run(engine, means()))
    full, half, dark, blurred = (point["camera-image"].astype(float) - 100 for point in data)
    assert half.mean() == pytest.approx(full.mean() / 2, rel=0.15)
    assert dark.mean() < 0.1 * full.mean()
    assert blurred.max() < full.max()
    assert data[2]["shutter"] == "Closed"


def test_lamp_refuses_impossible_power(scope: Microscope) -> None:
    with RunEngine() as engine:
        for power in (-1, 101, float("nan")):
            with pytest.raises(Exception, match=r"lamp|FailedStatus") as caught:
                engine(bps.mv(scope.lamp, power)).result(10)
            assert "0 to 100 %" in str(caught.value.__cause__)


async def test_shutter_and_motor_take_time() -> None:
    scope = await microscope_async(shape=(16, 16))
    status = scope.shutter.set(ShutterState.CLOSED)
    await asyncio.sleep(0)
    assert scope.shutter.transmission == 1.0
    await status
    assert scope.shutter.transmission == 0.0
    assert await scope.stage.x.velocity.get_value() == 1000.0
    move = scope.stage.x.set(1e6)
    seen: list[float] = []
    moved = asyncio.Event()

    def watch(current: float | None = None, **_: object) -> None:
        seen.append(current or 0.0)
        if current:
            moved.set()

    move.watch(watch)
    await moved.wait()
    await scope.stage.x.stop(success=True)
    await move
    assert 0 < scope.stage.x.position < 1e6


async def test_temperature_drifts_by_its_clock() -> None:
    now = [0.0]
    first = Thermometer("t", seed=1, drift=2.0, clock=lambda: now[0])
    second = Thermometer("t", seed=1, drift=2.0, clock=lambda: now[0])
    values = []
    for now[0] in np.linspace(0, 600, 200):
        value = (await first.read())["t"]["value"]
        assert value == (await second.read())["t"]["value"]
        values.append(value)
    assert 1.0 < np.ptp(values) < 4.2
    assert np.mean(values) == pytest.approx(21.0, abs=0.5)
    assert (await first.describe())["t"]["units"] == "degC"


async def test_temperature_can_be_monitored() -> None:
    thermometer = Thermometer("t")
    seen: list[float] = []
    listener = lambda reading: seen.append(reading["t"]["value"])  # noqa: E731
    thermometer.subscribe(listener)
    thermometer.clear_sub(listener)
    assert seen == [21.0]


def frames_of(docs: list[tuple[str, dict]]) -> np.ndarray:
    (resource,) = (doc for name, doc in docs if name == "stream_resource")
    path = urlparse(resource["uri"]).path
    with h5py.File(path, "r") as file:
        return file[resource["parameters"]["dataset"]][()]


def test_file_camera_steps(scope: Microscope, tmp_path: Path) -> None:
    with RunEngine() as engine:
        docs = run(engine, bp.count([scope.file_camera], 3))
        again = run(engine, bp.count([scope.file_camera], 2))
    frames = frames_of(docs)
    assert frames.shape == (3, 64, 80)
    assert frames.dtype == np.uint16
    assert frames.std() > 0
    assert frames_of(again).shape == (2, 64, 80)
    assert len(list(tmp_path.glob("*.h5"))) == 2
    (descriptor,) = (doc for name, doc in docs if name == "descriptor")
    key = descriptor["data_keys"]["file_camera"]
    assert key["external"] == "STREAM:"
    assert key["shape"] == [1, 64, 80]
    assert "file_camera-exposure" in descriptor["configuration"]["file_camera"]["data"]


def fly(scope: Microscope, frames: int):  # type: ignore[no-untyped-def]
    camera = scope.file_camera
    yield from bps.stage(camera)
    yield from bps.open_run()
    info = TriggerInfo(number_of_events=frames, livetime=0.002)
    yield from bps.prepare(camera, info, wait=True)
    yield from bps.declare_stream(camera, name="fly")
    yield from bps.kickoff(camera, wait=True)
    yield from bps.complete(camera, wait=True)
    yield from bps.collect(camera, name="fly")
    yield from bps.close_run()
    yield from bps.unstage(camera, wait=True)


def test_file_camera_flies(tmp_path: Path) -> None:
    scope = microscope(shape=(64, 80), directory=tmp_path)
    with RunEngine() as engine:
        docs = run(engine, fly(scope, 10))
    assert frames_of(docs).shape == (10, 64, 80)
    datums = [doc for name, doc in docs if name == "stream_datum"]
    assert datums[-1]["indices"]["stop"] == 10


def test_file_camera_refuses_a_change_of_shape(scope: Microscope) -> None:
    async def body() -> None:
        camera = scope.file_camera
        await camera.stage()
        await camera.prepare(TriggerInfo(exposure_timeout=0.2))
        await camera.binning.set(2)
        await camera.kickoff()
        with pytest.raises(ValueError, match="announced with shape"):
            await camera._acquire_logic.wait_for_idle()

    asyncio.run(body())


def test_unstage_in_flight_closes_the_file(scope: Microscope) -> None:
    async def body() -> None:
        camera = scope.file_camera
        await camera.stage()
        await camera.prepare(TriggerInfo(number_of_events=0))
        await camera.kickoff()
        written = asyncio.Event()
        listener = lambda r: written.set() if r["file_camera-frames_written"]["value"] else None  # noqa: E731
        camera.frames_written.subscribe_reading(listener)
        await written.wait()
        camera.frames_written.clear_sub(listener)
        await camera.unstage()
        documents = [doc async for doc in camera.collect_asset_docs()]
        assert len(frames_of([(name, dict(doc)) for name, doc in documents])) >= 1

    asyncio.run(body())


def test_fault_fails_the_plan_and_the_engine_goes_on(scope: Microscope) -> None:
    with RunEngine() as engine:
        with inject(scope.camera, Fail("trigger", at=2)):
            with pytest.raises(Exception, match="on purpose") as caught:
                engine(bp.count([scope.camera], 3)).result(10)
            assert isinstance(caught.value.__cause__, FaultError)
        assert len(events(run(engine, bp.count([scope.camera], 3)))) == 3


@pytest.mark.parametrize("end", ["stop", "abort", "halt"])
def test_a_plan_that_hangs_can_be_ended(
    scope: Microscope, end: str, caplog: pytest.LogCaptureFixture
) -> None:
    begun = threading.Event()
    with RunEngine() as engine, inject(scope.camera, Hang("trigger")) as injection:
        # The message after the trigger: staging waits too, before.
        engine.msg_hook = lambda _: begun.set() if injection.calls("trigger") else None
        future = engine(bp.count([scope.camera]))
        assert begun.wait(10)
        getattr(engine, end)()
        assert future.outcome.result(10).interrupted
        engine.msg_hook = None
        assert injection.calls("trigger") == 1
        injection.remove()
        assert len(events(run(engine, bp.count([scope.camera])))) == 1
    assert "never retrieved" not in caplog.text


async def test_unhurried_fault_on_a_move_keeps_its_target(scope: Microscope) -> None:
    with inject(scope.stage.x, Slow("set", seconds=0.0)):
        await scope.stage.x.set(4.0)
    assert scope.stage.x.position == 4.0


def test_without_h5py() -> None:
    """The camera works; what needs the extra says which."""
    code = """
        import sys
        sys.modules["h5py"] = None  # importing it raises ModuleNotFoundError
        from freewheel import MissingExtraError, sim
        sim.SimCamera("camera", shape=(8, 8))
        for make in (sim.microscope, lambda: sim.Stage, lambda: sim.SimFileCamera):
            try:
                make()
            except MissingExtraError as error:
                assert 'pip install "freewheel[sim]"' in str(error), error
            else:
                raise SystemExit("no error")
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=60)
