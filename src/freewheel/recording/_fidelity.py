"""Documents as JSON, with notes on what JSON cannot say.

JSON has no tuples, no arrays with a dtype and no bytes. A document is written as plain JSON that
any tool reads, and beside it a list of *notes*: which values, named by their path in the
document, were of which type. `restore` puts them back, so that what is read equals what was
emitted. Without its notes a document is still valid; its tuples are lists then.
"""

from __future__ import annotations

import base64
import contextlib
import logging
from collections.abc import Mapping, Set
from datetime import datetime
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, cast

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ABSENT", "Note", "Notes", "plain", "restore"]

logger = logging.getLogger(__name__)

Note = list[Any]
"""``[path, kind, argument]``; ``path`` is a list of keys and indices from the document's root."""

Notes = list[Note]

ABSENT = "absent"
"""The kind of note that takes a key away again, one that only the written document has."""

#: What is nested deeper is recorded as text; what contains itself has no end.
_DEEPEST = 100
#: So many different warnings are remembered, in order not to be repeated for each event.
_MOST_SAID = 1000
_said: set[tuple[Any, ...]] = set()  # added to by any thread, in one step

_EXACT = (str, int, float, bool, type(None))
_NUMERIC_KINDS = "biuf"


def plain(value: Any, notes: Notes, path: tuple[str | int, ...] = ()) -> Any:
    """Return ``value`` as what JSON can hold, and append to ``notes`` what that loses.

    Parameters
    ----------
    value
        A document, or a part of one. It is not changed.
    notes
        The list that notes are appended to, a container's note after those of its contents.
    path
        Where ``value`` stands in the document.
    """
    if type(value) in _EXACT:
        return value
    if len(path) > _DEEPEST:
        return _as_text(value, path)
    if isinstance(value, Mapping):
        return _plain_mapping(value, notes, path)
    if isinstance(value, (list, tuple)):
        items = [plain(item, notes, (*path, i)) for i, item in enumerate(value)]
        if isinstance(value, tuple):
            notes.append([list(path), "tuple", None])
        return items
    if isinstance(value, np.ndarray):
        return _plain_array(value, notes, path)
    if isinstance(value, np.generic):
        return _plain_scalar(value, notes, path)
    return _plain_other(value, notes, path)


def _plain_mapping(value: Mapping[Any, Any], notes: Notes, path: tuple[str | int, ...]) -> Any:
    result = {}
    odd_keys = {}
    for key, item in value.items():
        text = key if type(key) is str else _text_of(key, str)
        if not isinstance(key, str) or text != key:
            while text in value or text in result:  # as of a number, and the text of it
                text += "'"
            odd_keys[text] = _plain_key(key, (*path, text))
        result[text] = plain(item, notes, (*path, text))
    if odd_keys:
        notes.append([list(path), "keys", odd_keys])
    return result


def _plain_key(value: Any, path: tuple[str | int, ...]) -> Any:
    """Return what `_key` makes a key, or an item of a set, of again; its text, if nothing is."""
    result = plain(value, [], path)
    if result is value:  # as a NaN, which equals nothing
        return result
    with contextlib.suppress(Exception):
        if _key(result) == value:
            return result
    return _as_text(value, path)


def _plain_array(value: np.ndarray, notes: Notes, path: tuple[str | int, ...]) -> Any:
    if value.dtype.kind == "O" or np.ma.is_masked(value):  # None stands for what is masked
        items = plain(value.tolist(), notes, path)
        notes.append([list(path), "objects", list(value.shape)])
        return items
    about: dict[str, Any] = {"dtype": _dtype_text(value.dtype), "shape": list(value.shape)}
    if value.dtype.kind == "U":
        readable = value.tolist()
    elif value.dtype.kind in _NUMERIC_KINDS and value.dtype.itemsize <= 8:
        readable = value.tolist()
        if value.dtype.kind == "f" and np.isnan(value).any():
            # The sign and the payload of a NaN are bits that JSON drops.
            about["raw"] = _base64(value.tobytes())
    else:
        readable = value.astype(str).tolist() if value.dtype.kind != "V" else str(value.tolist())
        about["raw"] = _base64(value.tobytes())
    notes.append([list(path), "array", about])
    return readable


def _plain_scalar(value: np.generic, notes: Notes, path: tuple[str | int, ...]) -> Any:
    about: dict[str, Any] = {"dtype": _dtype_text(value.dtype)}
    readable = value.item()
    if value.dtype.kind not in _NUMERIC_KINDS + "U" or type(readable) not in _EXACT:
        about["raw"] = _base64(value.tobytes())
        readable = str(readable)
    elif readable != readable:
        about["raw"] = _base64(value.tobytes())
    notes.append([list(path), "scalar", about])
    return readable


