"""The run engine whose calls return futures."""

from __future__ import annotations

import inspect
import logging
import os
import time
import warnings
import weakref
from collections import deque
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import bluesky.run_engine
from bluesky.run_engine import RunEngineResult, default_scan_id_source

from freewheel.core import (
    EngineClosedError,
    EngineFuture,
    EngineSnapshot,
    EngineState,
    ForkedProcessError,
)
from freewheel.core._crossings import run_soon

from ._actions import ActionBoard, WaitForActions
from ._background import ForegroundClaims, add_task_commands, make_background, make_services
from ._between import BetweenMessages
from ._bluesky import OwningEngine, PlanEnd, loop_threads
from ._caches import ClearCache, Stash
from ._calls import Call, check_plan
from ._delivery import DELIVERIES, Delivery
from ._events import EngineEvents, emit_safely
from ._lifetime import close_at_exit, release_loop
from ._loop_thread import LoopThread, new_event_loop
from ._progress import ProgressBoard

if TYPE_CHECKING:
    import asyncio
    import threading
    from collections.abc import Awaitable, Callable, Mapping
    from types import ModuleType, TracebackType
    from typing import Self

    from bluesky.utils import Msg

    from freewheel.background import BackgroundTask
    from freewheel.core import SRLatch

    from ._futures import PlanFuture

__all__ = ["RunEngine", "register_bound_command"]

_log = logging.getLogger("freewheel")


