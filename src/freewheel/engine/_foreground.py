"""The foreground of an engine: the plan that runs there, and the calls that wait for it."""

from __future__ import annotations

import logging
from functools import partial
from math import inf
from types import GeneratorType
from typing import TYPE_CHECKING, Any, TypeAlias, final

from bluesky.run_engine import RunEngineResult
from bluesky.utils import Msg, Plan

from freewheel.background import hands_here
from freewheel.core import EngineFuture, EngineState, duration_text
from freewheel.core._crossings import call_soon
from freewheel.core._errors import text_of

from ._bluesky import PlanEnd, PlanStart, Request, plan_name
from ._calls import NO_SUBS, Call, Looks, check_plan
from ._endings import paused
from ._events import emit_safely
from ._foreseen import Foreseen
from ._futures import status_of
from ._outlook import starts
from ._parking import Parking, Then
from ._periodic import Periodics
from ._queue import PlanQueue
from ._waiting_list import WaitingList, cancel_all

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from freewheel.core import PlanStatus
    from freewheel.core._circles import Party

    from ._bluesky import EngineCore, Requests
    from ._events import EngineEvents, Teller
    from ._futures import PlanFuture
    from ._household import Household

    #: Name, status, type of the failure, seconds.
    _Ended: TypeAlias = tuple[str, PlanStatus, type[BaseException] | None, float | None]

__all__ = ["Foreground"]

_log = logging.getLogger("freewheel")

#: The states in which the time that a plan takes does not count.
_RESTING = (EngineState.PAUSED, EngineState.SUSPENDING)


