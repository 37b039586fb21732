"""Plans that the command line names as ``FILE.py:PLAN`` or ``MODULE:PLAN``."""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from ._output import say

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["PlanSource", "search_here", "split"]


class PlanSource(NamedTuple):
    """A plan that is named on the command line.

    Parameters
    ----------
    source : str
        The file or the module.
    name : str
        The plan's name in it.
    """

    source: str
    name: str

    @property
    def is_file(self) -> bool:
        """Whether it is a file, and not a module."""
        return Path(self.source).is_file()

    def load(self) -> ModuleType:
        """Run the file as a module, or import the module.

        What lies beside the file, or in the working directory, can be imported by it.

        Raises
        ------
        typer.BadParameter
            If there is no such module, or it raises; its traceback is shown.
        """
        from freewheel.forms import import_file

        try:
            if self.is_file:
                path = Path(self.source)
                sys.path.insert(0, str(path.parent))  # for good: a plan may import when it runs
                return import_file(path)
            search_here()
            return importlib.import_module(self.source)
        except ModuleNotFoundError as error:
            if f"{self.source}.".startswith(f"{error.name}."):
                message = f"there is no file and no module {self.source!r}"
                raise typer.BadParameter(message) from None
            failure = traceback.format_exc()
        except Exception:
            failure = traceback.format_exc()
        say(failure)
        message = f"{self.source} could not be loaded, see above"
        raise typer.BadParameter(message)

    def function(self, module: ModuleType) -> Any:
        """Return the plan function of the module.

        Raises
        ------
        typer.BadParameter
            If there is none of that name; those that there are are named.
        """
        function = getattr(module, self.name, None)
        if callable(function):
            return function
        message = f"{self.source} has no plan {self.name!r}; {_what_there_is(module)}"
        raise typer.BadParameter(message)


def split(text: str) -> PlanSource:
    """Return the file or module, and the name of the plan.

    Raises
    ------
    typer.BadParameter
        If it is not of that form, or there is no such file.
    """
    from freewheel.forms import check_source

    source, _, name = text.rpartition(":")
    if not source or not name.isidentifier():
        message = f"{text!r} is no FILE.py:PLAN and no MODULE:PLAN, such as bluesky.plans:count"
        raise typer.BadParameter(message)
    try:
        check_source(source)
    except FileNotFoundError:
        message = f"there is no file {source!r}"
        raise typer.BadParameter(message) from None
    path = Path(source)
    if path.is_dir() or (path.is_file() and path.suffix != ".py"):
        message = f"{source} is no Python file"
        raise typer.BadParameter(message)
    return PlanSource(source, name)


def search_here() -> None:
    """Have modules found in the working directory, as ``python -m`` does."""
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)


def _what_there_is(module: ModuleType) -> str:
    from freewheel.forms import is_plan_function

    plans = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and is_plan_function(value)
    ]
    listed = getattr(module, "__all__", None)
    own = [
        name
        for name in plans
        if (name in listed if listed else vars(module)[name].__module__ == module.__name__)
    ]
    if own:
        return f"it has: {', '.join(own)}"
    text = (
        "it has no plan of its own (a plan is a generator function: def name(...): yield from ...)"
    )
    if plans:
        text += f", but imports {', '.join(plans)}"
    if callable(getattr(module, "main", None)):
        text += "; it is a program: run it with python"
    return text
