"""``freewheel demo``: a live view on a simulated camera, without a display."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from ._options import positive
from ._status_line import FrameCounter, StatusLine

if TYPE_CHECKING:
    from freewheel import PlanFuture
    from freewheel.sim import SimCamera

_LIVE, _SNAPSHOT = "live", "snapshot"  # streams


def _shape(text: str) -> str:
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if match is None or not all(1 <= int(edge) <= 8192 for edge in match.groups()):
        msg = f"must be height x width in pixels, each from 1 to 8192, such as 512x512, not {text}"
        raise typer.BadParameter(msg)
    return text


def demo(
    seconds: Annotated[
        float, typer.Option(help="How long to run [s].", callback=positive("s", 1e6))
    ] = 5.0,
    rate: Annotated[
        float, typer.Option(help="Frames per second.", callback=positive("Hz", 10_000))
    ] = 60.0,
    shape: Annotated[
        str, typer.Option(help="Height and width of the frames.", callback=_shape)
    ] = "512x512",
    output: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the snapshot's documents; by default a new temporary one.",
            file_okay=False,
        ),
    ] = None,
) -> None:
    """Run a live view on a simulated camera, and take a snapshot of it.

    Needs no hardware and no display. Ctrl-C stops the plan with its clean-up.
    """
    # Imported here, so that help comes, and bad options are refused, without delay.
    from freewheel import RunEngine
    from freewheel.plans import live_view
    from freewheel.sim import SimCamera

    from ._demo_run import DemoRun
    from ._snapshots import SnapshotWriter, new_folder

    height, width = (int(edge) for edge in shape.split("x"))
    camera = SimCamera(
        "camera",
        shape=(height, width),
        exposure=min(0.005, 0.25 / rate),
        readout=min(0.0025, 0.25 / rate),
    )
    asyncio.run(_prepared(camera))
    counter = FrameCounter(_LIVE)
    writer = SnapshotWriter(_SNAPSHOT, new_folder(output))
    # The line comes first: getting hold of the terminal takes longer than a frame.
    with RunEngine() as engine, StatusLine(counter) as line:
        engine.subscribe(counter)
        engine.subscribe(writer, delivery="queued")
        run = DemoRun(engine, line, seconds, writer.wrote)
        plan = live_view([camera], rate=rate, stream=_LIVE, snap_stream=_SNAPSHOT)
        future = run.run(plan)
    code = _failed(future) or run.exit_code
    if code != 1:
        for text in writer.summary():
            typer.echo(text)
    raise typer.Exit(code)


async def _prepared(camera: SimCamera) -> None:
    """Connect the camera, and have it draw its scene before frames are due."""
    await camera.connect()
    await camera.trigger()


def _failed(future: PlanFuture) -> int:
    """Say why the plan failed, and return 1; return 0 for one that did not."""
    error = future.outcome.exception()
    if error is None:
        return 0
    typer.echo(f"The plan failed: {type(error).__name__}: {error}", err=True)
    return 1
