"""How far all plans and background tasks of an engine have come, and who is told of it."""

from __future__ import annotations

import asyncio
import itertools
import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol, final

from freewheel.core import Progress
from freewheel.core._crossings import call_soon

from ._events import emit_safely

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from psygnal import SignalInstance

    from freewheel.background import BackgroundTask

__all__ = ["ProgressBoard"]

#: Seconds from one `progress_changed` to the next, at least.
_PERIOD: Final = 0.05
#: How many scopes that have ended one `progress_changed` still shows.
_MAX_ENDED: Final = 64


class _Pictured(Protocol):
    """The progress of one engine's plans; `PlanProgress`."""

    number: int

    def picture(self) -> list[Progress]: ...


@final
class ProgressBoard:
    """All progress of a household: of the foreground plan and of the background tasks.

    Parameters
    ----------
    signal : psygnal.SignalInstance
        Emitted with all of it, on the loop's thread, when it has changed.
    loop : asyncio.AbstractEventLoop
        The loop.
    """

    def __init__(self, signal: SignalInstance, loop: asyncio.AbstractEventLoop) -> None:
        self._signal = signal
        self._loop = loop
        self._running: Callable[[], Iterable[BackgroundTask]] = tuple
        # Guards the set of plans, and the scopes of all of them.
        self.lock = threading.Lock()
        self._plans: weakref.WeakSet[_Pictured] = weakref.WeakSet()
        self._numbers = itertools.count()
        # Of the loop's thread alone: whether an emission is under way, and what ended before it.
        self._emitting = False
        self._ended: deque[Progress] = deque(maxlen=_MAX_ENDED)

    def show_tasks(self, running: Callable[[], Iterable[BackgroundTask]]) -> None:
        """Show those background tasks too that tell of no progress of their own.

        Parameters
        ----------
        running : callable
            Returns the tasks under way; from any thread.
        """
        self._running = running  # set once, before the first plan

    def add(self, plan: _Pictured) -> int:
        """Follow the plans of an engine, for as long as somebody refers to ``plan``.

        Returns
        -------
        int
            Its number: in pictures those come first that were added first.
        """
        with self.lock:
            self._plans.add(plan)
            return next(self._numbers)

    def picture(self) -> tuple[Progress, ...]:
        """Return how everything stands at this moment; from any thread."""
        with self.lock:
            plans = sorted(self._plans, key=lambda plan: plan.number)
        pictures = [picture for plan in plans for picture in plan.picture()]
        pictures.extend(self._bare_tasks({picture.owner for picture in pictures}))
        return tuple(pictures)

    def _bare_tasks(self, shown: set[str]) -> Iterable[Progress]:
        """Return pictures of the background tasks that have no progress of their own."""
        for task in self._running():
            if task.name not in shown:
                yield Progress(
                    task.name, task.name, kind="task", background=True, elapsed=task.elapsed or 0.0
                )

    def is_watched(self) -> bool:
        """Tell whether anybody wants to hear of changes."""
        return len(self._signal) > 0

    def changed(self) -> None:
        """Tell of a change, soon; from any thread."""
        if not self.is_watched():
            return
        if _runs_here(self._loop):
            self._emit_soon()
        else:
            call_soon(self._loop, self._emit_soon)

    def ended(self, pictures: Iterable[Progress]) -> None:
        """Tell of what has ended, soon. On the loop's thread."""
        if self.is_watched():
            self._ended.extend(pictures)
            self._emit_soon()

    def _emit_soon(self) -> None:
        if not self._emitting:
            self._emitting = True
            self._loop.call_later(_PERIOD, self._emit_later)

    def _emit_later(self) -> None:
        self._emitting = False
        self.emit()

    def emit(self) -> None:
        """Tell of everything now; of what has ended for the last time. On the loop's thread."""
        ended = tuple(self._ended)
        self._ended.clear()
        if not self.is_watched():
            return
        emit_safely(self._signal, (*ended, *self.picture()))
        if ended:
            self._emit_soon()  # without them

    def flush(self) -> None:
        """Tell at once of what is to be told of. On the loop's thread."""
        if self._emitting or self._ended:
            ended = bool(self._ended)
            self.emit()
            if ended:
                self.emit()


def _runs_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
