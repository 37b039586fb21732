"""The background of an engine: all its tasks, from any thread."""

from __future__ import annotations

import asyncio
import logging
import threading
import warnings
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, final

from freewheel.core import EngineClosedError, ResourceConflictError
from freewheel.core._devices import checked_devices, device_name

from ._claims import ClaimsLedger, Holder, PlanHolder
from ._errors import BackgroundWarning
from ._life import Life, OnConflict, Spawner
from ._mailbox import PendingResults
from ._payloads import Payload, examine
from ._runners import CoroutineRunner, PlanRunner, Runner, ThreadRunner, TrioRunner
from ._supervisor import PlanPhase, Supervisor
from ._task import BackgroundTask, MergeMode

if TYPE_CHECKING:
    import types

    from ._child import ChildEngine

__all__ = ["Background", "runner_for"]

_log = logging.getLogger("freewheel")

#: So many children are kept for the next tasks.
SPARE_CHILDREN: Final = 16
#: So many attempts to get several devices at once, while tasks keep reaching for them.
ATTEMPTS: Final = 16
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
    pending : PendingResults
        Results that arrived when nobody was there to receive them.
    grace : float
        Seconds that a task may take to end when it is cancelled, before it is given up with an
        error that names it.
    """

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
        self.pending = PendingResults()
        self.grace = 10.0
        self.spawner = Spawner(loop)
        self._loop_thread = loop_thread
        self._make_child = make_child
        self._changed = changed
        self._check = check
        self._lock = threading.RLock()
        # Read and written with _lock held: the running tasks with their owners; by the name that
        # they answer to, with those that ended lately.
        self._lives: dict[int, tuple[Life, Supervisor]] = {}
        self._by_name: dict[str, Life] = {}
        self._merge_watchers: tuple[Callable[[BackgroundTask, MergeMode], None], ...] = ()
        self._closing = False
        # Of the loop's thread alone.
        self._spare: list[ChildEngine] = []
        #: The owner of what no plan owns.
        self.root = Supervisor(self, PlanHolder("the engine"), PlanPhase.ENDED)

    # -- looking ------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> BackgroundTask:
        life = self.find(name)
        if life is None:
            names = ", ".join(map(repr, self.names())) or "none"
            raise KeyError(f"no background task answers to {name!r}; those that do: {names}")
        return life.task

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self.names())

    def __repr__(self) -> str:
        tasks = ", ".join(f"{task.name}: {task.status.value}" for task in self.running)
        return f"<{type(self).__name__}: {tasks or 'nothing runs'}>"

    @property
    def running(self) -> tuple[BackgroundTask, ...]:
        """The tasks that have not ended, oldest first."""
        with self._lock:
            return tuple(life.task for life, _ in self._lives.values())

    def find(self, name: str) -> Life | None:
        """Return the life of the task that answers to ``name``; for the engine."""
        with self._lock:
            return self._by_name.get(name)

    def names(self) -> list[str]:
        """Return the names that tasks answer to."""
        with self._lock:
            return list(self._by_name)

    # -- starting -----------------------------------------------------------------------------

    def launch(
        self,
        payload: Any,
        *,
        name: str | None = None,
        claims: Any = (),
        on_conflict: OnConflict = "cancel",
        flavour: str | types.ModuleType | None = None,
        **metadata: Any,
    ) -> BackgroundTask:
        """Run something in the background that no plan owns; from any thread, without waiting.

        Parameters
        ----------
        payload : plan, coroutine function or function
            What to run.
        name : str, optional
            What the task answers to; by default the payload's name, with a number if need be.
        claims : device or iterable of devices
            What the task holds from its start.
        on_conflict : {"cancel", "pause", "error"}
            What becomes of the task, or of who asks, when the foreground needs a device that the
            task holds.
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
            For a payload that is none of these, or a claim that is no device.
        ResourceConflictError
            If somebody holds one of the claimed devices.
        """
        return self.start(
            self.root,
            payload,
            name=name,
            claims=claims,
            on_conflict=on_conflict,
            flavour=flavour,
            metadata=metadata,
        )

    def start(
        self,
        owner: Supervisor,
        payload: Any,
        *,
        name: str | None = None,
        claims: Any = (),
        on_conflict: OnConflict = "cancel",
        detach: bool = False,
        flavour: str | types.ModuleType | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> BackgroundTask:
        """Begin a task for ``owner``; for the engine. See `launch`."""
        examined = examine(payload, flavour)
        self._check()
        return self._begin(
            owner,
            examined,
            name=name,
            devices=checked_devices(claims),
            on_conflict=on_conflict,
            detach=detach,
            metadata=metadata or {},
        )

    def _begin(
        self,
        owner: Supervisor,
        examined: Payload,
        *,
        name: str | None = None,
        devices: tuple[Any, ...] = (),
        on_conflict: OnConflict = "cancel",
        detach: bool = False,
        metadata: dict[str, Any],
    ) -> BackgroundTask:
        if on_conflict not in _CONFLICTS:
            raise ValueError(
                f"on_conflict is one of {', '.join(map(repr, _CONFLICTS))}, not {on_conflict!r}"
            )
        if name is not None and not isinstance(name, str):
            raise TypeError(f"the name of a background task is a string, not {name!r}")
        keeper = self.root if detach else owner
        life = self._make_life(
            self._pick_name(examined, name, owner),
            self._runner_for(examined, metadata),
            keeper.ended,
            on_conflict,
        )
        self.claims.acquire(life.task, devices)
        self._register(life, keeper)
        if keeper is not owner:
            owner.add(life, owned=False)
        self._changed(life.task)
        if threading.current_thread() is self._loop_thread:
            keeper.add(life, owned=True)
            life.start()
        else:
            self.spawner.call(self._add_and_start, keeper, life)
        return life.task

    def _add_and_start(self, keeper: Supervisor, life: Life) -> None:
        keeper.add(life, owned=True)
        life.start()

    def _make_life(
        self,
        name: str,
        runner: Runner,
        ended: Callable[[Life], None],
        on_conflict: OnConflict = "cancel",
    ) -> Life:
        def end(life: Life) -> None:
            self._ended(life, ended)

        return Life(
            name,
            runner,
            spawner=self.spawner,
            loop_thread=self._loop_thread,
            ledger=self.claims,
            on_conflict=on_conflict,
            grace=lambda: self.grace,
            changed=self._changed,
            ended=end,
            freed=self.freed,
        )

    def make_service(self, payload: Payload, ended: Callable[[Life], None]) -> Life:
        """Return a life that is in no table; for services, from any thread."""
        self._check_open(payload.name)
        return self._make_life(payload.name, self._runner_for(payload, {}), ended)

    def execute(self, payload: Payload) -> Any:
        """Run a payload to its end and return its value; for `ServiceKeeper.execute`."""
        if threading.current_thread() is self._loop_thread:
            raise RuntimeError(
                f"execute() waits for {payload.name!r} and would never return on the engine's own "
                "thread; use RE.background.launch(...) there"
            )
        self._check()
        task = self._begin(self.root, payload, metadata={})
        try:
            return task.result()
        except KeyboardInterrupt:
            task.cancel("execute() was interrupted")
            raise
        finally:
            self.drained(task)

    def _runner_for(self, payload: Payload, metadata: dict[str, Any]) -> Runner:
        return runner_for(payload, metadata, self._borrow_child, self._give_child)

    def _pick_name(self, payload: Payload, name: str | None, owner: Supervisor) -> str:
        with self._lock:
            if name is None:
                return self._free_name(payload.name, owner)
            running = self._by_name.get(name)
        if running is not None and not running.over:
            warn(
                f"A background task named {name!r} is running already. From now on the newer one "
                "answers to that name.",
                payload.thing,
            )
        return name

    def _free_name(self, name: str, owner: Supervisor) -> str:
        """Return the name, with a number if another task has it."""
        number = 0 if owner is self.root else owner.numbers.get(name, 0)
        while True:
            number += 1
            numbered = name if number == 1 else f"{name}-{number}"
            known = self._by_name.get(numbered)
            if known is None or (known.over and not owner.knows(numbered)):
                owner.numbers[name] = number
                return numbered

    def _register(self, life: Life, keeper: Supervisor) -> None:
        with self._lock:
            try:
                self._check_open(life.task.name)
            except EngineClosedError:
                self.claims.release_all(life.task)
                raise
            self._lives[id(life)] = life, keeper
            self._by_name.pop(life.task.name, None)
            self._by_name[life.task.name] = life

    def _check_open(self, name: str) -> None:
        if self._closing:
            raise EngineClosedError(
                f"the engine is being closed: {name!r} cannot be started any more"
            )

    # -- ending -------------------------------------------------------------------------------

    def cancel(self, name: str, reason: str = "") -> bool:
        """Ask the task that answers to ``name`` to end; return false if it has ended already.

        Raises
        ------
        KeyError
            With the names that exist.
        """
        return self[name].cancel(reason)

    def on_merge(self, callback: Callable[[BackgroundTask, MergeMode], None]) -> Callable[[], None]:
        """Have ``callback`` called with each task whose result is merged, and how.

        It is called on the engine's thread: it must be quick. If it raises, that is logged.

        Returns
        -------
        callable
            Ends it.
        """
        with self._lock:
            self._merge_watchers = (*self._merge_watchers, callback)

        def disconnect() -> None:
            with self._lock:
                self._merge_watchers = tuple(
                    known for known in self._merge_watchers if known is not callback
                )

        return disconnect

    def merged(self, life: Life, mode: MergeMode) -> None:
        """Tell of a result; on the loop's thread, before the task's future is done."""
        life.merged(mode)
        if mode is MergeMode.WAKEUP:
            self.pending.put(life.task)
        # After the future is done, for the callback will want the result.
        self.spawner.loop.call_soon(self._tell_merged, life.task, mode)

    def _tell_merged(self, task: BackgroundTask, mode: MergeMode) -> None:
        for watcher in self._merge_watchers:
            try:
                watcher(task, mode)
            except Exception:
                _log.exception("A callback of on_merge raised for the task %r.", task.name)

    def drained(self, task: BackgroundTask) -> None:
        """Note that somebody has received the task's result."""
        if task.merge is MergeMode.WAKEUP:
            self.pending.pop_if(lambda known: known is task)

    def drain_for(self, owner: Supervisor) -> tuple[BackgroundTask, ...]:
        """Drain what waits, for a plan that asks for results."""
        if self.pending.empty:
            return ()
        return self.pending.pop_if(lambda task: task.done)

    def _ended(self, life: Life, ended: Callable[[Life], None]) -> None:
        with self._lock:
            self._lives.pop(id(life), None)
        ended(life)
        self._forget_some()

    def no_plan_raises(self, life: Life) -> None:
        """Have the log tell of a failure, unless somebody asks for the result at once."""
        self.spawner.loop.call_soon(self._tell_failure, life)

    def _tell_failure(self, life: Life) -> None:
        if (error := life.failure) is not None:
            _log.error("The background task %r failed.", life.task.name, exc_info=error)

    def _forget_some(self) -> None:
        """Bound the memory of ended tasks; those of a plan that runs are in its own table."""
        with self._lock:
            excess = len(self._by_name) - len(self._lives) - SPARE_CHILDREN * 4
            if excess <= 0:
                return
            for name in [name for name, life in self._by_name.items() if life.over][:excess]:
                del self._by_name[name]

    # -- children -----------------------------------------------------------------------------

    def _borrow_child(self) -> ChildEngine:
        while self._spare:
            child = self._spare.pop()
            if child.is_current():
                return child
        return self._make_child()

    def _give_child(self, child: ChildEngine) -> None:
        if len(self._spare) < SPARE_CHILDREN and not self._closing:
            self._spare.append(child)

    # -- conflicts; on the loop's thread -------------------------------------------------------

    async def clear_the_way(self, holder: Holder, device: Any) -> None:
        """Deal with the tasks that keep a foreground plan from ``device``, as each wants it.

        Raises
        ------
        ResourceConflictError
            If a holder does not give way.
        """
        for _ in range(ATTEMPTS):
            conflicts = self.claims.conflicts(holder, device)
            if not conflicts:
                return
            lives = []
            for claim in conflicts:
                life = self._life_of(claim.user)
                if life is None or life.on_conflict == "error" or life.over:
                    raise ResourceConflictError(device, claim.user, holder)
                lives.append(life)
            for life in lives:
                if not await self._give_way(life, holder, device):
                    raise ResourceConflictError(device, life.task, holder)
        raise ResourceConflictError(device, conflicts[0].user, holder)

    async def _give_way(self, life: Life, holder: Holder, device: Any) -> bool:
        if life.on_conflict == "pause":
            return await life.yield_device(holder, device)
        warn(
            f"The plan {holder.name!r} needs {device_name(device)!r}: the background task "
            f"{life.task.name!r}, which holds it, is cancelled.",
            None,
        )
        life.cancel("abort", f"the plan {holder.name!r} needed {device_name(device)!r}")
        await asyncio.wait([life.end])
        return True

    def acquire(self, holder: Holder, devices: Any) -> None:
        """Claim devices for a task: all or none."""
        self.claims.acquire(holder, checked_devices(devices))

    async def claim(self, holder: Holder, devices: Any) -> None:
        """Claim devices for a foreground plan: all or none.

        Raises
        ------
        ResourceConflictError
            If a holder does not give way; then those that gave way already get theirs back.
        """
        wanted = checked_devices(devices)
        try:
            for _ in range(ATTEMPTS):
                for device in wanted:
                    await self.clear_the_way(holder, device)
                try:
                    return self.claims.acquire(holder, wanted)
                except ResourceConflictError as conflict:
                    # A task reached for it while another one was giving way.
                    last = conflict
            raise last
        except ResourceConflictError:
            self.give_back_unclaimed(holder)
            raise

    def release(self, holder: Holder, devices: Any) -> None:
        """Release devices, and have the tasks go on that waited for them."""
        self.freed(self.claims.release(holder, checked_devices(devices)))

    def release_all(self, holder: Holder) -> None:
        """Release all that ``holder`` has, and have the tasks go on that waited for it."""
        self.freed(self.claims.release_all(holder))

    def give_back_unclaimed(self, holder: Holder) -> None:
        """Give back what ``holder`` has borrowed without having claimed it."""
        with self._lock:
            lives = [life for life, _ in self._lives.values()]
        for life in lives:
            if life.rests_for("conflict") and self.claims.give_back(holder, life.task):
                life.let_go("conflict")

    def freed(self, lenders: tuple[Holder, ...]) -> None:
        """Have tasks go on that have all of their devices back."""
        for lender in lenders:
            life = self._life_of(lender)
            if life is not None:
                life.let_go("conflict")

    def _life_of(self, holder: Holder) -> Life | None:
        with self._lock:
            for life, _ in self._lives.values():
                if life.task is holder:
                    return life
        return None

    # -- the end of the engine ----------------------------------------------------------------

    def lives(self) -> tuple[Life, ...]:
        """Return the lives of all tasks that have not ended; for the engine."""
        with self._lock:
            return tuple(life for life, _ in self._lives.values())

    async def close(self, more: Callable[[], tuple[Life, ...]], grace: float | None = None) -> None:
        """Refuse new tasks and cancel all; on the loop's thread. Those given up are logged."""
        with self._lock:
            self._closing = True
        patience = self.grace if grace is None else min(self.grace, grace)
        while lives := (*self.lives(), *more()):
            for life in lives:
                life.cancel("abort", "the engine was closed", patience)
            await asyncio.wait([life.end for life in lives])
        self._spare.clear()

    def spawn(self, coro: Coroutine[Any, Any, Any], what: str) -> asyncio.Task[Any]:
        """Run a coroutine that nobody awaits; on the loop's thread."""
        return self.spawner.spawn(coro, what)


def runner_for(
    payload: Payload,
    metadata: dict[str, Any],
    borrow: Callable[[], ChildEngine],
    give: Callable[[ChildEngine], None],
) -> Runner:
    """Return what runs a payload."""
    if payload.flavour == "plan":
        return PlanRunner(payload.thing, metadata, borrow, give)
    if payload.flavour == "asyncio":
        return CoroutineRunner(payload.thing)
    kind: type[ThreadRunner] = TrioRunner if payload.flavour == "trio" else ThreadRunner
    return kind(payload.thing, takes_context=payload.takes_context)


def warn(message: str, about: Any) -> None:
    """Warn, naming the place where the payload was written; not once, but each time."""
    frame = getattr(about, "gi_frame", None)
    code = getattr(getattr(about, "__code__", None), "co_filename", None)
    where = frame.f_code.co_filename if frame is not None else code or "freewheel"
    line = frame.f_lineno if frame is not None else 0
    # With no registry of its own: Python shows a warning of one place and text only once.
    warnings.warn_explicit(message, BackgroundWarning, where, line)
