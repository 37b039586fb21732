"""The same plans with detectors, flyers and motors as ophyd-async itself has them.

A PandA, an areaDetector camera and an EPICS motor in ophyd-async's mock mode, which is how it tests
them; what their hardware would do, a `Rig` does. And its simulated detector, which writes files.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from bluesky.utils import RunEngineInterrupted
from ophyd_async.core import (
    FlyMotorInfo,
    StaticFilenameProvider,
    StaticPathProvider,
    callback_on_mock_put,
    set_mock_value,
    soft_signal_rw,
)
from ophyd_async.epics import adaravis, adcore, adsimdetector
from ophyd_async.epics.motor import Motor, MotorLimitsError
from ophyd_async.fastcs.panda import (
    DatasetTable,
    HDFPanda,
    PandaHdf5DatasetType,
    PosOutScaleOffset,
    ScanSpecInfo,
    ScanSpecSeqTableFlyableLogic,
    SeqTrigger,
)
from ophyd_async.sim import SimBlobDetector

from flying import Account, pause_at_index
from freewheel import RunEngine
from freewheel.core import FlyPath
from freewheel.plans import fly_count, fly_grid, fly_scan

POINT = 0.002  # s of hardware for each point


def connect(engine: RunEngine, *devices: Any, mock: bool = True) -> None:
    async def all_of_them() -> None:
        await asyncio.gather(*(device.connect(mock=mock) for device in devices))

    asyncio.run_coroutine_threadsafe(all_of_them(), engine.loop).result(30)


class Camera:
    """What an areaDetector's driver and its file writer do: take frames when told to."""

    def __init__(self, device: Any) -> None:
        self.device = device
        self.writer = device.get_plugin("hdf", adcore.NDFileHDF5IO)
        self.task: asyncio.Task[None] | None = None
        set_mock_value(self.writer.file_path_exists, True)
        set_mock_value(device.driver.array_size_x, 6)
        set_mock_value(device.driver.array_size_y, 4)
        set_mock_value(device.driver.detector_state, adcore.ADState.IDLE)
        callback_on_mock_put(device.driver.acquire, self._acquire)
        callback_on_mock_put(self.writer.capture, self._capture)
        self.armed = False
        self.count = 0

    def _capture(self, value: bool) -> None:
        if value:
            self.count = 0
            set_mock_value(self.writer.num_captured, 0)

    async def _acquire(self, value: bool) -> None:
        self.armed = value
        if self.task is not None:
            self.task.cancel()
        external = getattr(self.device.driver, "trigger_mode", None)
        if value and (external is None or (await external.get_value()).value != "On"):
            self.task = asyncio.create_task(
                self._run(await self.device.driver.num_images.get_value())
            )

    async def _run(self, number: int) -> None:
        for _ in range(number):
            await asyncio.sleep(POINT)
            self.take()
        set_mock_value(self.device.driver.acquire, False)

    def take(self) -> None:
        self.count += 1
        set_mock_value(self.writer.num_captured, self.count)


class Panda:
    """What a PandA does: its sequencer sends pulses, its position capture counts them."""

    def __init__(self, device: HDFPanda, camera: Camera | None = None) -> None:
        self.device = device
        self.camera = camera
        self.task: asyncio.Task[None] | None = None
        self.tables: list[list[tuple[str, int, int]]] = []
        self.count = 0
        set_mock_value(device.data.directory_exists, True)
        dtypes = [PandaHdf5DatasetType.FLOAT_64]
        set_mock_value(device.data.datasets, DatasetTable(name=["x"], dtype=dtypes))
        callback_on_mock_put(device.data.capture, self._capture)
        callback_on_mock_put(device.pcap.arm, lambda v: set_mock_value(device.pcap.active, v))
        callback_on_mock_put(device.seq[1].enable, self._enable)

    def _capture(self, value: bool) -> None:
        if value:
            self.count = 0
            set_mock_value(self.device.data.num_captured, 0)

    async def _enable(self, value: Any) -> None:
        seq = self.device.seq[1]
        if self.task is not None:
            self.task.cancel()
        set_mock_value(seq.active, value.value == "ONE")
        if value.value == "ONE":
            table = await seq.table.get_value()
            columns = table.trigger, table.position, table.repeats
            rows = [(str(t.value), int(p), int(n)) for t, p, n in zip(*columns, strict=True)]
            self.tables.append(rows)
            pulses = sum(n for t, _, n in rows if t == SeqTrigger.IMMEDIATE.value)
            self.task = asyncio.create_task(self._run(pulses))

    async def _run(self, pulses: int) -> None:
        for _ in range(pulses):
            await asyncio.sleep(POINT)
            self.count += 1
            set_mock_value(self.device.data.num_captured, self.count)
            if self.camera is not None and self.camera.armed:
                self.camera.take()
        set_mock_value(self.device.seq[1].active, False)


