"""What a plan is told when it reads a device: where it stands, or a plausible value."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ._facts import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Guess", "plausible", "size_of"]

#: An array that a plan looks at has no more elements than that.
_MOST: Final = 50_000_000
_SCALAR: Final = 8
#: How long a text is taken to be, in bytes.
_TEXT: Final = 8


class Guess(dict[str, Any]):
    """The reading of one key, which tells when the plan looks at its value.

    Parameters
    ----------
    value : callable
        Makes the value, when it is asked for.
    looked : callable
        Told that it was.
    """

    __slots__ = ("_looked", "_make")

    def __init__(self, make: Callable[[], Any], looked: Callable[[], None]) -> None:
        super().__init__(value=None, timestamp=time.time())
        self._make = make
        self._looked = looked

    def __getitem__(self, key: str) -> Any:
        if key == "value":
            self._looked()
            if super().__getitem__(key) is None:
                self["value"] = self._make()
        return super().__getitem__(key)

    def quietly(self) -> dict[str, Any]:
        """Return the whole reading without telling: for one who keeps it, and decides nothing."""
        if super().__getitem__("value") is None:
            self["value"] = self._make()
        return {
            "value": super().__getitem__("value"),
            "timestamp": super().__getitem__("timestamp"),
        }

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value, as a dictionary does."""
        return self[key] if key in self else default

    def values(self) -> Any:
        """Return the values, as a dictionary does."""
        return [self[key] for key in self]

    def items(self) -> Any:
        """Return keys and values, as a dictionary does."""
        return [(key, self[key]) for key in self]


def plausible(key: Mapping[str, Any]) -> Any:
    """Return a value such as a data key describes."""
    kind = key.get("dtype")
    if kind == "array":
        shape = [int(edge or 0) for edge in key.get("shape") or ()]
        shape = shape if math.prod(shape) <= _MOST else [0] * len(shape)
        return np.zeros(shape, dtype=_dtype(key))
    if kind == "string":
        return (key.get("choices") or [""])[0]
    return {"boolean": False, "integer": 0}.get(str(kind), 0.0)


def _dtype(key: Mapping[str, Any]) -> np.dtype[Any]:
    try:
        return np.dtype(key.get("dtype_numpy") or "float64")
    except TypeError:
        return np.dtype("float64")


def size_of(key: Mapping[str, Any], value: Any = UNKNOWN) -> int:
    """Return how many bytes an event has because of a data key."""
    kind = key.get("dtype")
    if kind == "string":
        return len(str(value).encode()) if value is not UNKNOWN else _TEXT
    shape = [int(edge or 0) for edge in key.get("shape") or ()]
    if kind == "array" or shape:
        return math.prod(shape) * _dtype(key).itemsize
    return _SCALAR
