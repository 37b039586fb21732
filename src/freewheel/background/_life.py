"""The life of one background task: the engine's side of it.

A life is made in whichever thread starts the task. What stands under "from any thread" may be
called so, and what only looks at one attribute (`Life.over`, `Life.future`, `Life.failure`) too;
all the rest runs on the engine's loop.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias

from freewheel.core import EngineFuture, WaitTimeoutError
from freewheel.core._circles import Party, be
from freewheel.core._devices import device_name, quoted_name
from freewheel.core._errors import unasked_cancellation
from freewheel.core._tracebacks import from_the_plan

from ._task import BackgroundTask, MergeMode, TaskInside, TaskStatus

if TYPE_CHECKING:
    import threading
    from collections.abc import Awaitable, Callable, Mapping

    from ._child import How
    from ._claims import ClaimsLedger
    from ._holders import Holder
    from ._runners import Runner
    from ._spawner import Spawner

__all__ = ["Commons", "Life", "OnConflict", "Owner"]

_log = logging.getLogger("freewheel")

OnConflict: TypeAlias = Literal["cancel", "pause", "error"]
#: The reason to rest of a task whose devices somebody else has.
LENT: Final = "lent"
#: That of one which has given way to a plan that needs one of its devices.
CONFLICT: Final = "conflict"
_AT_REST: Final = (TaskStatus.PAUSED, TaskStatus.SUSPENDED)
#: Seconds between the last request to end and giving up; see `Life.cancel`.
LAST_GRACE: Final = 1.0


class Commons(Protocol):
    """What all lives of an engine have in common: its `Background`. On the loop's thread."""

    claims: ClaimsLedger
    spawner: Spawner
    grace: float

    def changed(self, task: BackgroundTask) -> None:
        """Hear that the status has changed."""
        ...

    def freed(self, lenders: tuple[Holder, ...]) -> None:
        """Hear which tasks have all of their devices back, because this one has ended."""
        ...

    def waits_for_loans(self, life: Life, lent: tuple[tuple[Any, Holder], ...]) -> None:
        """Hear that a task would go on, but has lent these devices, to those holders."""
        ...


class Owner(Protocol):
    """Who keeps a life. On the loop's thread."""

    def ended(self, life: Life) -> None:
        """Hear of the end, before the task's future is done."""
        ...

    def run_opened(self, uid: str) -> None:
        """Hear of a run of the task."""
        ...


