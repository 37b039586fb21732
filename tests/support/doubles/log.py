"""What plans tell the test."""

from __future__ import annotations

import threading
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
