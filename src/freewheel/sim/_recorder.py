"""A detector that writes down where axes were at each pulse of a trigger line."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from ophyd_async.core import (
    DetectorTriggerLogic,
    PathProvider,
    StandardDetector,
    StreamableDataProvider,
    StreamResourceDataProvider,
    StreamResourceInfo,
    soft_signal_r_and_setter,
)

from ._file_work import AcquireLogic, FileLogic, FileWork, FreshFiles, GrowingFile
from ._shots import LineShots, Taking

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ._hardware import Floats, FlyingAxis, Pulses, TriggerLine

__all__ = ["PositionRecorder"]

_CHUNK: Final = 1024
_TIME: Final = "time"


class _ColumnFile(GrowingFile):
    """Columns of numbers."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        super().__init__(path)
        self._columns = {name: self._dataset(name, (), _CHUNK, np.float64) for name in columns}
        self._let_read()

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


@dataclass(kw_only=True)
class _Recording(FileWork[_ColumnFile]):
    """What the parts of the recorder share."""

    axes: Sequence[FlyingAxis]
    line: TriggerLine
    number: int = 0
    epoch: float = 0.0

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


@dataclass
class _TriggerLogic(DetectorTriggerLogic):
    recording: _Recording

    def get_deadtime(self, config_values: object) -> float:
        return 1e-6

    async def prepare_edge(self, num: int, livetime: float) -> None:
        self.recording.number = num


@dataclass
class _DataLogic(FileLogic):
    work: _Recording

    async def prepare_unbounded(self, datakey_name: str) -> StreamableDataProvider:
        columns = [_TIME, *self.work.columns()]
        uri = await self._new_file(datakey_name, lambda path: _ColumnFile(path, columns))
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
            uri=uri,
            resources=resources,
            mimetype="application/x-hdf5",
            collections_written_signal=self.work.written,
        )

    def get_hinted_fields(self, datakey_name: str) -> Sequence[str]:
        return [f"{datakey_name}-{column}" for column in self.work.columns()]


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
        recording = _Recording(
            axes=tuple(axes), line=line, written=self.rows_written, show_written=show_written
        )
        self.add_detector_logics(
            _TriggerLogic(recording),
            AcquireLogic(recording),
            _DataLogic(recording, path_provider or FreshFiles(directory)),
        )
        super().__init__(name=name)
