"""``freewheel gui``: the acquisition window, on simulated devices or on those of a file."""

from __future__ import annotations

import inspect
from dataclasses import replace
from functools import partial
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._lab import ConnectTimeout, Devices, Lab, Startup
from ._options import Configuration, Stacks, call_sites
from ._publish import UNSENT, Publish, Unsent
from ._remote import Connect, Token, connect_to, refuse_beside
from ._window import application, settings_of, show

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from freewheel.core import EngineView
    from freewheel.forms import PlanEntry
    from freewheel.qt import AcquisitionWindow


def gui(
    plans: Annotated[
        list[str] | None,
        typer.Argument(help="Folders, files or modules whose plans to offer too.", metavar="PLANS"),
    ] = None,
    devices: Devices = None,
    micromanager: Configuration = None,
    sim: Annotated[
        bool,
        typer.Option(
            help="Offer the devices of the simulated microscope, too: camera, stage, ... "
            "Without devices of your own they are offered anyway."
        ),
    ] = False,
    timeout: ConnectTimeout = 10.0,
    shape: Annotated[
        int,
        typer.Option(help="Height and width of the simulated camera's frames, in pixels.", min=16),
    ] = 1024,
    startup: Startup = None,
    publish: Publish = None,
    unsent: Unsent = UNSENT,
    stacks: Stacks = False,
    connect: Connect = None,
    token: Token = None,
    screenshot: Annotated[
        Path | None,
        typer.Option(help="Write a picture of the window to this file, and quit.", hidden=True),
    ] = None,
) -> None:
    """Open an acquisition window, on the simulated microscope or on devices of your own.

    It offers freewheel's own plans and those of any folder, file or module given:
    ``freewheel gui plans/ --devices my_lab.py``, or ``--micromanager microscope.cfg`` for those
    of a Micro-Manager configuration. Devices are connected while the window is up; one that
    fails is shown with the reason. If the file has a run engine RE, that one is used. Closing
    the window while a plan runs asks, then stops with clean-up. Ctrl-C and SIGTERM stop with
    clean-up and close it; a second one halts.

    With ``--connect`` it shows the engine of a server, with that one's devices and plans. Closing
    the window leaves that engine as it is.

    Exit code: 0 the window was closed, 1 there is no display, 2 bad usage, 130 it was ended with
    Ctrl-C, 129 and 143 likewise with SIGHUP and SIGTERM.
    """
    from freewheel.qt import AcquisitionWindow, connect_devices
    from freewheel.terminal import follow_progress

    from ._micromanager import load_microscope, sequence_plan, what_is_moved_first

    if connect is not None:
        refuse_beside(
            {
                "PLANS": plans,
                "--devices": devices,
                "--micromanager": micromanager,
                "--startup": startup,
                "--sim": sim,
                "--publish": publish,
            }
        )
        raise typer.Exit(_there(connect, token, screenshot))
    # Before the application: its core would use Qt's signals for its own.
    scope = load_microscope(micromanager) if micromanager is not None else None
    app = application()
    lab = Lab()
    lab.devices.update({} if scope is None else what_is_moved_first(scope))
    try:
        own = lab.take_devices(devices)
        _check(plans or ())
        lab.start_up(startup)
        simulated = _simulated(shape) if sim or not lab.devices else {}
        follow_progress(lab.engine)
        lab.engine.queue.on_interruption = "hold"  # a person is there, to release it
        window = AcquisitionWindow(
            lab.engine,
            {**simulated, **connect_devices(lab.engine, {**own, **lab.devices}, timeout)},
            partial(
                _entries,
                [*(plans or ()), *([] if scope is None else [sequence_plan(scope)])],
                places=not (own or lab.devices),
            ),
            microscope=scope,
            settings=None if screenshot else settings_of(devices or micromanager or "simulated"),
        )
        lab.publish(publish, unsent)  # the window shows what it says
        with call_sites(stacks):
            code = _shown(app, window, lab.engine, screenshot)
    finally:
        lab.close()
        if scope is not None:
            scope.close()
    raise typer.Exit(code)


def _there(url: str, token: str | None, screenshot: Path | None) -> int:
    """Show the engine of a server."""
    from freewheel.qt import AcquisitionWindow

    app = application()
    with connect_to(url, token, "freewheel gui") as engine:
        window = AcquisitionWindow(
            engine,
            dict(engine.devices),
            engine.plans.entries(),
            settings=None if screenshot else settings_of(url),
        )
        window.setWindowTitle(f"freewheel: {engine.url}, as {engine.name}")
        return _shown(app, window, engine, screenshot)


def _shown(app: Any, window: AcquisitionWindow, engine: EngineView, screenshot: Path | None) -> int:
    """Show a window until it is closed, or take its picture; return the exit code."""
    if screenshot is None:
        return show(window, engine)
    window.show()
    app.processEvents()
    window.grab().save(str(screenshot))
    window.close()
    return 0


def _simulated(shape: int) -> dict[str, Any]:
    from freewheel.sim import microscope

    return dict(microscope(shape=(shape, shape)))


def _entries(
    plans: Sequence[Any], devices: Mapping[str, Any], *, places: bool = True
) -> list[PlanEntry]:
    import freewheel.plans
    from freewheel.forms import find_plans
    from freewheel.qt import demo_plans

    # What measures is offered first where a plan asks for detectors.
    measuring = {name: device for name, device in devices.items() if hasattr(device, "trigger")}
    offered = {**measuring, **devices}
    own = find_plans(plans, offered)
    named = {entry.name for entry in own}  # which go before those for a first try
    shown = [each for each in find_plans([demo_plans], offered) if each.name not in named]
    if not places:
        shown = [_without_places(entry) for entry in shown]
    return [*find_plans([freewheel.plans], offered), *shown, *own]


def _without_places(entry: PlanEntry) -> PlanEntry:
    """Return a plan that fills in no places: those are of the simulated stage.

    A motor of somebody's laboratory must not go there because nobody has written another place.
    """
    if entry.spec is None:
        return entry
    parameters = [
        replace(each, default=inspect.Parameter.empty)
        if each.name.rpartition("_")[2] in ("start", "stop")
        else each
        for each in entry.spec.parameters
    ]
    return replace(entry, spec=replace(entry.spec, parameters=parameters))


def _check(plans: Sequence[str]) -> None:
    from freewheel.forms import check_source

    for source in plans:
        try:
            check_source(source)
        except FileNotFoundError as error:
            raise typer.BadParameter(str(error)) from error
