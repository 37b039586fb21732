"""Telling events that need nothing but to be written."""

from __future__ import annotations

from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["are_plain_events"]

# What JSON holds as it is. Exact: a subclass, such as an enum's member, is another thing.
_EXACT: Final = frozenset({str, int, float, bool, type(None)})
_TEXT: Final = frozenset({str})
_INTEGER: Final = frozenset({int})
_FLOAT: Final = frozenset({float})
_DICT: Final = frozenset({dict})
# Of an event document: these fields, and the descriptor's uid.
_FIELDS: Final = itemgetter("uid", "time", "seq_num", "data", "timestamps", "filled")
_EVENT_LENGTH: Final = frozenset({7})


def are_plain_events(docs: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether JSON holds events as they are, and gives them back so.

    A field of all of them at a time: a loop over documents would take three times as long.
    """
    if not (_DICT.issuperset(map(type, docs)) and _EVENT_LENGTH.issuperset(map(len, docs))):
        return False
    try:
        uids, times, numbers, data, timestamps, filled = zip(*map(_FIELDS, docs), strict=True)
    except KeyError:
        return False
    columns = data + timestamps
    return (
        _TEXT.issuperset(map(type, uids))
        and _FLOAT.issuperset(map(type, times))
        and _INTEGER.issuperset(map(type, numbers))
        and _DICT.issuperset(map(type, columns + filled))
        and not any(filled)
        and _TEXT.issuperset(map(type, chain.from_iterable(columns)))
        and _EXACT.issuperset(map(type, chain.from_iterable(map(dict.values, columns))))
    )
