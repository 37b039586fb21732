"""Values and primitives: errors, latches, actions, status, protocols."""

from typing import TYPE_CHECKING

from freewheel import _lazy

from ._actions import Action, ContinousPlan, ContinuousPlan, continous, continuous
from ._errors import (
    CircularWaitError,
    EngineClosedError,
    ForkedProcessError,
    InterlockError,
    InvalidState,
    MissingExtraError,
    NotStoppedError,
    ResourceConflictError,
    ServiceFailedError,
    StatusTimeoutError,
    UnknownStatusFailure,
    WaitTimeoutError,
)
from ._futures import EngineFuture
from ._latch import LatchCallback, SRLatch
from ._plan_call import PlanCall
from ._progress import Progress, ProgressScope
from ._protocols import (
    HasCache,
    HasClaims,
    TellsData,
    TellsRefusals,
    TellsTimes,
    TriggersAhead,
)
from ._snapshot import (
    EngineSnapshot,
    InterlockPicture,
    OfferedAction,
    PeriodicPicture,
    WaitingPlan,
)
from ._snapshot_json import TaskPicture
from ._states import EngineState, PlanStatus
from ._status import AndStatus, Status, StatusCallback
from ._wording import (
    amount_text,
    clock_text,
    duration_text,
    label_text,
    left_text,
    status_text,
    time_left_text,
)

if TYPE_CHECKING:
    from ._cache import DEFAULT_MAX_BYTES, ReadingCache
    from ._dangers import Dangerous, danger_of, mark_dangerous
    from ._flight import FlyPath, FlyRow, HasSafePoint
    from ._pacer import Pacer, Tick
    from ._view import (
        BackgroundView,
        ClaimsView,
        EngineView,
        EventsView,
        FutureView,
        PlanFutureView,
        QueueView,
        is_engine,
    )

__all__ = [
    "DEFAULT_MAX_BYTES",
    "Action",
    "AndStatus",
    "BackgroundView",
    "CircularWaitError",
    "ClaimsView",
    "ContinousPlan",
    "ContinuousPlan",
    "Dangerous",
    "EngineClosedError",
    "EngineFuture",
    "EngineSnapshot",
    "EngineState",
    "EngineView",
    "EventsView",
    "FlyPath",
    "FlyRow",
    "ForkedProcessError",
    "FutureView",
    "HasCache",
    "HasClaims",
    "HasSafePoint",
    "InterlockError",
    "InterlockPicture",
    "InvalidState",
    "LatchCallback",
    "MissingExtraError",
    "NotStoppedError",
    "OfferedAction",
    "Pacer",
    "PeriodicPicture",
    "PlanCall",
    "PlanFutureView",
    "PlanStatus",
    "Progress",
    "ProgressScope",
    "QueueView",
    "ReadingCache",
    "ResourceConflictError",
    "SRLatch",
    "ServiceFailedError",
    "Status",
    "StatusCallback",
    "StatusTimeoutError",
    "TaskPicture",
    "TellsData",
    "TellsRefusals",
    "TellsTimes",
    "Tick",
    "TriggersAhead",
    "UnknownStatusFailure",
    "WaitTimeoutError",
    "WaitingPlan",
    "amount_text",
    "clock_text",
    "continous",
    "continuous",
    "danger_of",
    "duration_text",
    "is_engine",
    "label_text",
    "left_text",
    "mark_dangerous",
    "status_text",
    "time_left_text",
]

if not TYPE_CHECKING:
    # No engine needs them to start, and they take long to make.
    __getattr__, __dir__ = _lazy.attach(
        __name__,
        (
            *("BackgroundView", "ClaimsView", "EngineView", "EventsView", "FutureView"),
            *("PlanFutureView", "QueueView", "is_engine"),
            *("DEFAULT_MAX_BYTES", "ReadingCache", "Pacer", "Tick"),
            *("Dangerous", "danger_of", "mark_dangerous"),
            *("FlyPath", "FlyRow", "HasSafePoint"),
        ),
        ("._pacer", "._cache", "._view", "._dangers", "._flight"),
    )
