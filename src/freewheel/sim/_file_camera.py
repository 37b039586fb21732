"""A simulated camera that writes its frames to files, and can fly."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from ophyd_async.core import (
    DetectorAcquireLogic,
    DetectorDataLogic,
    DetectorTriggerLogic,
    PathInfo,
    PathProvider,
    SignalR,
    StandardDetector,
    StreamableDataProvider,
    StreamResourceDataProvider,
    StreamResourceInfo,
    TriggerInfo,
    soft_signal_r_and_setter,
)

from ._camera import CameraSettings, FrameMaker, valid_row_time, valid_seed, valid_shape
from ._injection import inject
from ._sample import Sample, View
from ._sensor import Frame, Sensor
from ._thread import run_in_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from ._faults import Fault

_DATASET = "/entry/data/data"


class _FrameFile:
    """An HDF5 file with one dataset that grows frame by frame.

    Readers may follow while it is written (SWMR). Methods may be called from any thread.
    """

    def __init__(self, path: Path, shape: tuple[int, int]) -> None:
        self._path = path
        # The lock keeps a frame from being written while the file is closed. It also guards
        # the count of frames.
        self._lock = threading.Lock()
        self._file: h5py.File | None = h5py.File(path, "w", libver="latest")
        self._data = self._file.create_dataset(
            _DATASET,
            shape=(0, *shape),
            maxshape=(None, *shape),
            chunks=(1, *shape),
            dtype=np.uint16,
        )
        self._file.swmr_mode = True
        self._count = 0

    def append(self, frame: Frame) -> int:
        """Write a frame and return how many there are."""
        with self._lock:
            if self._file is None:
                return self._count
            if frame.shape != self._data.shape[1:]:
                msg = (
                    f"{self._path}: frames were announced with shape {self._data.shape[1:]}, but "
                    f"now have {frame.shape}; set roi and binning before the camera is prepared"
                )
                raise ValueError(msg)
            self._data.resize(self._count + 1, axis=0)
            self._data[self._count] = frame
            self._data.flush()
            self._count += 1
            return self._count

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None


@dataclass
class _Acquisition:
    """What the parts of the detector share; used on the event loop that runs the device."""

    settings: CameraSettings
    frames: FrameMaker
    view: Callable[[], View]
    row_time: float
    sleep: Callable[[float], Awaitable[object]]
    written: SignalR[int]
    show_written: Callable[[int], None]
    file: _FrameFile | None = None
    number: int = 1  # of frames to take; 0 for no end
    deadtime: float = 0.0
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    def readout(self) -> float:
        return self.settings.current(View()).roi[3] * self.row_time

    async def run(self) -> None:
        """Take the frames, one each period, and write them."""
        due = time.monotonic()
        taken = 0
        while self.number == 0 or taken < self.number:
            settings = self.settings.current(self.view())
            frame = await self.frames.make(settings)
            due += settings.exposure + max(self.deadtime, self.readout())
            left = due - time.monotonic()
            if left > 0:
                await self.sleep(left)
            else:
                due -= left  # writing is slower than the camera: it waits for the disk
            file = self.file
            if file is None:
                return
            count = await run_in_thread(lambda: file.append(frame), "freewheel-sim-writer")  # noqa: B023 (awaited in the same turn)
            taken += 1
            self.show_written(count)


@dataclass
class _TriggerLogic(DetectorTriggerLogic):
    acquisition: _Acquisition

    def config_sigs(self) -> set[SignalR[Any]]:
        settings = self.acquisition.settings
        return {settings.exposure, settings.gain, settings.binning, settings.roi}

    def get_deadtime(self, config_values: object) -> float:
        return self.acquisition.readout()

    async def prepare_internal(self, num: int, livetime: float, deadtime: float) -> None:
        if livetime:
            await self.acquisition.settings.exposure.set(livetime)
        self.acquisition.number = num
        self.acquisition.deadtime = deadtime

    async def default_trigger_info(self) -> TriggerInfo:
        return TriggerInfo(livetime=await self.acquisition.settings.exposure.get_value())


@dataclass
class _AcquireLogic(DetectorAcquireLogic):
    acquisition: _Acquisition

    async def start_acquiring(self) -> None:
        self.acquisition.task = asyncio.create_task(self.acquisition.run())

    async def wait_for_idle(self) -> None:
        if self.acquisition.task is not None:
            await self.acquisition.task

    async def ensure_stopped(self) -> None:
        task, self.acquisition.task = self.acquisition.task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@dataclass
class _DataLogic(DetectorDataLogic):
    acquisition: _Acquisition
    path_provider: PathProvider

    async def prepare_unbounded(self, datakey_name: str) -> StreamableDataProvider:
        shape = self.acquisition.settings.current(View()).shape
        info = self.path_provider(datakey_name)
        path = Path(info.directory_path) / f"{info.filename}.h5"

        def opened() -> _FrameFile:
            path.parent.mkdir(parents=True, exist_ok=True)
            return _FrameFile(path, shape)

        await self.stop()
        self.acquisition.file = await run_in_thread(opened, "freewheel-sim-writer")
        self.acquisition.show_written(0)
        resource = StreamResourceInfo(
            data_key=datakey_name,
            shape=shape,
            chunk_shape=(1, *shape),
            dtype_numpy=np.dtype(np.uint16).str,
            parameters={"dataset": _DATASET},
        )
        return StreamResourceDataProvider(
            uri=f"{info.directory_uri}{info.filename}.h5",
            resources=[resource],
            mimetype="application/x-hdf5",
            collections_written_signal=self.acquisition.written,
        )

    async def stop(self) -> None:
        file, self.acquisition.file = self.acquisition.file, None
        if file is not None:
            await run_in_thread(file.close, "freewheel-sim-writer")

    def get_hinted_fields(self, datakey_name: str) -> Sequence[str]:
        return [datakey_name]


class _FreshFiles(PathProvider):
    """A new file name each time, in one directory; by default a temporary one, made when needed."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory

    def __call__(self, datakey_name: str | None = None) -> PathInfo:
        if self._directory is None:
            self._directory = Path(tempfile.mkdtemp(prefix="freewheel-sim-"))
        name = f"{datakey_name or 'frames'}-{uuid.uuid4()}"
        return PathInfo(directory_path=self._directory.absolute(), filename=name)


