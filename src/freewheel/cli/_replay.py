"""``freewheel replay``: emit recorded documents again."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._publish import check_address
from ._window import application, show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from freewheel.recording import RecordedRun


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = math.nan
    if not speed > 0:
        message = f"must be a positive number, or inf for no waiting, not {text}"
        raise typer.BadParameter(message)
    return speed


def replay(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE|URL",
            help="A recording's directory, a .jsonl file of it, or a Tiled server's address.",
        ),
    ],
    speed: Annotated[
        float | None,
        typer.Option(
            help="How many times faster than it was; inf: at once. By default 1, and inf with "
            "--publish.",
            parser=_speed,
        ),
    ] = None,
    run: Annotated[
        str | None, typer.Option(help="Only runs whose uid begins so; all of them otherwise.")
    ] = None,
    gui: Annotated[bool, typer.Option("--gui", help="Show it in the acquisition window.")] = False,
    publish: Annotated[
        str | None,
        typer.Option(
            help="Send the documents there instead, such as zmq://HOST:PORT: what could not be "
            "sent when it came.",
            metavar="ADDRESS",
            callback=lambda address: address and check_address(address),
        ),
    ] = None,
) -> None:
    """Emit recorded documents again, with the spacing that they had."""
    from freewheel.recording import RecordingError, read_runs

    try:
        runs = [found for found in read_runs(source) if found.uid.startswith(run or "")]
        if not runs:
            typer.echo(f"freewheel replay: no such run in {source}", err=True)
            raise typer.Exit(1)
        if publish is not None:
            _publish(runs, publish, math.inf if speed is None else speed)
        elif gui:
            _show(runs, speed or 1.0)
        else:
            for each in runs:
                _print(each, speed or 1.0)
    except RecordingError as error:
        typer.echo(f"freewheel replay: {error}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _publish(runs: Sequence[RecordedRun], address: str, speed: float) -> None:
    from freewheel.publishing import PublishingError, send_runs

    sent = 0
    try:
        for run, count in send_runs(runs, address, speed=speed):
            sent += 1
            typer.echo(f"{run.uid}  {run.start.get('plan_name', '?')}  {count} documents sent")
    except PublishingError as error:
        typer.echo(f"freewheel replay: {error}", err=True)
        typer.echo(f"freewheel replay: {sent} of {len(runs)} runs were sent", err=True)
        raise typer.Exit(1) from None


def _print(run: RecordedRun, speed: float) -> None:
    from freewheel.recording import replay as emit

    streams: dict[str, str] = {}
    origin = run.start["time"]
    for name, doc in emit(run, speed=speed):
        about = ""
        if name == "start":
            about = f"{run.uid} {doc.get('plan_name', '')}"
        elif name == "descriptor":
            streams[doc["uid"]] = about = doc.get("name", "")
        elif name == "event":
            values = ", ".join(f"{key}={_text(value)}" for key, value in doc["data"].items())
            about = f"{streams[doc['descriptor']]} {doc['seq_num']}: {values}"
        elif name == "stop":
            about = doc["exit_status"]
        when = doc.get("time")
        elapsed = f"{when - origin:+10.3f} s" if isinstance(when, float) else " " * 12
        typer.echo(f"{elapsed}  {name:15} {about}")
    if run.problem:
        typer.echo(f"freewheel replay: {run.problem}", err=True)


def _text(value: Any) -> str:
    shape = getattr(value, "shape", ())
    if shape:
        return f"{value.dtype} {' x '.join(map(str, shape))}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _show(runs: Sequence[RecordedRun], speed: float) -> None:
    """Run the replays in the acquisition window's engine, where pause and stop work on them."""
    from freewheel.core import MissingExtraError

    try:
        from freewheel.qt import AcquisitionWindow
    except ImportError as error:
        feature = "freewheel replay --gui"
        raise MissingExtraError(feature, "qt") from error
    from freewheel.engine import RunEngine
    from freewheel.recording import replay_plan

    application()
    with RunEngine() as engine:
        window = AcquisitionWindow(engine, {}, [])
        for run in runs:
            engine(replay_plan(run, speed=speed))
        code = show(window, engine)
    raise typer.Exit(code)
