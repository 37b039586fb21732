"""Values and primitives: errors, latches, actions, status, protocols."""

from ._actions import Action, ContinousPlan, ContinuousPlan, continous, continuous
from ._cache import DEFAULT_MAX_BYTES, ReadingCache
from ._errors import (
    EngineClosedError,
    ForkedProcessError,
    InvalidState,
    MissingExtraError,
    ResourceConflictError,
    ServiceFailedError,
    StatusTimeoutError,
    UnknownStatusFailure,
    WaitTimeoutError,
)
from ._latch import LatchCallback, SRLatch
from ._progress import Progress, ProgressScope
from ._protocols import HasCache
from ._status import AndStatus, Status, StatusCallback

__all__ = [
    "DEFAULT_MAX_BYTES",
    "Action",
    "AndStatus",
    "ContinousPlan",
    "ContinuousPlan",
    "EngineClosedError",
    "ForkedProcessError",
    "HasCache",
    "InvalidState",
    "LatchCallback",
    "MissingExtraError",
    "Progress",
    "ProgressScope",
    "ReadingCache",
    "ResourceConflictError",
    "SRLatch",
    "ServiceFailedError",
    "Status",
    "StatusCallback",
    "StatusTimeoutError",
    "UnknownStatusFailure",
    "WaitTimeoutError",
    "continous",
    "continuous",
]
