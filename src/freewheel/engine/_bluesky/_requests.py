"""What is asked of a plan: admitted at once, in the thread that asks, and applied on the loop."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

from bluesky.run_engine import TransitionError

from freewheel.core import EngineState

from ._plan_run import PlanRun
from ._states import BEGUN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._asked import PlanStart
    from ._core import EngineCore
    from ._states import States

__all__ = ["Request", "Requests"]


class Request(StrEnum):
    """What may be asked of a plan."""

    PAUSE = "pause"
    SUSPEND = "suspend"
    RESUME = "resume"
    STOP = "stop"
    ABORT = "abort"
    HALT = "halt"


class _Rule(NamedTuple):
    """How a request is admitted, under the states' lock, and applied, on the loop."""

    admit: Callable[[States, Any], bool]  # whether there is something to apply
    apply: Callable[[PlanRun, Any], None]


def _admit_pause(states: States, defer: bool) -> bool:
    if states.goes_on:
        states.goes_on = False  # the pause that is on its way stays one
        return False
    if not states.now.can_pause:
        raise TransitionError(
            f"The engine is {str(states.now)!r}: there is no running plan that could be paused."
        )
    if defer:
        states.pause_deferred = True
    else:
        states.change_locked(EngineState.PAUSING)
    return True


def _admit_suspend(states: States, _: Any) -> bool:
    if states.now is EngineState.RUNNING:
        states.change_locked(EngineState.SUSPENDING)
    return states.now in (EngineState.SUSPENDING, EngineState.PAUSING, EngineState.PAUSED)


def _admit_resume(states: States, _: Any) -> bool:
    if states.now is EngineState.PAUSING:
        states.goes_on = True
        return False
    if states.pause_deferred and states.now is not EngineState.IDLE:
        states.pause_deferred = False
        return False
    if states.now is not EngineState.PAUSED:
        raise TransitionError(
            f"The engine is {str(states.now)!r}: there is no paused plan that could be resumed."
        )
    states.change_locked(EngineState.RUNNING)
    return True


def _admit_end(states: States, state: EngineState, joined: tuple[EngineState, ...]) -> bool:
    if states.now in (EngineState.IDLE, EngineState.PANICKED):
        raise TransitionError(f"RunEngine is already {states.now}: no plan is running.")
    if states.now in joined:
        return False
    states.change_locked(state)
    return True


def _admit_stop(states: States, _: Any) -> bool:
    stronger = (EngineState.STOPPING, EngineState.ABORTING, EngineState.HALTING)
    return _admit_end(states, EngineState.STOPPING, stronger)


def _admit_abort(states: States, _: Any) -> bool:
    stronger = (EngineState.ABORTING, EngineState.HALTING)
    return _admit_end(states, EngineState.ABORTING, stronger)


def _admit_halt(states: States, _: Any) -> bool:
    _admit_end(states, EngineState.HALTING, (EngineState.HALTING,))
    return True  # a second halt cuts short what the first one still waits for


_RULES: Final[Mapping[Request, _Rule]] = {
    Request.PAUSE: _Rule(_admit_pause, lambda plan, defer: plan.pause(bool(defer))),
    Request.SUSPEND: _Rule(_admit_suspend, PlanRun.suspend),
    Request.RESUME: _Rule(_admit_resume, lambda plan, _: plan.resume()),
    Request.STOP: _Rule(_admit_stop, lambda plan, _: plan.stop()),
    Request.ABORT: _Rule(_admit_abort, lambda plan, reason: plan.abort(reason)),
    Request.HALT: _Rule(_admit_halt, lambda plan, _: plan.halt()),
}


@final
class Requests:
    """Runs the plans of one core, and takes what is asked of them.

    Parameters
    ----------
    core : EngineCore
        The core.
    """

    __slots__ = ("_begun", "_core", "_plan", "_waiting")

    def __init__(self, core: EngineCore) -> None:
        self._core = core
        # Appended under the states' lock, taken on the loop's thread.
        self._waiting: list[tuple[Request, Any]] = []
        # Under the lock. Whether the plan that the requests are for has begun; until then they
        # wait for it, and are not applied to the one before it.
        self._begun = False
        self._plan: PlanRun | None = None  # of the loop's thread: the one that runs, or ran last

    def claim_locked(self) -> None:
        """Have the engine run from now on; the caller holds the states' lock, and begins a plan."""
        if self._waiting:
            self._waiting.clear()
        self._begun = False
        states = self._core.states
        # In place, since whoever calls ``RE(plan)`` waits for it; and an idle engine may run.
        if states.now is EngineState.IDLE:
            states.now = EngineState.RUNNING
            states.goes_on = states.pause_deferred = False
            states.changes.append(BEGUN)
        elif states.now is not EngineState.RUNNING:  # else it takes the place of another plan
            states.change_locked(EngineState.RUNNING)

    @property
    def plan(self) -> PlanRun:
        """The plan that runs. On the loop's thread."""
        assert self._plan is not None, "no plan runs"
        return self._plan

    @property
    def any_waiting(self) -> bool:
        """Whether something was asked for that the plan has not heard of; with the lock held."""
        return bool(self._waiting)

    def take_back_locked(self, plan: PlanRun) -> None:
        """Run a plan again that was parked; of what was asked of the other, suspensions hold."""
        self._waiting = [each for each in self._waiting if each[0] is Request.SUSPEND]
        self._begun = True
        self._plan = plan
        if self._waiting:
            self._core.call_on_loop(self._apply)

    def begin(self, start: PlanStart) -> None:
        """Begin a plan, after `claim_locked`. On the loop's thread."""
        plan = PlanRun(self._core, start)
        self._core.take_plan(plan, start.plan, start.metadata)
        self._plan = plan
        plan.begin()
        with self._core.states.lock:
            self._begun = True
            asked = bool(self._waiting)
        if asked:
            self._apply()

    def forget(self) -> None:
        """Let go of the plan that has ended. On the loop's thread."""
        self._plan = None

    def request(self, kind: Request, argument: Any = None) -> None:
        """Ask for a pause, a resumption or an end of the plan; from any thread, at once.

        Parameters
        ----------
        kind : Request
            What is asked for.
        argument : object
            For a pause whether it is deferred, for an abort the reason, for a suspension that.

        Raises
        ------
        TransitionError
            If the state does not allow it.
        """
        if kind is Request.ABORT:  # a stop document whose reason is no text is not valid
            argument = "" if argument is None else str(argument)
        with self._core.states.lock:
            changed = _RULES[kind].admit(self._core.states, argument)
            if changed:
                self._waiting.append((kind, argument))
        if changed:
            self._core.call_on_loop(self._apply)

    def _apply(self) -> None:
        """Take up what was requested. On the loop's thread, between two of the task's steps."""
        while (request := self._next()) is not None:
            kind, argument, plan = request
            _RULES[kind].apply(plan, argument)
            if kind is Request.SUSPEND:
                # Those that are parked wait for it too when they go on; what is to be done before
                # and after it is done once.
                for aside in self._core.parked:
                    aside.plan.suspend(argument._replace(pre_plan=None, post_plan=None))
        self._core.states.announce()

    def _next(self) -> tuple[Request, Any, PlanRun] | None:
        with self._core.states.lock:
            if self._plan is None or not self._begun or not self._waiting:
                return None
            return (*self._waiting.pop(0), self._plan)
