"""Results that nobody was there to receive."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Protocol, final

from freewheel.core._crossings import Waiter, new_waiter, wake

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from ._task import BackgroundTask

__all__ = ["PendingResults", "Recipient"]

_log = logging.getLogger("freewheel")

#: So many tasks wait at most; the oldest is dropped, with a line in the log.
CAPACITY: Final = 10_000


class Recipient(Protocol):
    """A plan that results belong to."""

    @property
    def over(self) -> bool:
        """Whether it will ask for none any more."""
        ...


@final
class PendingResults:
    """The tasks that ended when their plan had ended or was paused, until somebody drains them.

    All methods may be called from any thread.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._arrival = threading.Condition()
        # With the plan that each belongs to, if that goes on. Oldest first; read and written with
        # _arrival held.
        self._entries: deque[tuple[BackgroundTask, Recipient | None]] = deque()
        # Coroutines that wait, on any loop. Added to and emptied with _arrival held.
        self._waiters: set[Waiter] = set()

    @property
    def size(self) -> int:
        """How many tasks wait to be drained."""
        return len(self._entries)

    @property
    def empty(self) -> bool:
        """Whether none does."""
        return not self._entries

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
            return self._arrival.wait_for(lambda: bool(self._entries), timeout)

    async def wait_async(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - as `wait`
        """Wait as `wait` does, in a coroutine, on any asyncio loop; ``await pending`` is the same.

        Parameters
        ----------
        timeout : float, optional
            How long at most, in seconds.

        Returns
        -------
        bool
            Whether there is something to drain.
        """
        waiter = new_waiter()
        with self._arrival:
            if self._entries:
                return True
            self._waiters.add(waiter)
        try:
            async with asyncio.timeout(timeout):
                await waiter[1]
        except TimeoutError:
            return not self.empty
        finally:
            with self._arrival:
                self._waiters.discard(waiter)
        return True

    def __await__(self) -> Generator[Any, None, bool]:
        """Wait until there is something to drain."""
        return self.wait_async().__await__()

    def pop(self) -> BackgroundTask | None:
        """Drain one: return the oldest task and forget it; ``None`` if there is none."""
        with self._arrival:
            return self._entries.popleft()[0] if self._entries else None

    def pop_all(self) -> tuple[BackgroundTask, ...]:
        """Drain: return the tasks, oldest first, and forget them."""
        return self.pop_if(lambda _: True)

    def pop_if(self, wanted: Callable[[BackgroundTask], bool]) -> tuple[BackgroundTask, ...]:
        """Drain those that ``wanted`` is true for."""
        return self._pop(lambda task, _: wanted(task))

    def pop_for(self, wanted: Callable[[Recipient | None], bool]) -> tuple[BackgroundTask, ...]:
        """Drain those of the owners that ``wanted`` is true for; called by the engine."""
        return self._pop(lambda _, owner: wanted(owner))

    def _pop(
        self, wanted: Callable[[BackgroundTask, Recipient | None], bool]
    ) -> tuple[BackgroundTask, ...]:
        popped: list[BackgroundTask] = []
        left: deque[tuple[BackgroundTask, Recipient | None]] = deque()
        with self._arrival:
            for task, owner in self._entries:
                if wanted(task, owner):
                    popped.append(task)
                else:
                    left.append((task, owner))
            self._entries = left
        return tuple(popped)

    def put(self, task: BackgroundTask, owner: Recipient | None = None) -> None:
        """Add a task, with the plan that it belongs to; called by the engine."""
        dropped = None
        with self._arrival:
            self._entries.append((task, owner))
            if len(self._entries) > self._capacity:
                dropped, _ = self._entries.popleft()
            self._arrival.notify_all()
            waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            wake(waiter)
        if dropped is not None:
            _log.error(
                "More than %d results wait in RE.background.pending; that of %r is dropped. "
                "Drain them with pop_all().",
                self._capacity,
                dropped.name,
            )
