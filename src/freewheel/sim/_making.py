"""How long simulated frames take to be made, beside what is simulated."""

from __future__ import annotations

import threading
from collections import deque
from statistics import median
from typing import Final, final

__all__ = ["MakingTime"]

#: A frame of a camera that has taken none yet [s for each pixel].
_AT_FIRST: Final = 6e-9
#: So many frames are remembered.
_KEPT: Final = 16


@final
class MakingTime:
    """How long a camera's frames took to be made, the last times; from any thread.

    A large frame takes a computer longer than it is said to be exposed.

    Parameters
    ----------
    at_first : float
        What is said until one was made [s for each pixel].
    """

    def __init__(self, at_first: float = _AT_FIRST) -> None:
        self._at_first = at_first
        # Guards what follows: frames are made on loops and threads, previews ask on theirs.
        self._lock = threading.Lock()
        self._each: deque[float] = deque(maxlen=_KEPT)  # s for each pixel

    def note(self, seconds: float, pixels: int) -> None:
        """Remember what one frame took."""
        with self._lock:
            self._each.append(seconds / max(pixels, 1))

    def of(self, pixels: int) -> float:
        """Return how long a frame of so many pixels will take [s]."""
        with self._lock:
            return pixels * (median(self._each) if self._each else self._at_first)
