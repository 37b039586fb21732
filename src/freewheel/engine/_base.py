"""What the run engines have in common: all but the calls that a plan is run and controlled with."""

from __future__ import annotations

import inspect
import warnings
from functools import partial
from operator import itemgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import bluesky.run_engine
from bluesky.run_engine import MAX_DEPTH_EXCEEDED_ERR_MSG, default_scan_id_source
from bluesky.suspenders import SuspenderBase

from freewheel.background import Background, ClaimsLedger, ServiceKeeper
from freewheel.core import EngineSnapshot, EngineState
from freewheel.core._crossings import call_soon
from freewheel.core._wording import took_text

from ._action_board import ActionBoard
from ._between import BetweenMessages
from ._bluesky import BlueskyEngine, FairDispatcher, Request, inside_of, loop_threads, waits_of
from ._by_hand import ByHand
from ._cards import engine_card
from ._child import ChildEngine
from ._circumstances import Circumstances
from ._claim_check import ForegroundClaims
from ._documents import DocumentStream
from ._events import EngineEvents, Teller
from ._explain import explain
from ._foreground import Foreground
from ._foresight import Foresight
from ._household import Household
from ._interlocks import Interlocks
from ._lifetime import EngineLife, hold_loop
from ._owned_tasks import OwnedTasks
from ._progress import PlanProgress
from ._progress_board import ProgressBoard
from ._stop_all import StopAll
from ._suspenders import SuspendersView
from .commands import COMMANDS

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Mapping
    from types import ModuleType, TracebackType
    from typing import Self

    from bluesky.utils import Msg

    from freewheel.background import BackgroundTask
    from freewheel.core import EngineFuture, ServiceFailedError, SRLatch

    from ._futures import PlanFuture
    from ._queue import PlanQueue

__all__ = ["EngineBase", "register_bound_command"]


