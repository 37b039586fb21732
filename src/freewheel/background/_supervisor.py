"""The tasks of one plan. Everything here runs on the engine's loop."""

from __future__ import annotations

import asyncio
import enum
from typing import TYPE_CHECKING, Any, Final, Protocol

from freewheel.core import WaitTimeoutError
from freewheel.core._circles import Waiting

from ._roster import Roster
from ._task import BackgroundTask, MergeMode, TaskStatus

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from freewheel.core import EngineFuture
    from freewheel.core._circles import Party

    from ._child import How
    from ._conflicts import Conflicts
    from ._holders import Holder
    from ._life import Life
    from ._results import Results

__all__ = ["PlanPhase", "Supervisor", "joined"]

#: So many ended tasks are remembered whose results are ``None`` or were waited for already.
REMEMBERED: Final = 256


class PlanPhase(enum.StrEnum):
    """What the owner of the tasks does."""

    RUNNING = "running"
    PAUSED = "paused"
    ENDED = "ended"


class _Commons(Protocol):
    """What the owners of an engine's tasks share."""

    @property
    def roster(self) -> Roster:
        """All tasks of the engine."""
        ...

    @property
    def conflicts(self) -> Conflicts:
        """Who gives way to whom."""
        ...

    @property
    def results(self) -> Results:
        """What becomes of results."""
        ...


