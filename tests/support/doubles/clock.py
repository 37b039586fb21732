"""Time that a test sets."""

from __future__ import annotations


class Clock:
    """A clock that stands still until the test moves its ``now``, in seconds."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now
