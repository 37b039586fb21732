"""A simulated camera that writes its frames to files, and can fly."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from ophyd_async.core import (
    DetectorTriggerLogic,
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
from ._file_work import AcquireLogic, FileLogic, FileWork, FreshFiles, GrowingFile
from ._hardware import TriggerLine
from ._injection import inject
from ._making import MakingTime
from ._sample import Sample, View
from ._sensor import Frame, Sensor
from ._shots import ClockShots, LineShots, Taking

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ._faults import Fault
    from ._hardware import Pulses

__all__ = ["SimFileCamera"]

_DATASET = "/entry/data/data"


class _FrameFile(GrowingFile):
    """One dataset that grows frame by frame."""

    def __init__(self, path: Path, shape: tuple[int, int]) -> None:
        super().__init__(path)
        self._data = self._dataset(_DATASET, shape, 1, np.uint16)
        self._let_read()

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
                f"{self.path}: frames were announced with shape {self._data.shape[1:]}, but "
                f"now have {frame.shape}; set roi and binning before the camera is prepared"
            )
            raise ValueError(msg)


@dataclass(kw_only=True)
class _Acquisition(FileWork[_FrameFile]):
    """What the parts of the detector share."""

    settings: CameraSettings
    frames: FrameMaker
    view: Callable[[], View]
    row_time: float
    instant: bool
    line: TriggerLine
    buffer: int
    show_lost: Callable[[int], None]
    making: MakingTime = field(default_factory=MakingTime)
    number: int = 1  # of frames to take; 0 for no end
    deadtime: float = 0.0
    external: bool = False
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
        taking = self.taking
        await super().stop()
        if taking is not None:
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
class _DataLogic(FileLogic):
    work: _Acquisition

    async def prepare_unbounded(self, datakey_name: str) -> StreamableDataProvider:
        shape = self.work.settings.current(View()).shape
        uri = await self._new_file(datakey_name, lambda path: _FrameFile(path, shape))
        resource = StreamResourceInfo(
            data_key=datakey_name,
            shape=shape,
            chunk_shape=(1, *shape),
            dtype_numpy=np.dtype(np.uint16).str,
            parameters={"dataset": _DATASET},
        )
        return StreamResourceDataProvider(
            uri=uri,
            resources=[resource],
            mimetype="application/x-hdf5",
            collections_written_signal=self.work.written,
        )

    def get_hinted_fields(self, datakey_name: str) -> Sequence[str]:
        return [datakey_name]


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
            AcquireLogic(acquisition),
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
