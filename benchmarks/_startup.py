"""Starting: the command line, its completion, and the import of the package.

``python -m benchmarks --only startup`` prints the table. Each figure is that of a whole process.
The peer of the command line is the same list of commands by a program that imports the engine
and draws with Rich, as ``freewheel`` itself did once.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
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


def process(*arguments: str, **environment: str) -> Callable[[], float]:
    """Return what times a Python process with these arguments, in ms."""

    def measure() -> float:
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, *arguments],
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        return (time.perf_counter() - began) * 1e3

    return measure


def rows() -> Iterable[Row]:
    """Measure, and yield the lines of the table."""
    figures = interleave(
        {
            "everything imported": process("-c", EAGER),
            "help": process("-m", "freewheel", "--help"),
            "completion": process("-m", "freewheel", **COMPLETE),
            "bluesky": process("-c", BLUESKY),
            "import": process("-c", f"{BLUESKY}; import freewheel"),
            "engine": process("-c", f"{BLUESKY}; from freewheel import RunEngine"),
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
    yield _beyond("from freewheel import RunEngine, likewise", figures, "engine")


def _beyond(what: str, figures: Mapping[str, float], name: str, limit: str = "") -> Row:
    return Row(what, figures[name] - figures["bluesky"], None, "", None, "ms", limit)
