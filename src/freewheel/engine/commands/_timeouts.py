"""The time-outs that messages give."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["checked_timeout"]


def checked_timeout(command: str, timeout: Any) -> float | None:
    """Return a time-out in seconds, or ``None`` for one that never comes.

    Raises
    ------
    ValueError
        If it is negative or no number.
    """
    if timeout is None:
        return None
    if not timeout >= 0:
        raise ValueError(f"{command}: the timeout must be 0 s or more, not {timeout!r}.")
    return None if math.isinf(timeout) else float(timeout)
