"""A subscription to a signal, and questions in its place where the signal tells nothing."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Subscription"]

#: A signal that was asked, and tells nothing by itself for so long, is taken for one that never
#: does [s]; and how often it is asked then [s].
SILENCE: Final = 1.0
PERIOD: Final = 1.0


class Subscription:
    """Follows what a signal of ophyd-async or ophyd reads. All of it on the engine's loop.

    One of ophyd-async that tells nothing by itself, as without Tango's events, is asked again and
    again, and has no subscriber then: ophyd-async would answer whoever reads a signal that has
    one, a plan too, with what that was told last, and so keep him waiting for ever.

    Parameters
    ----------
    signal
        The signal, or something movable that can be subscribed to.
    changed : callable
        Called as the signal calls: with readings, or by ophyd with keywords; by that on any thread.
    answers : callable
        Told whether a signal that is asked has answered.
    silence, period : float
        For how long a signal is waited for that tells nothing by itself, and how often it is asked
        then [s].
    """

    def __init__(
        self,
        signal: Any,
        changed: Callable[..., object],
        answers: Callable[[bool], object],
        *,
        silence: float = SILENCE,
        period: float = PERIOD,
    ) -> None:
        self._signal, self._changed, self._answers = signal, changed, answers
        self._silence, self._period = silence, period
        self._subscribed = False
        self._told = asyncio.Event()  # of the loop: one of ophyd, which tells elsewhere, has none
        self._can_be_asked = _can_be_asked(signal)
        self._turns: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Subscribe."""
        subscribe = getattr(self._signal, "subscribe_reading", None) or self._signal.subscribe
        self._subscribed = True
        subscribe(self.hears)

    def hears(self, *told: Any, **news: Any) -> None:
        """Take what the signal tells by itself."""
        if self._can_be_asked:
            self._told.set()
        self._changed(*told, **news)

    async def ask(self) -> None:
        """Ask what a signal reads that has told nothing yet, and from now on if it never does."""
        if not self._can_be_asked or self._told.is_set():
            return
        readings = await self._signal.read(cached=False)
        if self._subscribed and not self._told.is_set():
            self._changed(readings)
            self._turns = asyncio.get_running_loop().create_task(self._ask_by_turns())

    async def _ask_by_turns(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._told.wait(), self._silence)
            return
        self._unsubscribe()
        while True:
            try:
                readings = await self._signal.read(cached=False)
            except Exception:  # whatever its library raises: it did not answer
                self._answers(False)
            else:
                self._answers(True)
                self._changed(readings)
            await asyncio.sleep(self._period)

    def _unsubscribe(self) -> None:
        if self._subscribed and (clear := getattr(self._signal, "clear_sub", None)) is not None:
            clear(self.hears)
        self._subscribed = False

    def end(self) -> None:
        """End it."""
        if self._turns is not None:
            self._turns.cancel()
        self._unsubscribe()


def _can_be_asked(signal: Any) -> bool:
    """Tell whether it is a signal of ophyd-async, which says what it was told last unless asked."""
    read = getattr(signal, "read", None)
    return inspect.iscoroutinefunction(read) and "cached" in inspect.signature(read).parameters
