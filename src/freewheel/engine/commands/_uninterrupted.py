"""The command ``uninterrupted``: messages that no pause comes in between."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, final

from bluesky.run_engine import InvalidCommand
from bluesky.utils import ensure_generator

from freewheel.core import EngineState
from freewheel.engine._bluesky import UnknownCommandError, close_plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from bluesky.utils import Msg

    from freewheel.engine._bluesky import EngineCore

__all__ = ["Uninterrupted"]

#: The states in which a request waits for the section's end. A halt waits for nothing.
_WAITS: Final = frozenset(
    {EngineState.PAUSING, EngineState.SUSPENDING, EngineState.STOPPING, EngineState.ABORTING}
)
_ENDS: Final = frozenset({EngineState.STOPPING, EngineState.ABORTING})
#: What changes how the messages around it are repeated, or waits for a request itself.
_REFUSED: Final = frozenset(
    "pause checkpoint clear_checkpoint rewindable input wait_for_actions uninterrupted".split()
)


@final
class Uninterrupted:
    """The command ``uninterrupted`` of one engine. It runs on the engine's loop.

    ::

        Msg("uninterrupted", None, plan, on_request=callable or None)

    It carries out the messages of a plan as one: a pause, a suspension, a stop or an abort that
    is asked for meanwhile takes effect when they are done, and a rewind repeats none of them.
    ``on_request`` is called with the state that was asked for (``EngineState.PAUSING``,
    ``SUSPENDING``, ``STOPPING`` or ``ABORTING``), on the loop, between two of its turns, for
    each request, and also for a deferred pause: the plan may come to its end sooner then. A halt
    cuts it short.

    Parameters
    ----------
    core : EngineCore
        The engine.
    """

    __slots__ = ("_core",)

    def __init__(self, core: EngineCore) -> None:
        self._core = core

    async def __call__(self, msg: Msg) -> Any:
        """Carry out the messages; return what their plan returns, or raise what it raises."""
        (plan,) = msg.args
        tell = msg.kwargs.get("on_request") or _nobody
        generator = ensure_generator(plan)
        # A task of its own: what cancels the engine's must not cut short a message.
        section = asyncio.ensure_future(self._carry_out(generator, tell))
        while True:
            try:
                await asyncio.wait({section})
                break
            except asyncio.CancelledError:
                state = self._core.states.now
                if state not in _WAITS:  # a halt, or somebody cancels the task itself
                    await _cut_short(section)
                    close_plan(generator, self._core.log)
                    raise
                if state in _ENDS:  # nothing that the section waits for is to hold that up
                    self._core.household.interlocks.give_up(self._core)
                tell(state)
        self._say_failure(section)
        return section.result()

    def _say_failure(self, section: asyncio.Task[Any]) -> None:
        """Log what nobody hears of for now: a plan that rests or ends hears something else."""
        core, state = self._core, self._core.states.now
        if state in _WAITS and (error := section.exception()):
            core.log.error(
                "A section of the plan %r has failed, which the engine's request (%s) has waited "
                "for: %r. A plan that is resumed is told of it then.",
                core.plan_name,
                state,
                error,
            )

    async def _carry_out(self, plan: Any, tell: Callable[[EngineState], None]) -> Any:
        under_way = self._core.under_way
        told = False
        response: Any = None
        error: BaseException | None = None
        while True:
            states = self._core.states
            if (states.pause_deferred or states.preempted) and not told:
                told = True
                tell(EngineState.PAUSING)
            try:
                msg = plan.send(response) if error is None else plan.throw(error)
            except StopIteration as end:
                return end.value
            response, error = None, None
            try:
                response = await self._handle(msg)
            except Exception as raised:
                error = raised
            if under_way.failure is not None:
                error = under_way.take_failure()

    async def _handle(self, msg: Msg) -> Any:
        core = self._core
        try:
            handler = None if msg.command in _REFUSED else core.registry[msg.command]
        except UnknownCommandError:
            handler = None
        if handler is None:
            raise InvalidCommand(
                f"{msg.command!r} cannot be part of an uninterrupted section of the plan "
                f"{core.plan_name!r}"
                + (
                    ": send it before or after."
                    if msg.command in _REFUSED
                    else ": no such command."
                )
            )
        if core.engine.msg_hook is not None:
            core.engine.msg_hook(msg)
        core.devices.seen.add(msg.obj)
        outer, core.message = core.message, msg
        try:
            return await handler(msg)
        finally:
            core.message = outer


def _nobody(_: EngineState) -> None:
    """Tell nobody of a request: it waits."""


async def _cut_short(section: asyncio.Future[Any]) -> None:
    section.cancel()
    while not section.done():
        try:
            await asyncio.wait({section})
        except asyncio.CancelledError:
            continue  # a second halt: the section ends at its next await anyhow
    if not section.cancelled():
        section.exception()  # retrieved: the halt is what counts
