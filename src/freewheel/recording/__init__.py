"""Record runs, replay documents, replay devices."""

from ._devices import ReplayDevices, replay_devices
from ._errors import (
    DamagedRecordingError,
    FutureVersionError,
    MissingArrayError,
    NotARecordingError,
    NotRecordedError,
    RecordingError,
    TiledConnectionError,
)
from ._recorder import Recorder
from ._replay import replay, replay_plan
from ._runs import MemoryRun, RecordedRun, read_runs
from ._tiled import TiledRecorder, TiledRun, read_tiled_runs, tiled_server

__all__ = [
    "DamagedRecordingError",
    "FutureVersionError",
    "MemoryRun",
    "MissingArrayError",
    "NotARecordingError",
    "NotRecordedError",
    "RecordedRun",
    "Recorder",
    "RecordingError",
    "ReplayDevices",
    "TiledConnectionError",
    "TiledRecorder",
    "TiledRun",
    "read_runs",
    "read_tiled_runs",
    "replay",
    "replay_devices",
    "replay_plan",
    "tiled_server",
]
