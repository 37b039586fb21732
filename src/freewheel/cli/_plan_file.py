"""Plans that the command line names as ``FILE.py:PLAN``."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ._job import say

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["load", "plan_function", "split"]


def split(text: str) -> tuple[Path, str]:
    """Return the file and the name of the plan.

    Raises
    ------
    typer.BadParameter
        If it is not of that form, or there is no such file.
    """
    file, _, name = text.rpartition(":")
    path = Path(file)
    if not file or not name:
        message = f"{text!r} is no FILE.py:PLAN"
        raise typer.BadParameter(message)
    if not path.is_file():
        message = f"there is no file {file!r}"
        raise typer.BadParameter(message)
    return path, name


def load(path: Path) -> ModuleType:
    """Run a file as a module; what lies beside it can be imported by it.

    Raises
    ------
    typer.BadParameter
        If it is no Python file, or raises; its traceback is shown.
    """
    from freewheel.forms import import_file

    if importlib.util.spec_from_file_location(path.stem, path) is None:
        message = f"{path} is no Python file"
        raise typer.BadParameter(message)
    sys.path.insert(0, str(path.parent))  # for good: a plan may import when it runs
    try:
        return import_file(path)
    except Exception:
        say(traceback.format_exc())
        message = f"{path} could not be loaded, see above"
        raise typer.BadParameter(message) from None


def plan_function(module: ModuleType, name: str, path: Path) -> Any:
    """Return the plan function.

    Raises
    ------
    typer.BadParameter
        If there is none of that name; those that there are are named.
    """
    from freewheel.forms import is_plan_function

    function = getattr(module, name, None)
    if callable(function):
        return function
    plans = [
        known
        for known, value in vars(module).items()
        if is_plan_function(value) and getattr(value, "__module__", "") == module.__name__
    ]
    known = ", ".join(each for each in plans if not each.startswith("_")) or "none"
    message = f"{path} has no plan {name!r}; it has: {known}"
    raise typer.BadParameter(message)
