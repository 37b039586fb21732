"""Results that nobody was there to receive."""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._task import BackgroundTask

__all__ = ["PendingResults"]

_log = logging.getLogger("freewheel")

#: So many tasks wait at most; the oldest is dropped, with a line in the log.
CAPACITY: Final = 10_000


@final
class PendingResults:
    """The tasks that ended when their plan had ended or was paused, until somebody drains them.

    All methods may be called from any thread.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._arrival = threading.Condition()
        # Oldest first; read and written with _arrival held.
        self._tasks: deque[BackgroundTask] = deque()

    @property
    def size(self) -> int:
        """How many tasks wait to be drained."""
        return len(self._tasks)

    @property
    def empty(self) -> bool:
        """Whether none does."""
        return not self._tasks

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until there is something to drain.

        Parameters
        ----------
        timeout : float, optional
            How long at most, in seconds.

        Returns
        -------
        bool
            Whether there is.
        """
        with self._arrival:
            return self._arrival.wait_for(lambda: bool(self._tasks), timeout)

    def pop_all(self) -> tuple[BackgroundTask, ...]:
        """Drain: return the tasks, oldest first, and forget them."""
        return self.pop_if(lambda _: True)

    def pop_if(self, wanted: Callable[[BackgroundTask], bool]) -> tuple[BackgroundTask, ...]:
        """Drain those that ``wanted`` is true for."""
        with self._arrival:
            popped = tuple(task for task in self._tasks if wanted(task))
            if popped:
                self._tasks = deque(task for task in self._tasks if not wanted(task))
        return popped

    def put(self, task: BackgroundTask) -> None:
        """Add a task; called by the engine."""
        dropped = None
        with self._arrival:
            self._tasks.append(task)
            if len(self._tasks) > self._capacity:
                dropped = self._tasks.popleft()
            self._arrival.notify_all()
        if dropped is not None:
            _log.error(
                "More than %d results wait in RE.background.pending; that of %r is dropped. "
                "Drain them with pop_all().",
                self._capacity,
                dropped.name,
            )
