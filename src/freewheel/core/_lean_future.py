"""A future of the standard library whose parts are made when they are first asked for."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LEAN", "Late", "LeanFuture"]

T = TypeVar("T")

#: What the standard library's future consists of, in Python 3.11 to 3.14.
_PARTS: Final = {
    "_condition",
    "_state",
    "_result",
    "_exception",
    "_waiters",
    "_done_callbacks",
}

#: Whether this is so here. In a Python of another make the future is the standard library's.
LEAN: Final = vars(Future()).keys() == _PARTS
_PENDING: Final[Any] = vars(Future()).get("_state")


def _ended_states() -> frozenset[Any]:
    """Return what the state of a future that has ended may be."""
    finished, cancelled, notified = Future[None](), Future[None](), Future[None]()
    finished.set_result(None)
    for future in (cancelled, notified):
        future.cancel()
    notified.set_running_or_notify_cancel()
    return frozenset(vars(each).get("_state") for each in (finished, cancelled, notified))


_ENDED: Final = _ended_states()


class Late:
    """Gives an object a part when it is first asked for, which is its own from then on.

    Parameters
    ----------
    make : callable
        Makes the part of an object; for any thread.
    """

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self._make = make

    def __set_name__(self, owner: type, name: str) -> None:
        """Note what the part is called."""
        self._name = name

    def __get__(self, one: Any, owner: type) -> Any:
        """Return the part."""
        # One step: of two threads that come at once both get the one that was put there first.
        return vars(one).setdefault(self._name, self._make(one))


class LeanFuture(Future[T]):
    """A future that is made in no time.

    Whoever calls ``RE(plan)`` waits until its future is made, and most of that goes into a
    condition with its lock and into lists, which nobody needs before somebody waits for the
    future, or ends it.
    """

    if LEAN:
        _condition = Late(lambda future: threading.Condition())
        _waiters = Late(lambda future: [])
        _done_callbacks = Late(lambda future: [])
        _state = _PENDING
        _result = _exception = None

        def __init__(self) -> None:
            """Make nothing: what is as usual at first is left to the class."""

        def done(self) -> bool:
            """Tell whether it has ended; without its lock, for that is one look at one thing."""
            return self._state in _ENDED
