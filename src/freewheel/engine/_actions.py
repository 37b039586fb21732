"""Actions on offer: what plans wait for at this moment, and the command that waits."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from freewheel.core import SRLatch

from ._pacing import Alarm

if TYPE_CHECKING:
    from collections.abc import Callable

    from bluesky.utils import Msg

    from ._bluesky import BlueskyEngine

__all__ = ["ActionBoard", "WaitForActions"]

#: How many actions one plan may offer at once.
_MAX_OFFERED: Final = 1000


class _Offer:
    """The latches that one wait is about, watched from the wait's start to the offer's end."""

    def __init__(self, events: dict[str, SRLatch], wanted: bool, tell: Callable[[], None]) -> None:
        self.events = events
        self.wanted = wanted
        self._tell = tell
        # Written under the latches' common lock, by the first change; read after it.
        self._first: tuple[int, str] | None = None
        self._answer: tuple[str, SRLatch] | None = None  # of the loop's thread: what `hit` found
        self._unwatch = [latch.watch(self._changed) for latch in set(events.values())]

    def is_for(self, events: Mapping[str, SRLatch], wanted: bool) -> bool:
        return self.wanted == wanted and self.events == events

    def _changed(self, latch: SRLatch, is_set: bool) -> None:
        if is_set == self.wanted and self._first is None:
            name = next(name for name, known in self.events.items() if known is latch)
            self._first = (latch.change_number, name)
            self._tell()

    def hit(self) -> tuple[str, SRLatch] | None:
        """Return the latch that changed first; of those that never changed the first named.

        What it has returned once stays the answer, whatever becomes of the latch.
        """
        if self._answer is not None:
            return self._answer
        found = [
            (latch.change_number, place, name)
            for place, (name, latch) in enumerate(self.events.items())
            if latch.is_set() == self.wanted
        ]
        if self._first is not None:
            found.append((self._first[0], -1, self._first[1]))
        if not found:
            return None
        name = min(found)[2]
        self._answer = name, self.events[name]
        return self._answer

    def end(self) -> None:
        for unwatch in self._unwatch:
            unwatch()


class ActionBoard:
    """All actions on offer, of the foreground plan and of others. Any thread may call.

    Parameters
    ----------
    changed : callable
        Called with the names, a frozenset, when the set of names has changed.
    """

    def __init__(self, changed: Callable[[frozenset[str]], None]) -> None:
        self._changed = changed
        # Guards `_offers` and `_names`, and makes "on offer, so trigger it" one step.
        self._lock = threading.RLock()
        self._offers: dict[object, _Offer] = {}
        self._names: frozenset[str] = frozenset()

    def pending(self) -> Mapping[str, SRLatch]:
        """Return a read-only picture: name to latch."""
        with self._lock:
            return MappingProxyType(self._merged())

    def _merged(self) -> dict[str, SRLatch]:
        merged: dict[str, SRLatch] = {}
        for offer in self._offers.values():
            for name, latch in offer.events.items():
                merged.setdefault(name, latch)
        return merged

    def change(self, name: str, to: bool) -> None:
        """Set or reset the latch of an action on offer.

        Raises
        ------
        KeyError
            If it is not on offer; the text names those that are.
        """
        with self._lock:
            offered = self._merged()
            if name not in offered:
                names = ", ".join(map(repr, sorted(offered))) or "none"
                raise KeyError(f"No plan waits for the action {name!r}. On offer: {names}.")
            if to:
                offered[name].set()
            else:
                offered[name].reset()

    def put(self, owner: object, offer: _Offer) -> None:
        """Offer the actions of ``offer`` in the name of ``owner``."""
        with self._lock:
            self._offers[owner] = offer
        self._tell()

    def offer_of(self, owner: object) -> _Offer | None:
        """Return the offer of ``owner``, if there is one."""
        with self._lock:
            return self._offers.get(owner)

    def withdraw(self, owner: object) -> tuple[str, SRLatch] | None:
        """End the offer of ``owner``; return what was triggered until now, if anything."""
        with self._lock:
            offer = self._offers.pop(owner, None)
            if offer is None:
                return None
            hit = offer.hit()
            offer.end()
        self._tell()
        return hit

    def _tell(self) -> None:
        with self._lock:
            names = frozenset(self._merged())
            if names == self._names:
                return
            self._names = names
        self._changed(names)


class WaitForActions:
    """The command ``wait_for_actions`` of one engine. It runs on the engine's loop.

    ::

        Msg("wait_for_actions", None, {name: latch, ...}, timeout=None, wait_for="set")

    With ``hold=True`` a wait that times out leaves its actions on offer until the plan's next
    wait, and what is triggered meanwhile answers that one.
    """

    def __init__(self, engine: BlueskyEngine, board: ActionBoard) -> None:
        self._engine = engine
        self._board = board
        self._waiter: asyncio.Future[None] | None = None
        engine.end_callbacks.append(self.end_of_plan)

    def end_of_plan(self) -> None:
        """Withdraw what a held offer left."""
        self._board.withdraw(self)

    async def __call__(self, msg: Msg) -> tuple[str, SRLatch] | None:
        """Wait for the first of the latches to change; return its name and it, or ``None``."""
        events, timeout, wanted, hold = _arguments(msg)
        engine, board = self._engine, self._board
        if not self._renew(events, wanted):
            board.withdraw(self)
            if not events and timeout is not None:
                return None
            board.put(self, _Offer(events, wanted, self._wake_soon))
        if engine.pause_at_checkpoint():
            board.withdraw(self)
            raise asyncio.CancelledError  # it is asked again after the pause
        try:
            timed_out = await self._wait(timeout)
        except asyncio.CancelledError:
            if (hit := board.withdraw(self)) is not None:
                return hit  # it was first: the pause that cut the wait short comes after it
            raise
        if timed_out and hold:
            return None
        return board.withdraw(self)

    def _renew(self, events: Mapping[str, SRLatch], wanted: bool) -> bool:
        """Tell whether a held offer is for the same latches, and is taken up again."""
        offer = self._board.offer_of(self)
        return offer is not None and offer.is_for(events, wanted)

    async def _wait(self, seconds: float | None) -> bool:
        """Wait until something is triggered; return whether the time ran out first."""
        engine = self._engine
        loop = engine.loop
        waiter = self._waiter = loop.create_future()
        if self._hit():
            waiter.set_result(None)
        # The timer thread is more exact than the loop's own timers: live views keep time by it.
        handle = (
            None
            if seconds is None
            else Alarm(loop, time.monotonic() + seconds, partial(_expire, waiter))
        )
        engine.waits_safely += 1
        try:
            await waiter
        except TimeoutError:
            return self._hit() is None
        finally:
            engine.waits_safely -= 1
            self._waiter = None
            if handle is not None:
                handle.cancel()
        return False

    def _hit(self) -> tuple[str, SRLatch] | None:
        offer = self._board.offer_of(self)
        return None if offer is None else offer.hit()

    def _wake_soon(self) -> None:
        # From the thread that changes the latch, with the latches' lock held.
        self._engine.call_on_loop(self._wake)

    def _wake(self) -> None:
        # The call may be about an offer that was answered before it came, and this wait another.
        waiter = self._waiter
        if waiter is not None and not waiter.done() and self._hit() is not None:
            waiter.set_result(None)


def _expire(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_exception(TimeoutError())


def _arguments(msg: Msg) -> tuple[dict[str, SRLatch], float | None, bool, bool]:
    (events,) = msg.args
    if not isinstance(events, Mapping):
        raise TypeError(
            f"wait_for_actions takes a mapping of names to latches, such as "
            f"action.event_map, not {events!r}."
        )
    for name, latch in events.items():
        if not isinstance(latch, SRLatch):
            raise TypeError(f"wait_for_actions: {name!r} is {latch!r}, which is no SRLatch.")
    if len(events) > _MAX_OFFERED:
        raise ValueError(f"wait_for_actions takes at most {_MAX_OFFERED} latches at once.")
    timeout = msg.kwargs.get("timeout")
    if timeout is not None and not timeout >= 0:
        raise ValueError(f"wait_for_actions: the timeout must be 0 s or more, not {timeout!r}.")
    wait_for = msg.kwargs.get("wait_for", "set")
    if wait_for not in ("set", "reset"):
        raise ValueError(f'wait_for_actions waits for "set" or "reset", not {wait_for!r}.')
    endless = timeout is None or math.isinf(timeout)
    hold = bool(msg.kwargs.get("hold", False))
    return dict(events), None if endless else timeout, wait_for == "set", hold
