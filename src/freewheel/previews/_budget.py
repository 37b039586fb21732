"""What a preview may use up: messages and time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Budget"]

#: So many messages are followed from one look at the clock to the next.
_BATCH: Final = 512
#: So many from one rest to the next, which take half a millisecond; and how long a rest is [s]: at
#: least so long, and so many times as long as they took by the clock, where others want to go on.
_STINT: Final = 48
_REST: Final = 0.004
_RESTS: Final = 4
#: A machine that is busy with other things has so many times as long by the clock.
_BUSY: Final = 5.0


@final
class Budget:
    """How many messages a preview may follow, and for how long. Of the thread that previews.

    Parameters
    ----------
    messages : int
        How many messages at most.
    seconds : float
        For how long at most [s], of the processor's time: how far a preview comes does not hang
        on what else runs. By the clock it is five times as long at most.
    rests : bool
        Whether to rest at each look.
    given_up : callable
        Asked at each look whether anybody wants the preview still.

    Attributes
    ----------
    messages : int
        How many there were.
    look_at : int
        With which one to look again.
    """

    __slots__ = (
        "_batch",
        "_ends",
        "_ends_at_last",
        "_given_up",
        "_most",
        "_rested",
        "_rests",
        "_seconds",
        "is_given_up",
        "is_used_up",
        "look_at",
        "messages",
    )

    def __init__(
        self,
        messages: int,
        seconds: float,
        *,
        rests: bool = False,
        given_up: Callable[[], bool] = lambda: False,
    ) -> None:
        self._most = messages
        self._batch = _STINT if rests else _BATCH
        self._rests, self._rested = rests, time.perf_counter()
        self._seconds = seconds
        self._ends = time.thread_time() + seconds
        self._ends_at_last = time.perf_counter() + _BUSY * seconds
        self.messages = 0
        self.look_at = min(self._batch, messages)
        self.is_used_up = self.is_given_up = False
        self._given_up = given_up

    @property
    def text(self) -> str:
        """What was used up."""
        if self.messages >= self._most:
            return f"{self.messages:,} messages"
        return f"{self.messages:,} messages, in {self._seconds:g} s"

    def renew(self) -> None:
        """See what is left."""
        self.is_used_up = (
            self.messages >= self._most
            or time.thread_time() >= self._ends
            or time.perf_counter() >= self._ends_at_last
        )
        self.is_given_up = self._given_up()
        if self._rests and not self.is_given_up:
            time.sleep(max(_REST, _RESTS * (time.perf_counter() - self._rested)))
            self._rested = time.perf_counter()
        self.look_at = min(self.messages + self._batch, max(self._most, self.messages + 1))

    def stop_within(self, messages: int) -> None:
        """Look again soon enough."""
        self.look_at = min(self.look_at, self.messages + messages)
