"""The command ``wait_any``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, final

from bluesky.protocols import Status

from freewheel.background import BackgroundTask
from freewheel.core import SRLatch
from freewheel.core._circles import Waiting

from ._timeouts import checked_timeout

if TYPE_CHECKING:
    from collections.abc import Callable

    from bluesky.utils import Msg

    from freewheel.core._circles import Party
    from freewheel.engine._bluesky import EngineCore

__all__ = ["WaitAny"]

#: How many things one wait may be for.
_MAX_THINGS: Final = 1000


@final
class WaitAny:
    """``Msg("wait_any", None, *things, timeout=...)``: wait for the first of several."""

    __slots__ = ("_core",)

    def __init__(self, core: EngineCore) -> None:
        self._core = core

    async def __call__(self, msg: Msg) -> Any:
        """Return the first of the latches, statuses and tasks that is set or done, or ``None``."""
        things, tasks = msg.args, self._core.tasks
        _check_things(things)
        timeout = checked_timeout("wait_any", msg.kwargs.get("timeout"))
        if tasks.any_alive:
            lenders = [life for life in tasks.supervisor.alive if life.task in things]
            tasks.background.conflicts.give_back_to(lenders, tasks.holder)
        parties = _parties(things) if timeout is None else ()
        with Waiting(parties, first=True), _FirstOf(self._core, things) as first:
            return await first.wait(timeout)


class _FirstOf:
    """Waits for the first of several latches, statuses, tasks and futures."""

    def __init__(self, core: EngineCore, things: tuple[Any, ...]) -> None:
        self._core = core
        self._things = things
        self._first: asyncio.Future[Any] = core.loop.create_future()
        self._unwatch: list[Callable[[], None]] = []

    def __enter__(self) -> _FirstOf:
        # In their order: of those that are done already the first one counts.
        latches = [t for t in self._things if isinstance(t, SRLatch) and t.is_set()]
        for thing in self._things:
            if isinstance(thing, SRLatch):
                self._unwatch.append(thing.watch(self._latch_changed))
                if thing.is_set() and thing is min(latches or [thing], key=_change_number):
                    self._settle(thing)
            elif isinstance(thing, BackgroundTask):
                if thing.done:
                    self._settle(thing)
                else:
                    thing.future.add_done_callback(self._teller(thing))
            elif thing.done:
                self._settle(thing)
            else:
                thing.add_callback(self._teller(thing))
        return self

    def __exit__(self, *_: object) -> None:
        for unwatch in self._unwatch:
            unwatch()
        self._first.cancel()

    def _latch_changed(self, latch: SRLatch, is_set: bool) -> None:
        # In the thread that changes it, with the latches' lock held.
        if is_set:
            self._settle_soon(latch)

    def _teller(self, thing: Any) -> Callable[..., None]:
        return lambda *_: self._settle_soon(thing)

    def _settle_soon(self, thing: Any) -> None:
        # From any thread: a latch's, a device's or the loop's.
        self._core.call_on_loop(self._settle, thing)

    def _settle(self, thing: Any) -> None:
        if not self._first.done():
            self._first.set_result(thing)

    async def wait(self, at_most: float | None) -> Any:
        done, _ = await asyncio.wait([self._first], timeout=at_most)
        return self._first.result() if done else None


def _parties(things: tuple[Any, ...]) -> tuple[Party, ...]:
    """Return who is waited for, if it is for tasks alone: nobody knows who sets a latch."""
    parties = [thing.future.party for thing in things if isinstance(thing, BackgroundTask)]
    known = tuple(party for party in parties if party is not None)
    return known if len(known) == len(things) else ()


def _change_number(latch: SRLatch) -> int:
    return latch.change_number


def _check_things(things: tuple[Any, ...]) -> None:
    if not things:
        raise ValueError("wait_any needs something to wait for")
    if len(things) > _MAX_THINGS:
        raise ValueError(f"wait_any takes at most {_MAX_THINGS} things, not {len(things)}")
    for thing in things:
        if not isinstance(thing, (SRLatch, BackgroundTask, Status)):
            hint = ""
            if (latch := getattr(thing, "latch", None)) is not None and isinstance(latch, SRLatch):
                hint = " Of an action pass its latch, `action.latch`."
            raise TypeError(
                f"wait_any waits for latches, statuses and background tasks, not {thing!r}.{hint}"
            )
