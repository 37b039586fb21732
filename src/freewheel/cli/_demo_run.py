"""The main thread's part of ``freewheel demo``: here, for it brings bluesky, which takes long."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from bluesky.utils import TransitionError

from freewheel.terminal import StopFirst, Watcher

from ._output import say

if TYPE_CHECKING:
    import threading

    from freewheel import PlanFuture, RunEngine

    from ._status_line import StatusLine

__all__ = ["DemoRun"]

#: So much longer it may take where the snapshot is late, as on a busy machine [s].
_PATIENCE: Final = 10.0


class DemoRun:
    """Shows how the plan goes, asks for the snapshot, and stops it. For the main thread.

    Parameters
    ----------
    engine : RunEngine
        The engine that runs the plan.
    line : StatusLine
        Shows how it goes.
    seconds : float
        How long the plan is to run [s].
    snapshot : threading.Event
        Set when the snapshot is there.
    """

    def __init__(
        self, engine: RunEngine, line: StatusLine, seconds: float, snapshot: threading.Event
    ) -> None:
        self._engine = engine
        self._line = line
        self._seconds = seconds
        self._rules = StopFirst(before="\n")
        self._watcher = Watcher(engine, self._rules, say)
        self._ending = False
        self._snapped = False
        self._snapshot = snapshot

    @property
    def exit_code(self) -> int:
        """0, or what a shell gives to a program that a signal has ended."""
        return self._rules.exit_code or 0

    def run(self, plan: Any) -> PlanFuture:
        """Run the plan, and stay with it until it has ended."""
        with self._watcher:
            future = self._engine(plan)
            began = time.monotonic()
            self._watcher.stay(future, lambda _: self._look(time.monotonic() - began), paused=_rest)
            self._line.show("ended", time.monotonic() - began)
        return future

    def _look(self, elapsed: float) -> None:
        if not self._snapped and elapsed >= self._seconds / 2:
            with suppress(KeyError):  # not on offer at this moment: next time
                self._engine.trigger_action("snap")
                self._snapped = True
        least = self._seconds if self._snapshot.is_set() else self._seconds + _PATIENCE
        if elapsed >= least and not self._ending and self._rules.first is None:
            self._ending = True
            with suppress(TransitionError):  # the plan has just ended by itself
                self._engine.stop()
        self._line.show(self._engine.snapshot().state, elapsed)


def _rest(_: object) -> None:
    """Say nothing: the live view does not pause itself."""
