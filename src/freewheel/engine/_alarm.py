"""Being woken at a time: to the tenth of a millisecond, not to the millisecond.

An asyncio loop rounds its timers to the resolution of the call that it sleeps in, a whole
millisecond, and wakes up late by about half of that. The timer thread of `freewheel.core` sleeps
to the nanosecond; it wakes the loop.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, final

from freewheel.core._crossings import call_soon
from freewheel.core._timers import timers

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

__all__ = ["Alarm", "sleep_until"]


@final
class Alarm:
    """Calls a function on a loop at a time; made and cancelled on the loop's thread.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        The loop.
    when : float
        The time, in seconds as `time.monotonic` counts them.
    callback : callable
        Called on the loop, once, unless the alarm was cancelled before.
    """

    __slots__ = ("_callback", "_loop", "done")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, when: float, callback: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._callback = callback
        # Written on the loop; read by the timer thread, which passes over what is done.
        self.done = False
        if when <= time.monotonic():
            loop.call_soon(self._fire)
        else:
            timers.call_at(when, Alarm._ring, lambda: self)

    def cancel(self) -> None:
        """Call nothing any more."""
        self.done = True

    def _ring(self) -> None:
        # From the timer thread into the loop's.
        call_soon(self._loop, self._fire)

    def _fire(self) -> None:
        if not self.done:
            self.done = True
            self._callback()


async def sleep_until(loop: asyncio.AbstractEventLoop, when: float) -> None:
    """Return at a time, in seconds as `time.monotonic` counts them; on the loop."""
    if when <= time.monotonic():
        return
    woken = loop.create_future()

    def wake() -> None:
        if not woken.done():
            woken.set_result(None)

    alarm = Alarm(loop, when, wake)
    try:
        await woken
    finally:
        alarm.cancel()