class Rig:
    """An instrument: a PandA, a camera, two motors."""

    def __init__(self, engine: RunEngine, directory: Path) -> None:
        self.engine = engine
        paths = StaticPathProvider(StaticFilenameProvider("file"), directory)
        hdf = adcore.ADWriterFactory.hdf(paths)
        self.panda = HDFPanda("PANDA:", paths, name="panda")
        self.camera = adaravis.AravisDetector("CAM:", hdf, override_deadtime=1e-4, name="camera")
        self.x, self.y = Motor("X", name="x"), Motor("Y", name="y")
        connect(engine, self.panda, self.camera, self.x, self.y)

        def attach() -> Panda:
            set_mock_value(self.x.max_velocity, 1000)
            set_mock_value(self.x.acceleration_time, 0.1)
            return Panda(self.panda, Camera(self.camera))

        self.hardware = self._on_loop(attach)
        self.account = Account()
        engine.subscribe(self.account)
        # A PandA in mock mode has no encoders.
        scale, offset = soft_signal_rw(float, 0.001), soft_signal_rw(float, 0.0)
        connect(engine, scale, offset, mock=False)
        encoder = PosOutScaleOffset("INENC1.VAL", scale, offset)
        logic = ScanSpecSeqTableFlyableLogic(self.panda.seq[1], {self.x: encoder})
        self.sequencer = logic.with_device("sequencer")
        self.flyers = [(self.sequencer, self.for_panda), (self.x, self.for_motor)]

    def _on_loop(self, function: Any) -> Any:
        async def call() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self.engine.loop).result(30)

    @staticmethod
    def for_panda(path: FlyPath) -> ScanSpecInfo:
        return ScanSpecInfo(spec=path.spec, deadtime=path.deadtime)

    def for_motor(self, path: FlyPath) -> FlyMotorInfo:
        (row,) = path.rows
        return FlyMotorInfo(
            start_position=row.lower(self.x),
            end_position=row.upper(self.x),
            time_for_move=row.num * path.period,
        )

    def begins(self) -> list[int]:
        """Return at which count of the encoder each row of each flight was to begin."""
        known = SeqTrigger.POSA_GT.value, SeqTrigger.POSA_LT.value
        return [where for rows in self.hardware.tables for t, where, _ in rows if t in known]

    def pulses(self) -> list[int]:
        """Return how many pulses each flight was to have."""
        wanted = SeqTrigger.IMMEDIATE.value
        return [sum(n for t, _, n in rows if t == wanted) for rows in self.hardware.tables]

    def scan(self, num: int = 60, **kwargs: Any) -> Any:
        return fly_scan(
            [self.camera, self.panda],
            *(self.x, 0, 10),
            **{"num": num, "period": 0.01, "flyers": self.flyers, "collect_every": 0.02, **kwargs},
        )


@pytest.fixture
def rig(engine: RunEngine, tmp_path: Path) -> Rig:
    return Rig(engine, tmp_path)


def test_a_panda_and_an_area_detector(rig: Rig) -> None:
    result = rig.engine(rig.scan()).result(30).plan_result
    assert (result.points, result.flights) == (60, 1)
    assert rig.account.covered() == {"camera": 60, "x": 60}
    assert rig.account.check_balanced()["exit_status"] == "success"
    assert rig.pulses() == [60]
    start = rig.account.named("start")[0]
    assert start["flyers"] == ["sequencer", "x"]


