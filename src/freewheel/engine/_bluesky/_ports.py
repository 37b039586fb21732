"""What the core of an engine asks of the parts that are made around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from bluesky.utils import Msg

    from freewheel.background import Background, BackgroundTask, HandHold, Holder, Supervisor
    from freewheel.core import EngineFuture, EngineState, Progress

    from ._asked import Asked, PlanEnd, Suspension
    from ._replay import Replay
    from ._stack import PlanStack

__all__ = [
    "Changes",
    "ClaimCheck",
    "Documents",
    "ParkedPlan",
    "PerPlan",
    "PlanOwner",
    "PlanTasks",
    "PlanUnderWay",
    "ProgressCommands",
]


class PlanUnderWay(Protocol):
    """The plan that an engine runs; `PlanRun`. On the loop's thread, but for `fail`."""

    name: str
    interrupted: bool
    safe_waits: int
    exit_status: str
    reason: str
    failure: BaseException | None
    cleans_up: bool

    @property
    def stack(self) -> PlanStack:
        """The generators that it is made of, and their answers."""
        ...

    @property
    def replay(self) -> Replay:
        """What a rewind repeats."""
        ...

    @property
    def asked(self) -> Asked:
        """What was asked of it."""
        ...

    @property
    def pardons(self) -> bool:
        """Whether nobody minds any more that a status of it fails."""
        ...

    @property
    def went_well(self) -> bool:
        """Whether it has completed, or goes on, without having been asked to end."""
        ...

    def pause_from_inside(self) -> None:
        """Pause before the next message."""
        ...

    def suspend(self, suspension: Suspension) -> None:
        """Be suspended; one that is at rest is when it goes on."""
        ...

    def give_way(self) -> None:
        """Let another plan run in its place now, if it waits where that may be."""
        ...

    def fail(self, error: BaseException) -> None:
        """Throw ``error`` into it at its next message; from any thread."""
        ...

    def hear_of_failure(self) -> None:
        """Have it fail now, and not when its message is done."""
        ...

    def fail_status(self, error: BaseException) -> None:
        """Throw the failure of a status into it."""
        ...

    def take_failure(self) -> BaseException | None:
        """Return what is to be thrown into it, which counts as thrown."""
        ...

    def waiting_safely(self) -> AbstractContextManager[None]:
        """Mark a wait in which a deferred pause may take effect."""
        ...


class PerPlan(Protocol):
    """A part of an engine that keeps something for a plan. On the loop's thread."""

    def lay_aside(self) -> Any:
        """Hand out what it keeps for the plan, and keep nothing."""
        ...

    def take_up(self, laid: Any) -> None:
        """Keep that again, instead of what it keeps now."""
        ...


class ParkedPlan(Protocol):
    """What an engine keeps for a plan that is parked; `Aside`. Any thread may ask."""

    plan: PlanUnderWay
    holder: Holder

    def of(self, part: Any) -> Any:
        """Return what a part has handed out. On the loop's thread."""
        ...

    def devices(self) -> list[Any]:
        """Return the devices that the plan has moved, has staged or uses."""
        ...

    def in_use(self) -> list[Any]:
        """Return the devices that are under way still."""
        ...


class ProgressCommands(Protocol):
    """The progress of an engine's plans, and the commands about it; `PlanProgress`."""

    def picture(self) -> list[Progress]:
        """Return how everything stands; from any thread."""
        ...

    async def declare_progress(self, msg: Msg) -> Any:
        """Open a scope."""
        ...

    async def update_progress(self, msg: Msg) -> None:
        """Update or end a scope."""
        ...

    async def monitor_progress(self, msg: Msg) -> Any:
        """Have a scope follow a status."""
        ...


class PlanOwner(Protocol):
    """Who has the plans run, and is told of what becomes of them. On the loop's thread."""

    @property
    def future(self) -> EngineFuture[Any]:
        """The future of the plan that runs."""
        ...

    @property
    def preprocessors(self) -> Sequence[Callable[[Any], Any]]:
        """What the next plan goes through first."""
        ...

    @property
    def suspenders(self) -> tuple[Any, ...]:
        """Those that the next plan waits for."""
        ...

    def state_changed(self, new: EngineState, old: EngineState) -> None:
        """Hear that the engine has changed its state."""
        ...

    def plan_paused(self) -> None:
        """Hear that the plan has come to rest."""
        ...

    @property
    def restores(self) -> bool:
        """Whether a plan that is to run in this one's place wants its devices put back."""
        ...

    def park(self, *, restores: bool) -> bool:
        """Have another plan run in place of the one that has come to rest, if one waits.

        Parameters
        ----------
        restores : bool
            Whether it is known where the devices are to be put back to.
        """
        ...

    def plan_finished(self, end: PlanEnd) -> None:
        """Hear that the plan has ended and is cleaned up. The engine is still to be idle."""
        ...


