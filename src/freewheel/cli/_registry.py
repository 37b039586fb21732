"""Which sub-commands there are.

``freewheel --help`` shows this table and imports none of the modules in it. To add a
command, write a module with a function in the manner of typer (its parameters are the command's
options, its docstring the long help) and add a line.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class Entry(NamedTuple):
    """One sub-command.

    Parameters
    ----------
    summary : str
        One line for ``freewheel --help``.
    module : str
        The module that has the command's function, relative to `freewheel.cli`.
    function : str
        The function's name.
    extra : str or None
        The extra of freewheel that it needs, if any: named when a package is missing.
    """

    summary: str
    module: str
    function: str
    extra: str | None = None


COMMANDS: Final[dict[str, Entry]] = {
    "demo": Entry("Run a live view on a simulated camera.", "._demo", "demo"),
    "gui": Entry("Open an acquisition window, simulated or not.", "._gui", "gui", "qt"),
    "record": Entry(
        "Run a plan, simulated or not, and record it.", "._record", "record", "recording"
    ),
    "replay": Entry("Emit recorded documents again.", "._replay", "replay", "recording"),
    "run": Entry("Run a plan of a file or module, with progress.", "._run", "run"),
    "serve": Entry("Serve an engine to clients elsewhere.", "._serve", "serve", "remote"),
    "shell": Entry(
        "Start IPython on devices, simulated or your own.",
        "._shell",
        "shell",
        "ipython",
    ),
    "tiled": Entry("Run a Tiled server on this machine.", "._tiled", "tiled", "tiled"),
}


def load(name: str) -> Callable[..., Any]:
    """Import a sub-command's function.

    Raises
    ------
    MissingExtraError
        If a package that comes with the command's extra is not installed.
    """
    entry = COMMANDS[name]
    try:
        module = import_module(entry.module, __package__)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if entry.extra is None or missing.partition(".")[0] == "freewheel":
            raise
        from freewheel.core import MissingExtraError  # here: it brings bluesky, which takes long

        raise MissingExtraError(f"freewheel {name}", entry.extra) from error
    function: Callable[..., Any] = getattr(module, entry.function)
    return function
