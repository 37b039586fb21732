"""Something of which only the newest waits for the thread of the delivery."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._delivery import Delivery

__all__ = ["Newest"]


class Newest:
    """Has a function called with the newest of each key, on the thread of the delivery.

    Parameters
    ----------
    delivery : Delivery
        Where it is called.
    call : callable
        The function.
    """

    def __init__(self, delivery: Delivery, call: Callable[..., object]) -> None:
        self._delivery = delivery
        self._call = call
        self._lock = threading.Lock()  # guards what waits
        self._waiting: dict[str, tuple[Any, ...]] = {}

    def put(self, key: str, *what: Any) -> None:
        """Hand something on in the place of an older one that waits; from any thread."""
        with self._lock:
            new = key not in self._waiting
            self._waiting[key] = what
        if new:
            self._delivery.put(lambda: self._hand_over(key))

    def _hand_over(self, key: str) -> None:
        with self._lock:
            what = self._waiting.pop(key, None)
        if what is not None:
            self._call(*what)
