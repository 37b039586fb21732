"""The commands of plans that have background tasks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, final

from freewheel.background import BackgroundTask
from freewheel.engine._foresight import refuse_conflicts

from ._timeouts import checked_timeout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bluesky.utils import Msg

    from freewheel.engine._bluesky import EngineCore

__all__ = ["TaskCommands"]


@final
class TaskCommands:
    """The commands of plans that have tasks, of one engine."""

    __slots__ = ("_core", "_tasks")

    def __init__(self, core: EngineCore) -> None:
        self._core = core
        self._tasks = core.tasks

    async def background(self, msg: Msg) -> BackgroundTask:
        """Start a background task that the plan owns: ``Msg("background", None, payload, ...)``."""
        if len(msg.args) != 1:
            raise TypeError(
                f'background takes one payload: Msg("background", None, payload, name=…), not '
                f"{len(msg.args)}"
            )
        kwargs = dict(msg.kwargs)
        if kwargs.pop("check", False):
            await refuse_conflicts(self._core, kwargs.get("name"), msg.args[0])
        return self._tasks.background.start(self._tasks.supervisor, msg.args[0], **kwargs)

    async def wait_for(self, msg: Msg) -> Any:
        """Wait for one task, or all: ``Msg("wait_for_background", None, name, timeout=...)``."""
        name = msg.args[0] if msg.args else msg.kwargs.get("name")
        if isinstance(name, BackgroundTask):
            name = name.name
        timeout = checked_timeout("wait_for_background", msg.kwargs.get("timeout"))
        return await self._tasks.supervisor.wait(name, timeout)

    async def results(self, msg: Msg) -> Mapping[str, Any]:
        """Return the results that there are: ``Msg("background_results")``."""
        return self._tasks.supervisor.results()

    async def cancel(self, msg: Msg) -> None:
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
            self._tasks.background.conflicts.acquire(holder, msg.args)
        else:
            await self._tasks.background.conflicts.claim(holder, msg.args)

    async def release(self, msg: Msg) -> None:
        """Release devices: ``Msg("release", None, *devices)``."""
        self._tasks.background.conflicts.release(self._tasks.holder, msg.args)

    async def wait_for_owned(self, _: Msg) -> None:
        """Wait for all tasks of a plan that has completed; sent by the engine itself."""
        await self._tasks.wait_for_all()
