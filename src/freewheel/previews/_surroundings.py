"""What bluesky's own plans find around them while they are previewed, in the thread that does it.

They see the preview's time; and what they do for each message, and a preview does not need, is left
out: that is most of what iterating a plan takes. Every other thread finds what is there always.
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
import bluesky.utils

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
_Plan: Final = bluesky.utils.Plan
_short_uid: Final[Callable[..., str]] = bluesky.utils.short_uid
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


def _made(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Make a plan without bluesky's wrapper, which says where one was made that nobody iterates."""
    if _here.clock is None:
        return _Plan(function, *args, **kwargs)
    return function(*args, **kwargs)


def _is_instance(thing: Any, kind: Any) -> bool:
    """Answer as ``isinstance``; for a protocol, which takes 25 µs to see it, from memory."""
    if _here.clock is None or not getattr(kind, "_is_protocol", False):
        return builtins.isinstance(thing, kind)
    key = id(thing), kind
    known = _here.kinds.get(key)
    if known is None:
        known = _here.kinds[key] = builtins.isinstance(thing, kind), thing
    return known[0]


def _numbered(label: str | None = None, truncate: int | None = 6) -> str:
    """Name a group by a number instead of a random one, for which the system is asked."""
    if _here.clock is None:
        return _short_uid(label, truncate)
    return Uid(f"{label}-{next(_numbers)}")


#: By module: the names of it that are others meanwhile.
_OURS: Final = (
    (bluesky.plan_stubs, {"time": _TimeOfPlans(), "_short_uid": _numbered}),
    (bluesky.plans, {"time": _TimeOfPlans()}),
    (bluesky.preprocessors, {"_short_uid": _numbered}),
    (bluesky.utils, {"Plan": _made}),
)
_THEIRS: Final = tuple(
    (module, {name: vars(module)[name] for name in names}) for module, names in _OURS
)

# Guards the two below. Invariant: bluesky's modules have ours exactly while `_users` > 0.
_lock = threading.Lock()
_users = 0


@contextmanager
def _installed() -> Iterator[None]:
    global _users
    with _lock:
        _users += 1
        for module, names in _OURS:
            vars(module).update(names)
        vars(bluesky.plan_stubs)["isinstance"] = _is_instance
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                for module, names in _THEIRS:
                    vars(module).update(names)
                vars(bluesky.plan_stubs).pop("isinstance", None)


@contextmanager
def plans_see(clock: Clock) -> Iterator[None]:
    """Have plans that are iterated in this thread be in a preview, and see a clock's time."""
    before, kinds = _here.clock, _here.kinds
    _here.clock, _here.kinds = clock, {}
    with _installed():
        try:
            yield
        finally:
            _here.clock, _here.kinds = before, kinds


def show(clock: Clock) -> None:
    """Have the plans of this thread see another clock from now on; within `plans_see`."""
    _here.clock = clock
