"""Whether a plan may do to a device what a message asks for, and what it holds afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

from freewheel.core import ResourceConflictError
from freewheel.core._verbs import needed_by

if TYPE_CHECKING:
    from collections.abc import Hashable

    from bluesky.utils import Msg

    from freewheel.background import Background, BackgroundTask, Life

    from ._bluesky import EngineCore
    from ._owned_tasks import OwnedTasks

__all__ = ["ForegroundClaims", "TaskClaims"]

#: Why a foreground plan holds a device, beside the runs that it was touched in.
MOVES: Final = "moves"
STAGED: Final = "staged"
_STAGING: Final = frozenset(("stage", "unstage"))


@final
class ForegroundClaims:
    """The claim check of foreground plans: they win. On the loop's thread.

    A device is held while it moves or measures, from ``stage`` to ``unstage``, and once touched
    inside an open run until that run is closed. What was noted for a run once is found at once by
    its later messages.
    """

    __slots__ = ("_background", "_core", "_tasks")

    def __init__(self, core: EngineCore, background: Background, tasks: OwnedTasks) -> None:
        self._core = core
        self._background = background
        self._tasks = tasks
        core.statuses.when_at_rest(self._at_rest)

    def passes(self, msg: Msg) -> bool:
        """Tell whether the plan holds the message's devices for its open run already."""
        runs = self._core.runs
        if not runs or msg.command in _STAGING:
            return False
        run = runs.get(msg.run) or next(reversed(runs.values()))
        holds, holder = self._background.claims.holds, self._tasks.holder
        return all(holds(holder, device, run) for device in needed_by(msg))

    async def make_way(self, msg: Msg) -> bool:
        """Hold the message's devices, and deal with the tasks that have them."""
        holder = self._tasks.holder
        for device in needed_by(msg):
            for why in self._reasons(msg):
                await self._background.conflicts.take(holder, device, why)
        return True

    def _reasons(self, msg: Msg) -> list[Hashable]:
        runs = list(self._core.runs.values())
        return [MOVES] if msg.command in _STAGING or not runs else runs

    def finished(self, msg: Msg) -> None:
        """See for how long the devices of a message that was carried out are held."""
        for device in needed_by(msg):
            self._review(device)

    def _review(self, device: Any) -> None:
        claims, holder = self._background.claims, self._tasks.holder
        if device in self._core.devices.staged:
            claims.touch(holder, device, STAGED)
        else:
            self._let_go(device, STAGED)
        if not self._core.statuses.watch(device):
            self._let_go(device, MOVES)

    def _at_rest(self, device: Any) -> None:
        self._let_go(device, MOVES)

    def _let_go(self, device: Any, why: Hashable) -> None:
        background, holder = self._background, self._tasks.holder
        if background.claims.holds(holder, device, why):
            background.conflicts.freed(background.claims.let_go(holder, device, why))

    def run_closed(self, run: Any) -> None:
        """Let go of what is held for a run, but for what still moves."""
        background, holder = self._background, self._tasks.holder
        for device in self._core.statuses.in_use():
            if background.claims.holds(holder, device, run):
                background.claims.touch(holder, device, MOVES)
                self._core.statuses.watch(device)
        background.conflicts.freed(background.claims.let_go_of_all(holder, run))


@final
class TaskClaims:
    """The claim check of background plans: they hold what they touch. On the loop's thread."""

    __slots__ = ("_core", "_tasks")

    def __init__(self, core: EngineCore, tasks: OwnedTasks) -> None:
        self._core = core
        self._tasks = tasks

    def passes(self, msg: Msg) -> bool:
        """Claim the message's devices for the task; tell whether it has them."""
        task, claims = self._task, self._tasks.background.claims
        for device in needed_by(msg):
            if msg.command in ("unstage", "stop") and self._is_away(task, device):
                return False
            try:
                claims.touch(task, device)
            except ResourceConflictError:
                return False
        return True

    @property
    def _task(self) -> BackgroundTask:
        assert self._tasks.task is not None
        return self._tasks.task

    def _is_away(self, task: BackgroundTask, device: Any) -> bool:
        """Tell whether there is nothing to undo.

        It was lent to the foreground and unstaged for it, or not staged again since it was given
        back.
        """
        claims = self._tasks.background.claims
        return claims.lends(task, device) or self._core.devices.has_given_up(device)

    async def make_way(self, msg: Msg) -> bool:
        """Wait for the devices, if the task would rather wait than be refused."""
        for device in needed_by(msg):
            if msg.command in ("unstage", "stop") and self._is_away(self._task, device):
                return False
            await self._take(device)
        return True

    async def _take(self, device: Any) -> None:
        background, task = self._tasks.background, self._task
        while True:
            try:
                return background.claims.touch(task, device)
            except ResourceConflictError:
                if background.conflicts.is_of(self._own, task, device):
                    await background.conflicts.clear_the_way(task, device)
                    continue
                life = background.roster.life_of(task)
                if life is None or life.on_conflict != "pause":
                    raise
                await background.conflicts.until_free(life, device)

    @property
    def _own(self) -> tuple[Life, ...]:
        """The tasks of the task's own plan, which give way to it."""
        return self._tasks.supervisor.alive if self._tasks.any_alive else ()

    def finished(self, _: Msg) -> None:
        """Do nothing: a task holds what it has touched until it ends."""

    def run_closed(self, _: Any) -> None:
        """Do nothing, as `finished`."""