class Supervisor:
    """Owns the tasks that a plan has started.

    Parameters
    ----------
    commons : Background
        What the engine's owners of tasks share.
    holder : Holder
        Who the plan is, in the ledger of claims.
    plan : BackgroundTask or EngineFuture, optional
        The plan: the task that it is of, or its future in the foreground. ``None`` for the owner
        of what no plan owns.
    roster : Roster, optional
        Where its tasks are; the engine's own for the owner of what no plan owns.
    note_run : callable, optional
        Called with the uid of each run of its tasks.
    """

    def __init__(
        self,
        commons: _Commons,
        holder: Holder,
        plan: BackgroundTask | EngineFuture[Any] | None = None,
        roster: Roster | None = None,
        note_run: Callable[[str], None] | None = None,
    ) -> None:
        self._commons = commons
        self.holder = holder
        self.plan = plan
        self._note_run = note_run
        self.roster = Roster(REMEMBERED) if roster is None else roster
        self.phase = PlanPhase.RUNNING if roster is None else PlanPhase.ENDED
        self._failed: list[Life] = []  # until somebody was told
        self._paused_in = PlanPhase.RUNNING

    def ended(self, life: Life) -> None:
        """Hear that an owned task has ended, and say what becomes of its result."""
        commons, task = self._commons, life.task
        failed = task.status is TaskStatus.FAILED
        commons.roster.ended(life, owed=False)
        if self.roster is not commons.roster:
            self.roster.ended(life, owed=failed or life.value is not None)
            if failed:
                self._failed.append(life)
        elif failed:
            commons.results.log_unless_told(life)
        if self.phase is PlanPhase.RUNNING:
            commons.results.merge(life, MergeMode.HOT, self)
        elif task.status is not TaskStatus.CANCELLED:
            commons.results.merge(life, MergeMode.WAKEUP, self)

    def run_opened(self, uid: str) -> None:
        """Hear that an owned task has opened a run."""
        if self._note_run is not None:
            self._note_run(uid)

    @property
    def party(self) -> Party | None:
        """The plan, as one who waits and is waited for."""
        plan = self.plan
        future = plan.future if isinstance(plan, BackgroundTask) else plan
        return None if future is None else future.party

    @property
    def over(self) -> bool:
        """Whether the plan has ended, and asks for no results any more."""
        return self.phase is PlanPhase.ENDED

    # -- the tasks ----------------------------------------------------------------------------

    @property
    def alive(self) -> tuple[Life, ...]:
        """The owned tasks that have not ended."""
        return self.roster.alive

    def find(self, name: str) -> Life:
        """Return the task that answers to ``name``: the plan's own, or else another of the engine.

        Raises
        ------
        KeyError
            With the names that exist.
        """
        life = self.roster.find(name) or self._commons.roster.find(name)
        if life is None:
            names = ", ".join(
                map(repr, dict.fromkeys(self.roster.names() + self._commons.roster.names()))
            )
            raise KeyError(
                f"no background task answers to {name!r}; those that do: {names or 'none'}"
            )
        return life

    # -- waiting ------------------------------------------------------------------------------

    async def wait(self, name: str | None, at_most: float | None) -> Any:
        """Wait for one task, or for all that the plan owns, so many seconds at most.

        Returns
        -------
        object
            Its result; or all results by name.

        Raises
        ------
        KeyError
            For a name that no task answers to.
        WaitTimeoutError
            If that was not all in time; it names those that still run.
        CircularWaitError
            If one of them waits for this very plan, or is it.
        ResourceConflictError
            If a task rests until this very plan releases a device that it has claimed.
        """
        if name is not None:
            life = self.find(name)
            await self._wait_for([life], at_most)
            return self._deliver(life)
        alive = set(map(id, self.alive))
        # But for detached ones, which it only knows.
        lives = [life for life in self.roster.known if life.over or id(life) in alive]
        await self._wait_for(lives, at_most)
        failures = [life.future.peek() for life in lives if life.task.status is TaskStatus.FAILED]
        results = {}
        for life in lives:
            life.future.mark_observed()
            if life.task.status is not TaskStatus.FAILED:
                results[life.task.name] = life.value
            self.roster.delivered(life)
        self._failed = [life for life in self._failed if life not in lives]
        if (error := joined(f for f in failures if f is not None)) is not None:
            raise error
        return results

    async def _wait_for(self, lives: Iterable[Life], at_most: float | None) -> None:
        waiting = [life for life in lives if not life.over]
        if not waiting:
            return
        parties = () if at_most is not None else (life.party for life in waiting)
        conflicts = self._commons.conflicts
        with Waiting(parties):
            conflicts.give_back_to(waiting, self.holder)
            with conflicts.waiting_for(waiting, self.holder):
                await asyncio.wait([life.end for life in waiting], timeout=at_most)
        late = [life.task.name for life in waiting if not life.over]
        if late:
            raise WaitTimeoutError(
                f"after {at_most:g} s these background tasks had not ended: "
                f"{', '.join(map(repr, late))}"
            )

    def _deliver(self, life: Life) -> Any:
        life.future.mark_observed()
        if life in self._failed:
            self._failed.remove(life)
        self.roster.delivered(life)
        self._commons.results.drained(life.task)
        if (error := life.future.peek()) is not None:
            raise error
        return life.value

    def results(self) -> Mapping[str, Any]:
        """Return the results that there are, by name, with those that wait in ``pending``."""
        results = {
            task.name: task.future.result()
            for task in self._commons.results.drain_for(self)
            if task.status is not TaskStatus.FAILED
        }
        for life in self.roster.known:
            if life.over and life.task.status is not TaskStatus.FAILED:
                results[life.task.name] = life.value
        return results

    # -- all of them --------------------------------------------------------------------------

    async def cancel_all(self, how: How, reason: str, grace: float | None = None) -> None:
        """Cancel every owned task; return when all have ended, or were given up (`grace` [s])."""
        while lives := self.alive:
            for life in lives:
                life.cancel(how, reason, grace)
            await asyncio.wait([life.end for life in lives])

    async def pause_all(self, *, spare_exempt: bool = False) -> None:
        """Have every owned task rest, or all but those exempt from suspenders; until they do."""
        if self.phase is not PlanPhase.PAUSED:
            self._paused_in, self.phase = self.phase, PlanPhase.PAUSED
        lives = [life for life in self.alive if life.suspendable or not spare_exempt]
        if lives:
            await asyncio.gather(*(life.hold("owner") for life in lives))

    def resume_all(self) -> None:
        """Have them go on."""
        if self.phase is PlanPhase.PAUSED:
            self.phase = self._paused_in
        for life in self.alive:
            life.let_go("owner")

    def suspend_all(self, until: Callable[[], Awaitable[Any]], reason: str | None) -> None:
        """Have a suspender hold them up."""
        for life in self.alive:
            life.suspend(until, reason)

    def plan_ended(self) -> None:
        """Note that the plan itself has ended: results are merged as ``WAKEUP`` from now on."""
        self.phase = PlanPhase.ENDED

    async def all_ended(self) -> None:
        """Wait until no owned task is alive."""
        while lives := self.alive:
            await asyncio.wait([life.end for life in lives])

    def take_failures(self) -> BaseException | None:
        """Return the failures that nobody has been told of, as one; they count as told then."""
        failures = []
        for life in self._failed:
            if (error := life.failure) is not None:
                life.future.mark_observed()
                _add_note(error, f"in the background task {life.task.name!r}")
                failures.append(error)
        self._failed = []
        return joined(failures)


def joined(errors: Iterable[BaseException]) -> BaseException | None:
    """Return one exception for several: a group, or the only one itself."""
    several = list(errors)
    if len(several) > 1:
        return BaseExceptionGroup(f"{len(several)} background tasks failed", several)
    return several[0] if several else None


def _add_note(error: BaseException, note: str) -> None:
    if note not in getattr(error, "__notes__", ()):
        error.add_note(note)
