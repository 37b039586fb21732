"""The commands that concern a plan's own course: checkpoints, suspensions, runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from bluesky.utils import Msg, ensure_generator

if TYPE_CHECKING:
    from collections.abc import Generator

    from freewheel.engine._bluesky import EngineCore

__all__ = [
    "ClearCheckpoint",
    "CloseRun",
    "CountStagingsAgain",
    "CountStopsOfAll",
    "OpenRun",
    "StartSuspender",
]


@final
class ClearCheckpoint:
    """``Msg("clear_checkpoint")``: have the plan never be rewound."""

    __slots__ = ("_core",)

    def __init__(self, core: EngineCore) -> None:
        self._core = core

    async def __call__(self, msg: Msg) -> None:
        """Forget what a rewind would repeat, in the open runs too."""
        self._core.under_way.replay.give_up()
        for run in self._core.runs.values():
            await run.clear_checkpoint(msg)


@final
class OpenRun:
    """``Msg("open_run", None, **metadata)``: open a run."""

    __slots__ = ("_core",)

    def __init__(self, core: EngineCore) -> None:
        self._core = core

    async def __call__(self, msg: Msg) -> Any:
        """Open it, and have the task whose plan this is know of it."""
        uid = await self._core.original("open_run")(msg)
        self._core.tasks.run_opened(uid)
        return uid


@final
class CloseRun:
    """``Msg("close_run", None, exit_status=None, reason=None)``: close a run."""

    __slots__ = ("_core",)

    def __init__(self, core: EngineCore) -> None:
        self._core = core

    async def __call__(self, msg: Msg) -> Any:
        """Close it, and repeat nothing of it any more."""
        core = self._core
        run, reason = core.runs.get(msg.run), core.under_way.reason
        core.tell_of_exit()
        if reason and msg.kwargs.get("exit_status") == "abort" and not msg.kwargs.get("reason"):
            # bluesky's run_wrapper knows that its plan is aborted, but not why.
            msg = msg._replace(kwargs={**msg.kwargs, "reason": reason})
        answer = await core.original("close_run")(msg)
        core.forget_run(msg.run)
        core.claim_check.run_closed(run)
        return answer


@final
class CountStopsOfAll:
    """``Msg("_count_stops_of_all")``: tell a plan how often everything was stopped."""

    __slots__ = ("_household",)

    def __init__(self, core: EngineCore) -> None:
        self._household = core.household

    async def __call__(self, msg: Msg) -> int:
        """Return the count: where it has changed, nothing is to move by itself any more."""
        return self._household.stops_of_all


@final
class CountStagingsAgain:
    """``Msg("_count_stagings_again", device)``: tell a plan whether its device was lent."""

    __slots__ = ("_core",)

    def __init__(self, core: EngineCore) -> None:
        self._core = core

    async def __call__(self, msg: Msg) -> int:
        """Return the count: where it has changed, what writes files has begun a new one."""
        return self._core.devices.staged_again[msg.obj]


@final
class StartSuspender:
    """``Msg("_start_suspender", None, pre_plan, post_plan, justification, until)``: suspend."""

    __slots__ = ("_core",)

    def __init__(self, core: EngineCore) -> None:
        self._core = core

    async def __call__(self, msg: Msg) -> None:
        """Bring the devices to rest, and put on the stack what follows."""
        pre_plan, post_plan, justification, until = msg.args
        core, plan = self._core, self._core.under_way
        for run in core.runs.values():
            run.record_interruption("suspended" if justification is None else justification)
        await core.stop_moved()
        await core.devices.pause(core.take_checkpoint)
        replay = core.rewind()
        pre_plan = pre_plan() if callable(pre_plan) else pre_plan
        post_plan = post_plan() if callable(post_plan) else post_plan
        rewindable = core.engine.rewindable
        plan.stack.push(_suspension(pre_plan, post_plan, until, rewindable, replay))


def _suspension(
    pre_plan: Any, post_plan: Any, until: Any, rewindable: bool, replay: Generator[Msg, Any, None]
) -> Generator[Msg, Any, None]:
    """Wait until a suspender lets go, between what it wants done; none of it is repeated."""
    yield Msg("rewindable", None, False)
    if pre_plan is not None:
        yield from ensure_generator(pre_plan)
    yield Msg("wait_for", None, [until])
    yield Msg("_resume_from_suspender", None)
    if post_plan is not None:
        yield from ensure_generator(post_plan)
    yield Msg("rewindable", None, rewindable)
    yield from replay
