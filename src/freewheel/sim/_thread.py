"""Work that would hold up an event loop, done on a thread that ends with it."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, TypeVar

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

    def tell(result: T | None, error: BaseException | None) -> None:
        # On the loop.
        if done.done():
            return
        if error is None:
            done.set_result(result)  # type: ignore[arg-type]
        else:
            done.set_exception(error)

    def run() -> None:
        result: T | None = None
        error: BaseException | None = None
        try:
            result = work()
        except BaseException as problem:
            error = problem
        try:
            loop.call_soon_threadsafe(tell, result, error)  # comes from the short-lived thread
        except RuntimeError:
            pass  # the loop is closed: nobody waits any more

    threading.Thread(target=run, name=name, daemon=True).start()
    return await done
