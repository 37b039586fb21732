"""A simulated camera that writes its frames to files, and can fly."""

from __future__ import annotations

import math
import tempfile
import threading
import time
import uuid
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

from ._camera import (
    CameraSettings,
    FrameMaker,
    frame_shape,
    valid_row_time,
    valid_seed,
    valid_shape,
)
from ._hardware import TriggerLine
from ._injection import inject
from ._making import MakingTime
from ._sample import Sample, View
from ._sensor import Frame, Sensor
from ._shots import ClockShots, LineShots, Taking
from ._thread import run_in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ._faults import Fault
    from ._hardware import Pulses

__all__ = ["FreshFiles", "SimFileCamera"]

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

    def append(self, frames: Sequence[Frame]) -> int:
        """Write frames and return how many there are."""
        with self._lock:
            if self._file is None:
                return self._count
            for frame in frames:
                self._check(frame)
            begin, self._count = self._count, self._count + len(frames)
            self._data.resize(self._count, axis=0)
            for number, frame in enumerate(frames, begin):
                # A frame is a chunk: written as it is, past the machinery of selections.
                self._data.id.write_direct_chunk((number, 0, 0), np.ascontiguousarray(frame))
            self._data.flush()
            return self._count

    def _check(self, frame: Frame) -> None:
        if frame.shape != self._data.shape[1:]:
            msg = (
                f"{self._path}: frames were announced with shape {self._data.shape[1:]}, but "
                f"now have {frame.shape}; set roi and binning before the camera is prepared"
            )
            raise ValueError(msg)

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
    instant: bool
    line: TriggerLine
    buffer: int
    written: SignalR[int]
    show_written: Callable[[int], None]
    show_lost: Callable[[int], None]
    file: _FrameFile | None = None
    making: MakingTime = field(default_factory=MakingTime)
    number: int = 1  # of frames to take; 0 for no end
    deadtime: float = 0.0
    external: bool = False
    taking: Taking | None = field(default=None, repr=False)
    taken: int = 0  # of what was prepared, before `taking`

    def readout(self) -> float:
        return self.settings.current(View()).roi[3] * self.row_time

    def busy(self) -> float:
        """Return for how long a frame keeps the sensor busy [s]; from any thread."""
        if self.instant:
            return 0.0
        return self.settings.current(View()).exposure + self.readout()

    def _period(self) -> float:
        if self.instant:
            return 0.0
        return self.settings.current(View()).exposure + max(self.deadtime, self.readout())

    def _write(self, pulses: Pulses) -> int:
        # On the detector's thread.
        file, settings = self.file, self.settings.current(self.view())
        began = time.monotonic()
        frames = [self.frames.make_now(settings) for _ in pulses.times]
        written = 0 if file is None else file.append(frames)
        if frames:
            self.making.note((time.monotonic() - began) / len(frames), frames[0].size)
        return written

    async def start(self) -> None:
        """Take the frames, and write them."""
        await self.stop()
        shots: LineShots | ClockShots
        if self.external:
            shots = LineShots(self.line, self.number, self.busy, self.buffer)
        else:
            shots = ClockShots(self.number, self._period)
        self.show_lost(0)
        self.taking = Taking(shots, self._write, self._show, "freewheel-sim-camera")

    def _show(self, count: int) -> None:
        taking = self.taking
        if taking is not None and isinstance(taking.shots, LineShots):
            self.show_lost(taking.shots.lost)
        self.show_written(count)

    async def stop(self) -> None:
        """Take no more, and wait until all that were taken are written."""
        taking, self.taking = self.taking, None
        if taking is not None:
            await taking.stop()
            self.taken += taking.taken


@dataclass
class _TriggerLogic(DetectorTriggerLogic):
    acquisition: _Acquisition

    def config_sigs(self) -> set[SignalR[Any]]:
        settings = self.acquisition.settings
        return {settings.exposure, settings.gain, settings.binning, settings.roi}

    def get_deadtime(self, config_values: object) -> float:
        return self.acquisition.readout()

    async def prepare_internal(self, num: int, livetime: float, deadtime: float) -> None:
        await self._prepare(num, livetime, deadtime, external=False)

    async def prepare_edge(self, num: int, livetime: float) -> None:
        await self._prepare(num, livetime, 0.0, external=True)

    async def _prepare(self, num: int, livetime: float, deadtime: float, *, external: bool) -> None:
        await self.acquisition.stop()
        if livetime:
            await self.acquisition.settings.exposure.set(livetime)
        self.acquisition.number = num
        self.acquisition.deadtime = deadtime
        self.acquisition.external = external
        self.acquisition.taken = 0

    async def default_trigger_info(self) -> TriggerInfo:
        return TriggerInfo(livetime=await self.acquisition.settings.exposure.get_value())


