"""Running coroutines on the engine's loop that nobody awaits."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, final

from freewheel.core._crossings import call_soon

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine

__all__ = ["Spawner"]

_log = logging.getLogger("freewheel")


@final
class Spawner:
    """Runs coroutines on a loop that nobody awaits, and tells of their failures.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        The loop.
    thread : threading.Thread
        The thread that runs it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
        self.loop = loop
        self.thread = thread
        # The loop itself refers to its tasks only weakly. On the loop's thread alone.
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, coro: Coroutine[Any, Any, Any], what: str) -> asyncio.Task[Any]:
        """Run ``coro``; on the loop's thread."""
        task = self.loop.create_task(coro, name=what)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("Failed to %s.", task.get_name(), exc_info=error)

    def call(self, callback: Callable[..., Any], *args: Any) -> None:
        """Call ``callback`` on the loop soon; from any thread. A closed loop ignores it."""
        call_soon(self.loop, callback, *args)

    def on_loop_thread(self) -> bool:
        """Tell whether the caller runs on the loop's thread."""
        return threading.current_thread() is self.thread
