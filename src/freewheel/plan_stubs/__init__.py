"""Plan stubs: generators of the messages that plans are made of."""

from freewheel.core import Pacer, Tick

from ._actions import read_while_waiting, wait_for_action, wait_for_actions
from ._background import (
    background,
    background_results,
    cancel_background,
    claim,
    claim_wrapper,
    release,
    wait_any,
    wait_for_background,
)
from ._cache import clear_cache, read_and_stash, stash
from ._describe import describe, describe_collect
from ._live import acquire, trigger_and_read
from ._messages import (
    abs_set,
    checkpoint,
    create,
    drop,
    null,
    read,
    save,
    sleep,
    trigger,
    wait,
)
from ._moves import mv, rd, set_property
from ._pace import pace
from ._progress import declare_progress, monitor_progress, run_progress, update_progress
from ._restoring import restoring
from ._uninterrupted import uninterrupted

__all__ = [
    "Pacer",
    "Tick",
    "abs_set",
    "acquire",
    "background",
    "background_results",
    "cancel_background",
    "checkpoint",
    "claim",
    "claim_wrapper",
    "clear_cache",
    "create",
    "declare_progress",
    "describe",
    "describe_collect",
    "drop",
    "monitor_progress",
    "mv",
    "null",
    "pace",
    "rd",
    "read",
    "read_and_stash",
    "read_while_waiting",
    "release",
    "restoring",
    "run_progress",
    "save",
    "set_property",
    "sleep",
    "stash",
    "trigger",
    "trigger_and_read",
    "uninterrupted",
    "update_progress",
    "wait",
    "wait_any",
    "wait_for_action",
    "wait_for_actions",
    "wait_for_background",
]
