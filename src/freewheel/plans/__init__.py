"""Ready plans."""

from ._background import AlignResult, align, log_readings, snapshot, together
from ._dark_frame import DarkFrameResult, dark_frame
from ._live_view import SNAP, LiveViewResult, live_view

__all__ = [
    "SNAP",
    "AlignResult",
    "DarkFrameResult",
    "LiveViewResult",
    "align",
    "dark_frame",
    "live_view",
    "log_readings",
    "snapshot",
    "together",
]