class SimFileCamera(StandardDetector):
    """A camera that looks at a simulated sample and writes its frames to HDF5 files.

    A detector as ophyd-async builds them: its documents hold stream resources that
    point to the files, one new file each time that it is staged. It can be
    triggered frame by frame, and it can fly: prepared for a number of frames with
    `ophyd_async.core.TriggerInfo`, it takes them on its own clock.

    The device belongs to no event loop: any engine may run it, one at a time. Its methods are for
    the thread of that engine's loop.

    Parameters
    ----------
    name : str
        Name of the device, and of its data key.
    directory : str or Path, optional
        Where files go; by default a temporary directory, made when the first file is.
    path_provider : PathProvider, optional
        Says where each file goes, instead of ``directory``.
    shape : tuple[int, int]
        Height and width of the sensor [pixels].
    exposure : float
        Exposure time to begin with [s].
    gain : float
        Gain to begin with [counts/electron].
    readout : float, optional
        Time that reading the whole sensor takes [s]. By default 5 us for each row.
    seed : int
        Seed of the sample, zero or more. The noise is another than that of a `SimCamera`.
    view : Callable[[], View], optional
        Returns what the camera looks at.
    sleep : Callable
        Coroutine function that waits for a number of seconds.
    faults : Sequence[Fault]
        Faults from the start; see `inject`.

    Raises
    ------
    ValueError
        If shape, exposure, gain, read-out time or seed make no camera.
    """

    def __init__(
        self,
        name: str = "file_camera",
        *,
        directory: str | Path | None = None,
        path_provider: PathProvider | None = None,
        shape: tuple[int, int] = (512, 512),
        exposure: float = 0.005,
        gain: float = 1.0,
        readout: float | None = None,
        seed: int = 0,
        view: Callable[[], View] | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        faults: Sequence[Fault] = (),
    ) -> None:
        shape = valid_shape(shape)
        sensor = Sensor(shape, Sample(valid_seed(seed)), seed=seed + 1)
        settings = CameraSettings(shape, exposure, gain)
        self.frames_written, show_written = soft_signal_r_and_setter(int)
        self.exposure = settings.exposure
        self.gain = settings.gain
        self.binning = settings.binning
        self.roi = settings.roi
        acquisition = _Acquisition(
            settings=settings,
            frames=FrameMaker(sensor),
            view=view or View,
            row_time=valid_row_time(shape, readout),
            sleep=sleep,
            written=self.frames_written,
            show_written=show_written,
        )
        files = path_provider or _FreshFiles(None if directory is None else Path(directory))
        self.add_detector_logics(
            _TriggerLogic(acquisition),
            _AcquireLogic(acquisition),
            _DataLogic(acquisition, files),
        )
        super().__init__(name=name)
        if faults:
            inject(self, *faults)
