"""The time that a plan has while it is previewed."""

from __future__ import annotations

import heapq
import time
from typing import Any, final

__all__ = ["Clock", "ForeseenStatus"]


@final
class Clock:
    """What time it is for one plan: as far as its messages have come. Of one thread.

    Attributes
    ----------
    now : float
        Seconds since the preview's begin.
    """

    __slots__ = ("_began", "_began_monotonic", "_count", "_due", "now")

    def __init__(self, now: float = 0.0) -> None:
        self.now = now
        self._began = time.time()
        self._began_monotonic = time.monotonic()
        self._due: list[tuple[float, int, ForeseenStatus]] = []
        self._count = 0

    def time(self) -> float:
        """Return the time as `time.time` counts it."""
        return self._began + self.now

    def monotonic(self) -> float:
        """Return the time as `time.monotonic` counts it."""
        return self._began_monotonic + self.now

    def advance(self, to: float) -> None:
        """Let time pass, and call back what is done meanwhile."""
        while self._due and self._due[0][0] <= to:
            ends, _, status = heapq.heappop(self._due)
            self.now = max(self.now, ends)
            status.tell()
        if to > self.now:
            self.now = to

    def tell_when(self, ends: float, status: ForeseenStatus) -> None:
        """Have a status call back when that time has come."""
        self._count += 1
        heapq.heappush(self._due, (ends, self._count, status))


@final
class ForeseenStatus:
    """What a plan gets for a status: done when its time has come.

    Parameters
    ----------
    clock : Clock
        The time of the plan.
    ends : float
        When it is done.
    error : Exception, optional
        What it fails with.
    """

    __slots__ = ("_callbacks", "_clock", "_error", "ends")

    def __init__(self, clock: Clock, ends: float, error: Exception | None = None) -> None:
        self._clock = clock
        self._error = error
        self._callbacks: list[Any] | None = None
        self.ends = ends

    @property
    def done(self) -> bool:
        """Whether its time has come."""
        return self._clock.now >= self.ends

    @property
    def success(self) -> bool:
        """Whether it is done and has not failed."""
        return self.done and self._error is None

    def exception(self, timeout: float | None = None) -> Exception | None:
        """Return what it fails with."""
        return self._error if self.done else None

    def wait(self, timeout: float | None = None) -> None:
        """Let the plan's time pass until it is done, or for ``timeout``."""
        left = self.ends - self._clock.now
        if timeout is not None and left > timeout:
            self._clock.advance(self._clock.now + timeout)
            raise TimeoutError(f"not done within {timeout:g} s")
        self._clock.advance(self.ends)
        if self._error is not None:
            raise self._error

    def add_callback(self, callback: Any) -> None:
        """Call back when it is done."""
        if self.done:
            callback(self)
        elif self._callbacks is None:
            self._callbacks = [callback]
            self._clock.tell_when(self.ends, self)
        else:
            self._callbacks.append(callback)

    def tell(self) -> None:
        """Call back."""
        callbacks, self._callbacks = self._callbacks or (), None
        for callback in callbacks:
            callback(self)
