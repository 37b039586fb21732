"""The thread that runs an engine's event loop, and outlives whatever is thrown at it."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from contextlib import suppress
from typing import final

from freewheel.core._crossings import call_soon

__all__ = ["LoopThread", "new_event_loop", "plain_event_loop"]

_log = logging.getLogger("freewheel")

THREAD_NAME = "bluesky-run-engine"


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return a new event loop: uvloop's where uvloop is installed, else asyncio's."""
    loop: asyncio.AbstractEventLoop
    try:
        import uvloop
    except ImportError:
        loop = plain_event_loop()
    else:
        loop = uvloop.new_event_loop()
    if (3, 12) <= sys.version_info < (3, 12, 3):
        _staff(loop)
    return loop


def _staff(loop: asyncio.AbstractEventLoop) -> None:
    """Start a thread of the loop's default executor now, for it cannot be had at the exit.

    These versions of Python refuse to start a thread as soon as the main thread has ended. The
    clean-up of a device may need one, with ``asyncio.to_thread``.
    """
    from concurrent.futures import ThreadPoolExecutor

    executor = ThreadPoolExecutor(thread_name_prefix="asyncio")
    executor.submit(int).result()
    loop.set_default_executor(executor)


def plain_event_loop() -> asyncio.AbstractEventLoop:
    """Return a new event loop of asyncio's, whatever is installed."""
    # Not that of the policy: within qasync's a loop belongs to Qt, and to the window's thread.
    if sys.platform == "win32":
        return asyncio.ProactorEventLoop()
    return asyncio.SelectorEventLoop()


@final
class LoopThread:
    """Runs ``loop`` for ever on a daemon thread of its own.

    It refers to the loop alone, never to the engine, so that an engine that nobody refers to can
    be collected while its loop still runs.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        A loop that does not run.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.thread = threading.Thread(
            target=_run_for_ever, args=(loop,), name=THREAD_NAME, daemon=True
        )
        self.thread.start()

    def stop(self, timeout: float | None, *, close: bool) -> bool:
        """End the thread, from any thread; with ``close`` close the loop when it has ended.

        Returns
        -------
        bool
            Whether the thread ended within ``timeout`` seconds. On the loop's own thread the
            answer is always false: the thread ends after the caller has returned.
        """
        call_soon(self.loop, _stop_and_close if close else _stop, self.loop)
        if threading.current_thread() is self.thread:
            return False
        self.thread.join(timeout)
        return not self.thread.is_alive()


_closing: set[int] = set()  # ids of the loops to close at their end; each on its own loop's thread


def _stop(loop: asyncio.AbstractEventLoop) -> None:
    loop.stop()


def _stop_and_close(loop: asyncio.AbstractEventLoop) -> None:
    _closing.add(id(loop))
    loop.stop()


def _run_for_ever(loop: asyncio.AbstractEventLoop) -> None:
    # bluesky's suspenders ask the loop which thread it runs on. uvloop does not say.
    if not hasattr(loop, "_thread_id"):
        with suppress(AttributeError):
            loop._thread_id = threading.get_ident()  # type: ignore[attr-defined]  # noqa: SLF001
    asyncio.set_event_loop(loop)
    while True:
        try:
            loop.run_forever()
            break
        except BaseException:
            # SystemExit and KeyboardInterrupt leave run_forever wherever they are raised. On this
            # thread they can mean no more than that the callback that raised them has failed.
            _log.exception("An event-loop callback raised; the run engine's loop goes on.")
    if id(loop) in _closing:
        _closing.discard(id(loop))
        _finish_tasks(loop)
        loop.close()
    asyncio.set_event_loop(None)


def _finish_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what is left on the loop, and give it one second to end."""
    with suppress(Exception):
        _cancel_tasks(loop)
        loop.run_until_complete(loop.shutdown_asyncgens())
        # The default executor's threads end as well; one that hangs is left to the interpreter.
        loop.run_until_complete(asyncio.wait_for(loop.shutdown_default_executor(), 1))
    with suppress(Exception):
        _cancel_tasks(loop)  # what a thread, such as a device's, has begun meanwhile


def _cancel_tasks(loop: asyncio.AbstractEventLoop) -> None:
    for _ in range(3):  # a task that ends may begin another
        tasks = [task for task in asyncio.all_tasks(loop) if not task.done()]
        if not tasks:
            return
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.wait(tasks, timeout=1))
