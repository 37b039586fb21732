"""The states of an engine, and those of a plan."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from bluesky.run_engine import TransitionError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["EngineState", "PlanStatus"]


class EngineState(StrEnum):
    """What an engine does.

    A member equals its name as text, and reads like it. It also answers bluesky's questions:
    ``is_idle`` and the like tell whether it is that state, ``can_be_paused`` and the like whether
    that state may follow, and ``can_pause`` whether a pause may be requested.
    """

    IDLE = "idle"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    SUSPENDING = "suspending"
    STOPPING = "stopping"
    ABORTING = "aborting"
    HALTING = "halting"
    PANICKED = "panicked"

    # Programs print a state, and log lines quote it: as the text that bluesky's is.
    __repr__ = str.__repr__

    def __getattr__(self, name: str) -> bool:
        if name.startswith("is_") and name[3:] in _FOLLOWERS:
            return self == name[3:]
        if name.startswith("can_be_") and name[7:] in _FOLLOWERS:
            return name[7:] in _FOLLOWERS[self]
        if name == "can_pause":
            return "pausing" in _FOLLOWERS[self]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def after_names(self) -> frozenset[str]:
        """Return the names of the states that may follow this one."""
        return _FOLLOWERS[self]

    def after(self, name: str) -> EngineState:
        """Return the state ``name``, which is to follow this one.

        Parameters
        ----------
        name : str
            The name of a state.

        Raises
        ------
        TransitionError
            If it may not follow.
        ValueError
            If there is no such state.
        """
        if name not in _FOLLOWERS[self]:
            if name not in _FOLLOWERS:
                raise ValueError(f"{name!r} is no state of a run engine: {sorted(_FOLLOWERS)}.")
            raise TransitionError(f"Cannot transit from '{self}' to '{name}'.")
        return name if isinstance(name, EngineState) else EngineState(name)


# Beyond bluesky's table: a request made while another one is being carried out is never
# refused because of it. Stop, abort and halt interrupt a pause or a suspension on its way, and
# halt interrupts a clean-up that hangs.
_FOLLOWERS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        name: frozenset(followers.split())
        for name, followers in {
            "idle": "running panicked",
            "running": "idle pausing halting stopping aborting suspending panicked",
            "pausing": "paused running idle halting stopping aborting panicked",
            "suspending": "running pausing idle halting stopping aborting panicked",
            "paused": "idle running halting stopping aborting panicked",
            # Paused: the plan that had been parked for the one that has ended.
            "stopping": "idle paused aborting halting panicked",
            "aborting": "idle paused halting panicked",
            "halting": "idle paused panicked",
            "panicked": "",
        }.items()
    }
)


class PlanStatus(StrEnum):
    """Where a plan is between its call and its end.

    Attributes
    ----------
    QUEUED
        It waits for its turn.
    RUNNING, PAUSING, SUSPENDING, PAUSED, STOPPING, ABORTING, HALTING
        It is under way, and the engine is in the state of that name.
    PARKED
        Another plan runs in its place, and it goes on by itself when that has ended.
    RESUMED
        Of the future of a plan that was paused: the plan goes on, under a new future.
    COMPLETED, STOPPED, ABORTED, HALTED, FAILED
        How it ended.
    CANCELLED
        It was taken out of the queue.
    """

    QUEUED = "queued"
    RUNNING = "running"
    PAUSING = "pausing"
    SUSPENDING = "suspending"
    PAUSED = "paused"
    PARKED = "parked"
    STOPPING = "stopping"
    ABORTING = "aborting"
    HALTING = "halting"
    RESUMED = "resumed"
    COMPLETED = "completed"
    STOPPED = "stopped"
    ABORTED = "aborted"
    HALTED = "halted"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether the plan is over."""
        return self in _ENDED

    @classmethod
    def under_way(cls, state: str) -> PlanStatus:
        """Return the status of a plan that is under way while its engine is in ``state``.

        Parameters
        ----------
        state : str
            The engine's state.
        """
        # Between a plan's last message and the end of its future the engine may be idle already.
        return cls(state) if state in _OF_THE_ENGINE else cls.RUNNING


_OF_THE_ENGINE: Final = frozenset({*EngineState} - {EngineState.IDLE, EngineState.PANICKED})
_ENDED: Final = frozenset(
    {
        PlanStatus.COMPLETED,
        PlanStatus.STOPPED,
        PlanStatus.ABORTED,
        PlanStatus.HALTED,
        PlanStatus.FAILED,
        PlanStatus.CANCELLED,
    }
)
