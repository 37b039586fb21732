"""The run engine, plan futures, the queue, commands and document delivery."""

from typing import TYPE_CHECKING

from freewheel import _lazy
from freewheel.core import EngineFuture, EngineSnapshot
from freewheel.core._call_sites import remember_call_sites

from ._base import register_bound_command
from ._calls import ExhaustedPlanError
from ._cards import plan_card
from ._engine import RunEngine
from ._events import EngineEvents
from ._futures import PlanFuture
from ._interlocks import Interlock, Interlocks
from ._lifetime import close_all_engines
from ._periodic import Periodic
from ._queue import PlanQueue
from ._waiting_list import OnInterruption

if TYPE_CHECKING:
    from ._blocking import BlockingRunEngine

__all__ = [
    "BlockingRunEngine",
    "EngineEvents",
    "EngineFuture",
    "EngineSnapshot",
    "ExhaustedPlanError",
    "Interlock",
    "Interlocks",
    "OnInterruption",
    "Periodic",
    "PlanFuture",
    "PlanQueue",
    "RunEngine",
    "close_all_engines",
    "plan_card",
    "register_bound_command",
    "remember_call_sites",
]

if not TYPE_CHECKING:
    # Few need it.
    __getattr__, __dir__ = _lazy.attach(__name__, ("BlockingRunEngine",), ("._blocking",))
