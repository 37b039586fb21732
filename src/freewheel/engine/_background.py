"""Background plans on the run engine: child engines, the claim check, the commands.

Everything here runs on the engine's loop, unless it is said otherwise.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

from bluesky.protocols import Status
from bluesky.run_engine import FailedPause, TransitionError

from freewheel.background import (
    Background,
    BackgroundTask,
    ClaimsLedger,
    Holder,
    How,
    Outcome,
    PlanHolder,
    ServiceKeeper,
    Supervisor,
)
from freewheel.core import ServiceFailedError, SRLatch
from freewheel.core._crossings import call_soon
from freewheel.core._verbs import NEEDED, needed_by

from ._actions import WaitForActions
from ._bluesky import (
    WAIT_FOR_OWNED,
    OwningEngine,
    PlanEnd,
    PlanStart,
    wait_for_owned,
)
from ._caches import ClearCache, Stash
from ._events import emit_safely

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from bluesky.utils import Msg
    from event_model import DocumentNames

    from ._engine import RunEngine

__all__ = ["ChildEngine", "ForegroundClaims", "OwnedTasks", "make_background", "make_services"]

_REFUSED: Final = {
    "pause": (
        "a background plan cannot pause: nobody would know that it waits. Pause the task, with "
        "task.pause(), or let the foreground plan pause: its tasks pause with it."
    ),
    "input": (
        "a background plan cannot ask for input: the prompt belongs to the foreground. Ask before "
        "the task is started, or wait for an action."
    ),
}
#: How many things one wait may be for.
_MAX_THINGS: Final = 1000


class OwnedTasks:
    """The tasks of an engine's plan; what `OwningEngine` asks.

    Parameters
    ----------
    engine : OwningEngine
        The engine whose plans may own tasks.
    background : Background
        Of the engine that the user has.
    """

    def __init__(self, engine: OwningEngine, background: Background) -> None:
        self._engine = engine
        self._background = background
        #: Who the plan is in the ledger: a task, or for a foreground plan made when needed.
        self.task: BackgroundTask | None = None
        self._holder: Holder | None = None
        self._supervisor: Supervisor | None = None

    @property
    def holder(self) -> Holder:
        """Who the plan is in the ledger of claims."""
        if self.task is not None:
            return self.task
        if self._holder is None:
            self._holder = PlanHolder(self._engine.plan_name)
        return self._holder

    @property
    def supervisor(self) -> Supervisor:
        """Who keeps the tasks of the plan."""
        if self._supervisor is None:
            self._supervisor = Supervisor(self._background, self.holder)
            self._engine.put_below_plan(wait_for_owned(self._engine))
        return self._supervisor

    @property
    def any_alive(self) -> bool:
        """Whether the plan has tasks that have not ended."""
        return self._supervisor is not None and bool(self._supervisor.alive)

    async def cancel_all(self, how: How, reason: str) -> None:
        """End them all, with their clean-up."""
        if self._supervisor is not None:
            self._supervisor.plan_ended()
            await self._supervisor.cancel_all(how, reason)

    async def pause_all(self) -> None:
        """Bring them all to rest."""
        if self._supervisor is not None:
            await self._supervisor.pause_all()

    def resume_all(self) -> None:
        """Have them go on."""
        if self._supervisor is not None:
            self._supervisor.resume_all()

    def suspend_all(self, until: Callable[[], Awaitable[Any]], reason: str | None) -> None:
        """Have a suspender hold them up."""
        if self._supervisor is not None:
            self._supervisor.suspend_all(until, reason)

    def held_by_others(self, devices: Iterable[Any]) -> list[Any]:
        """Return those of the devices that somebody else holds now."""
        claims = self._background.claims
        if not claims:
            return []
        holder = self.task or self._holder
        return [d for d in devices if claims.conflicts(holder, d)]  # type: ignore[arg-type]

    async def wait_for_owned(self, msg: Msg) -> None:
        """Wait until the tasks of a plan that has completed have ended, and tell of failures."""
        supervisor = self.supervisor
        supervisor.plan_ended()
        self._release_all()
        self._engine.forget_replay()
        self._engine.waits_safely += 1
        try:
            await supervisor.all_ended()
        finally:
            self._engine.waits_safely -= 1
        if (failure := supervisor.take_failures()) is not None:
            raise failure

    def has_given_up(self, device: Any) -> bool:
        """Tell whether the plan has given a device up, and not taken it back."""
        return self._engine.has_given_up(device)

    def plan_over(self) -> BaseException | None:
        """Note the end of the plan; return the failures that nobody was told of."""
        supervisor, self._supervisor = self._supervisor, None
        self._release_all()
        self._holder = None
        return None if supervisor is None else supervisor.take_failures()

    def _release_all(self) -> None:
        if self._holder is not None and self.task is None:
            self._background.conflicts.release_all(self._holder)


class _Commands:
    """The commands of plans that have tasks, of one engine."""

    def __init__(self, engine: OwningEngine, background: Background, tasks: OwnedTasks) -> None:
        self._engine = engine
        self._background = background
        self._tasks = tasks

    def register(self) -> None:
        engine = self._engine
        for name in ("background", "background_results", "release"):
            engine.register_unrepeated_command(name, getattr(self, name))
        for name in ("wait_for_background", "cancel_background", "wait_any", "claim"):
            engine.register_waiting_command(name, getattr(self, name))
        engine.register_waiting_command(WAIT_FOR_OWNED, self._tasks.wait_for_owned)
        # The claim check comes before them, and may have to wait for a task that gives way.
        engine.ask_again_when_cut_short("stage", "unstage")

    async def background(self, msg: Msg) -> BackgroundTask:
        """Start a background task that the plan owns: ``Msg("background", None, payload, ...)``."""
        if len(msg.args) != 1:
            raise TypeError(
                f'background takes one payload: Msg("background", None, payload, name=…), not '
                f"{len(msg.args)}"
            )
        return self._background.start(self._tasks.supervisor, msg.args[0], **msg.kwargs)

    async def wait_for_background(self, msg: Msg) -> Any:
        """Wait for one task, or all: ``Msg("wait_for_background", None, name, timeout=...)``."""
        name = msg.args[0] if msg.args else msg.kwargs.get("name")
        if isinstance(name, BackgroundTask):
            name = name.name
        timeout = _checked_timeout("wait_for_background", msg.kwargs.get("timeout"))
        return await self._tasks.supervisor.wait(name, timeout)

    async def background_results(self, msg: Msg) -> Mapping[str, Any]:
        """Return the results that there are: ``Msg("background_results")``."""
        return self._tasks.supervisor.results()

    async def cancel_background(self, msg: Msg) -> None:
        """Cancel a task and wait for its end: ``Msg("cancel_background", None, name)``."""
        (name,) = msg.args
        life = self._tasks.supervisor.find(name)
        life.cancel("abort", f"cancelled by the plan {self._tasks.holder.name!r}")
        if not life.over:
            await asyncio.wait([life.end])

    async def claim(self, msg: Msg) -> None:
        """Claim devices: ``Msg("claim", None, *devices)``."""
        holder = self._tasks.holder
        if self._tasks.task is not None:
            self._background.conflicts.acquire(holder, msg.args)
        else:
            await self._background.conflicts.claim(holder, msg.args)

    async def release(self, msg: Msg) -> None:
        """Release devices: ``Msg("release", None, *devices)``."""
        self._background.conflicts.release(self._tasks.holder, msg.args)

    async def wait_any(self, msg: Msg) -> Any:
        """Wait for the first of several: ``Msg("wait_any", None, *things, timeout=...)``."""
        things = msg.args
        _check_things(things)
        timeout = _checked_timeout("wait_any", msg.kwargs.get("timeout"))
        if self._tasks.any_alive:
            lives = self._tasks.supervisor.alive
            lenders = [life for life in lives if life.task in things]
            self._background.conflicts.give_back_to(lenders, self._tasks.holder)
        with _FirstOf(self._engine, things) as first:
            return await first.wait(timeout)


class _FirstOf:
    """Waits for the first of several latches, statuses, tasks and futures."""

    def __init__(self, engine: OwningEngine, things: tuple[Any, ...]) -> None:
        self._engine = engine
        self._things = things
        self._first: asyncio.Future[Any] = engine.loop.create_future()
        self._unwatch: list[Callable[[], None]] = []

    def __enter__(self) -> _FirstOf:
        # In their order: of those that are done already the first one counts.
        latches = [t for t in self._things if isinstance(t, SRLatch) and t.is_set()]
        for thing in self._things:
            if isinstance(thing, SRLatch):
                self._unwatch.append(thing.watch(self._latch_changed))
                if thing.is_set() and thing is min(latches or [thing], key=_change_number):
                    self._settle(thing)
            elif isinstance(thing, BackgroundTask):
                if thing.done:
                    self._settle(thing)
                else:
                    thing.future.add_done_callback(self._teller(thing))
            elif thing.done:
                self._settle(thing)
            else:
                thing.add_callback(self._teller(thing))
        return self

    def __exit__(self, *_: object) -> None:
        for unwatch in self._unwatch:
            unwatch()
        self._first.cancel()

    def _latch_changed(self, latch: SRLatch, is_set: bool) -> None:
        # In the thread that changes it, with the latches' lock held.
        if is_set:
            self._settle_soon(latch)

    def _teller(self, thing: Any) -> Callable[..., None]:
        return lambda *_: self._settle_soon(thing)

    def _settle_soon(self, thing: Any) -> None:
        # From any thread: a latch's, a device's or the loop's.
        call_soon(self._engine.loop, self._settle, thing)

    def _settle(self, thing: Any) -> None:
        if not self._first.done():
            self._first.set_result(thing)

    async def wait(self, at_most: float | None) -> Any:
        done, _ = await asyncio.wait([self._first], timeout=at_most)
        return self._first.result() if done else None


def _change_number(latch: SRLatch) -> int:
    return latch.change_number


def _check_things(things: tuple[Any, ...]) -> None:
    if not things:
        raise ValueError("wait_any needs something to wait for")
    if len(things) > _MAX_THINGS:
        raise ValueError(f"wait_any takes at most {_MAX_THINGS} things, not {len(things)}")
    for thing in things:
        if not isinstance(thing, (SRLatch, BackgroundTask, Status)):
            hint = ""
            if (latch := getattr(thing, "latch", None)) is not None and isinstance(latch, SRLatch):
                hint = " Of an action pass its latch, `action.latch`."
            raise TypeError(
                f"wait_any waits for latches, statuses and background tasks, not {thing!r}.{hint}"
            )


def _checked_timeout(command: str, timeout: Any) -> float | None:
    if timeout is None:
        return None
    if not timeout >= 0:
        raise ValueError(f"{command}: the timeout must be 0 s or more, not {timeout!r}.")
    return None if math.isinf(timeout) else float(timeout)


def add_task_commands(engine: OwningEngine, background: Background) -> OwnedTasks:
    """Give an engine what its plans need to own tasks."""
    tasks = OwnedTasks(engine, background)
    _Commands(engine, background, tasks).register()
    return tasks


# -- the claim check ------------------------------------------------------------------------------


class ForegroundClaims:
    """The claim check of foreground plans: in their way only while something is claimed.

    While the ledger is empty the engine has its plain commands. The first claim replaces them by
    checked ones, the last release puts the plain ones back: a message costs nothing when no
    task runs.
    """

    def __init__(self, engine: OwningEngine, background: Background, tasks: OwnedTasks) -> None:
        self._engine = engine
        self._background = background
        self._tasks = tasks
        # Read and written with the ledger's lock held, or by `register`, see there.
        self._plain: dict[str, Any] = {}
        background.claims.add_in_use(self._in_use)
        background.claims.on_occupied(self._occupied)

    def _in_use(self) -> list[tuple[Any, Holder]]:
        """Tell what the foreground plan moves at this moment; from any thread."""
        used = self._engine.in_use()
        if not used:
            return []
        holder = self._tasks.holder
        return [(device, holder) for device in used]

    def _occupied(self, occupied: bool) -> None:
        """Put the checked commands in, or out; from any thread."""
        if occupied and not self._plain:
            plain = {name: self._engine.command(name) for name in NEEDED}
            self._plain = {name: func for name, func in plain.items() if func is not None}
            self._engine.swap_commands(
                {name: self._checked(func) for name, func in self._plain.items()}
            )
        elif not occupied and self._plain:
            plain, self._plain = self._plain, {}
            self._engine.swap_commands(plain)

    def replaced(self, name: str, func: Callable[[Msg], Any]) -> Callable[[Msg], Any]:
        """Return what is to be registered when a user replaces a command."""
        if name not in self._plain:
            return func
        self._plain[name] = func
        return self._checked(func)

    def _checked(self, plain: Callable[[Msg], Any]) -> Callable[[Msg], Any]:
        background, tasks = self._background, self._tasks

        @wraps(plain)
        async def checked(msg: Msg) -> Any:
            holder = tasks.holder
            for device in needed_by(msg):
                if background.claims.conflicts(holder, device):
                    await background.conflicts.clear_the_way(holder, device)
            return await plain(msg)

        return checked


class _TaskChecked:
    """A command that claims its device for the task before it uses it.

    An object, for there are eleven of them for each task, and a closure takes ten times as much.
    """

    __slots__ = ("_claims", "_plain", "_tasks")

    def __init__(
        self, plain: Callable[[Msg], Any], claims: ClaimsLedger, tasks: OwnedTasks
    ) -> None:
        self._plain = plain
        self._claims = claims
        self._tasks = tasks

    async def __call__(self, msg: Msg) -> Any:
        """Carry out the command with the device claimed."""
        task = self._tasks.task
        assert task is not None
        for device in needed_by(msg):
            if msg.command in ("unstage", "stop") and self._is_away(task, device):
                # Lent to the foreground and unstaged for it, or not staged again since it was
                # given back: there is nothing to undo.
                return [] if msg.command == "unstage" else None
            self._claims.touch(task, device)
        return await self._plain(msg)

    def _is_away(self, task: BackgroundTask, device: Any) -> bool:
        return self._claims.lends(task, device) or self._tasks.has_given_up(device)


# -- child engines --------------------------------------------------------------------------------


class ChildEngine(OwningEngine):
    """Runs one background plan at a time, on the loop of the engine that it belongs to.

    It shares that engine's metadata, scan ids, commands and subscribers. Its own temporary
    subscriptions see its own documents alone. Of the preprocessors it has those that say
    that they are for the background too, with an attribute ``in_background``.
    """

    def __init__(self, parent: RunEngine) -> None:
        self._parent = parent
        super().__init__(
            parent.md,
            loop=parent.loop,
            thread=parent.loop_thread,
            md_validator=parent.md_validator,
            md_normalizer=parent.md_normalizer,
            scan_id_source=parent.scan_id_source,
        )
        self.slim()
        self._outcome: asyncio.Future[Outcome] | None = None
        self._paused: asyncio.Future[bool] | None = None
        self._asked_to_end = False
        self.register_waiting_command("wait_for_actions", WaitForActions(self, parent.board))
        self.register_unrepeated_command("stash", Stash(self))
        self.register_unrepeated_command("clear_cache", ClearCache(self))
        self.plan_tasks = self._tasks = add_task_commands(self, parent.background)
        self._progress = parent.progress.attach(self, self._task_name)
        for name, refusal in _REFUSALS.items():
            self.register_command(name, refusal)
        self._extra = parent.extra_commands
        self._take_commands()

    def _task_name(self) -> str:
        task = self._tasks.task
        return self.plan_name if task is None else task.name

    def _take_after_parent(self) -> None:
        """Adopt what may have changed on the parent since the last plan."""
        parent = self._parent
        self.md = parent.md
        self.scan_id_source = parent.scan_id_source
        self.md_validator, self.md_normalizer = parent.md_validator, parent.md_normalizer
        self.record_interruptions = parent.record_interruptions
        self.preprocessors = [
            each for each in parent.preprocessors if getattr(each, "in_background", False)
        ]
        self.max_cached_messages = parent.max_cached_messages

    def is_current(self) -> bool:
        """Tell whether the parent's commands are those that it had when this was made."""
        return self._extra is self._parent.extra_commands

    def _take_commands(self) -> None:
        """Have one's own commands and the parent's extra ones, all checked for claims."""
        self.take_commands(self._extra, self._parent)
        self.swap_commands(
            {
                name: self._checked(func)
                for name in NEEDED
                if (func := self.command(name)) is not None
            }
        )

    def make_command(self, name: str, function: Callable[..., Any]) -> Any:
        """Bind a command when it is first used, and have it checked."""
        command = super().make_command(name, function)
        return self._checked(command) if name in NEEDED else command

    def _checked(self, command: Callable[[Msg], Any]) -> _TaskChecked:
        return _TaskChecked(command, self._parent.background.claims, self._tasks)

    # -- what the task asks for ---------------------------------------------------------------

    def run(self, plan: Any, task: Any, metadata: dict[str, Any]) -> asyncio.Future[Outcome]:
        """Begin ``plan`` for ``task``; done after the clean-up."""
        self._take_after_parent()
        self._tasks.task = task
        self._asked_to_end = False
        self._outcome = self.loop.create_future()
        self.begin_now(PlanStart(plan, {}, metadata))
        return self._outcome

    async def pause(self) -> bool:
        """Pause; return whether the plan is paused now, for it may have ended instead."""
        try:
            self.request("pause", False)
        except TransitionError:
            return bool(self.state == "paused")
        self._paused = self.loop.create_future()
        return await self._paused

    def resume(self) -> None:
        """Have a paused plan go on."""
        with suppress(TransitionError):  # it is being ended
            self.request("resume")

    def end(self, how: How, reason: str) -> None:
        """Ask for the end of the plan."""
        self._asked_to_end = True
        with suppress(TransitionError):  # it has ended
            self.request(how, reason)

    def suspend(self, until: Callable[[], Awaitable[Any]], reason: str | None) -> None:
        """Suspend the plan until what ``until`` returns is done."""
        self.request_suspend(until, justification=reason)

    async def give_way(self, device: Any) -> None:
        """Unstage what overlaps with ``device``, and leave it alone."""
        claims = self._parent.background.claims
        await self.give_up(lambda own: claims.overlap(own, device))

    def fail(self, error: BaseException) -> None:
        """Throw ``error`` into the plan at its next message."""
        self.fail_plan(error)

    # -- what the core tells ------------------------------------------------------------------

    def _plan_paused(self) -> None:
        self._tell_paused(True)

    def _tell_paused(self, is_paused: bool) -> None:
        paused, self._paused = self._paused, None
        if paused is not None and not paused.done():
            paused.set_result(is_paused)

    def _plan_finished(self, end: PlanEnd) -> None:
        super()._plan_finished(end)
        self._tasks.task = None
        result, error = end.result, end.error
        interrupted = result.interrupted or result.exit_status == "abort"
        if error is None and interrupted and not self._asked_to_end and self._paused is not None:
            error = FailedPause(
                f"the background plan {self.plan_name!r} had cleared its checkpoint when it was "
                "to be paused, and was aborted"
            )
        self._tell_paused(False)
        outcome, self._outcome = self._outcome, None
        if outcome is not None and not outcome.done():
            outcome.set_result(Outcome(result.plan_result, error, interrupted))

    @property
    def suspenders(self) -> tuple[Any, ...]:
        """The parent's suspenders too: a plan is not begun while one has tripped."""
        return (*self._parent.suspenders, *self.own_suspenders)

    def emit_sync(self, name: DocumentNames, doc: Any) -> None:
        """Emit a document to the plan's own subscribers, and to those of the parent."""
        try:
            super().emit_sync(name, doc)
        finally:
            self._parent.emit_sync(name, doc)

    async def emit(self, name: DocumentNames, doc: Any) -> None:
        """Emit a document; wait for a subscriber of the parent that is far behind."""
        try:
            super().emit_sync(name, doc)
        finally:
            await self._parent.emit(name, doc)


