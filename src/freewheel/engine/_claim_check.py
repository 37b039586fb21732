"""Whether a plan may do to a device what a message asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from freewheel.core._verbs import needed_by

if TYPE_CHECKING:
    from bluesky.utils import Msg

    from freewheel.background import Background, BackgroundTask

    from ._bluesky import EngineCore
    from ._owned_tasks import OwnedTasks

__all__ = ["ForegroundClaims", "TaskClaims"]


@final
class ForegroundClaims:
    """The claim check of foreground plans: they win. On the loop, but for `in_use`."""

    def __init__(self, core: EngineCore, background: Background, tasks: OwnedTasks) -> None:
        self._statuses = core.statuses
        self._background = background
        self._tasks = tasks
        background.claims.add_in_use(self.in_use)

    def in_use(self) -> list[tuple[Any, Any]]:
        """Tell what the foreground plan moves at this moment; from any thread."""
        used = self._statuses.in_use()
        if not used:
            return []
        holder = self._tasks.holder
        return [(device, holder) for device in used]

    def passes(self, msg: Msg) -> bool:
        """Tell whether nobody holds the message's device: surely so while nothing is claimed."""
        claims = self._background.claims
        if not claims:
            return True
        holder = self._tasks.holder
        return not any(claims.conflicts(holder, device) for device in needed_by(msg))

    async def make_way(self, msg: Msg) -> bool:
        """Deal with the tasks that hold the device, as each of them wants it."""
        background, holder = self._background, self._tasks.holder
        for device in needed_by(msg):
            if background.claims.conflicts(holder, device):
                await background.conflicts.clear_the_way(holder, device)
        return True


@final
class TaskClaims:
    """The claim check of background plans: they hold what they touch. On the loop."""

    __slots__ = ("_core", "_tasks")

    def __init__(self, core: EngineCore, tasks: OwnedTasks) -> None:
        self._core = core
        self._tasks = tasks

    def passes(self, msg: Msg) -> bool:
        """Claim the message's devices for the task.

        Raises
        ------
        ResourceConflictError
            If somebody else holds one of them.
        """
        task, claims = self._tasks.task, self._core.household.background.claims
        assert task is not None
        for device in needed_by(msg):
            if msg.command in ("unstage", "stop") and self._is_away(task, device):
                # Lent to the foreground and unstaged for it, or not staged again since it was
                # given back: there is nothing to undo.
                return False
            claims.touch(task, device)
        return True

    def _is_away(self, task: BackgroundTask, device: Any) -> bool:
        claims = self._core.household.background.claims
        return claims.lends(task, device) or self._core.devices.has_given_up(device)

    async def make_way(self, _: Msg) -> bool:
        """Do nothing: the device is away."""
        return False
