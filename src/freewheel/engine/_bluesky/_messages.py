"""The message loop: pulls messages from the plan, carries them out, sends the answers back.

It does what bluesky's ``RunEngine._run`` does, in the same order, with these differences:

- What another thread asks for (pause, stop, …) is taken up here, between two messages, and
  nowhere else. Nothing that was asked for can be overwritten by what the loop does meanwhile.
- A message that a pause or a suspension cut short is answered by its replay, not with ``None``.
- ``SystemExit`` and its like are failures of the plan, not of the thread.
- A halt is final: a plan that answers it with another message is dropped.
"""

from __future__ import annotations

import asyncio
import logging
import types
from time import monotonic
from typing import TYPE_CHECKING, Any, final

from bluesky.run_engine import InvalidCommand
from bluesky.utils import Msg, PlanHalt

from freewheel.core import EngineState
from freewheel.core._connection import told_of_connection
from freewheel.core._devices import quoted_name
from freewheel.core._patience import time_out_text

from ._registry import UnknownCommandError
from ._rest import Rest
from ._stack import close_plan, no_message

if TYPE_CHECKING:
    from collections.abc import Generator

    from ._core import EngineCore
    from ._plan_run import PlanRun

__all__ = ["MessageLoop"]

_msg_log = logging.getLogger("bluesky.RE.msg")


@types.coroutine
def _turn() -> Generator[None, None, None]:
    """Let the event loop have a turn: ``asyncio.sleep(0)`` without its coroutine."""
    yield


