"""How often something happens."""

from __future__ import annotations

from collections import deque
from typing import Final

__all__ = ["RateMeter"]

#: What has not come for so many times as long as it takes otherwise has stopped coming …
_MISSED: Final = 5
#: … but not earlier than this [s].
_PATIENCE: Final = 1.0


class RateMeter:
    """Events a second over the last seconds; the window's thread alone.

    Parameters
    ----------
    window
        Over how long the rate is taken [s].
    """

    def __init__(self, window: float = 2.0) -> None:
        self._window = window
        self._total = 0
        self._last: dict[str, int] = {}
        self._seen: deque[tuple[float, int]] = deque(maxlen=2000)  # time, total
        self._came = 0.0  # when the last came, by the window's clock

    def reset(self) -> None:
        """Forget all."""
        self._total = 0
        self._last.clear()
        self._seen.clear()

    def count(self, now: float, number: int = 1) -> None:
        """Note that something happened."""
        self._total += number
        self._seen.append((now, self._total))
        while len(self._seen) > 2 and now - self._seen[0][0] > self._window:
            self._seen.popleft()

    def count_to(self, source: str, number: int, now: float) -> None:
        """Note that a source has reached a number, and so all the numbers in between.

        A number that goes back, as after a rewind, counts once, and so does a source's first.
        """
        before = self._last.get(source, number)
        self._last[source] = number
        self.count(now, number - before if number > before else 1)

    def came(self, clock: float) -> None:
        """Note when the last came, by a clock that goes on when nothing comes."""
        self._came = clock

    def is_stale(self, clock: float) -> bool:
        """Tell whether nothing has come for longer than it takes at that rate."""
        rate = self.rate
        return clock - self._came > max(_PATIENCE, _MISSED / rate if rate else 0.0)

    @property
    def rate(self) -> float:
        """Events a second; 0 while there are fewer than two."""
        if len(self._seen) < 2:
            return 0.0
        (begin, first), (end, last) = self._seen[0], self._seen[-1]
        return (last - first) / (end - begin) if end > begin else 0.0
