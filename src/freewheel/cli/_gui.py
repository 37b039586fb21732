"""``freewheel gui``: the acquisition window, on simulated devices or on those of a file."""

from __future__ import annotations

import os
import sys
import traceback
from functools import partial
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._options import Stacks, call_sites
from ._window import application, show

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from freewheel.core import EngineView
    from freewheel.forms import PlanEntry


def gui(
    plans: Annotated[
        list[str] | None,
        typer.Argument(help="Folders, files or modules whose plans to offer too.", metavar="PLANS"),
    ] = None,
    devices: Annotated[
        str | None,
        typer.Option(
            help="A file or a module with devices of your own: its attributes, or what its "
            "function devices() returns.",
            metavar="FILE.py|MODULE",
        ),
    ] = None,
    sim: Annotated[
        bool,
        typer.Option(
            help="Offer the devices of the simulated microscope, too: camera, stage, ... "
            "Without --devices they are offered anyway."
        ),
    ] = False,
    timeout: Annotated[
        float,
        typer.Option(
            help="How long a device of your own may take to connect, in seconds.", min=0.1
        ),
    ] = 10.0,
    shape: Annotated[
        int,
        typer.Option(help="Height and width of the simulated camera's frames, in pixels.", min=16),
    ] = 1024,
    stacks: Stacks = False,
    screenshot: Annotated[
        Path | None,
        typer.Option(help="Write a picture of the window to this file, and quit.", hidden=True),
    ] = None,
) -> None:
    """Open an acquisition window, on the simulated microscope or on devices of your own.

    It offers freewheel's own plans and those of any folder, file or module given:
    ``freewheel gui plans/ --devices my_lab.py``. Devices are connected while the window is up; one
    that fails is shown with the reason. If the file has a run engine RE, that one is used. Closing
    the window while a plan runs asks, then stops with clean-up. Ctrl-C and SIGTERM stop with
    clean-up and close it; a second one halts.

    Exit code: 0 the window was closed, 1 there is no display, 2 bad usage, 130 it was ended with
    Ctrl-C, 129 and 143 likewise with SIGHUP and SIGTERM.
    """
    from freewheel.engine import RunEngine
    from freewheel.qt import AcquisitionWindow, connect_devices
    from freewheel.terminal import follow_progress

    app = application()
    # Before the devices: some libraries ask for an engine as they are made.
    engine: EngineView = RunEngine()
    try:
        own, engine = _own_devices(devices, engine)
        _check(plans or ())
        simulated = _simulated(shape) if sim or devices is None else {}
        follow_progress(engine)
        window = AcquisitionWindow(
            engine,
            {**simulated, **connect_devices(engine, own, timeout)},
            partial(_entries, plans or ()),
        )
        with call_sites(stacks):
            if screenshot is None:
                code = show(window, engine)
            else:
                code = 0
                window.show()
                app.processEvents()
                window.grab().save(str(screenshot))
                window.close()
    finally:
        engine.close()
    raise typer.Exit(code)


def _own_devices(source: str | None, engine: EngineView) -> tuple[dict[str, Any], EngineView]:
    """Load devices; return them, and the engine that their file has, or else the one given."""
    from freewheel.core import is_engine
    from freewheel.forms import DeviceSourceError, find_devices, load_module

    if source is None:
        return {}, engine
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # for a module, as `python -m` finds it
    try:
        module = load_module(source)
        found = find_devices(module)
    except (FileNotFoundError, DeviceSourceError) as error:
        raise typer.BadParameter(str(error), param_hint="--devices") from error
    except (Exception, SystemExit):
        typer.echo(traceback.format_exc(), err=True)
        message = f"{source} could not be loaded, see above"
        raise typer.BadParameter(message, param_hint="--devices") from None
    theirs = getattr(module, "RE", None)
    if is_engine(theirs):
        engine.close()
        engine = theirs
    return found, engine


def _simulated(shape: int) -> dict[str, Any]:
    from freewheel.sim import microscope

    return dict(microscope(shape=(shape, shape)))


def _entries(plans: Sequence[str], devices: Mapping[str, Any]) -> list[PlanEntry]:
    import freewheel.plans
    from freewheel.forms import find_plans
    from freewheel.qt import demo_plans

    return find_plans([freewheel.plans, demo_plans, *plans], devices)


def _check(plans: Sequence[str]) -> None:
    from freewheel.forms import check_source

    for source in plans:
        try:
            check_source(source)
        except FileNotFoundError as error:
            raise typer.BadParameter(str(error)) from error
