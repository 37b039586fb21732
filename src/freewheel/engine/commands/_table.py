"""All commands, and how engines treat them.

A new command is a stub in `freewheel.plan_stubs`, a handler in this package, and an entry here;
what it does to a device is said by `freewheel.core.VERBS`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from freewheel.engine._bluesky import Command, LeanCommands, wait_for
from freewheel.engine._owned_tasks import WAIT_FOR_OWNED

from ._actions import WaitForActions
from ._flow import (
    ClearCheckpoint,
    CloseRun,
    CountStagingsAgain,
    CountStopsOfAll,
    OpenRun,
    StartSuspender,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from freewheel.engine._bluesky import EngineCore

__all__ = ["COMMANDS"]

_NO_PAUSE: Final = (
    "a background plan cannot pause: nobody would know that it waits. Pause the task, with "
    "task.pause(), or let the foreground plan pause: its tasks pause with it."
)
_NO_INPUT: Final = (
    "a background plan cannot ask for input: the prompt belongs to the foreground. Ask before "
    "the task is started, or wait for an action."
)


def _rare(module: str, kind: str, method: str | None = None) -> Callable[[EngineCore], Any]:
    """Return what makes the handler of a command whose module is imported when it is asked for.

    Parameters
    ----------
    module : str
        The module, in this package.
    kind : str
        The class that has the command.
    method : str, optional
        The method that carries it out, where an object of the class is no handler itself.
    """

    def make(core: EngineCore) -> Any:
        made = getattr(import_module(module, __package__), kind)(core)
        return made if method is None else getattr(made, method)

    return make


_BLUESKYS: Final = (
    Command("open_run", OpenRun, repeated=False),
    Command("close_run", CloseRun, repeated=False),
    Command("declare_stream", of_run=True),
    Command("create", lambda core: LeanCommands(core).create, of_run=True),
    Command("read", lambda core: LeanCommands(core).read, of_run=True),
    Command("save", lambda core: LeanCommands(core).save, of_run=True),
    Command("drop", of_run=True),
    Command("monitor", repeated=False),
    Command("unmonitor", repeated=False),
    Command("stage", repeated=False, waits=True),  # for who holds the device, before it begins
    Command("unstage", repeated=False, waits=True),
    Command("set", lambda core: LeanCommands(core).set),
    Command("trigger", lambda core: LeanCommands(core).trigger, of_run=True),
    Command("prepare", of_run=True),
    Command("kickoff", of_run=True),
    Command("complete", of_run=True),
    Command("collect", of_run=True),
    Command("configure"),
    Command("stop"),
    Command("locate"),
    Command("wait", lambda core: LeanCommands(core).wait),
    Command("wait_for", lambda _: wait_for),
    Command("sleep"),
    Command("null"),
    Command("RE_class"),
    Command("input", refused_in_child=_NO_INPUT),
    Command("checkpoint", lambda core: LeanCommands(core).checkpoint),
    Command("clear_checkpoint", ClearCheckpoint),
    Command("rewindable"),
    Command("pause", repeated=False, refused_in_child=_NO_PAUSE),
    Command("subscribe", repeated=False),
    Command("unsubscribe", repeated=False),
    Command("install_suspender", repeated=False),
    Command("remove_suspender", repeated=False),
    Command("_start_suspender", StartSuspender, repeated=False),
    Command("_resume_from_suspender"),
)
_OURS: Final = (
    Command("acquire", lambda core: LeanCommands(core).acquire, of_run=True),
    Command("pace", _rare("._pace", "Pace"), waits=True),
    Command("wait_for_actions", WaitForActions, waits=True),
    Command("uninterrupted", _rare("._uninterrupted", "Uninterrupted"), repeated=False),
    Command("stash", _rare("._caches", "Stash"), repeated=False),
    Command("clear_cache", _rare("._caches", "ClearCache"), repeated=False),
    Command("declare_progress", lambda core: core.progress.declare_progress, repeated=False),
    Command("update_progress", lambda core: core.progress.update_progress, repeated=False),
    Command("monitor_progress", lambda core: core.progress.monitor_progress, repeated=False),
    Command("background", _rare("._tasks", "TaskCommands", "background"), repeated=False),
    Command("background_results", _rare("._tasks", "TaskCommands", "results"), repeated=False),
    Command("cancel_background", _rare("._tasks", "TaskCommands", "cancel"), waits=True),
    Command("wait_for_background", _rare("._tasks", "TaskCommands", "wait_for"), waits=True),
    Command("wait_any", _rare("._wait_any", "WaitAny"), waits=True),
    Command("claim", _rare("._tasks", "TaskCommands", "claim"), waits=True),
    Command("release", _rare("._tasks", "TaskCommands", "release"), repeated=False),
    Command("_count_stops_of_all", CountStopsOfAll, repeated=False, private=True),
    Command("_count_stagings_again", CountStagingsAgain, repeated=False, private=True),
    Command(
        WAIT_FOR_OWNED,
        _rare("._tasks", "TaskCommands", "wait_for_owned"),
        waits=True,
        private=True,
    ),
)
#: Every command that freewheel knows, by its name.
COMMANDS: Final[Mapping[str, Command]] = {command.name: command for command in (*_BLUESKYS, *_OURS)}
