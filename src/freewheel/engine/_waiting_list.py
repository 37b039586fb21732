"""The calls that wait for their turn, under the engine's lock."""

from __future__ import annotations

import logging
from bisect import bisect_left, bisect_right
from enum import StrEnum
from math import inf
from typing import TYPE_CHECKING, Any, Final, final

from freewheel.core._wording import names_text

from ._futures import PlanFuture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from freewheel.core import WaitingPlan
    from freewheel.previews import Preview

    from ._bluesky import PlanStart, States
    from ._calls import Call
    from ._futures import Recipe

__all__ = ["OnInterruption", "WaitingList", "cancel_all", "not_made_anew"]

_log = logging.getLogger("freewheel")

#: What the reason is when nobody has given one: `WaitingList.held` is never empty while it holds.
_NO_REASON: Final = "held by hand"


class OnInterruption(StrEnum):
    """What becomes of the calls that wait when the plan before them does not end by itself."""

    CANCEL = "cancel"
    HOLD = "hold"

    @classmethod
    def of(cls, value: str) -> OnInterruption:
        """Return the member of that name.

        Raises
        ------
        ValueError
            With the names that there are.
        """
        try:
            return cls(value)
        except ValueError:
            raise ValueError(
                f"RE.queue.on_interruption is 'cancel' or 'hold', not {value!r}."
            ) from None


