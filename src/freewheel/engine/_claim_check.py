"""Whether a plan may do to a device what a message asks for, and what it holds afterwards."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, final

from freewheel.core import ResourceConflictError
from freewheel.core._verbs import devices_of, needed_by

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from bluesky.utils import Msg

    from freewheel.background import Background, BackgroundTask, Claim, Holder, Life

    from ._bluesky import EngineCore
    from ._owned_tasks import OwnedTasks

__all__ = ["ForegroundClaims", "TaskClaims"]

#: Why a foreground plan holds a device, beside the runs that it was touched in.
STAGED: Final = "staged"
#: Why a plan holds a device that is being stopped.
_STOPPED: Final = "stopped"
_STAGING: Final = frozenset(("stage", "unstage"))
#: From then on a device may drive more than it did: what that is, is asked anew.
_BEGINS: Final = "kickoff"
_ALWAYS_CLAIM: Final = _STAGING | {_BEGINS}


@contextmanager
def _stopping(background: Background, holder: Holder, device: Any) -> Iterator[bool]:
    """Hold a device while it is stopped: a stop takes time, and would end the next one's move."""
    try:
        background.claims.touch(holder, device, _STOPPED, stops=True)
    except ResourceConflictError:
        yield False
        return
    try:
        yield True
    finally:
        background.conflicts.freed(background.claims.let_go(holder, device, _STOPPED))


class _Free:
    """Stands for the claim on a device that a message is about and does not need."""

    __slots__ = ("device",)
    lent_to = None

    def __init__(self, device: Any) -> None:
        self.device = device  # kept, so that its id is nobody else's meanwhile


