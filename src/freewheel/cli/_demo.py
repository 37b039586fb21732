"""``freewheel demo``: a live view on a simulated camera, without a display."""

from __future__ import annotations

import asyncio
import re
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from bluesky.utils import TransitionError

from freewheel.terminal import StopFirst, Watcher

from ._options import positive
from ._output import say
from ._snapshots import DOCUMENTS, SnapshotWriter
from ._status_line import FrameCounter, StatusLine

if TYPE_CHECKING:
    from freewheel import PlanFuture, RunEngine
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
    # Imported here, so that bad options are refused without delay.
    from freewheel import RunEngine
    from freewheel.plans import live_view
    from freewheel.sim import SimCamera

    height, width = (int(edge) for edge in shape.split("x"))
    camera = SimCamera(
        "camera",
        shape=(height, width),
        exposure=min(0.005, 0.25 / rate),
        readout=min(0.0025, 0.25 / rate),
    )
    asyncio.run(_prepared(camera))
    counter = FrameCounter(_LIVE)
    writer = SnapshotWriter(_SNAPSHOT, _folder(output))
    # The line comes first: getting hold of the terminal takes longer than a frame.
    with RunEngine() as engine, StatusLine(counter) as line:
        engine.subscribe(counter)
        engine.subscribe(writer, delivery="queued")
        run = _Run(engine, line, seconds)
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


def _folder(output: Path | None) -> Path:
    if output is None:
        return Path(tempfile.mkdtemp(prefix="freewheel-demo-"))
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"can't be made: {error}"
        raise typer.BadParameter(msg, param_hint="--output") from error
    if (output / DOCUMENTS).exists():
        msg = f"holds the documents of another run already: {output / DOCUMENTS}"
        raise typer.BadParameter(msg, param_hint="--output")
    return output


class _Run:
    """The main thread's part: it shows how the plan goes, asks for the snapshot, and stops it.

    Parameters
    ----------
    engine : RunEngine
        The engine that runs the plan.
    line : StatusLine
        Shows how it goes.
    seconds : float
        How long the plan may run [s].
    """

    def __init__(self, engine: RunEngine, line: StatusLine, seconds: float) -> None:
        self._engine = engine
        self._line = line
        self._seconds = seconds
        self._rules = StopFirst(before="\n")
        self._watcher = Watcher(engine, self._rules, say)
        self._ending = False
        self._snapped = False

    @property
    def exit_code(self) -> int:
        """0, or what a shell gives to a program that a signal has ended."""
        return self._rules.exit_code or 0

    def run(self, plan: Any) -> PlanFuture:
        """Run the plan, and stay with it until it has ended."""
        with self._watcher:
            future = self._engine(plan)
            began = time.monotonic()
            self._watcher.stay(future, lambda _: self._look(time.monotonic() - began), paused=_rest)
            self._line.show("ended", time.monotonic() - began)
        return future

    def _look(self, elapsed: float) -> None:
        if not self._snapped and elapsed >= self._seconds / 2:
            with suppress(KeyError):  # not on offer at this moment: next time
                self._engine.trigger_action("snap")
                self._snapped = True
        if elapsed >= self._seconds and not self._ending and self._rules.first is None:
            self._ending = True
            with suppress(TransitionError):  # the plan has just ended by itself
                self._engine.stop()
        self._line.show(self._engine.snapshot().state, elapsed)


def _rest(_: object) -> None:
    """Say nothing: the live view does not pause itself."""


def _failed(future: PlanFuture) -> int:
    """Say why the plan failed, and return 1; return 0 for one that did not."""
    error = future.outcome.exception()
    if error is None:
        return 0
    typer.echo(f"The plan failed: {type(error).__name__}: {error}", err=True)
    return 1
