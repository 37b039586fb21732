"""Who keeps hands from a device, and what has him let go of it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from freewheel.qt._link._bridge import EngineBridge

__all__ = ["holder_at_work", "pause_of"]


def holder_at_work(bridge: EngineBridge, device: Any) -> str | None:
    """Return who holds a device and keeps hands from it; `None` if nobody does.

    A plan or a task that is paused lends its devices to hands.
    """
    engine = bridge.engine
    holder = engine.claims.get(device)
    if holder is None:
        return None
    # No whole picture, which has all plans that wait: this is asked with each reading of an axis.
    resting = {task.name for task in engine.background.running if task.status.name == "PAUSED"}
    if engine.state == "paused" and (current := engine.current) is not None:
        resting.add(current.plan_name)
    return None if holder in resting else str(holder)


def pause_of(bridge: EngineBridge, holder: str) -> Callable[[], object] | None:
    """Return what pauses the plan or the task of a name; `None` if it may not be paused."""
    engine = bridge.engine
    current = engine.current
    if current is not None and holder == current.plan_name:
        may = engine.state == "running" and bridge.may_pause(current)
        return bridge.pause if may else None
    for task in engine.background.running:
        if task.name == holder and bridge.may_pause(task):
            return partial(bridge.pause_task, task)
    return None
