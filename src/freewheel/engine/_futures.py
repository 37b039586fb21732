"""The future of a plan, over pauses, to its end."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeVar, final

from freewheel.core import EngineFuture, PlanStatus, status_text
from freewheel.core._circles import Party
from freewheel.core._lean_future import LEAN, Late
from freewheel.core._process import process
from freewheel.core._wording import took_text

from ._cards import plan_card

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bluesky.run_engine import RunEngineResult

    from freewheel.core import PlanCall, Progress

__all__ = ["PlanFuture", "Recipe", "status_of"]

T = TypeVar("T")


class Source(Protocol):
    """Who knows how a plan goes that is under way; from any thread."""

    def state(self) -> str:
        """Return the engine's state."""
        ...

    def progress(self) -> Sequence[Progress]:
        """Return how far the plan has come."""
        ...

    def left(self) -> float | None:
        """Return how long it takes yet, if that is known."""
        ...


class Recipe(NamedTuple):
    """What a plan was called with that can be made anew.

    Attributes
    ----------
    call : PlanCall
        What makes the plan.
    subs : object
        The subscribers of its documents alone, as they were given.
    metadata : dict
        For its runs.
    name : str or None
        What it is called, if that is not the name of its function.
    priority : float
        The one that it was submitted with.
    """

    call: PlanCall
    subs: Any
    metadata: dict[str, Any]
    name: str | None
    priority: float


class _Withdrawable(EngineFuture[T]):
    """A future of a call, which is withdrawn from the queue when it is cancelled."""

    # Set while the call waits in the queue, under the engine's lock; read without it, since the
    # engine is asked in any case.
    _withdraw: Callable[[], bool] | None = None
    # Likewise. `set_running_or_notify_cancel` would say it too, with one more lock to be taken
    # while somebody waits for ``RE(plan)`` to return.
    _begun = False

    def make_withdrawable(self, withdraw: Callable[[], bool]) -> None:
        """Have `cancel` call ``withdraw``, until `begin`."""
        self._withdraw = withdraw

    def begin(self) -> None:
        """Mark what it stands for as under way: it cannot be cancelled any more."""
        if self._withdraw is not None:
            self._withdraw = None
        self._begun = True

    def running(self) -> bool:
        """Tell whether what it stands for is under way."""
        return self._begun and not self.done()

    def cancel(self) -> bool:
        """Withdraw the call if it still waits in the queue.

        Returns
        -------
        bool
            Whether it was withdrawn. A plan that runs is not: stop it with ``RE.stop()``.
        """
        withdraw = self._withdraw
        if self.cancelled():
            return True
        return withdraw() if withdraw is not None else False

    def mark_cancelled(self, why: str) -> None:
        """Cancel, as the one who has withdrawn the call, for the reason given."""
        self._withdraw = None
        self.why_cancelled = why
        if super().cancel():
            self.set_running_or_notify_cancel()


