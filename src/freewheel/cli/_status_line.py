"""How a live view goes, on one line."""

from __future__ import annotations

import math
import sys
import threading
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from rich.live import Live

_PLAIN_PERIOD = 1.0  # s between two lines where they can't be overwritten


class FrameCounter:
    """Counts the frames of a live view; subscribe it to an engine's documents.

    Parameters
    ----------
    stream : str
        Name of the live stream.
    """

    def __init__(self, stream: str) -> None:
        self._stream = stream
        # The lock guards the rest: documents come from the engine's thread, questions from the
        # main thread.
        self._lock = threading.Lock()
        self._descriptor: str | None = None
        self._frames = 0
        self._rate = 0.0
        self._dropped = 0

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Take a document."""
        with self._lock:
            if name == "descriptor" and doc["name"] == self._stream:
                self._descriptor = doc["uid"]
            elif name == "event" and doc["descriptor"] == self._descriptor:
                self._frames += 1
                self._rate = doc["data"]["pace-rate"]
                self._dropped = doc["data"]["pace-missed"]

    def counts(self) -> tuple[int, float, int]:
        """Return the frames taken, their rate [Hz], and how many there was no time for."""
        with self._lock:
            return self._frames, self._rate, self._dropped


class StatusLine:
    """A line that shows how the plan goes: overwritten on a terminal, else a new one each second.

    Parameters
    ----------
    counter : FrameCounter
        Counts the frames.
    """

    def __init__(self, counter: FrameCounter) -> None:
        self._counter = counter
        self._live: Live | None = None
        self._next_plain = 0.0
        self._last = ""

    def __enter__(self) -> Self:
        """Take the terminal's line."""
        if sys.stdout.isatty():
            from rich.live import Live

            self._live = Live("", auto_refresh=False)
            self._live.__enter__()
        return self

    def __exit__(self, *exc_info: Any) -> None:
        """Leave the last line standing."""
        if self._live is not None:
            self._live.__exit__(*exc_info)

    def show(self, state: str, elapsed: float) -> None:
        """Show how it stands now."""
        frames, rate, dropped = self._counter.counts()
        text = (
            f"{elapsed:6.1f} s   frames {frames:6d}   rate {rate:7.2f} Hz   "
            f"dropped {dropped:4d}   {state}"
        )
        if self._live is not None:
            self._live.update(text, refresh=True)
        elif elapsed >= self._next_plain or state == "ended":
            self._next_plain = math.floor(elapsed / _PLAIN_PERIOD + 1) * _PLAIN_PERIOD
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