class RunEngine(OwningEngine):
    """A Bluesky run engine that never blocks.

    Parameters
    ----------
    md : dict, optional
        Metadata for every run.
    loop : asyncio.AbstractEventLoop, optional
        A loop that does not run; by default one of the engine's own, uvloop's where that is
        installed. It runs on a thread named ``bluesky-run-engine``. The loop of another engine
        will do too.
    preprocessors : list of callable, optional
        Functions that take a plan and return one; ``[f, g]`` are applied as bluesky applies them.
    md_validator, md_normalizer : callable, optional
        As in bluesky.
    scan_id_source : callable, optional
        Function of the metadata that gives the next scan id.
    call_returns_result : bool, default: True
        Whether futures end with a ``RunEngineResult`` or with the uids of the plan's runs.

    Attributes
    ----------
    events : EngineEvents
        psygnal signals.
    background : Background
        What runs beside the foreground plan: tasks by name, ``launch``, ``pending``, ``on_merge``.
    claims : ClaimsLedger
        Who holds which device.
    services : ServiceKeeper
        What runs for as long as the engine does; see `adopt`.

    Notes
    -----
    Every method may be called from every thread, and none waits for the engine's loop, except
    `close` and `reset`.
    """

    between: BetweenMessages

    def __init__(
        self,
        md: dict[str, Any] | None = None,
        *,
        loop: asyncio.AbstractEventLoop | None = None,
        preprocessors: list[Callable[[Any], Any]] | None = None,
        md_validator: Callable[[Any], Any] | None = None,
        md_normalizer: Callable[[Any], Any] | None = None,
        scan_id_source: Callable[[Any], Any] = default_scan_id_source,
        call_returns_result: bool = True,
    ) -> None:
        self._pid = os.getpid()
        own_loop = loop is None
        loop = new_event_loop() if loop is None else loop
        self._loop_thread, thread = _thread_for(loop)
        super().__init__(
            md,
            loop=loop,
            thread=thread,
            preprocessors=preprocessors,
            md_validator=md_validator,
            md_normalizer=md_normalizer,
            scan_id_source=scan_id_source,
            call_returns_result=call_returns_result,
        )
        bluesky.run_engine.set_bluesky_event_loop(loop)
        self.between = BetweenMessages(self, thread)
        self.events = EngineEvents()
        # Under _state_lock. Invariant: whoever takes _call from None to a call has the engine, and
        # the state is "idle" exactly while it is None.
        self._call: Call | None = None
        self._queue: deque[Call] = deque()
        self._closed = False
        # Changed under _state_lock; the loop reads a copy, or nothing while it is empty.
        self._deliveries: dict[int, Delivery] = {}
        self.board = ActionBoard(self._actions_changed)
        # Replaced as a whole, on registration, and read by child engines on the loop.
        self.extra_commands: Mapping[str, Any] = MappingProxyType({})
        self._register_commands()
        self._add_background()
        self._own_loop = own_loop
        self._release: Callable[[], object] | None = None
        if self._loop_thread is not None:
            finalizer = weakref.finalize(
                self, release_loop, self._loop_thread, self._deliveries, close=own_loop
            )
            finalizer.atexit = False
            self._release = finalizer.detach
        close_at_exit(self)

    def _register_commands(self) -> None:
        self.register_waiting_command("wait_for_actions", WaitForActions(self, self.board))
        self.register_unrepeated_command("stash", Stash(self))
        self.register_unrepeated_command("clear_cache", ClearCache(self))
        self.progress = ProgressBoard(self)

    def _add_background(self) -> None:
        self.background = make_background(self)
        self.claims = self.background.claims
        self.services = make_services(self)
        tasks = add_task_commands(self, self.background)
        self.plan_tasks = tasks
        # From here on children take over what is registered.
        self._foreground_claims = ForegroundClaims(self, self.background, tasks)
        self.services.adopt_marked()

    @property
    def loop_thread(self) -> threading.Thread:
        """The thread that runs the engine's loop."""
        return self._th

    def register_command(self, name: str, func: Callable[[Msg], Any]) -> None:
        """Register a command, for this engine's plans and for background plans.

        Parameters
        ----------
        name : str
            What a message asks for it by.
        func : callable
            A coroutine function of the message.
        """
        claims = vars(self).get("_foreground_claims")
        if claims is None:
            super().register_command(name, func)
            return
        super().register_command(name, claims.replaced(name, func))
        self.extra_commands = MappingProxyType({**self.extra_commands, name: func})

    def unregister_command(self, name: str) -> None:
        """Forget a command, for this engine's plans and for background plans."""
        super().unregister_command(name)
        self.extra_commands = MappingProxyType(
            {known: func for known, func in self.extra_commands.items() if known != name}
        )

    # -- running plans ------------------------------------------------------------------------

    def __call__(self, plan: Any, subs: Any = None, /, **metadata_kw: Any) -> PlanFuture:
        """Start a plan, or queue it while another one runs; return at once.

        Parameters
        ----------
        plan : generator, iterable of Msg or PlanCall
            The plan; of a `PlanCall` a new one is made.
        subs : callable, list or dict, optional
            Subscribers of this plan's documents alone.
        **metadata_kw
            Metadata for the plan's runs.

        Returns
        -------
        PlanFuture
            Done when the plan has ended and is cleaned up, or is paused.

        Raises
        ------
        TypeError
            For something that is no plan.
        EngineClosedError, ForkedProcessError
            If this engine cannot run anything any more.
        """
        self.check_ready()
        if "raise_if_interrupted" in metadata_kw:
            warnings.warn(
                "'raise_if_interrupted' is taken as metadata, as every keyword argument is: a plan "
                "that is interrupted always ends its future with RunEngineInterrupted.",
                stacklevel=2,
            )
        if self.max_depth is not None:
            self._check_depth(self.max_depth)
        call = Call.make(plan, subs, metadata_kw, self._th)
        with self._state_lock:
            self._check_usable()
            if self._call is None and self._state == "idle":
                self._claim_locked(call)
            else:
                call.make_withdrawable(lambda: self._withdraw(call))
                self._queue.append(call)
        return call.future

    def _claim_locked(self, call: Call) -> None:
        """Give the engine to a call. With _state_lock held, and nothing running."""
        self._call = call
        call.claim(self._state_text)
        call.future.follow(self.progress.foreground.picture)
        self._requests.clear()
        self._set_state_locked("running")
        self.call_on_loop(self._start, call)

    def _state_text(self) -> str:
        return str(self._state)

    def _start(self, call: Call) -> None:
        self.announce_states()
        try:
            check_plan(call.start.plan)  # it may have been run by an earlier call meanwhile
            self.begin(call.start)
        except BaseException as error:
            self._plan_finished(PlanEnd(self._failed_result(error), error, by_itself=False))
            return
        emit_safely(self.events.plan_started, call.future)

    def _failed_result(self, error: BaseException) -> RunEngineResult:
        failure: Any = error
        return RunEngineResult((), self.NO_PLAN_RETURN, "fail", False, str(error), failure)

    def _check_depth(self, allowed: int) -> None:
        depth = len(inspect.stack()) - 2
        if depth > allowed:
            raise RuntimeError(
                bluesky.run_engine.MAX_DEPTH_EXCEEDED_ERR_MSG.format(self.max_depth, depth)
            )

    def _withdraw(self, call: Call) -> bool:
        with self._state_lock:
            if call not in self._queue:
                return False
            self._queue.remove(call)
        call.cancel()
        return True

    @property
    def queued(self) -> tuple[PlanFuture, ...]:
        """The calls that wait for their turn, in order."""
        with self._state_lock:
            return tuple(call.future for call in self._queue)

    @property
    def current(self) -> PlanFuture | None:
        """The future of the plan in the foreground, or ``None``."""
        with self._state_lock:
            return None if self._call is None else self._call.future

    # -- control ------------------------------------------------------------------------------

    def request_pause(self, defer: bool = False) -> EngineFuture[None]:
        """Pause the plan, or with ``defer`` at its next checkpoint.

        Returns
        -------
        EngineFuture of None
            Done when the plan is paused or has ended; with ``defer`` at once.

        Raises
        ------
        TransitionError
            If there is no running plan.
        """
        self._check_usable()
        with self._state_lock:
            future: EngineFuture[None] = self._future("the pause")
            self.request("pause", defer)
            if not defer and self._call is not None:
                self._call.pauses.append(future)
        if defer:
            future.settle(None)
        return future

    def resume(self) -> PlanFuture:
        """Resume the paused plan from its last checkpoint.

        Returns
        -------
        PlanFuture
            A new future with the same ``outcome``.

        Raises
        ------
        TransitionError
            If no plan is paused.
        """
        self._check_usable()
        with self._state_lock:
            self.request("resume")
            assert self._call is not None
            return self._call.renew()

    def stop(self) -> EngineFuture[Any]:
        """Stop the plan, with its clean-up, and mark it as successful.

        The plans that wait in the queue are cancelled.

        Returns
        -------
        EngineFuture
            Done when the clean-up is over, with what the plan's call returns; with the plan's
            exception, if it failed in its clean-up.

        Raises
        ------
        TransitionError
            If the engine is idle.
        """
        return self.request_end("stop")

    def abort(self, reason: str = "") -> EngineFuture[Any]:
        """Stop the plan, with its clean-up, and mark it as aborted; otherwise as `stop`.

        Parameters
        ----------
        reason : str, optional
            For the stop document.
        """
        return self.request_end("abort", reason)

    def halt(self) -> EngineFuture[Any]:
        """End the plan without its own clean-up; otherwise as `stop`.

        The engine still stops and unstages the devices; a second call cuts short what hangs there.
        """
        return self.request_end("halt")

    def request_end(self, kind: str, argument: Any = None) -> EngineFuture[Any]:
        """Request a ``"stop"``, ``"abort"`` or ``"halt"``; what those methods do.

        For use inside of freewheel: subclasses may make the methods themselves wait.
        """
        self._check_usable()
        with self._state_lock:
            future: EngineFuture[Any] = self._future(f"the {kind}")
            self.request(kind, argument)
            if self._call is not None:
                self._call.ends.append(future)
            waiting = self._empty_queue_locked()
        self._cancel_waiting(waiting, f"a {kind} was requested")
        return future

    def _future(self, what: str) -> EngineFuture[Any]:
        future: EngineFuture[Any] = EngineFuture(what, self._th)
        future.set_running_or_notify_cancel()
        return future

    def _empty_queue_locked(self) -> list[Call]:
        waiting = list(self._queue)
        self._queue.clear()
        return waiting

    def _cancel_waiting(self, waiting: list[Call], why: str) -> None:
        if waiting:
            _log.warning(
                "%d queued plan(s) cancelled because %s: %s.",
                len(waiting),
                why,
                ", ".join(call.name for call in waiting),
            )
        for call in waiting:
            call.cancel()

    def reset(self) -> None:
        """Halt what runs, wait for that, and forget subscriptions and caches."""
        if self._state != "idle":
            RunEngine.halt(self).exception()
        for token in list(self._deliveries):
            self.unsubscribe(token)
        super().reset()

    # -- what the core tells ------------------------------------------------------------------

    def _plan_paused(self) -> None:
        with self._state_lock:
            call = self._call
            assert call is not None
            pauses, call.pauses = call.pauses, []
            future = call.future
        future.settle(error=bluesky.run_engine.RunEngineInterrupted(self.pause_msg))
        for pause in pauses:
            pause.settle(None)

    def _plan_finished(self, end: PlanEnd) -> None:
        with self._state_lock:
            call, self._call = self._call, None
            assert call is not None
            halted = self._state == EngineState.HALTING
            cancelled: list[Call] = []
            if end.by_itself is False and not call.ends:
                cancelled = self._empty_queue_locked()
            if self._state != "panicked":
                self._set_state_locked("idle")
                if self._queue and not self._closed:
                    self._claim_locked(self._queue.popleft())
        self._cancel_waiting(cancelled, f"plan {call.name!r} {_how(end)}")
        self.announce_states()
        self.between.kick()
        value = end.result if self._call_returns_result else end.result.run_start_uids
        call.settle(end.result, end.error, value, self.pause_msg, halted=halted)
        emit_safely(self.events.plan_ended, call.future)

    def _state_changed(self, new: EngineState, old: EngineState) -> None:
        super()._state_changed(new, old)
        emit_safely(self.events.state_changed, str(new), str(old))

    def _actions_changed(self, names: frozenset[str]) -> None:
        if self.on_loop_thread():
            emit_safely(self.events.actions_changed, names)
        else:
            self.call_on_loop(emit_safely, self.events.actions_changed, names)

    # -- actions ------------------------------------------------------------------------------

    @property
    def pending_actions(self) -> Mapping[str, SRLatch]:
        """The actions that plans wait for at this moment: name to latch."""
        return self.board.pending()

    def trigger_action(self, name: str) -> None:
        """Set the latch of an action on offer.

        Raises
        ------
        KeyError
            If no plan waits for it.
        """
        self.board.change(name, True)

    def release_action(self, name: str) -> None:
        """Reset the latch of an action on offer; otherwise as `trigger_action`."""
        self.board.change(name, False)

    # -- changes ------------------------------------------------------------------------------

    def between_messages(self, function: Callable[[], Any]) -> EngineFuture[Any]:
        """Have something done on the engine's loop between two messages of the running plan.

        Without a running plan, while it is paused, and while it waits for an action, it is done
        at once. A safe way to change the exposure time of a live view::

            RE.between_messages(lambda: camera.exposure.set(0.1))

        Parameters
        ----------
        function : callable
            A function or coroutine function without arguments. What it returns is awaited if it
            can be; the plan waits for that. A function that blocks holds up the whole engine.

        Returns
        -------
        EngineFuture
            Done with what it returned, or raised: which does not reach the plan. `cancel` takes
            it back if it has not begun. A stop, an abort or a halt does not wait for it.

        Raises
        ------
        TypeError
            For something that cannot be called without arguments.
        EngineClosedError, ForkedProcessError
            If this engine cannot do anything any more.
        """
        self._check_usable()
        return self.between.put(function)

    # -- services ---------------------------------------------------------------------------------

    def adopt(
        self, payload: Any, *args: Any, flavour: str | ModuleType | None = None, **kwargs: Any
    ) -> BackgroundTask:
        """Run a service for as long as the engine lives, such as a watchdog; without waiting.

        If it returns or raises, the running plan is aborted with the reason, and further plans
        are refused with `ServiceFailedError` until it is adopted again. See
        `freewheel.background.ServiceKeeper.adopt`.
        """
        self._check_usable()
        return self.services.adopt(payload, *args, flavour=flavour, **kwargs)

    def execute(
        self, payload: Any, *args: Any, flavour: str | ModuleType | None = None, **kwargs: Any
    ) -> Any:
        """Run a plan, coroutine function or function in the background, and return its value.

        This waits. See `freewheel.background.ServiceKeeper.execute`.
        """
        self._check_usable()
        return self.services.execute(payload, *args, flavour=flavour, **kwargs)

    # -- documents ----------------------------------------------------------------------------

    def subscribe(
        self,
        func: Callable[[str, Any], Any],
        name: str = "all",
        delivery: Literal["inline", "queued", "latest"] = "inline",
    ) -> int:
        """Have a function called with the documents.

        Parameters
        ----------
        func : callable
            ``func(name, doc)``.
        name : str, default: "all"
            The kind of documents.
        delivery : {"inline", "queued", "latest"}
            ``inline``: on the engine's thread, which waits for it, as in bluesky. ``queued``: on a
            thread of its own, in order and without loss; the plan's future waits until all is
            delivered, and fails with the first exception. ``latest``: on a thread of its own, but
            of events that pile up only the newest of each stream; for displays.

        Returns
        -------
        int
            A token for `unsubscribe`.
        """
        if delivery == "inline":
            token: int = self.dispatcher.subscribe(func, name)
            return token
        if delivery not in DELIVERIES:
            raise ValueError(
                f'delivery is "inline", "queued" or "latest", not {delivery!r} (for {func!r}).'
            )
        if not callable(func):
            raise TypeError(f"{func!r} is no function that could take documents.")
        made = DELIVERIES[delivery](func, weakref.WeakMethod(self._delivery_failed))
        token = self.dispatcher.subscribe(made.put, name)
        with self._state_lock:
            self._deliveries[token] = made
        return token

    def unsubscribe(self, token: int) -> None:
        """Undo a subscription; what waits for its own thread is still delivered."""
        self.dispatcher.unsubscribe(token)
        with self._state_lock:
            delivery = self._deliveries.pop(token, None)
        if delivery is not None:
            delivery.close()

    def _delivery_failed(self, error: BaseException) -> None:
        # A look without the lock: a plan that ends just now is failed when its documents settle.
        if not self.ignore_callback_exceptions and self._call is not None:
            self.fail_plan(error)

    async def emit(self, name: Any, doc: Any) -> None:
        """Emit a document; wait for a queued subscriber that is far behind."""
        self.emit_sync(name, doc)
        if self._deliveries:
            for delivery in tuple(self._deliveries.values()):
                if delivery.awaited and delivery.is_behind():
                    await delivery.drained()

    async def _settle_documents(self) -> BaseException | None:
        first: BaseException | None = None
        for delivery in list(self._deliveries.values()):
            if not delivery.awaited:
                continue
            await self._step("deliver the documents", delivery.drained(), fatal=False)
            first = first or delivery.take_failure()
        return None if self.ignore_callback_exceptions else first

    # -- looking ------------------------------------------------------------------------------

    def snapshot(self) -> EngineSnapshot:
        """Return a picture of the engine at this moment, taken under one lock."""
        progress = self.progress.picture()  # has a lock of its own
        with self._state_lock:
            call = self._call
            return EngineSnapshot(
                state=EngineState(self._state),
                plan_name=None if call is None else call.name,
                elapsed=None if call is None else call.future.elapsed,
                queue=tuple(waiting.name for waiting in self._queue),
                background=self.background.running,
                claims=self.claims.by_name(),
                actions=frozenset(self.board.pending()),
                progress=progress,
            )

    def __repr__(self) -> str:
        state = "closed" if self._closed else str(self._state)
        return f"<{type(self).__name__} {state}>"

    # -- the end ------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def forked(self) -> bool:
        """Whether this is a forked child of the process that made the engine."""
        return os.getpid() != self._pid

    def _check_usable(self) -> None:
        if os.getpid() != self._pid:
            raise ForkedProcessError(
                "This run engine belongs to the parent process; its thread does not exist here. "
                "Make an engine of its own in the child."
            )
        if self._closed:
            raise EngineClosedError("This run engine is closed. Make a new one: RE = RunEngine().")
        if self._state == "panicked":
            raise RuntimeError(
                "The RunEngine is panicked and cannot be recovered. You must restart bluesky."
            )

    def check_ready(self) -> None:
        """Refuse what a plan could not be run for: the engine is closed, or a service has ended.

        Raises
        ------
        EngineClosedError, ForkedProcessError, ServiceFailedError
            With the remedy.
        """
        self._check_usable()
        self.services.check()

    def begin_close(self, why: str) -> EngineFuture[Any] | None:
        """Refuse further plans, and abort what runs; the first half of `close`.

        Returns
        -------
        EngineFuture or None
            Done when that plan is cleaned up; ``None`` if nothing runs.
        """
        with self._state_lock:
            self._closed = True
            waiting = self._empty_queue_locked()
            future = None
            if self._call is not None:
                future = self._future("the engine's end")
                self._call.ends.append(future)
                self.request("abort", why)
        self._cancel_waiting(waiting, why)
        return future

    def close(self, timeout: float = 10) -> None:
        """Abort what runs, wait for its clean-up, and give back the threads and the loop.

        Parameters
        ----------
        timeout : float, default: 10
            Seconds for the clean-up; after that the plan is halted.

        Raises
        ------
        RuntimeError
            On the engine's own thread, which cannot wait for itself.
        """
        if self.forked:
            self._closed = True
            return
        if self.on_loop_thread():
            raise RuntimeError(
                "close() waits for the run engine's thread, so it cannot be called on it. Call it "
                "from another thread, or RE.abort() here."
            )
        deadline = time.monotonic() + timeout
        future = self.begin_close("the engine is closed")
        if future is not None and not _wait(future, timeout):
            _log.error(
                "Plan %r did not clean up within %g s: it is halted.", self.plan_name, timeout
            )
            with self._state_lock:
                if self._call is not None:
                    self.request("halt")
            if not _wait(future, 2.0):
                _log.error("Plan %r could not be halted; its thread is left.", self.plan_name)
        self._close_background(max(0.1, deadline - time.monotonic()))
        for token, delivery in list(self._deliveries.items()):
            self.unsubscribe(token)
            delivery.join(max(0.1, deadline - time.monotonic()))
        self._give_back(max(0.5, deadline - time.monotonic()))

    def _close_background(self, timeout: float) -> None:
        self.services.begin_close()
        if not self._th.is_alive():
            return  # the loop has ended, by an earlier call or by the hand of who gave it
        self.call_on_loop(self.between.close)
        closing = self.background.close(self.services.lives, timeout)
        closed = run_soon(self._loop, closing)
        try:
            closed.result(timeout + 2)
        except TimeoutError:
            _log.error("The background tasks did not end within %g s.", timeout)

    def _give_back(self, timeout: float) -> None:
        release, self._release = self._release, None
        if release is None:
            return
        release()  # the finalizer has nothing left to do
        if bluesky.run_engine.get_bluesky_event_loop() is self._loop:
            bluesky.run_engine.set_bluesky_event_loop(None)
        assert self._loop_thread is not None
        if not self._loop_thread.stop(timeout, close=self._own_loop):
            _log.error("The run engine's thread did not end within %g s.", timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def register_bound_command(
    engine: RunEngine, command: Callable[[RunEngine, Msg], Awaitable[Any]]
) -> None:
    """Register ``command(engine, msg)``, a coroutine function, under its own name."""

    async def bound(msg: Msg) -> Any:
        return await command(engine, msg)

    bound.__doc__ = command.__doc__
    engine.register_command(command.__name__, bound)


def _thread_for(
    loop: asyncio.AbstractEventLoop,
) -> tuple[LoopThread | None, threading.Thread]:
    """Return the thread that runs ``loop``, started if need be."""
    if not loop.is_running():
        if loop.is_closed():
            raise ValueError("RunEngine(loop=…): the loop is closed. Leave `loop` out.")
        started = LoopThread(loop)
        return started, started.thread
    known = loop_threads().get(loop)
    if known is None:
        raise RuntimeError(
            "RunEngine(loop=…): the loop runs already, and a run engine needs one on a thread of "
            "its own. Leave `loop` out; its futures can be awaited from any loop."
        )
    return None, known


def _wait(future: EngineFuture[Any], timeout: float) -> bool:
    try:
        future.exception(timeout)
    except TimeoutError:
        return False
    return True


def _how(end: PlanEnd) -> str:
    if end.error is not None:
        return f"failed with {type(end.error).__name__}"
    return "was interrupted"
