"""Writing arrays to their places, beside what else is to be done for them."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["RowWriter"]

#: So many bytes at once are written by another thread: that takes it a millisecond or more.
HAND_OVER: Final = 1 << 22

_Written: TypeAlias = "tuple[int, OSError | None]"


class RowWriter:
    """Writes rows, in their order; many of them on a thread of its own.

    An operating system copies a frame in the time in which Python describes five and computes the
    checksums of five. While many wait, both is done at once. Not thread-safe: one thread uses it.

    Parameters
    ----------
    write_each : callable
        Writes rows from a number on, and yields again and again how many are whole. It is called
        by the other thread as well, never twice for the same row.
    """

    def __init__(self, write_each: Callable[[int, Sequence[Any]], Iterator[int]]) -> None:
        self._write_each = write_each
        self._first = 0  # the number of the first row that waits
        self._waiting: list[Any] = []
        self._size = 0  # bytes of those
        self._handed_over: list[Callable[[], _Written]] = []
        self._thread: ThreadPoolExecutor | None = None

    def put(self, number: int, rows: Sequence[Any]) -> None:
        """Take the bytes of the next rows, which may not change until `finish` returns."""
        if not self._waiting:
            self._first = number
        self._waiting.extend(rows)
        self._size += sum(map(len, rows))
        # Without this call a file has one position, which two threads would move.
        if self._size >= HAND_OVER and hasattr(os, "pwritev"):
            self._hand_over()

    def _hand_over(self) -> None:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="freewheel-recorder")
        rows = self._take()
        begun = Lock()
        begun.acquire()
        try:
            self._handed_over.append(self._thread.submit(self._write_there, begun, *rows).result)
        except RuntimeError:  # the interpreter is about to end, and starts nothing any more
            self._write_here(*rows)
        else:
            # The other thread needs Python's lock to begin, and this one has no other occasion to
            # let go of it for as long as it computes.
            begun.acquire()

    def _take(self) -> tuple[int, list[Any]]:
        rows = self._first, self._waiting
        self._waiting, self._size = [], 0
        return rows

    def _write_here(self, first: int, rows: Sequence[Any]) -> None:
        written = self._write(first, rows)
        self._handed_over.append(lambda: written)

    def _write_there(self, begun: Lock, first: int, rows: Sequence[Any]) -> _Written:
        begun.release()
        return self._write(first, rows)

    def _write(self, first: int, rows: Sequence[Any]) -> _Written:
        whole = 0
        try:
            for count in self._write_each(first, rows):
                whole = count
        except OSError as error:
            return whole, error
        return whole, None

    def wait(self) -> None:
        """Write all that was put: nothing is under way afterwards."""
        if self._waiting:
            self._write_here(*self._take())
        for step in self._handed_over:
            step()

    def finish(self) -> _Written:
        """Write all that was put; return how many rows are whole, and what kept the next one."""
        self.wait()
        steps, self._handed_over = self._handed_over, []
        total = 0
        for step in steps:
            done, failure = step()
            total += done
            if failure is not None:
                return total, failure
        return total, None

    def close(self) -> None:
        """End the thread; idempotent."""
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None
