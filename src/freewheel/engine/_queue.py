"""What a user sees and does of the calls that wait for their turn: ``RE.queue``."""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, final, overload

from freewheel.core import PlanCall
from freewheel.core._wording import names_text

from ._calls import Call, drop_plan, start_of
from ._futures import PlanFuture
from ._waiting_list import OnInterruption, cancel_all, not_made_anew

if TYPE_CHECKING:
    import threading

    from ._foreseen import Foreseen
    from ._futures import Recipe
    from ._periodic import Periodic, Periodics
    from ._waiting_list import WaitingList

__all__ = ["PlanQueue", "checked_call"]


class _Foreground(Protocol):
    """Who runs the calls. From any thread."""

    thread: threading.Thread
    periodics: Periodics
    foreseen: Foreseen

    def check(self) -> None:
        """Raise if no plan may be started."""
        ...

    def admit(self, call: Call, *, queue: bool = True) -> PlanFuture:
        """Start a call, or queue it."""
        ...

    def start_next_locked(self) -> None:
        """Start the next call, if nothing runs; with the lock held."""
        ...


@final
class PlanQueue(Sequence["PlanFuture"]):
    """The futures of the calls that wait, in the order in which they will start: ``RE.queue``.

    Any thread may use it, and nothing here waits for the engine. It is a sequence of what waits
    now; take ``tuple(RE.queue)`` for a picture that stays. The highest priority starts next, and
    of equals the first come.
    """

    __slots__ = ("_foreground", "_waiting")

    def __init__(self, waiting: WaitingList, foreground: _Foreground) -> None:
        self._waiting = waiting
        self._foreground = foreground

    # -- looking ------------------------------------------------------------------------------

    @overload
    def __getitem__(self, index: int) -> PlanFuture: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[PlanFuture, ...]: ...

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self._waiting.futures()[index]
        with self._waiting.lock:
            return self._waiting.calls[index].future

    def __len__(self) -> int:
        return len(self._waiting.calls)

    def __iter__(self) -> Iterator[PlanFuture]:
        return iter(self._waiting.futures())

    @property
    def held(self) -> str | None:
        """Why nothing new starts; ``None`` if it is not held, and never empty if it is."""
        return self._waiting.held

    def __repr__(self) -> str:
        names = names_text(self._waiting.picture()) or "empty"
        held = self.held
        return f"<PlanQueue: {names}{'' if held is None else f'; held: {held}'}>"

    # -- adding and changing ------------------------------------------------------------------

    def submit(
        self,
        plan: Any,
        subs: Any = None,
        /,
        *,
        priority: float = 0,
        name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> PlanFuture:
        """Start a plan, or have it wait for its turn; as ``RE(plan)``, whose priority is 0.

        Parameters
        ----------
        plan : PlanCall, generator or iterable of Msg
            The plan. A `PlanCall` can be shown with its arguments, edited and put back.
        subs : callable, list or dict, optional
            Subscribers of this plan's documents alone.
        priority : float, default: 0
            The highest starts next; of equals, the first come.
        name : str, optional
            What it is called; by default as its function.
        metadata : mapping, optional
            For the plan's runs.

        Raises
        ------
        TypeError
            For something that is no plan, and for a priority that is no number.
        ValueError
            For a priority that is not finite.
        EngineClosedError, ForkedProcessError, ServiceFailedError
            If this engine runs no plan now.
        """
        self._foreground.check()
        call = checked_call(self._foreground.thread, plan, subs, priority, name, metadata)
        return self._foreground.admit(call)

    def move(self, future: PlanFuture, position: int) -> None:
        """Have a call that waits do so elsewhere: at 0 it is the next one.

        It takes on the priority of its new place, so that what is submitted later finds its own.

        Parameters
        ----------
        future : PlanFuture
            The call.
        position : int
            Where it is to be, as an index of this sequence.

        Raises
        ------
        IndexError
            For a position that there is not.
        TypeError
            For what is no position: it is a whole number.
        ValueError
            If the call does not wait here: it has started, or has ended.
        """
        try:
            place = operator.index(position)
        except TypeError:
            raise TypeError(
                f"A position in the queue is a whole number, 0 for the next one, not {position!r}."
            ) from None
        with self._waiting.lock:
            self._waiting.move(future, place)

    def edit(self, future: PlanFuture, call: PlanCall) -> None:
        """Have a call that waits run something else, in the same place and under the same future.

        ::

            RE.queue.edit(future, dataclasses.replace(future.call, kwargs={"num": 5}))

        Parameters
        ----------
        future : PlanFuture
            The call.
        call : PlanCall
            What it is to run.

        Raises
        ------
        TypeError
            If either of them is no `PlanCall`, or ``call`` makes no plan.
        ValueError
            If the call does not wait here: it has started, or has ended.
        """
        if not isinstance(call, PlanCall):
            raise TypeError(f"A call that waits is changed into a PlanCall, not into {call!r}.")
        with self._waiting.lock:
            self._waiting.place_of(future)  # refused before a plan is made
        old = future.life.recipe
        if old is None:
            raise TypeError(not_made_anew([future], "edited"))
        recipe = old._replace(call=call)
        start = start_of(call, recipe.subs, recipe.metadata, recipe.name)
        try:
            with self._waiting.lock:
                edited, replaced = self._waiting.edit(future, recipe, start)
        except BaseException:
            drop_plan(start.plan)
            raise
        self._foreground.foreseen.expect(edited)
        drop_plan(replaced)

    def put_back(self, *futures: PlanFuture) -> tuple[PlanFuture, ...]:
        """Submit plans again that were cancelled or have ended: all of them, or none.

        Parameters
        ----------
        *futures : PlanFuture
            Whose plans; by default those that a stop, a failure or `clear` has cancelled last.

        Returns
        -------
        tuple of PlanFuture
            Their new futures, with the priorities that they were submitted with.

        Raises
        ------
        TypeError
            If one of them was called with a generator, which runs once.
        ValueError
            If one of them waits still, or is under way.
        """
        self._foreground.check()
        several = futures or self._waiting.dropped
        for future in several:
            if not isinstance(future, PlanFuture):
                raise TypeError(f"What RE(plan) has returned can be put back, not {future!r}.")
        # Those that were cancelled last may be on their way to it: they are out of the queue.
        if alive := [future for future in futures if not future.status.ended]:
            raise ValueError(
                f"{alive[0].plan_name!r} is {alive[0].status}: what has ended, or was cancelled, "
                "can be put back."
            )
        if made := [future for future in several if future.call is None]:
            raise TypeError(not_made_anew(made, "put back"))
        calls: list[Call] = []
        try:
            calls.extend(self._again(future.life.recipe) for future in several)
            taken = bool(futures) or self._waiting.take_dropped(several)
        except BaseException:
            _drop(calls)
            raise
        if not taken:
            _drop(calls)
            return ()  # somebody else has put them back meanwhile
        return tuple(self._foreground.admit(call) for call in calls)

    def _again(self, recipe: Recipe | None) -> Call:
        assert recipe is not None
        return Call.make(
            recipe.call,
            recipe.subs,
            recipe.metadata,
            self._foreground.thread,
            name=recipe.name,
            priority=recipe.priority,
        )

    def every(
        self, seconds: float, function: Callable[..., Any] | PlanCall, /, *args: Any, **kwargs: Any
    ) -> Periodic:
        """Run a plan again and again, such as a recalibration; the first time after one period.

        When it is due it runs at the next safe point: in place of the plan that runs, as by
        ``RE.preempt``, or at once if none runs. It waits while the queue is held, and never runs
        twice at once: what is missed meanwhile is left out. After a stop, and after a failure, it
        starts nothing by itself before a person has started a plan. If it fails it is run no more.

        Parameters
        ----------
        seconds : float
            From one start to the next.
        function : callable or PlanCall
            The plan function, which makes a new plan each time.
        *args, **kwargs
            What it is called with; beside a `PlanCall`, the metadata of its runs.

        Returns
        -------
        Periodic
            The handle: ``handle.cancel()`` ends it.

        Raises
        ------
        TypeError
            For a plan that was made already, and what is no plan function.
        ValueError
            For a time that is not more than 0, or not finite.
        """
        if not isinstance(function, PlanCall):
            return self._foreground.periodics.every(seconds, PlanCall(function, args, kwargs), {})
        if args:
            raise TypeError(f"{function!r} has its arguments already: give it alone.")
        return self._foreground.periodics.every(seconds, function, kwargs)

    @property
    def periodic(self) -> tuple[Periodic, ...]:
        """The handles of all plans that run again and again."""
        return self._foreground.periodics.all

    def clear(self) -> tuple[PlanFuture, ...]:
        """Cancel all that wait; a hold stays.

        Returns
        -------
        tuple of PlanFuture
            The cancelled ones, in their order.
        """
        with self._waiting.lock:
            taken = self._waiting.take_all()
        return cancel_all(taken, "the queue was cleared")

    # -- holding ------------------------------------------------------------------------------

    @property
    def on_interruption(self) -> str:
        """What becomes of those that wait after a stop, and after a failure.

        ``"cancel"``, the default: they are cancelled, for a future that a script waits for must
        end. ``"hold"``: they stay, the queue is held with the reason, and a person releases it.
        Both are logged. While the queue is held already they stay in any case.
        """
        return self._waiting.on_interruption

    @on_interruption.setter
    def on_interruption(self, value: str) -> None:
        self._waiting.on_interruption = OnInterruption.of(value)

    def hold(self, reason: str = "") -> None:
        """Start nothing new until `release`; the plan that runs goes on.

        Parameters
        ----------
        reason : str, optional
            For `held`, for whoever wonders why nothing starts. A later one takes its place.
        """
        with self._waiting.lock:
            self._waiting.hold(str(reason))

    def release(self) -> None:
        """Let the queue go on: if no plan runs, the next one starts at once.

        While it is not held, this does nothing.

        Raises
        ------
        ServiceFailedError
            If a service has ended and was not adopted again; the queue stays held.
        EngineClosedError, ForkedProcessError
            If this engine cannot run anything any more.
        """
        self._foreground.check()
        with self._waiting.lock:
            if self._waiting.held is None:
                return
            self._waiting.held = None
            self._waiting.tell()
            self._foreground.start_next_locked()


def _drop(calls: list[Call]) -> None:
    for call in calls:
        drop_plan(call.start.plan)


def _checked_priority(priority: Any) -> float:
    if isinstance(priority, bool) or not isinstance(priority, numbers.Real):
        raise TypeError(f"The priority of a plan is a number, not {priority!r}.")
    try:
        number = float(priority)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(
            f"The priority of a plan is a finite number, not {number}. RE.queue.move(future, 0) "
            "has a plan be the next one, whatever waits."
        )
    return number


def checked_call(
    thread: threading.Thread,
    plan: Any,
    subs: Any,
    priority: Any,
    name: Any,
    metadata: Any,
) -> Call:
    """Return the call of a plan, or refuse what was given.

    Raises
    ------
    TypeError, ValueError
        See `PlanQueue.submit`.
    """
    number = _checked_priority(priority)
    if name is not None and not (isinstance(name, str) and name):
        raise TypeError(f"The name of a plan is a text, not {name!r}.")
    if metadata is not None and not isinstance(metadata, Mapping):
        raise TypeError(f"The metadata of a plan is a mapping, not {metadata!r}.")
    given = {} if metadata is None else dict(metadata)
    return Call.make(plan, subs, given, thread, name=name, priority=number)
