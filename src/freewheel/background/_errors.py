"""Warnings of background work."""

from __future__ import annotations

__all__ = ["BackgroundWarning"]


class BackgroundWarning(UserWarning):
    """Something happened to a background task that its author may not have meant."""
