"""Which devices two plans would fight for, before either starts."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

from freewheel.core import ResourceConflictError
from freewheel.core._devices import device_name, devices_overlap

from ._preview import Preview
from ._previewer import preview

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Conflict", "claims_in_conflict", "conflicts", "validate_no_overlap"]


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


def conflicts(plan_a: Any, plan_b: Any) -> tuple[Conflict, ...]:
    """Say which devices two plans would fight for.

    Parameters
    ----------
    plan_a, plan_b : Preview, PlanCall, plan function without arguments, or plan
        The plans; a generator is used up.

    Returns
    -------
    tuple of Conflict
        Empty if they can run side by side.
    """
    return claims_in_conflict(_previewed(plan_a).claims, _previewed(plan_b).claims)


def claims_in_conflict(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[Conflict, ...]:
    """Return which devices are in conflict; each that is not a part of another one that is."""
    found = [
        Conflict(first, second)
        for first in one.values()
        for second in other.values()
        if devices_overlap(first, second)
    ]
    same = [pair for pair in found if pair.first is pair.second]
    return tuple(same or found)


def validate_no_overlap(*plans: Any) -> None:
    """Check that plans can run side by side.

    Parameters
    ----------
    *plans : Preview, PlanCall, plan function without arguments, or plan
        The plans; generators are used up.

    Raises
    ------
    ResourceConflictError
        If two of them need the same device, or one that drives the other's; it names both plans.
    """
    previews = [_previewed(plan) for plan in plans]
    for one, other in combinations(previews, 2):
        for conflict in conflicts(one, other):
            via = None if conflict.first is conflict.second else conflict.first
            raise ResourceConflictError(conflict.second, one.name, other.name, via)


def _previewed(plan: Any) -> Preview:
    return plan if isinstance(plan, Preview) else preview(plan)
