"""One thread that calls functions at their times, for everything that has a time-out."""

from __future__ import annotations

import heapq
import itertools
import logging
import math
import os
import queue
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["IDLE_SECONDS", "Timed", "Timers", "timers"]

_log = logging.getLogger(__name__)

IDLE_SECONDS = 5.0
"""How long a helper thread with nothing to do stays, in seconds."""

# How many functions are called between two looks at the heap: bounds how long the lock is held.
_BATCH = 256
# How many new entries are gathered before they are sorted in.
_NEW_AT_MOST = 1024
# The heap is swept when it has this many entries, and twice what the last sweep left.
_FIRST_SWEEP = 1024


class Timed(Protocol):
    """What an entry of the heap belongs to."""

    @property
    def done(self) -> bool:
        """Whether the call is no longer needed."""
        ...


_Entry: TypeAlias = "tuple[float, int, Callable[[Any], None], Callable[[], Timed | None]]"


@final
class Timers:
    """Calls functions at their times, on one shared daemon thread.

    There is no way to cancel: an entry whose owner is done or was collected is passed over when
    its time comes, and thrown out earlier, with all of its kind, when they grow many. So a
    cancelled entry costs nothing but a bounded share of memory; and most entries are over before
    they would have been sorted in.

    The thread starts with the first entry and ends when there has been none for `IDLE_SECONDS`.
    """

    def __init__(self) -> None:
        # New entries, in the order in which they came. Anybody appends, without the lock; who
        # takes them out holds it.
        self._new: deque[_Entry] = deque()
        self._numbers = itertools.count()  # entries of the same time keep their order
        # Guards all below. Re-entrant: a finalizer or a signal handler may schedule something
        # in the middle of a call that the same thread makes.
        self._lock = threading.RLock()
        self._heap: list[_Entry] = []
        self._sweep_at = _FIRST_SWEEP
        self._sorting = False
        # Written under the lock, read without by those who have appended an entry before:
        # - whether the thread runs: it looks at the new entries once more after saying no;
        # - when it will wake by itself: -inf while it is awake, inf from before it takes the
        #   new entries until it knows when to wake. So an entry that it does not see finds inf,
        #   or a time with which to compare its own.
        self._running = False
        self._wakes_at = -math.inf
        # Unlike a Condition, a SimpleQueue may be put to from a finalizer or a signal handler.
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()

    def __len__(self) -> int:
        """Return the number of entries, those that are passed over included."""
        return len(self._new) + len(self._heap)

    def call_at(
        self, when: float, func: Callable[[Any], None], owner: Callable[[], Timed | None]
    ) -> None:
        """Have `func` called with the owner at a time. From any thread.

        Parameters
        ----------
        when : float
            The time, in seconds as `time.monotonic` counts them. Not inf: that is never.
        func : callable
            Called on the timer thread, so it must be quick. What it raises is logged.
        owner : callable
            Returns the owner, or ``None`` when it is gone: a weak reference, mostly.
        """
        self._new.append((when, next(self._numbers), func, owner))
        if not self._running or when < self._wakes_at or len(self._new) > _NEW_AT_MOST:
            self._attend(when)

    def _attend(self, when: float) -> None:
        """Do what a new entry needs: a thread that runs, and wakes in time, and order."""
        with self._lock:
            if len(self._new) > _NEW_AT_MOST:
                self._sort_in()
            if not self._running:
                self._start()
            elif when < self._wakes_at:
                self._wakes_at = -math.inf
                self._bell.put(None)

    def _sort_in(self) -> None:
        """Move the new entries that are still needed into the heap. With the lock held."""
        if self._sorting:
            # A finalizer, in the middle of it: its entry is seen by the loop below, or else it
            # has rung the bell.
            return
        self._sorting = True
        try:
            while self._new:
                entry = self._new.popleft()
                if _is_needed(entry):
                    heapq.heappush(self._heap, entry)
            if len(self._heap) >= self._sweep_at:
                self._sweep()
        finally:
            self._sorting = False

    def _sweep(self) -> None:
        """Drop the entries that are not needed any more. With the lock held."""
        self._heap = [entry for entry in self._heap if _is_needed(entry)]
        heapq.heapify(self._heap)
        self._sweep_at = max(_FIRST_SWEEP, 2 * len(self._heap))

    def _start(self) -> None:
        """Start the thread. With the lock held."""
        self._running = True
        self._wakes_at = -math.inf
        thread = threading.Thread(target=self._run, name="freewheel-timer", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            # The machine has no more threads, or the interpreter is shutting down. Whatever
            # is timed can still be finished by others; the next entry tries again.
            self._running = False
            _log.warning("Time-outs are not watched for now: %s", error)

    def _run(self) -> None:
        """Work until there has been nothing to do for a while. The thread's own function."""
        while True:
            due, sleep = self._take_due()
            if due:
                _call(due)
                # Nothing of it may be kept alive while the thread sleeps.
                del due
                continue
            try:
                self._bell.get(timeout=sleep)
            except queue.Empty:
                with self._lock:
                    self._running = False
                    if not self._new and not self._heap:
                        return
                    self._running = True

    def _take_due(self) -> tuple[list[_Entry], float]:
        """Take what is due now off the heap; return it, and how long to sleep if it is nothing."""
        due: list[_Entry] = []
        now = time.monotonic()
        with self._lock:
            self._wakes_at = math.inf
            self._sort_in()
            heap = self._heap
            while heap and heap[0][0] <= now and len(due) < _BATCH:
                due.append(heapq.heappop(heap))
            if due:
                self._wakes_at = -math.inf
                return due, 0.0
            sleep = heap[0][0] - now if heap else IDLE_SECONDS
            sleep = min(sleep, threading.TIMEOUT_MAX)
            self._wakes_at = now + sleep
            return due, sleep


def _is_needed(entry: _Entry) -> bool:
    owner = entry[3]()
    return owner is not None and not owner.done


def _call(due: list[_Entry]) -> None:
    for _, _, func, ref in due:
        owner = ref()
        if owner is None:
            continue
        try:
            func(owner)
        except BaseException:
            # All time-outs of the process hang on this thread: nothing may end it.
            _log.exception("A timer of %r raised", owner)


timers = Timers()
"""The one of this process."""


def _start_anew_after_fork() -> None:
    # Threads don't survive a fork, and what was timed is the parent's, which times it still.
    timers.__init__()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew_after_fork)
