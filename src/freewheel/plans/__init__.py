"""Ready plans."""

from ._dark_frame import DarkFrameResult, dark_frame
from ._live_view import SNAP, LiveViewResult, live_view

__all__ = ["SNAP", "DarkFrameResult", "LiveViewResult", "dark_frame", "live_view"]
