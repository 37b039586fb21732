"""How long plans will take yet: what was foreseen of them, corrected by how they go."""

from __future__ import annotations

import math
import time
from bisect import bisect_right
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, final

from event_model import DocumentNames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from freewheel.core import WaitingPlan
    from freewheel.previews import Preview

__all__ = ["Outlook", "starts"]

#: The foreseen pace counts for so much, in parts of the whole plan, beside the one that is seen.
_FORESEEN: Final = 0.1
#: Of so many plans that wait it is reckoned when they will start.
_RECKONED: Final = 300


@final
class Outlook:
    """How long one plan will take, and takes yet.

    Of a plan that was previewed, as the preview says, corrected by how long its events have taken
    so far. Of one that was not: if it says itself how many points its only run has, as bluesky's
    scans do, and as soon as there are events, by these.

    Parameters
    ----------
    name : str
        The plan.
    clock : callable
        Returns the time [s].

    Attributes
    ----------
    foreseen : Preview or None
        What it will do, if that is known. Replaced as a whole, by any thread.
    """

    __slots__ = (
        "_at",
        "_began",
        "_clock",
        "_counted",
        "_name",
        "_points",
        "_rested",
        "_since",
        "foreseen",
    )

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.foreseen: Preview | None = None
        self._name = name
        # All below is written on the loop's thread, a reference at a time, and read by any.
        self._began: float | None = None
        self._rested = 0.0  # how long it has rested: paused, suspended, or parked
        self._since: float | None = None  # when it has come to rest, while it does
        self._counted: dict[str, int] = {}  # events, by descriptor
        self._points: int | None = None  # what it says itself; 0 if it has more than one run
        self._at = 0.0  # when there was an event last

    # -- as it goes, on the loop's thread -----------------------------------------------------

    def begin(self) -> None:
        """Note that the plan begins."""
        self._began = self._clock()

    def rest(self, resting: bool) -> None:
        """Note that the plan has come to rest, or goes on: meanwhile its time does not count."""
        since = self._since
        if resting and since is None:
            self._since = self._clock()
        elif not resting and since is not None:
            self._rested += self._clock() - since
            self._since = None

    def document(self, name: Any, doc: Any) -> None:
        """Note how far the plan has come."""
        if name is DocumentNames.event:
            self._counted[doc["descriptor"]] = doc["seq_num"]
            self._at = self._now()
        elif name is DocumentNames.stream_datum:
            self._counted[doc["descriptor"]] = doc["seq_nums"]["stop"] - 1
            self._at = self._now()
        elif name is DocumentNames.event_page:
            self._counted[doc["descriptor"]] = max(doc["seq_num"], default=0)
            self._at = self._now()
        elif name is DocumentNames.start:
            first = self._points is None and doc.get("plan_name") == self._name
            points = doc.get("num_points") if first else 0
            self._points = points if isinstance(points, int) else 0

    def _now(self) -> float:
        if self._began is None:
            return 0.0
        return (self._since or self._clock()) - self._began - self._rested

    # -- what is told, from any thread --------------------------------------------------------

    @property
    def duration(self) -> float | None:
        """How long all of it takes [s]: infinite if it has no end, ``None`` if nobody knows."""
        foreseen = self.foreseen
        if foreseen is None or foreseen.is_endless:
            return None if foreseen is None else math.inf
        # The least of what a plan takes says nothing of when the next one starts.
        known = foreseen.is_complete and not math.isinf(foreseen.longest)
        return foreseen.duration if known else None

    @property
    def left(self) -> float | None:
        """How long it takes yet [s]: infinite if it has no end, ``None`` if nobody knows."""
        whole, foreseen = self.duration, self.foreseen
        events = sum(list(self._counted.values()))
        if foreseen is None or not whole:  # nothing of what it does is known to take time
            return self._left_by_events(events)
        if math.isinf(whole):
            return whole
        here, following = _around(foreseen.milestones, events, whole)
        at = self._at
        pace = (at + _FORESEEN * whole) / (here + _FORESEEN * whole)
        left = (whole - here) * pace - (self._now() - at)
        # What comes after the next event comes in any case.
        return max(left, (whole - following) * pace, 0.0)

    def _left_by_events(self, events: int) -> float | None:
        foreseen, points = self.foreseen, self._points
        if foreseen is not None and foreseen.is_complete and foreseen.milestones:
            points = foreseen.milestones[-1][0]
        if not points or not events:
            return None
        each = self._at / events
        return max((points - events) * each - (self._now() - self._at), 0.0)


def _around(
    milestones: tuple[tuple[int, float], ...], events: int, whole: float
) -> tuple[float, float]:
    """Return when so many events were foreseen, and when the next one [s]."""
    if not events:
        return 0.0, milestones[0][1] if milestones else whole
    place = bisect_right(milestones, events, key=itemgetter(0))
    number, here = milestones[place - 1] if place else (0, 0.0)
    if place == len(milestones):
        return here, whole
    more, there = milestones[place]
    each = (there - here) / (more - number)
    return here + (events - number) * each, here + (events + 1 - number) * each


def starts(
    left: Iterable[float | None], waiting: tuple[WaitingPlan, ...], *, stays: bool
) -> Iterator[WaitingPlan]:
    """Return the plans that wait, with when they will start, as far as that is known.

    Parameters
    ----------
    left : iterable of float or None
        How long what is under way takes yet, parked plans too.
    waiting : tuple of WaitingPlan
        The plans.
    stays : bool
        Whether all stays as it is until a person does something.
    """
    at: float | None = None if stays else 0.0
    for each in left:
        at = None if at is None or each is None else at + each
    for number, plan in enumerate(waiting):
        if at is None or math.isinf(at) or number >= _RECKONED:
            yield from waiting[number:]
            return
        yield plan._replace(starts_in=at)
        at = None if plan.duration is None else at + plan.duration
