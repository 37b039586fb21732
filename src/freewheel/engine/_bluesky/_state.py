"""The engine's state: bluesky's names, with the transitions that a non-blocking engine needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bluesky.run_engine import RunEngineStateMachine, TransitionError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["STATES", "StateDescriptor", "StateName"]

# Beyond bluesky's table: a request made while another one is being carried out is never
# refused because of it. Stop, abort and halt interrupt a pause or a suspension on its way, and
# halt interrupts a clean-up that hangs.
_TRANSITIONS: Final[Mapping[str, frozenset[str]]] = {
    name: frozenset(targets.split())
    for name, targets in {
        "idle": "running panicked",
        "running": "idle pausing halting stopping aborting suspending panicked",
        "pausing": "paused running idle halting stopping aborting panicked",
        "suspending": "running pausing idle halting stopping aborting panicked",
        "paused": "idle running halting stopping aborting panicked",
        "stopping": "idle aborting halting panicked",
        "aborting": "idle halting panicked",
        "halting": "idle panicked",
        "panicked": "",
    }.items()
}


class StateName(str):
    """A state of the engine: its name, with bluesky's questions about it.

    ``is_idle`` and the like tell whether it is that state, ``can_be_paused`` and the like whether
    that state may follow, and ``can_pause`` whether a pause may be requested.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> bool:
        if name.startswith("is_") and name[3:] in _TRANSITIONS:
            return self == name[3:]
        if name.startswith("can_be_") and name[7:] in _TRANSITIONS:
            return name[7:] in _TRANSITIONS[self]
        if name == "can_pause":
            return "pausing" in _TRANSITIONS[self]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def after_names(self) -> frozenset[str]:
        """Return the names of the states that may follow this one."""
        return _TRANSITIONS[self]

    def after(self, name: str) -> StateName:
        """Return the state ``name``, which is to follow this one.

        Raises
        ------
        TransitionError
            If it may not follow.
        """
        if name not in _TRANSITIONS:
            raise ValueError(f"{name!r} is no state of a run engine: {sorted(_TRANSITIONS)}.")
        if name not in _TRANSITIONS[self]:
            raise TransitionError(f"Cannot transit from '{self}' to '{name}'.")
        return STATES[name]


STATES: Final[Mapping[str, StateName]] = {
    state: StateName(state) for state in RunEngineStateMachine.States.states()
}


class StateDescriptor:
    """``engine._state``: reads without a lock, writes through the engine's ``set_state``."""

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        return instance.__dict__.get("current_state", STATES["idle"])

    def __set__(self, instance: Any, value: str) -> None:
        instance.set_state(value)
