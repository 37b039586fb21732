"""Messages that no pause comes in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bluesky.utils import Msg

if TYPE_CHECKING:
    from collections.abc import Callable

    from bluesky.utils import MsgGenerator

    from freewheel.core import EngineState

__all__ = ["uninterrupted"]


def uninterrupted(
    plan: MsgGenerator[Any],
    on_request: Callable[[EngineState], None] | None = None,
    *,
    foreseen: Callable[[], MsgGenerator[Any]] | None = None,
) -> MsgGenerator[Any]:
    """Carry out some messages as one: a pause, a stop or an abort waits until they are done.

    For hardware that must come to a place where it may be left: a flight, a valve that is half
    open. A rewind repeats none of the messages. A halt cuts them short.

    Parameters
    ----------
    plan : generator
        The messages. They may not be of those that pause, or that mark where a rewind goes to:
        send a ``checkpoint`` before and after.
    on_request : callable, optional
        Called with the `freewheel.core.EngineState` that is asked for: ``PAUSING`` (also for a
        deferred pause), ``SUSPENDING``, ``STOPPING`` or ``ABORTING``; on the engine's thread. It
        must return at once. The plan may take it as a reason to come to its end sooner.

    foreseen : callable, optional
        Returns messages that a preview follows in place of ``plan``, where that waits for hardware
        by itself; what they return is the preview's answer.

    Yields
    ------
    Msg
        ``uninterrupted``

    Returns
    -------
    object
        What the plan returns.

    Raises
    ------
    InvalidCommand
        In ``plan``, if it sends a message that is not allowed there.
    """
    told = {} if foreseen is None else {"foreseen": foreseen}
    result = yield Msg("uninterrupted", None, plan, on_request=on_request, **told)
    return result
