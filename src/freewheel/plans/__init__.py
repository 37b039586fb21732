"""Ready plans."""

from ._background import AlignResult, align, log_readings, snapshot, together
from ._dark_frame import DarkFrameResult, dark_frame
from ._fly import FlyResult, fly_count, fly_grid, fly_scan
from ._fly_errors import FlyError
from ._live_view import SNAP, LiveViewResult, live_view
from ._mda import FINISH, SKIP, MDAResult, mda
from ._mda_devices import HasMDADevices, MDADevices, Sequencer
from ._mda_ome import OmeWriter

__all__ = [
    "FINISH",
    "SKIP",
    "SNAP",
    "AlignResult",
    "DarkFrameResult",
    "FlyError",
    "FlyResult",
    "HasMDADevices",
    "LiveViewResult",
    "MDADevices",
    "MDAResult",
    "OmeWriter",
    "Sequencer",
    "align",
    "dark_frame",
    "fly_count",
    "fly_grid",
    "fly_scan",
    "live_view",
    "log_readings",
    "mda",
    "snapshot",
    "together",
]
