"""How much memory the data of a document take, roughly: who lets documents wait bounds that."""

from __future__ import annotations

from typing import Any, Final, final

__all__ = ["StreamsOfNumbers", "data_size"]

_ITEM: Final = 32  # bytes of a number in a list, its place in there included
_DEEPEST: Final = 6  # lists in lists that are looked into: a list may hold itself
_NUMBERS: Final = frozenset({float, int, bool, type(None)})
_OF_NUMBERS: Final = frozenset({"number", "integer", "boolean"})  # kinds of data keys


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


@final
class StreamsOfNumbers:
    """The streams of the runs under way whose events are numbers alone, as their descriptors say.

    Attributes
    ----------
    known : set of str
        The uids of their descriptors.
    """

    __slots__ = ("known",)

    def __init__(self) -> None:
        self.known: set[str] = set()

    def size_of(self, name: str, doc: Any) -> int:
        """Return the `data_size` of a document, and learn from it which streams these are."""
        if name == "descriptor":
            if all(key.get("dtype") in _OF_NUMBERS for key in doc.get("data_keys", {}).values()):
                self.known.add(doc.get("uid"))
        elif name == "stop":
            self.known.clear()  # those of other runs are measured from now on
        size = data_size(doc)
        if size and name == "event":
            self.known.discard(doc.get("descriptor", ""))  # its descriptor does not tell all
        return size
