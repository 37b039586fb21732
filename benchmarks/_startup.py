"""Starting: the command line, its completion, and the import of the package.

``python -m benchmarks --only startup`` prints the table. Each figure is the processor time of a
whole process, which is what a start is bound by: time by the clock is that of the other programs
as well, and a difference of two such times little else. All modules are compiled already, as those
of an installed package are: where Python is told to write no bytecode, and the package is a
checkout, ours alone would be compiled at each start.
The peer of the command line is the same list of commands by a program that imports the engine
and draws with Rich, as ``freewheel`` itself did once.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

from benchmarks._rows import Row, interleave, make_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["rows"]

EAGER = """
import typer, freewheel.core, freewheel.background, freewheel.engine
from freewheel.cli._registry import COMMANDS
app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for name, entry in COMMANDS.items():
    def not_called(): "Stands in the list."
    app.command(name, short_help=entry.summary)(not_called)
app(["--help"])
"""
COMPLETE = {
    "_FREEWHEEL_COMPLETE": "complete_bash",
    "COMP_WORDS": "freewheel re",
    "COMP_CWORD": "1",
}
BLUESKY = "import bluesky.run_engine"


def process(compiled: str, *arguments: str, **environment: str) -> Callable[[], float]:
    """Return what times a Python process with these arguments, in ms.

    Parameters
    ----------
    compiled : str
        A folder for the bytecode.
    """
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": compiled, **environment}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def measure() -> float:
        began = _of_children()
        subprocess.run(
            [sys.executable, *arguments],
            env=environment,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        return (_of_children() - began) * 1e3

    return measure


def _of_children() -> float:
    """Return the processor time of all processes that this one has waited for, in s."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def rows() -> Iterable[Row]:
    """Measure, and yield the lines of the table."""
    with tempfile.TemporaryDirectory() as compiled:
        figures = interleave(
            {
                "everything imported": process(compiled, "-c", EAGER),
                "help": process(compiled, "-m", "freewheel", "--help"),
                "completion": process(compiled, "-m", "freewheel", **COMPLETE),
                "bluesky": process(compiled, "-c", BLUESKY),
                "import": process(compiled, "-c", f"{BLUESKY}; import freewheel"),
                "engine": process(compiled, "-c", f"{BLUESKY}; from freewheel import RunEngine"),
            },
            repeats=11,
        )
    for name, what in (("help", "freewheel --help"), ("completion", "completion in a shell")):
        yield make_row(
            what,
            figures,
            ours=name,
            peer="everything imported",
            unit="ms",
            must_reach=">= 2.86",  # at most 0.35 of the time
        )
    yield _beyond("import freewheel, beyond bluesky's own import", figures, "import", "<= 60 ms")
    yield _beyond("from freewheel import RunEngine, likewise", figures, "engine", "<= 60 ms")


def _beyond(what: str, figures: Mapping[str, float], name: str, limit: str) -> Row:
    return Row(what, figures[name] - figures["bluesky"], None, "", None, "ms", limit)
