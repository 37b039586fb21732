"""``freewheel tiled``: a Tiled server for one user."""

from __future__ import annotations

import signal
import threading
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import typer


def tiled(
    directory: Annotated[
        Path, typer.Argument(help="Where the catalogue and the data are; made if need be.")
    ],
    port: Annotated[int, typer.Option(help="The port; 0 for any free one.", min=0)] = 8000,
    api_key: Annotated[
        str | None, typer.Option(help="The key for clients to show; made if none is given.")
    ] = None,
) -> None:
    """Run a Tiled server on this machine, with its catalogue in SQLite, until Ctrl-C."""
    from freewheel.recording import tiled_server

    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with tiled_server(directory, port=port, api_key=api_key) as server:
        typer.echo(f"Tiled serves {server.directory}. Connect to it with")
        typer.echo(f"    {server.uri}")
        typer.echo("Arrays are read from its folder 'arrays'. Ctrl-C ends it.")
        ended.wait()
