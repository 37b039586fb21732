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
    tasks = engine.background.running
    if engine.state != "paused" and not any(task.status.name == "PAUSED" for task in tasks):
        return str(holder)  # all widgets ask at each change of claims, and a picture takes long
    picture = bridge.snapshot()
    resting = {task.name for task in picture.background if task.status.name == "PAUSED"}
    if picture.state == "paused" and picture.plan_name is not None:
        resting.add(picture.plan_name)
    return None if holder in resting else str(holder)


def pause_of(bridge: EngineBridge, holder: str) -> Callable[[], object] | None:
    """Return what pauses the plan or the task of a name; `None` if it may not be paused."""
    picture = bridge.snapshot()
    current = bridge.engine.current
    if holder == picture.plan_name and current is not None:
        may = picture.state == "running" and bridge.may_pause(current)
        return bridge.pause if may else None
    for task in picture.background:
        if task.name == holder and bridge.may_pause(task):
            return partial(bridge.pause_task, task)
    return None
