"""Ready plans."""

from ._live_view import SNAP, LiveViewResult, live_view

__all__ = ["SNAP", "LiveViewResult", "live_view"]
