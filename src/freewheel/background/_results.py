"""What becomes of results: told at once to a plan that runs, or kept until somebody asks."""

from __future__ import annotations

import inspect
import logging
import threading
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

from ._mailbox import PendingResults, Recipient
from ._task import BackgroundTask, MergeMode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ._life import Life
    from ._spawner import Spawner

__all__ = ["OnMerge", "Results"]

_log = logging.getLogger("freewheel")

_RAISED: Final = "A callback of on_merge raised for the task %r."

OnMerge: TypeAlias = "Callable[[BackgroundTask, MergeMode], Awaitable[Any] | None]"
"""What is told of results: a function or a coroutine function of the task and the mode."""


@final
class Results:
    """The results of an engine's tasks. On the loop's thread, but for `on_merge` and `pending`.

    Parameters
    ----------
    spawner : Spawner
        Of the engine's loop.

    Attributes
    ----------
    pending : PendingResults
        Those that arrived when nobody was there to receive them.
    """

    def __init__(self, spawner: Spawner) -> None:
        self.pending = PendingResults()
        self._spawner = spawner
        self._loop = spawner.loop
        self._lock = threading.Lock()
        # Replaced as a whole, with _lock held, and read without it.
        self._watchers: tuple[OnMerge, ...] = ()

    def on_merge(self, callback: OnMerge) -> Callable[[], None]:
        """See `Background.on_merge`."""
        with self._lock:
            self._watchers = (*self._watchers, callback)

        def disconnect() -> None:
            with self._lock:
                self._watchers = tuple(known for known in self._watchers if known is not callback)

        return disconnect

    def merge(self, life: Life, mode: MergeMode, owner: Recipient) -> None:
        """Take a result in, before the task's future is done."""
        life.merged(mode)
        if mode is MergeMode.WAKEUP:
            self.pending.put(life.task, None if owner.over else owner)
        # After the future is done, for the callback will want the result.
        self._loop.call_soon(self._tell, life.task, mode)

    def _tell(self, task: BackgroundTask, mode: MergeMode) -> None:
        for watcher in self._watchers:
            try:
                answer = watcher(task, mode)
            except BaseException:  # it is to keep nothing from the others, nor end the loop
                _log.exception(_RAISED, task.name)
            else:
                if inspect.isawaitable(answer):
                    self._spawner.spawn(_finish(answer, task), "await a callback of on_merge")

    def drained(self, task: BackgroundTask) -> None:
        """Note that somebody has received a task's result."""
        if task.merge is MergeMode.WAKEUP:
            self.pending.pop_if(lambda known: known is task)

    def drain_for(self, owner: Recipient) -> tuple[BackgroundTask, ...]:
        """Drain what waits for a plan: its own, and what no plan that goes on will ask for."""
        if self.pending.empty:
            return ()
        return self.pending.pop_for(lambda known: known is None or known is owner or known.over)

    def log_unless_told(self, life: Life) -> None:
        """Have the log tell of a failure that no plan raises, unless somebody asks at once."""
        self._loop.call_soon(_tell_failure, life)


async def _finish(answer: Awaitable[Any], task: BackgroundTask) -> None:
    try:
        await answer
    except BaseException:  # a cancellation, too: nobody asks for one
        _log.exception(_RAISED, task.name)


def _tell_failure(life: Life) -> None:
    if (error := life.failure) is not None:
        name = life.task.name
        _log.error(
            "The background task %r failed: %s: %s",
            *(name, type(error).__name__, error),
            exc_info=error,
            extra={"failed_task": name},  # for those who show lines without tracebacks
        )
