"""``python -m benchmarks [--only engine,live]``: measure, and print the table."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import sys
import traceback
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

# Without a display, and without matplotlib looking for one.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("MPLBACKEND", "Agg")

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from benchmarks._rows import Row

PEERS = (
    "freewheel",
    "bluesky",
    "redsun",
    "ophyd",
    "ophyd-async",
    "psygnal",
    "uvloop",
    "pymmcore-plus",
)


def modules() -> list[str]:
    """Return the names of the benchmark modules that are there, those of the engine first."""
    here = Path(__file__).parent
    names = sorted(
        path.stem[1:] for path in here.glob("_[a-z]*.py") if "def rows(" in path.read_text()
    )
    return sorted(names, key=lambda name: name != "engine")


def shown(figure: float | None) -> str:
    """Write a figure with three digits that mean something."""
    if figure is None:
        return "-"
    if abs(figure) >= 100:
        return f"{figure:,.0f}"
    return f"{figure:.3g}"


def add(table: Table, row: Row) -> None:
    """Put one row into the table."""
    reached = row.reached
    mark = "" if reached is None else "[green]yes[/]" if reached else "[red]NO[/]"
    table.add_row(
        row.name,
        shown(row.ours),
        f"{shown(row.peer)} {row.peer_name}" if row.peer_name else "-",
        row.unit,
        f"{shown(row.ratio)} x" if row.ratio is not None else "-",
        row.must_reach,
        mark,
    )


def described() -> str:
    """Say what was measured where."""
    found = []
    for name in PEERS:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    python = f"Python {platform.python_version()}, {os.cpu_count()} cores"
    return f"{python}; {', '.join(found)}"


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmarks and print the table.

    Returns
    -------
    int
        1 if a benchmark failed to run, else 0; a limit that is not kept is said in the table.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", help="names of modules, with commas: " + ",".join(modules()))
    chosen = parser.parse_args(arguments).only
    names = chosen.split(",") if chosen else modules()
    # A table that goes into a file keeps its columns.
    console = Console(width=None if sys.stdout.isatty() else 150)
    failed = False
    for name in names:
        table = Table(title=name, title_justify="left", caption_justify="left")
        for column in ("benchmark", "freewheel", "peer", "unit", "ratio", "must reach", "reached"):
            right = column in ("freewheel", "peer", "ratio")
            table.add_column(column, justify="right" if right else "left")
        try:
            for row in importlib.import_module(f"benchmarks._{name}").rows():
                add(table, row)
        except Exception:  # one module that cannot run takes nothing from the others
            failed = True
            traceback.print_exc()
        if table.row_count:
            console.print(table)
    console.print(described())
    console.print("Medians of interleaved repeats; a ratio above 1 is better than the peer.")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
