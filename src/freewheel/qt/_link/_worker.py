"""Work that would hold up the window's thread, done on another one."""

from __future__ import annotations

import time
import weakref
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from qtpy.compat import isalive
from qtpy.QtCore import QObject, QTimer

from freewheel.qt._link._feed import Feed

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Worker"]

#: Threads of the process for this: one that waits for a network drive holds up no other work.
_THREADS: Final = 4
_pool: ThreadPoolExecutor | None = None  # of the window's thread


def _threads() -> ThreadPoolExecutor:
    global _pool
    if _pool is None:
        _pool = ThreadPoolExecutor(_THREADS, "ThreadPoolExecutor-freewheel-window")
    return _pool


class Worker(QObject):
    """Has work done on another thread, one piece at a time, and the answers given on this one.

    What is asked for last is done next, and what waited before it is forgotten; it rests for as
    long as it works, so that measuring each frame takes at most half of a processor.

    Parameters
    ----------
    parent
        Whose work it is; no answer is given to one that is deleted.
    every
        Whether all is done that was asked for, in its order and without rest.
    """

    def __init__(self, parent: QObject, *, every: bool = False) -> None:
        super().__init__(parent)
        self._every = every
        self._waiting: deque[tuple[Callable[[], Any], Any]] = deque()
        self._answer: Any = None  # a weak method, of the work under way; `None` if there is none
        self._feed = Feed(self._arrived)
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.timeout.connect(self._begin)

    def ask(self, work: Callable[[], Any], answer: Callable[[Any, Any], object]) -> None:
        """Have work done.

        Parameters
        ----------
        work
            Called on another thread; it touches no widget.
        answer
            A method, called here with the result and `None`, or with `None` and what was raised.
            It does not keep its object alive.
        """
        if not self._every:
            self._waiting.clear()
        self._waiting.append((work, weakref.WeakMethod(answer)))
        self._begin()

    @property
    def busy(self) -> bool:
        """Whether something is done, or waits for it."""
        return self._answer is not None or bool(self._waiting)

    def forget(self) -> None:
        """Give no answer to what was asked for."""
        self._waiting.clear()
        if self._answer is not None:
            self._answer = _nobody

    def _begin(self) -> None:
        if self._answer is not None or not self._waiting or self._rest.isActive():
            return
        work, self._answer = self._waiting.popleft()
        _threads().submit(_do, work, self._feed)

    def _arrived(self, _: str, arguments: tuple[Any, Any, float]) -> None:
        result, error, took = arguments
        answer, self._answer = self._answer(), None
        if not self._every:
            self._rest.start(round(1000 * took))
        if answer is not None and (not isinstance(answer.__self__, QObject) or _is_there(answer)):
            answer(result, error)
        self._begin()


def _is_there(method: Any) -> bool:
    return bool(isalive(method.__self__))


def _nobody() -> None:
    """Stand for a method whose object is gone."""


def _do(work: Callable[[], Any], feed: Feed) -> None:
    began = time.perf_counter()
    try:
        result, failure = work(), None
    except BaseException as error:  # a device's file, a disk: whoever asked is told
        result, failure = None, error
    feed.put("done", result, failure, time.perf_counter() - began)
