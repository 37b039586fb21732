"""What bluesky's own plans find around them while they are previewed, in the thread that does it.

They see the preview's time; and what they do for each message, and a preview does not need, is left
out: that is most of what iterating a plan takes. What takes the place of bluesky's names meanwhile
does in every other thread what bluesky's does. bluesky's class `Plan` stays where it is: see
`core/_call_sites.py`.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import bluesky.plan_stubs
import bluesky.plans
import bluesky.preprocessors

from freewheel.core._call_sites import bare_plans

from ._fleeting import Moment, numbered
from ._stubs import QUICK_STUBS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ._clock import Clock

__all__ = ["plans_see", "show"]


class _Thread(threading.local):
    """The clock that the plan sees which this thread previews at this moment, if there is one."""

    clock: Clock | None = None


_here: Final = _Thread()


class _TimeOfPlans:
    """In place of the module ``time``."""

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def time(self) -> float:
        return time.time() if _here.clock is None else Moment(_here.clock.time())

    def monotonic(self) -> float:
        clock = _here.clock
        return time.monotonic() if clock is None else Moment(clock.monotonic())


def _numbering(theirs: Callable[..., str]) -> Callable[..., str]:
    def short_uid(label: str | None = None, truncate: int | None = 6) -> str:
        return theirs(label, truncate) if _here.clock is None else numbered(str(label))

    return short_uid


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
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                for module, names in _theirs:
                    vars(module).update(names)


@contextmanager
def plans_see(clock: Clock) -> Iterator[None]:
    """Have plans that are iterated in this thread be in a preview, and see a clock's time."""
    before = _here.clock
    _here.clock = clock
    with bare_plans(QUICK_STUBS), _installed():
        try:
            yield
        finally:
            _here.clock = before


def show(clock: Clock) -> None:
    """Have the plans of this thread see another clock from now on; within `plans_see`."""
    _here.clock = clock
