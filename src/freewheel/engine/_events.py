"""The engine's psygnal signals."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from psygnal import Signal, SignalInstance

from ._psygnal_fix import mend

__all__ = ["EngineEvents", "emit_safely"]

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
    """

    state_changed = Signal(str, str)
    plan_started = Signal(object)
    plan_ended = Signal(object)
    actions_changed = Signal(frozenset)
    claims_changed = Signal(Mapping)
    background_changed = Signal(object)
    progress_changed = Signal(tuple)


def emit_safely(signal: SignalInstance, *args: Any) -> None:
    """Emit a signal; log what a slot raises."""
    if not len(signal):
        return  # nobody listens
    try:
        signal.emit(*args)
    except BaseException as error:
        cause = error.__cause__ or error
        _log.error("A slot of the signal %r raised.", signal.name, exc_info=cause)
