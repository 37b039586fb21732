"""The state of one engine: changed under one lock by any thread, told of on the loop's."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, final

from freewheel.core import EngineState

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BEGUN", "States"]

_NO_PAUSE_AT_A_CHECKPOINT: Final = frozenset(
    {
        EngineState.PAUSING,
        EngineState.STOPPING,
        EngineState.ABORTING,
        EngineState.HALTING,
        EngineState.PANICKED,
    }
)

#: How an idle engine comes to run.
BEGUN: Final = (EngineState.RUNNING, EngineState.IDLE)


@final
class States:
    """The state of one engine.

    Attributes
    ----------
    lock : threading.RLock
        Whoever changes the state holds it. Invariant: what the state says has been decided and
        will happen; the plan's own task may have yet to hear of it.
    pause_deferred : bool
        Whether the plan is to pause at its next checkpoint. Under the lock; read without it. As
        in bluesky it stays when the plan ends before one, until another plan begins.
    preempted : bool
        Whether a plan waits that is to run in place of the one that runs, at its next checkpoint.
        Under the lock; read without it.
    goes_on : bool
        Whether a plan that is pausing is to go on as soon as it rests. Under the lock.
    now : EngineState
        The state; read without the lock by everybody.
    changes : list of tuple
        Those that `announce` has to tell of, each the new state and the old one, in their order:
        appended under the lock, taken on the loop's thread.
    """

    __slots__ = (
        "_call_on_loop",
        "_ident",
        "_told",
        "changes",
        "goes_on",
        "lock",
        "now",
        "pause_deferred",
        "preempted",
    )

    def __init__(
        self,
        ident: int | None,
        call_on_loop: Callable[..., None],
        told: Callable[[EngineState, EngineState], None],
    ) -> None:
        self.lock = threading.RLock()
        self.now = EngineState.IDLE
        self.pause_deferred = self.preempted = self.goes_on = False
        self._ident = ident
        self._call_on_loop = call_on_loop
        self._told = told
        self.changes: list[tuple[EngineState, EngineState]] = []

    def change(self, name: str) -> None:
        """Change the state and tell of it; from any thread.

        Raises
        ------
        TransitionError
            If ``name`` may not follow the present state.
        """
        with self.lock:
            self.change_locked(name)
        self.announce()

    def change_locked(self, name: str) -> None:
        """Change the state. The caller holds the lock, and calls `announce` after it."""
        old = self.now
        new = old.after(name)
        self.now = new
        self.goes_on = False
        if old is EngineState.IDLE or new in _NO_PAUSE_AT_A_CHECKPOINT:
            self.pause_deferred = False  # another plan begins; it takes effect, or will never
        self.changes.append((new, old))

    def announce(self) -> None:
        """Tell of the changes, in their order, on the loop's thread; from any thread."""
        if threading.get_ident() != self._ident:
            self._call_on_loop(self.announce)
            return
        changes = self.changes
        while changes:
            new, old = changes.pop(0)
            self._told(new, old)
