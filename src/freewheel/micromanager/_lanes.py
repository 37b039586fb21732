"""Threads that calls to the core are made on, one after the other, and the gate that ends them."""

from __future__ import annotations

import asyncio
import math
import queue
import threading
import time
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, final

from freewheel.core._crossings import settle_soon

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["THREAD_NAME", "ClosedError", "Gate", "Lane"]

T = TypeVar("T")

THREAD_NAME: Final = "freewheel-mmcore"
"""How the names of the threads begin. They go by themselves when idle."""

_IDLE: Final = 5.0  # s that a thread without work stays

_LOOK: Final = 1.0  # s until it is looked whether a call takes too long

_Job: TypeAlias = "tuple[asyncio.Future[Any], Callable[[], Any], Callable[[], float]]"


class ClosedError(RuntimeError):
    """The devices were closed: the core may be without what they are made of."""

    def __str__(self) -> str:
        """Say what to do."""
        return (
            "its devices were closed, or the core has unloaded them; make new ones of what is "
            "loaded now (freewheel.micromanager.devices)"
        )


@final
class Gate:
    """What every call to the core goes through, until it is closed.

    A core whose devices are unloaded while somebody calls them takes the process with it. So
    whoever unloads closes the gate first, which waits for the calls that are under way.
    """

    def __init__(self) -> None:
        # Guards both: a call is counted before it is made, and none is once the gate is closed.
        self._changed = threading.Condition(threading.Lock())
        self._inside = 0
        self._closed = False

    def __enter__(self) -> None:
        """Begin a call; on its thread.

        Raises
        ------
        ClosedError
            When it must not be made any more.
        """
        with self._changed:
            if self._closed:
                raise ClosedError
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        """End it."""
        with self._changed:
            self._inside -= 1
            if self._closed and not self._inside:
                self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """Whether no call is made any more."""
        return self._closed

    def close(self) -> bool:
        """Let nobody in any more; return whether it was open. From any thread."""
        with self._changed:
            was_open, self._closed = not self._closed, True
        return was_open

    def wait_empty(self, patience: float) -> bool:
        """Wait for those inside, from any thread but theirs.

        Returns
        -------
        bool
            Whether nobody is inside; false when that took longer than `patience` [s].
        """
        with self._changed:
            return self._changed.wait_for(lambda: not self._inside, patience)


def _for_ever() -> float:
    return math.inf


@final
class _Watch:
    """Looks now and then whether a call takes too long; on the loop.

    Refers to itself only until it is ended: or else answers, which may be large, would stay until
    they are collected.
    """

    __slots__ = ("_every", "_future", "_left", "_loop", "_timer")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        future: asyncio.Future[Any],
        left: Callable[[], float],
        every: float,
    ) -> None:
        self._loop = loop
        self._future = future
        self._left = left
        self._every = every
        self._timer = loop.call_later(every, self._look)

    def _look(self) -> None:
        left = self._left()
        if left <= 0 and not self._future.done():
            self._future.set_exception(TimeoutError())
        else:  # the call has not begun, or not long ago
            self._timer = self._loop.call_later(min(left, self._every), self._look)

    def end(self, _: object = None) -> None:
        self._timer.cancel()


@final
class Lane:
    """Makes calls one after the other, in the order in which they came, off every event loop.

    One thread, which starts when it is needed and goes after some seconds without work. Belongs
    to no loop: `call` may be awaited on any.

    Parameters
    ----------
    name : str
        What the lane is for; part of its thread's name.
    gate : Gate, optional
        What its calls go through; by default one of its own.
    look : float
        How long it is until the lane looks whether a call takes too long [s].
    """

    def __init__(self, name: str, gate: Gate | None = None, look: float = _LOOK) -> None:
        self._name = name
        self._gate = Gate() if gate is None else gate
        self._look = look
        # Guards _working. A job is put into the queue with the lock held, and the thread looks
        # whether the queue is empty with the lock held before it goes: no job is left behind.
        self._lock = threading.Lock()
        self._working = False
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        # When the call that is being made began, and how long it may take. Written by the lane's
        # thread, in one step; read from any loop.
        self._current: tuple[float, Callable[[], float]] = (math.inf, _for_ever)

    async def call(self, work: Callable[[], T], limit: Callable[[], float] = _for_ever) -> T:
        """Make a call when those before it have returned, and wait for its answer.

        When the caller is cancelled, or the time is up, a call that has not begun is not made;
        the answer of one that has is dropped.

        Parameters
        ----------
        work : callable
            What to call, without arguments, on the lane's thread.
        limit : callable, optional
            Returns how long it may take from when it is its turn [s]. Asked only of calls that
            take long, on the loop.

        Returns
        -------
        object
            What it returned. What it raised is raised.

        Raises
        ------
        TimeoutError
            When it takes longer, or one before it takes longer than that one may.
        """
        return await self.begin(work, limit)

    def begin(
        self, work: Callable[[], T], limit: Callable[[], float] = _for_ever
    ) -> asyncio.Future[T]:
        """Have a call made, as `call`; return its future, on whose loop this is called."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._submit((future, work, limit))
        future.add_done_callback(_Watch(loop, future, self._left, self._look).end)
        return future

    def _left(self) -> float:
        """Return how long the call that is being made may still take [s]."""
        began, limit = self._current
        return math.inf if began == math.inf else began + limit() - time.monotonic()

    def _submit(self, job: _Job) -> None:
        with self._lock:
            self._jobs.put(job)
            if self._working:
                return
            self._working = True
        # A daemon: a device that never answers must not keep the process.
        threading.Thread(target=self._work, name=f"{THREAD_NAME} {self._name}", daemon=True).start()

    def _work(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=_IDLE)
            except queue.Empty:
                with self._lock:
                    if self._jobs.empty():
                        self._working = False
                        return
                continue
            self._do(job)
            del job  # else an idle thread would keep what it was asked for last

    def _do(self, job: _Job) -> None:
        future, work, limit = job
        if future.done():  # whoever waited for it has given up
            return
        self._current = time.monotonic(), limit
        result: Any = None
        error: BaseException | None = None
        try:
            with self._gate:
                result = work()
        except BaseException as problem:
            error = problem
        self._current = math.inf, _for_ever
        settle_soon(future, result, error)