class PlanTasks(Protocol):
    """The background tasks of a plan; `OwnedTasks`. On the loop's thread, but for `holder`."""

    task: BackgroundTask | None

    @property
    def background(self) -> Background:
        """The background of the household."""
        ...

    @property
    def holder(self) -> Holder:
        """Who the plan is in the ledger of claims."""
        ...

    @property
    def supervisor(self) -> Supervisor:
        """Who keeps the tasks of the plan."""
        ...

    def run_opened(self, uid: str) -> None:
        """Hear of a run of the plan, or of a task of its own."""
        ...

    async def wait_for_all(self) -> None:
        """Wait until the tasks of a plan that has completed have ended."""
        ...

    def lend_from(self, hands: Iterable[HandHold]) -> None:
        """Have people lend to the plan, which they have submitted, what they hold."""
        ...

    def rest(self, at_rest: bool) -> None:
        """Hear that the plan is paused, or that it is to go on."""
        ...

    async def until_back(self) -> None:
        """Wait until people have given back what they have taken while the plan was paused."""
        ...

    def release(self) -> None:
        """Give up all that the plan holds: its clean-up is over."""
        ...

    @property
    def any_alive(self) -> bool:
        """Whether the plan has tasks that have not ended."""
        ...

    async def cancel_all(self, how: Any, reason: str) -> None:
        """End them all, with their clean-up."""
        ...

    async def pause_all(self, *, spare_exempt: bool = False) -> None:
        """Bring them all to rest, or all but those that suspenders spare."""
        ...

    def resume_all(self) -> None:
        """Have them go on."""
        ...

    def suspend_all(self, until: Callable[[], Awaitable[Any]], reason: str | None) -> None:
        """Have a suspender hold them up."""
        ...

    def held_by_others(self, devices: Iterable[Any]) -> list[Any]:
        """Return those of the devices that somebody else holds now."""
        ...

    def plan_over(self) -> BaseException | None:
        """Note the end of the plan; return the failures that nobody was told of."""
        ...


class ClaimCheck(Protocol):
    """Whether a plan may do to a device what a message asks for. All on the loop's thread."""

    def passes(self, msg: Msg) -> bool:
        """Tell whether the message may be carried out at once."""
        ...

    async def make_way(self, msg: Msg) -> bool:
        """Deal with what keeps the message from being carried out.

        Returns
        -------
        bool
            Whether it is to be carried out now; false if there is nothing left to do.

        Raises
        ------
        ResourceConflictError
            If somebody else holds the device and does not give way.
        """
        ...

    def passed(self) -> None:
        """Hear that a message has been carried out, or has failed, that could at once."""
        ...

    def finished(self, msg: Msg) -> None:
        """Hear that a message has been carried out, or has failed, that way was made for."""
        ...

    def run_closed(self, run: Any) -> None:
        """Hear that a run has been closed."""
        ...

    def stopping(self, device: Any) -> AbstractContextManager[bool]:
        """Hold a device while it is stopped, so that nobody moves it meanwhile.

        Gives false if it is not to be stopped, for somebody else holds it by now.
        """
        ...

    def plan_over(self) -> None:
        """Hear that the plan's clean-up is over."""
        ...


class Changes(Protocol):
    """What a person wants done between two messages. All on the loop's thread."""

    @property
    def pending(self) -> bool:
        """Whether anything waits or is under way."""
        ...

    async def settle(self) -> None:
        """Do what waits, before the plan's next message."""
        ...

    def give_up(self) -> None:
        """End what is under way: the plan is to end, and must not wait for it."""
        ...


class _Delivery(Protocol):
    async def drained(self) -> None: ...

    def take_failure(self) -> BaseException | None: ...


class _Piled(Protocol):
    up: bool


class Documents(Protocol):
    """Where the documents of a plan go. On the loop's thread."""

    @property
    def piled(self) -> _Piled:
        """Whether there is a reason to ask `is_behind`."""
        ...

    @property
    def failures_ignored(self) -> bool:
        """Whether a subscriber's failure is nobody's."""
        ...

    def emit(self, name: Any, doc: Any) -> None:
        """Hand a document to the subscribers; from any thread."""
        ...

    def is_behind(self) -> bool:
        """Tell whether there is a subscriber that the plan has to wait for."""
        ...

    async def caught_up(self) -> None:
        """Wait for a subscriber that is far behind."""
        ...

    def awaited(self) -> Iterable[_Delivery]:
        """Return the deliveries that the end of a plan waits for."""
        ...
