"""The statuses that a plan has under way, and the waits for them.

Instead of bluesky's future, three closures and a task for each status there is one object that
counts down, and one wake-up of the loop for all that end together; none for those that end on the
loop. All of it runs on the engine's loop, but for `Pending.finished` and `Statuses.in_use`.
"""

from __future__ import annotations

import asyncio
import logging
from threading import Thread, get_ident
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

from bluesky.utils import FailedStatus

from freewheel.core._connection import told_of_connection
from freewheel.core._crossings import call_soon
from freewheel.core._devices import quoted_name
from freewheel.core._errors import text_of
from freewheel.core._patience import time_out_text

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from bluesky.protocols import Status

    from ._ports import PlanUnderWay

__all__ = ["Pending", "Statuses"]

#: Statuses that are added between two looks for groups that nobody will wait for.
PURGE_EVERY: Final = 512
#: What comes by the thousand, and may be done at once.
_QUICK: Final = frozenset(("set", "trigger"))

_log = logging.getLogger("bluesky")


class ExplainedFailedStatus(FailedStatus):
    """bluesky's ``FailedStatus`` whose text says why, and of what: ``(set of 'x')``."""

    took = 0.0  # s until it did
    about = ""

    def __str__(self) -> str:
        cause = self.__cause__
        about = self.about or super().__str__()
        if cause is None:
            return f"{about} failed, and does not say why"
        reason = time_out_text(cause, self.took) or text_of(cause)
        return f"{type(cause).__name__}: {reason} ({about})"


class _Countdown:
    """What one ``wait`` waits for: all of its statuses, or the first failure among them."""

    __slots__ = ("_future", "_left")

    def __init__(self, future: asyncio.Future[None], left: int) -> None:
        self._future = future
        self._left = left

    def one_ended(self, failed: bool) -> None:
        self._left -= 1
        if failed or not self._left:
            self.end()

    def end(self) -> None:
        if not self._future.done():
            self._future.set_result(None)


class Pending:
    """A status that a plan may wait for.

    In bluesky's groups it stands where bluesky has a function that returns a future, and it is
    one: calling it gives a future, made when it is first asked for.
    """

    __slots__ = (
        "_began",
        "_countdown",
        "_done",
        "_failure",
        "_future",
        "_owner",
        "_plan",
        "action",
        "obj",
        "status",
    )

    def __init__(self, owner: Statuses, status: Status, obj: Any, action: str) -> None:
        self._owner = owner
        self._plan = owner.plan
        self._began = monotonic()
        self.status = status
        self.obj = obj
        self.action = action  # the command that the status is of
        self._done = False
        self._failure: BaseException | None = None
        self._future: asyncio.Future[None] | None = None
        self._countdown: _Countdown | None = None

    def finished(self, _: Any = None) -> None:
        """Be told that the status has ended; from any thread."""
        if _log.isEnabledFor(logging.DEBUG):
            self._owner.log.debug(
                "The object %r reports %r is done with status %r.",
                self.obj,
                self.action,
                self.status.success,
            )
        if get_ident() == self._owner.ident:
            self.settle()
        else:
            self._owner.ended(self)

    def settle(self) -> None:
        """Take the status's end up: on the loop."""
        status, plan = self.status, self._plan
        if status.success or plan is None or plan.pardons:
            self._end(None)
            return
        failure = ExplainedFailedStatus(status)
        failure.took = monotonic() - self._began
        failure.about = f"{self.action} of {quoted_name(self.obj)}"
        failure.__cause__ = told_of_connection(status.exception(timeout=0), self.obj)
        plan.fail_status(failure)
        self._end(failure)

    def __call__(self) -> asyncio.Future[None]:
        """Return a future that ends like the status."""
        future = self._future
        if future is None:
            future = self._future = self._owner.new_future()
            self._tell(future)
        return future

    def _tell(self, future: asyncio.Future[None]) -> None:
        if not self._done or future.done():
            return
        if self._failure is None:
            future.set_result(None)
        else:
            future.set_exception(self._failure)
            future.exception()  # retrieved: it need not be waited for

    def count_on(self, countdown: _Countdown | None) -> None:
        """Have a countdown told of the end; with ``None`` have it told no more."""
        self._countdown = countdown

    def is_over_already(self) -> bool:
        """Take up the end of a status that came done and well: nobody need be told of it."""
        status = self.status
        if self.action not in _QUICK:
            return False
        try:
            if status.done is not True or status.success is not True:
                return False
        except Exception:  # of a property, which is somebody's own code, or there is none
            return False
        if _log.isEnabledFor(logging.DEBUG):  # to which the end of each is told
            return False
        self._done = True
        return True

    def may_use_device(self) -> bool:
        """Tell whether the device may have been under way or flying until now, in one step."""
        return not self._done or self.action == "kickoff"

    def uses_device(self) -> bool:
        """Tell whether the device is under way, or kicked off and not yet completed."""
        # Not every status that a device returns has `done`, or can be asked for it, and bluesky
        # takes those too.
        try:
            done = self.status.done
        except Exception:
            done = self._done
        return not done or (self.action == "kickoff" and self._failure is None)

    def done(self) -> bool:
        """Tell whether the end was taken up."""
        return self._done

    def exception(self) -> BaseException | None:
        """Return what the status failed with."""
        return self._failure

    def _end(self, failure: BaseException | None) -> None:
        if self._done:
            return
        self._done = True
        self._failure = failure
        if self._future is not None:
            self._tell(self._future)
        countdown, self._countdown = self._countdown, None
        if countdown is not None:
            countdown.one_ended(failure is not None)
        if self._owner.took is not None and failure is None:
            self._owner.took(self.obj, self.action, monotonic() - self._began)
        self._owner.use_changed()


