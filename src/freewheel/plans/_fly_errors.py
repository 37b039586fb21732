"""What goes wrong with fly scans."""

from __future__ import annotations

__all__ = ["FlyError"]


class FlyError(RuntimeError):
    """A scan that hardware runs by itself did not do what it was asked to.

    Everything that was written until then is in the run's documents.
    """
