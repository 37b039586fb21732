"""A clock that need not be waited for."""

from __future__ import annotations

import asyncio
import selectors
import threading
from typing import final

from freewheel.core._crossings import call_soon

__all__ = ["VirtualClock", "VirtualTimeLoop"]


@final
class VirtualClock:
    """The time of a `VirtualTimeLoop`.

    When all that the loop has to do is to wait, its time jumps to the end of that wait. What
    other threads do takes real time, and the loop waits ``patience`` real seconds for it before
    each jump: a plan that waits, with a time-out, for a thread needs a patience that is longer
    than the thread takes, or ``autojump = False`` and `advance`.

    May be used from any thread.

    Parameters
    ----------
    patience : float
        For how many real seconds nothing must come from outside before time jumps.
    autojump : bool
        Whether it jumps by itself.
    """

    def __init__(self, patience: float = 0.01, *, autojump: bool = True) -> None:
        self.patience = patience
        self.autojump = autojump
        self._lock = threading.Lock()  # guards _now and _loops
        self._now = 0.0
        self._loops: list[VirtualTimeLoop] = []

    def time(self) -> float:
        """Return the time, in seconds since the clock was made."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass.

        Raises
        ------
        ValueError
            When ``seconds`` is negative: time does not go back.
        """
        if not seconds >= 0:
            message = f"time passes forwards only, and {seconds!r} is not"
            raise ValueError(message)
        with self._lock:
            self._now += seconds
            loops = list(self._loops)
        for loop in loops:
            call_soon(loop, lambda: None)  # what is due now has to be noticed

    def _follow(self, loop: VirtualTimeLoop) -> None:
        with self._lock:
            self._loops.append(loop)


class _JumpingSelector(selectors.DefaultSelector):
    """A selector that lets the clock jump where others wait. Used on the loop's thread."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return self._select(timeout)
        if not self._clock.autojump:
            return self._select(None)  # until `advance`, or something else, calls
        ready = self._select(self._clock.patience)
        if not ready:
            self._clock.advance(timeout)
        return ready

    def _select(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(timeout)
        return ready


@final
class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An asyncio loop whose time is that of a `VirtualClock`.

    Parameters
    ----------
    clock : VirtualClock
        The clock. Several loops may follow one.

    Examples
    --------
    >>> RE = RunEngine(loop=VirtualTimeLoop(VirtualClock()))
    >>> RE(bps.sleep(3600)).result()  # an hour, at once
    """

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(_JumpingSelector(clock))
        self.clock = clock
        clock._follow(self)  # noqa: SLF001 - of this module

    def time(self) -> float:
        """Return the clock's time."""
        return self.clock.time()
