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
    "read_runs",
    "replay",
    "replay_devices",
    "replay_plan",
]
