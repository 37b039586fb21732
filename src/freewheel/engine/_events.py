"""The engine's psygnal signals."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, final

from psygnal import Signal, SignalInstance

from freewheel.core._crossings import call_soon

from ._psygnal_fix import mend

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

__all__ = ["EngineEvents", "Teller", "emit_safely"]

_log = logging.getLogger("freewheel")

mend()


class EngineEvents:
    """What an engine tells of itself, as psygnal signals, emitted on the engine's thread.

    A window connects with ``connect(slot, thread="main")``. A slot that raises is logged.

    Attributes
    ----------
    state_changed : Signal(str, str)
        The new state and the old one.
    plan_started : Signal(PlanFuture)
        A plan has been started.
    plan_ended : Signal(PlanFuture)
        A plan has ended, and its future is done. Not emitted for a pause.
    actions_changed : Signal(frozenset of str)
        The names of the actions on offer.
    claims_changed : Signal(Mapping)
        Who holds which device.
    background_changed : Signal(BackgroundTask)
        A background task has changed its status.
    progress_changed : Signal(tuple)
        The progress of all scopes.
    queue_changed : Signal(tuple of PlanFuture)
        The calls that wait; told when they change, and when the queue is held or released.
    interlocks_changed : Signal(tuple of InterlockPicture)
        How the interlocks stand; told when one trips or lets go, and when somebody waits.
    all_stopped : Signal(str)
        `stop_all` was called, and why: what would begin by itself is to be given up.
    """

    state_changed = Signal(str, str)
    plan_started = Signal(object)
    plan_ended = Signal(object)
    actions_changed = Signal(frozenset)
    claims_changed = Signal(Mapping)
    background_changed = Signal(object)
    progress_changed = Signal(tuple)
    queue_changed = Signal(tuple)
    interlocks_changed = Signal(tuple)
    all_stopped = Signal(str)


_NOTHING: Final = object()


def emit_safely(signal: SignalInstance, *args: Any) -> None:
    """Emit a signal; log what a slot raises."""
    if not len(signal):
        return  # nobody listens
    try:
        signal.emit(*args)
    except BaseException as error:
        cause = error.__cause__ or error
        _log.error("A slot of the signal %r raised.", signal.name, exc_info=cause)


@final
class Teller:
    """Emits an engine's signals on its loop's thread, whoever tells.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        The loop.
    ident : int or None
        Of the thread that runs it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, ident: int | None) -> None:
        self._loop = loop
        self._ident = ident
        # The signals that are about to be emitted: added to by any thread, taken on the loop.
        self._pending: set[str] = set()
        #: What those who listen were told last, by signal; of the loop, and emptied by any thread.
        self.told: dict[str, object] = {}

    def tell(self, signal: SignalInstance, *args: Any) -> None:
        """Emit ``signal`` with ``args``; from any thread."""
        if not len(signal):
            return  # nobody listens
        if threading.get_ident() == self._ident:
            emit_safely(signal, *args)
        else:
            call_soon(self._loop, emit_safely, signal, *args)

    def tell_latest(self, signal: SignalInstance, look: Callable[[], object]) -> None:
        """Emit ``signal`` soon with what ``look`` returns then: once for several changes."""
        if not len(signal) or signal.name in self._pending:
            return
        self._pending.add(signal.name)
        call_soon(self._loop, self._look, signal, look)

    def tell_different(self, signal: SignalInstance, look: Callable[[], object]) -> None:
        """Do as `tell_latest`, if that is something else than what was told last."""
        if len(signal):
            self.tell_latest(signal, partial(self._different, signal.name, look))
        else:
            self.told.pop(signal.name, None)  # who listens next was told nothing

    def _different(self, name: str, look: Callable[[], object]) -> object:
        now = look()
        if self.told.get(name, _NOTHING) == now:
            return _NOTHING
        self.told[name] = now
        return now

    def _look(self, signal: SignalInstance, look: Callable[[], object]) -> None:
        self._pending.discard(signal.name)
        news = look()
        if news is not _NOTHING:
            emit_safely(signal, news)
