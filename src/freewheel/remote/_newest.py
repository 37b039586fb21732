"""Something of which only the newest waits for the thread of the delivery."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Newest"]


class Newest:
    """Has a function called with the newest of each key, on the thread of the delivery.

    Parameters
    ----------
    soon : callable
        Has something called on that thread, after all that was put before: `Delivery.put`.
    call : callable
        The function.
    """

    def __init__(
        self, soon: Callable[[Callable[[], object]], object], call: Callable[..., object]
    ) -> None:
        self._soon = soon
        self._call = call
        self._lock = threading.Lock()  # guards what waits
        self._waiting: dict[str, tuple[Any, ...]] = {}

    def put(self, key: str, *what: Any) -> None:
        """Hand something on in the place of an older one that waits; from any thread."""
        with self._lock:
            new = key not in self._waiting
            self._waiting[key] = what
        if new:
            self._soon(lambda: self._hand_over(key))

    def _hand_over(self, key: str) -> None:
        with self._lock:
            what = self._waiting.pop(key, None)
        if what is not None:
            self._call(*what)
