"""What is said of devices of ophyd-async that are not connected: which signals, after which time.

ophyd-async has a failed connection say which of its signals did not answer, but a device that is
used in spite of it says no more than that ``connect()`` has not been called, and pytango, of a
server that is away, something that is not the matter.
"""

from __future__ import annotations

import re
import weakref
from typing import TYPE_CHECKING, Any, Final

from ._devices import device_children, quoted_name
from ._errors import text_of
from ._wording import names_text

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["address_of", "note_waited", "told_of_connection"]

#: What is said of a signal that is not connected, by the type of error: ophyd-async's for EPICS and
#: for Tango, and pytango's when the server is away.
_THEIR_WORDS: Final = {
    "NotImplementedError": "connect() has not been called",
    "NotConnectedError": "Not connected to",
    "TypeError": "unsupported data_format",
    "DisconnectedError": "is not connected",  # ophyd's own
}
#: What its failed connections consist of: where the signal is.
_ADDRESS: Final = re.compile(r"\w+://\S+")
#: Where values live that are connected to nothing.
_LOCAL: Final = ("soft://", "mock+")
_REMEDY: Final = (
    "Connect it when it is there: RE(ensure_connected(device)), of ophyd_async.plan_stubs"
)

# How long a device was waited for in vain when it was connected [s]. Written and looked up in one
# step each, from the loops of any engines.
_waited: weakref.WeakKeyDictionary[Any, float] = weakref.WeakKeyDictionary()


def note_waited(device: Any, seconds: float | None) -> None:
    """Remember how long a device was waited for that did not connect; ``None`` if it did."""
    try:
        if seconds is None:
            _waited.pop(device, None)
        else:
            _waited[device] = seconds
    except TypeError:
        return  # one that cannot be kept track of


def told_of_connection(error: BaseException | None, *devices: Any) -> BaseException | None:
    """Return an error, or in its place one that says what of a device is not connected.

    Parameters
    ----------
    error : BaseException or None
        What was failed with.
    *devices : object
        The devices that it may be of.

    Returns
    -------
    BaseException or None
        A `ConnectionError`, or ophyd's own, with `error` as its cause, if that says no more than
        that something is not connected; `error` itself otherwise.
    """
    words = _THEIR_WORDS.get(type(error).__name__)
    if error is None or words is None or words not in str(error):
        return error
    for device in devices:
        if (what := _what_is_missing(device) or _what_is_away(device, error)) is not None:
            # ophyd's users know its error by its type.
            kind = type(error) if type(error).__name__ == "DisconnectedError" else ConnectionError
            told = kind(f"{quoted_name(device)} {what}")
            told.__cause__ = error
            return told
    return error


def address_of(device: Any) -> str:
    """Return where a device of Tango is; empty for others, which have but signals."""
    for part in _with_parents(device):
        if callable(ask := getattr(part, "get_trl", None)):
            where = str(ask())
            return where if "://" in where else f"tango://{where}"
    return ""


def _what_is_away(device: Any, error: BaseException) -> str | None:
    """Return what is said of a device of ophyd, or one of Tango whose server is away."""
    if callable(walk := getattr(device, "walk_signals", None)):
        away = [each.item for each in walk() if not each.item.connected]
        names = names_text([getattr(each, "pvname", each.name) for each in away])
        return f"is not connected: no answer from {names}{_within(device)}"
    if not isinstance(error, TypeError) or not (where := address_of(device)):
        return None
    return f"got no answer from {where}; pytango says {str(error)!r}"


def _what_is_missing(device: Any) -> str | None:
    signals = [each for each in _signals_of(device) if not each.source.startswith(_LOCAL)]
    failures = [failure for each in signals if (failure := _failure_of(each)) is not None]
    if failures:
        silent = [address for error in failures for address in _unanswered(error)]
        reasons = [text_of(error).strip() for error in failures if not _unanswered(error)]
        if silent:
            reasons.insert(0, f"no answer from {names_text(silent)}{_within(device)}")
        return f"is not connected: {names_text(reasons)}. {_REMEDY}."
    for part in _with_parents(device):  # one that learns its signals from its server
        if signals and (failure := _failure_of(part)) is not None:
            return f"is not connected to {address_of(part)}: {text_of(failure)}. {_REMEDY}."
    never = [each.source or address_of(each) for each in signals if _connecting(each) is None]
    if never:
        return f"was never connected ({names_text(list(dict.fromkeys(never)))}). {_REMEDY}."
    pending = [each.source for each in signals if not _connecting(each).done()]
    return f"is being connected still ({names_text(pending)})" if pending else None


def _with_parents(device: Any) -> Iterator[Any]:
    while device is not None:
        yield device
        device = getattr(device, "parent", None)


def _signals_of(device: Any) -> Iterator[Any]:
    if isinstance(getattr(device, "source", None), str):
        yield device
    for child in device_children(device).values():
        yield from _signals_of(child)


def _connecting(signal: Any) -> Any:
    """Return the task of a signal's last connection; ophyd-async has no public way."""
    return getattr(signal, "_connect_task", None)


def _failure_of(signal: Any) -> BaseException | None:
    """Return what the last connection of a signal, or a device, has failed with."""
    task = _connecting(signal)
    if task is None or not task.done():
        return None
    if task.cancelled():  # by whoever has waited for it
        return TimeoutError(getattr(signal, "source", ""))
    failure: BaseException | None = task.exception()
    return failure


def _unanswered(error: BaseException) -> list[str]:
    """Return the addresses that gave no answer; none if something else was wrong with them."""
    if type(error).__name__ not in ("NotConnectedError", "TimeoutError"):
        return []
    return _ADDRESS.findall(str(error))


def _within(device: Any) -> str:
    for part in _with_parents(device):
        if part in _waited:
            return f" within {_waited[part]:.1f} s"
    return ""
