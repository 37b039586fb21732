"""What the engine does when a plan has ended, however it ended.

Every step is tried, whatever became of those before it, and a halt cuts short the step that is
under way and hurries those that follow.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from bluesky.bundlers import maybe_await
from bluesky.protocols import Status, Stoppable
from bluesky.utils import FailedStatus, Msg

from freewheel.core._crossings import completion
from freewheel.core._devices import device_name

from ._messages import _close_plan

if TYPE_CHECKING:
    from collections.abc import Awaitable

__all__ = ["CleanUp", "ExplainedFailedStatus"]

#: Seconds that a step of the clean-up may take when the plan was halted.
HALT_GRACE: Final = 5.0
#: The same, once a halt was requested while a clean-up was under way.
HURRY_GRACE: Final = 0.5


class ExplainedFailedStatus(FailedStatus):
    """bluesky's ``FailedStatus`` whose text says why the status failed."""

    def __str__(self) -> str:
        cause = self.__cause__
        status = super().__str__()
        if cause is None:
            return status
        return f"{type(cause).__name__}: {cause} ({status})"


class CleanUp:
    """Mixin: the end of a plan. All of it runs on the engine's loop."""

    async def _clean_up(self: Any, reason: str) -> None:
        """Stop, collect, unstage, close what the plan left behind."""
        # Status callbacks may still come from other threads: none is this plan's failure now.
        self._pardon_failures.set()
        for obj in list(self._movable_objs_touched):
            if isinstance(obj, Stoppable):
                await self._step(f"stop {device_name(obj)}", _stop(obj), fatal=False)
        for run in list(self._run_bundlers.values()):
            run.clear_monitors()
            await self._step("collect from flyers", run.backstop_collect(), fatal=False)
        await self._unstage_all()
        for key, run in list(self._run_bundlers.items()):
            if run.run_is_open:
                close = Msg("close_run", exit_status=self._exit_status, reason=reason, run_id=key)
                await self._step(f"close run {key!r}", run.close_run(close), fatal=False)
        self._run_bundlers.clear()
        self._destroy_open_run_tracing_spans()
        for plan in self._plan_stack:
            _close_plan(plan, self.log)

    async def _unstage_all(self: Any) -> None:
        """Begin to unstage every device that is still staged, then wait for each of them."""
        begun = []
        for obj in list(self._staged):
            self._staged.discard(obj)
            try:
                begun.append((obj, obj.unstage()))
            except BaseException as error:
                self._mishap(f"unstage {device_name(obj)}", error)
        for obj, answer in begun:
            if isinstance(answer, Status) or asyncio.iscoroutine(answer):
                await self._step(f"unstage {device_name(obj)}", completion(answer), fatal=True)

    async def _step(self: Any, what: str, step: Awaitable[Any], *, fatal: bool) -> None:
        """Await one step; log what goes wrong, and with ``fatal`` keep it for the result."""
        grace = None
        if self._hurry:
            grace = HURRY_GRACE
        elif self._state == "halting":
            grace = HALT_GRACE
        try:
            async with asyncio.timeout(grace):
                await step
        except asyncio.CancelledError:
            while self._task.uncancel():
                pass
            self.log.warning("Halted: gave up waiting to %s after plan %r.", what, self.plan_name)
        except TimeoutError as error:
            if grace is None:
                self._mishap(what, error, fatal=fatal)
            else:
                self.log.warning(
                    "Halted: gave up after %g s to %s after plan %r.", grace, what, self.plan_name
                )
        except BaseException as error:
            self._mishap(what, error, fatal=fatal)

    def _mishap(self: Any, what: str, error: BaseException, *, fatal: bool = True) -> None:
        self.log.error("Failed to %s after plan %r.", what, self.plan_name, exc_info=error)
        if fatal:
            error.add_note(f"while the engine was to {what} after plan {self.plan_name!r}")
            self._mishaps.append(error)


async def _stop(obj: Stoppable) -> None:
    await maybe_await(obj.stop(success=True))
