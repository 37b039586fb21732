"""Waking a coroutine that waits on some loop, from any thread."""

from __future__ import annotations

import asyncio
from typing import TypeAlias

__all__ = ["Waiter", "new_waiter", "wake"]

Waiter: TypeAlias = tuple[asyncio.AbstractEventLoop, "asyncio.Future[None]"]
"""A future that a coroutine awaits, with the loop that it belongs to."""


def new_waiter() -> Waiter:
    """Return a waiter for the coroutine that calls."""
    loop = asyncio.get_running_loop()
    return loop, loop.create_future()


def wake(waiter: Waiter) -> None:
    """Wake a waiter. From any thread; never raises for a loop that has been closed."""
    loop, future = waiter
    try:
        # From any thread into the loop's own, where alone its futures may be touched.
        loop.call_soon_threadsafe(_resolve, future)
    except RuntimeError:
        # The loop has been closed: nobody is left who could wait.
        if not loop.is_closed():
            raise


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
