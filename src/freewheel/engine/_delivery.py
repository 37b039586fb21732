"""Delivery of documents on threads of their own, off the engine's loop.

The engine's thread only puts documents into a line. A subscriber's thread is woken for the first
of them, works until the line is empty, and then rests for a hundredth of a second, or for up to
five while documents come by the thousand: meanwhile they pile up and cost the engine's thread
nothing but the putting. A wake-up costs a plan more than a document does, since the two threads
have to pass Python's lock on: until the one that was woken has it, the other one offers it at each
turn of its loop, by a call of the operating system.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

from freewheel.core._crossings import call_soon

if TYPE_CHECKING:
    import weakref
    from collections.abc import Callable

__all__ = ["DELIVERIES", "Delivery", "LatestDelivery", "QueuedDelivery"]

_log = logging.getLogger("freewheel")

#: The plan waits for a queued subscriber that is behind by so many documents …
MAX_DOCUMENTS: Final = 10_000
#: … or by so many bytes of array data.
MAX_BYTES: Final = 1 << 30
#: A subscriber's thread is woken by documents once in so many seconds at most …
REST: Final = 0.01
#: … or in so many while more than so many documents a second come, and no large arrays: nobody can
#: follow them one by one then.
LONG_REST: Final = 0.05
MANY: Final = 2_000
#: So much at most is handed over at once to a subscriber that takes batches.
BATCH_DOCUMENTS: Final = 1_000
BATCH_BYTES: Final = 1 << 26


# A document that waits, with its kind and the bytes of its arrays; or a mark, without a kind, that
# calls back when it is reached.
_Item: TypeAlias = "tuple[str | None, Any, int]"


class Delivery:
    """Calls a subscriber on a thread of its own, in the documents' order.

    Parameters
    ----------
    func : callable
        The subscriber, ``func(name, doc)``. It is kept alive until it is unsubscribed. If it has
        a method ``take_batch``, that is called instead, with a list of ``(name, doc)``.
    failed : weakref.WeakMethod
        Of the method to call, on the subscriber's thread, with what an awaited subscriber raised.
        Weak, so that the thread does not keep the engine alive.

    Attributes
    ----------
    put : callable
        Takes a document, ``put(name, doc)``; from the engine's thread alone. It never waits.
    """

    #: Whether the end of a plan waits until all is delivered, and fails with what was raised.
    #: A display's failure is logged alone.
    awaited = True

    def __init__(
        self,
        func: Callable[[str, Any], Any],
        failed: weakref.WeakMethod[Callable[[BaseException], None]],
    ) -> None:
        self._func = func
        self._failed = failed
        # Put into by the engine's thread, taken from by the subscriber's: a deque allows both at
        # once. So do the sums, which have one writer each.
        self._items: deque[_Item] = deque()
        self._bytes_put = 0  # written by the engine's thread
        self._bytes_delivered = 0  # written by the subscriber's thread
        self._rest = REST  # of the subscriber's thread alone: for how long it rests next
        self._busy = False  # written by the subscriber's thread: what it took is not delivered yet
        self._told = False  # of the engine's thread: that the subscriber is behind
        # Guards what follows. Notified when there is something to do that cannot wait until the
        # thread has rested: the first document of a burst, a mark, the end.
        self._condition = threading.Condition(threading.Lock())
        self._dozing = False  # the thread waits for a document, and is to be woken by the first
        self._hurry = False  # it may not rest: somebody waits for what is in the line
        self._closed = False
        self._failure: BaseException | None = None  # the first since `take_failure`
        self.put = self._make_put()
        self._thread = threading.Thread(
            target=self._deliver_all,
            name=f"freewheel-documents-{getattr(func, '__name__', type(func).__name__)}",
            daemon=True,
        )
        self._thread.start()

    def _make_put(self) -> Callable[[str, Any], None]:
        """Return `put`: a function, since bluesky calls those of an object at twice the cost."""
        append = self._items.append

        def put(name: str, doc: Any) -> None:
            if size := _size_of(doc):
                self._bytes_put += size
            append((name, doc, size))
            # The thread says that it dozes before it looks at the line for the last time, and
            # this looks after it has put something there: so one of them sees the other.
            if self._dozing:
                self._wake(hurry=False)

        return put

    def is_behind(self) -> bool:
        """Tell whether the subscriber has more to do than may pile up; log it once a plan.

        From the engine's thread.
        """
        documents = len(self._items)
        size = self._bytes_waiting
        if documents <= MAX_DOCUMENTS and size <= MAX_BYTES:
            return False
        if not self._told:
            self._told = True
            _log.warning(
                "The document subscriber %r is behind by %d documents and %d MB of arrays: it, or "
                "its disk, is slower than the plan, which waits for it now and whenever it is so "
                "far behind.",
                self._func,
                documents,
                size >> 20,
            )
        return True

    async def drained(self) -> None:
        """Wait until all that was put until now is delivered; on any loop."""
        loop = asyncio.get_running_loop()
        reached = asyncio.Event()

        def tell() -> None:
            call_soon(loop, reached.set)

        if self._closed or threading.current_thread() is self._thread:
            return
        if not self._items and not self._busy:
            return
        self._items.append((None, tell, 0))
        self._wake(hurry=True)
        await reached.wait()

    def _wake(self, *, hurry: bool) -> None:
        """Wake the thread; with ``hurry``, let it not rest until the line is empty."""
        with self._condition:
            self._hurry = self._hurry or hurry
            self._dozing = False
            self._condition.notify()

    def take_failure(self) -> BaseException | None:
        """Return the first failure since the last call; from the engine's thread."""
        self._told = False
        with self._condition:
            failure, self._failure = self._failure, None
        return failure

    def close(self) -> None:
        """Deliver what waits, then end the thread; from any thread, without waiting."""
        self._closed = True
        self._wake(hurry=True)

    def join(self, timeout: float) -> None:
        """Wait for the thread's end, after `close`."""
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)

    # On the subscriber's thread. ----------------------------------------------------------------

    def _deliver_all(self) -> None:
        deliver = self._deliver_batches if self._takes_batches() else self._deliver_each
        while self._has_more():
            deliver()
            self._busy = False

    def _takes_batches(self) -> bool:
        return callable(getattr(self._func, "take_batch", None))

    def _has_more(self) -> bool:
        """Wait for something to deliver; false at the end."""
        with self._condition:
            if not self._items:
                self._pause()
            while not self._items and not self._closed:
                self._dozing = True
                if not self._items:
                    self._condition.wait()
                self._dozing = False
            self._busy = bool(self._items)
            return self._busy

    def _pause(self) -> None:
        """Let documents pile up for a while, unless somebody waits. With the lock held."""
        end = time.monotonic() + self._rest
        while not self._hurry and (remaining := end - time.monotonic()) > 0:
            self._condition.wait(remaining)
        self._rest = _next_rest(self._rest, len(self._items), self._bytes_waiting)
        self._hurry = self._closed

    @property
    def _bytes_waiting(self) -> int:
        return self._bytes_put - self._bytes_delivered

    def _deliver_each(self) -> None:
        func, take = self._function(), self._items.popleft
        while self._items:
            name, doc, size = take()
            if name is None:
                doc()
                continue
            try:
                func(name, doc)
            except BaseException as error:
                self._note(error)
            del doc  # a frame must not live until the next one comes
            if size:
                self._bytes_delivered += size

    def _function(self) -> Callable[[str, Any], Any]:
        """Return what is called with each item that is no mark."""
        return self._func

    def _deliver_batches(self) -> None:
        take_batch: Callable[[list[tuple[str, Any]]], Any] = self._func.take_batch  # type: ignore[attr-defined]
        while self._items:
            batch, size, mark = self._take()
            try:
                if batch:
                    take_batch(batch)
            except BaseException as error:
                self._note(error)
            del batch
            self._bytes_delivered += size
            if mark is not None:
                mark()

    def _take(self) -> tuple[list[tuple[str, Any]], int, Callable[[], None] | None]:
        """Take documents off the line, and their bytes; up to a mark, which is taken as well."""
        batch: list[tuple[str, Any]] = []
        total = 0
        while self._items and len(batch) < BATCH_DOCUMENTS and total < BATCH_BYTES:
            name, doc, size = self._items.popleft()
            if name is None:
                return batch, total, doc
            batch.append((name, doc))
            total += size
        return batch, total, None

    def _note(self, error: BaseException) -> None:
        _log.error("The document subscriber %r raised.", self._func, exc_info=error)
        with self._condition:
            if self._failure is None:
                self._failure = error
        failed = self._failed()
        if self.awaited and failed is not None:
            failed(error)


