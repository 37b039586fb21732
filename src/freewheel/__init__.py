"""A Bluesky run engine that never blocks."""

from importlib import import_module
from typing import TYPE_CHECKING

from . import _lazy
from ._version import __version__

if TYPE_CHECKING:
    from bluesky.run_engine import RunEngineResult

    from .background import BackgroundTask, MergeMode, TaskContext
    from .core import (
        DEFAULT_MAX_BYTES,
        Action,
        AndStatus,
        CircularWaitError,
        ContinousPlan,
        ContinuousPlan,
        EngineClosedError,
        EngineFuture,
        EngineSnapshot,
        EngineState,
        EngineView,
        ForkedProcessError,
        HasCache,
        HasClaims,
        InterlockError,
        InvalidState,
        LatchCallback,
        MissingExtraError,
        NotStoppedError,
        PlanCall,
        PlanStatus,
        Progress,
        ProgressScope,
        ReadingCache,
        ResourceConflictError,
        ServiceFailedError,
        SRLatch,
        Status,
        StatusCallback,
        StatusTimeoutError,
        UnknownStatusFailure,
        WaitTimeoutError,
        continous,
        continuous,
    )
    from .engine import (
        BlockingRunEngine,
        EngineEvents,
        ExhaustedPlanError,
        PlanFuture,
        RunEngine,
        register_bound_command,
    )
    from .previews import Preview, conflicts, preview, validate_no_overlap

__all__ = [
    "DEFAULT_MAX_BYTES",
    "Action",
    "AndStatus",
    "BackgroundTask",
    "BlockingRunEngine",
    "CircularWaitError",
    "ContinousPlan",
    "ContinuousPlan",
    "EngineClosedError",
    "EngineEvents",
    "EngineFuture",
    "EngineSnapshot",
    "EngineState",
    "EngineView",
    "ExhaustedPlanError",
    "ForkedProcessError",
    "HasCache",
    "HasClaims",
    "InterlockError",
    "InvalidState",
    "LatchCallback",
    "MergeMode",
    "MissingExtraError",
    "NotStoppedError",
    "PlanCall",
    "PlanFuture",
    "PlanStatus",
    "Preview",
    "Progress",
    "ProgressScope",
    "ReadingCache",
    "ResourceConflictError",
    "RunEngine",
    "RunEngineResult",
    "SRLatch",
    "ServiceFailedError",
    "Status",
    "StatusCallback",
    "StatusTimeoutError",
    "TaskContext",
    "UnknownStatusFailure",
    "WaitTimeoutError",
    "__version__",
    "conflicts",
    "continous",
    "continuous",
    "preview",
    "register_bound_command",
    "validate_no_overlap",
]

if not TYPE_CHECKING:
    # The command line starts, and completes words, without bluesky: that takes long.
    __getattr__, __dir__ = _lazy.attach(
        __name__,
        __all__,
        (".core", ".background", ".engine", "bluesky.run_engine", ".previews", ".plan_stubs"),
    )


def load_ipython_extension(shell: object) -> None:
    """Load magics, prompt and notices into IPython; ``%load_ext freewheel`` calls this."""
    # By name: no layer below the prompt depends on it.
    import_module("freewheel.ipython").load_ipython_extension(shell)


def unload_ipython_extension(shell: object) -> None:
    """Take all that back; ``%unload_ext freewheel`` calls this."""
    import_module("freewheel.ipython").unload_ipython_extension(shell)
