"""The documents that wait to be sent."""

from __future__ import annotations

import threading
import time
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._targets import Item

__all__ = ["Line"]


@final
class Line:
    """Documents on their way, in order: those that wait, and those that are being sent.

    Any thread puts, and the sender's takes.

    Parameters
    ----------
    max_documents, max_bytes : int
        With so many documents, or so many bytes of data, it is full.
    """

    def __init__(self, max_documents: int, max_bytes: int) -> None:
        self._max_documents = max_documents
        self._max_bytes = max_bytes
        # Guards all below; notified when there is something to take or nothing any more, and at
        # the end.
        self._condition = threading.Condition(threading.Lock())
        self._items: deque[Item] = deque()
        self._taken: list[Item] = []  # what the sender has, and has not settled
        self._busy = False  # the sender has not come back for more since it took something
        self._bytes = 0  # of both
        self._closed = False
        self._abandoned = False

    def put(self, item: Item) -> bool:
        """Put a document at the end; false if there is no room."""
        with self._condition:
            documents = len(self._items) + len(self._taken)
            if documents >= self._max_documents or self._bytes + item.size > self._max_bytes:
                return False
            self._items.append(item)
            self._bytes += item.size
            self._condition.notify_all()
            return True

    def take(self, limit: int, timeout: float | None = None) -> list[Item] | None:
        """Take what comes next; wait for it, so long at most. It is to be settled.

        `None` at the end.
        """
        with self._condition:
            self._is_back()
            self._condition.wait_for(lambda: self._items or self._closed, timeout)
            if self._closed and not self._items:
                return None
            self._taken = list(islice(self._items, limit))
            for _ in self._taken:
                self._items.popleft()
            self._busy = bool(self._taken)
            return list(self._taken)

    def settle(self, left: Iterable[Item] = ()) -> bool:
        """Say that what was taken has been dealt with, but for what is ``left`` to be sent first.

        False if somebody else has dealt with it, by `abandon`.
        """
        with self._condition:
            if self._abandoned:
                return False
            left = list(left)
            self._bytes -= sum(item.size for item in self._taken) - sum(i.size for i in left)
            self._items.extendleft(reversed(left))
            self._taken = []
            return True

    def drop(self, run: str) -> list[Item]:
        """Take out the documents of a run that wait; return them."""
        with self._condition:
            dropped = [item for item in self._items if item.run == run]
            if dropped:
                self._items = deque(item for item in self._items if item.run != run)
                self._bytes -= sum(item.size for item in dropped)
            return dropped

    def wait_for_end(self, timeout: float) -> bool:
        """Wait until it is closed, so long at most; tell whether it is."""
        with self._condition:
            self._is_back()
            return self._condition.wait_for(lambda: self._closed, timeout)

    def _is_back(self) -> None:
        """Note that all that was taken is accounted for. With the lock held."""
        self._busy = False
        if not self._items:
            self._condition.notify_all()

    def wait_until_empty(self, timeout: float | None) -> None:
        """Wait until everything is settled and accounted for, so long at most."""
        with self._condition:
            self._condition.wait_for(lambda: not (self._items or self._busy), timeout)

    def close(self) -> None:
        """Say that nothing more comes: what waits can still be taken."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def abandon(self) -> list[Item]:
        """Take all that is not settled out of the sender's hands; return it."""
        with self._condition:
            self._closed = self._abandoned = True
            self._busy = False
            left = [*self._taken, *self._items]
            self._items.clear()
            self._taken, self._bytes = [], 0
            self._condition.notify_all()
            return left

    def waiting(self) -> tuple[int, float]:
        """Return how many documents are not sent yet, and for how many seconds the oldest."""
        with self._condition:
            first = next(iter([*self._taken[:1], *islice(self._items, 1)]), None)
            age = 0.0 if first is None else time.monotonic() - first.since
            return len(self._taken) + len(self._items), age
