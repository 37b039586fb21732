"""A Bluesky run engine that never blocks."""

from bluesky.run_engine import RunEngineResult

from ._version import __version__
from .background import BackgroundTask, MergeMode, TaskContext
from .core import *  # noqa: F403
from .core import __all__ as _core
from .engine import (
    BlockingRunEngine,
    EngineEvents,
    EngineFuture,
    EngineSnapshot,
    ExhaustedPlanError,
    PlanFuture,
    RunEngine,
    register_bound_command,
)

__all__ = [  # noqa: PLE0604
    *_core,
    "BackgroundTask",
    "BlockingRunEngine",
    "EngineEvents",
    "EngineFuture",
    "EngineSnapshot",
    "ExhaustedPlanError",
    "MergeMode",
    "PlanFuture",
    "RunEngine",
    "RunEngineResult",
    "TaskContext",
    "__version__",
    "register_bound_command",
]
