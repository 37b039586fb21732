"""The engine's attribute ``_state``, which bluesky's methods read and write."""

from __future__ import annotations

from typing import Any

from freewheel.core import EngineState

__all__ = ["StateDescriptor"]


class StateDescriptor:
    """``engine._state``: reads without a lock, writes through the engine's ``set_state``."""

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        return instance.__dict__.get("current_state", EngineState.IDLE)

    def __set__(self, instance: Any, value: str) -> None:
        instance.set_state(value)
