"""Few shared threads that run callbacks, so that one which blocks holds up no other."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

from ._timers import IDLE_SECONDS, timers

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MAX_WORKERS", "PATIENCE", "Helpers", "helpers"]

_log = logging.getLogger(__name__)

MAX_WORKERS: Final = 128
"""How many callbacks may block at a time before others have to wait for one of them."""

PATIENCE: Final = 0.002
"""How long a callback may wait before a thread is added for it, in seconds."""

# Workers that take this many callbacks within PATIENCE are busy, not blocked: threads that share
# one interpreter lock would not get through such a queue sooner.
_BRISK = 8

_Item: TypeAlias = "tuple[float, Callable[[Any], None], Any]"


@final
class Helpers:
    """Runs functions on shared daemon threads.

    There is one thread as long as callbacks return quickly. When one has waited for `PATIENCE`,
    and those before it do not move on, further threads are added, up to `MAX_WORKERS`,
    and go again after `IDLE_SECONDS` without work.

    The invariant that keeps a callback from being forgotten: if there are more items than workers
    on their way to look for one, the watch is set; and the watch, when it goes off, is set again
    as long as there is an item, whoever took which in the meantime.
    """

    done = False  # the watch is an entry among the timers, and always needed

    def __init__(self) -> None:
        # Guards all below. Re-entrant, see Timers. May be held when the timers' lock is taken,
        # not the other way round.
        self._lock = threading.RLock()
        self._items: deque[_Item] = deque()  # with the time at which each came
        self._idle: list[threading.Lock] = []  # what wakes each idle worker, the latest last
        self._workers = 0  # all of them
        self._coming = 0  # those that were started or woken and have not looked yet
        self._taken = 0  # items taken since the watch was set
        self._added = 0  # workers added when the watch last went off
        self._watching = False
        self._complained = False
        self._ending = False  # set once, when the interpreter begins to end

    @property
    def full(self) -> bool:
        """Whether `MAX_WORKERS` threads are there and none of them is idle."""
        with self._lock:
            return self._workers >= MAX_WORKERS and not self._idle and not self._coming

    def submit(self, func: Callable[[Any], None], argument: Any) -> None:
        """Have a function called with an argument, soon, on one of the threads. From any thread.

        What it raises is logged.
        """
        item = (time.monotonic(), func, argument)
        with self._lock:
            self._items.append(item)
            if self._idle and not self._coming:
                self._wake_worker()
                return
            # From Python 3.12 on an interpreter that ends starts no thread: nobody could take the
            # place of a worker that blocks, however long one watches.
            if self._workers and not self._ending:
                self._watch(item[0] + PATIENCE)
                return
            if self._add_worker():
                return
            self._items.remove(item)
        _call(item)  # not even one thread to be had: rather late in the caller's than never

    def note_end(self) -> None:
        """Expect that no thread can be had any more, for the interpreter ends. From any thread."""
        with self._lock:
            self._ending = True

    def _watch(self, when: float) -> None:
        """Have the queue looked at. With the lock held."""
        if not self._watching:
            self._watching = True
            self._taken = 0
            timers.call_at(when, Helpers._look, self._myself)

    def _myself(self) -> Helpers:
        return self

    def _look(self) -> None:
        """Add workers if the queue does not move. On the timer thread."""
        with self._lock:
            self._watching = False
            if not self._items:
                return
            waiting_since = self._items[0][0]
            now = time.monotonic()
            if now - waiting_since < PATIENCE:
                self._watch(waiting_since + PATIENCE)
                return
            if self._workers >= MAX_WORKERS and not self._idle and not self._coming:
                # No more looking: it could change nothing. A worker that comes free goes on
                # with the queue, and the next item to come sets the watch again.
                self._complain()
                return
            if not self._coming and not self._grow() and self._ending:
                return  # nor will there be one later; a worker that comes free goes on
            self._watch(now + PATIENCE)

    def _grow(self) -> bool:
        """Put more workers to the queue if it does not move. With the lock held.

        Returns ``False`` if a thread was needed, and could not be had.
        """
        # Each of those that were added last has taken one item; the rest is what moves on.
        moved = self._taken - self._added
        if moved >= _BRISK:
            self._added = 0
            return True
        # If nothing moves, as many as there are: a hundred callbacks that block are passed in
        # some seven steps.
        wanted = 1 if moved > 0 else max(1, self._workers)
        self._added = min(wanted, len(self._items))
        for _ in range(self._added):
            if self._idle:
                self._wake_worker()
            elif self._workers < MAX_WORKERS and not self._add_worker():
                return False
        return True

    def _wake_worker(self) -> None:
        """Wake the worker that went idle last. With the lock held."""
        self._coming += 1
        self._idle.pop().release()

    def _complain(self) -> None:
        if not self._complained:
            self._complained = True
            _log.error(
                "%d callbacks block at the same time, and %d wait until one of them returns; "
                "the next is %r. Let callbacks hand long work to a thread of their own.",
                MAX_WORKERS,
                len(self._items),
                self._items[0][2],
            )

    def _add_worker(self) -> bool:
        """Start a worker if that is possible, and tell whether. With the lock held."""
        self._workers += 1
        self._coming += 1
        thread = threading.Thread(target=self._run, name="freewheel-callbacks", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            # The machine has no more threads, or the interpreter is shutting down.
            self._workers -= 1
            self._coming -= 1
            if not self._ending:
                _log.warning("No further thread for callbacks: %s", error)
            return False
        return True

    def _run(self) -> None:
        """Work until there has been nothing to do for a while. A worker's own function."""
        bell = threading.Lock()
        bell.acquire()
        with self._lock:
            self._coming -= 1
        while True:
            item = self._take(bell)
            if item is not None:
                _call(item)
                # Nothing of it may be kept alive while the worker sleeps.
                del item
            elif not self._sleep(bell):
                return

    def _take(self, bell: threading.Lock) -> _Item | None:
        """Take the next item, or join the idle workers."""
        with self._lock:
            if self._items:
                self._taken += 1
                return self._items.popleft()
            self._idle.append(bell)
            self._complained = False
            return None

    def _sleep(self, bell: threading.Lock) -> bool:
        """Wait to be woken; return ``False`` for a worker that is not needed any more."""
        woken = bell.acquire(timeout=IDLE_SECONDS)
        with self._lock:
            if not woken and bell in self._idle:
                self._idle.remove(bell)
                self._workers -= 1
                return False
            if not woken:
                # Woken between the end of its time and the lock.
                bell.acquire()
            self._coming -= 1
            return True


def _call(item: _Item) -> None:
    _, func, argument = item
    try:
        func(argument)
    except BaseException:
        # The thread belongs to all: not even SystemExit may end it.
        _log.exception("%r(%r) raised on a shared thread", func, argument)


helpers = Helpers()
"""Those of this process."""

try:
    # Before the interpreter ends its threads; there is no public name for that moment.
    getattr(threading, "_register_atexit", atexit.register)(helpers.note_end)
except RuntimeError:  # imported by what runs at the end
    helpers.note_end()


def _start_anew_after_fork() -> None:
    # Threads don't survive a fork, and what was waiting is run by the parent.
    helpers.__init__()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew_after_fork)
