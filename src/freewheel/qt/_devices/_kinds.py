"""What a device is to be shown as: a motor, a setting, or parts of their own."""

from __future__ import annotations

import enum
from typing import Any

from freewheel.core._devices import device_parts

__all__ = ["can_edit", "can_show", "datatype_of", "has_axes", "is_plain", "is_signal"]


def has_axes(device: Any) -> bool:
    """Tell whether parts of a device are moved themselves, such as the axes of an XY stage."""
    parts = device_parts(device).values()
    return any(callable(getattr(p, "set", None)) and not is_signal(p) for p in parts)


def is_signal(device: Any) -> bool:
    """Tell whether a device is a signal, of ophyd-async or ophyd."""
    # Of ophyd-async, one that can only be set has nothing to subscribe to, such as a motor's stop.
    if hasattr(device, "datatype") and (hasattr(device, "subscribe") or hasattr(device, "source")):
        return True
    # ophyd's, unlike its devices and positioners.
    return hasattr(device, "write_access") and not hasattr(device, "component_names")


def is_plain(device: Any) -> bool:
    """Tell whether a device can be read, and has no parts that could be shown in its place."""
    # One of ophyd whose parts are made when they are asked for would wait for the network.
    if hasattr(device, "component_names") or device_parts(device):
        return False
    return all(callable(getattr(device, each, None)) for each in ("read", "describe"))


def datatype_of(device: Any) -> Any:
    """Return the type of what a device is set to."""
    for name in ("", "setpoint", "user_setpoint", "followed"):
        datatype = getattr(getattr(device, name, None) if name else device, "datatype", None)
        if datatype is not None:
            return datatype
    return float


def can_edit(signal: Any) -> bool:
    """Tell whether a person can set a signal, and there is an input for its type."""
    return bool(getattr(signal, "write_access", True)) and _is_scalar(datatype_of(signal))


def can_show(signal: Any) -> bool:
    """Tell whether a signal can be watched, and what it reads fits into a line."""
    watched = hasattr(signal, "subscribe_reading") or hasattr(signal, "subscribe")
    return watched and callable(getattr(signal, "read", None)) and _is_scalar(datatype_of(signal))


def _is_scalar(datatype: Any) -> bool:
    return isinstance(datatype, type) and issubclass(datatype, (bool, int, float, str, enum.Enum))
