"""What an engine looks like at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._progress import Progress
    from ._states import EngineState

__all__ = ["EngineSnapshot", "OfferedAction"]


class OfferedAction(NamedTuple):
    """An action that somebody waits for.

    Attributes
    ----------
    plan : str
        The plan, or the background task, that offers it.
    name : str
        The action.
    """

    plan: str
    name: str


@dataclass(frozen=True)
class EngineSnapshot:
    """A picture of the engine at one moment.

    Attributes
    ----------
    state : EngineState
        What the engine does.
    plan_name : str or None
        The plan in the foreground.
    elapsed : float or None
        Seconds since that plan was started.
    queue : tuple of str
        The names of the plans that wait, in their order.
    background : tuple
        The background tasks under way.
    claims : Mapping
        Who holds which device.
    actions : tuple of OfferedAction
        The actions on offer: plan and name of each.
    progress : tuple
        The progress of all scopes.
    queue_held : str or None
        Why nothing new starts; ``None`` if the queue is not held.
    service_failed : str or None
        Which service has ended, so that plans are refused, and what mends it; ``None`` if none has.
    """

    state: EngineState
    plan_name: str | None
    elapsed: float | None
    queue: tuple[str, ...]
    background: tuple[Any, ...]
    claims: Mapping[str, str]
    actions: tuple[OfferedAction, ...]
    progress: tuple[Progress, ...]
    queue_held: str | None = None
    service_failed: str | None = None
