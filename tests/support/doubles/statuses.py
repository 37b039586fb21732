"""Statuses that a test has in its hand."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from freewheel import Status


class Finished:
    """A status that a test ends by hand, or that is done from the start."""

    def __init__(self, done: bool = True) -> None:
        self.done = done
        self.success = done
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[Any], None]] = []
        self._lock = threading.Lock()

    def add_callback(self, callback: Callable[[Any], None]) -> None:
        with self._lock:
            if not self.done:
                self._callbacks.append(callback)
                return
        callback(self)

    def finish(self, error: BaseException | None = None) -> None:
        with self._lock:
            if self.done:
                return
            self.done, self.success, self._error = True, error is None, error
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)

    def exception(self, timeout: float | None = 0.0) -> BaseException | None:
        return self._error

    def wait(self, timeout: float | None = None) -> None:
        pass


def finished(**kwargs: Any) -> Status:
    """A status of our own that has been finished; not done yet if it has to settle."""
    status = Status(**kwargs)
    status.set_finished()
    return status