@final
class ForegroundClaims:
    """The claim check of foreground plans: they win. On the loop's thread, but for `in_use`.

    A device is held while it moves or measures, from ``stage`` to ``unstage``, and once touched
    inside an open run until that run is closed. What was noted for a run is found at once by its
    later messages. What moves outside of a run is not written down, but told to whoever claims:
    he claims first and asks then, and this says what it is about to do first and looks then, so
    that at least one of the two sees the other.
    """

    __slots__ = ("_about", "_background", "_core", "_ledger", "_noted", "_tasks")

    def __init__(
        self,
        core: EngineCore,
        background: Background,
        tasks: OwnedTasks,
        changed: Callable[[], None],
    ) -> None:
        self._core = core
        self._background = background
        self._ledger = background.claims
        self._tasks = tasks
        # Written on the loop's thread, read by all: the message that needs devices outside of a
        # run, while it is under way.
        self._about: Msg | None = None
        # By run and device: the claims that were made for the run's messages.
        self._noted: dict[Any, dict[int, Claim | _Free]] = {}
        background.claims.add_in_use(self.in_use)
        core.statuses.use_changed = changed
        core.parts.append(self)

    def lay_aside(self) -> dict[Any, dict[int, Claim | _Free]]:
        """Hand out what was noted for the plan."""
        noted, self._noted = self._noted, {}
        self._about = None
        return noted

    def take_up(self, laid: dict[Any, dict[int, Claim | _Free]]) -> None:
        """Keep that again."""
        self._noted = laid
        self._about = None

    def in_use(self, asker: Holder | None) -> list[tuple[Any, Holder]]:
        """Tell what the plan moves at this moment, or is about to; from any thread."""
        if asker is not None and self._tasks.is_holder(asker):
            return []
        used = self._core.statuses.in_use()
        about = self._about
        if about is not None and self._core.message is about:
            used += needed_by(about)
        parked = self._core.parked
        if not used and not parked:
            return []
        holder = self._tasks.holder
        found = [(device, holder) for device in used]
        found += [(device, aside.holder) for aside in parked for device in aside.in_use()]
        return found

    def passes(self, msg: Msg) -> bool:
        """Tell whether the message's devices are held already, or free for a moment."""
        runs = self._core.runs
        command = msg.command
        if command in _ALWAYS_CLAIM:
            return False
        if not runs:
            self._about = msg
            return self._ledger.is_empty or self._is_free(msg)
        noted = self._noted.get(runs.get(msg.run) or next(reversed(runs.values())))
        if noted is None:
            return False
        if command != "acquire":
            claim = noted.get(id(msg.obj))
            return claim is not None and claim.lent_to is None
        for device in msg.args:
            claim = noted.get(id(device))
            if claim is None or claim.lent_to is not None:
                return False
        return True

    def _is_free(self, msg: Msg) -> bool:
        holder = self._tasks.holder
        return not any(self._ledger.conflicts(holder, device) for device in needed_by(msg))

    async def make_way(self, msg: Msg) -> bool:
        """Hold the message's devices, and deal with the tasks that have them."""
        holder, runs = self._tasks.holder, list(self._core.runs.values())
        staging = msg.command in _STAGING
        if msg.command == "stage":
            await self._have_room(msg.obj)
        for device in needed_by(msg):
            for run in runs:
                anew = msg.command == _BEGINS
                await self._background.conflicts.take(holder, device, run, anew=anew)
            if staging or not runs:
                await self._background.conflicts.take(holder, device, STAGED)
        for run in runs:
            self._note(run, msg)
        return True

    async def _have_room(self, device: Any) -> None:
        """Unstage what plans have staged that are parked: few devices can be staged twice."""
        devices, overlap = self._core.devices, self._ledger.overlap
        for aside in self._core.parked:
            await devices.unstage_for_another(aside.of(devices), lambda own: overlap(own, device))

    def _note(self, run: Any, msg: Msg) -> None:
        noted = self._noted.setdefault(run, {})
        for device in devices_of(msg):
            claim = self._ledger.claim_of(self._tasks.holder, device)
            noted[id(device)] = _Free(device) if claim is None else claim

    def passed(self) -> None:
        """Have those look again who were kept from a device while the message was under way."""
        self._about = None
        self._background.conflicts.changed()

    def finished(self, msg: Msg) -> None:
        """See for how long the devices of a message that was carried out are held."""
        background, holder = self._background, self._tasks.holder
        for device in needed_by(msg):
            if device in self._core.devices.staged:
                background.claims.touch(holder, device, STAGED)
            else:
                background.conflicts.freed(background.claims.let_go(holder, device, STAGED))

    def run_closed(self, run: Any) -> None:
        """Let go of what was held for a run; what still moves is told of by `in_use`."""
        self._noted.pop(run, None)
        background = self._background
        background.conflicts.freed(background.claims.let_go_of_all(self._tasks.holder, run))

    def stopping(self, device: Any) -> AbstractContextManager[bool]:
        """Hold a device while it is stopped; false if somebody else holds it."""
        return _stopping(self._background, self._tasks.holder, device)

    def plan_over(self) -> None:
        """Forget the plan: all that it held is released."""
        self._noted.clear()
        self._about = None


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
                claims.touch(task, device, anew=msg.command == _BEGINS)
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
            if msg.command == "unstage" and self._was_never_staged(device):
                return False
            await self._take(device, msg.command == _BEGINS)
        return True

    def _was_never_staged(self, device: Any) -> bool:
        """Tell whether the task cleans up what it has only waited for, and not got."""
        life = self._tasks.background.roster.life_of(self._task)
        return life is not None and life.ending and device not in self._core.devices.staged

    async def _take(self, device: Any, anew: bool) -> None:
        background, task = self._tasks.background, self._task
        while True:
            try:
                return background.claims.touch(task, device, anew=anew)
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

    def passed(self) -> None:
        """Do nothing, as `finished`."""

    def finished(self, _: Msg) -> None:
        """Do nothing: a task holds what it has touched until it ends."""

    def run_closed(self, _: Any) -> None:
        """Do nothing, as `finished`."""

    def stopping(self, device: Any) -> AbstractContextManager[bool]:
        """Hold a device while it is stopped; false if somebody else holds it."""
        return _stopping(self._tasks.background, self._task, device)

    def plan_over(self) -> None:
        """Do nothing: the task's end releases what it holds."""
