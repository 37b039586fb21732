"""A plan of an engine elsewhere, as a background task of one that is here."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, final

from freewheel.background import TaskStatus
from freewheel.core._crossings import call_soon

from ._errors import ConnectionLostError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from psygnal import SignalInstance

    from ._futures import RemoteTask

__all__ = ["TaskThere"]

_log = logging.getLogger("freewheel")


@final
class TaskThere:
    """Runs a plan there while a task here lasts: what is asked of the task here is asked there.

    The engine there grants its devices, or refuses them. It may be paused, and is cancelled also
    over a line that was lost, as soon as there is one again. On the loop of the engine here, but
    for `waits_for`.

    Parameters
    ----------
    launch : callable
        Launches it there, and waits until that was taken up or refused.
    line_changed : SignalInstance
        Tells that there is a line again.
    """

    pausable = True

    def __init__(self, launch: Callable[[], RemoteTask], line_changed: SignalInstance) -> None:
        self._launch = launch
        self._line_changed = line_changed
        self._there: RemoteTask | None = None
        self._launched = asyncio.Event()  # or refused
        self._end_reason: str | None = None  # why it was asked to end
        self._ending: asyncio.Task[None] | None = None
        self._given_up = asyncio.Event()

    @property
    def waits_for(self) -> str:
        """The device that it waits for there, in words; from any thread."""
        there = self._there
        return "" if there is None else there.waits_for

    async def run(self, task: Any) -> Any:
        """Launch it there, and wait for its end."""
        try:
            self._there = there = await asyncio.to_thread(self._launch)
        finally:
            self._launched.set()
        if self._end_reason is not None:
            self._begin_end(self._end_reason)
        ended = asyncio.ensure_future(_end_of(there))
        given_up = asyncio.ensure_future(self._given_up.wait())
        try:
            await asyncio.wait([ended, given_up], return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                raise ConnectionLostError(
                    f"{there.name!r} did not end when it was cancelled, and may go on elsewhere."
                )
            return ended.result()
        finally:
            for each in (ended, given_up, self._ending):
                if each is not None:
                    each.cancel()

    def cancel(self, how: Any, reason: str) -> None:
        """Ask it to end there, with its clean-up."""
        self._end_reason = reason
        if self._there is not None:
            self._begin_end(reason)

    def _begin_end(self, reason: str) -> None:
        if self._ending is None:
            self._ending = asyncio.ensure_future(self._end(reason))

    async def _end(self, reason: str) -> None:
        """Ask until the server has heard it."""
        loop, changed = asyncio.get_running_loop(), asyncio.Event()
        assert self._there is not None

        def tell(*_: object) -> None:  # on the thread of the delivery
            call_soon(loop, changed.set)

        self._line_changed.connect(tell)
        try:
            while not self._there.done:
                changed.clear()
                try:
                    await asyncio.to_thread(self._there.cancel, reason)
                    return
                except ConnectionLostError:
                    _log.warning("%r is cancelled when there is a line again.", self._there.name)
                    await changed.wait()
                except (TimeoutError, KeyError) as error:
                    _log.warning("%r was cancelled: %s", self._there.name, error)
                    return
        finally:
            self._line_changed.disconnect(tell, missing_ok=True)

    def kill(self) -> None:
        """Wait for it no longer."""
        self._given_up.set()

    def discard(self) -> None:
        """Nothing was made yet."""

    async def pause(self) -> bool:
        """Ask it to rest; return whether that reached it."""
        await self._launched.wait()
        there = self._there
        return there is not None and not there.done and await self._ask(there.pause)

    async def resume(self) -> None:
        """Have it go on."""
        if self._there is not None:
            await self._ask(self._there.resume)

    async def _ask(self, what: Callable[[], object]) -> bool:
        try:
            await asyncio.to_thread(what)
        except (ConnectionLostError, TimeoutError, KeyError) as error:
            assert self._there is not None
            _log.warning("%r was not told: %s", self._there.name, error)
            return False
        return True

    def suspend(self, until: Callable[[], Awaitable[Any]], reason: str | None) -> bool:
        """Leave it to be paused."""
        return False

    async def give_way(self, device: Any) -> None:
        """Let nothing go: it has no device of the engine here."""


async def _end_of(there: RemoteTask) -> Any:
    """Wait for the end of a task there; raise CancelledError if it was cancelled, by whomever."""
    value = await there.future
    if there.status is TaskStatus.CANCELLED:
        raise asyncio.CancelledError
    return value
