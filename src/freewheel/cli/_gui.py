"""``freewheel gui``: the acquisition window on the simulated microscope."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import typer

# How long the process may take to end when the user has chosen to halt [s].
_EXIT_LIMIT = 8.0


def gui(
    plans: Annotated[
        list[str] | None,
        typer.Argument(help="Folders, files or modules whose plans to offer too.", metavar="PLANS"),
    ] = None,
    shape: Annotated[
        int, typer.Option(help="Height and width of the camera's frames [pixels].", min=16)
    ] = 1024,
    screenshot: Annotated[
        Path | None,
        typer.Option(help="Write a picture of the window to this file, and quit.", hidden=True),
    ] = None,
) -> None:
    """Open an acquisition window on the simulated microscope.

    It offers freewheel's own plans and those of any folder, file or module given, such as
    ``freewheel gui plans/``. Closing it while a plan runs asks, then stops with clean-up.
    """
    from qtpy.QtWidgets import QApplication

    import freewheel.plans
    from freewheel.engine import RunEngine
    from freewheel.forms import find_plans
    from freewheel.plan_stubs import run_progress
    from freewheel.qt import AcquisitionWindow, _demo_plans, responsive
    from freewheel.sim import microscope

    app = QApplication.instance() or QApplication(["freewheel"])
    devices = microscope(shape=(shape, shape))
    try:
        entries = find_plans([freewheel.plans, _demo_plans, *(plans or ())], devices)
    except FileNotFoundError as error:
        raise typer.BadParameter(str(error)) from error
    with RunEngine() as engine:
        engine.preprocessors.append(run_progress)
        window = AcquisitionWindow(engine, dict(devices), entries)
        window.show()
        with responsive():
            if screenshot is not None:
                app.processEvents()
                window.grab().save(str(screenshot))
            else:
                app.exec()
        window.close()
        sys.stdout.flush()
        if window.halted:
            _end_soon()
            engine.close(timeout=1)


def _end_soon() -> None:
    """End the process though a device hangs; after a halt that the user has chosen.

    The interpreter waits at its exit for each thread of an executor, and a device that blocks one
    for ever would keep the process.
    """

    def end() -> None:
        typer.echo("A device did not let its thread go; the process is ended.", err=True)
        os._exit(1)

    limit = threading.Timer(_EXIT_LIMIT, end)
    limit.daemon = True  # ends with the process, if that ends by itself
    limit.start()
