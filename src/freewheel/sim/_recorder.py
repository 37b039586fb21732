"""A detector that writes down where axes were at each pulse of a trigger line."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import h5py
import numpy as np
from ophyd_async.core import (
    DetectorAcquireLogic,
    DetectorDataLogic,
    DetectorTriggerLogic,
    PathProvider,
    SignalR,
    StandardDetector,
    StreamableDataProvider,
    StreamResourceDataProvider,
    StreamResourceInfo,
    soft_signal_r_and_setter,
)

from ._file_camera import FreshFiles
from ._shots import LineShots, Taking
from ._thread import run_in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ._hardware import Floats, FlyingAxis, Pulses, TriggerLine

__all__ = ["PositionRecorder"]

_CHUNK: Final = 1024
_TIME: Final = "time"


class _ColumnFile:
    """An HDF5 file with columns of numbers that grow together; from any thread."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        # Keeps rows from being written while the file is closed; guards the count.
        self._lock = threading.Lock()
        self._file: h5py.File | None = h5py.File(path, "w", libver="latest")
        self._columns = {
            name: self._file.create_dataset(
                name, shape=(0,), maxshape=(None,), chunks=(_CHUNK,), dtype=np.float64
            )
            for name in columns
        }
        self._file.swmr_mode = True
        self._count = 0

    def append(self, rows: Mapping[str, Floats]) -> int:
        """Write some rows and return how many there are."""
        with self._lock:
            if self._file is not None:
                begin, self._count = self._count, self._count + len(rows[_TIME])
                for name, data in self._columns.items():
                    data.resize(self._count, axis=0)
                    data[begin:] = rows[name]
                    data.flush()
            return self._count

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None


@dataclass
class _Recording:
    """What the parts of the recorder share; used on the event loop that runs the device."""

    axes: Sequence[FlyingAxis]
    line: TriggerLine
    written: SignalR[int]
    show_written: Callable[[int], None]
    file: _ColumnFile | None = None
    number: int = 0
    epoch: float = 0.0
    taking: Taking | None = field(default=None, repr=False)

    def columns(self) -> dict[str, FlyingAxis]:
        """Return each axis by the last part of its name."""
        return {axis.name.rpartition("-")[2]: axis for axis in self.axes}

    def _write(self, pulses: Pulses) -> int:
        # On the recorder's thread.
        rows = {_TIME: pulses.times + self.epoch}
        for column, axis in self.columns().items():
            stands = np.full(len(pulses.times), axis.position)
            rows[column] = pulses.positions.get(axis.name, stands)
        return 0 if self.file is None else self.file.append(rows)

    async def start(self) -> None:
        await self.stop()
        # Pulses carry monotonic times, files those of the clock. Asked once: time must not go back.
        self.epoch = time.time() - time.monotonic()
        shots = LineShots(self.line, self.number, lambda: 0.0, 1_000_000)
        self.taking = Taking(shots, self._write, self.show_written, "freewheel-sim-recorder")

    async def stop(self) -> None:
        taking, self.taking = self.taking, None
        if taking is not None:
            await taking.stop()


@dataclass
class _TriggerLogic(DetectorTriggerLogic):
    recording: _Recording

    def get_deadtime(self, config_values: object) -> float:
        return 1e-6

    async def prepare_edge(self, num: int, livetime: float) -> None:
        self.recording.number = num


@dataclass
class _AcquireLogic(DetectorAcquireLogic):
    recording: _Recording

    async def start_acquiring(self) -> None:
        await self.recording.start()

    async def wait_for_idle(self) -> None:
        if self.recording.taking is not None:
            await self.recording.taking.end.wait()

    async def ensure_stopped(self) -> None:
        await self.recording.stop()


@dataclass
class _DataLogic(DetectorDataLogic):
    recording: _Recording
    path_provider: PathProvider

    async def prepare_unbounded(self, datakey_name: str) -> StreamableDataProvider:
        info = self.path_provider(datakey_name)
        path = Path(info.directory_path) / f"{info.filename}.h5"
        columns = [_TIME, *self.recording.columns()]

        def opened() -> _ColumnFile:
            path.parent.mkdir(parents=True, exist_ok=True)
            return _ColumnFile(path, columns)

        await self.stop()
        self.recording.file = await run_in_thread(opened, "freewheel-sim-writer")
        self.recording.show_written(0)
        resources = [
            StreamResourceInfo(
                data_key=f"{datakey_name}-{column}",
                shape=(),
                chunk_shape=(_CHUNK,),
                dtype_numpy=np.dtype(np.float64).str,
                parameters={"dataset": f"/{column}"},
            )
            for column in columns
        ]
        return StreamResourceDataProvider(
            uri=f"{info.directory_uri}{info.filename}.h5",
            resources=resources,
            mimetype="application/x-hdf5",
            collections_written_signal=self.recording.written,
        )

    async def stop(self) -> None:
        await self.recording.stop()
        file, self.recording.file = self.recording.file, None
        if file is not None:
            await run_in_thread(file.close, "freewheel-sim-writer")

    def get_hinted_fields(self, datakey_name: str) -> Sequence[str]:
        return [f"{datakey_name}-{column}" for column in self.recording.columns()]


class PositionRecorder(StandardDetector):
    """Records the time and the positions of axes for each pulse of a trigger line.

    What the position capture of a trigger box does: a detector as ophyd-async builds them, which
    is triggered by pulses alone, ten thousand a second and more. Its data keys are its name with
    ``-time`` [s since the epoch, when the pulse rose] and the axes' names [um, in the middle of
    the point].

    Parameters
    ----------
    name : str
        Name of the device.
    axes : sequence of FlyingAxis
        The axes.
    line : TriggerLine
        The cable that the pulses come by.
    directory : str or Path, optional
        Where files go; by default a temporary directory, made when the first file is.
    path_provider : PathProvider, optional
        Says where each file goes, instead of ``directory``.
    """

    def __init__(
        self,
        name: str = "",
        *,
        axes: Sequence[FlyingAxis],
        line: TriggerLine,
        directory: str | Path | None = None,
        path_provider: PathProvider | None = None,
    ) -> None:
        self.rows_written, show_written = soft_signal_r_and_setter(int)
        recording: Any = _Recording(tuple(axes), line, self.rows_written, show_written)
        self.add_detector_logics(
            _TriggerLogic(recording),
            _AcquireLogic(recording),
            _DataLogic(recording, path_provider or FreshFiles(directory)),
        )
        super().__init__(name=name)
