"""Exceptions over the line, told by name and text: only classes that are listed are made again."""

from __future__ import annotations

import builtins
from concurrent.futures import CancelledError
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bluesky.run_engine import TransitionError
from bluesky.utils import (
    FailedStatus,
    IllegalMessageSequence,
    PlanHalt,
    RequestAbort,
    RequestStop,
    RunEngineInterrupted,
)

import freewheel.core
from freewheel.core import InterlockError, NotStoppedError, ResourceConflictError
from freewheel.core._devices import device_name

from ._errors import (
    ConnectionLostError,
    NotAllowedError,
    ProtocolError,
    RemoteError,
    ServerRestartedError,
)
from ._protocol import Bye, Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["bye_of", "error_of", "fault_of"]

#: Of a longer text the middle is left out: it has an endless name in it, and what to do behind.
_HEAD: Final = 3_000
_TAIL: Final = 1_000


class _Party(NamedTuple):
    """Who held or wanted a device, as a client is told."""

    name: str
    kind: str | None


_BUILTINS: Final = (
    "ArithmeticError AssertionError AttributeError ConnectionError Exception FileExistsError "
    "FileNotFoundError IndexError KeyError LookupError MemoryError NotImplementedError OSError "
    "PermissionError RuntimeError TimeoutError TypeError ValueError ZeroDivisionError"
)
#: Those that are made of one text.
_PLAIN: Final[Mapping[str, type[BaseException]]] = MappingProxyType(
    {name: getattr(builtins, name) for name in _BUILTINS.split()}
    | {
        kind.__name__: kind
        for kind in (
            CancelledError,
            ConnectionLostError,
            FailedStatus,
            IllegalMessageSequence,
            NotAllowedError,
            PlanHalt,
            ProtocolError,
            RequestAbort,
            RequestStop,
            RunEngineInterrupted,
            ServerRestartedError,
            TransitionError,
        )
    }
    | {
        name: getattr(freewheel.core, name)
        for name in (
            "CircularWaitError",
            "EngineClosedError",
            "ForkedProcessError",
            "InvalidState",
            "ServiceFailedError",
            "StatusTimeoutError",
            "UnknownStatusFailure",
            "WaitTimeoutError",
        )
    }
)


def fault_of(error: BaseException) -> Fault:
    """Return what is told of an exception."""
    parts: list[Any] = []
    if isinstance(error, ResourceConflictError):
        via = None if error.via is None else _told(error.via)[0]
        parts = [_told(error.device), _told(error.holder), _told(error.requester), via]
    elif isinstance(error, InterlockError):
        names = _told(error.device)[0], _told(error.requester)[0]
        parts = [error.interlock, error.why, error.verb, *names]
    elif isinstance(error, NotStoppedError):
        parts = list(error.what)
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return Fault(_kind_of(error), _shortened(text), parts)


def bye_of(error: BaseException) -> Bye:
    """Return the last word to a client that is sent away by an exception."""
    fault = fault_of(error)
    return Bye(fault.text, fault)


def _shortened(text: str) -> str:
    left_out = len(text) - _HEAD - _TAIL
    if left_out <= 0:
        return text
    return f"{text[:_HEAD]} … ({left_out} characters) … {text[-_TAIL:]}"


def _kind_of(error: BaseException) -> str:
    """Return the name of the first class of an exception that a client can make again."""
    for kind in type(error).__mro__:
        if kind.__name__ in _PLAIN or kind.__name__ in _MADE:
            if kind in (Exception, RuntimeError, OSError, LookupError) and kind is not type(error):
                break  # its own name says more
            return kind.__name__
    return type(error).__name__


def _told(who: Any) -> list[str | None]:
    name = who if isinstance(who, str) else device_name(who)
    return [name, getattr(who, "kind", None)]


def _party(told: Any) -> Any:
    name, kind = told
    return name if kind is None else _Party(name, kind)


def _conflict(fault: Fault) -> BaseException:
    device, holder, requester, via = fault.parts
    return ResourceConflictError(device[0], _party(holder), _party(requester), via)


_MADE: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "ResourceConflictError": _conflict,
        "InterlockError": lambda fault: InterlockError(*fault.parts),
        "NotStoppedError": lambda fault: NotStoppedError(fault.parts),
    }
)


def error_of(fault: Fault) -> BaseException:
    """Return the exception that was told of; a `RemoteError` for one that is not known here."""
    try:
        if fault.kind in _MADE:
            made: BaseException = _MADE[fault.kind](fault)
            return made
        if fault.kind in _PLAIN:
            return _PLAIN[fault.kind](fault.text)
    except (TypeError, ValueError):
        pass  # a server of another version tells it otherwise: its name and text are still true
    return RemoteError(fault.kind, fault.text)