@final
class MessageLoop:
    """The way of one plan's messages through the engine. All of it on the engine's loop."""

    __slots__ = ("_core", "_plan", "_rest")

    def __init__(self, core: EngineCore, plan: PlanRun) -> None:
        self._core = core
        self._plan = plan
        self._rest = Rest(core, plan)

    async def process(self) -> None:
        """Carry out the plan's messages until it ends, or raise its failure."""
        core, plan = self._core, self._plan
        registry, seen, engine = core.registry, core.devices.seen, core.engine
        asked, answers, replay = plan.asked, plan.stack.answers, plan.replay
        background = core.household.background
        thrown: BaseException | None = None
        # The task's first step is a turn of the event loop already. What was asked for before it
        # has changed the state, and may have yet to be heard of.
        begins = core.states.now is EngineState.RUNNING
        while True:
            if begins:
                begins = False
            elif thrown is None:
                try:
                    await _turn()
                except asyncio.CancelledError as error:
                    thrown = self._cut_short_by(None, error)
            if asked.attention:
                thrown = await self._attend(thrown)
            msg = self._next_message(thrown)
            if msg is None:
                return
            thrown = None
            if (
                engine.msg_hook is not None
                or background.msg_hook is not None
                or _msg_log.isEnabledFor(logging.DEBUG)
            ):
                self._show(msg)
            seen.add(msg.obj)
            core.message = msg
            command = msg.command
            if (
                replay.messages is not None
                and engine._rewindable_flag
                and command not in registry.unrepeated
            ):
                replay.messages.append(msg)
                if len(replay.messages) > core.household.max_cached_messages:
                    self._bound_replay()
            response: Any
            began = monotonic()
            try:
                response = await registry[command](msg)
            except asyncio.CancelledError as error:
                thrown = self._cut_short_by(msg, error)
                response = None
            except BaseException as error:
                response = self._answer_to(msg, error, monotonic() - began)
            core.message = None
            answers.append(response)

    def _answer_to(self, msg: Msg, error: BaseException, took: float) -> BaseException | None:
        """Return what the plan is told of what its message has raised after `took` seconds."""
        if isinstance(error, UnknownCommandError):
            return self._unknown_command(msg)
        if isinstance(error, KeyboardInterrupt):
            self._halt_from_inside()
            return None
        text = time_out_text(error, took)
        if text is None:
            return told_of_connection(error, msg.obj, *msg.args)
        device = "" if msg.obj is None else f" of {quoted_name(msg.obj)}"
        told = TimeoutError(f"{text} ({msg.command}{device})")
        told.__cause__ = error
        return told

    def _show(self, msg: Msg) -> None:
        core = self._core
        if core.registry.is_private(msg.command):
            return
        task, hook = core.tasks.task, core.engine.msg_hook
        if hook is not None:
            hook(msg)
        if task is not None:
            core.household.background.show_message(task, msg)
        _log_message(msg)

    def _unknown_command(self, msg: Msg) -> InvalidCommand:
        known = sorted(name for name in self._core.registry.names() if not name.startswith("_"))
        return InvalidCommand(
            f"{msg.command!r} is no command of this engine (in a message of plan "
            f"{self._plan.name!r}). Register it with register_command; the commands are: "
            f"{', '.join(known)}."
        )

    def _bound_replay(self) -> None:
        """Bound what is kept for a plan that takes no checkpoints, where nothing is under way."""
        core, replay = self._core, self._plan.replay
        if any(run.bundling for run in core.runs.values()) or core.statuses.any_under_way():
            return
        count = len(replay.messages or ())
        if replay.bound():
            core.log.warning(
                "The plan %r has sent %d messages without a checkpoint. The engine takes one "
                "for it: a resume will repeat what comes after it. Yield checkpoints in long "
                "plans.",
                self._plan.name,
                count,
            )
        for run in core.runs.values():
            run.reset_checkpoint_state()

    # -- the plan -----------------------------------------------------------------------------

    def _next_message(self, thrown: BaseException | None) -> Msg | None:
        """Send the last answer, or throw ``thrown``, into the plan; ``None`` when it has ended.

        An exception that the topmost generator does not handle is thrown into the one below it,
        and raised here when there is none.
        """
        plan = self._plan
        stack = plan.stack
        while True:
            response = stack.answers.pop()
            if plan.failure is not None:
                thrown = plan.take_failure()
            if thrown is None and isinstance(response, BaseException):
                thrown = response
            top = stack.plans[-1]
            try:
                msg = top.send(response) if thrown is None else top.throw(thrown)
            except StopIteration as end:
                if stack.ended(end.value):
                    return None
                thrown = None
            except KeyboardInterrupt:
                # Some library has raised it on this thread. bluesky answers with a halt.
                self._halt_from_inside()
                thrown = PlanHalt()
                stack.answers.append(None)
            except BaseException as error:
                stack.plans.pop()
                if not stack.plans or isinstance(error, GeneratorExit):
                    raise
                thrown = error
            else:
                if isinstance(thrown, PlanHalt):
                    self._drop(top)
                    raise thrown
                if isinstance(msg, Msg):
                    return msg
                thrown = no_message(msg, plan.name)
                stack.answers.append(None)

    def _drop(self, top: Any) -> None:
        """Put aside a plan that went on after it was halted."""
        self._plan.stack.plans.pop()
        log = self._core.log
        log.warning(
            "The plan %r went on after it was halted; what it still wanted to do was not done.",
            self._plan.name,
        )
        close_plan(top, log)

    def _halt_from_inside(self) -> None:
        plan, states = self._plan, self._core.states
        self._core.log.error(
            "KeyboardInterrupt was raised on the run engine's thread: the plan %r is halted.",
            plan.name,
        )
        with states.lock:
            if EngineState.HALTING in states.now.after_names():
                states.change_locked(EngineState.HALTING)
            plan.interrupted = True
            plan.asked.exit = PlanHalt
            plan.asked.attention = True
        states.announce()

    # -- requests -----------------------------------------------------------------------------

    def _cut_short_by(self, msg: Msg | None, error: asyncio.CancelledError) -> BaseException | None:
        """Tell a request's cancellation from another's; return what is to be thrown, if anything.

        Parameters
        ----------
        msg : Msg or None
            The message that was being carried out.
        """
        plan, asked = self._plan, self._plan.asked
        # Or else it is something inside of the message that was cancelled.
        task_cancelled = plan.task.cancelling() > 0
        plan.forget_cancellation()
        if not asked.attention:
            plan.cancelled |= task_cancelled
            return error
        if msg is not None and (asked.rest or asked.suspend or asked.park):
            # Its replay answers it: this is the place that its answer will have.
            plan.replay.note_cut_short(msg, len(plan.stack.answers))
        return None

    async def _attend(self, thrown: BaseException | None) -> BaseException | None:
        """Do what was asked for; return what is then to be thrown into the plan, if anything."""
        plan, asked = self._plan, self._plan.asked
        plan.forget_cancellation()  # a command may have answered in spite of it
        while asked.attention:
            asked.attention = False
            try:
                await self._carry_out_requests()
            except asyncio.CancelledError as error:
                # A newer request, or somebody who cancels the task: the latter fails the plan.
                stray = self._cut_short_by(None, error)
                if stray is not None:
                    return stray
            except BaseException as error:
                self._rest.give_up()
                thrown = thrown or error
        if asked.exit is None:
            return thrown
        if thrown is not None and asked.exit is not PlanHalt:
            asked.attention = True  # one thing at a time; the request comes next
            return thrown
        thrown, asked.exit = asked.exit(), None
        plan.cleans_up = True
        return thrown

    async def _carry_out_requests(self) -> None:
        # By what was applied on this thread, not by the state, which may be ahead of it: another
        # thread may have changed it for a request that this one has yet to hear of.
        core, asked, rest = self._core, self._plan.asked, self._rest
        if core.between is not None and core.between.pending:
            await self._make_changes()
        if asked.suspend:
            asked.suspend = False
            rest.suspend()
        rest_asked, asked.rest = asked.rest, False
        park_asked, asked.park = asked.park, False
        if rest_asked and asked.exit is None:
            await rest.come()
        elif park_asked and asked.exit is None:
            await rest.park()
        await rest.restore_monitors()  # a pause may have been given up half-way
        if asked.exit is not None:
            await self._end_tasks()

    async def _make_changes(self) -> None:
        """Make the changes that are to be made between two messages."""
        between = self._core.between
        assert between is not None
        if self._plan.asked.exit is None:
            await between.settle()  # a request that cuts this short leaves them going on
        else:
            between.give_up()

    async def _end_tasks(self) -> None:
        """End the plan's tasks before it hears that it is to end."""
        if not self._core.tasks.any_alive:
            return
        try:
            await self._core.end_tasks()
        except asyncio.CancelledError as error:
            if self._cut_short_by(None, error) is not None:
                raise
            # A halt. The engine's own clean-up sees to what is left.


def _log_message(msg: Msg) -> None:
    _msg_log.debug(
        "%s(%r, *%r **%r, run=%r)",
        msg.command,
        msg.obj,
        msg.args,
        msg.kwargs,
        msg.run,
        extra={"msg_command": msg.command},
    )
