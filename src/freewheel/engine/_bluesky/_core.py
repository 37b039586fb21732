"""What an engine is inside: all that outlives a plan and that users of the engine do not see."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, final

from bluesky.bundlers import maybe_await
from bluesky.protocols import Stoppable
from bluesky.run_engine import TransitionError, state_logger

from freewheel.core import EngineState
from freewheel.core._crossings import call_soon
from freewheel.core._devices import safe_name

from ._devices import PlanDevices
from ._registry import CommandRegistry
from ._states import States
from ._statuses import Statuses
from ._tracing import Tracing

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping

    from bluesky.utils import Msg

    from freewheel.engine._household import Household

    from ._ports import (
        Changes,
        ClaimCheck,
        Documents,
        ParkedPlan,
        PerPlan,
        PlanOwner,
        PlanTasks,
        PlanUnderWay,
        ProgressCommands,
    )
    from ._registry import Command, Handler

__all__ = ["EngineCore"]


class _Laid(NamedTuple):
    """What a core has handed out of a plan that is parked."""

    start_uids: list[str]
    kept: list[tuple[Any, Any]]  # bluesky's collections, with copies
    subscribers: Any
    attributes: tuple[Any, ...]


@final
class EngineCore:
    """The inside of one engine: of the user's, or of one that runs a background plan.

    bluesky's engine is a part of it, which has the methods that carry out most commands and the
    attributes that they use. What belongs to one plan is in `plan`. The parts that are set after
    the making are set before the first plan, and stay.

    Everything here runs on the engine's loop, unless it is said otherwise.

    Parameters
    ----------
    engine : bluesky.run_engine.RunEngine
        bluesky's engine, which was just made.
    household : Household
        What the engine shares with its children.
    thread : threading.Thread
        The thread that runs the loop.
    in_child : bool
        Whether the engine runs background plans.

    Attributes
    ----------
    states : States
        The engine's state, and its lock.
    registry : CommandRegistry
        What carries out the commands.
    devices : PlanDevices
        The devices that the plan has to do with.
    statuses : Statuses
        What the plan has under way.
    plan : PlanUnderWay or None
        The plan that runs, or that ran last.
    runs : dict
        The open runs, bluesky's bundlers, by their keys.
    documents, owner, tasks, claim_check, progress
        See the ports of these names.
    between : Changes or None
        What a person wants done between two messages, of an engine that takes that.
    end_callbacks : list of callable
        Called when a plan has ended, before its clean-up.
    parts : list of PerPlan
        What keeps something for a plan, but for the core itself.
    parked : tuple of ParkedPlan
        Of the plans that are parked, the one that was parked last at the end. Replaced as a whole
        on the loop's thread, read by any.
    waiting_observers : list of callable
        Called with the statuses that the plan waits for, and with ``None`` when it does no more.
    """

    __slots__ = (
        "__weakref__",
        "_ident",
        "_metadata",
        "_start_uids",
        "_temporary",
        "between",
        "claim_check",
        "devices",
        "documents",
        "doing",
        "end_callbacks",
        "engine",
        "household",
        "log",
        "loop",
        "message",
        "owner",
        "parked",
        "parts",
        "plan",
        "plan_name",
        "progress",
        "registry",
        "runs",
        "states",
        "statuses",
        "tasks",
        "thread",
        "tracing",
        "waiting_observers",
    )

    documents: Documents
    owner: PlanOwner
    tasks: PlanTasks
    claim_check: ClaimCheck
    progress: ProgressCommands

    def __init__(
        self,
        engine: Any,
        household: Household,
        loop: asyncio.AbstractEventLoop,
        thread: threading.Thread,
        commands: Mapping[str, Command],
        *,
        in_child: bool,
    ) -> None:
        self.engine = engine
        self.household = household
        self.loop = loop
        self.thread = thread
        self.log = engine.log
        self._ident = thread.ident
        self.states = States(thread.ident, self.call_on_loop, self._state_changed)
        self.plan: PlanUnderWay | None = None
        # The message that is carried out, or was last; written on the loop, read by any thread.
        self.message: Msg | None = None
        # What is done beside messages, in a pause or in the clean-up, with the device; likewise.
        self.doing = ""
        self.plan_name = ""  # of the plan that runs, or ran last; read by any thread
        self.between: Changes | None = None
        self.end_callbacks: list[Callable[[], None]] = []
        self.waiting_observers: list[Callable[[Any], None]] = []
        self.parked: tuple[ParkedPlan, ...] = ()
        # bluesky's own, which its commands use; cleared in place, never replaced.
        self.runs: dict[Any, Any] = engine._run_bundlers
        self._start_uids: list[str] = engine._run_start_uids
        self._metadata: dict[str, Any] = engine._metadata_per_call
        self._temporary: set[int] = engine._temp_callback_ids
        self.tracing = Tracing()
        self.devices = PlanDevices(engine, self.at)
        self.registry = engine._command_registry = CommandRegistry(
            self, commands, engine._command_registry, household.commands, in_child=in_child
        )
        self.statuses = Statuses(engine, loop, thread, self.registry.unrepeated)
        self.statuses.took = household.took
        self.parts: list[PerPlan] = [self.devices, self.statuses]
        household.touched.add_engine(self)

    # -- threads ------------------------------------------------------------------------------

    def call_on_loop(self, callback: Callable[..., object], *args: object) -> None:
        """Call ``callback`` on the loop's thread soon, unless it is closed; from any thread."""
        call_soon(self.loop, callback, *args)

    def on_loop_thread(self) -> bool:
        """Tell whether the caller runs on the loop's thread; from any thread."""
        return threading.get_ident() == self._ident

    # -- the state ----------------------------------------------------------------------------

    def _state_changed(self, new: EngineState, old: EngineState) -> None:
        engine = self.engine
        if state_logger.isEnabledFor(logging.INFO):
            state_logger.info(
                "Change state on %r from %r -> %r",
                engine,
                old,
                new,
                extra={"old_state": old, "new_state": new, "RE": engine},
            )
        if engine.state_hook is not None:
            try:
                engine.state_hook(new, old)
            except BaseException:
                self.log.exception("state_hook raised for %r -> %r.", str(old), str(new))
        self.owner.state_changed(new, old)

    def is_between_messages(self) -> bool:
        """Tell whether no message is under way, or one that may be taken for none."""
        plan = self.plan
        return self.states.now in (EngineState.IDLE, EngineState.PAUSED) or (
            plan is not None and plan.safe_waits > 0
        )

    def attend_before_next_message(self) -> None:
        """Have the message loop see to changes that are to be made."""
        if self.states.now is not EngineState.IDLE and self.plan is not None:
            self.plan.asked.attention = True

    @contextmanager
    def at(self, what: str) -> Iterator[None]:
        """Say meanwhile what is done, for who wonders what it waits for: ``"stop motor"``."""
        before, self.doing = self.doing, what
        try:
            yield
        finally:
            self.doing = before

    async def let_subscribers_catch_up(self) -> None:
        """Wait for a document subscriber that is far behind, unless something else comes first.

        The document is out by then. So a request ends the wait, and not the message, which would
        be repeated: no run is opened or closed twice. The clean-up waits when all is done.
        """
        plan = self.plan
        if plan is None or asyncio.current_task() is not self.engine._task:
            await self.documents.caught_up()
            return
        if plan.asked.attention or plan.pardons:
            return
        try:
            with self.at("let a document subscriber catch up"):
                await self.documents.caught_up()
        except asyncio.CancelledError:
            if not plan.asked.attention:
                raise  # nobody has asked for anything

    # -- the plan -----------------------------------------------------------------------------

    @property
    def no_value(self) -> Any:
        """What stands for the value of a plan that has returned none."""
        return self.engine.NO_PLAN_RETURN

    @property
    def under_way(self) -> PlanUnderWay:
        """The plan that runs."""
        assert self.plan is not None, "no plan runs"
        return self.plan

    def take_plan(self, plan: PlanUnderWay, made: Any, metadata: Mapping[str, Any]) -> None:
        """Take a plan that is about to begin, and forget the one before.

        Parameters
        ----------
        made : object
            The plan as it was given, for bluesky's metadata.
        metadata : mapping
            For its runs.
        """
        self.forget_call()
        self.statuses.begin(plan)
        self._metadata.update(metadata)
        self.engine._plan = made
        self.plan_name = plan.name
        self.plan = plan

    def forget_call(self) -> None:
        """Forget what bluesky's commands have noted for a plan."""
        self._metadata.clear()
        self._start_uids.clear()
        self.devices.forget()
        self.unsubscribe_for_plan()

    def subscribe_for_plan(self, subs: Mapping[str, list[Callable[..., Any]]]) -> None:
        """Subscribe for the documents of the plan that begins."""
        for name, funcs in subs.items():
            for func in funcs:
                self._temporary.add(self.engine.subscribe(func, name))

    def unsubscribe_for_plan(self) -> None:
        """End the subscriptions of the plan, which has ended; a task goes on without them."""
        while self._temporary:
            self.engine.unsubscribe(self._temporary.pop())

    @property
    def run_start_uids(self) -> tuple[str, ...]:
        """The uids of the runs that the plan has opened."""
        return tuple(self._start_uids)

    def note_run(self, plan: PlanUnderWay, uid: str) -> None:
        """Note a run of a task of a plan's own for the plan's result."""
        for aside in self.parked:
            if aside.plan is plan:
                aside.of(self).start_uids.append(uid)
                return
        self._start_uids.append(uid)
        self.tasks.run_opened(uid)

    def lay_aside(self) -> _Laid:
        """Hand out what is kept for the plan; see `Aside`."""
        engine = self.engine
        kept = [(each, each.copy()) for each in (self.runs, self._metadata, self._temporary)]
        laid = _Laid(
            list(self._start_uids),
            kept,
            engine.dispatcher.set_aside(self._temporary),
            (self.plan, self.plan_name, engine._plan, engine._task, engine.rewindable),
        )
        for each, _ in kept:
            each.clear()
        self._start_uids.clear()
        engine.rewindable = True
        return laid

    def take_up(self, laid: _Laid) -> None:
        """Keep again what belongs to a plan that was parked."""
        engine = self.engine
        self._start_uids[:] = laid.start_uids
        for each, copy in laid.kept:
            each.clear()
            each.update(copy)
        engine.dispatcher.put_back(laid.subscribers)
        self.plan, self.plan_name, engine._plan, engine._task, engine.rewindable = laid.attributes

    def tell_of_exit(self) -> None:
        """Have bluesky's tracing know how the plan stands, when a run of it is closed."""
        plan = self.under_way
        self.engine._exit_status, self.engine._reason = plan.exit_status, plan.reason

    def forget_runs(self) -> None:
        """Forget the runs, all of them closed."""
        self.runs.clear()
        if not self.parked:  # else they are those of its runs
            self.engine._destroy_open_run_tracing_spans()

    def plan_has_ended(self) -> None:
        """Tell those who keep something for the plan, before its clean-up."""
        for callback in self.end_callbacks:
            callback()
        if self.devices.moved:
            self.household.touched.add(self.devices.moved)

    def put_below_plan(self, tail: Generator[Msg, Any, Any]) -> None:
        """Have ``tail`` run when the plan has completed; see `PlanStack.put_below`."""
        self.under_way.stack.put_below(tail)

    def fail_plan(self, error: BaseException, *, at_once: bool = False) -> None:
        """Throw ``error`` into the plan at its next message; from any thread.

        ``at_once``, from the loop's thread: now, whatever the plan waits for.
        """
        plan = self.plan
        if plan is not None:
            plan.fail(error)
            if at_once:
                plan.hear_of_failure()
        self.log.error("Failure from outside of plan %r: %r", self.plan_name, error)

    async def end_tasks(self) -> None:
        """End the plan's tasks the way that the plan itself is ended."""
        ways = {EngineState.STOPPING: "stop", EngineState.HALTING: "halt"}
        reason = self.under_way.reason or f"its plan {self.plan_name!r} has ended"
        await self.tasks.cancel_all(ways.get(self.states.now, "abort"), reason)

    # -- pausing ------------------------------------------------------------------------------

    def pause_at_checkpoint(self) -> bool:
        """Pause now, if a deferred pause was requested; by a command.

        Returns
        -------
        bool
            Whether the plan is paused before its next message.
        """
        plan = self.under_way
        if not self.states.pause_deferred:
            return False
        with self.states.lock:
            if not self.states.pause_deferred or self.states.now is not EngineState.RUNNING:
                return False
            self.states.change_locked(EngineState.PAUSING)
            plan.pause_from_inside()
        self.states.announce()
        return True

    def park_at_checkpoint(self) -> bool:
        """Let another plan run in this one's place, if one waits; by a command.

        Returns
        -------
        bool
            Whether that is to happen before the next message.
        """
        plan, states = self.under_way, self.states
        if not (states.preempted and plan.replay.possible and states.now is EngineState.RUNNING):
            return False
        plan.asked.park = plan.asked.attention = True
        return True

    def pause_from_inside(self) -> None:
        """Pause before the next message: what the ``pause`` message does."""
        plan = self.under_way
        with self.states.lock:
            if plan.asked.ending:
                raise TransitionError(
                    f"The plan {plan.name!r} cannot be paused while the engine is "
                    f"{str(self.states.now)!r}."
                )
            if not self.states.now.can_pause:
                return  # another thread has asked for a pause or an end, which is on its way
            self.states.change_locked(EngineState.PAUSING)
            plan.pause_from_inside()
        self.states.announce()

    async def stop_moved(self) -> None:
        """Stop what the plan has moved, but for what somebody else holds by now."""
        self.leave_to_others()
        for device in list(self.devices.moved):
            try:
                with self.at(f"stop {safe_name(device)}"):
                    await self.stop(device)
            except Exception:
                self.log.exception("Failed to stop %r.", device)

    async def stop(self, device: Any) -> None:
        """Stop a device that the plan has moved, if it can be and nobody else holds it by now."""
        if not isinstance(device, Stoppable):
            self.log.debug("No 'stop' method available on %r", device)
            return
        with self.claim_check.stopping(device) as ours:
            if ours:
                await maybe_await(device.stop(success=True))

    def leave_to_others(self) -> None:
        """Forget to have moved what somebody else holds by now: it is theirs to stop."""
        moved = self.devices.moved
        if moved:
            moved.difference_update(self.tasks.held_by_others(moved))

    def devices_in_use(self) -> list[Any]:
        """Return what the plan moves, has moved or has staged; from any thread."""
        devices = self.devices
        parked = [device for aside in self.parked for device in aside.devices()]
        return [*devices.moved.copy(), *devices.staged.copy(), *self.statuses.in_use(), *parked]

    # -- rewinding ----------------------------------------------------------------------------

    def take_checkpoint(self, again: Iterable[Msg] = ()) -> None:
        """Repeat nothing of what was done until now, but for some messages."""
        plan = self.plan
        if plan is not None and plan.replay.messages is not None:
            plan.replay.messages = [*again]
            for run in self.runs.values():
                run.reset_checkpoint_state()

    def rewind(self) -> Generator[Msg, Any, None]:
        """Return a plan of the messages since the last checkpoint, which are to be repeated."""
        plan = self.under_way
        return plan.replay.rewind(self.runs.values(), self.registry.waits, plan.stack.answers)

    def forget_run(self, key: Any) -> None:
        """Repeat nothing of a run that is closed.

        bluesky would trigger again, and fail where it saves an event of that run.
        """
        replay = self.under_way.replay
        if not replay.messages:
            return
        busy = {id(device) for device in self.statuses.in_use()}
        is_of_run = self.registry.is_of_run
        replay.keep(lambda msg: msg.run != key or not is_of_run(msg.command) or id(msg.obj) in busy)

    # -- commands -----------------------------------------------------------------------------

    def original(self, name: str) -> Handler:
        """Return what bluesky's own engine has for a command."""
        return self.registry.original(name)
