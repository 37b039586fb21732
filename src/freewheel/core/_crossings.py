"""From one thread into a loop that another one runs: the only place where that is done.

A loop's futures, events and tasks may be touched on its own thread alone. A loop that has been
closed has nobody left who could wait on it: what is meant for it is dropped.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from ._devices import quoted_name
from ._errors import UnknownStatusFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Future

__all__ = ["Waiter", "call_soon", "completion", "new_waiter", "run_soon", "settle_soon", "wake"]

T = TypeVar("T")

Waiter: TypeAlias = tuple[asyncio.AbstractEventLoop, "asyncio.Future[None]"]
"""A future that a coroutine awaits, with the loop that it belongs to."""


def call_soon(
    loop: asyncio.AbstractEventLoop, callback: Callable[..., object], *args: object
) -> None:
    """Have ``callback(*args)`` called on a loop's thread; from any thread, without waiting.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        The loop. If it has been closed nothing is called.
    callback : callable
        What to call.
    *args
        What to call it with.
    """
    try:
        loop.call_soon_threadsafe(callback, *args)
    except RuntimeError:
        # Asked after the fact, for the loop may be closed at any moment.
        if not loop.is_closed():
            raise


def run_soon(loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, T]) -> Future[T]:
    """Run a coroutine on a loop that another thread runs; from any thread, without waiting.

    Returns
    -------
    concurrent.futures.Future
        Of what it returns. To cancel it is to cancel the coroutine.

    Raises
    ------
    RuntimeError
        If the loop has been closed: nobody would ever answer.
    """
    try:
        return asyncio.run_coroutine_threadsafe(coro, loop)
    except RuntimeError:
        coro.close()  # or else Python warns, later and elsewhere, that nobody awaited it
        raise


def new_waiter() -> Waiter:
    """Return a waiter for the coroutine that calls."""
    loop = asyncio.get_running_loop()
    return loop, loop.create_future()


def wake(waiter: Waiter) -> None:
    """Wake a waiter, unless it was woken or cancelled before; from any thread."""
    loop, future = waiter
    call_soon(loop, _settle, future, None, None)


def settle_soon(
    future: asyncio.Future[T], result: T | None = None, error: BaseException | None = None
) -> None:
    """Give a loop's future its result, or what it failed with; from any thread.

    One that has ended, because its waiter was cancelled, stays as it is.
    """
    call_soon(future.get_loop(), _settle, future, result, error)


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)


async def completion(answer: Any) -> None:
    """Wait for what a device has begun; on any loop.

    To cancel the wait leaves what is waited for as it is; a coroutine, which is run by this very
    wait, is cancelled.

    Parameters
    ----------
    answer : object
        A status of bluesky's protocol, of ophyd-async, of ophyd (also one that knows only
        ``finished_cb``), something to be awaited, or a coroutine, which may return a status.
        Anything else, such as the list that ``stage()`` of an ophyd device returns, is over
        already.

    Raises
    ------
    BaseException
        What it failed with.
    UnknownStatusFailure
        If it says no more than that it failed.
    """
    if inspect.iscoroutine(answer):
        answer = await answer
    waiter = new_waiter()
    if hasattr(answer, "add_callback"):
        answer.add_callback(lambda *_: wake(waiter))
    elif hasattr(answer, "finished_cb"):
        answer.finished_cb = lambda *_: wake(waiter)
    elif inspect.isawaitable(answer):
        await answer
        return
    else:
        return
    await waiter[1]
    if (error := _failure_of(answer)) is not None:
        raise error


def _failure_of(status: Any) -> BaseException | None:
    if hasattr(status, "exception"):
        failure: BaseException | None = status.exception(0)
        return failure
    if getattr(status, "success", True):
        return None
    return UnknownStatusFailure(f"{_whose(status)} failed, and does not say why")


def _whose(status: Any) -> str:
    """Return what a status is of: a device's by its name."""
    device = getattr(status, "device", getattr(status, "obj", None))
    return repr(status) if device is None else f"a status of {quoted_name(device)}"
