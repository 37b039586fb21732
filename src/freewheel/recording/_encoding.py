"""JSON, quickly, with the numbers that JSON has no words for.

msgspec writes a document in a twentieth of the time that ``json`` takes, but NaN and infinities
as ``null``. Python's own module writes them as ``NaN`` and ``Infinity``, which it, suitcase and
databroker read again. So what holds a ``null`` is written by the slow one.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from freewheel.core import MissingExtraError

try:
    import msgspec
except ImportError as error:
    feature = "freewheel.recording"
    raise MissingExtraError(feature, "recording") from error

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["decoded", "encoded", "encoded_lines"]

_encode = msgspec.json.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines
_decode = msgspec.json.Decoder().decode


def encoded(value: Any) -> bytes:
    """Return plain dicts, lists, texts, numbers, booleans and `None` as one line of JSON."""
    try:
        line = _encode(value)
    except (TypeError, ValueError, OverflowError):  # half of a surrogate pair, and the like
        return json.dumps(value).encode()
    if b"null" in line:
        return json.dumps(value).encode()
    return line


def encoded_lines(values: Sequence[Any]) -> bytes | None:
    """Return values as lines of JSON, each with its end, in half the time of one by one.

    `None` if one of them is not to be written so: then `encoded` is to be asked for each.
    """
    try:
        lines = _encode_lines(values)
    except (TypeError, ValueError, OverflowError):
        return None
    return None if b"null" in lines else lines


def decoded(line: bytes) -> Any:
    """Return what a line of JSON says.

    Raises
    ------
    ValueError
        When it is no JSON.
    """
    try:
        return _decode(line)
    except msgspec.DecodeError:
        return json.loads(line)
