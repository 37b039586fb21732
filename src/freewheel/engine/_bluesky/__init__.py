"""The one place that touches bluesky's private names."""

from ._call_sites import remember_call_sites
from ._engine import BlueskyEngine, PlanEnd, PlanStart, loop_threads, plan_name
from ._owning import WAIT_FOR_OWNED, OwningEngine, wait_for_owned

__all__ = [
    "WAIT_FOR_OWNED",
    "BlueskyEngine",
    "OwningEngine",
    "PlanEnd",
    "PlanStart",
    "loop_threads",
    "plan_name",
    "remember_call_sites",
    "wait_for_owned",
]
