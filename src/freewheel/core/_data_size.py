"""How much memory the data of a document take, roughly: who lets documents wait bounds that."""

from __future__ import annotations

from itertools import islice
from typing import Any, Final, final

__all__ = ["StreamsOfNumbers", "data_size"]

_ITEM: Final = 32  # bytes of a number in a list, its place in there included
_DEEPEST: Final = 6  # lists in lists that are looked into: a list may hold itself
_TABLES: Final = 2  # likewise dictionaries in dictionaries …
_ENTRIES: Final = 64  # … and so many entries of each
_NUMBERS: Final = frozenset({float, int, bool, type(None)})
_OF_NUMBERS: Final = frozenset({"number", "integer", "boolean"})  # kinds of data keys
_MOST: Final = 1000  # runs and streams that are kept: who hears of no stops would have them pile up


def data_size(doc: Any) -> int:
    """Return how many bytes an event's arrays, texts, lists and dictionaries take, or a page's.

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


def _size_of(value: Any, tables: int = 0) -> int:
    items = 1
    depth = 0
    while isinstance(value, (list, tuple)) and value and depth < _DEEPEST:
        items *= len(value)
        value = value[0]
        depth += 1
    if isinstance(value, (str, bytes, bytearray)):
        size = len(value)
    elif isinstance(value, dict):
        size = _size_of_table(value, tables + 1)
    else:
        size = _bytes_of(value)
    return items * (size + _ITEM) if depth else size


def _size_of_table(table: dict[Any, Any], tables: int) -> int:
    if tables > _TABLES:
        return 0
    values = tuple(islice(table.values(), _ENTRIES))  # in one step: somebody may still fill it
    return sum(_ITEM + _size_of(value, tables) for value in values)


def _bytes_of(value: Any) -> int:
    try:
        return int(value.nbytes)
    except Exception:  # of somebody's own class, and no reason to fail a plan
        return 0


@final
class StreamsOfNumbers:
    """Which streams have events that are numbers alone, as their descriptors say.

    Attributes
    ----------
    others : set
        The uids of the runs under way that have streams which are not, or may not be.
    """

    __slots__ = ("_begun", "_runs", "others")

    def __init__(self) -> None:
        self._begun: set[Any] = set()  # the uids of the runs under way whose start came here
        self._runs: dict[Any, Any] = {}  # by the uid of a descriptor, that of its run
        self.others: set[Any] = set()  # with None for runs whose descriptors did not come here

    def size_of(self, name: str, doc: Any) -> int:
        """Return the `data_size` of a document, and learn from it which streams these are."""
        size = data_size(doc)
        if name == "event":
            run = self._runs.get(doc.get("descriptor"))
            if size or run is None:  # its descriptor does not tell all, or is unknown
                self.others.add(run)
        elif name == "start":
            if len(self._begun) >= _MOST:
                self._begun.clear()
            self._begun.add(doc.get("uid"))
        elif name == "descriptor":
            self._learn(doc)
        elif name == "stop":
            self._forget(doc.get("run_start"))
        return size

    def _learn(self, descriptor: Any) -> None:
        if len(self._runs) >= _MOST:
            self._runs.clear()  # whose events are unknown then, and looked at
            self.others.clear()
        run = self._runs[descriptor.get("uid")] = descriptor.get("run_start")
        keys = descriptor.get("data_keys", {}).values()
        if any(key.get("dtype") not in _OF_NUMBERS for key in keys):
            self.others.add(run)

    def _forget(self, run: Any) -> None:
        """Forget a run that has ended."""
        self._runs = {uid: of for uid, of in self._runs.items() if of != run}
        self.others.discard(run)
        if run in self._begun:
            self._begun.remove(run)
        else:  # it may be one of those that are unknown
            self.others.discard(None)
