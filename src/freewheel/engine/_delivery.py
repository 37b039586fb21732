"""Delivery of documents on threads of their own, off the engine's loop."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final, final

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


class _Item:
    """A document that waits, or, without one, a mark that calls back when it is reached."""

    __slots__ = ("callback", "doc", "name", "size")

    def __init__(self, name: Any, doc: Any, size: int = 0, callback: Any = None) -> None:
        self.name = name
        self.doc = doc
        self.size = size
        self.callback = callback


class Delivery:
    """Calls a subscriber on a thread of its own, in the documents' order.

    Parameters
    ----------
    func : callable
        The subscriber, ``func(name, doc)``. It is kept alive until it is unsubscribed.
    failed : weakref.WeakMethod
        Of the method to call, on the subscriber's thread, with what an awaited subscriber raised.
        Weak, so that the thread does not keep the engine alive.
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
        # Guards what follows, and is notified when there is something to do.
        self._condition = threading.Condition()
        self._items: deque[_Item] = deque()
        self._bytes = 0
        self._closed = False
        self._failure: BaseException | None = None  # the first since `take_failure`
        self._thread = threading.Thread(
            target=self._deliver_all,
            name=f"freewheel-documents-{getattr(func, '__name__', type(func).__name__)}",
            daemon=True,
        )
        self._thread.start()

    def put(self, name: str, doc: Any) -> None:
        """Take a document; from the engine's thread. It never waits."""
        size = _size_of(doc)
        with self._condition:
            if not self._closed:
                self._enqueue(_Item(name, doc, size))
                self._bytes += size
                self._condition.notify()

    def _enqueue(self, item: _Item) -> None:
        """Add an item. With the lock held."""
        self._items.append(item)

    def is_behind(self) -> bool:
        """Tell whether the subscriber has more to do than may pile up."""
        return len(self._items) > MAX_DOCUMENTS or self._bytes > MAX_BYTES

    async def drained(self) -> None:
        """Wait until all that was put until now is delivered; on any loop."""
        loop = asyncio.get_running_loop()
        reached = asyncio.Event()

        def tell() -> None:
            call_soon(loop, reached.set)

        with self._condition:
            if self._closed or threading.current_thread() is self._thread:
                return
            self._items.append(_Item(None, None, callback=tell))
            self._condition.notify()
        await reached.wait()

    def take_failure(self) -> BaseException | None:
        """Return the first failure since the last call."""
        with self._condition:
            failure, self._failure = self._failure, None
        return failure

    def close(self) -> None:
        """Deliver what waits, then end the thread; from any thread, without waiting."""
        with self._condition:
            self._closed = True
            self._condition.notify()

    def join(self, timeout: float) -> None:
        """Wait for the thread's end, after `close`."""
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)

    def _deliver_all(self) -> None:
        while True:
            with self._condition:
                while not self._items:
                    if self._closed:
                        return
                    self._condition.wait()
                item = self._items.popleft()
                self._bytes -= item.size
            if item.callback is not None:
                item.callback()
                continue
            try:
                self._func(item.name, item.doc)
            except BaseException as error:
                self._note(error)
            del item  # a frame must not live until the next one comes

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

    def _enqueue(self, item: _Item) -> None:
        stream = _stream_of(item)
        if stream is not None:
            for waiting in self._items:
                if waiting.name == item.name and _stream_of(waiting) == stream:
                    self._bytes -= waiting.size
                    waiting.doc, waiting.size = item.doc, item.size
                    return
        self._items.append(item)


DELIVERIES: Final[dict[str, type[Delivery]]] = {
    "queued": QueuedDelivery,
    "latest": LatestDelivery,
}


def _stream_of(item: _Item) -> str | None:
    """Return the descriptor's uid of an event or a page of events."""
    if item.name in ("event", "event_page"):
        descriptor: str = item.doc["descriptor"]
        return descriptor
    return None


def _size_of(doc: Any) -> int:
    data = doc.get("data")
    if not isinstance(data, dict):
        return 0
    return sum(getattr(value, "nbytes", 0) for value in data.values())
