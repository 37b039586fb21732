"""What was asked of a plan, and is not yet attended to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

from bluesky.run_engine import RequestAbort, RequestStop
from bluesky.utils import PlanHalt

from freewheel.core import EngineState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["EXIT_REQUESTS", "Asked", "PlanEnd", "PlanStart", "Suspension"]

#: How a state that ends the plan is told to it.
EXIT_REQUESTS: Final[Mapping[EngineState, type[BaseException]]] = {
    EngineState.STOPPING: RequestStop,
    EngineState.ABORTING: RequestAbort,
    EngineState.HALTING: PlanHalt,
}


class Suspension(NamedTuple):
    """What bluesky's suspenders ask for; in the order of its message's arguments."""

    pre_plan: Any
    post_plan: Any
    justification: str | None
    until: Callable[[], Any]


@final
class Asked:
    """What was asked of one plan. Applied and attended to on the engine's loop alone.

    Attributes
    ----------
    attention : bool
        Whether the message loop has something to see to before the next message.
    exit : type of BaseException or None
        What is to be thrown into the plan next, because it is to end.
    ending : bool
        Whether an end was asked for, thrown already or not.
    rest : bool
        Whether the plan is to come to rest.
    park : bool
        Whether it is to let another plan run in its place.
    suspend : bool
        Whether it is to be suspended.
    suspensions : list of Suspension
        Those that it has not begun yet.
    """

    __slots__ = (
        "attention",
        "ending",
        "exit",
        "park",
        "rest",
        "suspend",
        "suspensions",
    )

    def __init__(self) -> None:
        self.attention = False
        self.exit: type[BaseException] | None = None
        self.ending = False
        self.rest = False
        self.park = False
        self.suspend = False
        self.suspensions: list[Suspension] = []


class PlanStart(NamedTuple):
    """What a plan is started with.

    Attributes
    ----------
    name : str
        The plan's name.
    plan : generator or iterable of Msg
        The plan.
    subs : dict
        Subscribers of its documents alone, by the name of the documents.
    metadata : dict
        For all of its runs.
    messages : generator or iterable of Msg or None
        What gives the plan's messages, where that is not the plan itself any more.
    """

    name: str
    plan: Any
    subs: Mapping[str, list[Callable[..., Any]]]
    metadata: Mapping[str, Any]
    messages: Any = None


class PlanEnd(NamedTuple):
    """How a plan ended.

    Attributes
    ----------
    result : RunEngineResult
        bluesky's account of it.
    error : BaseException or None
        What the plan failed with; ``None`` for one that completed or was interrupted.
    by_itself : bool
        Whether it completed without having been asked to.
    """

    result: Any
    error: BaseException | None = None
    by_itself: bool = True
