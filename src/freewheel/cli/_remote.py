"""An engine elsewhere, for the commands that can use one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from freewheel.remote import RemoteEngine

__all__ = ["Connect", "Token", "connect_to", "refuse_beside"]

Connect: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--connect",
        help="Use the engine, devices and plans of a server that freewheel serve runs.",
        metavar="ws://HOST:PORT",
    ),
]
Token: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--token",
        help="Who you are there; better in the environment, where no list of processes shows it.",
        envvar="FREEWHEEL_TOKEN",
        show_envvar=True,
        metavar="TOKEN",
    ),
]


def connect_to(url: str, token: str | None, program: str) -> RemoteEngine:
    """Connect to a server.

    Raises
    ------
    typer.BadParameter
        If there is none, or it does not let us in.
    """
    from freewheel.remote import ConnectionLostError, NotAllowedError, ProtocolError, connect

    if not token:
        message = "there is no token: give --token, or set FREEWHEEL_TOKEN"
        raise typer.BadParameter(message, param_hint="--connect")
    try:
        return connect(url, token, program=program)
    except (ConnectionLostError, NotAllowedError, ProtocolError, ValueError) as error:
        raise typer.BadParameter(str(error), param_hint="--connect") from None


def refuse_beside(options: Mapping[str, Any]) -> None:
    """Refuse options that are about an engine of this process.

    Raises
    ------
    typer.BadParameter
        With those that were given.
    """
    given = ", ".join(name for name, value in options.items() if value)
    if given:
        message = f"{given}: the devices and plans with --connect are those of the server"
        raise typer.BadParameter(message)
