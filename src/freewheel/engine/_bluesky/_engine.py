"""bluesky's run engine, made so that nothing that is asked of it blocks whoever asks."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import bluesky.run_engine as bluesky_run_engine
from bluesky.run_engine import RunEngineResult, TransitionError, default_scan_id_source
from bluesky.utils import DuringTask, Msg, PlanHalt, single_gen

from freewheel.core import EngineState
from freewheel.engine._pacing import Pace

from ._bundler import LeanRunBundler
from ._cleanup import CleanUp, ExplainedFailedStatus
from ._commands import install_lean_commands
from ._dispatch import FairDispatcher
from ._messages import EXIT_REQUESTS, MessageLoop, start_of
from ._state import StateDescriptor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from freewheel.engine._between import BetweenMessages

__all__ = ["BlueskyEngine", "PlanEnd"]


_ALIASES = (
    "subscribe_lossless",
    "unsubscribe_lossless",
    "_subscribe_lossless",
    "_unsubscribe_lossless",
)


@dataclass(frozen=True)
class PlanEnd:
    """How a plan ended.

    Attributes
    ----------
    result : RunEngineResult
        bluesky's account of it.
    error : BaseException or None
        What the plan failed with; ``None`` for one that completed or was interrupted.
    by_itself : bool
        Whether it completed without having been asked to.
    """

    result: RunEngineResult
    error: BaseException | None = None
    by_itself: bool = True


@dataclass
class PlanStart:
    """What a plan is started with."""

    plan: Any
    subs: dict[str, list[Callable[..., Any]]] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)


class _Flag:
    """What bluesky asks of the event that it tells late statuses with that nobody minds."""

    __slots__ = ("_is_set",)

    def __init__(self) -> None:
        self._is_set = False

    def set(self) -> None:
        self._is_set = True

    def is_set(self) -> bool:
        return self._is_set


class _LoopFacade:
    """Stands for the loop while bluesky's constructor runs.

    That constructor waits for the loop to make an event which this engine does not use; on the
    loop's own thread it would wait for ever. Whatever else it wants is the loop's.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._real = loop

    def call_soon_threadsafe(self, callback: Callable[..., Any], *args: Any) -> None:
        callback(*args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


# bluesky's class is typed in part only, and what is typed there says that its calls wait.
_Base: Any = bluesky_run_engine.RunEngine


class BlueskyEngine(MessageLoop, CleanUp, _Base):  # type: ignore[misc]
    """The core of an engine: it runs one plan at a time on a loop that runs already.

    A plan is begun with `begin`, on the loop's thread; pause, stop, … are requested with
    `request`, from any thread. Subclasses are told by `_plan_paused` and `_plan_finished`.

    Parameters
    ----------
    thread : threading.Thread
        The thread that runs ``loop``.
    loop : asyncio.AbstractEventLoop
        A loop that runs.
    """

    _state = StateDescriptor()
    # bluesky's own, declared again for what freewheel keeps in them.
    _task: asyncio.Task[None] | None
    _exception: BaseException | None
    _deferred_pause_requested: bool
    RunBundler = LeanRunBundler
    #: Messages that are kept for a rewind, at most, where a plan takes no checkpoints.
    max_cached_messages: int = 50_000
    #: Changes that a person wants made between two messages, of an engine that takes them.
    between: BetweenMessages | None = None
    # The user's hooks; an engine without them need not have them itself.
    msg_hook: Callable[[Msg], Any] | None = None
    state_hook: Callable[[str, str], Any] | None = None
    waiting_hook: Callable[[Any], Any] | None = None
    #: The hook of bluesky's coming feature: called with open progress scopes, or ``None``.
    progress_hook: Callable[[Any], Any] | None = None

    def __init__(
        self,
        md: dict[str, Any] | None = None,
        *,
        loop: asyncio.AbstractEventLoop,
        thread: threading.Thread,
        preprocessors: list[Callable[[Any], Any]] | None = None,
        md_validator: Callable[[Any], Any] | None = None,
        md_normalizer: Callable[[Any], Any] | None = None,
        scan_id_source: Callable[[Any], Any] = default_scan_id_source,
        call_returns_result: bool = True,
    ) -> None:
        _construct(
            super().__init__,
            loop,
            thread,
            md=md,
            preprocessors=preprocessors,
            context_managers=[],
            md_validator=md_validator,
            md_normalizer=md_normalizer,
            scan_id_source=scan_id_source,
            during_task=DuringTask(),
            call_returns_result=call_returns_result,
        )
        self._loop = loop
        self._th = thread
        self._thread_ident = thread.ident
        self.pause_msg = ""
        self.dispatcher = FairDispatcher()
        for name in _ALIASES:
            delattr(self, name)  # of the dispatcher that this one replaces

        # Under _state_lock: the state, and what was requested but not yet taken up.
        self.current_state: EngineState = EngineState.IDLE
        self._requests: deque[tuple[str, Any]] = deque()
        # Changes of state to tell of, in their order: appended under _state_lock, told on the loop.
        self._changes: deque[tuple[EngineState, EngineState]] = deque()

        # Of the loop's thread alone, from here on.
        self._attention = False  # a request was applied: attend to it before the next message
        self._exit_request: type[BaseException] | None = None  # thrown into the plan next
        self._suspensions: deque[tuple[Any, ...]] = deque()
        self._cut_short: tuple[Msg, int] | None = None  # message, place of its answer
        self._monitors_rest = False  # monitors are suspended
        # Done when a paused plan is to go on; the result says whether it is resumed.
        self._wake: asyncio.Future[bool] | None = None
        self._rest_asked = self._suspend_asked = False  # what to attend to
        self._plan_value: Any = None
        self._last_value: Any = None  # of the plan of the stack that completed last
        self._in_clean_up = False
        self._hurry = False  # a halt came during the clean-up
        self._ended = self._exit_asked = False
        self._plan_end: PlanEnd | None = None
        self._mishaps: list[BaseException] = []  # of the clean-up, for the result
        self._warned_of_cache = False
        self.plan_name = ""
        self.end_callbacks: list[Callable[[], None]] = []  # called when a plan has ended
        # Called with the statuses that the plan waits for, and with None when it does no more.
        self.waiting_observers: list[Callable[[Any], None]] = []
        self.waits_safely = 0  # commands under way in which a deferred pause may take effect
        self._waiting_commands: set[str] = set()
        self._uncacheable = frozenset(self._UNCACHEABLE_COMMANDS)
        # Documents from other threads: appended by those, emitted on the loop's.
        self._foreign_documents: deque[tuple[Any, Any]] = deque()
        install_lean_commands(self)
        self.register_waiting_command("pace", Pace(self))

    # -- commands -----------------------------------------------------------------------------

    def register_waiting_command(self, name: str, func: Callable[[Msg], Any]) -> None:
        """Register a command that waits for something outside of the plan.

        A rewind does not repeat it once it was answered; when a pause cuts it short, the resume
        asks it again.
        """
        self._waiting_commands.add(name)
        self._uncacheable = self._uncacheable | {name}
        self.register_command(name, func)

    def register_unrepeated_command(self, name: str, func: Callable[[Msg], Any]) -> None:
        """Register a command that a rewind does not repeat."""
        self._uncacheable = self._uncacheable | {name}
        self.register_command(name, func)

    def add_passing_status(self, obj: Any, status: Any, group: Any, action: str) -> None:
        """Add a status to a group, and drop it when it succeeds, for nobody may wait for it."""
        if status.done and status.success:
            return
        before = set(self._groups[group])
        self._add_status_to_group(obj=obj, status_object=status, group=group, action=action)
        (factory,) = self._groups[group] - before
        status.add_callback(lambda _: self.call_on_loop(self._drop_status, group, factory, status))

    def _drop_status(self, group: Any, factory: Any, status: Any) -> None:
        if not status.success or factory not in self._groups.get(group, ()):
            return
        self._groups[group].discard(factory)
        self._status_objs[group].discard(status)
        if not self._groups[group]:
            del self._groups[group]
            del self._status_objs[group]

    def note_device(self, obj: Any) -> None:
        """Have an object told of pauses, as one that a message was about. On the loop's thread."""
        self._objs_seen.add(obj)

    def pause_at_checkpoint(self) -> bool:
        """Pause now, if a deferred pause was requested. On the loop's thread, by a command.

        Returns
        -------
        bool
            Whether the plan is paused before its next message.
        """
        if not self._deferred_pause_requested:
            return False
        with self._state_lock:
            if self._state != "running":
                return False
            self._set_state_locked("pausing")
            self._deferred_pause_requested = False
            self._interrupted = self._rest_asked = self._attention = True
        self.announce_states()
        return True

    def _call_waiting_hook(self, *args: Any, **kwargs: Any) -> None:
        super()._call_waiting_hook(*args, **kwargs)
        for observer in self.waiting_observers:
            observer(*args)

    @property
    def went_well(self) -> bool:
        """Whether the plan has completed, or goes on, without having been asked to end."""
        return bool(self._exit_status == "success") and not self._interrupted

    def is_between_messages(self) -> bool:
        """Tell whether no message is under way, or one that may be taken for none."""
        return self.current_state in ("idle", "paused") or self.waits_safely > 0

    def attend_before_next_message(self) -> None:
        """Have the message loop see to changes that are to be made. On the loop's thread."""
        if self.current_state != "idle":
            self._attention = True

    async def _checkpoint(self, msg: Msg) -> None:
        requested, self._deferred_pause_requested = self._deferred_pause_requested, False
        try:
            await super()._checkpoint(msg)
        finally:
            self._deferred_pause_requested = requested
        self.pause_at_checkpoint()

    async def _close_run(self, msg: Msg) -> Any:
        """Close a run: ``Msg("close_run", None, exit_status=None, reason=None)``."""
        answer = await super()._close_run(msg)
        self._forget_run(msg.run)
        return answer

    async def _wait_for(self, msg: Msg) -> list[asyncio.Future[Any]]:
        """Wait for what the factories in the message give; the futures are the answer.

        The tasks that it makes itself of coroutines do not outlive it.
        """
        (factories,) = msg.args
        given = [factory() for factory in factories]
        futures = [asyncio.ensure_future(each) for each in given]
        own = [future for each, future in zip(given, futures, strict=True) if future is not each]
        try:
            _, pending = await asyncio.wait(futures, **msg.kwargs)
        except asyncio.CancelledError:
            _cancel(own)
            raise
        if pending:
            _cancel(own)
            raise bluesky_run_engine.WaitForTimeoutError(
                "Plan failed to complete in the specified time"
            )
        return futures

    async def _pause(self, msg: Msg) -> None:
        """Pause at once, or at the next checkpoint: ``Msg("pause", None, defer)``."""
        await self._request_pause_coro(*msg.args, **msg.kwargs)

    async def _request_pause_coro(self, defer: bool = False) -> None:
        """Pause from the engine's own thread: what the ``pause`` message does."""
        if defer:
            self.request("pause", True)
            return
        with self._state_lock:
            if self._exit_asked:
                raise TransitionError(
                    f"The plan {self.plan_name!r} cannot be paused while the engine is "
                    f"{str(self._state)!r}."
                )
            if not self._state.can_pause:
                return  # another thread has asked for a pause or an end, which is on its way
            self._deferred_pause_requested = False
            self._set_state_locked("pausing")
            self._interrupted = self._rest_asked = self._attention = True
        self.announce_states()

    def _status_object_completed(
        self, ret: Any, fut: asyncio.Future[None], pardon_failures: asyncio.Event
    ) -> None:
        if ret.success or pardon_failures.is_set():
            if not fut.done():
                fut.set_result(None)
            return
        failure = ExplainedFailedStatus(ret)
        failure.__cause__ = ret.exception(timeout=0)
        with self._state_lock:
            self._exception = failure
        if not fut.done():
            fut.set_exception(failure)
            fut.exception()  # retrieved: it need not be waited for

    # -- state --------------------------------------------------------------------------------

    def set_state(self, name: str) -> None:
        """Change the state, from any thread.

        Raises
        ------
        TransitionError
            If ``name`` may not follow the present state.
        """
        with self._state_lock:
            self._set_state_locked(name)
        self.announce_states()

    def _set_state_locked(self, name: str) -> None:
        """Change the state. The caller holds _state_lock, and calls `announce_states` after it."""
        old = self.current_state
        new = old.after(name)
        self.current_state = new
        self._changes.append((new, old))

    def announce_states(self) -> None:
        """Tell of the changes of state, in their order, on the loop's thread."""
        if threading.get_ident() != self._thread_ident:
            self.call_on_loop(self.announce_states)
            return
        while self._changes:
            new, old = self._changes.popleft()
            self._state_changed(new, old)

    def _state_changed(self, new: EngineState, old: EngineState) -> None:
        bluesky_run_engine.state_logger.info(
            "Change state on %r from %r -> %r",
            self,
            old,
            new,
            extra={"old_state": old, "new_state": new, "RE": self},
        )
        if self.state_hook is not None:
            try:
                self.state_hook(new, old)
            except BaseException:
                self.log.exception("state_hook raised for %r -> %r.", str(old), str(new))

    def call_on_loop(self, callback: Callable[..., Any], *args: Any) -> None:
        """Call ``callback`` on the loop's thread soon; from any thread."""
        self._loop.call_soon_threadsafe(callback, *args)

    def on_loop_thread(self) -> bool:
        """Tell whether the caller runs on the loop's thread."""
        return threading.get_ident() == self._thread_ident

    # -- requests -----------------------------------------------------------------------------

    def request(self, kind: str, argument: Any = None) -> None:
        """Ask for a pause, a resumption or an end of the plan; from any thread, at once.

        Parameters
        ----------
        kind : {"pause", "suspend", "resume", "stop", "abort", "halt"}
        argument : object
            For a pause whether it is deferred, for an abort the reason.

        Raises
        ------
        TransitionError
            If the state does not allow it.
        """
        with self._state_lock:
            changed = getattr(self, f"_admit_{kind}")(argument)
            if changed:
                self._requests.append((kind, argument))
        if changed:
            self.call_on_loop(self._apply_requests)

    def _admit_pause(self, defer: bool) -> bool:
        if not self._state.can_pause:
            raise TransitionError(
                f"The engine is {str(self._state)!r}: there is no running plan that could be "
                "paused."
            )
        if not defer:
            self._set_state_locked("pausing")
        return True

    def _admit_suspend(self, argument: Any) -> bool:
        if self._state == "running":
            self._set_state_locked("suspending")
        return self._state in ("suspending", "pausing", "paused")

    def _admit_resume(self, argument: Any) -> bool:
        if self._state != "paused":
            raise TransitionError(
                f"The engine is {str(self._state)!r}: there is no paused plan that could be "
                "resumed."
            )
        self._set_state_locked("running")
        return True

    def _admit_stop(self, argument: Any) -> bool:
        return self._admit_end("stopping", ("stopping", "aborting", "halting"))

    def _admit_abort(self, argument: Any) -> bool:
        return self._admit_end("aborting", ("aborting", "halting"))

    def _admit_halt(self, argument: Any) -> bool:
        self._admit_end("halting", ("halting",))
        return True  # a second halt cuts short what the first one still waits for

    def _admit_end(self, state: str, joined: tuple[str, ...]) -> bool:
        if self._state in ("idle", "panicked"):
            raise TransitionError(f"RunEngine is already {self._state}: no plan is running.")
        if self._state in joined:
            return False
        self._set_state_locked(state)
        return True

    def _apply_requests(self) -> None:
        """Take up what was requested. On the loop's thread, between two of the task's steps."""
        while self._requests:
            kind, argument = self._requests.popleft()
            getattr(self, f"_apply_{kind}")(argument)
        self.announce_states()

    def _apply_pause(self, defer: bool) -> None:
        if self._in_clean_up:
            return  # the plan has ended by itself first
        if defer and not self.waits_safely:
            self._deferred_pause_requested = True
            return
        with self._state_lock:
            if defer and self._state == "running":
                self._set_state_locked("pausing")
            if self._state != "pausing":
                return  # an end was requested meanwhile
        self._deferred_pause_requested = False
        self._interrupted = self._rest_asked = True
        self._interrupt()

    def _apply_suspend(self, suspension: tuple[Any, ...]) -> None:
        self._suspensions.append(suspension)
        if self._wake is None:  # a paused plan is suspended when it is resumed
            self._suspend_asked = True
            self._interrupt()

    def _apply_resume(self, argument: Any) -> None:
        self._wake_up(resumed=True)

    def _apply_stop(self, argument: Any) -> None:
        if not self._in_clean_up:
            self._apply_end("stopping")

    def _apply_abort(self, reason: str) -> None:
        if not self._in_clean_up:
            self._reason = reason
            self._exit_status = "abort"
            self._apply_end("aborting")

    def _apply_halt(self, argument: Any) -> None:
        if not self._in_clean_up:
            self._exit_status = "abort"
            self._apply_end("halting")
        elif not self._ended and self._task is not None:
            self._hurry = self._interrupted = True
            self._exit_status = "abort"
            self._task.cancel()

    def _apply_end(self, state: str) -> None:
        self._interrupted = True
        if self._state != state:
            return  # a stronger request follows
        if self._exit_asked and state != "halting":
            return  # an abort during a stop: the clean-up that is under way is the abort's too
        self._exit_asked = True
        self._exit_request = EXIT_REQUESTS[state]
        self._interrupt()

    def _interrupt(self) -> None:
        """Have the message loop attend to a request, whatever it awaits."""
        self._attention = True
        if self._wake is not None:
            self._wake_up(resumed=False)
        elif self._task is not None and not self._in_clean_up and not self._task.done():
            self._task.cancel()

    def _wake_up(self, *, resumed: bool) -> None:
        wake, self._wake = self._wake, None
        if wake is not None and not wake.done():
            wake.set_result(resumed)

    def request_suspend(
        self,
        fut: Callable[[], Any],
        *,
        pre_plan: Any = None,
        post_plan: Any = None,
        justification: str | None = None,
    ) -> None:
        """Suspend the running plan until ``fut`` is done; from any thread, without waiting.

        See ``bluesky.run_engine.RunEngine.request_suspend`` for the parameters.
        """
        self.log.warning(
            "Suspending the plan %r%s",
            self.plan_name,
            f": {justification}" if justification else ".",
        )
        self.request("suspend", (pre_plan, post_plan, justification, fut))

    # -- the life of a plan -------------------------------------------------------------------

    def _clear_call_cache(self) -> None:
        super()._clear_call_cache()
        # What is hardly ever filled is small: there may be hundreds of engines, and an empty
        # deque has 0.7 kB, an event one inside.
        self._plan_stack, self._response_stack = [], []
        self._msg_cache = []
        self._pardon_failures = _Flag()

    def begin(self, start: PlanStart) -> None:
        """Begin a plan. On the loop's thread; the state is ``"running"`` or more already."""
        self._clear_call_cache()
        self._clear_run_cache()
        # A request that came already is applied after this.
        self._attention = self.between is not None and self.between.pending
        self._exit_request = None
        self._exit_asked = self._ended = False
        self._suspensions.clear()
        self._monitors_rest = False
        self._cut_short = self._wake = None
        self._rest_asked = self._suspend_asked = False
        self._plan_value = self.NO_PLAN_RETURN
        self._in_clean_up = self._hurry = self._warned_of_cache = False
        self._mishaps = []
        self.waits_safely = 0
        self._plan = start.plan
        self.plan_name = plan_name(start.plan)
        self._metadata_per_call.update(start.metadata)
        task = self._loop.create_task(self._run_plan(start), name=f"plan {self.plan_name}")
        task.add_done_callback(self._task_done)

    async def _run_plan(self, start: PlanStart) -> None:
        """Run a plan from its start to the end of its clean-up; `_plan_end` says how it went."""
        self._task = asyncio.current_task()
        error: BaseException | None = None
        reason = ""
        try:
            await self._prepare_plan(start)
            self._plan_value = await self._process_messages()
        except BaseException as raised:
            error, reason = self._judge(raised)
        self._in_clean_up = True
        for callback in self.end_callbacks:
            callback()
        await self._clean_up(reason or self._reason)
        failure = await self._settle_documents()
        if error is None:
            error = failure
        self._ended = True
        self._plan_end = self._make_end(error)
        if isinstance(error, asyncio.CancelledError):
            raise error  # somebody cancelled the task itself: it is to say so, as in bluesky

    async def _prepare_plan(self, start: PlanStart) -> None:
        for name, funcs in start.subs.items():
            for func in funcs:
                self._temp_callback_ids.add(self.subscribe(func, name))
        self._plan_stack.append(start_of(start.plan, self.preprocessors))
        self._response_stack.append(None)
        if self.suspenders:
            await self._wait_for_suspenders()
        self.log.info("Executing plan %r", self._plan)

    async def _wait_for_suspenders(self) -> None:
        futures: list[Any] = []
        for suspender in self.suspenders:
            # Off the loop: a suspender may wait for the loop to make its event.
            waits, justification = await asyncio.to_thread(suspender.get_futures)
            if waits:
                futures.extend(waits)
                self.log.warning("The plan %r waits: %s", self.plan_name, justification)
        if futures:
            self._plan_stack.append(single_gen(Msg("wait_for", None, futures)))
            self._response_stack.append(None)

    def _judge(self, raised: BaseException) -> tuple[BaseException | None, str]:
        """Turn what left the plan into an exit status; return the plan's failure and reason."""
        if isinstance(raised, bluesky_run_engine.RequestStop):
            if self._exit_status != "abort":
                self._exit_status = "success"
            return None, ""
        aborts = (
            bluesky_run_engine.FailedPause,
            bluesky_run_engine.RequestAbort,
            asyncio.CancelledError,
            PlanHalt,
        )
        self._exit_status = "abort" if isinstance(raised, aborts) else "fail"
        if isinstance(raised, asyncio.CancelledError):
            return raised, ""
        if isinstance(raised, aborts):
            self.log.info("Plan %r was ended: %s", self.plan_name, type(raised).__name__)
            return None, ""
        self.log.error("Run aborted", exc_info=raised)
        if isinstance(raised, GeneratorExit):
            error = ValueError(f"The plan {self.plan_name!r} raised {raised!r}.")
            error.__cause__ = raised
            return error, str(raised)
        return raised, str(raised)

    async def _settle_documents(self) -> BaseException | None:
        """Wait until every document has been delivered; return the first failure. A hook."""
        return None

    def _make_end(self, error: BaseException | None) -> PlanEnd:
        if isinstance(error, asyncio.CancelledError):
            error = None
        if error is not None:
            for mishap in self._mishaps:
                error.add_note(f"Besides: {mishap!r}")
        in_result: Any = error if error is not None else _joined(self._mishaps)
        result = RunEngineResult(
            tuple(self._run_start_uids),
            self._plan_value,
            self._exit_status if error is None else "fail",
            self._interrupted,
            self._reason,
            in_result,
        )
        by_itself = error is None and not self._interrupted and self._exit_status == "success"
        return PlanEnd(result, error, by_itself)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        end, self._plan_end = self._plan_end, None
        if not task.cancelled() and (error := task.exception()) is not None:
            # A fault of the engine's own. The plan's future must tell of it all the same.
            self.log.error("Failed to end plan %r properly.", self.plan_name, exc_info=error)
            end = end or self._make_end(error)
        self.log.info("Cleaned up from plan %r", self._plan)
        self._plan_finished(end or self._make_end(None))

    def _plan_paused(self) -> None:
        """Tell that the plan has come to rest. A hook, called on the loop's thread."""

    def _plan_finished(self, end: PlanEnd) -> None:
        """Tell that the plan has ended and is cleaned up. A hook, called on the loop's thread."""
        self.set_state("idle")

    # -- documents ----------------------------------------------------------------------------

    def subscribe_lossless(self, func: Callable[..., Any], name: str = "all") -> Any:
        """Subscribe, as bluesky's old name for it has it."""
        return self.dispatcher.subscribe(func, name)

    def unsubscribe_lossless(self, token: Any) -> None:
        """Unsubscribe, as bluesky's old name for it has it."""
        self.dispatcher.unsubscribe(token)

    _subscribe_lossless = subscribe_lossless
    _unsubscribe_lossless = unsubscribe_lossless

    def emit_sync(self, name: Any, doc: Any) -> None:
        """Emit a document to the subscribers; on the loop's thread, whoever calls."""
        if threading.get_ident() != self._thread_ident:
            self._foreign_documents.append((name, doc))
            self.call_on_loop(self._emit_foreign)
            return
        if self._foreign_documents:
            self._emit_foreign()
        self.dispatcher.process(name, doc)

    def _emit_foreign(self) -> None:
        """Emit what other threads left, before anything newer. A failure is the plan's."""
        while self._foreign_documents:
            name, doc = self._foreign_documents.popleft()
            try:
                self.dispatcher.process(name, doc)
            except BaseException as error:
                self.fail_plan(error)

    def fail_plan(self, error: BaseException) -> None:
        """Throw ``error`` into the plan at its next message; from any thread."""
        with self._state_lock:
            if self._exception is None:
                self._exception = error
        self.log.error("Failure from outside of plan %r: %r", self.plan_name, error)


def _cancel(futures: Iterable[asyncio.Future[Any]]) -> None:
    for future in futures:
        future.cancel()


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


def loop_threads() -> Any:
    """Return bluesky's mapping of the loops that run to their threads."""
    ensure: Any = bluesky_run_engine._ensure_event_loop_running
    return ensure.loop_to_thread


def _construct(
    init: Callable[..., None],
    loop: asyncio.AbstractEventLoop,
    thread: threading.Thread,
    **kwargs: Any,
) -> None:
    """Call bluesky's constructor so that it neither waits for the loop nor starts a thread."""
    threads = loop_threads()
    facade = _LoopFacade(loop)
    threads[facade] = threads[loop] = thread
    previous = bluesky_run_engine.get_bluesky_event_loop()
    try:
        init(loop=facade, **kwargs)
    finally:
        if bluesky_run_engine.get_bluesky_event_loop() is facade:
            bluesky_run_engine.set_bluesky_event_loop(previous)
