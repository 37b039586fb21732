"""Whether a plan repeats itself: it is where it was, with the same values, again and again."""

from __future__ import annotations

import datetime
import gc
import time
from collections import deque
from types import BuiltinFunctionType, GeneratorType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

from freewheel.core._devices import is_device

from ._clock import ForeseenStatus
from ._fleeting import Moment, Uid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = ["BEFORE", "Cycle"]

#: So many turns in which nothing has changed are taken for all that will come.
_TURNS: Final = 300
#: One that has not repeated itself after so many looks is looked at seldom: each is dear.
_OFTEN: Final = 3000
_SELDOM: Final = 16
#: So many messages come before a plan is looked at, and generators one within the other are.
BEFORE: Final = 2000
_DEPTH: Final = 60
#: What was reckoned from what time it is differs behind these.
_DIGITS: Final = 5
_PLAIN: Final = (int, float, str, bytes, type(None))
#: Of a collection that is no larger, what is in it counts; of another one how much.
_FEW: Final = 20
_COLLECTIONS: Final = frozenset((list, tuple, deque))
#: So many places are remembered, and so many visits of one.
_PLACES: Final = 100


class _Visit(NamedTuple):
    """A plan that has come by a place.

    Attributes
    ----------
    state : object
        What its variables were.
    turns : int
        How often in a row that was the same.
    numbers : list of float
        Its numbers as they were, which `state` has rounded.
    rising, falling : frozenset of int
        Which of them have risen, and fallen, each time.
    """

    state: Any
    turns: int
    numbers: list[float]
    rising: frozenset[int]
    falling: frozenset[int]

    def again(self, state: Any, numbers: list[float]) -> _Visit:
        """Return the next one."""
        if state != self.state:
            every = frozenset(range(len(numbers)))
            return _Visit(state, 0, numbers, every, every)
        rising = frozenset(i for i in self.rising if numbers[i] > self.numbers[i])
        falling = frozenset(i for i in self.falling if numbers[i] < self.numbers[i])
        return _Visit(state, self.turns + 1, numbers, rising, falling)

    @property
    def is_closed(self) -> bool:
        """Whether nothing has changed for very long; a number that creeps has."""
        return self.turns >= _TURNS and not self.rising and not self.falling


_NOWHERE: Final = _Visit(None, 0, [], frozenset(), frozenset())


@final
class Cycle:
    """Looks at a plan where it comes by again and again.

    A plan may hide what it counts, in an iterator of its own for example: then its variables tell,
    for almost every loop has one that changes. So this is no proof, and takes many turns. Python's
    own iterators tell how much they have left.

    Parameters
    ----------
    plan : generator
        The plan.

    Attributes
    ----------
    says_endless : bool
        Whether the plan has said itself that it has no number of points.
    is_timed : bool
        Whether a plan that has come by very often may end by the clock, which is not the preview's.
    """

    __slots__ = ("_count", "_plan", "_seen", "is_timed", "says_endless")

    def __init__(self, plan: Any) -> None:
        self._plan = plan
        self._seen: dict[Any, dict[Any, _Visit]] = {}
        self._count = 0
        self.says_endless = self.is_timed = False

    def is_closed(self, messages: int) -> bool:
        """Tell whether the plan has come by with the same values very often."""
        if messages < BEFORE:
            return False
        if self.says_endless:
            return True
        self._count += 1
        if self._count > _OFTEN and self._count % _SELDOM:
            return False
        generators, left = _gone_through(self._plan)
        frames = [each.gi_frame for each in generators]
        visits = self._visits(tuple((id(frame.f_code), frame.f_lasti) for frame in frames))
        before = visits.get(left)
        if before is None:  # most plans have less left each time, so that nothing else is asked
            visits[left] = _NOWHERE
            return False
        if any(_is_under_way(value) for frame in frames for value in frame.f_locals.values()):
            return False
        numbers: list[float] = []
        state = [
            (name, _outline(value, numbers))
            for frame in frames
            for name, value in frame.f_locals.items()
        ]
        visit = visits[left] = before.again(state, numbers)
        self.is_timed = visit.is_closed and any(map(_looks_at_clock, frames))
        return visit.is_closed

    def _visits(self, place: Any) -> dict[Any, _Visit]:
        """Return when the plan has come by a place, by how much its loops had left."""
        if len(self._seen) > _PLACES:
            self._seen.clear()
        visits = self._seen.setdefault(place, {})
        if len(visits) > _PLACES:
            visits.clear()
        return visits


def _gone_through(plan: Any) -> tuple[list[Any], tuple[int, ...]]:
    """Return the generators that a plan goes through at this moment, and how much loops have left.

    Those that a loop goes through have no name: they are among what a generator keeps alive.
    """
    waiting: deque[Any] = deque([plan])
    met: set[int] = set()
    found: list[Any] = []
    left: list[int] = []
    while waiting and len(met) < _DEPTH:
        each = waiting.popleft()
        if type(each) is not GeneratorType or id(each) in met:
            continue
        met.add(id(each))
        if each.gi_frame:
            found.append(each)
        for part in gc.get_referents(each):
            kind = type(part)
            if kind is GeneratorType:
                waiting.append(part)
            elif kind in _COLLECTIONS:
                if len(part) < 100:
                    waiting.extend(one for one in part if type(one) is GeneratorType)
            elif hasattr(kind, "__next__"):
                left += _left(part)
    return found, tuple(left)


def _left(iterator: Any, depth: int = 3) -> Iterator[int]:
    """Return how much an iterator has left, or those have that it goes through."""
    kind = type(iterator)
    if hasattr(kind, "__length_hint__"):
        try:
            yield iterator.__length_hint__()
        except Exception:  # it has no end, as itertools.repeat(None)
            yield -1
    elif depth and kind is not GeneratorType:
        for part in gc.get_referents(iterator):
            # Of zip and its like. Never gone through themselves: zip_longest empties places in its
            # tuple as its iterators end, and Python crashes at such a place.
            of_several = type(part) is tuple and len(part) < _FEW
            several = gc.get_referents(part) if of_several else (part,)
            for one in several:
                if hasattr(type(one), "__next__"):
                    yield from _left(one, depth - 1)


def _is_under_way(value: Any) -> bool:
    """Tell whether a plan may wait for a value to change: for a move to arrive."""
    return isinstance(value, ForeseenStatus) and not value.done


def _looks_at_clock(frame: FrameType) -> bool:
    """Tell whether code uses a clock: bluesky's plans are shown the preview's instead."""
    used = map(frame.f_globals.get, frame.f_code.co_names)
    return any(
        each is time
        or each is datetime
        or each is datetime.datetime
        or (isinstance(each, BuiltinFunctionType) and each.__module__ == "time")
        for each in used
    )


def _outline(value: Any, numbers: list[float], depth: int = 1) -> Any:
    """Return what can be compared of a variable."""
    if isinstance(value, (Uid, Moment)):  # other ones each time
        return type(value)
    if isinstance(value, float):
        numbers.append(value)
        return round(value, _DIGITS)
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, (list, tuple, dict, set, deque)):
        if not depth or len(value) > _FEW or isinstance(value, set):
            return type(value), len(value)
        several = value.values() if isinstance(value, dict) else value
        return type(value), *(_outline(each, numbers, depth - 1) for each in several)
    if is_device(value):
        return id(value)
    counted = getattr(value, "__dict__", None)
    if not isinstance(counted, dict):
        return type(value)
    return type(value), *(each for each in counted.values() if isinstance(each, (int, float)))
