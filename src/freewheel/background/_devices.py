"""What counts as a device, and how devices contain each other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

__all__ = ["chain_of", "checked_devices", "is_device", "name_of"]

_ABILITIES: Final = (
    "read",
    "set",
    "trigger",
    "stage",
    "kickoff",
    "configure",
    "stop",
    "prepare",
    "collect",
    "children",  # an ophyd-async device that only holds others together
    "parent",
)


def is_device(thing: object) -> bool:
    """Tell whether a plan could move, trigger or configure ``thing``, or something below it."""
    if isinstance(thing, type) or not isinstance(getattr(thing, "name", None), str):
        return False
    return any(hasattr(thing, ability) for ability in _ABILITIES)


def checked_devices(devices: object) -> tuple[Any, ...]:
    """Return a claim's devices as a tuple.

    Parameters
    ----------
    devices : device or iterable of devices
        A single device is taken for itself, even if it can be iterated over.

    Raises
    ------
    TypeError
        If one of them is no device.
    """
    if is_device(devices):
        return (devices,)
    if isinstance(devices, (str, bytes)) or not isinstance(devices, Iterable):
        raise TypeError(_refusal(devices))
    several = tuple(devices)
    for device in several:
        if not is_device(device):
            raise TypeError(_refusal(device))
    return several


def _refusal(thing: object) -> str:
    hint = ""
    if isinstance(thing, str):
        hint = " Pass the device itself, not its name."
    elif isinstance(thing, type):
        hint = f" Pass an instance of {thing.__name__}."
    return (
        f"only devices can be claimed, and {thing!r} is none: a device has a name and can be read, "
        f"set, triggered, staged, configured or the like.{hint}"
    )


def chain_of(device: Any) -> tuple[int, ...]:
    """Return the ids of ``device`` and of what contains it, innermost first."""
    chain: list[int] = []
    part = device
    while part is not None and id(part) not in chain:
        chain.append(id(part))
        part = getattr(part, "parent", None)
        if callable(part) and not is_device(part):
            break  # a method, as Qt objects have it: no device tree
    return tuple(chain)


def name_of(device: Any) -> str:
    """Return the name by which a device is spoken of."""
    return getattr(device, "name", "") or repr(device)
