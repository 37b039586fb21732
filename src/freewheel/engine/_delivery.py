"""Delivery of documents on threads of their own, off the engine's loop.

The engine's thread only puts documents into a line. A subscriber's thread is woken for the first
of them, works until the line is empty, and then rests for a hundredth of a second, or for up to
five while documents come by the thousand: meanwhile they pile up and cost the engine's thread
nothing but the putting.

A wake-up may cost a plan more than all documents do, since the two threads have to pass Python's
lock on: until the one that was woken has it, the other one offers it at each turn of its loop, by
a call of the operating system, and for 5 ms in vain. So where many documents or bytes have piled
up, it is the engine that stops (`Delivery.is_behind`), for as long as the subscriber's thread
needs to come and take them (`Delivery.caught_up`): a tenth of a millisecond instead of 5.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

from freewheel.core._crossings import call_soon
from freewheel.core._data_size import StreamsOfNumbers

if TYPE_CHECKING:
    import weakref
    from collections.abc import Callable

__all__ = ["DELIVERIES", "Delivery", "LatestDelivery", "Piled", "QueuedDelivery"]

_log = logging.getLogger("freewheel")

#: The plan waits for a queued subscriber that is behind by so many documents …
MAX_DOCUMENTS: Final = 10_000
#: … or by so many bytes of data, see `data_size`.
MAX_BYTES: Final = 1 << 30
#: What comes meanwhile from monitors waits for nobody: at so much the plan fails.
FULL_DOCUMENTS: Final = 4_000_000
FULL_BYTES: Final = 1 << 32
#: A subscriber's thread is woken by documents once in so many seconds at most …
REST: Final = 0.01
#: … or in so many while more than so many documents a second come: nobody can follow them one by
#: one then. The engine lets it come after a part of that time, before it wakes by itself.
LONG_REST: Final = 0.05
MANY: Final = 2_000
EARLIER: Final = 0.8
#: While all streams are of numbers alone, by their descriptors, one event in so many is looked at.
LOOKED_AT: Final = 32
#: So much at most is handed over at once to a subscriber that takes batches.
BATCH_DOCUMENTS: Final = 1_000
BATCH_BYTES: Final = 1 << 25
#: The engine lets a subscriber's thread come first until so many seconds after it has come last …
PATIENCE: Final = 0.04
#: … if it was done with the batch before in so many: one that is slow, or whose disk is, is none of
#: the plan's business before MAX_DOCUMENTS and MAX_BYTES.
QUICK: Final = 0.1


# A document that waits, with its kind and the bytes of its data; or a mark, without a kind, that
# calls back when it is reached; or an event whose data are numbers, by itself: to make a tuple for
# each, to take it apart and to have Python's collector look at it is felt.
_Item: TypeAlias = "tuple[str | None, Any, int] | Any"


@final
class Piled:
    """Whether documents have piled up for any subscriber of an engine; of the engine's thread.

    Attributes
    ----------
    up : bool
        Whether there is a reason to ask the deliveries: `Delivery.is_behind`.
    """

    __slots__ = ("up",)

    def __init__(self) -> None:
        self.up = False


class Delivery:
    """Calls a subscriber on a thread of its own, in the documents' order.

    Parameters
    ----------
    func : callable
        The subscriber, ``func(name, doc)``. It is kept alive until it is unsubscribed. If it has
        a method ``take_batch``, that is called instead, with a list of ``(name, doc)``; if it has
        ``begin_batch``, too, that is called, then what it returns while the engine goes on, and
        then what this returns, if anything.
    failed : weakref.WeakMethod
        Of the method to call, on the subscriber's thread, with what an awaited subscriber raised;
        or on the engine's, with `True`, if the plan is to hear of it now and not at its next
        message. Weak, so that the thread does not keep the engine alive.
    piled : Piled
        Where it says that documents pile up.

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
        failed: weakref.WeakMethod[Callable[[BaseException, bool], None]],
        piled: Piled,
    ) -> None:
        self._func = func
        self._failed = failed
        self._piled = piled
        # Put into by the engine's thread, taken from by the subscriber's: a deque allows both at
        # once. So do the numbers, which have one writer each.
        self._items: deque[_Item] = deque()
        self._bytes_put = 0  # written by the engine's thread
        # Written by the subscriber's thread, read by the engine's: what it took and delivered, how
        # many documents are a reason to let it come, whether the next one is, since when it is at
        # work, and whether it is likely to come back soon.
        self._bytes_taken = 0
        self._bytes_delivered = 0
        self._many = MAX_DOCUMENTS
        self._calls = False
        self._came = math.inf
        self._is_quick = True
        self._rest = REST  # of the subscriber's thread alone: for how long it rests next
        self._busy = False  # written by the subscriber's thread: what it took is not delivered yet
        # Of the engine's thread: whether it was said in this plan that the subscriber is behind,
        # and that it is too far behind; and what comes without a size.
        self._told = self._full = False
        self._streams = StreamsOfNumbers()
        # Guards what follows. Notified when there is something to do that cannot wait until the
        # thread has rested: the first document of a burst, a mark, the end.
        self._condition = threading.Condition(threading.Lock())
        self._dozing = False  # the thread waits for a document, and is to be woken by the first
        self._marks = 0  # in the line: somebody waits until what is before them is delivered
        self._closed = False
        self._awaiting: list[Callable[[], None]] = []  # each tells the engine to go on
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
        unseen = 0  # of the engine's thread: so many of the next events need no look

        def put(name: str, doc: Any) -> None:
            # What runs once in a turn of the engine's loop runs three times as slowly as in a loop
            # of its own: so there is next to nothing to run for the events that come by the
            # thousand.
            nonlocal unseen
            if unseen and name == "event":
                unseen -= 1
                append(doc)
            else:
                unseen = self._look_at(name, doc)
            if self._calls:
                self._attend()

        return put

    def _look_at(self, name: str, doc: Any) -> int:
        """Put a document with its size; return how many events may follow that nobody looks at."""
        streams = self._streams
        size = streams.size_of(name, doc)
        self._bytes_put += size
        self._items.append((name, doc, size))
        if self.has_piled_up():
            self._piled.up = True
            if not self._full:
                self._look_whether_full()
        if name != "event" or streams.others or len(self._items) + LOOKED_AT > self._many:
            return 0
        return LOOKED_AT - 1

    def _look_whether_full(self) -> None:
        """Fail the plan before the memory is full: monitors go on while it waits, or sleeps."""
        documents, size = len(self._items), self._bytes_waiting
        if not self.awaited or (documents <= FULL_DOCUMENTS and size <= FULL_BYTES):
            return
        self._full = True
        error = RuntimeError(
            f"The document subscriber {self._func!r} is behind by {documents} documents and "
            f"{size >> 20} MB of data, more than memory should hold: monitors bring more than it, "
            "or its disk, can take. What waits is still delivered. Have them bring less, or "
            'subscribe with delivery="latest" what need not see each document.'
        )
        _log.error("%s", error)  # they may be a task's, while there is no plan
        self._fail(error, at_once=True)

    def _attend(self) -> None:
        """Do what the subscriber's thread has called for; on the engine's."""
        # That thread says that it dozes before it looks at the line for the last time, and this
        # looks after something was put there: so one of them sees the other.
        if self._dozing:
            self._wake()
        self._piled.up = True

    def is_behind(self) -> bool:
        """Tell whether the engine is to let the subscriber come first, or to wait for it.

        To wait when more is to be done than may pile up, which is logged once a plan. From the
        engine's thread, for each document while they have `Piled` up.
        """
        if not self.has_piled_up():
            return False
        documents = len(self._items)
        size = self._bytes_waiting
        if documents <= MAX_DOCUMENTS and size <= MAX_BYTES:
            return self._is_quick and time.monotonic() < self._came + PATIENCE
        if not self._told:
            self._told = True
            _log.warning(
                "The document subscriber %r is behind by %d documents and %d MB of data: it, or "
                "its disk, is slower than the plan, which waits for it now and whenever it is so "
                "far behind.",
                self._func,
                documents,
                size >> 20,
            )
        return True

    def has_piled_up(self) -> bool:
        """Tell whether it is worth while for the subscriber to come."""
        return len(self._items) > self._many or self._bytes_put - self._bytes_taken > BATCH_BYTES

    async def caught_up(self) -> None:
        """Wait until the subscriber is not behind any more; on any loop."""
        if len(self._items) > MAX_DOCUMENTS or self._bytes_waiting > MAX_BYTES:
            # A few at a time: it is to run at the subscriber's pace, not to stop for minutes.
            await self._delivered(1 + len(self._items) // 8)
            return
        loop = asyncio.get_running_loop()
        go_on = asyncio.Event()
        with self._condition:
            if not self.has_piled_up():  # it has come since
                return
            self._awaiting.append(lambda: call_soon(loop, go_on.set))
            self._condition.notify()
        timer = loop.call_later(PATIENCE, go_on.set)
        try:
            await go_on.wait()
        finally:
            timer.cancel()

    async def drained(self) -> None:
        """Wait until all that was put until now is delivered; on any loop."""
        await self._delivered(None)

    async def _delivered(self, count: int | None) -> None:
        """Wait until the first so many that wait are delivered, or all."""
        loop = asyncio.get_running_loop()
        reached = asyncio.Event()

        def tell() -> None:
            call_soon(loop, reached.set)

        if self._closed or self.is_caller():
            return
        mark: _Item = (None, tell, 0)
        with self._condition:
            # With the lock, for somebody may close it just now: its thread ends when it finds
            # nothing left, and nobody would come to a mark that was put there afterwards.
            if not self._items and not self._busy:
                return
            self._marks += 1
            if count is None:
                self._items.append(mark)
            else:
                self._items.insert(count, mark)
        self._wake()
        await reached.wait()

    def _wake(self) -> None:
        with self._condition:
            if self._dozing:
                self._doze(False)
            self._condition.notify()

    def _is_hurried(self) -> bool:
        """Tell whether the thread may not rest. With the lock held."""
        return self._closed or bool(self._marks or self._awaiting)

    def _doze(self, dozing: bool) -> None:
        """Note whether the thread is to be woken by the first document; with the lock held."""
        self._dozing = self._calls = dozing

    def take_failure(self) -> BaseException | None:
        """Return the first failure since the last call; from the engine's thread."""
        self._told = self._full = False
        with self._condition:
            failure, self._failure = self._failure, None
        return failure

    def close(self) -> None:
        """Deliver what waits, then end the thread; from any thread, without waiting."""
        self._closed = True
        self._wake()

    def is_caller(self) -> bool:
        """Tell whether it is the subscriber that calls: it cannot wait for itself."""
        return threading.current_thread() is self._thread

    def join(self, timeout: float) -> None:
        """Wait for the thread's end, after `close`."""
        if not self.is_caller():
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
        if not self.has_piled_up():
            self._let_go_on()
        with self._condition:
            if not self.has_piled_up():
                self._pause()
            while not self._items and not self._closed:
                self._doze(True)
                if not self._items:
                    self._condition.wait()
                self._doze(False)
            self._busy = bool(self._items)
            return self._busy

    def _pause(self) -> None:
        """Let documents pile up for a while, unless somebody waits. With the lock held."""
        self._came, self._is_quick = math.inf, True
        began, before = time.monotonic(), len(self._items)
        end = began + self._rest
        while not self._is_hurried() and (remaining := end - time.monotonic()) > 0:
            self._condition.wait(remaining)
        # A rest that was cut short says little.
        pace = (len(self._items) - before) / max(time.monotonic() - began, REST)
        self._rest, self._many = _next_rest(self._rest, pace)

    def _let_go_on(self) -> None:
        """Let an engine go on that waits for this thread to come."""
        with self._condition:
            awaiting, self._awaiting = self._awaiting, []
        for go_on in awaiting:
            go_on()

    @property
    def _bytes_waiting(self) -> int:
        return self._bytes_put - self._bytes_delivered

    def _deliver_each(self) -> None:
        func, items, take = self._function(), self._items, self._items.popleft
        self._came = time.monotonic()
        self._let_go_on()
        item: Any
        while items:
            item = take()
            if type(item) is tuple:
                name, doc, size = item
                if name is None:
                    self._reach(doc)
                    continue
            else:
                name, doc, size = "event", item, 0
            try:
                func(name, doc)
            except BaseException as error:
                self._note(error)
            del item, doc  # a frame must not live until the next one comes
            if size:
                self._bytes_taken += size
                self._bytes_delivered += size

    def _reach(self, tell: Callable[[], None]) -> None:
        """Tell who waits for a mark that it is reached."""
        with self._condition:
            self._marks -= 1
        tell()

    def _function(self) -> Callable[[str, Any], Any]:
        """Return what is called with each item that is no mark."""
        return self._func

    def _deliver_batches(self) -> None:
        """Deliver what has piled up; all there is if somebody waits for that."""
        while self._items:
            self._came = time.monotonic()
            batch, size, mark = self._take()
            self._deliver_batch(batch)
            del batch
            self._bytes_delivered += size
            if mark is not None:
                self._reach(mark)
            with self._condition:
                if not self._marks and not self._closed and not self.has_piled_up():
                    break

    def _deliver_batch(self, batch: list[tuple[str, Any]]) -> None:
        many = self._many
        try:
            wait = self._begin(batch)
            self._let_go_on()
            settle = wait()
            now = time.monotonic()
            self._is_quick = now - self._came < QUICK
            if settle is not None:
                # It is back, and wants to be let come for what is left, and for the next batch.
                self._came, self._many, self._calls = now, -1, True
                settle()
        except BaseException as error:
            self._note(error)
        self._many, self._calls = many, False

    def _begin(self, batch: list[tuple[str, Any]]) -> Callable[[], Any]:
        """Hand a batch over; return what is to be done for it while the engine goes on."""
        func: Any = self._func
        if not batch:
            return _nothing
        if not hasattr(func, "begin_batch"):
            return partial(_call, func.take_batch, batch)
        return func.begin_batch(batch)  # type: ignore[no-any-return]

    def _take(self) -> tuple[list[tuple[str, Any]], int, Callable[[], None] | None]:
        """Take documents off the line, and their bytes; up to a mark, which is taken as well."""
        batch: list[tuple[str, Any]] = []
        total = 0
        mark = None
        while self._items and len(batch) < BATCH_DOCUMENTS and total < BATCH_BYTES:
            item: Any = self._items.popleft()
            if type(item) is not tuple:
                batch.append(("event", item))
                continue
            name, doc, size = item
            if name is None:
                mark = doc
                break
            batch.append((name, doc))
            total += size
        self._bytes_taken += total
        return batch, total, mark

    def _note(self, error: BaseException) -> None:
        _log.error("The document subscriber %r raised.", self._func, exc_info=error)
        self._fail(error)

    def _fail(self, error: BaseException, *, at_once: bool = False) -> None:
        """Keep a failure for the plan, and have it fail; on any thread, or the engine's."""
        with self._condition:
            if self._failure is None:
                self._failure = error
        failed = self._failed()
        if self.awaited and failed is not None:
            failed(error, at_once)


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
                self._wake()

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


def _next_rest(rest: float, pace: float) -> tuple[float, int]:
    """Return how long to rest after a rest, and how many documents are to end that.

    Parameters
    ----------
    rest : float
        How long the last one was meant to be.
    pace : float
        How many documents came in a second of it.
    """
    if pace < MANY:
        return REST, MAX_DOCUMENTS  # nobody minds a wake-up
    rest = min(2 * rest, LONG_REST)
    # More than a batch would wait for a second one, and be out of the processor's caches by then.
    return rest, min(int(EARLIER * pace * rest), BATCH_DOCUMENTS - 1)


def _nothing() -> None:
    pass


def _call(func: Callable[[Any], Any], argument: Any) -> None:
    func(argument)
