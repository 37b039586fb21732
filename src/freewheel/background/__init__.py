"""Background plans: tasks, claims, merging, services."""

from ._background import Background
from ._child import ChildEngine, How, Outcome
from ._claims import Claim, ClaimsLedger
from ._context import TaskContext
from ._errors import BackgroundWarning
from ._holders import HandHold, Holder, PlanHolder, hands_here
from ._life import Life, OnConflict
from ._mailbox import PendingResults
from ._services import ServiceKeeper, service
from ._supervisor import PlanPhase, Supervisor
from ._task import BackgroundTask, MergeMode, TaskStatus

__all__ = [
    "Background",
    "BackgroundTask",
    "BackgroundWarning",
    "ChildEngine",
    "Claim",
    "ClaimsLedger",
    "HandHold",
    "Holder",
    "How",
    "Life",
    "MergeMode",
    "OnConflict",
    "Outcome",
    "PendingResults",
    "PlanHolder",
    "PlanPhase",
    "ServiceKeeper",
    "Supervisor",
    "TaskContext",
    "TaskStatus",
    "hands_here",
    "service",
]
