"""Record runs, replay documents, replay devices."""

from typing import TYPE_CHECKING

from freewheel import _lazy

if TYPE_CHECKING:
    from ._devices import ReplayDevices, replay_devices
    from ._errors import (
        DamagedArrayError,
        DamagedRecordingError,
        FutureVersionError,
        MissingArrayError,
        NotARecordingError,
        NotRecordedError,
        RecordingError,
        RecordingNotFoundError,
        TiledConnectionError,
    )
    from ._newest import NewestFrames
    from ._openers import read_runs
    from ._recorder import Recorder
    from ._replay import replay, replay_plan
    from ._run import MemoryRun, RecordedRun
    from ._tiled_reader import TiledRun, read_tiled_runs
    from ._tiled_server import tiled_server
    from ._tiled_writer import TiledRecorder

__all__ = [
    "DamagedArrayError",
    "DamagedRecordingError",
    "FutureVersionError",
    "MemoryRun",
    "MissingArrayError",
    "NewestFrames",
    "NotARecordingError",
    "NotRecordedError",
    "RecordedRun",
    "Recorder",
    "RecordingError",
    "RecordingNotFoundError",
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

if not TYPE_CHECKING:
    # What needs no packages but ours comes first, and what brings ophyd-async last.
    __getattr__, __dir__ = _lazy.attach(
        __name__,
        __all__,
        (
            "._errors",
            "._run",
            "._replay",
            "._newest",
            "._tiled_server",
            "._recorder",
            "._openers",
            "._tiled_reader",
            "._tiled_writer",
            "._devices",
        ),
    )
