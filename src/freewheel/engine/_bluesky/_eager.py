"""Moves of ophyd-async's devices that are over at once begin within their ``set``.

A task costs a turn of the loop before its first step; from Python 3.12.5 on it may take that at
once. It does where the first step is the only one, for the coroutine awaits nothing: the plan
hears of the status after a turn of the loop, by which that step is done in any case, and so are its
documents. What has more steps would come a turn earlier with all but the first, and its documents
before others than on bluesky's engine.
"""

from __future__ import annotations

import asyncio
import dis
import inspect
import sys
from typing import TYPE_CHECKING, Any, Final, final

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

__all__ = ["EAGER", "EagerSets"]

#: Before 3.12.5 to ask such a task for its coroutine, as a status's text does, was a crash.
EAGER: Final = sys.version_info >= (3, 12, 5)

#: What ``await``, ``async for`` and ``async with`` are compiled to.
_AWAITS: Final = frozenset({"GET_AWAITABLE", "GET_ANEXT"})


@final
class EagerSets:
    """Calls ``set`` of devices. All of it on the engine's loop.

    The one task that ophyd-async makes of the device's coroutine begins at once, and none that
    the coroutine makes. A loop with a task factory of the user's is left alone.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        The engine's loop.
    """

    __slots__ = ("_known", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        # Of functions: whether they are such. Bounded by the device classes of the process.
        self._known: dict[Any, bool] = {}

    def __call__(
        self, begin: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """Return what ``begin``, the ``set`` of a device, returns."""
        function = getattr(begin, "__func__", None)
        known = self._known.get(function)
        if known is None:
            known = self._known[function] = _is_one_step(function)
        loop = self._loop
        if not known or loop.get_task_factory() is not None:
            return begin(*args, **kwargs)
        loop.set_task_factory(_BEGIN_ONCE)
        try:
            return begin(*args, **kwargs)
        finally:
            loop.set_task_factory(None)


def _is_one_step(function: Any) -> bool:
    """Tell whether ophyd-async has made a function of a coroutine function that awaits nothing."""
    status: Any = getattr(sys.modules.get("ophyd_async.core"), "AsyncStatus", None)
    made_of = getattr(function, "__wrapped__", None)
    if status is None or not inspect.iscoroutinefunction(made_of):
        return False
    if getattr(function, "__globals__", None) is not status.wrap.__func__.__globals__:
        return False
    return not any(step.opname in _AWAITS for step in dis.get_instructions(made_of))


def _begin_once(
    loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **kwargs: Any
) -> asyncio.Task[Any]:
    loop.set_task_factory(None)  # what the first step makes begins as ever
    kwargs["eager_start"] = True
    return asyncio.Task(coro, loop=loop, **kwargs)


# Of a loop's factory the type checker knows what Python 3.11 gives it.
_BEGIN_ONCE: Final[Any] = _begin_once