@dataclass
class _AcquireLogic(DetectorAcquireLogic):
    acquisition: _Acquisition

    async def start_acquiring(self) -> None:
        await self.acquisition.start()

    async def wait_for_idle(self) -> None:
        if self.acquisition.taking is not None:
            await self.acquisition.taking.end.wait()

    async def ensure_stopped(self) -> None:
        await self.acquisition.stop()


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
        # No frame comes after the file is closed: the count would say more than it holds.
        await self.acquisition.stop()
        file, self.acquisition.file = self.acquisition.file, None
        if file is not None:
            await run_in_thread(file.close, "freewheel-sim-writer")

    def get_hinted_fields(self, datakey_name: str) -> Sequence[str]:
        return [datakey_name]


class FreshFiles(PathProvider):
    """A new file name each time, in one directory; by default a temporary one, made when needed."""

    def __init__(self, directory: str | Path | None) -> None:
        self._directory = None if directory is None else Path(directory)

    @property
    def directory(self) -> Path:
        """Where they go."""
        return Path(tempfile.gettempdir()) if self._directory is None else self._directory

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
    `ophyd_async.core.TriggerInfo`, it takes them on its own clock, or one for each pulse of a
    trigger line. Frames are taken and written on a thread of the camera's own: an event loop
    that is held up costs none.

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
        Returns what the camera looks at; called on the camera's thread. While frames come faster
        than views can be worked out, some show the view of a moment before.
    instant : bool
        Let exposure and read-out take no time.
    line : TriggerLine, optional
        The cable that pulses come by.
    buffer : int
        How many frames the camera can hold until they are written. Frames that were triggered by
        pulses and find no room are lost; one on its own clock waits.
    faults : Sequence[Fault]
        Faults from the start; see `inject`.

    Attributes
    ----------
    frames_written : SignalR
        How many frames the file holds.
    frames_lost : SignalR
        How many pulses gave no frame, since it was prepared: they came while the sensor was
        busy, or the buffer was full.
    exposure, gain, binning, roi : SignalRW
        The settings.

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
        instant: bool = False,
        line: TriggerLine | None = None,
        buffer: int = 5000,
        faults: Sequence[Fault] = (),
    ) -> None:
        shape = valid_shape(shape)
        sensor = Sensor(shape, Sample(valid_seed(seed)), seed=seed + 1)
        settings = CameraSettings(shape, exposure, gain)
        self.frames_written, show_written = soft_signal_r_and_setter(int)
        self.frames_lost, show_lost = soft_signal_r_and_setter(int)
        self.exposure = settings.exposure
        self.gain = settings.gain
        self.binning = settings.binning
        self.roi = settings.roi
        if buffer < 1:
            msg = f"the buffer of a camera holds one frame or more, not {buffer!r}"
            raise ValueError(msg)
        acquisition = self._acquisition = _Acquisition(
            settings=settings,
            frames=FrameMaker(sensor),
            view=view or View,
            row_time=valid_row_time(shape, readout),
            instant=instant,
            line=line or TriggerLine(),
            buffer=buffer,
            written=self.frames_written,
            show_written=show_written,
            show_lost=show_lost,
        )
        files = path_provider or FreshFiles(directory)
        #: The folder that files go to, for previews; ``None`` if a path provider chooses it.
        self.writes_to = files.directory if isinstance(files, FreshFiles) else None
        self.add_detector_logics(
            _TriggerLogic(acquisition),
            _AcquireLogic(acquisition),
            _DataLogic(acquisition, files),
        )
        super().__init__(name=name)
        if faults:
            inject(self, *faults)

    def expected_time(self, verb: str, value: Any, known: Callable[[Any], Any]) -> float | None:
        """Say how long frames take, for previews; see `freewheel.core.TellsTimes`."""
        if verb not in ("trigger", "again", "frame"):
            return None
        if self._acquisition.instant:
            return 0.0
        exposure = getattr(value, "livetime", 0.0) or float(known(self.exposure))
        readout = int(known(self.roi)[3]) * self._acquisition.row_time
        period = exposure + max(readout, getattr(value, "deadtime", 0.0))
        pixels = math.prod(frame_shape(self, known))
        making = self._acquisition.making.of(pixels)
        if verb == "frame":  # the next one is exposed while one is made
            return max(period, making)
        single = period + making
        frames = self._acquisition.frames
        if verb == "trigger" and frames.renders(self, self._acquisition.view, known):
            single += frames.rendering_share(pixels, single)
        return single

    def expected_data(self, known: Callable[[Any], Any]) -> dict[str, Any]:
        """Say what an event has of it, for previews; see `freewheel.core.TellsData`."""
        shape = frame_shape(self, known)
        return {self.name: {"dtype": "array", "shape": shape, "dtype_numpy": "<u2"}}

    async def stop_at_safe_point(self) -> int | None:
        """Stop the camera's own clock between two frames; it goes on taking pulses.

        Returns
        -------
        int or None
            How many frames it has taken since it was prepared; ``None`` if it takes pulses.
        """
        if self._acquisition.external:
            return None
        await self._acquisition.stop()
        return self._acquisition.taken
