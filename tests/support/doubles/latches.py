"""A latch as other libraries have it."""

from __future__ import annotations

import asyncio
import threading


class OtherLatch:
    """A set-reset latch for any thread, with none of what an `SRLatch` has besides."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_set = False
        # By what they wait for.
        self._waiters: dict[bool, list[asyncio.Future[None]]] = {True: [], False: []}

    def set(self) -> None:
        self._change(True)

    def reset(self) -> None:
        self._change(False)

    def _change(self, to: bool) -> None:
        with self._lock:
            if self._is_set is to:
                return
            self._is_set = to
            waiters, self._waiters[to] = self._waiters[to], []
        for waiter in waiters:
            waiter.get_loop().call_soon_threadsafe(_wake, waiter)

    def is_set(self) -> bool:
        return self._is_set

    async def wait_for_set(self) -> None:
        await self._wait_for(True)

    async def wait_for_reset(self) -> None:
        await self._wait_for(False)

    async def _wait_for(self, state: bool) -> None:
        with self._lock:
            if self._is_set is state:
                return
            waiter = asyncio.get_running_loop().create_future()
            self._waiters[state].append(waiter)
        await waiter

    @property
    def followed(self) -> bool:
        """Whether somebody waits for it."""
        return any(not w.done() for waiters in self._waiters.values() for w in waiters)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