@final
class _Life:
    """A plan's life from its call to its end, over pauses: what the plan's futures share.

    The future of its end is made when somebody asks for it, for most plans have nobody who does,
    and to make and settle one takes a tenth of the time of an empty plan. What is as usual at
    first is left to the class, and its party to the loop: whoever calls ``RE(plan)`` waits for
    what is made here.
    """

    # Under the lock, in which no callback is called.
    _party: Party | None = None
    _future: _Withdrawable[RunEngineResult] | None = None
    # While the call waits: given before anybody knows of it. Without it, it has begun or ended.
    _withdraw: Callable[[], bool] | None = None
    # The result and the error; both are ``None`` for a call that was cancelled.
    _end: tuple[RunEngineResult | None, BaseException | None] | None = None
    _halted = False
    _why_cancelled = ""
    # Written on the engine's thread; read without the lock, for display.
    ended_at: float | None = None
    # Written under the engine's lock, until the plan begins; read without it.
    recipe: Recipe | None = None

    def __init__(self, name: str, thread: threading.Thread) -> None:
        self._name = name
        self._thread = thread
        self._lock = threading.Lock()

    @property
    def party(self) -> Party:
        """The plan, as one who waits and is waited for; from any thread."""
        if self._party is None:
            with self._lock:
                if self._party is None:
                    self._party = Party(f"the plan {self._name!r}")
        return self._party

    def wait_behind(self, behind: Callable[[], Party | None] | None) -> None:
        """Note for whose end the plan waits, or that it waits for its turn no more."""
        if behind is not None or self._party is not None:
            self.party.behind = behind

    @property
    def outcome(self) -> _Withdrawable[RunEngineResult]:
        if self._future is None:
            party = self.party
            with self._lock:
                if self._future is None:
                    self._future = self._make_future(party)
        return self._future

    def _make_future(self, party: Party) -> _Withdrawable[RunEngineResult]:
        future: _Withdrawable[RunEngineResult]
        future = _Withdrawable(f"the outcome of {self._name!r}", self._thread)
        future.party = party
        if self._withdraw is not None:
            future.make_withdrawable(self._withdraw)
        elif self._end != _WITHDRAWN:
            future.begin()
        if self._end is not None:
            self._end_future(future)
        return future

    def make_withdrawable(self, withdraw: Callable[[], bool]) -> None:
        with self._lock:
            self._withdraw = withdraw
            future = self._future
        if future is not None:
            future.make_withdrawable(withdraw)

    def begin(self) -> None:
        """Note that a call which has waited for its turn waits no more."""
        self.wait_behind(None)
        with self._lock:
            self._withdraw = None
            future = self._future
        if future is not None:
            future.begin()

    def settle(
        self,
        result: RunEngineResult | None = None,
        error: BaseException | None = None,
        *,
        halted: bool = False,
        why_cancelled: str = "",
    ) -> None:
        """Note the end: with neither a result nor an error, that the call was cancelled."""
        with self._lock:
            self._halted = halted
            self._why_cancelled = why_cancelled
            self._end = result, error
            self._withdraw = None
            future = self._future
        if future is not None:
            self._end_future(future)

    def _end_future(self, future: _Withdrawable[RunEngineResult]) -> None:
        assert self._end is not None
        result, error = self._end
        if self._end == _WITHDRAWN:
            future.mark_cancelled(self._why_cancelled)
        else:
            future.settle(result, error)

    @property
    def end(self) -> tuple[RunEngineResult | None, BaseException | None] | None:
        """How it ended, or ``None``; from any thread."""
        return self._end

    @property
    def last_status(self) -> PlanStatus | None:
        """How it ended, in one word, or ``None``; from any thread."""
        return None if self._end is None else status_of(*self._end, halted=self._halted)


#: How a call ended that was cancelled.
_WITHDRAWN: Final = (None, None)


def status_of(
    result: RunEngineResult | None, error: BaseException | None, *, halted: bool
) -> PlanStatus:
    """Return how a plan ended, in one word; with neither result nor error it was cancelled."""
    if error is not None:
        return PlanStatus.FAILED
    if result is None:
        return PlanStatus.CANCELLED
    if not result.interrupted:
        return PlanStatus.COMPLETED
    if halted:
        return PlanStatus.HALTED
    return PlanStatus.STOPPED if result.exit_status == "success" else PlanStatus.ABORTED