class Life:
    """Starts, pauses and ends one task.

    Parameters
    ----------
    name : str
        The task's name.
    runner : Runner
        What runs the payload.
    owner : Owner
        Who keeps it.
    commons : Commons
        The engine's background.
    on_conflict : {"cancel", "pause", "error"}
        What becomes of it when the foreground needs a device that it holds.
    suspendable : bool
        Whether suspenders hold it up.
    parent, metadata
        See `BackgroundTask`.
    """

    # There may be thousands: without a dictionary each.
    __slots__ = (
        "__weakref__",
        "_abandoned",
        "_cancel_asked",
        "_commons",
        "_inside",
        "_owner",
        "_reasons",
        "_rests",
        "_runner",
        "_started",
        "_suspensions",
        "_switch",
        "_watchdog",
        "end",
        "error",
        "on_conflict",
        "party",
        "suspendable",
        "task",
        "value",
    )

    def __init__(
        self,
        name: str,
        runner: Runner,
        owner: Owner,
        *,
        commons: Commons,
        on_conflict: OnConflict,
        suspendable: bool = True,
        parent: BackgroundTask | EngineFuture[Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        future = _future_of(name, commons.spawner.thread)
        self.party = future.party = Party(f"the background task {name!r}")
        self._inside = TaskInside(name, self, future, parent, metadata or {})
        self.task = BackgroundTask(self._inside)
        self.on_conflict = on_conflict
        self.suspendable = suspendable
        self.end: asyncio.Future[None] = commons.spawner.loop.create_future()
        self.value: Any = None
        self.error: BaseException | None = None
        self._runner: Runner | None = runner
        self._owner = owner
        self._commons = commons
        self._reasons: frozenset[str] = frozenset()  # to rest
        self._rests = False
        self._started = False
        self._cancel_asked = False
        self._abandoned = False
        self._suspensions: frozenset[str] = frozenset()  # by these suspensions
        self._switch = asyncio.Lock()  # one change between rest and motion at a time
        self._watchdog: asyncio.TimerHandle | None = None

    @property
    def future(self) -> EngineFuture[Any]:
        """The task's future."""
        return self._inside.future

    # -- from any thread ----------------------------------------------------------------------

    def is_kept_by(self, owner: Owner) -> bool:
        """Tell whether ``owner`` keeps it."""
        return self._owner is owner

    def claims(self) -> tuple[Any, ...]:
        """Return the devices that the task holds and may use."""
        return self._commons.claims.held_by(self.task)

    def ask_cancel(self, reason: str) -> bool:
        """See `BackgroundTask.cancel`."""
        if self.future.done():
            return False
        self._commons.spawner.call(self.cancel, "abort", reason)
        return True

    def ask_pause(self) -> None:
        """See `BackgroundTask.pause`."""
        runner = self._runner
        if runner is not None and not runner.pausable:
            raise RuntimeError(
                f"the background task {self.task.name!r} cannot be paused: the function has no "
                "parameter `context`, through which it could be told"
            )
        self._commons.spawner.call(self._rest_for, "user")

    def ask_resume(self) -> None:
        """See `BackgroundTask.resume`."""
        self._commons.spawner.call(self.let_go, "user")

    @property
    def waits_for(self) -> str:
        """Which devices the task's plan waits for, in words; empty if for none, or unknown."""
        runner = self._runner
        return "" if runner is None else runner.waits_for

    # -- starting and ending ------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Whether the task has ended, or was given up."""
        return self.end.done()

    @property
    def ending(self) -> bool:
        """Whether the task was asked to end, and cleans up."""
        return self._cancel_asked and not self.over

    @property
    def failure(self) -> BaseException | None:
        """What it failed with, if nobody has been told of that."""
        return None if self.future.observed else self.future.peek()

    def waits(self, what: str) -> None:
        """Note what the task waits for, or with an empty text that it waits no more."""
        self._inside.waits_for = what
        self._commons.changed(self.task)

    def start(self) -> None:
        """Begin, unless the task was cancelled or paused before."""
        if self.over or self._started:
            return
        if self._cancel_asked:
            self._discard()
        elif not self._reasons:
            self._started = True
            self._set_status(TaskStatus.RUNNING)
            self._commons.spawner.spawn(self._live(), f"run the background task {self.task.name!r}")

    def _discard(self) -> None:
        if self._runner is not None:
            self._runner.discard()
        self._finish(TaskStatus.CANCELLED)

    async def _live(self) -> None:
        assert self._runner is not None
        be(self.party)
        if self._cancel_asked:  # after it was started, before the runner had anything to cancel
            self._discard()
            return
        try:
            value = await self._runner.run(self.task)
        except asyncio.CancelledError as error:
            if self._cancel_asked:
                self._inside.value = getattr(error, "value", None)  # see `KeptValue`
                self._finish(TaskStatus.CANCELLED)
            else:
                what = f"background task {self.task.name!r}"
                self._finish(TaskStatus.FAILED, error=unasked_cancellation(what, error))
        except BaseException as error:
            # SystemExit too: it is the payload's failure, not the loop's.
            self._finish(TaskStatus.FAILED, error=from_the_plan(error))
        else:
            self._inside.value = value
            self._finish(TaskStatus.COMPLETED, value=value)

    def cancel(self, how: How, reason: str = "", grace: float | None = None) -> None:
        """Ask the task to end.

        One that does not end within the grace period, in seconds, is asked again, without
        clean-up, and then given up: it counts as failed, with an error that names it. It keeps what
        it holds until it does end.
        """
        if self.over or self._runner is None:
            return
        if self._cancel_asked:
            return
        self._cancel_asked = True
        if not self._started:
            if self.task.status is not TaskStatus.WAITING or self._reasons:
                self._discard()
            return  # `start` is under way, and finds it
        self._set_status(TaskStatus.CANCELLING)
        self._runner.cancel(how, reason)
        patience = self._commons.grace if grace is None else grace
        self._watchdog = self._commons.spawner.loop.call_later(patience, self._insist, patience)

    def _insist(self, patience: float) -> None:
        if self._runner is not None:
            self._runner.kill()
            wait = min(patience, LAST_GRACE)
            self._watchdog = self._commons.spawner.loop.call_later(
                wait, self._give_up, patience + wait
            )

    def _give_up(self, patience: float) -> None:
        held = ", ".join(map(device_name, self.claims()))
        error = WaitTimeoutError(
            f"the background task {self.task.name!r} did not end within {patience:g} s of being "
            f"cancelled, and was given up{f'; it still holds {held}' if held else ''}"
        )
        _log.error("%s", error)
        self._abandoned = True
        self._conclude(TaskStatus.FAILED, error=error)

    def _finish(
        self, status: TaskStatus, *, value: Any = None, error: BaseException | None = None
    ) -> None:
        """End: release what it holds, then tell."""
        self._runner = None
        if self._watchdog is not None:
            self._watchdog.cancel()
        self._commons.freed(self._commons.claims.release_all(self.task))
        if self._abandoned:
            _log.warning(
                "The background task %r, which had been given up, has ended.", self.task.name
            )
            return
        self._conclude(status, value=value, error=error)

    def _conclude(
        self, status: TaskStatus, *, value: Any = None, error: BaseException | None = None
    ) -> None:
        self.value, self.error = value, error
        self._inside.status = status
        self._inside.waits_for = ""
        if not self._abandoned:
            self._inside.requests = None
        self._owner.ended(self)
        self.end.set_result(None)
        self.future.settle(value, error)
        self._commons.changed(self.task)

    def run_opened(self, uid: str) -> None:
        """Note a run of the task, or of a task of its own; its plan notes it too."""
        self._inside.run_start_uids += (uid,)
        self._owner.run_opened(uid)

    def merged(self, mode: MergeMode) -> None:
        """Note what became of the result."""
        self._inside.merge = mode

    def _set_status(self, status: TaskStatus) -> None:
        if self.task.status is not status:
            self._inside.status = status
            self._commons.changed(self.task)

    # -- resting ------------------------------------------------------------------------------

    @property
    def rests(self) -> bool:
        """Whether the task has come to rest."""
        return self._rests and not self.over

    def rests_for(self, reason: str) -> bool:
        """Tell whether ``reason`` is one of those for which the task is to rest."""
        return reason in self._reasons

    async def hold(self, reason: str) -> None:
        """Have the task rest, for as long as ``reason`` lasts; return when it does."""
        # Shielded, for half a pause would be neither.
        await asyncio.shield(self._rest_for(reason))

    def _rest_for(self, reason: str) -> asyncio.Task[Any]:
        self._reasons |= {reason}
        return self._reconcile_soon()

    def let_go(self, reason: str) -> None:
        """End one reason to rest; with the last one the task goes on.

        If somebody has taken a device meanwhile, it goes on when it has that back.
        """
        self._reasons -= {reason}
        if reason == CONFLICT and self._inside.waits_for:
            self.waits("")
        if self._rests and not self._reasons and not self._cancel_asked:
            # First this, and then the look: a hand that comes in between is refused, or seen.
            self._inside.goes_on = True
            lent = self._commons.claims.lent_to_hands(self.task)
            if lent and not self.over:
                self._reasons |= {LENT}
                self._commons.waits_for_loans(self, lent)
                return
        if not self._started:
            if not self._reasons and self.task.status in _AT_REST:
                self._set_status(TaskStatus.WAITING)
                self.start()
            return
        if self._rests or self._switch.locked():
            self._reconcile_soon()

    def suspend(self, until: Callable[[], Awaitable[Any]], reason: str | None) -> None:
        """Have the task held up by a suspender, unless it is exempt."""
        if self._runner is None or self.over or not self.suspendable:
            return
        in_plan = self._started and self._runner.suspend(until, reason)
        self._commons.spawner.spawn(self._suspended(until, in_plan), f"suspend {self.task.name!r}")

    async def _suspended(self, until: Callable[[], Awaitable[Any]], in_plan: bool) -> None:
        """Show that the task is suspended, and have it rest if its plan does not see to that."""
        reason = f"suspended {id(until)}"
        self._suspensions |= {reason}
        self._show()
        try:
            if not in_plan:
                await self.hold(reason)
            await until()
        finally:
            self._suspensions -= {reason}
            if not in_plan:
                self.let_go(reason)
            self._show()

    def _show(self) -> None:
        """Show whether the task runs, is suspended or paused."""
        if self.over or self._runner is None or self._cancel_asked:
            return
        if self._suspensions and not self._reasons - self._suspensions:
            self._set_status(TaskStatus.SUSPENDED)
        elif self._rests or (self._reasons and not self._started):
            self._set_status(TaskStatus.PAUSED)
        elif self._started:
            self._set_status(TaskStatus.RUNNING)

    def _reconcile_soon(self) -> asyncio.Task[Any]:
        name = self.task.name
        return self._commons.spawner.spawn(self._reconcile(), f"pause or resume {name!r}")

    async def _reconcile(self) -> None:
        """Bring the payload to what the reasons want."""
        async with self._switch:
            if self._runner is None or self.over:
                return
            if not self._started:
                if self._reasons:
                    self._show()
                return
            if self._reasons and not self._rests and not self._cancel_asked:
                self._rests = await self._runner.pause() and self._runner is not None
                self._inside.goes_on = not self._rests
                self._show()
            elif self._reasons and self._rests:
                self._inside.goes_on = False  # it was to go on, and is to rest again
            elif not self._reasons and self._rests:
                self._rests = False
                await self._runner.resume()
                self._show()

    # -- conflicts ----------------------------------------------------------------------------

    async def _give_way(self, device: Any) -> None:
        async with self._switch:
            if self.rests and self._runner is not None:
                await self._runner.give_way(device)

    async def yield_device(self, borrower: Holder, device: Any) -> bool:
        """Rest, and lend ``device`` to the foreground; return whether it is free for it now."""
        try:
            await self.hold(CONFLICT)
            # Shielded, for a device is not to be left half unstaged.
            await asyncio.shield(
                self._commons.spawner.spawn(
                    self._give_way(device), f"have {self.task.name!r} give way"
                )
            )
        except BaseException:
            # The foreground plan was paused or stopped while it waited for this.
            if not self._commons.claims.lends(self.task, device):
                self.let_go(CONFLICT)
            raise
        if self.over:
            return True
        if not self.rests:
            self.let_go(CONFLICT)
            return False
        self._commons.claims.lend(self.task, borrower, device)
        self.waits(f"{quoted_name(device)}, which {quoted_name(borrower)} holds")
        return True


def _future_of(name: str, loop_thread: threading.Thread) -> EngineFuture[Any]:
    # Under way: or else it could be cancelled in the task's place.
    return EngineFuture[Any].under_way(
        f"the background task {name!r}",
        loop_thread,
        f"In a plan write `yield from wait_for_background({name!r})`; in a coroutine `await "
        "task.future`; in a callback use `task.future.add_done_callback`.",
    )
