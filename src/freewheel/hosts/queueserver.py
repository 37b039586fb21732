"""For the start-up scripts of bluesky-queueserver: an engine, and its verbs as functions.

One line in the start-up script, instead of making a ``RunEngine``::

    from freewheel.hosts.queueserver import *

That brings ``RE``, a `freewheel.BlockingRunEngine`, and the functions ``fw_…``, which clients call
with ``function_execute``. What they take and return is JSON. Who may call which is queueserver's
to say: `permissions_file` is a file to begin with.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from freewheel.core import MissingExtraError

from ._descriptions import describe_without_actions
from ._names import device_named, plan_named
from ._verbs import (
    fw_actions,
    fw_cancel,
    fw_claims,
    fw_explain,
    fw_frame,
    fw_hold_queue,
    fw_release,
    fw_release_queue,
    fw_snapshot,
    fw_stop_all,
    fw_tasks,
    fw_trigger,
    in_use,
    launch,
    publish_state,
    use,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from freewheel.background import OnConflict
    from freewheel.engine import BlockingRunEngine

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
    "fw_tasks",
    "fw_trigger",
    "permissions_file",
    "publish_state",
    "use",
]

describe_without_actions()

#: The engine of `use`; without one of the script's own, made when it is first asked for.
RE: BlockingRunEngine


def __getattr__(name: str) -> Any:
    # An engine has threads: it is made when a start-up script asks for it, and not before.
    if name == "RE":
        return in_use()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def permissions_file() -> Path:
    """Return a file of user groups, for ``start-re-manager --user-group-permissions``.

    ``primary`` may do all, and ``observer`` may look, and stop all.
    """
    return Path(__file__).with_name("user_group_permissions.yaml")


def fw_launch(
    plan: str,
    args: list[Any] | None = None,
    kwargs: dict[str, Any] | None = None,
    name: str | None = None,
    on_conflict: OnConflict = "cancel",
) -> str:
    """Run a plan of the start-up script in the background, and return the task's name.

    Texts in the arguments that name a device of the script stand for it. ``on_conflict`` is that
    of `Background.launch`: with ``"pause"`` a live view gives way to a plan that needs its camera,
    and goes on after it. A name that a task has is refused. queueserver's
    ``allowed_plans`` does not apply here: whoever may call this may run each of its plans.
    """
    call = plan_named(_namespace(), plan, args or [], kwargs or {})
    return launch(call, name, on_conflict)


def fw_set(device: str, value: Any, between: bool = False) -> None:
    """Set a device by hand and wait for it; refused while a plan holds it."""
    found = device_named(_namespace(), device)
    in_use().by_hand.set(found, value, between=between).result()


def _namespace() -> Mapping[str, Any]:
    """Return what the start-up script has defined, as queueserver tells it."""
    try:
        tools = import_module("bluesky_queueserver.manager.profile_tools")
    except ImportError as error:
        raise MissingExtraError("freewheel.hosts.queueserver", "queueserver") from error
    found: Mapping[str, Any] = tools.global_user_namespace.user_ns
    return found
