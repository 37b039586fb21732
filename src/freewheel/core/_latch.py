"""A set-reset latch for any thread and any loop."""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from typing import TYPE_CHECKING, TypeAlias, final

from ._crossings import Waiter, new_waiter, wake

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._actions import Action

__all__ = ["LatchCallback", "SRLatch", "order_change"]

_log = logging.getLogger(__name__)

# Held for every change of every latch, so that "which one changed first" has one answer: the
# state, the time and the number of a change, and the order in which waiters and watchers hear
# of it, agree. Re-entrant, for a signal handler or a finalizer may set a latch in the middle of
# another change that the same thread makes.
_order = threading.RLock()
_numbers = itertools.count(1)  # drawn from with _order held


def _renew_lock_after_fork() -> None:
    global _order
    _order = threading.RLock()


if hasattr(os, "register_at_fork"):
    # Another thread of the parent may have held the lock: in the child nobody would release it.
    os.register_at_fork(after_in_child=_renew_lock_after_fork)


@final
class SRLatch:
    """A flag that is set and reset, from any thread, and waited for on any asyncio loop.

    A new latch is reset. All methods may be called from any thread, with or without a loop.

    Changes of all latches are in one order: see `change_number`.
    """

    __slots__ = (
        "__weakref__",
        "_action",
        "_change_number",
        "_changed_at",
        "_is_set",
        "_reset_waiters",
        "_set_waiters",
        "_watchers",
    )

    def __init__(self) -> None:
        # All of these are written with _order held. The first four are read without: each read
        # is of one value, which is old or new.
        self._action: Action | None = None
        self._is_set = False
        self._changed_at: float | None = None
        self._change_number = 0
        self._set_waiters: list[Waiter] = []
        self._reset_waiters: list[Waiter] = []
        self._watchers: tuple[LatchCallback, ...] = ()

    @property
    def action(self) -> Action | None:
        """The action that this is the latch of, or ``None`` for a bare latch."""
        return self._action

    @property
    def changed_at(self) -> float | None:
        """When the latch last changed, in seconds as `time.monotonic` counts them.

        ``None`` before the first change.
        """
        return self._changed_at

    @property
    def change_number(self) -> int:
        """The place of the last change among the changes of all latches of the process.

        Later changes have larger numbers, also when the clock shows the same time for both.
        0 before the first change.
        """
        return self._change_number

    def look(self) -> tuple[bool, int]:
        """Return whether the latch is set, and the number of the change that made it so.

        Two reads, of `is_set` and of `change_number`, could have a change between them.
        """
        with _order:
            return self._is_set, self._change_number

    def is_set(self) -> bool:
        """Return whether the latch is set."""
        return self._is_set

    def set(self) -> None:
        """Set the latch, and wake who waits for that. A latch that is set stays as it is."""
        with _order:
            if not self._is_set:
                waiters, self._set_waiters = self._set_waiters, []
                self._change(True, waiters)

    def reset(self) -> None:
        """Reset the latch, and wake who waits for that. A latch that is reset stays as it is."""
        with _order:
            if self._is_set:
                waiters, self._reset_waiters = self._reset_waiters, []
                self._change(False, waiters)

    def _change(self, is_set: bool, waiters: list[Waiter]) -> None:
        """Record a change, then tell those who wait and watch. With _order held."""
        self._change_number = next(_numbers)
        self._changed_at = time.monotonic()
        self._is_set = is_set
        for watcher in self._watchers:
            try:
                watcher(self, is_set)
            except Exception:
                # Whoever sets a latch must not suffer for it, nor those who wait.
                _log.exception("A watcher of %r raised", self)
        for waiter in waiters:
            wake(waiter)

    async def wait_for_set(self) -> None:
        """Wait until the latch is set; return at once if it is.

        A set that is followed at once by a reset wakes those who were waiting already.
        """
        waiter = new_waiter()
        with _order:
            if self._is_set:
                return
            self._set_waiters.append(waiter)
        try:
            await waiter[1]
        finally:
            with _order:
                _discard(self._set_waiters, waiter)

    async def wait_for_reset(self) -> None:
        """Wait until the latch is reset; return at once if it is.

        A reset that is followed at once by a set wakes those who were waiting already.
        """
        waiter = new_waiter()
        with _order:
            if not self._is_set:
                return
            self._reset_waiters.append(waiter)
        try:
            await waiter[1]
        finally:
            with _order:
                _discard(self._reset_waiters, waiter)

    def watch(self, callback: LatchCallback) -> Callable[[], None]:
        """Have `callback` called at each change.

        Parameters
        ----------
        callback : callable
            Called with the latch and whether it is set now, in the thread that changes it and
            before any waiter wakes, while the order of changes is held still. It must be quick and
            must not touch a latch; ``loop.call_soon_threadsafe`` is the kind of thing to do in
            it. What it raises is logged.

        Returns
        -------
        callable
            Ends the watching, from any thread; a second call does nothing. Once it has
            returned, no further call comes.
        """
        # Wrapped, so that the same function may watch twice and end once.
        entry = _Watch(callback)
        with _order:
            self._watchers = (*self._watchers, entry)

        def unwatch() -> None:
            with _order:
                self._watchers = tuple(known for known in self._watchers if known is not entry)

        return unwatch

    def __repr__(self) -> str:
        """Say what it is the latch of, and its state."""
        of = "" if self._action is None else f" of {self._action.name!r}"
        return f"<{type(self).__name__}{of}: {'set' if self._is_set else 'reset'}>"


class _Watch:
    """One registration of a watcher."""

    __slots__ = ("_callback",)

    def __init__(self, callback: LatchCallback) -> None:
        self._callback = callback

    def __call__(self, latch: SRLatch, is_set: bool) -> None:
        self._callback(latch, is_set)


def order_change(tell: Callable[[int], None]) -> None:
    """Have ``tell`` called with the number of a change of another library's latch, in the order."""
    with _order:
        tell(next(_numbers))


def _discard(waiters: list[Waiter], waiter: Waiter) -> None:
    """Remove a waiter that was not woken: its task was cancelled, or its loop has gone."""
    if waiter in waiters:
        waiters.remove(waiter)


LatchCallback: TypeAlias = "Callable[[SRLatch, bool], None]"
"""What `SRLatch.watch` calls: with the latch, and whether it is set now."""
