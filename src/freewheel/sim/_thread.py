"""Work that would hold up an event loop, done on a thread that ends with it."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, TypeVar

from freewheel.core._crossings import settle_soon

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


async def run_in_thread(work: Callable[[], T], name: str) -> T:
    """Run a function on a short-lived thread and return its result.

    A loop's own executor keeps its threads for as long as the loop lives, and devices don't know
    when that is. Starting a thread takes a tenth of a millisecond, which is little beside
    what is worth a thread.

    When the caller is cancelled the work goes on to its end, and its result is dropped.

    Parameters
    ----------
    work : Callable
        The function, without arguments.
    name : str
        Name of the thread.

    Returns
    -------
    object
        What the function returned. What it raised is raised.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        result: T | None = None
        error: BaseException | None = None
        try:
            result = work()
        except BaseException as problem:
            error = problem
        settle_soon(done, result, error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await done
