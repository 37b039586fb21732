"""The command ``wait_for_actions``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, final
from weakref import WeakKeyDictionary

from freewheel.core import SRLatch
from freewheel.core._followed_latch import FollowedLatch, is_latch
from freewheel.engine._action_board import Offer
from freewheel.engine._alarm import Alarm

from ._timeouts import checked_timeout

if TYPE_CHECKING:
    from bluesky.utils import Msg

    from freewheel.engine._action_board import Hit
    from freewheel.engine._bluesky import EngineCore

__all__ = ["WaitForActions"]

#: How many actions one plan may offer at once.
_MAX_OFFERED: Final = 1000


@final
class WaitForActions:
    """The command ``wait_for_actions`` of one engine. It runs on the engine's loop.

    ::

        Msg("wait_for_actions", None, {name: latch, ...}, timeout=None, wait_for="set")

    With ``fresh=True`` a latch that is as the plan was told already does not count until it
    changes. With ``hold=True`` a wait that times out leaves its actions on offer until the plan's
    next wait, and what is triggered meanwhile answers that one. A latch of another library is
    followed from the plan's first wait for it to the plan's end.
    """

    __slots__ = ("_answered", "_board", "_core", "_followed", "_waiter")

    def __init__(self, core: EngineCore) -> None:
        self._core = core
        self._board = core.household.board
        self._waiter: asyncio.Future[None] | None = None
        # Which change of a latch this plan was told of last. Of the loop's thread.
        self._answered: WeakKeyDictionary[SRLatch, int] | None = None
        # Of other libraries, by their ids. Of the loop's thread.
        self._followed: dict[int, FollowedLatch] = {}
        core.end_callbacks.append(self.end_of_plan)
        core.parts.append(self)

    def lay_aside(self) -> tuple[Any, ...]:
        """Hand out what a plan that is parked was told, and the offer that it holds."""
        laid = self._answered, self._followed, self._board.take_away(self)
        self._answered, self._followed = None, {}
        return laid

    def take_up(self, laid: tuple[Any, ...]) -> None:
        """Keep that again; what was set meanwhile answers the offer."""
        self._answered, self._followed, offer = laid
        if offer is not None:
            self._board.put(self, offer)

    def end_of_plan(self) -> None:
        """Withdraw what a held offer left, and forget what this plan was told."""
        self._board.withdraw(self)
        self._answered = None
        for latch in self._followed.values():
            latch.end()
        self._followed.clear()

    async def __call__(self, msg: Msg) -> tuple[str, SRLatch] | None:
        """Wait for the first of the latches to change; return its name and it, or ``None``."""
        given, timeout, wanted, hold, fresh = _arguments(msg)
        events = {name: self._ours(latch) for name, latch in given.items()}
        core, board = self._core, self._board
        if not self._renew(events, wanted, fresh):
            board.withdraw(self)
            if not events and timeout is not None:
                return None
            task = core.tasks.task
            plan = core.plan_name if task is None else task.name
            board.put(self, Offer(events, wanted, self._known(fresh), self._wake_soon, plan))
        if core.pause_at_checkpoint() or core.park_at_checkpoint():
            board.withdraw(self)
            raise asyncio.CancelledError  # it is asked again after the pause
        try:
            timed_out = await self._wait(timeout)
        except asyncio.CancelledError:
            if (hit := board.withdraw(self)) is not None:
                return self._tell_plan(
                    hit
                )  # it was first: the pause that cut the wait short comes after it
            raise
        if timed_out and hold:
            return None
        return self._tell_plan(board.withdraw(self))

    def _tell_plan(self, hit: Hit | None) -> tuple[str, SRLatch] | None:
        """Return what the plan is told, and remember that it was."""
        if hit is None:
            return None
        if self._answered is None:  # made late: most plans wait for no action
            self._answered = WeakKeyDictionary()
        self._answered[hit.latch] = hit.change_number
        latch: Any = hit.latch
        return hit.name, latch.of if isinstance(latch, FollowedLatch) else latch

    def _ours(self, latch: Any) -> Any:
        """Return what stands for a latch here: itself, or what follows that of another library."""
        if isinstance(latch, SRLatch):
            return latch
        followed = self._followed.get(id(latch))
        if followed is None:
            followed = self._followed[id(latch)] = FollowedLatch(latch, self._core.loop)
        return followed

    def _known(self, fresh: bool) -> Mapping[SRLatch, int] | None:
        """Return the changes that do not count for a wait."""
        return (self._answered or {}) if fresh else None

    def _renew(self, events: Mapping[str, SRLatch], wanted: bool, fresh: bool) -> bool:
        """Tell whether a held offer is for the same latches, and is taken up again."""
        offer = self._board.offer_of(self)
        return offer is not None and offer.is_for(events, wanted, fresh)

    async def _wait(self, seconds: float | None) -> bool:
        """Wait until something is triggered; return whether the time ran out first."""
        if seconds is not None and seconds <= 0:
            # A live view that is behind asks so at each frame.
            with self._core.under_way.waiting_safely():
                await asyncio.sleep(0)
            return self._hit() is None
        loop = self._core.loop
        waiter = self._waiter = loop.create_future()
        if self._hit():
            waiter.set_result(None)
        # The timer thread is more exact than the loop's own timers: live views keep time by it.
        handle = (
            None
            if seconds is None
            else Alarm(loop, time.monotonic() + seconds, partial(_expire, waiter))
        )
        try:
            with self._core.under_way.waiting_safely():
                await waiter
        except TimeoutError:
            return self._hit() is None
        finally:
            self._waiter = None
            if handle is not None:
                handle.cancel()
        return False

    def _hit(self) -> Hit | None:
        offer = self._board.offer_of(self)
        return None if offer is None else offer.hit()

    def _wake_soon(self) -> None:
        # From the thread that changes the latch, with the latches' lock held.
        self._core.call_on_loop(self._wake)

    def _wake(self) -> None:
        # The call may be about an offer that was answered before it came, and this wait another.
        waiter = self._waiter
        if waiter is not None and not waiter.done() and self._hit() is not None:
            waiter.set_result(None)


def _expire(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_exception(TimeoutError())


def _arguments(msg: Msg) -> tuple[dict[str, Any], float | None, bool, bool, bool]:
    (events,) = msg.args
    if not isinstance(events, Mapping):
        raise TypeError(
            f"wait_for_actions takes a mapping of names to latches, such as "
            f"action.event_map, not {events!r}."
        )
    for name, latch in events.items():
        if not isinstance(latch, SRLatch) and not is_latch(latch):
            raise TypeError(
                f"wait_for_actions: {name!r} is {latch!r}, which is no SRLatch, and has not what "
                "one has: set, reset, is_set, wait_for_set and wait_for_reset."
            )
    if len(events) > _MAX_OFFERED:
        raise ValueError(f"wait_for_actions takes at most {_MAX_OFFERED} latches at once.")
    timeout = checked_timeout("wait_for_actions", msg.kwargs.get("timeout"))
    wait_for = msg.kwargs.get("wait_for", "set")
    if wait_for not in ("set", "reset"):
        raise ValueError(f'wait_for_actions waits for "set" or "reset", not {wait_for!r}.')
    hold, fresh = (bool(msg.kwargs.get(name, False)) for name in ("hold", "fresh"))
    return dict(events), timeout, wait_for == "set", hold, fresh
