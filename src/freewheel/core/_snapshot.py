"""What an engine looks like at one moment."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ._snapshot_json import SNAPSHOT_SCHEMA, fields_from_json, fields_to_json
from ._states import EngineState
from ._wording import duration_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from ._latch import SRLatch
    from ._progress import Progress

__all__ = [
    "EngineSnapshot",
    "InterlockPicture",
    "OfferedAction",
    "PeriodicPicture",
    "WaitingPlan",
]


class OfferedAction(NamedTuple):
    """An action that somebody waits for.

    Attributes
    ----------
    plan : str
        The plan, or the background task, that offers it.
    name : str
        The action.
    description : str
        A sentence about it, for a tooltip.
    togglable : bool
        Whether it stays on until it is switched off.
    toggle_states : tuple of two str
        How the two states of a togglable action are called, on first.
    is_on : bool
        Whether its latch is set.
    """

    plan: str
    name: str
    description: str = ""
    togglable: bool = False
    toggle_states: tuple[str, str] = ("On", "Off")
    is_on: bool = False

    @classmethod
    def of_latch(cls, plan: str, name: str, latch: SRLatch) -> Self:
        """Return what ``plan`` offers with a latch, under a name."""
        action = latch.action
        if action is None:
            return cls(plan, name, is_on=latch.is_set())
        states = action.toggle_states
        return cls(plan, name, action.description, action.togglable, states, latch.is_set())


class WaitingPlan(NamedTuple):
    """A plan that waits in the queue.

    Attributes
    ----------
    name : str
        The plan.
    arguments : str
        What it will be called with, in one line; empty for a plan that was made already.
    priority : float
        The highest starts next.
    duration : float or None
        How long it will take [s], of one that was previewed: infinite if it has no end; ``None``
        if that is not known.
    starts_in : float or None
        In how many seconds it will start; ``None`` if that is not known.
    """

    name: str
    arguments: str = ""
    priority: float = 0
    duration: float | None = None
    starts_in: float | None = None

    def __str__(self) -> str:
        return f"{self.name}({self.arguments})" if self.arguments else self.name


class InterlockPicture(NamedTuple):
    """How an interlock stands.

    Attributes
    ----------
    name : str
        The interlock.
    tripped : bool
        Whether it keeps messages from being carried out.
    why : str
        What its condition is then; empty if it is not tripped.
    waiting : tuple of str
        Who waits for it, and for what: ``"'scan', to set 'motor'"``.
    """

    name: str
    tripped: bool = False
    why: str = ""
    waiting: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.tripped:
            return f"{self.name}: not tripped"
        waits = f"; it is waited for by {'; '.join(self.waiting)}" if self.waiting else ""
        return f"{self.name}: tripped, {self.why}{waits}"


class PeriodicPicture(NamedTuple):
    """A plan that is run again and again.

    Attributes
    ----------
    name : str
        The plan.
    arguments : str
        What it is called with, in one line.
    seconds : float
        From one start to the next.
    runs : int
        How often it was begun, or waited for its turn.
    due_in : float or None
        Seconds until it is due; ``None`` while the time does not count.
    waits_for : str
        What it does, or waits for, then: its status, or what has to be done first.
    """

    name: str
    arguments: str = ""
    seconds: float = 0
    runs: int = 0
    due_in: float | None = None
    waits_for: str = ""

    def __str__(self) -> str:
        when = self.waits_for if self.due_in is None else f"next in {duration_text(self.due_in)}"
        return f"{self.name}({self.arguments}) every {duration_text(self.seconds)}: {when}"


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
    time_left : float or None
        How many seconds it will take yet, by its preview and by how it goes: infinite if it has
        no end; ``None`` if that is not known.
    queue : tuple of str
        The names of the plans that wait, in their order.
    background : tuple
        The background tasks under way.
    claims : Mapping
        Who holds which device.
    actions : tuple of OfferedAction
        The actions on offer: plan, name and label of each.
    progress : tuple
        The progress of all scopes.
    queue_held : str or None
        Why nothing new starts; ``None`` if the queue is not held.
    service_failed : str or None
        Which service has ended, so that plans are refused, and what mends it; ``None`` if none has.
    waiting : tuple of WaitingPlan
        The plans of ``queue``, with their arguments and priorities.
    interlocks : tuple of InterlockPicture
        All interlocks, and who waits for them.
    parked : tuple of str
        The plans in whose place the one in the foreground runs, the first one first.
    periodic : tuple of PeriodicPicture
        The plans that are run again and again, with when they are due.
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
    waiting: tuple[WaitingPlan, ...] = ()
    interlocks: tuple[InterlockPicture, ...] = ()
    parked: tuple[str, ...] = ()
    periodic: tuple[PeriodicPicture, ...] = ()
    time_left: float | None = None

    def to_json(self) -> str:
        """Return it as JSON: names instead of objects, as `json_schema` says.

        The text names its format and its version. Newer freewheels read older versions.
        """
        return fields_to_json(vars(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> EngineSnapshot:
        """Return the snapshot that `to_json` wrote, in this or in an older version.

        The background tasks are `TaskPicture`: what was written of them.

        Parameters
        ----------
        text : str or bytes
            What `to_json` wrote.

        Raises
        ------
        ValueError
            For what is no such text, is damaged, or is of a newer version.
        """
        try:
            return cls._from_json(text)
        except (AttributeError, KeyError, TypeError) as error:
            why = f"{type(error).__name__}: {error}"
            raise ValueError(f"this snapshot of an engine is damaged: {why}") from error

    @classmethod
    def _from_json(cls, text: str | bytes) -> EngineSnapshot:
        found = fields_from_json(text)
        found["state"] = EngineState(found["state"])
        found["actions"] = tuple(_action(each) for each in found["actions"])
        found["interlocks"] = tuple(_interlock(each) for each in found["interlocks"])
        found["waiting"] = tuple(_waiting(each) for each in found["waiting"])
        found["periodic"] = tuple(_periodic(each) for each in found["periodic"])
        return cls(**found)

    @staticmethod
    def json_schema() -> Mapping[str, Any]:
        """Return the JSON Schema of what `to_json` writes."""
        return SNAPSHOT_SCHEMA


def _known(kind: Any, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a kind of picture that were found: a newer one may have written more."""
    return {key: found[key] for key in kind._fields if key in found}


def _action(found: Mapping[str, Any]) -> OfferedAction:
    known = _known(OfferedAction, found)
    known["toggle_states"] = tuple(known["toggle_states"])
    return OfferedAction(**known)


def _interlock(found: Mapping[str, Any]) -> InterlockPicture:
    known = _known(InterlockPicture, found)
    return InterlockPicture(**{**known, "waiting": tuple(found.get("waiting", ()))})


def _periodic(found: Mapping[str, Any]) -> PeriodicPicture:
    return PeriodicPicture(**_known(PeriodicPicture, found))


def _waiting(found: Mapping[str, Any]) -> WaitingPlan:
    known = _known(WaitingPlan, found)
    if known.get("priority", 0) is None:  # of one that goes before all others
        known["priority"] = math.inf
    return WaitingPlan(**known)
