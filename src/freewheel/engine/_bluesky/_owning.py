"""An engine core whose plan may own background tasks: where the two meet."""

# This is one of the places where bluesky's private names are allowed.
from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from bluesky.protocols import Stageable
from bluesky.utils import Msg

from freewheel.core._crossings import completion

from ._engine import BlueskyEngine
from ._on_demand import CommandsOnDemand

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping

    from ._engine import PlanStart

__all__ = ["OwningEngine", "PlanTasks"]

WAIT_FOR_OWNED = "_wait_for_owned_tasks"


class PlanTasks(Protocol):
    """What the core asks of whoever keeps the tasks of its plan. All on the loop's thread."""

    @property
    def any_alive(self) -> bool:
        """Whether the plan has tasks that have not ended."""
        ...

    async def cancel_all(self, how: Any, reason: str) -> None:
        """End them all, with their clean-up."""
        ...

    async def pause_all(self) -> None:
        """Bring them all to rest."""
        ...

    def resume_all(self) -> None:
        """Have them go on."""
        ...

    def suspend_all(self, until: Callable[[], Awaitable[Any]], reason: str | None) -> None:
        """Have a suspender hold them up."""
        ...

    def held_by_others(self, devices: Iterable[Any]) -> list[Any]:
        """Return those of the devices that somebody else holds now."""
        ...

    def plan_over(self) -> BaseException | None:
        """Note the end of the plan; return the failures that nobody was told of."""
        ...


#: Of bluesky's own way to run a plan and of its foreground: nothing that a child has of its own.
_NOT_OF_CHILDREN = (
    "_blocking_event",
    "_call_returns_result",
    "_during_task",
    "_run_permit",
    "context_managers",
    "max_depth",
    "pause_msg",
    "state_hook",
    "waiting_hook",
)


