"""Plans that run again and again: ``RE.queue.every``."""

from __future__ import annotations

import logging
import math
import numbers
import threading
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, final

from freewheel.core import EngineClosedError, PeriodicPicture, ServiceFailedError

from ._calls import Call

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

    from freewheel.core import PlanCall

    from ._bluesky import EngineCore
    from ._futures import PlanFuture

__all__ = ["Periodic", "Periodics", "next_due"]

_log = logging.getLogger("freewheel")


@final
class Periodic:
    """A plan that runs again and again, and what ends that: see `PlanQueue.every`.

    Any thread may use it; all else is of the loop's thread.

    Attributes
    ----------
    seconds : float
        From one start to the next.
    call : PlanCall
        What makes the plan, each time anew.
    metadata : Mapping
        Of its runs.
    runs : int
        How often it was begun, or waited for its turn.
    future : PlanFuture or None
        Of the run that waits, or is under way, or was the last.
    failure : BaseException or None
        What one of them has failed with; after that there are no more.
    """

    __slots__ = (
        "_cancelled",
        "_due",
        "_overdue",
        "_owner",
        "_shown",
        "_timer",
        "call",
        "failure",
        "future",
        "metadata",
        "runs",
        "seconds",
    )

    def __init__(
        self, owner: Periodics, seconds: float, call: PlanCall, metadata: Mapping[str, Any]
    ) -> None:
        self._owner = owner
        self.seconds = seconds
        self.call = call
        self.metadata: Mapping[str, Any] = MappingProxyType(dict(metadata))
        # Made early: devices tell their names by code of their own.
        self._shown = PeriodicPicture(call.name, call.arguments, seconds)
        self.runs = 0
        self.future: PlanFuture | None = None
        self.failure: BaseException | None = None
        self._cancelled = False  # only ever set, by any thread
        self._timer: asyncio.TimerHandle | None = None
        self._due = owner.loop.time() + seconds  # in the loop's time
        self._overdue = False  # it would start the engine by itself, after it was stopped

    @property
    def name(self) -> str:
        """The plan's name."""
        return self.call.name

    @property
    def done(self) -> bool:
        """Whether it is run no more: it was cancelled, or has failed."""
        return self._cancelled or self.failure is not None

    def cancel(self) -> bool:
        """Run it no more; a run that is under way goes on, one that waits is taken back.

        Returns
        -------
        bool
            False if it was run no more already.
        """
        if self.done:
            return False
        self._cancelled = True
        self._owner.forget(self)
        future = self.future
        if future is not None:
            future.cancel()
        return True

    def __repr__(self) -> str:
        how = f"every {self.seconds:g} s"
        if self.failure is not None:
            how = f"failed with {type(self.failure).__name__}"
        elif self._cancelled:
            how = "cancelled"
        return f"<Periodic {self.call!r}: {how}, {self.runs} run(s)>"

    def picture(self) -> PeriodicPicture:
        """Return when it is due, or what it waits for; from any thread."""
        future, due, shown = self.future, None, self._shown
        if self._overdue:
            waits = "waits until a plan is started, for one was stopped or has failed"
        elif future is not None and not future.status.ended:
            waits = f"is {future.status}"
        else:
            left = self._due - self._owner.loop.time()
            waits, due = "", min(max(0.0, left), self.seconds)  # rounded, a sum may be more
        return shown._replace(runs=self.runs, due_in=due, waits_for=waits)

    # -- on the loop's thread -----------------------------------------------------------------

    def begin(self) -> None:
        """Count the time from now on."""
        if self.done:  # cancelled already
            return
        loop = self._owner.loop
        self._due = loop.time() + self.seconds
        self._timer = loop.call_at(self._due, self._run)

    def stop(self) -> None:
        """Run it no more by itself."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def wake(self) -> None:
        """Run it now if it is overdue: a person has started a plan."""
        if self._overdue:
            self._run()

    def _run(self) -> None:
        self._timer = None
        if self.done:
            return
        self._overdue = self._owner.rests()
        if self._overdue:
            self._owner.changed()
            return
        try:
            future = self._owner.submit(self.call, self.metadata)
        except ServiceFailedError:
            self._wait_again()
            return
        except EngineClosedError:
            self._owner.forget(self)
            return
        except BaseException as error:
            self._failed(error)
            return
        self.runs += 1
        self.future = future
        if self._cancelled:  # meanwhile, by somebody who has not seen this run
            future.cancel()
        # In whichever thread: one that waits may be cancelled by a person.
        future.outcome.add_done_callback(lambda _: self._owner.call_on_loop(self._ended, future))

    def _ended(self, future: PlanFuture) -> None:
        if future.failure is not None:
            future.outcome.exception(0)  # told of here
            self._failed(future.failure)
        else:
            self._wait_again()

    def _wait_again(self) -> None:
        """Wait until it is due: at a multiple of its period, and never twice at once."""
        if self.done:
            return
        loop = self._owner.loop
        self._due = next_due(self._due, loop.time(), self.seconds)
        self._timer = loop.call_at(self._due, self._run)
        self._owner.changed()

    def _failed(self, error: BaseException) -> None:
        self.failure = error
        self._owner.forget(self)
        _log.error(
            "The periodic plan %r has failed, and is run no more: RE.queue.every(...) begins anew.",
            self.name,
            exc_info=error,
        )


def next_due(due: float, now: float, seconds: float) -> float:
    """Return when a plan is due again that was due once: what was missed meanwhile is left out."""
    missed = math.floor((now - due) / seconds)
    return due + max(1, missed + 1) * seconds


@final
class Periodics:
    """The periodic plans of an engine.

    Parameters
    ----------
    core : EngineCore
        The engine.
    check : callable
        Raises if no plan may be started.
    preempt : callable
        Has a call run in place of the plan that runs.
    rests : callable
        Tells whether the engine was stopped, and is to move nothing before a person starts a plan.
    changed : callable
        Tells those who watch the queue; from any thread, without waiting.
    """

    def __init__(
        self,
        core: EngineCore,
        check: Callable[[], None],
        preempt: Callable[[Call], PlanFuture],
        rests: Callable[[], bool],
        changed: Callable[[], None],
    ) -> None:
        self.loop = core.loop
        self.call_on_loop = core.call_on_loop
        self.rests = rests
        self.changed = changed
        self._thread = core.thread
        self._check = check
        self._preempt = preempt
        self._lock = threading.Lock()  # held by whoever replaces `all`, which any thread reads
        self.all: tuple[Periodic, ...] = ()

    def every(self, seconds: Any, call: PlanCall, metadata: Mapping[str, Any]) -> Periodic:
        """Run a plan again and again; from any thread."""
        if not isinstance(seconds, numbers.Real):
            raise TypeError(f"A plan is run every so many seconds, a number, not {seconds!r}.")
        period = float(seconds)
        if not 0 < period < math.inf:
            raise ValueError(f"A plan is run every so many seconds, more than 0, not {seconds!r}.")
        self._check()
        periodic = Periodic(self, period, call, metadata)
        with self._lock:
            self.all = (*self.all, periodic)
        self.call_on_loop(periodic.begin)
        self.changed()
        return periodic

    def picture(self) -> tuple[PeriodicPicture, ...]:
        """Return when each is due; from any thread."""
        return tuple(periodic.picture() for periodic in self.all)

    def forget(self, periodic: Periodic) -> None:
        """Run one of them no more; from any thread."""
        with self._lock:
            self.all = tuple(each for each in self.all if each is not periodic)
        self.call_on_loop(periodic.stop)
        self.changed()

    def wake(self) -> None:
        """Hear that a person has started a plan. On the loop's thread."""
        for periodic in self.all:
            periodic.wake()

    def submit(self, plan: PlanCall, metadata: Mapping[str, Any]) -> PlanFuture:
        """Have one of them run at the next safe point."""
        self._check()
        call = Call.make(plan, None, dict(metadata), self._thread)
        call.periodic = True
        return self._preempt(call)
