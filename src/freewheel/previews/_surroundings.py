"""What bluesky's own plans find around them while they are previewed, in the thread that does it.

They see the preview's time; and what they do for each message, and a preview does not need, is left
out: that is most of what iterating a plan takes. What takes the place of bluesky's names meanwhile
does in every other thread what bluesky's does. bluesky's class `Plan` stays where it is: see
`core/_call_sites.py`.
"""

from __future__ import annotations

import builtins
import itertools
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import bluesky.plan_stubs
import bluesky.plans
import bluesky.preprocessors

from freewheel.core._call_sites import bare_plans

from ._fleeting import Moment, Uid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ._clock import Clock

__all__ = ["plans_see", "show"]


class _Thread(threading.local):
    """What the plan sees that this thread previews at this moment.

    Attributes
    ----------
    clock : Clock or None
        Its clock; ``None`` while this thread previews nothing.
    kinds : dict
        By object and protocol: whether that is one, with the object, so that its id stays its own.
    """

    clock: Clock | None = None

    def __init__(self) -> None:
        self.kinds: dict[tuple[int, Any], tuple[bool, Any]] = {}


_here: Final = _Thread()
_numbers: Final = itertools.count()


class _TimeOfPlans:
    """In place of the module ``time``."""

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def time(self) -> float:
        return time.time() if _here.clock is None else Moment(_here.clock.time())

    def monotonic(self) -> float:
        clock = _here.clock
        return time.monotonic() if clock is None else Moment(clock.monotonic())


def _is_instance(thing: Any, kind: Any) -> bool:
    """Answer as ``isinstance``; for a protocol, which takes 25 µs to see it, from memory."""
    if _here.clock is None or not getattr(kind, "_is_protocol", False):
        return builtins.isinstance(thing, kind)
    key = id(thing), kind
    known = _here.kinds.get(key)
    if known is None:
        known = _here.kinds[key] = builtins.isinstance(thing, kind), thing
    return known[0]


def _numbering(theirs: Callable[..., str]) -> Callable[..., str]:
    """Name a group by a number instead of a random one, for which the system is asked."""

    def numbered(label: str | None = None, truncate: int | None = 6) -> str:
        if _here.clock is None:
            return theirs(label, truncate)
        return Uid(f"{label}-{next(_numbers)}")

    return numbered


def _ours(name: str, theirs: Any) -> Any:
    return _TimeOfPlans() if name == "time" else _numbering(theirs)


#: By module: the names of it that are others meanwhile.
_NAMES: Final = (
    (bluesky.plan_stubs, ("time", "_short_uid")),
    (bluesky.plans, ("time",)),
    (bluesky.preprocessors, ("_short_uid",)),
)

# Guards the two below. Invariant: bluesky's modules have ours exactly while `_users` > 0.
_lock = threading.Lock()
_users = 0
_theirs: list[tuple[Any, dict[str, Any]]] = []  # as they were found, whoever put them there


@contextmanager
def _installed() -> Iterator[None]:
    global _users
    with _lock:
        _users += 1
        if _users == 1:
            _theirs[:] = [
                (module, {name: vars(module)[name] for name in names}) for module, names in _NAMES
            ]
            for module, names in _theirs:
                vars(module).update({name: _ours(name, each) for name, each in names.items()})
            vars(bluesky.plan_stubs)["isinstance"] = _is_instance
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                for module, names in _theirs:
                    vars(module).update(names)
                vars(bluesky.plan_stubs).pop("isinstance", None)


@contextmanager
def plans_see(clock: Clock) -> Iterator[None]:
    """Have plans that are iterated in this thread be in a preview, and see a clock's time."""
    before, kinds = _here.clock, _here.kinds
    _here.clock, _here.kinds = clock, {}
    with bare_plans(), _installed():
        try:
            yield
        finally:
            _here.clock, _here.kinds = before, kinds


def show(clock: Clock) -> None:
    """Have the plans of this thread see another clock from now on; within `plans_see`."""
    _here.clock = clock