class OwningEngine(BlueskyEngine):
    """The core, with a plan that may own tasks.

    A subclass sets `plan_tasks` before the first plan.
    """

    plan_tasks: PlanTasks
    _command_registry: dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Of the loop's thread alone: what was unstaged, and no longer to be stopped, for somebody
        # who needs it while this plan is paused.
        self._gave_up: list[tuple[Any, bool, bool]] = []
        self.end_callbacks.append(self._gave_up.clear)

    # -- the end of a plan --------------------------------------------------------------------

    def put_below_plan(self, tail: Generator[Any, Any, Any]) -> None:
        """Have ``tail`` run when the plan has completed; on the loop, during a message.

        It costs a plan nothing until then, unlike a generator around it. If the plan raises, the
        exception is thrown into the tail where it first yields.
        """
        next(tail)
        self._plan_stack.insert(0, tail)
        self._response_stack.insert(0, None)

    def forget_replay(self) -> None:
        """Forget the messages since the last checkpoint: the plan that sent them is over."""
        self._msg_cache = []

    @property
    def body_value(self) -> Any:
        """What the topmost plan of the stack that ended last has returned."""
        return self._last_value

    async def _before_exit(self) -> None:
        """End the tasks before the plan hears that it is to end."""
        if not self.plan_tasks.any_alive:
            return
        how, reason = self._how_to_end()
        try:
            await self.plan_tasks.cancel_all(how, reason)
        except asyncio.CancelledError as error:
            if self._cut_short_by(None, error) is not None:
                raise
            # A halt. The engine's own clean-up sees to what is left.

    async def _clean_up(self, reason: str) -> None:
        if self.plan_tasks.any_alive:
            how, why = self._how_to_end()
            await self._step(
                "end the background tasks",
                self.plan_tasks.cancel_all(how, reason or why),
                fatal=False,
            )
        self._leave_to_others()
        failure = self.plan_tasks.plan_over()
        if failure is not None:
            self._mishap("end its background tasks", failure)
        await super()._clean_up(reason)

    def _how_to_end(self) -> tuple[str, str]:
        how = {"stopping": "stop", "halting": "halt"}.get(str(self._state), "abort")
        return how, self._reason or f"its plan {self.plan_name!r} has ended"

    # -- rest ---------------------------------------------------------------------------------

    async def _rest(self) -> None:
        if self.plan_tasks.any_alive:
            await self.plan_tasks.pause_all()
        await super()._rest()
        if self._state == "running":
            self.plan_tasks.resume_all()

    def _stack_suspensions(self) -> None:
        for _, _, justification, fut in self._suspensions:
            self.plan_tasks.suspend_all(fut, justification)
        super()._stack_suspensions()

    async def _stop_movable_objects(self, *, success: bool = True) -> None:
        self._leave_to_others()
        await super()._stop_movable_objects(success=success)

    def _leave_to_others(self) -> None:
        """Forget to have moved what somebody else holds by now: it is theirs to stop."""
        if self._movable_objs_touched:
            for device in self.plan_tasks.held_by_others(self._movable_objs_touched):
                self._movable_objs_touched.discard(device)

    # -- giving way ---------------------------------------------------------------------------

    async def give_up(self, overlaps: Callable[[Any], bool]) -> None:
        """Unstage the paused plan's devices that ``overlaps`` picks, and leave them alone."""
        for device in {*self._staged, *self._movable_objs_touched}:
            if not overlaps(device):
                continue
            staged, moved = device in self._staged, device in self._movable_objs_touched
            self._gave_up.append((device, staged, moved))
            self._staged.discard(device)
            self._movable_objs_touched.discard(device)
            if staged and isinstance(device, Stageable):
                await completion(device.unstage())

    def has_given_up(self, device: Any) -> bool:
        """Tell whether ``device`` was unstaged for somebody else, and not staged again."""
        return any(given is device for given, _, _ in self._gave_up)

    async def take_back(self) -> None:
        """Stage again what `give_up` unstaged."""
        while self._gave_up:
            device, staged, moved = self._gave_up.pop(0)
            if moved:
                self._movable_objs_touched.add(device)
            if staged:
                self._staged.add(device)
                await completion(device.stage())

    # -- devices in use -----------------------------------------------------------------------

    def in_use(self) -> list[Any]:
        """Return the devices that this plan moves at this moment; from any thread."""
        devices: list[Any] = self.lean_statuses.in_use()
        return devices

    # -- commands -----------------------------------------------------------------------------

    def swap_commands(self, commands: dict[str, Any]) -> dict[str, Any]:
        """Replace commands by their names; return what was there. From any thread."""
        before = {name: self._command_registry[name] for name in commands}
        self._command_registry.update(commands)
        return before

    def command(self, name: str) -> Any:
        """Return what carries out a command, or ``None``."""
        return self._command_registry.get(name)

    def ask_again_when_cut_short(self, *names: str) -> None:
        """Have a resume repeat these commands, which bluesky never repeats, if they were cut short.

        For commands that have done nothing yet when they are.
        """
        self._waiting_commands.update(names)

    def make_command(self, name: str, function: Callable[..., Any]) -> Any:
        """Return the command ``name``, of which ``function`` is the method of the engine."""
        return function.__get__(self)

    @property
    def commands(self) -> list[str]:
        """The names of all commands."""
        registry = self._command_registry
        return list(registry.names() if isinstance(registry, CommandsOnDemand) else registry)

    def take_commands(self, extra: Mapping[str, Any], parent: BlueskyEngine) -> None:
        """Take over commands of ``parent``, and how a rewind treats commands there.

        What was unregistered there is unknown here too.
        """
        registry = CommandsOnDemand(self, self._command_registry)
        registry.update(extra)
        for name in registry.names().difference(parent.commands):
            registry.forget(name)
        self._command_registry = registry
        # Shared where that is possible: there may be hundreds of children.
        if not self._waiting_commands <= parent._waiting_commands:
            parent._waiting_commands.update(self._waiting_commands)
        self._waiting_commands = parent._waiting_commands
        if self._uncacheable <= parent._uncacheable:
            self._uncacheable = parent._uncacheable
        else:
            self._uncacheable = self._uncacheable | parent._uncacheable

    # -- beginning ----------------------------------------------------------------------------

    def begin_now(self, start: PlanStart) -> None:
        """Begin a plan on an idle engine; on the loop's thread."""
        with self._state_lock:
            self._requests.clear()
            self._set_state_locked("running")
        self.announce_states()
        self.begin(start)

    def slim(self) -> None:
        """Give back the memory that an engine takes only to be ready; for one of hundreds.

        An empty ``deque`` has 0.7 kB, and a dict of attributes twice the room above 85 of them.
        """
        for name in ("_requests", "_changes", "_suspensions", "_foreign_documents"):
            setattr(self, name, _ShortQueue())
        self.lean_statuses.slim(_ShortQueue())
        for name in _NOT_OF_CHILDREN:
            delattr(self, name)
        self.__dict__ = dict(vars(self))  # the old one keeps the room of what was deleted

    @property
    def own_suspenders(self) -> tuple[Any, ...]:
        """The suspenders that were installed on this very engine."""
        return tuple(self._suspenders)


class _ShortQueue(list[Any]):
    """A list that has what is asked of a ``deque``, for queues that are all but empty."""

    def popleft(self) -> Any:
        return self.pop(0)


def wait_for_owned(engine: OwningEngine) -> Generator[Any, Any, Any]:
    """Wait for the plan's tasks when the plan has completed; for `OwningEngine.put_below_plan`."""
    yield
    value = engine.body_value
    yield Msg(WAIT_FOR_OWNED)
    return value
