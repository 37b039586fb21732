"""Sending documents on, for every command that runs plans."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import typer

from ._output import say

if TYPE_CHECKING:
    from freewheel.publishing import Publisher

__all__ = ["UNSENT", "Publish", "Unsent", "check_address", "finish"]

UNSENT: Final = Path("freewheel-unsent")

#: How long a command waits at its end for what takes documents, but slowly [s].
_PATIENCE = 60.0
_SHOWN_AFTER = 1.0


def check_address(address: str) -> str:
    """Return an address, if documents can be published there.

    Raises
    ------
    typer.BadParameter
        If they can't; with what an address looks like.
    """
    from freewheel.publishing import read_address

    try:
        read_address(address)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--publish") from None
    return address


def _check_all(addresses: list[str] | None) -> list[str] | None:
    for address in addresses or ():
        check_address(address)
        if (addresses or []).count(address) > 1:
            message = f"{address.partition('?')[0]} is given twice"
            raise typer.BadParameter(message, param_hint="--publish")
    return addresses


Publish: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--publish",
        help="Send all documents there, too: zmq://HOST:PORT, nats://HOST:PORT/SUBJECT, "
        "kafka://HOST:PORT/TOPIC or tiled://HOST:PORT?api_key=KEY. No plan waits for it. Several "
        "times: to each.",
        metavar="ADDRESS",
        callback=_check_all,
    ),
]
Unsent: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--unsent",
        help="Where runs are recorded that --publish could not send; made if need be.",
        file_okay=False,
    ),
]


def finish(publisher: Publisher) -> None:
    """Send what waits, after the engine was closed; Ctrl-C, SIGTERM or SIGHUP keeps it instead."""
    from freewheel.terminal import ENDING_SIGNALS, signals

    try:
        with signals(ENDING_SIGNALS, _interrupt):
            status = publisher.wait(_SHOWN_AFTER)
            if status.waiting and (status.connected or not status.problem):
                say(
                    f"{status.waiting} documents are still to be sent to {status.address}; with "
                    "Ctrl-C they are kept instead."
                )
            publisher.close(timeout=_PATIENCE)
    except KeyboardInterrupt:
        publisher.close(timeout=0)


def _interrupt(number: int) -> None:
    raise KeyboardInterrupt
