"""Run a program from a page, and wait for what it started: ``python run_page.py PROGRAM [CELLS]``.

A page leaves plans running, as a reader does. Those that end are waited for, for a short while, so
that their failures are told; the others are stopped. CELLS are the cells of a notebook, as JSON;
they see what the program has made.
"""

from __future__ import annotations

import asyncio
import json
import runpy
import sys
import threading
from pathlib import Path
from typing import Any

PATIENCE = 1.0  # seconds


def run_cells(cells: list[str], namespace: dict[str, Any]) -> None:
    """Run cells as a notebook does: in a running loop."""
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell(user_ns=namespace)

    async def run() -> None:
        for cell in cells:
            result = await shell.run_cell_async(cell, transformed_cell=shell.transform_cell(cell))
            result.raise_error()

    asyncio.run(run())


def end(engine: Any) -> None:
    """Wait for the plans of an engine, stop those that go on, and close it."""
    idle = threading.Event()

    def look(*_: object) -> None:
        if engine.state == "idle" and not engine.queued and not engine.background.running:
            idle.set()

    engine.events.state_changed.connect(look)
    engine.events.background_changed.connect(look)
    look()
    if not idle.wait(PATIENCE):
        for task in engine.background.running:
            task.cancel()
        if engine.state != "idle":
            engine.stop().result(20)
    engine.close()


def run_page(program: str, cells: str | None) -> None:
    """Run a program, and cells after it, and end what they have started."""
    from freewheel import RunEngine

    sys.path.insert(0, str(Path.cwd()))
    namespace = runpy.run_path(program, run_name="__main__")
    if cells is not None:
        run_cells(json.loads(Path(cells).read_text()), namespace)
    for value in list(namespace.values()):
        if isinstance(value, RunEngine) and not value.loop.is_closed():
            end(value)


if __name__ == "__main__":
    run_page(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
