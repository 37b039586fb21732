"""``freewheel record``: run a plan on the simulated microscope, and record it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def record(
    output: Annotated[
        Path, typer.Argument(help="The recording's directory; added to if it exists.")
    ],
    plan: Annotated[
        str,
        typer.Argument(
            help="count, scan or grid_scan; or FILE.py:FUNCTION, a function that takes the "
            "devices by name and returns a plan."
        ),
    ] = "count",
    points: Annotated[int, typer.Option(help="How many points, in each direction.", min=1)] = 10,
    shape: Annotated[
        int, typer.Option(help="Height and width of the camera's frames [pixels].", min=16)
    ] = 256,
    exposure: Annotated[float, typer.Option(help="Exposure time [s].", min=1e-6)] = 0.01,
    compression: Annotated[
        str | None, typer.Option(help="gzip or lzf; slower, and smaller where there is no noise.")
    ] = None,
) -> None:
    """Run a plan on the simulated microscope, and record it."""
    from freewheel import RunEngine
    from freewheel.recording import Recorder, RecordingError, read_runs
    from freewheel.sim import microscope

    make = _plan_function(plan, points)
    devices = microscope(shape=(shape, shape), exposure=exposure)
    uids: list[str] = []
    try:
        with RunEngine() as engine, Recorder(output, compression=compression) as recorder:
            engine.subscribe(recorder, delivery="queued")
            engine.subscribe(lambda _, doc: uids.append(doc["uid"]), "start")
            try:
                engine(make(devices)).result()
            except KeyboardInterrupt:
                typer.echo("\nStopping the plan ...", err=True)
                engine.stop().result()
                raise typer.Exit(130) from None
        runs = [run for run in read_runs(output) if run.uid in uids]
    except RecordingError as error:
        typer.echo(f"freewheel record: {error}", err=True)
        raise typer.Exit(1) from None
    for run in runs:
        events = sum(1 for name, _ in run.documents(fill=False) if name == "event")
        typer.echo(f"{run.uid}  {run.start.get('plan_name', '?')}  {events} events")


def _plan_function(name: str, points: int) -> Callable[[Mapping[str, Any]], Any]:
    import bluesky.plans as bp

    plans: dict[str, Callable[[Any], Any]] = {
        "count": lambda d: bp.count([d["camera"]], points),
        "scan": lambda d: bp.scan([d["camera"]], d["stage"].x, -10, 10, points),
        "grid_scan": lambda d: bp.grid_scan(
            [d["camera"]], d["stage"].x, -10, 10, points, d["stage"].y, -10, 10, points
        ),
    }
    if name in plans:
        return plans[name]
    file, _, function = name.rpartition(":")
    path = Path(file)
    if not function or not path.is_file():
        message = f"{name!r} is none of {', '.join(plans)}, and no FILE.py:FUNCTION"
        raise typer.BadParameter(message)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not callable(getattr(module, function, None)):
        message = f"{path} has no function {function!r}"
        raise typer.BadParameter(message)
    found: Callable[[Mapping[str, Any]], Any] = getattr(module, function)
    return found