class _Laid(NamedTuple):
    """The statuses of a plan that is parked: `latest` may be read by any thread."""

    groups: Any
    objects: Any
    plan: PlanUnderWay | None
    latest: dict[Any, Pending]
    last_moves: dict[Any, None]

    def in_use(self) -> list[Any]:
        """Return the devices that are under way still."""
        return _in_use(self.latest)


def _in_use(latest: dict[Any, Pending]) -> list[Any]:
    return [obj for obj, pending in latest.items() if pending.uses_device()]


@final
class Statuses:
    """The statuses that an engine's plan has under way.

    Parameters
    ----------
    engine : bluesky.run_engine.RunEngine
        The engine, whose groups they are put into.
    loop : asyncio.AbstractEventLoop
        The loop.
    thread : Thread
        The thread that runs it.
    unrepeated : frozenset of str
        The commands that a rewind does not repeat.

    Attributes
    ----------
    groups, objects : dict
        bluesky's own: of each group what is waited for, and the statuses.
    plan : PlanUnderWay or None
        The plan that they are of.
    use_changed : callable
        Called when a device comes to be used, or is so no more. It must be quick.
    took : callable or None
        Called with a device, a command and the seconds that it took. It must be quick.
    """

    __slots__ = (
        "_added",
        "_called",
        "_ended",
        "_latest",
        "_loop",
        "_unrepeated",
        "groups",
        "ident",
        "last_moves",
        "log",
        "objects",
        "plan",
        "took",
        "use_changed",
    )

    def __init__(
        self,
        engine: Any,
        loop: asyncio.AbstractEventLoop,
        thread: Thread,
        unrepeated: frozenset[str],
    ) -> None:
        self._loop = loop
        self.ident = thread.ident  #: of the loop's thread
        self._unrepeated = unrepeated
        self.log = engine.log
        self.groups: Any = engine._groups
        self.objects: Any = engine._status_objs
        self.plan: PlanUnderWay | None = None
        self._added = 0
        # Those that ended on other threads: appended by these, taken by the loop.
        self._ended: list[Pending] = []
        # Whether the loop will look. Written by all; see `ended` for why that needs no lock.
        self._called = False
        # What was started last with each device of the plan. Written on the loop's thread; copied,
        # in one step, by others.
        self._latest: dict[Any, Pending] = {}
        # What the plan has set, in the order of the last times. Of the loop's thread.
        self.last_moves: dict[Any, None] = {}
        self.use_changed: Callable[[], None] = _nothing
        #: Told how long a device took for what. Set by any thread, called on the loop's.
        self.took: Callable[[Any, str, float], None] | None = None

    def in_use(self) -> list[Any]:
        """Return the devices that are under way, or flying; from any thread."""
        return _in_use(self._latest.copy())

    # -- of a plan that is parked -------------------------------------------------------------

    def lay_aside(self) -> _Laid:
        """Hand out what is kept for the plan; see `Aside`."""
        laid = _Laid(
            self.groups.copy(), self.objects.copy(), self.plan, self._latest, self.last_moves
        )
        self.groups.clear()
        self.objects.clear()
        self._latest, self.last_moves = {}, {}
        return laid

    def take_up(self, laid: _Laid) -> None:
        """Keep again what belongs to a plan that was parked."""
        for mine, its in ((self.groups, laid.groups), (self.objects, laid.objects)):
            mine.clear()
            mine.update(its)
        self.plan, self._latest, self.last_moves = laid.plan, laid.latest, laid.last_moves
        self.use_changed()

    # -- the statuses -------------------------------------------------------------------------

    def moved(self) -> list[Any]:
        """Return the devices that the plan has started something with."""
        return list(self._latest)

    def any_under_way(self) -> bool:
        """Tell whether a status of some group has not ended."""
        return any(not status.done for group in self.objects.values() for status in group)

    async def all_ended(self, at_most: float) -> list[Any]:
        """Wait until nothing is under way, `at_most` seconds; return the devices that still are."""
        left = {obj: pending for obj, pending in self._latest.items() if not pending.done()}
        if left:
            await asyncio.wait([pending() for pending in left.values()], timeout=at_most)
        return [obj for obj, pending in left.items() if not pending.done()]

    def begin(self, plan: PlanUnderWay) -> None:
        """Begin with the statuses of a plan."""
        self.plan = plan
        self.groups.clear()
        self.objects.clear()

    def forget(self) -> None:
        """Forget the devices of a plan that has ended."""
        self._latest.clear()
        self.last_moves.clear()

    def new_future(self) -> asyncio.Future[None]:
        """Return a future of the loop."""
        return self._loop.create_future()

    def add(self, obj: Any, status: Status, group: Hashable, action: str) -> Pending:
        """Add a status to a group."""
        pending = self.track(obj, status, action)
        if action == "set":
            self.last_moves.pop(obj, None)
            self.last_moves[obj] = None
        self.groups[group].add(pending)
        self.objects[group].add(status)
        self._added += 1
        if self._added >= PURGE_EVERY:
            self._added = 0
            self._purge()
        return pending

    def add_passing(self, obj: Any, status: Any, group: Hashable, action: str) -> None:
        """Add a status to a group, and drop it when it succeeds, for nobody may wait for it."""
        if status.done and status.success:
            return
        pending = self.add(obj, status, group, action)
        status.add_callback(lambda _: call_soon(self._loop, self._drop, group, pending))

    def _drop(self, group: Hashable, pending: Pending) -> None:
        if not pending.status.success or pending not in self.groups.get(group, ()):
            return
        self.groups[group].discard(pending)
        self.objects[group].discard(pending.status)
        if not self.groups[group]:
            del self.groups[group]
            del self.objects[group]

    def track(self, obj: Any, status: Status, action: str) -> Pending:
        """Follow a status that is in no group."""
        before = self._latest.get(obj)
        pending = self._latest[obj] = Pending(self, status, obj, action)
        if self.took is None and pending.is_over_already():
            if before is not None and before.may_use_device():
                self.use_changed()
            return pending
        try:
            status.add_callback(pending.finished)
        except AttributeError:
            status.finished_cb = pending.finished  # type: ignore[attr-defined]  # old ophyd
        if not pending._done:  # else its end has told of it
            self.use_changed()
        return pending

    def ended(self, pending: Pending) -> None:
        """Have the loop take up the end of a status; from another thread."""
        self._ended.append(pending)
        # The loop clears the flag before it empties the list: whoever finds the flag set has
        # appended before that, and is not forgotten. Two that both find it clear both call.
        if not self._called:
            self._called = True
            call_soon(self._loop, self._settle_ended)

    def _settle_ended(self) -> None:
        self._called = False
        ended = self._ended
        while count := len(ended):
            batch = ended[:count]
            del ended[:count]  # in one step, and those appended meanwhile stay
            for pending in batch:
                pending.settle()

    def _purge(self) -> None:
        """Forget what has ended in groups that grow: a plan that never waits would fill memory."""
        groups, statuses = self.groups, self.objects
        for group in [group for group, pendings in groups.items() if not _under_way(pendings)]:
            del groups[group]
            statuses.pop(group, None)
        for group, pendings in groups.items():
            if len(pendings) > PURGE_EVERY:
                done = [p for p in pendings if type(p) is Pending and p.done()]
                pendings.difference_update(done)
                statuses[group].difference_update([p.status for p in done])

    def put_back(self, group: Hashable, pendings: Iterable[Pending]) -> None:
        """Have the replay of a ``wait`` that was cut short wait for what is not done again.

        A ``set`` is repeated, and its new status is waited for. A ``stage`` or a ``stash`` with
        the group is not, and may still be under way.
        """
        for pending in pendings:
            if pending.action in self._unrepeated and not pending.done():
                self.groups[group].add(pending)
                self.objects[group].add(pending.status)

    async def wait_for(self, pendings: Sequence[Pending], at_most: float | None) -> bool:
        """Wait until all have ended, or one has failed, or `at_most` seconds are over.

        Returns
        -------
        bool
            Whether all have ended.
        """
        left = [pending for pending in pendings if not pending.done()]
        if not left:
            return True
        if len(left) < len(pendings) and any(p.exception() is not None for p in pendings):
            return False
        loop = self._loop
        future = loop.create_future()
        countdown = _Countdown(future, len(left))
        for pending in left:
            pending.count_on(countdown)
        timer = None if at_most is None else loop.call_later(at_most, countdown.end)
        try:
            await future
        finally:
            if timer is not None:
                timer.cancel()
            for pending in left:
                pending.count_on(None)
        return all(pending.done() for pending in left)


def _nothing() -> None:
    """Tell nobody."""


def _under_way(pendings: Any) -> bool:
    # What bluesky itself put into a group is a function that returns a future.
    return any(
        not (pending if type(pending) is Pending else pending()).done() for pending in pendings
    )
