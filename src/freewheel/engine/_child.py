"""The engine of one background plan."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, final

from bluesky.run_engine import FailedPause, TransitionError

from freewheel.background import Outcome
from freewheel.core import EngineState

from ._bluesky import (
    BlueskyEngine,
    FairDispatcher,
    PlanEnd,
    PlanStart,
    Request,
    Suspension,
    inside_of,
    plan_name,
)
from ._claim_check import TaskClaims
from ._documents import ChildDocuments
from ._explain import waits_for
from ._owned_tasks import OwnedTasks
from ._progress import PlanProgress
from ._task_baseline import for_tasks
from .commands import COMMANDS

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    from freewheel.background import How
    from freewheel.core import EngineFuture

    from ._household import Household

__all__ = ["ChildEngine"]


@final
class ChildEngine:
    """Runs one background plan at a time, on the loop of the household that it belongs to.

    It has the household's metadata, scan ids, commands and subscribers. Its own temporary
    subscriptions see its own documents alone. Of the preprocessors it has those that say that they
    are for the background too, with an attribute ``in_background``, and the baseline of bluesky's
    ``SupplementalData``. All of it runs on the loop.
    """

    __slots__ = (
        "_asked_to_end",
        "_commands",
        "_core",
        "_documents",
        "_household",
        "_outcome",
        "_paused",
        "_requests",
        "_tasks",
    )

    def __init__(self, household: Household) -> None:
        self._household = household
        dispatcher = FairDispatcher()
        engine = BlueskyEngine(
            household,
            dispatcher,
            loop=household.loop,
            thread=household.thread,
            commands=COMMANDS,
            in_child=True,
        )
        self._core, self._requests = core, _ = inside_of(engine)
        self._commands = household.commands
        self._documents = ChildDocuments(dispatcher, household.documents, core.fail_plan)
        core.documents = self._documents
        core.owner = self
        self._tasks = OwnedTasks(core)
        core.tasks = self._tasks
        core.claim_check = TaskClaims(core, self._tasks)
        core.progress = PlanProgress(household.progress, core, self._task_name, background=True)
        self._outcome: asyncio.Future[Outcome] | None = None
        self._paused: asyncio.Future[bool] | None = None
        self._asked_to_end = False

    def _task_name(self) -> str:
        task = self._tasks.task
        return self._core.plan_name if task is None else task.name

    @property
    def waits_for(self) -> str:
        """Which devices the plan waits for, in words; from any thread."""
        return waits_for(self._core)

    def is_current(self) -> bool:
        """Tell whether the household's commands are those that it had when this was made."""
        return self._commands is self._household.commands

    # -- what the task asks for ---------------------------------------------------------------

    def run(self, plan: Any, task: Any, metadata: dict[str, Any]) -> asyncio.Future[Outcome]:
        """Begin ``plan`` for ``task``; done after the clean-up."""
        self._tasks.task = task
        self._documents.begin("" if self._household.background.is_owned(task) else task.name)
        self._asked_to_end = False
        self._outcome = self._core.loop.create_future()
        with self._core.states.lock:
            self._requests.claim_locked()
        self._core.states.announce()
        self._requests.begin(PlanStart(plan_name(plan), plan, {}, metadata))
        return self._outcome

    async def pause(self) -> bool:
        """Pause; return whether the plan is paused now, for it may have ended instead."""
        try:
            self._requests.request(Request.PAUSE, False)
        except TransitionError:
            return self._core.states.now is EngineState.PAUSED
        self._paused = self._core.loop.create_future()
        return await self._paused

    def resume(self) -> None:
        """Have a paused plan go on."""
        with suppress(TransitionError):  # it is being ended
            self._requests.request(Request.RESUME)

    def end(self, how: How, reason: str) -> None:
        """Ask for the end of the plan."""
        self._asked_to_end = True
        with suppress(TransitionError):  # it has ended
            self._requests.request(Request(how), reason)

    def suspend(self, until: Callable[[], Awaitable[Any]], reason: str | None) -> None:
        """Suspend the plan until what ``until`` returns is done."""
        self._requests.request(Request.SUSPEND, Suspension(None, None, reason, until))

    async def give_way(self, device: Any) -> None:
        """Unstage what overlaps with ``device``, and leave it alone."""
        claims = self._household.background.claims
        await self._core.devices.give_up(lambda own: claims.overlap(own, device))

    async def take_back(self) -> None:
        """Stage again what `give_way` has unstaged."""
        await self._core.devices.take_back()

    def fail(self, error: BaseException) -> None:
        """Throw ``error`` into the plan at its next message."""
        self._core.fail_plan(error)

    # -- what the core asks and tells ---------------------------------------------------------

    @property
    def future(self) -> EngineFuture[Any]:
        """The future of the task whose plan runs."""
        assert self._tasks.task is not None
        return self._tasks.task.future

    @property
    def preprocessors(self) -> list[Callable[[Any], Any]]:
        """Those of the household that are for the background too, and the baseline."""
        return for_tasks(self._household.preprocessors)

    @property
    def suspenders(self) -> tuple[Any, ...]:
        """The household's suspenders: a plan is not begun while one has tripped."""
        task = self._tasks.task
        life = None if task is None else self._household.background.roster.life_of(task)
        if life is not None and not life.suspendable:
            return ()
        return (*self._household.suspenders(), *self._core.engine.suspenders)

    @property
    def restores(self) -> bool:
        """Tell that no plan runs in place of one in the background."""
        return False

    def park(self, *, restores: bool) -> bool:
        """Have no other plan run in its place, as `restores`."""
        return False

    def state_changed(self, new: EngineState, old: EngineState) -> None:
        """Hear of the engine's state, which the task does not show."""

    def plan_paused(self) -> None:
        """Hear that the plan has come to rest."""
        self._tell_paused(True)

    def _tell_paused(self, is_paused: bool) -> None:
        paused, self._paused = self._paused, None
        if paused is not None and not paused.done():
            paused.set_result(is_paused)

    def plan_finished(self, end: PlanEnd) -> None:
        """Hear that the plan has ended, and have the task know how."""
        self._core.states.change(EngineState.IDLE)
        self._tasks.task = None
        result, error = end.result, end.error
        interrupted = result.interrupted or result.exit_status == "abort"
        if error is None and interrupted and not self._asked_to_end and self._paused is not None:
            error = FailedPause(
                f"the background plan {self._core.plan_name!r} had cleared its checkpoint when it "
                "was to be paused, and was aborted"
            )
        self._tell_paused(False)
        self._requests.forget()
        outcome, self._outcome = self._outcome, None
        if outcome is not None and not outcome.done():
            outcome.set_result(Outcome(result.plan_result, error, interrupted))
