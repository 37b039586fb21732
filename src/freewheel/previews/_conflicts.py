"""Which devices two plans would fight for, before either starts."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from freewheel.core import ResourceConflictError

from ._contention import Conflict, contended
from ._preview import Preview
from ._previewer import preview

__all__ = ["conflicts", "validate_no_overlap"]


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
    return contended(_previewed(plan_a).claims.values(), _previewed(plan_b).claims.values())


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
