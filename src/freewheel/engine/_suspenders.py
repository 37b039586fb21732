"""What suspenders see of an engine: it counts as running while a background task does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from freewheel.core import EngineState

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SuspendersView"]


@final
class SuspendersView:
    """An engine as suspenders see it, which ask for a suspension of one that runs alone.

    Parameters
    ----------
    engine : bluesky.run_engine.RunEngine
        The engine: everything else is its.
    tasks_alive : callable
        Tells whether a background task runs.
    """

    def __init__(self, engine: Any, tasks_alive: Callable[[], bool]) -> None:
        self._engine = engine
        self._tasks_alive = tasks_alive

    @property
    def state(self) -> EngineState:
        """The engine's state, or ``"running"`` while tasks run beside an idle foreground."""
        state: EngineState = self._engine.state
        idle = state is EngineState.IDLE
        return EngineState.RUNNING if idle and self._tasks_alive() else state

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)
