"""The plan under way."""

from __future__ import annotations

import asyncio
import enum
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, final

from bluesky.run_engine import FailedPause, RequestAbort, RequestStop, RunEngineResult
from bluesky.utils import Msg, PlanHalt, single_gen

from freewheel.core import EngineState
from freewheel.core._circles import be
from freewheel.core._errors import text_of, unasked_cancellation
from freewheel.core._tracebacks import from_the_plan

from ._asked import EXIT_REQUESTS, Asked, PlanEnd, PlanStart, Suspension
from ._clean_up import CleanUp
from ._messages import MessageLoop
from ._replay import Replay
from ._stack import PlanStack, forget_plan, start_of
from ._trips import waits_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._core import EngineCore

__all__ = ["Phase", "PlanRun", "plan_name"]

_ABORTS = (FailedPause, RequestAbort, asyncio.CancelledError, PlanHalt)


class Phase(enum.Enum):
    """How far a plan has come."""

    MESSAGES = "messages"
    CLEAN_UP = "clean up"
    ENDED = "ended"


@final
class PlanRun:
    """One plan under way, from its start to the end of its clean-up.

    Made afresh for each plan, so that nothing of one plan is left for the next. The engine's state
    is the engine's (`States`), because threads ask for a change of it before the plan's own task
    hears of that; this object follows. All of it runs on the engine's loop, but for `fail`::

                  begin
                    |
                    v        request: pause, or a deferred one at a checkpoint
        +----> MESSAGES -------------------------------> at rest ----+
        |       |  |  ^                                    |         | stop, abort,
        |       |  |  +------------------------------------+         | halt
        |       |  |        resume: rewound, then on                 |
        |       |  +-- parked: at rest until the plan that preempts it has ended
        |       |  +-- suspended: the suspender's messages --+       |
        |       |      are put on the stack, then rewound    |       |
        +-------|--------------------------------------------+       |
                | the plan returns, raises, is stopped, aborted,     |
                v halted; its own `finally` has run                  |
             CLEAN_UP <----------------------------------------------+
                | tasks ended, devices stopped and unstaged, runs
                v closed, documents delivered; a halt hurries it
              ENDED

    Parameters
    ----------
    core : EngineCore
        The engine that runs it.
    start : PlanStart
        What it is started with.

    Attributes
    ----------
    name : str
        The plan's name.
    stack : PlanStack
        The generators that it is made of at this moment, and their answers.
    replay : Replay
        What a rewind repeats.
    asked : Asked
        What was asked of it.
    phase : Phase
        How far it has come.
    interrupted : bool
        Whether it was paused or ended by somebody.
    exit_status : {"success", "abort", "fail"}
        As bluesky has it.
    reason : str
        Of an abort.
    failure : BaseException or None
        What is to be thrown into it at its next message.
    cleans_up : bool
        Whether it was told to end: what it still does is its clean-up.
    safe_waits : int
        How many commands are under way in which a deferred pause may take effect.
    hurried : bool
        Whether its clean-up is to take less time: a halt came.
    mishaps : list of BaseException
        What went wrong in its clean-up, for the result.
    task_failed : bool
        Whether a task of the plan has failed, and nobody was told of that.
    cancelled : bool
        Whether somebody has cancelled the plan's asyncio task itself, past all requests.
    """

    __slots__ = (
        "_core",
        "_end",
        "_rests",
        "_start",
        "_task",
        "_wake",
        "asked",
        "cancelled",
        "cleans_up",
        "exit_status",
        "failure",
        "hurried",
        "interrupted",
        "mishaps",
        "name",
        "phase",
        "reason",
        "replay",
        "safe_waits",
        "stack",
        "task_failed",
    )

    def __init__(self, core: EngineCore, start: PlanStart) -> None:
        self._core = core
        self._start = start
        self.name = start.name
        self.stack = PlanStack(core.no_value)
        self.replay = Replay()
        self.asked = Asked()
        self.phase = Phase.MESSAGES
        self.interrupted = False
        self.exit_status = "success"
        self.reason = ""
        self.safe_waits = 0
        self.cancelled = False
        self.cleans_up = False
        self.failure: BaseException | None = None  # under the states' lock
        self.hurried = False
        self.mishaps: list[BaseException] = []
        self.task_failed = False
        # Done when the plan, at rest, is to go on; the result says whether it is resumed.
        self._wake: asyncio.Future[bool] | None = None
        self._rests = False
        self._end: PlanEnd | None = None
        self._task: asyncio.Task[None] | None = None

    # -- its life -----------------------------------------------------------------------------

    def begin(self) -> None:
        """Begin; the engine's state is ``"running"`` or more already."""
        # A request that came before this is applied after it. A change between messages is not.
        between = self._core.between
        self.asked.attention = between is not None and between.pending
        # What a subscriber raised before, for a task's document, is logged and not this plan's.
        for delivery in self._core.documents.awaited():
            delivery.take_failure()
        task = self._core.loop.create_task(self._live(), name=f"plan {self.name}")
        task.add_done_callback(self._task_done)

    @property
    def task(self) -> asyncio.Task[None]:
        """The task that the plan runs in."""
        assert self._task is not None
        return self._task

    async def _live(self) -> None:
        # Not before: a task that is cancelled before its first step never runs, nor cleans up.
        task = self._task = self._core.engine._task = asyncio.current_task()
        assert task is not None
        be(self._core.owner.future.party)
        error: BaseException | None = None
        reason = ""
        try:
            await self._prepare()
            # Not kept, nor is the clean-up: a plan that is over is to need no garbage collector.
            await MessageLoop(self._core, self).process()
        except BaseException as raised:
            error, reason = self._judge(raised)
        self.phase = Phase.CLEAN_UP
        self._core.plan_has_ended()
        failure = await CleanUp(self._core, self).run(reason or self.reason)
        self._core.unsubscribe_for_plan()
        forget_plan(self._start.plan)
        if error is None:
            error = failure
        self.phase = Phase.ENDED
        self._end = self._make_end(error)
        if isinstance(error, asyncio.CancelledError):
            raise error  # somebody cancelled the task itself: it is to say so, as in bluesky
        # Told now, and not when the task is done: that takes the event loop one more turn.
        task.remove_done_callback(self._task_done)
        self._finish(self._end)

    async def _prepare(self) -> None:
        core = self._core
        core.subscribe_for_plan(self._start.subs)
        start = self._start
        made = start.plan if start.messages is None else start.messages
        self.stack.push(start_of(made, core.owner.preprocessors))
        suspenders = core.owner.suspenders
        if suspenders:
            await self._wait_for(suspenders)
        _inform(core.log, "Executing plan %r", self._start.plan)

    async def _wait_for(self, suspenders: tuple[Any, ...]) -> None:
        futures: list[Any] = []
        for suspender in suspenders:
            # Off the loop: a suspender may wait for the loop to make its event.
            asked = asyncio.ensure_future(asyncio.to_thread(waits_of, suspender))
            if not await self._outlasting_requests(asked):
                return
            waits, justification = asked.result()
            if waits:
                futures.extend(waits)
                self._core.log.warning("The plan %r waits: %s", self.name, justification)
        if futures:
            self.stack.push(single_gen(Msg("wait_for", None, futures)))

    async def _outlasting_requests(self, answer: asyncio.Future[Any]) -> bool:
        """Wait for something before the first message, which requests do not cut short.

        They are attended to by the message loop, which comes next.

        Returns
        -------
        bool
            False if the plan is to end before that.
        """
        while not answer.done():
            try:
                await asyncio.wait([answer])
            except asyncio.CancelledError:
                if not self.asked.attention:
                    self.cancelled = True
                    answer.cancel()
                    raise
                self.forget_cancellation()
                if self.asked.exit is not None:
                    answer.cancel()  # nobody waits for it any more, and it must not be left
                    return False
        return True

    def _judge(self, raised: BaseException) -> tuple[BaseException | None, str]:
        """Turn what left the plan into an exit status; return the plan's failure and reason."""
        if isinstance(raised, RequestStop):
            if self.exit_status != "abort":
                self.exit_status = "success"
            return None, ""
        if isinstance(raised, asyncio.CancelledError) and not (self.cancelled or self.asked.ending):
            raised = unasked_cancellation(f"plan {self.name!r}", raised)
        self.exit_status = "abort" if isinstance(raised, _ABORTS) else "fail"
        if isinstance(raised, asyncio.CancelledError):
            return raised, ""
        log = self._core.log
        if isinstance(raised, _ABORTS):
            log.info("Plan %r was ended: %s", self.name, type(raised).__name__)
            return None, ""
        log.error("Run aborted", exc_info=raised)
        if isinstance(raised, GeneratorExit):
            error = ValueError(f"The plan {self.name!r} raised {text_of(raised, repr)}.")
            error.__cause__ = raised
            return error, text_of(raised)
        return from_the_plan(raised), text_of(raised)

    def _make_end(self, error: BaseException | None) -> PlanEnd:
        if isinstance(error, asyncio.CancelledError):
            error = None
        if error is not None:
            for mishap in self.mishaps:
                error.add_note(f"Besides: {text_of(mishap, repr)}")
        in_result: Any = error if error is not None else _joined(self.mishaps)
        result = RunEngineResult(
            self._core.run_start_uids,
            self.stack.value,
            "fail" if error is not None or self.task_failed else self.exit_status,
            self.interrupted,
            self.reason,
            in_result,
        )
        by_itself = error is None and not self.interrupted and self.exit_status == "success"
        return PlanEnd(result, error, by_itself)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        end = self._end
        log = self._core.log
        if not task.cancelled() and (error := task.exception()) is not None:
            # A fault of the engine's own. The plan's future must tell of it all the same.
            log.error("Failed to end plan %r properly.", self.name, exc_info=error)
            end = end or self._make_end(error)
        self._finish(end or self._make_end(None))

    def _finish(self, end: PlanEnd) -> None:
        _inform(self._core.log, "Cleaned up from plan %r", self._start.plan)
        self._core.owner.plan_finished(end)

    # -- requests, applied between two of the task's steps ------------------------------------

    def pause(self, defer: bool) -> None:
        """Come to rest, or with ``defer`` at the next checkpoint."""
        asked, states = self.asked, self._core.states
        if self.phase is not Phase.MESSAGES:
            return  # the plan has ended by itself first
        if defer and not self.safe_waits:
            return  # until its next checkpoint
        with states.lock:
            if defer and states.pause_deferred and states.now is EngineState.RUNNING:
                states.change_locked(EngineState.PAUSING)
            if states.now is not EngineState.PAUSING:
                return  # an end was requested meanwhile, or the deferred pause was withdrawn
        self.interrupted = asked.rest = True
        self._interrupt()

    def pause_from_inside(self) -> None:
        """Pause before the next message: the engine's state says so already."""
        self.interrupted = self.asked.rest = self.asked.attention = True

    def give_way(self) -> None:
        """Let another plan run in this one's place now, if it waits where that may be."""
        running = self.phase is Phase.MESSAGES and self._core.states.now is EngineState.RUNNING
        if running and self.safe_waits and self._wake is None and self.replay.possible:
            self.asked.park = True
            self._interrupt()

    def suspend(self, suspension: Suspension) -> None:
        """Be suspended; a plan that rests, or comes to rest, is when it goes on."""
        self.asked.suspensions.append(suspension)
        if not self._rests:
            self.asked.suspend = True
            self._interrupt()

    def resume(self) -> None:
        """Go on."""
        self.end_rest(resumed=True)

    def stop(self) -> None:
        """Be stopped."""
        if self.phase is Phase.MESSAGES:
            self._leave(EngineState.STOPPING)

    def abort(self, reason: str) -> None:
        """Be aborted."""
        if self.phase is Phase.MESSAGES:
            self.reason = reason
            self.exit_status = "abort"
            self._leave(EngineState.ABORTING)

    def halt(self) -> None:
        """Be halted; during the clean-up it is hurried."""
        if self.phase is Phase.ENDED:
            return
        self.exit_status = "abort"
        if self.phase is Phase.MESSAGES:
            self._leave(EngineState.HALTING)
        else:
            self.interrupted = True
            self.hurried = True
            self.task.cancel()

    def _leave(self, state: EngineState) -> None:
        asked = self.asked
        self.interrupted = True
        if self._core.states.now is not state:
            return  # a stronger request follows
        if asked.ending and state is not EngineState.HALTING:
            return  # an abort during a stop: the clean-up that is under way is the abort's too
        asked.ending = True
        asked.exit = EXIT_REQUESTS[state]
        self._interrupt()

    def _interrupt(self) -> None:
        """Have the message loop attend to a request, whatever it awaits."""
        self.asked.attention = True
        if self._wake is not None:
            self.end_rest(resumed=False)
        elif self.phase is Phase.MESSAGES and self._task is not None and not self._task.done():
            self._task.cancel()

    def forget_cancellation(self) -> None:
        """Take back the cancellations that have brought a request here."""
        while self.task.uncancel():
            pass

    # -- at rest ------------------------------------------------------------------------------

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Mark the way to rest, the rest and the way back, which no suspension cuts short."""
        self._rests = True
        try:
            yield
        finally:
            self._rests = False
            if self.asked.suspensions and self.asked.exit is None:  # it was about to go on
                self.asked.suspend = self.asked.attention = True

    def rest(self) -> asyncio.Future[bool]:
        """Be at rest; return what is done when the plan is to go on, with whether it is resumed."""
        self._wake = self._core.loop.create_future()
        return self._wake

    def end_rest(self, *, resumed: bool) -> None:
        """Have the plan go on, or end."""
        wake, self._wake = self._wake, None
        if wake is not None and not wake.done():
            wake.set_result(resumed)

    # -- failures -----------------------------------------------------------------------------

    def fail(self, error: BaseException) -> None:
        """Throw ``error`` into the plan at its next message; from any thread."""
        with self._core.states.lock:
            if self.failure is None:
                self.failure = error

    def hear_of_failure(self) -> None:
        """Have the plan fail now, and not when its message is done; one that rests does later."""
        if self._wake is None:
            self._interrupt()

    def fail_status(self, error: BaseException) -> None:
        """Throw a status's failure, which takes the place of what waits to be thrown."""
        with self._core.states.lock:
            self.failure = error

    def take_failure(self) -> BaseException | None:
        """Return what is to be thrown into the plan, which counts as thrown."""
        with self._core.states.lock:
            failure, self.failure = self.failure, None
        return failure

    @property
    def pardons(self) -> bool:
        """Whether nobody minds any more that a status of the plan fails."""
        return self.phase is not Phase.MESSAGES

    # -- for commands -------------------------------------------------------------------------

    @contextmanager
    def waiting_safely(self) -> Iterator[None]:
        """Mark a wait in which a deferred pause may take effect."""
        self.safe_waits += 1
        try:
            yield
        finally:
            self.safe_waits -= 1

    @property
    def went_well(self) -> bool:
        """Whether the plan has completed, or goes on, without having been asked to end."""
        return self.exit_status == "success" and not self.interrupted


def _inform(log: logging.LoggerAdapter[Any], text: str, *args: object) -> None:
    """Log on level ``INFO``; if nobody listens, with one call where an adapter makes four."""
    if log.logger.isEnabledFor(logging.INFO):
        log.info(text, *args)


def plan_name(plan: Any) -> str:
    """Return the name by which a plan is spoken of."""
    name = getattr(plan, "__name__", None)
    if name is None and hasattr(plan, "_iter"):  # bluesky's decorated plans
        name = getattr(plan._iter, "__name__", None)
    return str(name or type(plan).__name__)


def _joined(errors: list[BaseException]) -> BaseException | None:
    if len(errors) > 1:
        return BaseExceptionGroup("the clean-up failed in several places", errors)
    return errors[0] if errors else None
