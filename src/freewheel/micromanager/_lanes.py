"""Threads that calls to the core are made on, one after the other."""

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

__all__ = ["THREAD_NAME", "Lane"]

T = TypeVar("T")

THREAD_NAME: Final = "freewheel-mmcore"
"""How the names of the threads begin. They go by themselves when idle."""

_IDLE: Final = 5.0  # s that a thread without work stays

_Job: TypeAlias = "tuple[asyncio.Future[Any], Callable[[], Any], float]"


@final
class Lane:
    """Makes calls one after the other, in the order in which they came, off every event loop.

    One thread, which starts when it is needed and goes after some seconds without work. Belongs
    to no loop: `call` may be awaited on any.

    Parameters
    ----------
    name : str
        What the lane is for; part of its thread's name.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        # Guards _working. A job is put into the queue with the lock held, and the thread looks
        # whether the queue is empty with the lock held before it goes: no job is left behind.
        self._lock = threading.Lock()
        self._working = False
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        # When the call that is being made is overdue. Written by the lane's thread, in one step;
        # read from any loop.
        self._overdue = math.inf

    async def call(self, work: Callable[[], T], limit: float = math.inf) -> T:
        """Make a call when those before it have returned, and wait for its answer.

        When the caller is cancelled, or the time is up, a call that has not begun is not made;
        the answer of one that has is dropped.

        Parameters
        ----------
        work : callable
            What to call, without arguments, on the lane's thread.
        limit : float, optional
            How long it may take from when it is its turn [s].

        Returns
        -------
        object
            What it returned. What it raised is raised.

        Raises
        ------
        TimeoutError
            When it takes longer, or one before it takes longer than that one may.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._submit((future, work, limit))
        if limit == math.inf:
            return await future

        timer: asyncio.TimerHandle

        def look() -> None:
            nonlocal timer
            left = self._overdue - time.monotonic()
            if left <= 0 and not future.done():
                future.set_exception(TimeoutError())
            else:  # the call has not begun, or not long ago
                timer = loop.call_later(min(left, limit), look)

        timer = loop.call_later(limit, look)
        try:
            return await future
        finally:
            timer.cancel()

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
        self._overdue = time.monotonic() + limit
        result: Any = None
        error: BaseException | None = None
        try:
            result = work()
        except BaseException as problem:
            error = problem
        self._overdue = math.inf
        settle_soon(future, result, error)
