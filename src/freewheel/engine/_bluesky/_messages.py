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
import sys
import types
from typing import TYPE_CHECKING, Any, Final

from bluesky.bundlers import maybe_await
from bluesky.protocols import Pausable
from bluesky.run_engine import (
    FailedPause,
    InvalidCommand,
    NoReplayAllowed,
    RequestAbort,
    RequestStop,
)
from bluesky.utils import Msg, PlanHalt, ensure_generator, single_gen

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

__all__ = ["MessageLoop"]

_msg_log = logging.getLogger("bluesky.RE.msg")

#: The commands that are of use only while their run is open.
_OF_A_RUN: Final = frozenset(
    "acquire collect complete create declare_stream drop kickoff prepare read save trigger".split()
)


@types.coroutine
def _turn() -> Generator[None, None, None]:
    """Let the event loop have a turn: ``asyncio.sleep(0)`` without its coroutine."""
    yield


class MessageLoop:
    """Mixin: the way of one plan through the engine. All of it runs on the engine's loop."""

    # What each attribute holds is said where the engine makes it, in `_engine.py`.
    _plan_stack: list[Any]
    _response_stack: list[Any]
    _msg_cache: list[Msg] | None
    _exit_request: type[BaseException] | None
    _cut_short: tuple[Msg, int] | None
    _exception: BaseException | None
    _waiting_commands: set[str]

    async def _process_messages(self: Any) -> Any:
        """Carry out the plan's messages until it ends; return its value, or raise its failure."""
        registry = self._command_registry
        uncacheable = self._uncacheable
        thrown: BaseException | None = None
        while True:
            if thrown is None:
                try:
                    await _turn()
                except asyncio.CancelledError as error:
                    thrown = self._cut_short_by(None, error)
            if self._attention:
                thrown = await self._attend(thrown)
            msg = self._next_message(thrown)
            if msg is None:
                return self._plan_value
            thrown = None
            if self.msg_hook is not None or _msg_log.isEnabledFor(logging.DEBUG):
                self._show(msg)
            self._objs_seen.add(msg.obj)
            command = msg.command
            if self._msg_cache is not None and self._rewindable_flag and command not in uncacheable:
                self._remember(msg)
            response: Any
            try:
                handler = registry[command]
            except KeyError:
                response = self._unknown_command(msg)
            else:
                try:
                    response = await handler(msg)
                except asyncio.CancelledError as error:
                    thrown = self._cut_short_by(msg, error)
                    response = None
                except BaseException as error:
                    response = self._answer_to(error)
            self._response_stack.append(response)

    def _answer_to(self: Any, error: BaseException) -> BaseException | None:
        """Return what the plan is told of what its message has raised."""
        if isinstance(error, KeyboardInterrupt):
            self._halt_from_inside()
            return None
        return error

    def _show(self: Any, msg: Msg) -> None:
        if self.msg_hook is not None:
            self.msg_hook(msg)
        _log_message(msg)

    def _unknown_command(self: Any, msg: Msg) -> InvalidCommand:
        known = sorted(name for name in self.commands if not name.startswith("_"))
        return InvalidCommand(
            f"{msg.command!r} is no command of this engine (in a message of plan "
            f"{self.plan_name!r}). Register it with register_command; the commands are: "
            f"{', '.join(known)}."
        )

    # -- the plan -----------------------------------------------------------------------------

    def _next_message(self: Any, thrown: BaseException | None) -> Msg | None:
        """Send the last answer, or throw ``thrown``, into the plan; ``None`` when it has ended.

        An exception that the topmost plan of the stack does not handle is thrown into the one
        below it, and raised here when there is none.
        """
        while True:
            response = self._response_stack.pop()
            if self._exception is not None:
                with self._state_lock:  # set by whoever finds a failed status
                    thrown, self._exception = self._exception, None
            if thrown is None and isinstance(response, BaseException):
                thrown = response
            plan = self._plan_stack[-1]
            try:
                msg = plan.send(response) if thrown is None else plan.throw(thrown)
            except StopIteration as end:
                self._plan_stack.pop()
                self._last_value = end.value
                if not self._plan_stack:
                    self._plan_value = end.value
                    return None
                thrown = None
            except KeyboardInterrupt:
                # Some library has raised it on this thread. bluesky answers with a halt.
                self._halt_from_inside()
                thrown = PlanHalt()
                self._response_stack.append(None)
            except BaseException as error:
                self._plan_stack.pop()
                if not self._plan_stack or isinstance(error, GeneratorExit):
                    raise
                thrown = error
            else:
                if isinstance(thrown, PlanHalt):
                    self._drop_plan(plan)
                    raise thrown
                if not isinstance(msg, Msg):
                    thrown = _no_message(msg, self.plan_name)
                    self._response_stack.append(None)
                    continue
                return msg

    def _drop_plan(self: Any, plan: Any) -> None:
        """Put aside a plan that went on after it was halted."""
        self._plan_stack.pop()
        self.log.warning(
            "The plan %r went on after it was halted; what it still wanted to do was not done.",
            self.plan_name,
        )
        _close_plan(plan, self.log)

    # -- requests -----------------------------------------------------------------------------

    def _cut_short_by(
        self: Any, msg: Msg | None, error: asyncio.CancelledError
    ) -> BaseException | None:
        """Tell a request's cancellation from another's; return what is to be thrown, if anything.

        Parameters
        ----------
        msg : Msg or None
            The message that was being carried out.
        """
        while self._task.uncancel():
            pass
        if not self._attention:
            return error
        if msg is not None and (self._rest_asked or self._suspend_asked):
            # Its replay answers it: this is the place that its answer will have.
            self._cut_short = (msg, len(self._response_stack))
        return None

    async def _attend(self: Any, thrown: BaseException | None) -> BaseException | None:
        """Do what was asked for; return what is then to be thrown into the plan, if anything."""
        while self._task.uncancel():  # a command may have answered in spite of its cancellation
            pass
        while self._attention:
            self._attention = False
            try:
                await self._carry_out_requests()
            except asyncio.CancelledError as error:
                # A newer request, or somebody who cancels the task: the latter fails the plan.
                stray: BaseException | None = self._cut_short_by(None, error)
                if stray is not None:
                    return stray
            except BaseException as error:
                self._resume_after_failure()
                thrown = thrown or error
        if self._exit_request is None:
            return thrown
        if thrown is not None and self._exit_request is not PlanHalt:
            self._attention = True  # one thing at a time; the request comes next
            return thrown
        thrown, self._exit_request = self._exit_request(), None
        return thrown

    async def _carry_out_requests(self: Any) -> None:
        # By what was applied on this thread, not by the state, which may be ahead of it: another
        # thread may have changed it for a request that this one has yet to hear of.
        if self.between is not None and self.between.pending:
            await self._make_changes()
        if self._suspend_asked:
            self._suspend_asked = False
            self._begin_suspension()
        rest_asked, self._rest_asked = self._rest_asked, False
        if rest_asked and self._exit_request is None:
            await self._rest()
        await self._restore_monitors()  # a pause may have been given up half-way
        if self._exit_request is not None:
            await self._before_exit()

    async def _make_changes(self: Any) -> None:
        """Make the changes that are to be made between two messages."""
        if self._exit_request is None:
            await self.between.settle()  # a request that cuts this short leaves them going on
        else:
            self.between.give_up()

    async def _before_exit(self: Any) -> None:
        """Do what must be done before the plan hears that it is to end: a hook."""

    async def _restore_monitors(self: Any) -> None:
        if self._monitors_rest:
            self._monitors_rest = False
            for run in self._run_bundlers.values():
                await run.restore_monitors()

    def _begin_suspension(self: Any) -> None:
        if not self.resumable and self._fail_pause("suspended"):
            return
        with self._state_lock:
            if self._state == "suspending":
                self._set_state_locked("running")
        self.announce_states()
        self._stack_suspensions()

    def _stack_suspensions(self: Any) -> None:
        while self._suspensions:
            pre_plan, post_plan, justification, fut = self._suspensions.popleft()
            start = Msg("_start_suspender", None, pre_plan, post_plan, justification, fut)
            self._plan_stack.append(single_gen(start))
            self._response_stack.append(None)

    def _fail_pause(self: Any, what: str) -> bool:
        """Abort: a plan that has cleared its checkpoint can be neither paused nor suspended.

        Returns
        -------
        bool
            False if an end was requested meanwhile, which then comes.
        """
        with self._state_lock:
            if self._state not in ("pausing", "suspending"):
                return False
            self._set_state_locked("aborting")
            self._exit_request = FailedPause
            self._interrupted = True
        self.announce_states()
        self.log.error(
            "The plan %r cannot be %s: it has cleared its checkpoint. It is aborted.",
            self.plan_name,
            what,
        )
        return True

    async def _rest(self: Any) -> None:
        """Bring everything to rest and wait until the plan is resumed or is to end."""
        if self.resumable:
            for run in self._run_bundlers.values():
                run.record_interruption("pause")
            self._monitors_rest = True
            for run in self._run_bundlers.values():
                await run.suspend_monitors()
            await self._stop_movable_objects(success=True)
            await self._pause_devices()
        elif self._fail_pause("paused"):
            return
        wake = self._wake = self._loop.create_future()
        with self._state_lock:
            at_rest = self._state == "pausing"
            if at_rest:
                self._set_state_locked("paused")
        if at_rest:
            self.announce_states()
            self._plan_paused()
        # Not at rest: the plan's end was requested meanwhile. This thread has heard of it, or will.
        if self._exit_request is None and await wake:
            await self._resume_from_rest()

    async def _pause_devices(self: Any) -> None:
        for obj in list(self._objs_seen):
            if isinstance(obj, Pausable):
                try:
                    await maybe_await(obj.pause())
                except NoReplayAllowed:
                    self._reset_checkpoint_state_meth()

    async def _resume_from_rest(self: Any) -> None:
        self._interrupted = False
        for run in self._run_bundlers.values():
            run.record_interruption("resume")
        self._stack_suspensions()
        self._plan_stack.append(self._rewind())
        self._response_stack.append(None)
        for obj in list(self._objs_seen):
            if isinstance(obj, Pausable):
                await maybe_await(obj.resume())

    def _resume_after_failure(self: Any) -> None:
        """Run on: a device that failed to pause or to resume is the plan's failure."""
        with self._state_lock:
            if self._state in ("pausing", "paused"):
                self._interrupted = False
                self._set_state_locked("running")
        self.announce_states()

    def _halt_from_inside(self: Any) -> None:
        self.log.error(
            "KeyboardInterrupt was raised on the run engine's thread: the plan %r is halted.",
            self.plan_name,
        )
        with self._state_lock:
            if "halting" in self._state.after_names():
                self._set_state_locked("halting")
            self._interrupted = True
            self._exit_request = PlanHalt
            self._attention = True
        self.announce_states()

    # -- rewinding ----------------------------------------------------------------------------

    def _remember(self: Any, msg: Msg) -> None:
        cache = self._msg_cache
        cache.append(msg)
        if len(cache) > self.max_cached_messages:
            self._take_checkpoint_for(cache)

    def _reset_checkpoint_state_meth(self: Any) -> None:
        # A list, for it only grows: an empty one has a tenth of the memory of bluesky's deque.
        if self._msg_cache is not None:
            self._msg_cache = []
            for run in self._run_bundlers.values():
                run.reset_checkpoint_state()

    def _take_checkpoint_for(self: Any, cache: list[Msg]) -> None:
        """Bound the cache of a plan that takes no checkpoints, where nothing is under way."""
        if any(run.bundling for run in self._run_bundlers.values()):
            return
        if any(not status.done for group in self._status_objs.values() for status in group):
            return
        if not self._warned_of_cache:
            self._warned_of_cache = True
            self.log.warning(
                "The plan %r has sent %d messages without a checkpoint. The engine takes one "
                "for it: a resume will repeat what comes after it. Yield checkpoints in long "
                "plans.",
                self.plan_name,
                len(cache),
            )
        last = cache.pop()
        self._reset_checkpoint_state_meth()
        self._msg_cache.append(last)

    def _forget_run(self: Any, run: Any) -> None:
        """Repeat nothing of a run that is closed.

        bluesky would trigger again, and fail where it saves an event of that run.
        """
        if self._msg_cache:
            busy = {id(device) for device in self.lean_statuses.in_use()}
            self._msg_cache = [
                msg
                for msg in self._msg_cache
                if msg.run != run or msg.command not in _OF_A_RUN or id(msg.obj) in busy
            ]

    def _rewind(self: Any) -> Iterator[Msg]:
        """Return a plan of the messages since the last checkpoint, which are to be repeated.

        The message that was cut short is the last of them. A message that waits (one that
        `register_waiting_command` knows) is not repeated once it was answered, but is asked
        again if it was cut short.
        """
        messages = list(self._msg_cache or ())
        self._msg_cache = []
        if messages:
            for run in self._run_bundlers.values():
                run.rewind()
        cut_short, self._cut_short = self._cut_short, None
        slot = None
        if cut_short is not None:
            msg, place = cut_short
            if msg.command in self._waiting_commands:
                messages.append(msg)
                slot = place
            elif messages and messages[-1] is msg:
                slot = place
        return self._replay(messages, slot)  # type: ignore[no-any-return]

    def _replay(self: Any, messages: list[Msg], slot: int | None) -> Generator[Msg, Any, None]:
        response = None
        for msg in messages:
            response = yield msg
        if slot is not None:
            self._response_stack[slot] = response


def _no_message(thing: Any, plan_name: str) -> TypeError:
    return TypeError(
        f"The plan {plan_name!r} yielded {thing!r}, which is no Msg. Write `yield from` before a "
        "plan or a plan stub."
    )


def _close_plan(plan: Any, log: Any) -> None:
    try:
        plan.close()
    except RuntimeError:
        # On the standard output and in these words: bluesky's tests ask for both.
        sys.stdout.write(
            f"The plan {plan!r} tried to yield a value on close.  Please fix your plan.\n"
        )
    except BaseException as error:
        log.warning("The plan %r raised %r when it was closed.", plan, error)


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


def start_of(plan: Any, preprocessors: list[Callable[[Any], Any]]) -> Any:
    """Return ``plan`` as a generator, with the preprocessors applied in their order."""
    generator = ensure_generator(plan)
    for preprocessor in preprocessors:
        generator = preprocessor(generator)
    return generator


#: How a state that ends the plan is told to it.
EXIT_REQUESTS: Final = {
    "stopping": RequestStop,
    "aborting": RequestAbort,
    "halting": PlanHalt,
}