@final
class Foreground:
    """Has the calls of an engine run one after the other. Any thread may call, unless it is said.

    Parameters
    ----------
    core : EngineCore
        The engine.
    requests : Requests
        What runs the engine's plans.
    household : Household
        What it shares with its background.
    events : EngineEvents
        What it tells of itself.
    teller : Teller
        What tells it from any thread.

    Attributes
    ----------
    queue : PlanQueue
        The calls that wait, for the user.
    closing : bool
        Whether further plans are refused.
    """

    def __init__(
        self,
        core: EngineCore,
        requests: Requests,
        household: Household,
        events: EngineEvents,
        teller: Teller,
    ) -> None:
        self._core = core
        self._requests = requests
        self._household = household
        self._events = events
        self._states = core.states
        # Under the states' lock. Invariant: whoever takes _call from None to a call has the engine,
        # and the state is "idle" exactly while it is None.
        self._call: Call | None = None
        # Told later, on the loop: here the lock is held, and slots are not the engine's own code.
        tell = partial(teller.tell_latest, events.queue_changed, self._queue_now)
        kick = partial(core.call_on_loop, self._have_way_given)
        self._waiting = WaitingList(core.states, tell, kick)
        #: What is known of calls before they run.
        self.foreseen = Foreseen(self._waiting.foresee)
        self._parking = Parking(core, requests, household.documents.preempt)
        #: Raises if no plan may be started; set once, before the first call.
        self.check: Callable[[], None] = _nothing
        self.thread = core.thread
        self.periodics = Periodics(
            core,
            lambda: self.check(),
            partial(self.preempt, restores=False),
            lambda: self._waiting.quiet and self._call is None,
            tell,
        )
        self.queue = PlanQueue(self._waiting, self)
        self._looks = Looks(lambda: core.states.now, lambda: core.progress.picture())
        self.closing = False  # only ever set, under the lock
        # What is told of the plan that ended last, so that nothing of it is kept alive. Written on
        # the loop's thread, read by any.
        self._last: _Ended | None = None
        #: Called when a plan has ended, on the loop's thread.
        self.ended: Callable[[], None] | None = None

    # -- looking ------------------------------------------------------------------------------

    @property
    def current(self) -> PlanFuture | None:
        """The future of the plan that runs or is paused."""
        with self._states.lock:
            return None if self._call is None else self._call.future

    @property
    def last_ending(self) -> str:
        """Which plan has ended last, and how; empty if none has."""
        if self._last is None:
            return ""
        name, status, failure, elapsed = self._last
        how = str(status) if failure is None else f"{status}: {failure.__name__}"
        return f"{name} {how}, after {duration_text(elapsed, tenths=True)}"

    # -- calls --------------------------------------------------------------------------------

    def start_usual(self, plan: Any, metadata: dict[str, Any]) -> PlanFuture | None:
        """Start a plan as `submit` does, if it is a usual one and nothing is in its way.

        With as few functions as can be: whoever calls ``RE(plan)`` waits for it, and each one that
        runs once in a plan takes half a microsecond, ten times what it takes in a loop.

        Returns
        -------
        PlanFuture or None
            ``None``, and nothing done, for all that is less usual.
        """
        kind = type(plan)
        if kind is GeneratorType and plan.gi_frame is not None:
            name = plan.__name__ or kind.__name__
        elif kind is list and (not plan or type(plan[0]) is Msg):
            name = "list"
        elif kind is Plan:  # of bluesky's decorator
            name = plan_name(plan)
        else:
            return None
        # Without the function that makes a named tuple.
        start = tuple.__new__(PlanStart, (name, plan, NO_SUBS, metadata, plan))
        states = self._states
        with states.lock:
            if (
                self._call is not None
                or states.now is not EngineState.IDLE
                or self.closing
                or self._waiting.held is not None
            ):
                return None
            call = self._call = Call(start, self.thread, None, 0, self._looks)
            self._waiting.quiet = False
            self._requests.claim_locked()
            call_soon(self._core.loop, self._start, call)
        return call.future

    def submit(self, plan: Any, subs: Any, metadata: dict[str, Any], *, queue: bool) -> PlanFuture:
        """Start a plan, or queue it while another one runs; see `admit`.

        Raises
        ------
        TypeError
            For something that is no plan.
        """
        return self.admit(Call.make(plan, subs, metadata, self.thread), queue=queue)

    def admit(self, call: Call, *, queue: bool = True) -> PlanFuture:
        """Start a call, or queue it while another one runs.

        Parameters
        ----------
        queue : bool
            Whether it may wait for its turn; if not, and another plan runs, it is refused.

        Raises
        ------
        RuntimeError
            If it would have to wait, and may not.
        EngineClosedError
            If the engine was closed since it was last asked.
        """
        if call.may_be_foreseen:
            self.foreseen.expect(call)
        with self._states.lock:
            if self.closing:
                self.check()
            free = self._call is None and self._states.now is EngineState.IDLE
            if free and self._waiting.held is None:
                self._claim_locked(call)
            elif queue:
                call.wait_for_turn(partial(self._turn_of, call), self._ahead_of_waiting)
                self._waiting.put(call)
            elif free:
                raise RuntimeError(f"No plan is run. {self._waiting.why_held()}")
            else:
                raise RuntimeError(f"The RunEngine is in a {self._states.now} state")
        return call.future

    def preempt(self, call: Call, *, restores: bool, queue: bool = True) -> PlanFuture:
        """Run a plan in place of the one that runs, from its next checkpoint on.

        Raises
        ------
        RuntimeError
            If nothing runs, the queue is held, and it may not be queued.
        """
        call.preempts, call.restores, call.priority = True, restores, inf
        with self._states.lock:
            return self.admit(call, queue=queue or self._call is not None)

    def _have_way_given(self) -> None:
        """Have the plan give way at once that runs, and waits where it may be parked."""
        if self._states.preempted and self._core.plan is not None:
            self._core.plan.give_way()

    def _queue_now(self) -> tuple[PlanFuture, ...]:
        return self._waiting.futures()

    def _turn_of(self, waiting: Call) -> str:
        """Say what a call that waits is waiting for."""
        with self._states.lock:
            held, call = self._waiting.held, self._call
            if call is not None and self._waiting.preempts_next(waiting):
                return f"for the next checkpoint of {call.name!r}, which is {self._states.now}"
            if held is not None:
                return f"the queue is held ({held}): RE.queue.release() frees it"
            return "" if call is None else f"behind {call.name!r}, which is {self._states.now}"

    def _ahead_of_waiting(self) -> Party | None:
        """Return the plan that those that wait are behind, if one runs."""
        current = self.current
        return None if current is None else current.party

    def start_next_locked(self) -> None:
        """Start the next call, if the engine is free. With the lock held."""
        if self._call is None and self._states.now is EngineState.IDLE and not self.closing:
            following = self._waiting.next()
            if following is not None:
                self._claim_locked(following)

    def _claim_locked(self, call: Call) -> None:
        """Give the engine to a call. With the lock held, and nothing running."""
        self._call = call
        if not call.periodic:
            self._waiting.quiet = False
        call.claim(self._looks)
        self._requests.claim_locked()
        call_soon(self._core.loop, self._start, call)

    def _start(self, call: Call) -> None:
        self._states.announce()
        try:
            outlook = call.outlook
            outlook.begin()
            self._household.documents.follow(outlook.document)
            check_plan(call.start.plan)  # it may have been run by an earlier call meanwhile
            call.context.run(self._requests.begin, call.start)
            self._core.tasks.lend_from(call.context.run(hands_here))
        except BaseException as error:
            self.plan_finished(PlanEnd(self._failed_result(error), error, by_itself=False))
            return
        emit_safely(self._events.plan_started, call.future)
        if not call.periodic:
            self.periodics.wake()

    def _failed_result(self, error: BaseException) -> RunEngineResult:
        failure: Any = error
        return RunEngineResult((), self._core.no_value, "fail", False, text_of(error), failure)

    # -- control ------------------------------------------------------------------------------

    def pause(self, defer: bool) -> EngineFuture[None]:
        """Pause the plan; see `RunEngine.request_pause`."""
        with self._states.lock:
            future: EngineFuture[None] = self._future("the pause")
            self._requests.request(Request.PAUSE, defer)
            if not defer and self._call is not None:
                self._call.pauses += (future,)
        if defer:
            future.settle(None)
        return future

    def resume(self) -> PlanFuture:
        """Resume the paused plan; see `RunEngine.resume`."""
        with self._states.lock:
            before, went_on = self._states.now, self._states.goes_on
            self._requests.request(Request.RESUME)
            call = self._call
            assert call is not None
            if went_on or before not in (EngineState.PAUSED, EngineState.PAUSING):
                return call.future  # it goes on already, or a deferred pause is withdrawn
            return call.renew()

    def end(self, kind: Request, argument: Any = None) -> EngineFuture[Any]:
        """Stop, abort or halt the plan; see `RunEngine.stop`."""
        with self._states.lock:
            future: EngineFuture[Any] = self._future(f"the {kind}")
            self._requests.request(kind, argument)
            if self._call is not None:
                self._call.ends += (future,)
            # Those that wait do so for a plan that is parked, too: it is paused then.
            parked = len(self._parking)
            waiting = [] if parked else self._waiting.interrupted(f"a {kind} was requested")
        cancel_all(waiting, f"a {kind} was requested")
        return future

    def _future(self, what: str) -> EngineFuture[Any]:
        return EngineFuture.under_way(what, self._core.thread)

    def begin_close(self, why: str) -> EngineFuture[Any] | None:
        """Refuse further plans, and abort what runs.

        Returns
        -------
        EngineFuture or None
            Done when that plan is cleaned up; ``None`` if nothing runs.
        """
        with self._states.lock:
            self.closing = True
            waiting = self._waiting.take_all()
            future = None
            if self._call is not None:
                future = self._future("the engine's end")
                self._end_with_parked(future, why)
        cancel_all(waiting, why)
        return future

    def end_all(self, reason: str, why: str) -> EngineFuture[Any] | None:
        """Abort what runs, and let nothing start by itself: the foreground's part of a stop of all.

        Parameters
        ----------
        reason : str
            For the plan's stop documents.
        why : str
            For the queue, whose calls are cancelled or held.

        Returns
        -------
        EngineFuture or None
            Done when the plan is cleaned up; ``None`` if nothing runs.
        """
        with self._states.lock:
            future = None
            if self._call is not None and self._states.now is not EngineState.PANICKED:
                future = self._future("the end of everything")
                self._end_with_parked(future, reason)
            waiting = self._waiting.interrupted(why, always_hold=True)
        cancel_all(waiting, why)
        return future

    def _end_with_parked(self, future: EngineFuture[Any], reason: str) -> None:
        """Abort the plan that runs, and those that are parked for it; with the lock held."""
        assert self._call is not None
        self._parking.outermost(self._call).ends += (future,)
        self._parking.ending = reason if self._parking else None
        self._requests.request(Request.ABORT, reason)

    @property
    def obstacle(self) -> str:
        """What keeps plans from being started, and the command that mends it; empty if nothing."""
        with self._states.lock:
            return "" if self._waiting.held is None else self._waiting.why_held()

    def halt_if_running(self) -> None:
        """Halt the plan, if there is one."""
        with self._states.lock:
            if self._call is not None:
                if self._parking:
                    self._parking.ending = self._parking.ending or "it was halted"
                self._requests.request(Request.HALT)

    def fail(self, error: BaseException, at_once: bool = False) -> None:
        """Have the plan that runs fail with what a subscriber has raised; see `fail_plan`."""
        # A look without the lock: a plan that ends just now is failed when its documents settle.
        if self._call is not None:
            self._core.fail_plan(error, at_once=at_once)

    # -- what the core asks and tells, on the loop's thread -----------------------------------

    @property
    def future(self) -> PlanFuture:
        """The future of the plan that runs; in a pause and a resume it is another each time."""
        with self._states.lock:
            assert self._call is not None
            return self._call.future

    @property
    def preprocessors(self) -> list[Callable[[Any], Any]]:
        """What the next plan goes through first."""
        return self._household.preprocessors

    @property
    def suspenders(self) -> tuple[Any, ...]:
        """Those that the next plan waits for."""
        return self._household.suspenders()

    def state_changed(self, new: EngineState, old: EngineState) -> None:
        """Tell of the engine's state."""
        if new in _RESTING or old in _RESTING:
            call = self._call  # the plan is the same as long as it rests
            if call is not None:
                call.outlook.rest(new in _RESTING)
        emit_safely(self._events.state_changed, str(new), str(old))

    @property
    def restores(self) -> bool:
        """Whether a plan that is to run in this one's place wants its devices put back."""
        with self._states.lock:
            return self._waiting.restores

    def park(self, *, restores: bool) -> bool:
        """Have another plan run in place of the one that has come to rest, if one waits.

        Returns
        -------
        bool
            False if none waits any more, or something was asked of this one that comes first.
        """
        with self._states.lock:
            call, states = self._call, self._states
            if (
                call is None
                or states.now is not EngineState.RUNNING
                or states.pause_deferred
                or self._requests.any_waiting
            ):
                return False
            following = self._waiting.next_preempting(restores=restores)
            if following is None:
                return False
            self._parking.park(call)
            call.outlook.rest(True)
            following.future.life.party.keeper = call.future.life.party
            self._claim_locked(following)
        return True

    def plan_paused(self) -> None:
        """Tell that the plan has come to rest."""
        self._tell_paused("")

    def _tell_paused(self, why: str) -> None:
        with self._states.lock:
            call = self._call
            assert call is not None
            pauses, call.pauses = call.pauses, ()
            futures, call.resumed = call.resumed, ()
            if self._states.now is EngineState.PAUSED:  # and not resumed, or ended, meanwhile
                futures += (call.future,)
        for future in futures:
            future.settle(error=paused(call.name, self._core.engine.pause_msg, why))
        for pause in pauses:
            pause.settle(None)

    def plan_finished(self, end: PlanEnd) -> None:
        """Tell that the plan has ended, and begin the next one."""
        states, engine = self._states, self._core.engine
        with states.lock:
            call, self._call = self._call, None
            assert call is not None
            self._household.documents.follow(None)  # so that nothing of the plan is kept
            halted = states.now is EngineState.HALTING
            cancelled: Sequence[Call] = ()
            back = self._parking.come_back(end)
            if back is not None:
                self._call = back.call
                self._call.outlook.rest(False)
                self._household.documents.follow(self._call.outlook.document)
            elif end.by_itself is False and not call.ends:
                cancelled = self._waiting.interrupted(f"plan {call.name!r} {_how(end)}")
            if back is None and states.now is not EngineState.PANICKED:
                states.change_locked(EngineState.IDLE)
                self.start_next_locked()
        if cancelled:
            cancel_all(cancelled, f"plan {call.name!r} {_how(end)}")
        states.announce()
        if self.ended is not None:
            self.ended()
        value = end.result if engine.call_returns_result else end.result.run_start_uids
        failure = None if end.error is None else type(end.error)
        status = status_of(end.result, end.error, halted=halted)
        self._last = (call.name, status, failure, call.future.elapsed)
        call.settle(end.result, end.error, value, halted=halted)
        emit_safely(self._events.plan_ended, call.future)
        if back is not None:
            self._parking.bring_back(back)
            if back.then is Then.IS_PAUSED:
                why = f"{call.name!r}, which had taken its place, {_how(end)}"
                _log.warning(
                    "The plan %r is paused, for %s. RE.resume() has it go on, RE.stop() ends it.",
                    back.call.name,
                    why,
                )
                self._tell_paused(why)

    def picture(self) -> Mapping[str, Any]:
        """Return what the snapshot has of the foreground. With the lock held, or any time."""
        with self._states.lock:
            call, held = self._call, self._waiting.held
            left = () if call is None else (call.outlook.left, *self._parking.left)
            waiting = self._waiting.picture()
            # Nobody knows when a person has it go on.
            stays = held is not None or self._states.now is EngineState.PAUSED
            return {
                "state": self._states.now,
                "plan_name": None if call is None else call.name,
                "elapsed": None if call is None else call.future.elapsed,
                "time_left": left[0] if left else None,
                "waiting": tuple(starts(left, waiting, stays=stays)),
                "queue_held": held,
                "parked": self._parking.names,
                "periodic": self.periodics.picture(),
            }


def _nothing() -> None:
    """Refuse nothing."""


def _how(end: PlanEnd) -> str:
    if end.error is not None:
        return f"failed with {type(end.error).__name__}"
    return "was interrupted"
