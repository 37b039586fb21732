"""A clock with a fixed period, without drift."""

from __future__ import annotations

import math
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

if TYPE_CHECKING:
    from collections.abc import Callable

    from bluesky.protocols import Reading
    from event_model import DataKey

__all__ = ["NO_PACE", "Pacer", "Tick"]

#: A clock with a shorter period has no pace that a plan could keep [s].
NO_PACE: Final = 1e-4

_RECENT = 32  # turns over which the rate that a display shows is taken


class Tick(NamedTuple):
    """One tick of a clock that a plan follows.

    Attributes
    ----------
    turns : int
        How many turns were taken since the clock began, this one included.
    missed : int
        How many ticks went by meanwhile because a turn took too long; 0 with a period below 0.1 ms.
    rate : float
        Turns per second over the last turns; 0 before the second.
    """

    turns: int
    missed: int
    rate: float


@final
class Pacer:
    """A clock that a plan follows: deadlines at a fixed period.

    Each deadline is a whole number of periods after the first turn, so that neither the time of
    a turn nor the lateness of a wake-up adds up. A turn that takes longer than a period misses
    deadlines: they are skipped and counted, and the next turn is at the next one. The time that
    a plan is paused for is no time of the clock. A period below 0.1 ms stands for "as fast as it
    goes": there is no pace that could be kept, and none is missed.

    It can be read like a device: among the detectors of an event it tells, in the event, the
    rate and the missed ticks.

    Used by one plan; not for several threads at once. `turns`, `missed` and the rates may be
    looked at from any thread.

    Parameters
    ----------
    period : float
        Seconds from deadline to deadline.
    name : str
        Its name as a device; the keys of its reading are ``<name>-rate`` and ``<name>-missed``.
    clock : callable
        What tells the time, in seconds that only ever grow. Deadlines are in its time; the
        engine waits for those of `time.monotonic`.

    Raises
    ------
    ValueError
        If the period is not a positive finite number.
    """

    parent = None

    def __init__(
        self,
        period: float,
        *,
        name: str = "pace",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not (isinstance(period, (int, float)) and 0 < period < math.inf):
            msg = f"the period of a clock must be a positive number of seconds, not {period!r}"
            raise ValueError(msg)
        self._period = float(period)
        self._name = name
        self._clock = clock
        self._origin: float | None = None  # the time of deadline 0
        self._index = 0  # the deadline that was given last
        self._turns = 0
        self._missed = 0
        self._recent: deque[float] = deque(maxlen=_RECENT)  # when the last turns began
        self._now: float | None = None  # when the last turn began
        self._paused_at: float | None = None

    @property
    def name(self) -> str:
        """Name as a device."""
        return self._name

    @property
    def period(self) -> float:
        """Seconds from deadline to deadline."""
        return self._period

    @property
    def turns(self) -> int:
        """How many turns were taken."""
        return self._turns

    @property
    def missed(self) -> int:
        """How many deadlines were skipped because a turn took too long; 0 if there is no pace."""
        return self._missed

    @property
    def rate(self) -> float:
        """Turns per second since the first, pauses left out; 0 before the second."""
        if self._turns < 2 or self._origin is None or self._now is None:
            return 0.0
        return (self._turns - 1) / (self._now - self._origin)

    @property
    def recent_rate(self) -> float:
        """Turns per second over the last turns; 0 before the second."""
        recent = self._recent
        if len(recent) < 2:
            return 0.0
        return (len(recent) - 1) / (recent[-1] - recent[0])

    def follow(self, clock: Callable[[], float]) -> None:
        """Take the time from another clock from now on: for a preview, which is ahead of it."""
        if self._clock is not clock:
            gap = clock() - self._clock()
            self._clock = clock
            if self._origin is not None:
                self._origin += gap
            if self._now is not None:
                self._now += gap

    def begin_turn(self) -> Tick:
        """Say that a turn begins now; the first one starts the clock."""
        now = self._clock()
        if self._origin is None:
            self._origin = now
        self._now = now
        self._turns += 1
        self._recent.append(now)
        return Tick(self._turns, self._missed, self.recent_rate)

    def next_deadline(self) -> float:
        """Return when the next turn is due, in the clock's time; ones that went by are skipped.

        Asked once a turn, when the turn's work is done. The first one is due at once.
        """
        now = self._clock()
        if self._origin is None:
            return now
        due = self._index + 1
        # The first deadline that is still to come.
        ahead = max(due, math.floor((now - self._origin) / self._period) + 1)
        if self._period >= NO_PACE:
            self._missed += ahead - due
        self._index = ahead
        return self._origin + ahead * self._period

    def remaining(self) -> float:
        """Return how many seconds there are to the next deadline; see `next_deadline`."""
        return max(0.0, self.next_deadline() - self._clock())

    # As a device. -----------------------------------------------------------------------------

    def read(self) -> dict[str, Reading[Any]]:
        """Return the rate of the last turns, and how many ticks were missed in all."""
        now = time.time()
        return {
            f"{self._name}-rate": {"value": self.recent_rate, "timestamp": now},
            f"{self._name}-missed": {"value": self._missed, "timestamp": now},
        }

    def describe(self) -> dict[str, DataKey]:
        """Describe what `read` returns."""
        source = f"freewheel:{self._name}"
        return {
            f"{self._name}-rate": {
                "source": source,
                "dtype": "number",
                "shape": [],
                "units": "Hz",
            },
            f"{self._name}-missed": {"source": source, "dtype": "integer", "shape": []},
        }

    def pause(self) -> None:
        """Stop the clock; the engine calls this when the plan is paused."""
        if self._paused_at is None:
            self._paused_at = self._clock()

    def resume(self) -> None:
        """Let the clock go on; the engine calls this when the plan is."""
        if self._paused_at is None:
            return
        gap = self._clock() - self._paused_at
        self._paused_at = None
        if self._origin is not None:
            self._origin += gap
        if self._now is not None:
            self._now += gap
        self._recent.clear()

    def __repr__(self) -> str:
        """Say what it keeps."""
        return f"<{type(self).__name__} {self._name!r} every {self._period:g} s>"