@final
class QueuedDelivery(Delivery):
    """Delivers every document."""


@final
class LatestDelivery(Delivery):
    """Delivers of each stream's events the newest alone, and every other document."""

    awaited = False

    def _make_put(self) -> Callable[[str, Any], None]:
        # By kind and stream, the newest event that waits; guarded by the lock. In the line, the
        # key stands for it.
        self._newest: dict[tuple[str, str], Any] = {}

        def put(name: str, doc: Any) -> None:
            if name not in ("event", "event_page"):
                self._items.append((name, doc, 0))
            else:
                key = name, doc["descriptor"]
                with self._condition:
                    is_first = key not in self._newest
                    self._newest[key] = doc
                if not is_first:
                    return
                self._items.append((name, key, 0))
            if self._dozing:
                self._wake(hurry=False)

        return put

    def _function(self) -> Callable[[str, Any], Any]:
        def call(name: str, what: Any) -> None:
            if isinstance(what, tuple):
                with self._condition:
                    what = self._newest.pop(what)
            self._func(name, what)

        return call

    def _takes_batches(self) -> bool:
        return False  # what still waits when the subscriber is free may be a newer one by then


DELIVERIES: Final[dict[str, type[Delivery]]] = {
    "queued": QueuedDelivery,
    "latest": LatestDelivery,
}


def _next_rest(rest: float, documents: int, size: int) -> float:
    """Return how long to rest after a rest in which so many documents and bytes of arrays came."""
    if documents < MANY * rest or size > BATCH_BYTES:
        return REST
    return min(2 * rest, LONG_REST)


def _size_of(doc: Any) -> int:
    data = doc.get("data")
    if not data or not isinstance(data, dict):
        return 0
    size = 0
    for value in data.values():
        if type(value) is not float:  # most are
            size += getattr(value, "nbytes", 0)
    return size