@final
class WaitingList:
    """The calls that wait, in their order; all under the engine's lock, which the caller holds.

    What is to be told when the lock is free again is returned, or called by `tell`.

    Parameters
    ----------
    states : States
        The engine's states, whose lock it is. Invariants under it: while the queue is not held and
        no plan runs, nothing waits; and no call has a higher priority than one before it.
    changed : callable
        Tells those who watch that the queue has changed; from any thread, without waiting.
    preempt : callable
        Has the plan that runs hear that it is to give way; likewise.

    Attributes
    ----------
    calls : list of Call
        Those that wait, the next one first.
    held : str or None
        Why nothing new starts.
    on_interruption : OnInterruption
        What becomes of them after a stop or a failure.
    dropped : tuple of PlanFuture
        Those that an interruption, or a clearing, has cancelled last.
    quiet : bool
        Whether a plan was stopped, or has failed, and no person has started one since.
    """

    def __init__(
        self, states: States, changed: Callable[[], None], preempt: Callable[[], None]
    ) -> None:
        self.lock = states.lock
        self._states = states
        self._changed = changed
        self._preempt = preempt
        self.quiet = False
        self.calls: list[Call] = []
        self._by_future: dict[PlanFuture, Call] = {}  # the same, by their futures
        self._picture: tuple[WaitingPlan, ...] | None = ()  # what was shown last, while it holds
        self.held: str | None = None
        self.on_interruption = OnInterruption.CANCEL
        self.dropped: tuple[PlanFuture, ...] = ()

    def tell(self) -> None:
        """Note whether the plan that runs is to give way, and tell of the change."""
        self._picture = None
        before = self._states.preempted
        self._states.preempted = self._preempting() is not None
        if self._states.preempted and not before:
            self._preempt()
        self._changed()

    def _preempting(self) -> int | None:
        """Return the place of the call that is to run in place of the plan that runs."""
        for place, call in enumerate(self.calls):
            if not call.preempts:
                return None
            if self.held is None or not call.periodic:
                return place
        return None

    def preempts_next(self, call: Call) -> bool:
        """Tell whether a call that waits is to run in place of the plan that runs."""
        for other in self.calls:
            if other is call or not other.preempts:
                return other is call and call.preempts
        return False

    @property
    def restores(self) -> bool:
        """Whether one that preempts wants what the plan before it has moved to be put back."""
        return any(call.restores for call in self.calls if call.preempts)

    def next_preempting(self, *, restores: bool) -> Call | None:
        """Take the call that is to run in place of the plan that runs, held or not.

        Parameters
        ----------
        restores : bool
            Whether devices can be put back; one that wants that is not taken if not.
        """
        place = self._preempting()
        if place is None or (self.calls[place].restores and not restores):
            return None
        return self._take(place)

    def _take(self, place: int) -> Call:
        call = self.calls.pop(place)
        del self._by_future[call.future]
        self.tell()
        return call

    def futures(self) -> tuple[PlanFuture, ...]:
        """Return the futures of those that wait; from any thread."""
        with self.lock:
            return tuple(call.future for call in self.calls)

    def picture(self) -> tuple[WaitingPlan, ...]:
        """Return what waits, for a snapshot; from any thread."""
        with self.lock:
            if self._picture is None:
                self._picture = tuple(call.shown for call in self.calls)
            return self._picture

    def foresee(self, calls: Sequence[Call], foreseen: Preview) -> None:
        """Have calls know their preview, whether they wait here or not; from any thread."""
        with self.lock:
            for call in calls:
                call.foresee(foreseen)
            if any(call.future in self._by_future for call in calls):
                self.tell()

    # -- coming and going ---------------------------------------------------------------------

    def put(self, call: Call) -> None:
        """Have a call wait for its turn, behind those of its priority."""
        call.make_withdrawable(lambda: self._withdraw(call))
        if call.preempts:
            # Before one that was moved to the front, too: that starts when the plan has ended for
            # which this one does not wait.
            place = next((n for n, other in enumerate(self.calls) if not other.preempts), None)
            place = len(self.calls) if place is None else place
        else:
            place = bisect_right(self.calls, -call.priority, key=lambda other: -other.priority)
        self._by_future[call.future] = call
        self.calls.insert(place, call)
        self._rank(place)
        self.tell()

    def next(self) -> Call | None:
        """Take the call that is to start now, if there is one and nothing holds it."""
        if not self.calls or self.held is not None:
            return None
        return self._take(0)

    def take_dropped(self, seen: tuple[PlanFuture, ...]) -> bool:
        """Forget those that were cancelled last, to put them back; false if others are by now."""
        with self.lock:
            if self.dropped is not seen:
                return False
            self.dropped = ()
        return True

    def take_all(self) -> list[Call]:
        """Take all of them, to be cancelled."""
        taken, self.calls = self.calls, []
        self._by_future.clear()
        if taken:
            # Those that are run every so often come again by themselves.
            self.dropped = tuple(call.future for call in taken if not call.periodic)
            self.tell()
        return taken

    def interrupted(self, why: str, *, always_hold: bool = False) -> list[Call]:
        """Deal with those that wait: the plan before them has not ended by itself.

        While the queue is held already they stay: nothing of them starts by itself.

        Parameters
        ----------
        why : str
            What has happened.
        always_hold : bool
            Whether to hold the queue even while it is empty, if it is one that is to be held.

        Returns
        -------
        list of Call
            Those that are to be cancelled.
        """
        self.quiet = True
        if self.held is not None:
            return []
        if self.on_interruption is OnInterruption.CANCEL:
            return self.take_all()
        if self.calls or always_hold:
            self.hold(why)
            _log.warning("%s", self.why_held())
        return []

    def _withdraw(self, call: Call) -> bool:
        with self.lock:
            if self._by_future.get(call.future) is not call:
                return False
            self._take(self.place_of(call.future))
        call.cancel("it was taken out of the queue")
        return True

    # -- order --------------------------------------------------------------------------------

    def move(self, future: PlanFuture, position: int) -> None:
        """Put a call elsewhere; it takes on the priority of its new place."""
        place, count = self.place_of(future), len(self.calls)
        if not -count <= position < count:
            raise IndexError(
                f"{position} is no position in the queue, in which {count} plan(s) wait: the next "
                f"one is at 0, the last one at {count - 1}."
            )
        call, position = self.calls.pop(place), position % count
        before = self.calls[position - 1].priority if position else inf
        behind = self.calls[position].priority if position < count - 1 else -inf
        call.priority = min(max(call.priority, behind), before)
        self.calls.insert(position, call)
        self._rank(position)
        self.tell()

    def _rank(self, place: int) -> None:
        """Give the call at a place a rank between those beside it; or all of them new ones."""
        call = self.calls[place]
        beside = self.calls[max(0, place - 1) : place], self.calls[place + 1 : place + 2]
        low, high = ([c.rank for c in calls if c.priority == call.priority] for calls in beside)
        if low and high:
            call.rank = (low[0] + high[0]) / 2
            if not low[0] < call.rank < high[0]:
                for number, each in enumerate(self.calls):
                    each.rank = number
        elif low or high:
            call.rank = low[0] + 1 if low else high[0] - 1

    def edit(self, future: PlanFuture, recipe: Recipe, start: PlanStart) -> tuple[Call, Any]:
        """Have a call that waits run another plan; return it, and the plan that it had."""
        call = self.calls[self.place_of(future)]
        replaced = call.start.plan
        call.change(recipe, start)
        self.tell()
        return call, replaced

    def place_of(self, future: PlanFuture) -> int:
        """Return where a call waits.

        Raises
        ------
        ValueError
            If it does not wait, for it has started, ended, or was never here.
        """
        call = self._by_future.get(future) if isinstance(future, PlanFuture) else None
        if call is None:
            raise ValueError(f"{_called(future)} does not wait in this queue{_instead(future)}.")
        key = -call.priority, call.rank
        return bisect_left(self.calls, key, key=lambda other: (-other.priority, other.rank))

    # -- holding ------------------------------------------------------------------------------

    def hold(self, reason: str) -> None:
        """Start none of them until they are released."""
        self.held = reason or _NO_REASON
        self.tell()

    def why_held(self) -> str:
        """Return what holds the queue, what waits, and the commands that free it."""
        count = len(self.calls)
        waiting = ""
        if count:
            waiting = f"; {count} plan{'s wait' if count != 1 else ' waits'}: {_names(self.calls)}"
        drop = "; RE.queue.clear() drops what waits" if count else ""
        return f"The queue is held ({self.held}){waiting}. RE.queue.release() frees it{drop}."


def cancel_all(calls: Iterable[Call], why: str) -> tuple[PlanFuture, ...]:
    """Cancel calls that were taken out of the queue; without the lock."""
    cancelled = list(calls)
    if cancelled:
        back = ""
        if any(call.future.call is not None for call in cancelled):
            back = " RE.queue.put_back() has those wait again that can be made again."
        _log.warning(
            "%d queued plan(s) cancelled because %s: %s.%s",
            len(cancelled),
            why,
            _names(cancelled),
            back,
        )
    for call in cancelled:
        call.cancel(why)
    return tuple(call.future for call in cancelled)


def not_made_anew(futures: Iterable[PlanFuture], what: str) -> str:
    """Say why plans that were made already cannot be ``what``: edited, or put back."""
    names = ", ".join(repr(future.plan_name) for future in futures)
    return (
        f"{names} cannot be {what}: what was submitted is a generator, or messages, made already "
        "and to be used once. Submit PlanCall(function, args, kwargs) instead, which is made anew."
    )


def _names(calls: list[Call]) -> str:
    return names_text([call.name for call in calls])


def _called(thing: object) -> str:
    return repr(getattr(thing, "plan_name", thing))


def _instead(future: object) -> str:
    status = getattr(future, "status", None)
    return "" if status is None else f": it is {status} already"
