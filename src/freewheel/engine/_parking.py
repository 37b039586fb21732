"""Plans that have let another one run in their place, and their return."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple, final

from freewheel.core import EngineState

from ._bluesky import Aside

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._bluesky import EngineCore, PlanEnd, PlanRun, Requests
    from ._calls import Call

__all__ = ["Parking", "Return", "Then"]

#: The states in which nobody has asked for a pause or an end.
_UNDISTURBED: Final = (EngineState.RUNNING, EngineState.SUSPENDING)


class Then(Enum):
    """What becomes of a plan that was parked, when the other one has ended."""

    GOES_ON = "goes on"
    IS_PAUSED = "is paused"
    ENDS = "ends"


class Return(NamedTuple):
    """The return of a plan that was parked."""

    call: Call
    plan: PlanRun
    then: Then


@final
class Parking:
    """The plans of a foreground that are parked; all under the states' lock, on the loop's thread.

    Parameters
    ----------
    core, requests
        The engine, and what runs its plans.
    told : callable
        Told whether any plan is parked, at each change.

    Attributes
    ----------
    ending : str or None
        Why all that are parked are to end too; then none of them goes on.
    """

    def __init__(self, core: EngineCore, requests: Requests, told: Callable[[bool], None]) -> None:
        self._core = core
        self._requests = requests
        self._told = told
        # The one that was parked last at the end. Written as it is said above; its length, and
        # its names, are read under the lock by any thread.
        self._parked: list[tuple[Call, PlanRun, Aside]] = []
        self.ending: str | None = None

    def __len__(self) -> int:
        return len(self._parked)

    @property
    def names(self) -> tuple[str, ...]:
        """Their names, the one that was parked first at the beginning."""
        return tuple(call.name for call, _, _ in self._parked)

    @property
    def left(self) -> tuple[float | None, ...]:
        """How long each of them takes yet, as far as that is known."""
        return tuple(call.outlook.left for call, _, _ in self._parked)

    def outermost(self, call: Call) -> Call:
        """Return the call that ends last: the one that was parked first, or ``call``."""
        return self._parked[0][0] if self._parked else call

    def park(self, call: Call) -> None:
        """Park the plan that runs, which has come to rest; the caller begins another one."""
        plan = self._requests.plan
        self._parked.append((call, plan, Aside(self._core)))
        call.future.park(True)
        self._told(True)

    def come_back(self, end: PlanEnd) -> Return | None:
        """Have the plan that was parked last be the engine's again: the other one has ended.

        Returns
        -------
        Return or None
            What becomes of it; ``None`` if none is parked, or the engine is lost.
        """
        states = self._core.states
        if not self._parked or states.now is EngineState.PANICKED:
            return None
        call, plan, aside = self._parked.pop()
        aside.give_back()
        self._requests.take_back_locked(plan)
        call.future.park(False)
        self._told(bool(self._parked))
        return Return(call, plan, self._decide(end))

    def _decide(self, end: PlanEnd) -> Then:
        """Decide, and put the engine into the state that goes with it."""
        states = self._core.states
        now = states.now
        if self.ending is not None:
            if now not in (EngineState.ABORTING, EngineState.HALTING):
                states.change_locked(EngineState.ABORTING)
            return Then.ENDS
        # One that was to be paused, and to go on, or to be suspended, has ended first. A suspension
        # is the other's then, which hears of it as it goes on.
        if end.by_itself and (now in _UNDISTURBED or states.goes_on):
            if now is EngineState.PAUSING:
                states.change_locked(EngineState.RUNNING)
            return Then.GOES_ON
        if now in _UNDISTURBED:
            states.change_locked(EngineState.PAUSING)
        states.change_locked(EngineState.PAUSED)
        return Then.IS_PAUSED

    def bring_back(self, back: Return) -> None:
        """Have the plan hear of what `come_back` has decided; without the lock."""
        if back.then is Then.GOES_ON:
            back.plan.resume()
        elif back.then is Then.IS_PAUSED:
            back.plan.interrupted = True
            self._core.tasks.rest(True)
        elif self._core.states.now is EngineState.HALTING:
            back.plan.halt()
        else:
            back.plan.abort(self.ending or "")
        if not self._parked:
            self.ending = None
