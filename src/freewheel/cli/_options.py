"""What several commands share: checks of options, and what an option stands for."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

__all__ = ["Configuration", "Stacks", "call_sites", "positive"]

Configuration: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--micromanager",
        help="Use the devices of a Micro-Manager configuration; `demo`, or no file, is the one "
        "that comes with it, with simulated devices.",
        metavar="FILE.cfg|demo",
    ),
]
Stacks: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--stacks",
        help="Keep the whole call stack of each plan that is made, as bluesky does, for its "
        "warning about plans that nobody ran: bluesky's own plans are several times slower then. "
        "Without, the warning names the line.",
    ),
]


def call_sites(stacks: bool) -> AbstractContextManager[None]:
    """Return a context in which bluesky's plans are quick to make, unless whole stacks are wanted.

    See `freewheel.engine.remember_call_sites`.
    """
    if stacks:
        return nullcontext()
    from freewheel.engine import remember_call_sites  # here: it brings bluesky, which takes long

    return remember_call_sites()


def positive(unit: str, limit: float) -> Callable[[float], float]:
    """Return a check for typer: a number above 0 and up to ``limit``."""

    def check(value: float) -> float:
        if not 0 < value <= limit:  # false for NaN
            msg = f"must be above 0 and at most {limit:g} {unit}, not {value}"
            raise typer.BadParameter(msg)
        return value

    return check
