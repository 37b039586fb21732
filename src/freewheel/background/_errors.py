"""Warnings of background work."""

from __future__ import annotations

import warnings
from typing import Any

__all__ = ["BackgroundWarning", "warn"]


class BackgroundWarning(UserWarning):
    """Something happened to a background task that its author may not have meant."""


def warn(message: str, about: Any) -> None:
    """Warn, naming the place where the payload was written; not once, but each time."""
    frame = getattr(about, "gi_frame", None)
    code = getattr(getattr(about, "__code__", None), "co_filename", None)
    where = frame.f_code.co_filename if frame is not None else code or "freewheel"
    line = frame.f_lineno if frame is not None else 0
    # With no registry of its own: Python shows a warning of one place and text only once.
    warnings.warn_explicit(message, BackgroundWarning, where, line)
