"""The background tasks of an engine's plan, as the core sees them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, final

from bluesky.utils import Msg

from freewheel.background import Holder, PlanHolder, Supervisor
from freewheel.core._crossings import completion

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterable

    from freewheel.background import Background, BackgroundTask, HandHold, How

    from ._bluesky import EngineCore

__all__ = ["WAIT_FOR_OWNED", "OwnedTasks"]

#: The message at the end of a plan that has tasks.
WAIT_FOR_OWNED: Final = "_wait_for_owned_tasks"


@final
class OwnedTasks:
    """The tasks of an engine's plan. All of it on the engine's loop, but for `holder`.

    `holder` and `is_holder` are asked from any thread.

    Parameters
    ----------
    core : EngineCore
        The engine whose plans may own tasks.
    """

    __slots__ = ("_core", "_holder", "_supervisor", "task")

    def __init__(self, core: EngineCore) -> None:
        self._core = core
        # Who the plan is in the ledger: a task, or for a foreground plan, and for no other, a
        # holder that is made when needed.
        self.task: BackgroundTask | None = None
        self._holder: PlanHolder | None = None
        self._supervisor: Supervisor | None = None

    @property
    def background(self) -> Background:
        """The background of the household."""
        return self._core.household.background

    @property
    def holder(self) -> Holder:
        """Who the plan is in the ledger of claims."""
        if self.task is not None:
            return self.task
        if self._holder is None:
            self._holder = PlanHolder(self._core.plan_name)
        return self._holder

    def is_holder(self, who: Holder) -> bool:
        """Tell whether the plan is ``who``, in the ledger of claims; from any thread."""
        return who is self._holder

    @property
    def supervisor(self) -> Supervisor:
        """Who keeps the tasks of the plan."""
        if self._supervisor is None:
            plan = self.task or self._core.owner.future
            note_run = partial(self._core.note_run, self._core.under_way)
            self._supervisor = Supervisor(self.background, self.holder, plan, note_run=note_run)
            self._core.put_below_plan(_wait_for_owned(self._core))
        return self._supervisor

    def run_opened(self, uid: str) -> None:
        """Have the task whose plan this is, if it is one, know of a run."""
        life = None if self.task is None else self.background.roster.life_of(self.task)
        if life is not None:
            life.run_opened(uid)

    @property
    def any_alive(self) -> bool:
        """Whether the plan has tasks that have not ended."""
        return self._supervisor is not None and bool(self._supervisor.alive)

    async def cancel_all(self, how: How, reason: str) -> None:
        """End them all, with their clean-up."""
        if self._supervisor is not None:
            self._supervisor.plan_ended()
            await self._supervisor.cancel_all(how, reason)

    async def pause_all(self, *, spare_exempt: bool = False) -> None:
        """Bring them all to rest, or all but those that suspenders spare."""
        if self._supervisor is not None:
            await self._supervisor.pause_all(spare_exempt=spare_exempt)

    def resume_all(self) -> None:
        """Have them go on."""
        if self._supervisor is not None:
            self._supervisor.resume_all()

    def suspend_all(self, until: Callable[[], Awaitable[Any]], reason: str | None) -> None:
        """Have a suspender hold them up.

        Those of a foreground plan were told already, with all others: `Background.suspend_all`.
        """
        if self.task is not None and self._supervisor is not None:
            self._supervisor.suspend_all(until, reason)

    def held_by_others(self, devices: Iterable[Any]) -> list[Any]:
        """Return those of the devices that somebody else holds now."""
        claims = self.background.claims
        if not claims:
            return []
        holder = self.task or self._holder
        return [d for d in devices if claims.conflicts(holder, d)]  # type: ignore[arg-type]

    async def wait_for_all(self) -> None:
        """Wait until the tasks of a plan that has completed have ended, and tell of failures."""
        supervisor, plan = self.supervisor, self._core.under_way
        supervisor.plan_ended()
        await self._give_back()
        plan.replay.over()
        with plan.waiting_safely():
            await supervisor.all_ended()
        if (failure := supervisor.take_failures()) is not None:
            raise failure

    def plan_over(self) -> BaseException | None:
        """Note the end of the plan; return the failures that nobody was told of."""
        supervisor, self._supervisor = self._supervisor, None
        return None if supervisor is None else supervisor.take_failures()

    # -- claims -------------------------------------------------------------------------------

    def rest(self, at_rest: bool) -> None:
        """Lend what the plan holds to people, while it is paused; what parked plans hold, too."""
        if self._holder is not None:
            self._holder.rest(at_rest)
        for aside in self._core.parked:
            holder: Any = aside.holder
            holder.park(lends_to_people=at_rest)

    async def until_back(self) -> None:
        """Wait until people have given that back, and let go of what the plan has moved."""
        if self.task is None:  # a task holds all that it has moved
            what = f"The plan {self._core.plan_name!r}"
            moved = self._core.statuses.moved()
            await self.background.conflicts.until_back(self.holder, what, moved)
            for aside in self._core.parked:
                await self.background.conflicts.until_back(aside.holder, what)

    def lay_aside(self) -> tuple[PlanHolder, Supervisor | None]:
        """Hand out what is kept for a foreground plan, which lends what it holds to others."""
        holder = self._holder or PlanHolder(self._core.plan_name)
        holder.park()
        laid = holder, self._supervisor
        self._holder = self._supervisor = None
        return laid

    def take_up(self, laid: tuple[PlanHolder, Supervisor | None]) -> None:
        """Keep that again."""
        self._holder, self._supervisor = laid
        laid[0].rest(False)

    def lend_from(self, hands: Iterable[HandHold]) -> None:
        """Have people lend to the plan, which they have submitted, what they hold."""
        for hand in hands:
            hand.lends_to.add(self.holder)

    async def _give_back(self) -> None:
        """Give up what the plan holds, which has completed: its tasks may wait for it.

        What it has left staged it holds until it is unstaged; if it is a task's, that is now.
        """
        holder, staged = self._holder, self._core.devices.staged
        if holder is None:
            return
        for device in self.background.claims.borrowed(holder):
            if device in staged:
                staged.discard(device)
                await completion(device.unstage())
        self.background.conflicts.release_all(holder, staged)

    def release(self) -> None:
        """Give up all that the plan holds: its clean-up is over."""
        if self._holder is not None:
            self.background.conflicts.release_all(self._holder)
        self._holder = None


def _wait_for_owned(core: EngineCore) -> Generator[Msg, Any, Any]:
    """Wait for the plan's tasks when the plan has completed; for `PlanStack.put_below`."""
    yield Msg("null")  # never carried out: the stack begins it
    value = core.under_way.stack.last_value
    yield Msg(WAIT_FOR_OWNED)
    return value
