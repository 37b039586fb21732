"""The one place that touches bluesky's private names."""

from ._engine import BlueskyEngine, PlanEnd, PlanStart, loop_threads, plan_name
from ._state import StateName

__all__ = ["BlueskyEngine", "PlanEnd", "PlanStart", "StateName", "loop_threads", "plan_name"]
