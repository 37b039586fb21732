"""For the start-up scripts of bluesky-queueserver: an engine, and its verbs as functions.

One line in the start-up script, instead of making a ``RunEngine``::

    from freewheel.hosts.queueserver import *

That brings ``RE``, a `freewheel.BlockingRunEngine`, and the functions ``fw_…``, which clients call
with ``function_execute``. What they take and return is JSON. Who may call which is queueserver's
to say: `permissions_file` is a file to begin with.
"""

from __future__ import annotations

import json
import threading
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from freewheel.core import MissingExtraError
from freewheel.engine import BlockingRunEngine, RunEngine

from ._frames import FrameKeeper
from ._names import device_named, plan_named
from ._publisher import StatePublisher

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "RE",
    "fw_actions",
    "fw_cancel",
    "fw_claims",
    "fw_explain",
    "fw_frame",
    "fw_hold_queue",
    "fw_launch",
    "fw_release",
    "fw_release_queue",
    "fw_set",
    "fw_snapshot",
    "fw_stop_all",
    "fw_trigger",
    "permissions_file",
    "publish_state",
    "use",
]

#: The engine of `use`; without one of the script's own, made when it is first asked for.
RE: BlockingRunEngine

_lock = threading.RLock()  # guards `_engine`, and the frames of that engine
_engine: BlockingRunEngine | None = None
_frames = FrameKeeper()


def use(engine: RunEngine | BlockingRunEngine) -> BlockingRunEngine:
    """Have the functions work on an engine of the start-up script's own: ``RE = use(engine)``.

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
        _engine = engine.blocking if isinstance(engine, RunEngine) else engine
        _frames = FrameKeeper()
        _engine.subscribe(_frames, delivery="latest")
        return _engine


def _engine_in_use() -> BlockingRunEngine:
    with _lock:
        return use(BlockingRunEngine({})) if _engine is None else _engine


def __getattr__(name: str) -> Any:
    # An engine has threads: it is made when a start-up script asks for it, and not before.
    if name == "RE":
        return _engine_in_use()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def publish_state(address: str = "tcp://127.0.0.1:60640") -> StatePublisher:
    """Publish the engine's state over 0MQ, with the last value kept. See `StatePublisher`.

    Parameters
    ----------
    address : str
        Where; one that is not the loopback's is open to everybody who reaches it.
    """
    return StatePublisher(_engine_in_use(), address)


def permissions_file() -> Path:
    """Return a file of user groups, for ``start-re-manager --user-group-permissions``.

    ``primary`` may do all, and ``observer`` may look, and stop all.
    """
    return Path(__file__).with_name("user_group_permissions.yaml")


# -- looking -------------------------------------------------------------------------------------


def fw_snapshot() -> dict[str, Any]:
    """Return the state, tasks, claims, actions on offer and progress: `EngineSnapshot.to_json`."""
    found: dict[str, Any] = json.loads(_engine_in_use().snapshot().to_json())
    return found


def fw_actions() -> list[dict[str, Any]]:
    """Return the actions on offer, with label and state of each."""
    found: list[dict[str, Any]] = fw_snapshot()["actions"]
    return found


def fw_claims() -> dict[str, str]:
    """Return who holds which device."""
    return dict(_engine_in_use().claims.by_name())


def fw_explain() -> str:
    """Return what the engine waits for, and what may be done."""
    return _engine_in_use().explain()


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
    _engine_in_use().trigger_action(name, plan=plan)


def fw_release(name: str, plan: str | None = None) -> None:
    """Release an action on offer: switch a toggle off."""
    _engine_in_use().release_action(name, plan=plan)


def fw_launch(
    plan: str,
    args: list[Any] | None = None,
    kwargs: dict[str, Any] | None = None,
    name: str | None = None,
) -> str:
    """Run a plan of the start-up script in the background, and return the task's name.

    Texts in the arguments that name a device of the script stand for it. queueserver's
    ``allowed_plans`` does not apply here: whoever may call this may run each of its plans.
    """
    call = plan_named(_namespace(), plan, args or [], kwargs or {})
    task = _engine_in_use().background.launch(call, name=name)
    return str(task.name)


def fw_cancel(name: str, reason: str = "") -> bool:
    """Cancel a background task, with its clean-up; return whether there was one to cancel."""
    return _engine_in_use().background.cancel(name, reason)


def fw_set(device: str, value: Any, between: bool = False) -> None:
    """Set a device by hand and wait for it; refused while a plan holds it."""
    found = device_named(_namespace(), device)
    _engine_in_use().by_hand.set(found, value, between=between).result()


def fw_hold_queue(reason: str = "") -> None:
    """Have the engine start no plan any more; the one that runs goes on."""
    _engine_in_use().queue.hold(reason)


def fw_release_queue() -> None:
    """Have the engine start plans again."""
    _engine_in_use().queue.release()


def fw_stop_all(reason: str = "") -> None:
    """Stop every device and end everything that runs: the red button; waits, 10 s at most."""
    _engine_in_use().stop_all(reason)


def _namespace() -> Mapping[str, Any]:
    """Return what the start-up script has defined, as queueserver tells it."""
    try:
        tools = import_module("bluesky_queueserver.manager.profile_tools")
    except ImportError as error:
        raise MissingExtraError("freewheel.hosts.queueserver", "queueserver") from error
    found: Mapping[str, Any] = tools.global_user_namespace.user_ns
    return found
