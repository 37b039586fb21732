"""Being woken at a time: to the tenth of a millisecond, not to the millisecond.

An asyncio loop rounds its timers to the resolution of the call that it sleeps in, a whole
millisecond, and wakes up late by about half of that. The timer thread of `freewheel.core` sleeps
to the nanosecond; it wakes the loop.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, final

from freewheel.core import Pacer, Tick
from freewheel.core._crossings import call_soon
from freewheel.core._timers import timers

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from bluesky.utils import Msg

__all__ = ["Alarm", "Pace"]


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
        call_soon(self._loop, self._fire)  # from the timer thread

    def _fire(self) -> None:
        if not self.done:
            self.done = True
            self._callback()


class Pace:
    """The command ``pace`` of one engine: waits for the next tick of a clock. On the loop.

    ::

        Msg("pace", None, period)
        Msg("pace", pacer)

    Parameters
    ----------
    engine : RunEngine
        The engine; when one of its plans ends, the clocks that it kept for it are forgotten.
    """

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        # The clocks that plans know by their period. At most as many as a plan has periods.
        self._pacers: dict[float, Pacer] = {}
        engine.end_callbacks.append(self._pacers.clear)

    async def __call__(self, msg: Msg) -> Tick:
        """Wait for the tick; return it."""
        pacer = msg.obj if msg.obj is not None else self._pacer_for(*msg.args)
        if not isinstance(pacer, Pacer):
            raise TypeError(f"pace follows a Pacer, or a period in seconds, not {pacer!r}")
        await _sleep_until(self._engine.loop, pacer.next_deadline())
        return pacer.begin_turn()

    def _pacer_for(self, period: Any) -> Pacer:
        pacer = self._pacers.get(period)
        if pacer is None:
            pacer = self._pacers[period] = Pacer(period)
            # A clock stands still while its plan is paused, as a device would.
            self._engine.note_device(pacer)
        return pacer


async def _sleep_until(loop: asyncio.AbstractEventLoop, when: float) -> None:
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
