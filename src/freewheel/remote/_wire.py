"""Messages to bytes and back. Nothing is ever evaluated or unpickled on the way."""

from __future__ import annotations

import datetime
import re
import reprlib
from pathlib import PurePath
from typing import Any, Final, final

import msgspec
import numpy as np

from freewheel.core._devices import device_name, is_device

from ._errors import ProtocolError
from ._protocol import FromClient, FromServer

__all__ = ["DeviceName", "from_client", "from_server", "to_client", "to_server"]

_DEVICE: Final = 1
_ARRAY: Final = 2
#: The kinds of numpy's types that are numbers, texts or times: what has no Python object inside.
_KINDS: Final = "biufcSUmM"
#: As numpy's ``dtype.str`` writes these.
_DTYPE: Final = re.compile(r"[<>|=]?[a-zA-Z][0-9]{0,9}(\[[0-9]{0,9}[a-zA-Z]{1,2}\])?", re.ASCII)
#: So deep is written what the encoder refuses; of what is below, the ``repr``.
_DEPTH: Final = 50


@final
class DeviceName:
    """A device, by the name that the server offers it under."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DeviceName) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return self.name


def _array(value: np.ndarray[Any, Any]) -> msgspec.msgpack.Ext:
    flat = np.ascontiguousarray(value)
    head = msgspec.msgpack.encode((value.dtype.str, value.shape))
    return msgspec.msgpack.Ext(_ARRAY, len(head).to_bytes(2) + head + flat.tobytes())


def _common(value: Any) -> Any:
    """Return what stands for a value on the line, or the value if there is nothing."""
    if isinstance(value, np.ndarray):
        return _array(value) if value.dtype.kind in _KINDS else value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, DeviceName):
        return msgspec.msgpack.Ext(_DEVICE, value.name.encode())
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, complex):
        return [value.real, value.imag]
    if hasattr(value, "magnitude") and hasattr(value, "units"):
        return f"{value:~}"
    return value


def _for_server(value: Any) -> Any:
    found = _common(value)
    if found is value:
        name = getattr(value, "remote_name", None)  # one of our own stand-ins
        if isinstance(name, str):
            return msgspec.msgpack.Ext(_DEVICE, name.encode())
        raise TypeError(
            f"{value!r} cannot be sent to an engine elsewhere: only numbers, texts, arrays, "
            "collections of these, and devices of that engine can."
        )
    return found


def _for_client(value: Any) -> Any:
    found = _common(value)
    if found is not value:
        return found
    if isinstance(value, (set, frozenset, range)) or hasattr(value, "keys"):
        return dict(value) if hasattr(value, "keys") else list(value)
    return device_name(value) if is_device(value) else repr(value)


def _ext(code: int, data: memoryview) -> Any:
    if code == _DEVICE:
        return DeviceName(bytes(data).decode())
    if code != _ARRAY:
        raise ValueError(f"there is no extension {code}")
    size = int.from_bytes(data[:2])
    kind, shape = msgspec.msgpack.decode(data[2 : 2 + size], type=tuple[str, tuple[int, ...]])
    if not _DTYPE.fullmatch(kind):  # numpy hands what has a comma in it to Python's parser
        raise ValueError(f"an array of {kind[:40]!r} cannot be sent")
    dtype = np.dtype(kind)
    if dtype.kind not in _KINDS or dtype.hasobject:
        raise ValueError(f"an array of {kind!r} cannot be sent")
    # Copied, for it must not keep the whole message, and programs write into arrays.
    return np.frombuffer(data[2 + size :], dtype).reshape(shape).copy()


_to_server = msgspec.msgpack.Encoder(enc_hook=_for_server)
_to_client = msgspec.msgpack.Encoder(enc_hook=_for_client)
_from_client = msgspec.msgpack.Decoder(FromClient, ext_hook=_ext)
_from_server = msgspec.msgpack.Decoder(FromServer, ext_hook=_ext)


def to_server(message: FromClient) -> bytes:
    """Return a client's message as bytes.

    Raises
    ------
    TypeError
        If there is something in it that cannot be sent.
    """
    try:
        return _to_server.encode(message)
    except (OverflowError, RecursionError) as error:
        raise TypeError(f"This cannot be sent to an engine elsewhere: {error}") from error


def to_client(message: FromServer) -> bytes:
    """Return a server's message as bytes; what cannot be sent, as its ``repr``."""
    try:
        return _to_client.encode(message)
    except (OverflowError, RecursionError, ValueError):
        # One number of more than 64 bits must not keep an end, or a document, from everybody.
        return _to_client.encode(_sendable_message(message))


def _sendable_message(message: Any) -> Any:
    changed = {
        name: _sendable(getattr(message, name), _DEPTH) for name in message.__struct_fields__
    }
    return msgspec.structs.replace(message, **changed)


def _sendable(value: Any, depth: int) -> Any:
    """Return a value without what msgpack has no form for; what is changed becomes a text."""
    if value is None or isinstance(value, (bool, float, bytes, memoryview, msgspec.msgpack.Ext)):
        return value
    if isinstance(value, int):
        return value if -(1 << 63) <= value < 1 << 64 else reprlib.repr(value)
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if depth == 0:
        return reprlib.repr(value)
    if isinstance(value, msgspec.Struct):
        return _sendable_message(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_sendable(each, depth - 1) for each in value]
    if hasattr(value, "keys"):
        return {_sendable(key, 0): _sendable(each, depth - 1) for key, each in dict(value).items()}
    found = _for_client(value)
    return reprlib.repr(value) if type(found) is type(value) else _sendable(found, depth - 1)


def from_client(data: bytes) -> FromClient:
    """Return a client's message.

    Raises
    ------
    ProtocolError
        If it is none.
    """
    return _decoded(_from_client, data)  # type: ignore[no-any-return]


def from_server(data: bytes) -> FromServer:
    """Return a server's message; otherwise as `from_client`."""
    return _decoded(_from_server, data)  # type: ignore[no-any-return]


def _decoded(decoder: msgspec.msgpack.Decoder[Any], data: bytes) -> Any:
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError, OverflowError) as error:
        raise ProtocolError(f"This is no message of the protocol: {error}") from error