@final
class PlanFuture(_Withdrawable[Any]):
    """What ``RE(plan)`` returns: done when the plan has ended and all is cleaned up.

    A pause ends it with ``RunEngineInterrupted``, and so does a stop, an abort or a halt.

    Attributes
    ----------
    plan_name : str
        The plan's name.
    outcome : EngineFuture of RunEngineResult
        Done once, at the end of the plan's whole life, which pauses do not end: with a result for
        a plan that completed, was stopped, aborted or halted; with the plan's own exception for
        one that failed.
    """

    # Written under the engine's lock, or on its thread; read without, for display.
    _started_at: float | None = None
    _source: Source | None = None
    _turn_of: Callable[[], str] | None = None
    _parked = False
    # For the engine. Whoever calls it waits for its future, and not for this.
    if TYPE_CHECKING:
        life: _Life
    else:
        life = Late(lambda future: _Life(future.plan_name, future._thread))  # noqa: SLF001 - its own

    def __init__(
        self,
        name: str,
        thread: threading.Thread,
        life: _Life | None = None,
        source: Source | None = None,
    ) -> None:
        # Not by the classes above: whoever calls an engine waits for this.
        if not LEAN:
            Future.__init__(self)
        self._thread = thread
        self._pid = process.number
        self.plan_name = name
        if life is not None:
            self.life = life
        if source is not None:
            self._begun = True
            self._source = source
            self._started_at = time.monotonic()

    @property
    def what(self) -> str:
        """The plan, for messages."""
        return f"plan {self.plan_name!r}"

    @property
    def party(self) -> Party:  # type: ignore[override]
        """The plan, as one who waits and is waited for."""
        return self.life.party

    @property
    def outcome(self) -> EngineFuture[RunEngineResult]:
        """The future of the end of the plan's whole life."""
        return self.life.outcome

    @property
    def call(self) -> PlanCall | None:
        """What makes the plan, if it was called with a `PlanCall`; ``None`` for a generator."""
        recipe = self.life.recipe
        return None if recipe is None else recipe.call

    def wait_for_turn(self, turn_of: Callable[[], str]) -> None:
        """Say what the call waits for, as `turn_of` tells it, until it starts.

        Parameters
        ----------
        turn_of : callable
            Says in words what a call waits for.
        """
        self._turn_of = turn_of

    def park(self, parked: bool) -> None:
        """Note whether another plan runs in this one's place.

        Parameters
        ----------
        parked : bool
            Whether another plan runs in its place.
        """
        self._parked = parked

    def start(self, source: Source, since: float | None = None) -> None:
        """Mark the plan as under way.

        Parameters
        ----------
        source : Source
            Who knows how it goes, while it is.
        since : float, optional
            When it started, in seconds of `time.monotonic`; by default now.
        """
        if self._withdraw is not None:  # it has waited for its turn
            self._turn_of = None
            self._withdraw = None
            self.life.begin()
        self._begun = True
        self._source = source
        self._started_at = time.monotonic() if since is None else since

    def end(self) -> None:
        """Note the time of the plan's end, and let go of the engine."""
        self.life.ended_at = time.monotonic()
        self._source = None

    def successor(self) -> PlanFuture:
        """Return the future of the resumed plan, with the same outcome."""
        new = PlanFuture(self.plan_name, self._thread, self.life)
        if self._source is not None:
            new.start(self._source, self._started_at)
        self._source = None
        return new

    @property
    def elapsed(self) -> float | None:
        """Seconds since the plan was started, until its end; ``None`` before its start."""
        if self._started_at is None:
            return None
        return (self.life.ended_at or time.monotonic()) - self._started_at

    @property
    def time_left(self) -> float | None:
        """Seconds until the plan's end: infinite if it has none; ``None`` if that is not known.

        By its preview, if there was one, and by how it goes.
        """
        source = self._source  # one look: the engine's thread lets go of it
        return None if source is None else source.left()

    @property
    def status(self) -> PlanStatus:
        """Where the plan is between its call and its end; from any thread."""
        if self.cancelled():
            return PlanStatus.CANCELLED
        if (last := self.life.last_status) is not None:
            return last
        if self._started_at is None:
            return PlanStatus.QUEUED
        source = self._source  # one look: the engine's thread lets go of it
        if self.done():
            return PlanStatus.RESUMED if source is None else PlanStatus.PAUSED
        if self._parked:
            return PlanStatus.PARKED
        return PlanStatus.RUNNING if source is None else PlanStatus.under_way(source.state())

    @property
    def failure(self) -> BaseException | None:
        """What the plan failed with; ``None`` if it did not, or has not ended. Never waits."""
        return None if self.life.end is None else self.life.end[1]

    @property
    def progress(self) -> tuple[Progress, ...]:
        """How far the plan, and the moves that it waits for, have come; empty when it has ended."""
        source = None if self._parked else self._source  # its progress is another plan's then
        return () if source is None else tuple(source.progress())

    @property
    def _standing(self) -> str:
        return status_text(self.status, self.failure)

    def __repr__(self) -> str:
        elapsed = self.elapsed
        times = took_text(elapsed, self.time_left, tenths=True)
        took = "" if elapsed is None else f", {times}"
        fraction = next((p.fraction for p in self.progress if p.fraction is not None), None)
        come = "" if fraction is None else f", {fraction:.0%}"
        return f"<PlanFuture {self.plan_name}: {self._standing}{took}{come}{self._turn}>"

    @property
    def _turn(self) -> str:
        """What the call waits for, while it does."""
        turn_of = self._turn_of  # one look: the call may start, or be cancelled, meanwhile
        if turn_of is None or self.done():
            return ""
        turn = turn_of()
        return f", {turn}" if turn else ""

    def _repr_html_(self) -> str:
        """Return a small card, for notebooks."""
        progress, left = self.progress, self.time_left
        return plan_card(self.plan_name, self._standing, self.elapsed, progress, left)