def _refuse(command: str, reason: str) -> Callable[[Msg], Any]:
    async def refused(msg: Msg) -> None:
        raise RuntimeError(reason)

    refused.__doc__ = f"Refuse ``{command}``: {reason}"
    return refused


_REFUSALS: Final = {name: _refuse(name, reason) for name, reason in _REFUSED.items()}


# -- for the run engine ---------------------------------------------------------------------------


def make_background(engine: RunEngine) -> Background:
    """Return the background of ``engine``, which tells of its changes as the engine's events."""
    claims = ClaimsLedger()

    def changed(task: BackgroundTask) -> None:
        _emit_on_loop(engine, engine.events.background_changed, task)

    def claims_changed(held: Mapping[str, str]) -> None:
        # The picture is taken when it is told of, on the loop: so the last one told is the last.
        if engine.on_loop_thread():
            emit_safely(engine.events.claims_changed, claims.by_name())
        else:
            call_soon(engine.loop, _emit_claims, engine, claims)

    claims.on_change(claims_changed)
    return Background(
        engine.loop,
        engine.loop_thread,
        claims,
        lambda: ChildEngine(engine),
        changed,
        engine.check_ready,
    )


def _emit_claims(engine: RunEngine, claims: ClaimsLedger) -> None:
    emit_safely(engine.events.claims_changed, claims.by_name())


def _emit_on_loop(engine: RunEngine, signal: Any, *args: Any) -> None:
    if engine.on_loop_thread():
        emit_safely(signal, *args)
    else:
        call_soon(engine.loop, emit_safely, signal, *args)


def make_services(engine: RunEngine) -> ServiceKeeper:
    """Return the services of ``engine``, whose failure aborts the plan that runs."""

    def failed(error: ServiceFailedError) -> None:
        with suppress(TransitionError):  # nothing runs
            engine.request_end("abort", str(error))

    return ServiceKeeper(engine.background, failed)
