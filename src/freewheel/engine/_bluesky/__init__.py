"""The one place that touches bluesky's private names."""

from ._adapter import BlueskyEngine, inside_of, loop_threads
from ._aside import Aside
from ._asked import PlanEnd, PlanStart, Suspension
from ._core import EngineCore
from ._dispatch import FairDispatcher
from ._lean import LeanCommands
from ._plan_run import PlanRun, plan_name
from ._registry import Command, Handler, UnknownCommandError
from ._requests import Request, Requests
from ._stack import close_plan
from ._states import States
from ._trips import waits_of
from ._wait_for import wait_for
from ._waiting import (
    block_until,
    default_managers,
    interrupt_thread,
    managed,
    set_during_task,
)

__all__ = [
    "Aside",
    "BlueskyEngine",
    "Command",
    "EngineCore",
    "FairDispatcher",
    "Handler",
    "LeanCommands",
    "PlanEnd",
    "PlanRun",
    "PlanStart",
    "Request",
    "Requests",
    "States",
    "Suspension",
    "UnknownCommandError",
    "block_until",
    "close_plan",
    "default_managers",
    "inside_of",
    "interrupt_thread",
    "loop_threads",
    "managed",
    "plan_name",
    "set_during_task",
    "wait_for",
    "waits_of",
]
