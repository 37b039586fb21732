"""Devices that two plans cannot use at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from freewheel.core._devices import device_name, devices_overlap

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Conflict", "contended"]


class Conflict(NamedTuple):
    """Two devices that two plans cannot use at the same time: the same one, or a part of it.

    Attributes
    ----------
    first, second : device
        What the first and what the second plan needs.
    """

    first: Any
    second: Any

    def __str__(self) -> str:
        one, other = device_name(self.first), device_name(self.second)
        return one if one == other else f"{one} and {other}"


def contended(one: Iterable[Any], other: Iterable[Any]) -> tuple[Conflict, ...]:
    """Return which devices of two plans are in conflict: the same ones, if there are any."""
    others = list(other)
    found = [
        Conflict(first, second)
        for first in one
        for second in others
        if devices_overlap(first, second)
    ]
    same = [pair for pair in found if pair.first is pair.second]
    return tuple(same or found)
