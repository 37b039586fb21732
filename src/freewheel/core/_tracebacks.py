"""Tracebacks that begin with the user's own code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["from_the_plan"]

_Error = TypeVar("_Error", bound=BaseException)

#: Modules, and packages, that run a plan or stand around it: no part of what has gone wrong.
_AROUND: Final = (
    "asyncio",
    "bluesky.preprocessors",
    "bluesky.utils",
    "concurrent",
    "freewheel.background",
    "freewheel.core",
    "freewheel.engine",
    "freewheel.plan_stubs._progress",
)


def from_the_plan(error: _Error) -> _Error:
    """Have the traceback of what left a plan begin with the plan, and return the error.

    What comes before it, the machinery that runs plans, is the same for every failure and stands
    between a user and the line that he looks for. A traceback that has nothing else is left.
    """
    part = error.__traceback__
    while part is not None and _is_around(part):
        part = part.tb_next
    return error if part is None else error.with_traceback(part)


def _is_around(part: TracebackType) -> bool:
    module = str(part.tb_frame.f_globals.get("__name__", ""))
    return any(f"{module}.".startswith(f"{name}.") for name in _AROUND)
