"""Previews that were made of calls: what is known of plans that wait or run by now."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from freewheel.core import PlanCall
    from freewheel.previews import Preview

    from ._calls import Call

__all__ = ["Foreseen"]

#: So many previews are kept.
_KEPT: Final = 64
#: Arrays of so many bytes are not compared.
_LARGE: Final = 1_000_000
_PLAIN: Final = (int, float, complex, str, bytes, bool, type(None))


@final
class Foreseen:
    """The last previews of an engine, and the calls that nothing is known of. From any thread.

    Parameters
    ----------
    known : callable
        Has calls know a preview.

    Attributes
    ----------
    wanted : callable or None
        Called with a call that nothing is known of, to have it previewed: if a person asks for it.
    """

    def __init__(self, known: Callable[[Sequence[Call], Preview], None]) -> None:
        self._known = known
        self.wanted: Callable[[Call], None] | None = None
        # Guards the two below. Invariant: of no call that is in the second is there one in the
        # first. Nothing else is called with it held but `==` of numbers and texts.
        self._lock = threading.Lock()
        self._previews: deque[tuple[PlanCall, Preview]] = deque(maxlen=_KEPT)
        self._unknown: weakref.WeakSet[Call] = weakref.WeakSet()

    def note(self, made_of: PlanCall, foreseen: Preview) -> None:
        """Take a preview of a call; all that wait or run and are alike are known by it."""
        # What takes room, or keeps devices alive, nobody asks for here.
        foreseen = replace(foreseen, points=(), moves={}, claims={}, task_conflicts={})
        with self._lock:
            others = [each for each in self._previews if not _alike(each[0], made_of)]
            self._previews = deque([*others, (made_of, foreseen)], _KEPT)
            known = [call for call in self._unknown if _alike(_made_of(call), made_of)]
            self._unknown.difference_update(known)
        if known:
            self._known(known, foreseen)

    def expect(self, call: Call) -> None:
        """Have a call that was just made know its preview, now or when there is one."""
        made_of = _made_of(call)
        if made_of is None:
            return
        with self._lock:
            known = [each for other, each in self._previews if _alike(other, made_of)]
            if not known:
                self._unknown.add(call)
        if known:
            self._known([call], known[-1])
        elif self.wanted is not None:
            self.wanted(call)


def _made_of(call: Call) -> PlanCall | None:
    recipe = call.future.life.recipe
    return None if recipe is None else recipe.call


def _alike(one: PlanCall | None, other: PlanCall) -> bool:
    """Tell whether two calls do the same: the same function with equal arguments."""
    if one is None or one is other:
        return one is other
    if one.function is not other.function:
        return False
    return _equal(one.args, other.args) and _equal(one.kwargs, other.kwargs)


def _equal(one: Any, other: Any) -> bool:
    """Compare what is no device, and runs no code of anybody's; the rest is equal to itself."""
    if one is other:
        return True
    if isinstance(one, (list, tuple)) and type(one) is type(other):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if type(one) is not type(other):
        return False
    if type(one).__module__ == "numpy":
        return _equal_numbers(one, other)
    return type(one) in _PLAIN and bool(one == other)


def _equal_numbers(one: Any, other: Any) -> bool:
    """Compare NumPy's numbers and arrays of them, bit by bit."""
    kind, size = getattr(one, "dtype", None), getattr(one, "nbytes", _LARGE)
    if kind is None or kind.hasobject or size >= _LARGE:
        return False
    return (kind, one.shape) == (other.dtype, other.shape) and one.tobytes() == other.tobytes()
