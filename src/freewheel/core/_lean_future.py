"""A future of the standard library whose lock is made when it is first asked for."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any, Final, TypeVar

__all__ = ["LEAN", "LeanFuture"]

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


class _Condition:
    """Gives a future its condition, which is the future's own from then on; to any thread."""

    def __get__(self, future: Any, owner: type) -> threading.Condition:
        # One step: of two threads that come at once both get the one that was put there first.
        made: threading.Condition = vars(future).setdefault("_condition", threading.Condition())
        return made


class LeanFuture(Future[T]):
    """A future that is made in a quarter of the time.

    Whoever calls ``RE(plan)`` waits until its future is made, and most of that goes into a
    condition with its lock, which nobody needs before somebody waits for the future, or ends it.
    """

    if LEAN:
        _condition = _Condition()

        def __init__(self) -> None:
            self._state = _PENDING
            self._result = self._exception = None
            self._waiters: list[Any] = []
            self._done_callbacks: list[Any] = []
