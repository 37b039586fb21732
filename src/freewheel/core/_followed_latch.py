"""Latches of other libraries, taken for what they can do."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final, final

from ._latch import order_change

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FollowedLatch", "is_latch"]

_log = logging.getLogger("freewheel")

_METHODS: Final = ("set", "reset", "is_set", "wait_for_set", "wait_for_reset")


def is_latch(thing: Any) -> bool:
    """Tell whether something can be taken for a latch: it has a latch's methods."""
    return not isinstance(thing, type) and all(
        callable(getattr(thing, name, None)) for name in _METHODS
    )


@final
class FollowedLatch:
    """A latch of another library with what an `SRLatch` has besides: watchers, and an order.

    It is followed on a loop from its making until `end`, and all of it belongs to that loop's
    thread, but for what is the latch's own: `set`, `reset` and `is_set`.

    Parameters
    ----------
    latch : object
        The latch; `is_latch`.
    loop : asyncio.AbstractEventLoop
        The loop, which runs.

    Attributes
    ----------
    of : object
        The latch.
    change_number : int
        See `SRLatch.change_number`: of the last change that was heard of.
    """

    action = None

    def __init__(self, latch: Any, loop: asyncio.AbstractEventLoop) -> None:
        self.of = latch
        self.change_number = 0
        self.set, self.reset, self.is_set = latch.set, latch.reset, latch.is_set
        self._known = bool(latch.is_set())
        self._watchers: list[Callable[[Any, bool], None]] = []
        self._follower = loop.create_task(self._follow(), name=f"follow {latch!r}")

    def end(self) -> None:
        """Follow it no more."""
        self._follower.cancel()

    def look(self) -> tuple[bool, int]:
        """Return whether it is set, and the number of the change that made it so."""
        self._see(bool(self.of.is_set()))
        return self._known, self.change_number

    def watch(self, callback: Callable[[Any, bool], None]) -> Callable[[], None]:
        """Have ``callback`` called as `SRLatch.watch` does; return what ends that."""
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback)

    async def _follow(self) -> None:
        try:
            while True:
                was = self._known
                await (self.of.wait_for_reset() if was else self.of.wait_for_set())
                if self._known is was:
                    self._see(not was)
                self._see(bool(self.of.is_set()))  # it may have changed back at once
                await asyncio.sleep(0)  # a wait that never waits is not to hold up the loop
        except Exception:
            _log.exception("The latch %r cannot be followed any more.", self.of)

    def _see(self, is_set: bool) -> None:
        """Take up a change, if it is one."""
        if is_set is not self._known:
            self._known = is_set
            order_change(self._number_and_tell)

    def _number_and_tell(self, number: int) -> None:
        self.change_number = number
        for watcher in tuple(self._watchers):
            watcher(self, self._known)

    def __repr__(self) -> str:
        return repr(self.of)
