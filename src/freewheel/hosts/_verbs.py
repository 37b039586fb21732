"""The engine of a host, and its verbs as functions that take and return what JSON has."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING, Any, Final

from freewheel.engine import BlockingRunEngine, RunEngine, remember_call_sites

from ._frames import FrameKeeper
from ._publisher import StatePublisher

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from freewheel.background import BackgroundTask, OnConflict
    from freewheel.core import PlanCall

__all__ = [
    "fw_actions",
    "fw_cancel",
    "fw_claims",
    "fw_explain",
    "fw_frame",
    "fw_hold_queue",
    "fw_release",
    "fw_release_queue",
    "fw_snapshot",
    "fw_stop_all",
    "fw_tasks",
    "fw_trigger",
    "in_use",
    "launch",
    "publish_state",
    "use",
]

#: Set to anything, it keeps bluesky's call stacks, for its warning about plans that nobody ran.
STACKS: Final = "FREEWHEEL_STACKS"

_lock = threading.RLock()  # guards what is below
_engine: BlockingRunEngine | None = None
_frames = FrameKeeper()  # of that engine
_publishers: dict[str, StatePublisher] = {}  # by the address that was asked for
_call_sites: AbstractContextManager[None] | None = None  # never left
_naming = threading.Lock()  # held from the look whether a name is free until a task has it


def use(engine: RunEngine | BlockingRunEngine) -> BlockingRunEngine:
    """Have the functions work on an engine of the script's own: ``RE = use(engine)``.

    Parameters
    ----------
    engine : RunEngine or BlockingRunEngine
        The engine.

    Returns
    -------
    BlockingRunEngine
        The same engine, whose calls wait: what queueserver must find as ``RE``.
    """
    global _engine, _frames
    with _lock:
        _make_plans_quick()
        _engine = engine.blocking if isinstance(engine, RunEngine) else engine
        _frames = FrameKeeper()
        _engine.subscribe(_frames, delivery="latest")
        return _engine


def _make_plans_quick() -> None:
    """Have bluesky's own plans run at full speed in this process. With the lock held."""
    global _call_sites
    if _call_sites is None and not os.environ.get(STACKS):
        _call_sites = remember_call_sites()


def in_use() -> BlockingRunEngine:
    """Return the engine that the functions work on; without one of the host's own, make it."""
    with _lock:
        return use(BlockingRunEngine({})) if _engine is None else _engine


def publish_state(address: str = "tcp://127.0.0.1:60640") -> StatePublisher:
    """Publish the engine's state over 0MQ, with the last value kept. See `StatePublisher`.

    A script that is run once more in the same process publishes at the same address again.

    Parameters
    ----------
    address : str
        Where; one that is not the loopback's is open to everybody who reaches it.
    """
    with _lock:
        before = None if address.endswith("*") else _publishers.pop(address, None)
        if before is not None:
            before.close()
        made = _publishers[address] = StatePublisher(in_use(), address)
        return made


# -- looking -------------------------------------------------------------------------------------


def fw_snapshot() -> dict[str, Any]:
    """Return the state, tasks, claims, actions on offer and progress: `EngineSnapshot.to_json`."""
    found: dict[str, Any] = json.loads(in_use().snapshot().to_json())
    return found


def fw_actions() -> list[dict[str, Any]]:
    """Return the actions on offer, with label and state of each."""
    found: list[dict[str, Any]] = fw_snapshot()["actions"]
    return found


def fw_claims() -> dict[str, str]:
    """Return who holds which device."""
    return dict(in_use().claims.by_name())


def fw_tasks() -> list[dict[str, Any]]:
    """Return the background tasks that run, and those that ended lately, with why one failed."""
    return [_told(task) for task in in_use().background.tasks()]


def _told(task: BackgroundTask) -> dict[str, Any]:
    error = task.exception() if task.done else None
    return {
        "name": task.name,
        "status": str(task.status),
        "error": None if error is None else f"{type(error).__name__}: {error}",
        "runs": list(task.run_start_uids),
    }


def fw_explain() -> str:
    """Return what the engine waits for, and what may be done."""
    return in_use().explain()


def fw_frame(key: str | None = None, max_side: int = 512) -> dict[str, Any]:
    """Return the newest frame of a camera's data key, or of the last one that had any.

    ``data`` is base64 of the pixels, ``dtype`` and ``shape`` as numpy has them; of a frame larger
    than ``max_side`` every n-th pixel.
    """
    with _lock:
        frames = _frames
    return frames.newest(key, max_side)


# -- doing ---------------------------------------------------------------------------------------


def fw_trigger(name: str, plan: str | None = None) -> None:
    """Trigger an action on offer: of all plans that offer it, or of one."""
    in_use().trigger_action(name, plan=plan)


def fw_release(name: str, plan: str | None = None) -> None:
    """Release an action on offer: switch a toggle off."""
    in_use().release_action(name, plan=plan)


def launch(call: PlanCall, name: str | None, on_conflict: OnConflict) -> str:
    """Run a plan in the background, and return the task's name, by which alone clients know it.

    Raises
    ------
    RuntimeError
        If a task that runs has the name.
    """
    background = in_use().background
    with _naming:
        if name is not None and any(task.name == name for task in background.running):
            raise RuntimeError(
                f"A background task named {name!r} is running: cancel it first, or give another "
                "name. Without one the task is named after its plan, with a number if need be."
            )
        return str(background.launch(call, name=name, on_conflict=on_conflict).name)


def fw_cancel(name: str, reason: str = "") -> bool:
    """Cancel a background task, with its clean-up; return whether there was one to cancel."""
    return in_use().background.cancel(name, reason)


def fw_hold_queue(reason: str = "") -> None:
    """Have the engine start no plan any more; the one that runs goes on."""
    in_use().queue.hold(reason)


def fw_release_queue() -> None:
    """Have the engine start plans again."""
    in_use().queue.release()


def fw_stop_all(reason: str = "") -> None:
    """Stop every device and end everything that runs: the red button; waits, 10 s at most."""
    in_use().stop_all(reason)
