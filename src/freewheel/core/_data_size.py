"""How much memory the data of a document take, roughly: who lets documents wait bounds that."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["data_size"]

_ITEM: Final = 32  # bytes of a number in a list, its place in there included
_DEEPEST: Final = 6  # lists in lists that are looked into: a list may hold itself
_NUMBERS: Final = frozenset({float, int, bool, type(None)})


def data_size(doc: Any) -> int:
    """Return how many bytes the arrays, texts and lists of an event take, or of a page of events.

    The items of a list are taken to be like the first of them. Single numbers, and documents of
    other kinds, count nothing.
    """
    data = doc.get("data")
    if not data or not isinstance(data, dict):
        return 0
    size = 0
    for value in data.values():
        if type(value) not in _NUMBERS:  # most are
            size += _size_of(value)
    return size


def _size_of(value: Any) -> int:
    items = 1
    depth = 0
    while isinstance(value, (list, tuple)) and value and depth < _DEEPEST:
        items *= len(value)
        value = value[0]
        depth += 1
    size: int = len(value) if isinstance(value, (str, bytes)) else getattr(value, "nbytes", 0)
    return items * (size + _ITEM) if depth else size