class EngineBase(BlueskyEngine):
    """A run engine without the calls that run and control a plan.

    See `RunEngine` for the parameters and attributes.
    """

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
        hold = hold_loop(loop, loop_threads().get)
        loop, thread = hold.loop, hold.thread
        self.events = EngineEvents()
        teller = Teller(loop, thread.ident)
        dispatcher = FairDispatcher()
        documents = DocumentStream(dispatcher, thread.ident, partial(call_soon, loop))
        household = Household(
            loop=loop,
            thread=thread,
            documents=documents,
            board=ActionBoard(partial(teller.tell, self.events.actions_changed)),
            progress=ProgressBoard(self.events.progress_changed, loop),
            interlocks=Interlocks(
                loop, partial(teller.tell_latest, self.events.interlocks_changed)
            ),
            md=md,
            md_validator=md_validator,
            md_normalizer=md_normalizer,
            scan_id_source=scan_id_source,
            preprocessors=[] if preprocessors is None else preprocessors,
        )
        self.interlocks = household.interlocks
        super().__init__(
            household,
            dispatcher,
            loop=loop,
            thread=thread,
            commands=COMMANDS,
            call_returns_result=call_returns_result,
        )
        bluesky.run_engine.set_bluesky_event_loop(loop)
        self._add_foreground(teller)
        core = self._core
        self._between = BetweenMessages(core)
        core.between = self._between
        self._foreground.ended = self._between.kick
        core.progress = PlanProgress(
            household.progress, core, lambda: core.plan_name, background=False
        )
        self._add_background(teller)
        self.by_hand = ByHand(
            core, self.background, self._between, documents.is_axis, self._check_usable
        )
        self._life = EngineLife(
            core, self._foreground, self._services, self._between, self.by_hand, documents, hold
        )
        hold.release_with(self, documents.deliveries)
        self._stop_everything = StopAll(
            core, self._foreground, self.by_hand, partial(teller.tell, self.events.all_stopped)
        )
        self._services.adopt_marked()
        hold.wait_until_it_runs()

    def _add_foreground(self, teller: Teller) -> None:
        core, requests = inside_of(self)
        core.documents = documents = core.household.documents
        foreground = Foreground(core, requests, core.household, self.events, teller)
        self._foreground = core.owner = foreground
        documents.fail_with(foreground.fail)

    def _add_background(self, teller: Teller) -> None:
        core, household = self._core, self._core.household
        claims = ClaimsLedger()
        changed, told = self.events.claims_changed, teller.told
        claims.when_changed(lambda: teller.tell_different(changed, claims.by_name))
        self.background = household.background = Background(
            core.loop,
            core.thread,
            claims,
            lambda: ChildEngine(household),
            partial(teller.tell, self.events.background_changed),
            self._check_ready,
        )
        foreground = self._foreground
        around = Circumstances(self.background, household, foreground.periodics.picture)
        self.preview = Foresight(core, around, self.events, foreground.foreseen)
        household.suspenders = lambda: self.suspenders
        household.progress.show_tasks(lambda: household.background.running)
        self.claims = claims
        self._services = ServiceKeeper(self.background, self._service_failed)
        self._foreground.check = self._check_ready
        tasks = core.tasks = OwnedTasks(core)
        core.parts.append(tasks)
        conflicts = self.background.conflicts

        def use_changed() -> None:
            conflicts.changed()
            if len(changed):  # asked for each status: often nobody listens
                teller.tell_different(changed, claims.by_name)
            elif told:
                told.clear()  # who listens next was told nothing

        core.claim_check = ForegroundClaims(core, self.background, tasks, use_changed)
        core.registry.make_all()

    def _check_usable(self) -> None:
        self._life.check_usable()

    def _check_ready(self) -> None:
        self._life.check_ready()

    def _check_call(self, metadata: Mapping[str, Any]) -> None:
        """Look at how a plan is called; from `__call__` alone, which the warning skips."""
        if "raise_if_interrupted" in metadata:
            warnings.warn(
                "'raise_if_interrupted' is taken as metadata, as every keyword argument is: a plan "
                "that is interrupted always ends with RunEngineInterrupted.",
                stacklevel=3,
            )
        if self.max_depth is not None:
            _check_depth(self.max_depth)

    def _service_failed(self, error: ServiceFailedError) -> None:
        self._stop_everything(str(error))

    # -- commands -----------------------------------------------------------------------------

    def register_command(self, name: str, func: Callable[[Msg], Any]) -> None:
        """Register a command, for this engine's plans and for background plans.

        Parameters
        ----------
        name : str
            What a message asks for it by.
        func : callable
            A coroutine function of the message.
        """
        household = self._core.household
        household.commands = MappingProxyType({**household.commands, name: func})
        self._core.registry.register(name, func, household.commands)

    def unregister_command(self, name: str) -> None:
        """Forget a command, for this engine's plans and for background plans."""
        household = self._core.household
        household.commands = MappingProxyType({**household.commands, name: None})
        self._core.registry.forget(name, household.commands)

    # -- suspenders ---------------------------------------------------------------------------

    def install_suspender(self, suspender: Any) -> None:
        """Install a suspender, for plans and for background tasks.

        Parameters
        ----------
        suspender : bluesky.suspenders.SuspenderBase
            The suspender. One that has tripped already suspends the tasks that run.
        """
        super().install_suspender(suspender)
        if not isinstance(suspender, SuspenderBase):
            return  # somebody who wants to be told of the engine, and suspends nothing
        suspender.RE = SuspendersView(self, lambda: bool(self.background.running))
        waits, justification = waits_of(suspender)
        for wait in waits:
            self.background.suspend_all(wait, justification)

    def request_suspend(
        self,
        fut: Callable[[], Any],
        *,
        pre_plan: Any = None,
        post_plan: Any = None,
        justification: str | None = None,
    ) -> None:
        """Suspend the running plan and all background tasks until ``fut`` is done.

        From any thread, without waiting. Tasks that are not ``suspendable`` go on. See
        ``bluesky.run_engine.RunEngine.request_suspend`` for the parameters; the two plans are run
        for the foreground plan alone.
        """
        self.background.suspend_all(fut, justification)
        super().request_suspend(
            fut, pre_plan=pre_plan, post_plan=post_plan, justification=justification
        )

    # -- looking ------------------------------------------------------------------------------

    @property
    def queued(self) -> tuple[PlanFuture, ...]:
        """The calls that wait for their turn, in order: ``tuple(RE.queue)``."""
        return tuple(self._foreground.queue)

    @property
    def queue(self) -> PlanQueue:
        """The calls that wait for their turn: to be looked at, ordered, edited and held."""
        return self._foreground.queue

    @property
    def current(self) -> PlanFuture | None:
        """The future of the plan in the foreground, or ``None``."""
        return self._foreground.current

    def snapshot(self) -> EngineSnapshot:
        """Return a picture of the engine at this moment, taken under one lock."""
        household = self._core.household
        progress = household.progress.picture()  # has a lock of its own
        service_failed = self._services.obstacle or None  # likewise
        interlocks = self.interlocks.picture()  # asks what is not the engine's own code
        with self._core.states.lock:
            picture = self._foreground.picture()
            return EngineSnapshot(
                **picture,
                queue=tuple(map(itemgetter(0), picture["waiting"])),  # there may be thousands
                background=self.background.running,
                claims=self.claims.by_name(),
                actions=household.board.offered(),
                progress=progress,
                service_failed=service_failed,
                interlocks=interlocks,
            )

    def __repr__(self) -> str:
        if self.closed:
            return f"<{type(self).__name__} closed>"
        picture = self.snapshot()
        words = str(picture.state)
        if picture.plan_name is not None:
            took = took_text(picture.elapsed, picture.time_left, tenths=True)
            words += f": {picture.plan_name}, {took}"
        if picture.parked:
            words += f"; parked for it: {', '.join(reversed(picture.parked))}"
        if picture.background:
            words += f"; in the background: {', '.join(task.name for task in picture.background)}"
        note = self._note(picture)
        return f"<{type(self).__name__} {words}{f'. {note}' if note else ''}>"

    def _repr_html_(self) -> str:
        """Return a card, for notebooks."""
        picture = self.snapshot()
        note = "It is closed." if self.closed else self._note(picture)
        return engine_card(type(self).__name__, picture, note)

    def _note(self, picture: EngineSnapshot) -> str:
        """Say what somebody may want to do now, or how the last plan ended; or nothing."""
        if obstacle := self._obstacle():
            return obstacle
        if waits := [f"Interlock {each}" for each in picture.interlocks if each.waiting]:
            return "; ".join(waits)
        if picture.state is EngineState.PAUSED:
            return "RE.resume() has it go on, RE.stop() ends it with its clean-up."
        if picture.plan_name is None and (last := self._foreground.last_ending):
            return f"The last plan: {last}."
        return ""

    def _obstacle(self) -> str:
        """Say what keeps plans from being started, and the command that mends it; or nothing."""
        return self._services.obstacle or self._foreground.obstacle

    def explain(self) -> str:
        """Say what the engine waits for, which thread is where, and what may be done.

        In a pause and in a clean-up too: it names the device that does not come to an end.

        From any thread. It waits for an answer of the engine's thread, for 0.2 s at most.

        Returns
        -------
        str
            Lines for a person.
        """
        obstacle = "The engine is closed." if self.closed else self._obstacle()
        return explain(self._core, self.snapshot(), obstacle)

    # -- actions ------------------------------------------------------------------------------

    @property
    def pending_actions(self) -> Mapping[str, SRLatch]:
        """The actions that plans wait for at this moment: name to latch."""
        return self._core.household.board.pending()

    def trigger_action(self, name: str, *, plan: str | None = None) -> None:
        """Set the latch of an action on offer.

        Parameters
        ----------
        name : str
            The action.
        plan : str, optional
            The plan, or the background task, whose action it is; by default that of all that
            offer one of this name.

        Raises
        ------
        KeyError
            If no plan waits for it; with the names on offer.
        """
        self._core.household.board.change(name, True, plan)

    def release_action(self, name: str, *, plan: str | None = None) -> None:
        """Reset the latch of an action on offer; otherwise as `trigger_action`."""
        self._core.household.board.change(name, False, plan)

    # -- the red button -----------------------------------------------------------------------

    def stop_all(self, reason: str = "") -> EngineFuture[None]:
        """Stop every device and end everything that runs: the red button.

        In every state, from any thread, and never refused. ``stop()`` of every device that a plan
        or a person has touched goes out first; the plan in the foreground and every background
        task, owned, detached or launched, are aborted with their clean-up, so that a shutter
        closes; what may move still is stopped again. The plans that wait are cancelled, or held:
        as ``RE.queue.on_interruption`` says. Services go on.

        Parameters
        ----------
        reason : str, optional
            For the stop documents, the log, and whoever wonders why the queue is held.

        Returns
        -------
        EngineFuture of None
            Done when all is at rest, after 10 s at most; it fails with `NotStoppedError`, which
            names what could not be stopped.

        Raises
        ------
        ForkedProcessError
            In a forked child, whose parent has the engine.
        """
        self._life.check_process()
        return self._stop_everything(str(reason))

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
        self._life.check_usable()
        return self._between.put(function)

    # -- services -----------------------------------------------------------------------------

    def adopt(
        self, payload: Any, *args: Any, flavour: str | ModuleType | None = None, **kwargs: Any
    ) -> BackgroundTask:
        """Run a service for as long as the engine lives, such as a watchdog; without waiting.

        If it returns or raises, everything is ended as by `stop_all`, with the reason, and further
        plans are refused with `ServiceFailedError` until it is adopted again. See
        `freewheel.background.ServiceKeeper.adopt`.
        """
        self._life.check_usable()
        return self._services.adopt(payload, *args, flavour=flavour, **kwargs)

    def execute(
        self, payload: Any, *args: Any, flavour: str | ModuleType | None = None, **kwargs: Any
    ) -> Any:
        """Run a plan, coroutine function or function in the background, and return its value.

        This waits. See `freewheel.background.ServiceKeeper.execute`.
        """
        self._life.check_usable()
        return self._services.execute(payload, *args, flavour=flavour, **kwargs)

    # -- documents ----------------------------------------------------------------------------

    def subscribe(
        self,
        func: Callable[[str, Any], Any],
        name: str = "all",
        delivery: Literal["inline", "queued", "latest"] = "inline",
        runs: Literal["one", "all"] | None = None,
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
        runs : {"one", "all"}, optional
            ``"one"``, for a function that can take one run at a time: it has the foreground's
            runs, and those of background tasks only while no foreground run is open. That is the
            default for bluesky's `BestEffortCallback`, `LiveTable` and `LivePlot`, and ``"all"``
            for others.

        Returns
        -------
        int
            A token for `unsubscribe`.
        """
        return self._core.household.documents.subscribe(func, name, delivery, runs)

    def unsubscribe(self, token: int) -> None:
        """Undo a subscription; what waits for its own thread is still delivered."""
        self._core.household.documents.unsubscribe(token)

    # -- the end ------------------------------------------------------------------------------

    def reset(self) -> None:
        """Halt what runs, wait for that, and forget subscriptions and caches."""
        while self.state != "idle":  # more than once where a plan is parked
            self._foreground.end(Request.HALT).exception()
        self._core.household.documents.unsubscribe_deliveries()
        self._core.forget_call()
        self.dispatcher.unsubscribe_all()

    #: It is of this process, and whoever ends this ends it.
    is_elsewhere: ClassVar[bool] = False

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._life.closed

    def close(self, timeout: float = 10) -> None:
        """Abort what runs, wait for its clean-up, and give back the threads and the loop.

        Parameters
        ----------
        timeout : float, default: 10
            Seconds for the clean-up; after that the plan is halted.

        Raises
        ------
        RuntimeError
            On the engine's own thread, which cannot wait for itself, and in a ``queued``
            subscriber while a plan runs, whose end waits for it.
        """
        self._life.close(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _check_depth(allowed: int) -> None:
    depth = len(inspect.stack()) - 3
    if depth > allowed:
        raise RuntimeError(MAX_DEPTH_EXCEEDED_ERR_MSG.format(allowed, depth))


def register_bound_command(
    engine: EngineBase, command: Callable[[EngineBase, Msg], Awaitable[Any]]
) -> None:
    """Register ``command(engine, msg)``, a coroutine function, under its own name.

    Parameters
    ----------
    engine : RunEngine
        The engine.
    command : coroutine function
        Takes the engine and the message; its name is the command's.
    """

    async def bound(msg: Msg) -> Any:
        return await command(engine, msg)

    bound.__doc__ = command.__doc__
    engine.register_command(command.__name__, bound)
