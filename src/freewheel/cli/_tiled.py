"""``freewheel tiled``: a Tiled server for one user."""

from __future__ import annotations

import queue
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import typer


def _key(text: str | None) -> str | None:
    if text is not None and not (text.isascii() and text.isalnum()):
        message = "must be of letters and digits alone"
        raise typer.BadParameter(message)
    return text


def tiled(
    directory: Annotated[
        Path, typer.Argument(help="Where the catalogue and the data are; made if need be.")
    ],
    port: Annotated[
        int, typer.Option(help="The port; 0 for any free one.", min=0, max=65535)
    ] = 8000,
    api_key: Annotated[
        str | None,
        typer.Option(
            help="The key for clients to show, letters and digits; made if none is given.",
            callback=_key,
        ),
    ] = None,
) -> None:
    """Run a Tiled server on this machine, with its catalogue in SQLite, until Ctrl-C.

    Exit code: 0 it was ended with Ctrl-C, SIGTERM or SIGHUP, 1 it could not start, 2 bad usage.
    """
    from freewheel.recording import RecordingError, tiled_server
    from freewheel.terminal import ENDING_SIGNALS, signals

    ended: queue.SimpleQueue[int] = queue.SimpleQueue()  # handlers of signals may put into it
    try:
        with (
            signals(ENDING_SIGNALS, ended.put),
            tiled_server(directory, port=port, api_key=api_key) as server,
        ):
            typer.echo(f"Tiled serves {server.directory}. Connect to it with")
            typer.echo(f"    {server.uri}")
            typer.echo("Arrays are read from its folder 'arrays'. Ctrl-C ends it.")
            ended.get()
    except RecordingError as error:
        typer.echo(f"freewheel tiled: {error}", err=True)
        raise typer.Exit(1) from None
