"""The background of an engine: all its tasks, from any thread."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, final

from freewheel.core import EngineClosedError
from freewheel.core._circles import Waiting, held_up_by, here
from freewheel.core._crossings import Waiter, new_waiter, wake
from freewheel.core._devices import checked_devices

from ._children import ChildPool
from ._conflicts import Conflicts
from ._errors import warn
from ._holders import PlanHolder, hands_here
from ._life import Life, OnConflict, Owner
from ._payloads import Payload, examine
from ._results import OnMerge, Results
from ._roster import Roster
from ._runners import runner_for
from ._spawner import Spawner
from ._supervisor import Supervisor
from ._task import BackgroundTask, TaskStatus

if TYPE_CHECKING:
    import threading
    import types

    from bluesky.utils import Msg

    from freewheel.core import EngineFuture

    from ._child import ChildEngine
    from ._claims import ClaimsLedger
    from ._holders import Holder
    from ._mailbox import PendingResults

__all__ = ["Background"]

_log = logging.getLogger("freewheel")

_CONFLICTS: Final = ("cancel", "pause", "error")


@final
class Background(Mapping[str, BackgroundTask]):
    """What runs beside the foreground plan: a mapping from name to task.

    It has the tasks that run, and those that ended lately. ``RE.background`` is one; all of it may
    be used from any thread, but for the methods of which it is said otherwise.

    Attributes
    ----------
    claims : ClaimsLedger
        Who holds which device.
    grace : float
        Seconds that a task may take to end when it is cancelled, before it is given up with an
        error that names it.
    msg_hook : callable or None
        Called with ``(task, msg)`` for each message of a task's plan, on the engine's thread,
        before it is carried out; as ``RE.msg_hook`` for those of the foreground. If it raises,
        that is logged.
    devices : dict of str to object
        Where the devices are found that the ``device_ids`` of tasks name; for the program to fill.
    """

    # For the engine: `roster` has the names and lives, `conflicts` who gives way, `children` the
    # pool of engines, `results` what becomes of results.

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        loop_thread: threading.Thread,
        claims: ClaimsLedger,
        make_child: Callable[[], ChildEngine],
        changed: Callable[[BackgroundTask], None],
        check: Callable[[], None],
    ) -> None:
        self.claims = claims
        self.grace = 10.0
        self.spawner = Spawner(loop, loop_thread)
        self.roster = Roster()
        self.conflicts = Conflicts(claims, self.roster, self.spawner)
        self.children = ChildPool(make_child)
        self.results = Results(self.spawner)
        self.devices: dict[str, Any] = {}
        # By any thread, each time in one step.
        self._task_classes: dict[str, Callable[..., Any]] = {}
        # Coroutines that wait for an end, on any loop; likewise.
        self._drainers: deque[Waiter] = deque()
        self.msg_hook: Callable[[BackgroundTask, Msg], Any] | None = None
        self._tell_changed = changed
        self._check = check
        # The owner of what no plan owns.
        self._root = Supervisor(self, PlanHolder("the engine"), roster=self.roster)

    # -- looking ------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> BackgroundTask:
        life = self.roster.find(name)
        if life is None:
            names = ", ".join(map(repr, self.roster.names())) or "none"
            raise KeyError(f"no background task answers to {name!r}; those that do: {names}")
        return life.task

    def __iter__(self) -> Iterator[str]:
        return iter(self.roster.names())

    def __len__(self) -> int:
        return len(self.roster.names())

    def __repr__(self) -> str:
        tasks = ", ".join(f"{task.name}: {task.status.value}" for task in self.running)
        return f"<{type(self).__name__}: {tasks or 'nothing runs'}>"

    @property
    def running(self) -> tuple[BackgroundTask, ...]:
        """The tasks that have not ended, oldest first."""
        return tuple(life.task for life in self.roster.alive)

    def tasks(self, status: str | Iterable[str] | None = None) -> tuple[BackgroundTask, ...]:
        """Return the tasks that run, and those that ended lately.

        Parameters
        ----------
        status : TaskStatus or str, or several of them, optional
            Only those that are in this status, or in one of these.

        Raises
        ------
        ValueError
            If there is no such status.
        """
        tasks = tuple(life.task for life in self.roster.known)
        if status is None:
            return tasks
        wanted = [TaskStatus(each) for each in ([status] if isinstance(status, str) else status)]
        return tuple(task for task in tasks if task.status in wanted)

    @property
    def pending(self) -> PendingResults:
        """Results that arrived when nobody was there to receive them."""
        return self.results.pending

    async def drain(self) -> AsyncIterator[BackgroundTask]:
        """Drain `pending`, and go on with what arrives there, until nothing runs any more.

        In a coroutine, on any asyncio loop: ``async for task in RE.background.drain()``. In a task
        of the engine that task itself, and what cannot end before it, is not waited for.

        Yields
        ------
        BackgroundTask
            Each task that has ended when nobody was there to receive its result.
        """
        while True:
            ended = new_waiter()
            self._drainers.append(ended)  # before the look: who ends in between wakes it
            while (task := self.pending.pop()) is not None:
                yield task
            waits_in_turn = held_up_by(here())
            alive = {life.party for life in self.roster.alive}
            if others := alive - waits_in_turn:
                # Noted, so that two tasks that drain do not wait for each other.
                with Waiting(others, first=True):
                    await ended[1]
            elif self.pending.empty:
                return

    # -- starting -----------------------------------------------------------------------------

    def launch(
        self,
        payload: Any,
        *,
        name: str | None = None,
        claims: Any = (),
        on_conflict: OnConflict = "cancel",
        suspendable: bool = True,
        flavour: str | types.ModuleType | None = None,
        **metadata: Any,
    ) -> BackgroundTask:
        """Run something in the background that no plan owns; from any thread, without waiting.

        Parameters
        ----------
        payload : plan, coroutine function, function, or object with a method ``run``
            What to run. An object's ``device_ids``, names of `devices` or devices, are claims of
            its.
        name : str, optional
            What the task answers to; by default the payload's name, with a number if need be.
        claims : device or iterable of devices
            What the task holds from its start.
        on_conflict : {"cancel", "pause", "error"}
            What becomes of the task, or of who asks, when the foreground needs a device that the
            task holds. With ``"pause"`` the task waits, too, where another one is refused: for a
            device that the foreground or a person holds.
        suspendable : bool
            Whether suspenders hold it up; not so for a watchdog.
        flavour : str or module, optional
            ``"asyncio"``, ``"threading"``, ``"trio"``; by default what the payload looks like.
        **metadata
            For the runs of a plan.

        Returns
        -------
        BackgroundTask
            The task, which is about to begin.

        Raises
        ------
        TypeError
            For a payload that is none of these, a claim that is no device, or a name that is no
            text.
        ValueError
            For another `on_conflict`.
        ResourceConflictError
            If somebody holds one of the claimed devices.
        """
        return self.start(
            self._root,
            payload,
            name=name,
            claims=claims,
            on_conflict=on_conflict,
            suspendable=suspendable,
            flavour=flavour,
            metadata=metadata,
        )

    def register(self, **classes: Callable[..., Any]) -> None:
        """Give names to classes of tasks, whose objects have a method ``run``.

        Programs and clients start them by these names, with `launch_registered`. A name that is
        given again leads to the newer class.

        Parameters
        ----------
        **classes
            The classes, or functions that return such objects or plans, by name.

        Raises
        ------
        TypeError
            For something that cannot be called.
        """
        for name, made_by in classes.items():
            if not callable(made_by):
                raise TypeError(
                    f"{name!r} is {made_by!r}, which makes no task: register its class, "
                    f"{name}={type(made_by).__name__}, or launch the object itself"
                )
        self._task_classes.update(classes)

    def launch_registered(self, task_id: str, name: str, /, **kwargs: Any) -> BackgroundTask:
        """Make a task of a registered class and start it; otherwise as `launch`.

        Parameters
        ----------
        task_id : str
            What the task answers to.
        name : str
            The name of the class; see `register`.
        **kwargs
            What the class is called with.

        Raises
        ------
        KeyError
            For a name that was not registered, with those that were.
        """
        if name not in self._task_classes:
            names = ", ".join(map(repr, self._task_classes)) or "none"
            raise KeyError(
                f"no class of tasks is registered as {name!r}; registered are: {names}. "
                f"RE.background.register({name}=...) adds one"
            )
        return self.launch(self._task_classes[name](**kwargs), name=task_id)

    def examine(
        self,
        payload: Any,
        flavour: str | types.ModuleType | None = None,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Payload:
        """Look at what is to be run, or refuse it; for the engine."""
        return examine(payload, flavour, args, kwargs, self.devices)

    def start(
        self,
        owner: Supervisor,
        payload: Any,
        *,
        name: str | None = None,
        claims: Any = (),
        on_conflict: OnConflict = "cancel",
        detach: bool = False,
        suspendable: bool = True,
        flavour: str | types.ModuleType | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> BackgroundTask:
        """Begin a task for ``owner``; for the engine. See `launch`."""
        examined = self.examine(payload, flavour)
        self._check()
        devices = checked_devices(claims)
        if examined.claims:
            devices = checked_devices((*devices, *examined.claims))
        if on_conflict not in _CONFLICTS:
            raise ValueError(
                f"on_conflict is one of {', '.join(map(repr, _CONFLICTS))}, not {on_conflict!r}"
            )
        if name is not None and not isinstance(name, str):
            raise TypeError(f"the name of a background task is a string, not {name!r}")
        keeper = self._root if detach else owner
        picked = self._pick_name(examined, name, owner)
        life = self._make_life(
            picked,
            examined,
            keeper,
            metadata or {},
            on_conflict,
            suspendable=suspendable,
            parent=owner.plan,
        )
        life.party.keeper = keeper.party
        for hand in hands_here():
            hand.lends_to.add(life.task)
        # What the plan holds itself it lends to a task that says that it needs it.
        lender = None if owner is self._root else owner.holder
        self.claims.acquire(life.task, devices, lender)
        self._begin(life, keeper, owner)
        return life.task

    def _pick_name(self, payload: Payload, name: str | None, owner: Supervisor) -> str:
        if name is None:
            return self.roster.free_name(payload.name, owner.roster)
        running = self.roster.find(name)
        if running is not None and not running.over:
            warn(
                f"A background task named {name!r} is running already. From now on the newer one "
                "answers to that name.",
                payload.thing,
            )
        return name

    def _make_life(
        self,
        name: str,
        payload: Payload,
        owner: Owner,
        metadata: dict[str, Any],
        on_conflict: OnConflict = "cancel",
        *,
        suspendable: bool = True,
        parent: BackgroundTask | EngineFuture[Any] | None = None,
    ) -> Life:
        return Life(
            name,
            runner_for(payload, metadata, self.children),
            owner,
            commons=self,
            on_conflict=on_conflict,
            suspendable=suspendable,
            parent=parent,
            metadata=metadata,
        )

    def is_owned(self, task: BackgroundTask) -> bool:
        """Tell whether a plan owns a task that runs, and not the engine; for the engine."""
        life = self.roster.life_of(task)
        return life is not None and not life.is_kept_by(self._root)

    def suspend_all(self, until: Callable[[], Awaitable[Any]], reason: str | None) -> None:
        """Have a suspender hold up every task that may be; for the engine, from any thread."""
        if self.spawner.on_loop_thread():
            for life in self.roster.alive:
                life.suspend(until, reason)
        else:
            self.spawner.call(self.suspend_all, until, reason)

    def _begin(self, life: Life, keeper: Supervisor, starter: Supervisor) -> None:
        try:
            self.roster.add(life)
        except EngineClosedError:
            self.claims.release_all(life.task)
            raise
        if starter is not self._root:
            starter.roster.add(life, owned=keeper is starter)
        self.changed(life.task)
        if self.spawner.on_loop_thread():
            life.start()
        else:
            self.spawner.call(life.start)

    def make_service(self, payload: Payload, owner: Owner) -> Life:
        """Return a life that answers to no name; for services, from any thread."""
        self.roster.check_open(payload.name)
        return self._make_life(payload.name, payload, owner, {})

    def execute(self, payload: Payload) -> Any:
        """Run a payload to its end and return its value; see `ServiceKeeper.execute`."""
        if self.spawner.on_loop_thread():
            raise RuntimeError(
                f"execute() waits for {payload.name!r} and would never return on the engine's own "
                "thread; use RE.background.launch(...) there"
            )
        self._check()
        name = self.roster.free_name(payload.name, self.roster)
        life = self._make_life(name, payload, self._root, {})
        self._begin(life, self._root, self._root)
        try:
            return life.task.result()
        except KeyboardInterrupt:
            life.task.cancel("execute() was interrupted")
            raise
        finally:
            self.results.drained(life.task)

    # -- what happens to tasks ----------------------------------------------------------------

    def show_message(self, task: BackgroundTask, msg: Msg) -> None:
        """Show a message of a task's plan to `msg_hook`; what that raises is logged."""
        if self.msg_hook is not None:
            try:
                self.msg_hook(task, msg)
            except BaseException:
                _log.exception("RE.background.msg_hook raised for %r.", task.name)

    def explain(self, task: BackgroundTask) -> str:
        """Say which devices the plan of a task waits for; empty if for none, or unknown."""
        life = self.roster.life_of(task)
        return "" if life is None else life.waits_for

    def changed(self, task: BackgroundTask) -> None:
        """Tell those who watch that a task has another status; for the engine."""
        if task.done:
            while self._drainers:
                wake(self._drainers.popleft())
        self._tell_changed(task)

    def freed(self, lenders: tuple[Holder, ...]) -> None:
        """Have tasks go on that have all of their devices back; for the engine."""
        self.conflicts.freed(lenders)

    def waits_for_loans(self, life: Life, lent: tuple[tuple[Any, Holder], ...]) -> None:
        """Have a task go on when people have given its devices back; for the engine."""
        self.conflicts.waits_for_loans(life, lent)

    def cancel(self, name: str, reason: str = "") -> bool:
        """Ask the task that answers to ``name`` to end; return false if it has ended already.

        Raises
        ------
        KeyError
            With the names that exist.
        """
        return self[name].cancel(reason)

    def on_merge(self, callback: OnMerge) -> Callable[[], None]:
        """Have ``callback`` called with each task whose result is merged, and how.

        It is called on the engine's thread: it must be quick. A coroutine function is awaited,
        on the engine's loop. If it raises, that is logged.

        Returns
        -------
        callable
            Ends it.
        """
        return self.results.on_merge(callback)

    async def close(self, more: Callable[[], tuple[Life, ...]], grace: float | None = None) -> None:
        """Refuse new tasks and cancel all, within `grace` seconds each; on the loop's thread."""
        self.roster.close()
        patience = self.grace if grace is None else min(self.grace, grace)
        while lives := (*self.roster.alive, *more()):
            for life in lives:
                life.cancel("abort", "the engine was closed", patience)
            await asyncio.wait([life.end for life in lives])
        self.children.close()
