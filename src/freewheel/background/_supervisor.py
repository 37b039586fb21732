"""The tasks of one plan. Everything here runs on the engine's loop."""

from __future__ import annotations

import asyncio
import enum
import logging
from typing import TYPE_CHECKING, Any, Final

from freewheel.core import ResourceConflictError, WaitTimeoutError

from ._task import BackgroundTask, MergeMode, TaskStatus

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from ._background import Background
    from ._child import How
    from ._claims import Holder
    from ._life import Life

__all__ = ["PlanPhase", "Supervisor", "joined"]

_log = logging.getLogger("freewheel")

#: So many ended tasks are remembered whose results are ``None`` or were waited for already.
REMEMBERED: Final = 256


class PlanPhase(enum.Enum):
    """What the owner of the tasks does."""

    RUNNING = "running"
    PAUSED = "paused"
    ENDED = "ended"


class Supervisor:
    """Owns the tasks that a plan has started.

    Parameters
    ----------
    background : Background
        The engine's.
    holder : Holder
        Who the plan is, in the ledger of claims.
    phase : PlanPhase
        What the plan does.
    """

    def __init__(
        self, background: Background, holder: Holder, phase: PlanPhase = PlanPhase.RUNNING
    ) -> None:
        self._background = background
        self.holder = holder
        self.phase = phase
        self.numbers: dict[str, int] = {}  # of the latest task of a name that was given none
        self._alive: dict[int, Life] = {}
        self._by_name: dict[str, Life] = {}  # also those that have ended, see _forget_some
        self._forgettable: dict[str, Life] = {}  # in the order of their ends
        self._failed: list[Life] = []  # until somebody was told
        self._paused_in = PlanPhase.RUNNING

    # -- the tasks ----------------------------------------------------------------------------

    def add(self, life: Life, *, owned: bool) -> None:
        """Take a task in; one that is not owned is only known by its name."""
        name = life.task.name
        self._by_name[name] = life
        self._forgettable.pop(name, None)
        if owned:
            self._alive[id(life)] = life
        elif life.over:
            self._forgettable[name] = life

    def ended(self, life: Life) -> None:
        """Hear that an owned task has ended, and say what becomes of its result."""
        self._alive.pop(id(life), None)
        task = life.task
        if task.status is TaskStatus.FAILED:
            if self is self._background.root:
                self._background.no_plan_raises(life)
            else:
                self._failed.append(life)
        if life.value is None and task.status is not TaskStatus.FAILED:
            self._forget_later(life)
        if self.phase is PlanPhase.RUNNING:
            self._background.merged(life, MergeMode.HOT)
        elif task.status is not TaskStatus.CANCELLED:
            self._background.merged(life, MergeMode.WAKEUP)

    def knows(self, name: str) -> bool:
        """Tell whether a task of that name was started."""
        return name in self._by_name

    def names(self) -> list[str]:
        """Return the names of the tasks that can be waited for."""
        return list(self._by_name)

    @property
    def alive(self) -> tuple[Life, ...]:
        """The owned tasks that have not ended."""
        return tuple(self._alive.values())

    def find(self, name: str) -> Life:
        """Return the task that answers to ``name``: the plan's own, or else another of the engine.

        Raises
        ------
        KeyError
            With the names that exist.
        """
        life = self._by_name.get(name) or self._background.find(name)
        if life is None:
            names = ", ".join(map(repr, dict.fromkeys(self.names() + self._background.names())))
            raise KeyError(
                f"no background task answers to {name!r}; those that do: {names or 'none'}"
            )
        return life

    def _forget_later(self, life: Life) -> None:
        name = life.task.name
        if self._by_name.get(name) is not life:
            return
        self._forgettable[name] = life
        while len(self._forgettable) > REMEMBERED:
            oldest = next(iter(self._forgettable))
            if self._by_name.get(oldest) is self._forgettable.pop(oldest):
                del self._by_name[oldest]

    # -- waiting ------------------------------------------------------------------------------

    async def wait(self, name: str | None, at_most: float | None) -> Any:
        """Wait for one task, or for all that the plan owns.

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
        ResourceConflictError
            If a task rests until this very plan releases a device that it has claimed.
        """
        if name is not None:
            life = self.find(name)
            await self._wait_for([life], at_most)
            return self._deliver(life)
        lives = [life for life in self._by_name.values() if id(life) in self._alive or life.over]
        lives += [life for life in self.alive if life not in lives]
        await self._wait_for(lives, at_most)
        failures = [life.future.peek() for life in lives if life.task.status is TaskStatus.FAILED]
        results = {}
        for life in lives:
            life.future.mark_observed()
            if life.task.status is not TaskStatus.FAILED:
                results[life.task.name] = life.value
            self._forget_later(life)
        self._failed = [life for life in self._failed if life not in lives]
        if (error := joined(f for f in failures if f is not None)) is not None:
            raise error
        return results

    async def _wait_for(self, lives: Iterable[Life], at_most: float | None) -> None:
        waiting = [life for life in lives if not life.over]
        self.make_way_for(waiting)
        if not waiting:
            return
        await asyncio.wait([life.end for life in waiting], timeout=at_most)
        late = [life.task.name for life in waiting if not life.over]
        if late:
            raise WaitTimeoutError(
                f"after {at_most:g} s these background tasks had not ended: "
                f"{', '.join(map(repr, late))}"
            )

    def make_way_for(self, lives: Iterable[Life]) -> None:
        """Give back what the tasks have lent to this plan, which is about to wait for them."""
        ledger = self._background.claims
        for life in lives:
            if not life.rests_for("conflict"):
                continue
            lent = [device for device in ledger if ledger.lends(life.task, device)]
            if ledger.give_back(self.holder, life.task):
                life.let_go("conflict")
            elif lent:
                raise ResourceConflictError(lent[0], self.holder, life.task)

    def _deliver(self, life: Life) -> Any:
        life.future.mark_observed()
        if life in self._failed:
            self._failed.remove(life)
        self._forget_later(life)
        self._background.drained(life.task)
        if (error := life.future.peek()) is not None:
            raise error
        return life.value

    def results(self) -> Mapping[str, Any]:
        """Return the results that there are, by name, with those that wait in ``pending``."""
        results = {
            task.name: task.future.result()
            for task in self._background.drain_for(self)
            if task.status is not TaskStatus.FAILED
        }
        for name, life in self._by_name.items():
            if life.over and life.task.status is not TaskStatus.FAILED:
                results[name] = life.value
        return results

    # -- all of them --------------------------------------------------------------------------

    async def cancel_all(self, how: How, reason: str, grace: float | None = None) -> None:
        """Cancel every owned task; return when all have ended, or were given up."""
        while self._alive:
            lives = self.alive
            for life in lives:
                life.cancel(how, reason, grace)
            await asyncio.wait([life.end for life in lives])

    async def pause_all(self) -> None:
        """Have every owned task rest; return when they do."""
        if self.phase is not PlanPhase.PAUSED:
            self._paused_in, self.phase = self.phase, PlanPhase.PAUSED
        lives = self.alive
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
        while self._alive:
            await asyncio.wait([life.end for life in self.alive])

    def take_failures(self) -> BaseException | None:
        """Return the failures that nobody has been told of, as one; they count as told then."""
        told = [life for life in self._failed if life.failure is not None]
        self._failed = []
        failures = []
        for life in told:
            error = life.future.peek()
            life.future.mark_observed()
            if error is not None:
                _add_note(error, f"in the background task {life.task.name!r}")
                failures.append(error)
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


def tasks_of(lives: Iterable[Life]) -> tuple[BackgroundTask, ...]:
    """Return what users see of the lives."""
    return tuple(life.task for life in lives)
