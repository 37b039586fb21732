"""What plans, and the engine's log, tell the test."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any


class Log:
    """Messages from plans to the test, that may be waited for."""

    def __init__(self) -> None:
        self.entries: list[Any] = []
        self._changed = threading.Condition()

    def add(self, entry: Any) -> None:
        with self._changed:
            self.entries.append(entry)
            self._changed.notify_all()

    def wait_for(self, entry: Any, count: int = 1) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.entries.count(entry) >= count, 10), (
                f"{entry!r} did not come; came: {self.entries}"
            )


class _Listener(logging.Handler):
    def __init__(self, says: str, function: Callable[[], object]) -> None:
        super().__init__()
        self._says = says
        self._function = function

    def emit(self, record: logging.LogRecord) -> None:
        if self._says in record.getMessage():
            other = threading.Thread(target=self._function)
            other.start()
            other.join()


@contextlib.contextmanager
def at_log(says: str, function: Callable[[], object]) -> Iterator[None]:
    """Have another thread call a function, and wait for it, when freewheel logs such a text."""
    log, listener = logging.getLogger("freewheel"), _Listener(says, function)
    log.addHandler(listener)
    try:
        yield
    finally:
        log.removeHandler(listener)
