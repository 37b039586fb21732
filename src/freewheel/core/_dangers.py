"""Which devices may do harm, so that a person is asked before one is moved by hand."""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints

__all__ = ["Dangerous", "danger_of", "mark_dangerous"]

_ANY_REASON: Final = "it is marked as dangerous"


@dataclass(frozen=True)
class Dangerous:
    """Metadata for ``Annotated``: windows ask before a person moves or switches such a device.

    It may stand at a part in the class of its device, or at a device in the file that
    `freewheel.forms.find_devices` reads::

        class Microscope(Device):
            laser: Annotated[SignalRW[bool], Dangerous("class 4")]

    Plans are not kept from anything by it.

    Attributes
    ----------
    reason
        Why, for the question.
    """

    reason: str = _ANY_REASON


# The lock guards _marked: any thread may mark a device, any may ask. It may be taken once more by
# the thread that has it, when a device is collected there meanwhile.
_lock = threading.RLock()
_marked: dict[int, tuple[weakref.ref[Any], str]] = {}  # by the id of a device that is alive


def mark_dangerous(device: Any, reason: str = _ANY_REASON) -> None:
    """Have windows ask before a person moves or switches a device, or a part of it.

    Parameters
    ----------
    device
        The device. A second call for it gives another reason.
    reason
        Why, for the question.
    """
    key = id(device)

    def forget(_: object) -> None:
        with _lock:
            _marked.pop(key, None)

    with _lock:
        _marked[key] = (weakref.ref(device, forget), reason or _ANY_REASON)


def danger_of(device: Any) -> str | None:
    """Return why a device is dangerous, as it or what contains it is marked; else ``None``."""
    seen: set[int] = set()
    while device is not None and id(device) not in seen:
        seen.add(id(device))
        with _lock:
            found = _marked.get(id(device))
        if found is not None and found[0]() is device:
            return found[1]
        parent = getattr(device, "parent", None)
        if callable(parent):  # a method, as Qt objects have it: no device tree
            return None
        if (reason := _annotated(parent, device)) is not None:
            return reason
        device = parent
    return None


def danger_in(annotation: Any) -> str | None:
    """Return the reason that an annotation gives, if it has `Dangerous` among its metadata."""
    if get_origin(annotation) is not Annotated:
        return None
    for item in get_args(annotation)[1:]:
        if isinstance(item, Dangerous):
            return item.reason
        if item is Dangerous:
            return _ANY_REASON
    return None


def _annotated(parent: Any, part: Any) -> str | None:
    if parent is None:
        return None
    try:
        hints = get_type_hints(type(parent), include_extras=True)
    except Exception:  # evaluating somebody's annotations may raise anything
        return None
    for name, annotation in hints.items():
        reason = danger_in(annotation)
        if reason is not None and getattr(parent, name, None) is part:
            return reason
    return None
