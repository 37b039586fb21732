"""What runs and devices hint at for plots, as far as it can be understood.

People and devices write what they like: it is no reason not to show their numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["dimensions_of", "hinted_fields", "is_even_grid"]


def hinted_fields(descriptor: Mapping[str, Any]) -> set[str]:
    """Return the data keys that the devices of a stream hint at."""
    found: set[str] = set()
    for hint in _hints_of(descriptor).values():
        if isinstance(hint, Mapping):
            found.update(_texts_in(hint.get("fields")))
    return found


def dimensions_of(start: Mapping[str, Any]) -> list[tuple[list[str], str]]:
    """Return the fields, and the stream, of each of a run's dimensions: the slowest one first.

    None if one of them is written otherwise than bluesky's plans do. Where none are told, because a
    motor hints at nothing, as a bare signal does, they are the motors by their names.
    """
    told = _hints_of(start).get("dimensions")
    if told is None:
        return _of_motors(start)
    found = []
    for dimension in told if isinstance(told, (list, tuple)) else ():
        if not isinstance(dimension, (list, tuple)) or not dimension:
            return []
        fields, name = dimension if len(dimension) == 2 else (dimension[0], "primary")
        found.append((_texts_in(fields), name if isinstance(name, str) else "primary"))
    return found


def _of_motors(start: Mapping[str, Any]) -> list[tuple[list[str], str]]:
    names, shape = _texts_in(start.get("motors")), start.get("shape")
    if isinstance(shape, (list, tuple)) and len(shape) == len(names):  # of a grid
        return [([name], "primary") for name in names]
    return [(names, "primary")] if names else []  # which are moved together


def is_even_grid(start: Mapping[str, Any]) -> bool:
    """Tell whether a run says that its points are those of an even grid."""
    return str(_hints_of(start).get("gridding")) == "rectilinear"


def _hints_of(doc: Mapping[str, Any]) -> Mapping[str, Any]:
    hints = doc.get("hints")
    return hints if isinstance(hints, Mapping) else {}


def _texts_in(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    try:
        return [each for each in value if isinstance(each, str)]
    except TypeError:
        return []
