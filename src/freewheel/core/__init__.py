"""Values and primitives: errors, latches, actions, status, protocols."""

from ._actions import Action, ContinousPlan, ContinuousPlan, continous, continuous
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
from ._protocols import HasCache

__all__ = [
    "Action",
    "ContinousPlan",
    "ContinuousPlan",
    "EngineClosedError",
    "ForkedProcessError",
    "HasCache",
    "InvalidState",
    "LatchCallback",
    "MissingExtraError",
    "ResourceConflictError",
    "SRLatch",
    "ServiceFailedError",
    "StatusTimeoutError",
    "UnknownStatusFailure",
    "WaitTimeoutError",
    "continous",
    "continuous",
]
