"""``freewheel record``: run a plan, and record it."""

from __future__ import annotations

import inspect
import traceback
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._job import Job
from ._lab import ConnectTimeout, Devices, Lab, Startup
from ._offers import Actions, read_actions
from ._options import Stacks, call_sites, positive
from ._output import say
from ._publish import Publish  # noqa: TC001 - typer reads the annotations
from ._sources import split

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_COMPRESSIONS = ("gzip", "lzf")


def _compression(name: str | None) -> str | None:
    if name is not None and name not in _COMPRESSIONS:
        message = f"must be one of {', '.join(_COMPRESSIONS)}, not {name}"
        raise typer.BadParameter(message)
    return name


def record(
    output: Annotated[
        Path, typer.Argument(help="The recording's directory; added to if it exists.")
    ],
    plan: Annotated[
        str,
        typer.Argument(
            help="count, scan or grid_scan; or FILE.py:FUNCTION, a function that returns a plan. "
            "Its parameters are names of devices, or it has one, which is a mapping of all."
        ),
    ] = "count",
    points: Annotated[int, typer.Option(help="How many points, in each direction.", min=1)] = 10,
    shape: Annotated[
        int,
        typer.Option(help="Height and width of the camera's frames [pixels].", min=16, max=8192),
    ] = 256,
    exposure: Annotated[
        float, typer.Option(help="Exposure time [s].", callback=positive("s", 3600))
    ] = 0.01,
    compression: Annotated[
        str | None,
        typer.Option(
            help="gzip or lzf; slower, and smaller where there is no noise.", callback=_compression
        ),
    ] = None,
    devices: Devices = None,
    startup: Startup = None,
    timeout: ConnectTimeout = 10.0,
    action: Actions = None,
    publish: Publish = None,
    stacks: Stacks = False,
) -> None:
    """Run a plan on the simulated microscope, or on devices of your own, and record it.

    With --devices or --startup the plan gets those devices instead of the microscope's:
    ``freewheel record OUTPUT my_plans.py:night --devices my_lab.py``.

    Prints the uid, the plan and the number of events of each run. Ctrl-C stops the plan with its
    clean-up, and the recording is complete; a second one ends it without.

    Exit code: 0 the plan completed, 1 it failed or could not be recorded, 2 bad usage, 130 it was
    stopped with Ctrl-C, 129 and 143 likewise with SIGHUP and SIGTERM.
    """
    # Imported here, so that bad options are refused without delay.
    from freewheel.recording import Recorder, RecordingError
    from freewheel.terminal import log_as_lines

    make = _plan_function(plan, points)
    actions = read_actions(action or ())
    uids: list[str] = []
    restore_logging = log_as_lines()
    lab = Lab()
    try:
        lab.take_devices(devices)
        lab.start_up(startup)
        if not (devices or startup):
            lab.devices.update(_scope(shape, exposure))
        lab.connect(dict(lab.devices), timeout)
        made = _made(make, lab.devices, plan)
        engine = lab.engine
        with Recorder(output, compression=compression) as recorder:
            engine.subscribe(recorder, delivery="queued")
            lab.publish(publish, recorder)
            engine.subscribe(lambda _, doc: uids.append(doc["uid"]), "start")
            with call_sites(stacks):
                code = Job(engine, plain_errors=(RecordingError,), actions=actions).run(made)
        _list_runs(output, uids)
    except RecordingError as error:
        say(f"freewheel record: {error}")
        raise typer.Exit(1) from None
    finally:
        lab.close()
        restore_logging()
    raise typer.Exit(code)


def _scope(shape: int, exposure: float) -> Mapping[str, Any]:
    from freewheel.sim import microscope

    return microscope(shape=(shape, shape), exposure=exposure)


def _plan_function(name: str, points: int) -> Callable[[Mapping[str, Any]], Any]:
    import bluesky.plans as bp

    plans: dict[str, Callable[[Any], Any]] = {
        "count": lambda devices: bp.count([devices["camera"]], points),
        "scan": lambda devices: bp.scan([devices["camera"]], devices["stage"].x, -10, 10, points),
        "grid_scan": lambda devices: bp.grid_scan(
            [devices["camera"]],
            devices["stage"].x,
            -10,
            10,
            points,
            devices["stage"].y,
            -10,
            10,
            points,
        ),
    }
    if name in plans:
        return plans[name]
    if ":" not in name:
        message = f"{name!r} is none of {', '.join(plans)}, and no FILE.py:FUNCTION"
        raise typer.BadParameter(message)
    source = split(name)
    found: Callable[[Mapping[str, Any]], Any] = source.function(source.load())
    return found


def _made(make: Callable[..., Any], devices: Mapping[str, Any], name: str) -> Any:
    """Call the plan function; its failure is told of as that of a plan."""
    try:
        named = _named(make, devices)
        return make(**named) if named else make(devices)
    except Exception as error:
        say(traceback.format_exc().rstrip())
        say(f"freewheel record: {name} made no plan of the devices.")
        raise typer.Exit(1) from error


def _named(make: Callable[..., Any], devices: Mapping[str, Any]) -> dict[str, Any]:
    """Return the devices that a function asks for by its parameters; none if it takes all."""
    parameters = inspect.signature(make).parameters.values()
    asked = [each.name for each in parameters if each.default is each.empty]
    return {name: devices[name] for name in asked} if asked and devices.keys() >= set(asked) else {}


def _list_runs(output: Path, uids: list[str]) -> None:
    from freewheel.recording import read_runs

    runs = [run for run in read_runs(output) if run.uid in uids] if uids else []
    for run in runs:
        events = sum(1 for name, _ in run.documents(fill=False) if name == "event")
        typer.echo(f"{run.uid}  {run.start.get('plan_name', '?')}  {events} events")
