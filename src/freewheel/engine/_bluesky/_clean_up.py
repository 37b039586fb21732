"""What the engine does when a plan has ended, however it ended.

Every step is tried, whatever became of those before it, and a halt cuts short the step that is
under way and hurries those that follow.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, final

from bluesky.protocols import Status
from bluesky.utils import Msg

from freewheel.core import EngineState
from freewheel.core._crossings import completion
from freewheel.core._devices import safe_name

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from ._core import EngineCore
    from ._plan_run import PlanRun

__all__ = ["CleanUp"]

#: Seconds that a step of the clean-up may take when the plan was halted.
HALT_GRACE: Final = 5.0
#: The same, once a halt was requested while a clean-up was under way.
HURRY_GRACE: Final = 0.5
#: Seconds for what a background plan has begun with devices, such as an exposure, to end.
MEASURE_GRACE: Final = 2.0


@final
class CleanUp:
    """The end of one plan. All of it on the engine's loop."""

    __slots__ = ("_core", "_plan")

    def __init__(self, core: EngineCore, plan: PlanRun) -> None:
        self._core = core
        self._plan = plan

    async def run(self, reason: str) -> BaseException | None:
        """End the tasks; stop, collect, unstage, close what is left; deliver the documents.

        Returns
        -------
        BaseException or None
            The first failure of a subscriber that a plan waits for.
        """
        core = self._core
        await self._end_tasks()
        for obj in list(core.devices.moved):
            await self._step(f"stop {safe_name(obj)}", core.stop(obj), fatal=False)
        for run in list(core.runs.values()):
            run.clear_monitors()
            await self._step("collect from flyers", run.backstop_collect(), fatal=False)
        await self._unstage_all()
        for key, run in list(core.runs.items()):
            if run.run_is_open:
                close = Msg(
                    "close_run", exit_status=self._plan.exit_status, reason=reason, run_id=key
                )
                await self._step(f"close run {key!r}", run.close_run(close), fatal=False)
        if core.tasks.task is not None:
            await self._step("wait for what it has begun", self._until_measured(), fatal=False)
        core.forget_runs()
        core.statuses.forget()
        core.claim_check.plan_over()
        core.tasks.release()
        self._plan.stack.close(core.log)
        return await self._deliver()

    async def _end_tasks(self) -> None:
        core = self._core
        if core.tasks.any_alive:
            await self._step("end the background tasks", core.end_tasks(), fatal=False)
        core.leave_to_others()
        failure = core.tasks.plan_over()
        if failure is not None:
            self._plan.task_failed = True
            self._mishap("end its background tasks", failure)

    async def _unstage_all(self) -> None:
        """Begin to unstage every device that is still staged, then wait for each of them."""
        staged = self._core.devices.staged
        begun = []
        for obj in list(staged):
            staged.discard(obj)
            try:
                with self._core.at(f"unstage {safe_name(obj)}"):
                    begun.append((obj, obj.unstage()))
            except BaseException as error:
                self._mishap(f"unstage {safe_name(obj)}", error)
        for obj, answer in begun:
            if isinstance(answer, Status) or asyncio.iscoroutine(answer):
                await self._step(f"unstage {safe_name(obj)}", completion(answer), fatal=True)

    async def _until_measured(self) -> None:
        """Wait for what a background plan has begun with devices, which others may use then.

        A plan in the foreground does not wait, as in bluesky: a person ends one whose detector
        hangs, and begins the next.
        """
        left = await self._core.statuses.all_ended(MEASURE_GRACE)
        if left:
            self._core.log.warning(
                "The background plan %r has ended and lets go of %s, which did not come to rest "
                "within %g s.",
                self._plan.name,
                ", ".join(map(safe_name, left)),
                MEASURE_GRACE,
            )

    async def _deliver(self) -> BaseException | None:
        first: BaseException | None = None
        for delivery in self._core.documents.awaited():
            await self._step("deliver the documents", delivery.drained(), fatal=False)
            first = first or delivery.take_failure()
        if first is None or self._core.documents.failures_ignored:
            return None
        return first

    async def _step(self, what: str, step: Awaitable[Any], *, fatal: bool) -> None:
        """Await one step; log what goes wrong, and with ``fatal`` keep it for the result."""
        plan, log = self._plan, self._core.log
        grace = None
        if plan.hurried:
            grace = HURRY_GRACE
        elif self._core.states.now is EngineState.HALTING:
            grace = HALT_GRACE
        try:
            with self._core.at(what):
                async with asyncio.timeout(grace):
                    await step
        except asyncio.CancelledError:
            plan.forget_cancellation()
            log.warning("Halted: gave up waiting to %s after plan %r.", what, plan.name)
        except TimeoutError as error:
            if grace is None:
                self._mishap(what, error, fatal=fatal)
            else:
                log.warning(
                    "Halted: gave up after %g s to %s after plan %r.", grace, what, plan.name
                )
        except BaseException as error:
            self._mishap(what, error, fatal=fatal)

    def _mishap(self, what: str, error: BaseException, *, fatal: bool = True) -> None:
        name = self._plan.name
        self._core.log.error("Failed to %s after plan %r.", what, name, exc_info=error)
        if fatal:
            error.add_note(f"while the engine was to {what} after plan {name!r}")
            self._plan.mishaps.append(error)