def test_paused_and_resumed_in_small_flights(rig: Rig) -> None:
    future = rig.engine(rig.scan(flight=25))
    pause_at_index(rig, 5)
    covered = rig.account.covered()
    assert covered["camera"] == covered["x"]
    assert covered["x"] in (25, 50)  # whole flights, however late the first documents came
    rig.engine.resume()
    result = future.outcome.result(30).plan_result
    assert result.points == 60
    assert rig.account.covered() == {"camera": 60, "x": 60}
    assert rig.pulses() == [25, 25, 10]
    step = 10_000 / 59  # counts
    wanted = [(first - 0.5) * step for first in (0, 25, 50)]
    assert rig.begins() == [pytest.approx(where, abs=1) for where in wanted]


@pytest.mark.parametrize("end", ["stop", "abort"])
def test_ended_where_it_is(rig: Rig, end: str) -> None:
    future = rig.engine(rig.scan(5000))
    rig.account.wait_for_index(20)
    getattr(rig.engine, end)().result(30)
    assert future.outcome.result(30).exit_status == ("success" if end == "stop" else "abort")
    found = rig.account.covered()
    assert 20 <= found["camera"] == found["x"] < 5000
    assert not rig.hardware.camera.armed
    rig.account.docs.clear()
    rig.engine(rig.scan(20)).result(30)  # and all of it flies again
    assert rig.account.covered() == {"camera": 20, "x": 20}


def test_a_grid_of_many_rows_by_the_panda_alone(rig: Rig) -> None:
    plan = fly_grid(
        [rig.panda],
        *(rig.y, 0, 2, 3),
        *(rig.x, 0, 10, 20),
        period=0.005,
        flyers=[rig.flyers[0]],
        collect_every=0.02,
    )
    assert rig.engine(plan).result(30).plan_result.points == 60
    assert rig.account.covered() == {"x": 60}
    assert rig.pulses() == [60]


def test_a_line_that_the_motor_cannot_reach(rig: Rig) -> None:
    def narrow() -> None:
        for end, where in (("low", -1.0), ("high", 5.0)):
            set_mock_value(getattr(rig.x, f"{end}_limit_travel"), where)
            set_mock_value(getattr(rig.x, f"dial_{end}_limit_travel"), where)

    rig._on_loop(narrow)
    error = rig.engine(rig.scan()).outcome.exception(30)
    assert isinstance(error, MotorLimitsError)
    assert not rig.account.docs
    assert not rig.hardware.tables


def test_an_area_detector_on_its_own_clock(engine: RunEngine, tmp_path: Path) -> None:
    paths = StaticPathProvider(StaticFilenameProvider("file"), tmp_path)
    device = adsimdetector.SimDetector("SIM:", adcore.ADWriterFactory.hdf(paths), name="sim")
    connect(engine, device)

    async def attach() -> Camera:
        return Camera(device)

    asyncio.run_coroutine_threadsafe(attach(), engine.loop).result(30)
    account = Account()
    engine.subscribe(account)
    future = engine(fly_count([device], 60, period=0.004, flight=20, collect_every=0.02))
    account.at_index(5, engine.request_pause)
    with pytest.raises(RunEngineInterrupted):
        future.result(30)
    assert account.covered()["sim"] in (20, 40)  # whole flights
    engine.resume()
    assert future.outcome.result(30).plan_result.points == 60
    assert account.covered() == {"sim": 60}


@pytest.mark.parametrize("end", ["nothing", "pause", "stop"])
def test_the_simulated_detector_of_ophyd_async(engine: RunEngine, tmp_path: Path, end: str) -> None:
    paths = StaticPathProvider(StaticFilenameProvider("file"), tmp_path)
    device = SimBlobDetector(paths, name="blobs")
    connect(engine, device, mock=False)
    account = Account()
    engine.subscribe(account)
    future = engine(fly_count([device], 40, period=0.01, flight=15, collect_every=0.02))
    if end == "pause":
        account.at_index(3, engine.request_pause)
        with pytest.raises(RunEngineInterrupted):
            future.result(30)
        engine.resume()
    elif end == "stop":
        account.at_index(3, engine.stop)
    future.outcome.result(30)
    found = account.covered()
    assert found["blobs"] == found["blobs-sum"]
    assert 3 <= found["blobs"] <= 15 if end == "stop" else found["blobs"] == 40
    assert len(account.read("blobs")) >= found["blobs"]
