"""A Bluesky run engine that never blocks."""

from importlib import import_module

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

__all__ = [
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


def load_ipython_extension(shell: object) -> None:
    """Load magics, prompt and notices into IPython; ``%load_ext freewheel`` calls this."""
    # By name: no layer below the prompt depends on it.
    import_module("freewheel.ipython").load_ipython_extension(shell)


def unload_ipython_extension(shell: object) -> None:
    """Take all that back; ``%unload_ext freewheel`` calls this."""
    import_module("freewheel.ipython").unload_ipython_extension(shell)