def _plain_other(value: Any, notes: Notes, path: tuple[str | int, ...]) -> Any:
    for base in (int, float, str):
        if isinstance(value, base):  # an enum member, or another subclass: equal to its base
            return cast("Any", base)(getattr(value, "value", value))
    if isinstance(value, (bytes, bytearray)):
        notes.append([list(path), "bytes", None])
        return _base64(bytes(value))
    if isinstance(value, Set):
        items = [_plain_key(item, (*path, i)) for i, item in enumerate(_in_order(value))]
        notes.append([list(path), "set", None])
        return items
    if isinstance(value, complex):
        notes.append([list(path), "complex", None])
        return [value.real, value.imag]
    if isinstance(value, datetime):
        notes.append([list(path), "datetime", None])
        return value.isoformat()
    if isinstance(value, PurePath):
        return str(value)
    return _as_text(value, path)


def _in_order(values: Set[Any]) -> list[Any]:
    try:
        return sorted(values, key=repr)
    except Exception:  # of an item whose text cannot be had
        return list(values)


def _text_of(value: Any, make: Callable[[Any], str] = repr) -> str:
    try:
        return make(value)
    except Exception:  # some library's, or one that is nested too deep for it
        return object.__repr__(value)


def _as_text(value: Any, path: tuple[str | int, ...]) -> str:
    """Return a value's text, and say so once for each place and type."""
    text = _text_of(value)
    shown = "/".join(map(str, path[:10])) + ("/…" if len(path) > 10 else "")
    about = shown, type(value)
    if about not in _said:
        if len(_said) >= _MOST_SAID:
            _said.clear()
        _said.add(about)
        logger.warning(
            "A document has at %s a value of type %s, which no file format of documents can hold; "
            "its text %.200r is recorded instead. Further ones there are not told of.",
            shown,
            type(value).__qualname__,
            text,
        )
    return text


def _dtype_text(dtype: np.dtype[Any]) -> Any:
    return dtype.str if dtype.names is None else dtype.descr


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def restore(document: dict[str, Any], notes: Notes) -> dict[str, Any]:
    """Put back into a freshly parsed ``document`` the types that its ``notes`` tell of.

    The document is changed in place, and returned.
    """
    for path, kind, argument in notes:
        parent: Any = document
        for step in path[:-1]:
            parent = parent[step]
        if not path:  # a note on the document itself
            document = _restored(document, kind, argument)
        elif kind == ABSENT:
            parent.pop(path[-1], None)
        elif kind == "value":
            parent[path[-1]] = argument
        else:
            parent[path[-1]] = _restored(parent[path[-1]], kind, argument)
    return document


def _restored(value: Any, kind: str, argument: Any) -> Any:
    match kind:
        case "tuple":
            return tuple(value)
        case "array":
            return _array(value, argument)
        case "scalar":
            dtype = _dtype(argument["dtype"])
            if "raw" in argument:
                return np.frombuffer(base64.b64decode(argument["raw"]), dtype)[0]
            return dtype.type(value) if dtype.names is None else value
        case "objects":
            return _array_of_objects(value, argument)
        case "bytes":
            return base64.b64decode(value)
        case "set":
            return set(map(_key, value))
        case "complex":
            return complex(*value)
        case "datetime":
            return datetime.fromisoformat(value)
        case "keys":
            return {_key(argument.get(key, key)): item for key, item in value.items()}
    return value  # a kind that a later version may know


def _key(value: Any) -> Any:
    # A tuple, which JSON gives back as a list: nothing else that is one could be a key.
    return tuple(map(_key, value)) if isinstance(value, list) else value


def _dtype(text: Any) -> np.dtype[Any]:
    if isinstance(text, str):
        return np.dtype(text)
    fields = [tuple(tuple(x) if isinstance(x, list) else x for x in field) for field in text]
    structured: np.dtype[Any] = np.dtype(cast("Any", fields))
    return structured


def _array_of_objects(value: Any, shape: list[int]) -> np.ndarray:
    array = np.empty(shape, dtype=object)
    if not shape:
        array.fill(value)
    for index in np.ndindex(*shape) if shape else ():
        item = value  # each by itself: numpy would take a list for one more dimension
        for place in index:
            item = item[place]
        array[index] = item
    return array


def _array(value: Any, about: Mapping[str, Any]) -> np.ndarray:
    dtype, shape = _dtype(about["dtype"]), tuple(about["shape"])
    if "raw" in about:
        return np.frombuffer(base64.b64decode(about["raw"]), dtype).reshape(shape).copy()
    return np.array(value, dtype=dtype).reshape(shape)
