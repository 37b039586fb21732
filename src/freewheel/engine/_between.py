"""Changes between messages: what a person wants done while a plan runs, without disturbing it."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, Final

from freewheel.core import EngineFuture

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._bluesky import EngineCore

__all__ = ["BetweenMessages"]

_log = logging.getLogger("freewheel")

#: How many changes may wait for their turn.
_MAX_WAITING: Final = 1000


class BetweenMessages:
    """Runs functions on an engine's loop, one at a time, while no message is under way.

    Parameters
    ----------
    core : EngineCore
        The engine.
    """

    def __init__(self, core: EngineCore) -> None:
        self._core = core
        # Appended by any thread, taken on the loop.
        self._waiting: deque[tuple[Callable[[], Any], EngineFuture[Any]]] = deque()
        # Of the loop's thread alone.
        self._runner: asyncio.Task[None] | None = None
        self._closed = False

    def put(self, function: Callable[[], Any]) -> EngineFuture[Any]:
        """Have ``function`` called; from any thread.

        Raises
        ------
        TypeError
            For something that cannot be called without arguments.
        RuntimeError
            If a thousand wait already.
        """
        name = getattr(function, "__name__", repr(function))
        _check(function, name)
        if len(self._waiting) >= _MAX_WAITING:
            raise RuntimeError(
                f"{_MAX_WAITING} changes wait to be made between two messages; the plan "
                f"{self._core.plan_name!r} is in a message that does not end."
            )
        future: EngineFuture[Any] = EngineFuture(
            f"the change {name!r} between two messages", self._core.thread, tells=True
        )
        self._waiting.append((function, future))
        self._core.call_on_loop(self.kick)
        return future

    @property
    def pending(self) -> bool:
        """Whether anything waits or is under way. On the loop's thread."""
        return bool(self._waiting) or self._runner is not None

    def kick(self) -> None:
        """Begin if no message is under way; else have the engine do so before the next one."""
        if not self.pending:
            return
        if self._closed:
            self.close()
        elif self._core.is_between_messages():
            self._start()
        self._core.attend_before_next_message()

    def _start(self) -> asyncio.Task[None]:
        if self._runner is None:
            self._runner = self._core.loop.create_task(self._run(), name="between messages")
            self._runner.add_done_callback(self._ran)
        return self._runner

    def _ran(self, runner: asyncio.Task[None]) -> None:
        self._runner = None
        self.kick()  # what was put since

    async def _run(self) -> None:
        while self._waiting:
            function, future = self._waiting.popleft()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = function()
                if inspect.isawaitable(result):
                    result = await result
            except asyncio.CancelledError:
                future.settle(error=CancelledError())
                raise
            except BaseException as error:
                future.settle(error=error)
            else:
                future.settle(result)

    async def settle(self) -> None:
        """Run what waits, before the plan's next message; a cancelled wait leaves it running."""
        while self.pending:
            runner = self._start()
            await asyncio.wait([runner])

    def give_up(self) -> None:
        """End what is under way: the plan is to end, and must not wait for it."""
        if self._runner is not None:
            _log.warning(
                "The plan %r is ended while a change between its messages is under way: that is "
                "cancelled.",
                self._core.plan_name,
            )
            self._runner.cancel()

    def close(self) -> None:
        """Cancel what waits. On the loop's thread."""
        self._closed = True
        while self._waiting:
            _, future = self._waiting.popleft()
            if future.cancel():
                future.set_running_or_notify_cancel()
        if self._runner is not None:
            self._runner.cancel()


def _check(function: Any, name: str) -> None:
    if inspect.isawaitable(function):
        if inspect.iscoroutine(function):
            function.close()
        raise TypeError(
            f"between_messages takes a function, not {function!r}, which was called already. "
            "Write RE.between_messages(lambda: device.set(value))."
        )
    if not callable(function):
        raise TypeError(f"between_messages takes a function without arguments, not {function!r}.")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # built in
        return
    try:
        signature.bind()
    except TypeError as error:
        raise TypeError(
            f"between_messages calls {name!r} without arguments ({error}). Bind them: "
            f"RE.between_messages(lambda: {name}(...))."
        ) from None
