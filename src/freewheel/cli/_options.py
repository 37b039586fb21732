"""Checks that options of several commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["positive"]


def positive(unit: str, limit: float) -> Callable[[float], float]:
    """Return a check for typer: a number above 0 and up to ``limit``."""

    def check(value: float) -> float:
        if not 0 < value <= limit:  # false for NaN
            msg = f"must be above 0 and at most {limit:g} {unit}, not {value}"
            raise typer.BadParameter(msg)
        return value

    return check
