"""What a device is, what it is called, what contains it and what it contains.

Nothing here imports a device library: a class of one can only be in use when its library is
loaded already, so that `sys.modules` knows it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from types import MappingProxyType, ModuleType
from typing import Any, Final

__all__ = [
    "checked_devices",
    "claimed_with",
    "described_with",
    "device_chain",
    "device_children",
    "device_name",
    "device_parts",
    "devices_overlap",
    "is_device",
    "is_device_class",
    "is_device_instance",
    "quoted_name",
]

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
# Classes that stand for "a device", by the module that must be loaded for them to be in use.
_BASES: Final = {
    "ophyd_async.core": ("Device",),
    "ophyd": ("OphydObject",),
    "ophyd.ophydobj": ("OphydObject",),
}
# A class with all methods of one of these lines is a device by its looks.
_LOOKS: Final = (
    ("read", "describe"),
    ("set", "name"),
    ("trigger",),
    ("kickoff", "complete"),
    ("stage", "unstage"),
    ("stash", "clear"),
)
_NO_CHILDREN: Final[Mapping[str, Any]] = MappingProxyType({})


def is_device(thing: object) -> bool:
    """Tell whether a plan could move, trigger or configure ``thing``, or something below it.

    So it can be claimed, whatever its class: the widest meaning of "device".
    """
    if isinstance(thing, type) or not isinstance(getattr(thing, "name", None), str):
        return False
    return any(hasattr(thing, ability) for ability in _ABILITIES)


def is_device_class(kind: type) -> bool:
    """Tell whether a class is one of devices: of a device library, or by its methods.

    What a parameter of a plan may be annotated with to ask for a device.
    """
    for module, names in _BASES.items():
        loaded = sys.modules.get(module)
        bases = tuple(getattr(loaded, name) for name in names if hasattr(loaded, name))
        if bases and issubclass(kind, bases):
            return True
    return any(all(_has_part(kind, part) for part in look) for look in _LOOKS)


def _has_part(kind: type, part: str) -> bool:
    if part == "name":  # often set in __init__, and then only annotated, or a property
        return hasattr(kind, "name") or any(
            "name" in getattr(base, "__annotations__", {}) for base in kind.__mro__
        )
    return callable(getattr(kind, part, None)) and kind.__module__ != "builtins"


def is_device_instance(thing: object) -> bool:
    """Tell whether ``thing`` is surely meant as a device, among whatever else a module has.

    Narrower than `is_device`: its class must be one of devices too (`is_device_class`), and it
    may still be without a name, as devices of ophyd-async are before they get one.
    """
    return (
        not isinstance(thing, (type, ModuleType))
        and hasattr(thing, "parent")
        and hasattr(thing, "name")
        and is_device_class(type(thing))
    )


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


def device_chain(device: Any) -> tuple[int, ...]:
    """Return the ids of ``device`` and of what contains it, innermost first."""
    chain: list[int] = []
    part = device
    while part is not None and id(part) not in chain:
        chain.append(id(part))
        part = getattr(part, "parent", None)
        if callable(part) and not is_device(part):
            break  # a method, as Qt objects have it: no device tree
    return tuple(chain)


def claimed_with(device: Any) -> tuple[Any, ...]:
    """Return what a claim on ``device`` is a claim on: itself, and what it drives beside itself.

    That is, of a pseudo axis its positioner, hence the real axes; of a device with a method
    ``claimed_devices`` (`HasClaims`) what that returns; of a ``StandardReadable`` what it reads
    that is no child of it; and of each of these in turn.
    """
    found = [device]
    for part in found:
        found += [other for other in _driven_by(part) if not any(other is f for f in found)]
    return tuple(found)


def _driven_by(device: Any) -> list[Any]:
    driven = []
    pseudo = getattr(sys.modules.get("ophyd.pseudopos"), "PseudoSingle", None)
    if pseudo is not None and isinstance(device, pseudo) and device.parent is not None:
        driven.append(device.parent)
    claimed = getattr(device, "claimed_devices", None)
    if callable(claimed):
        driven += checked_devices(claimed())
    for describe in described_with(device):
        read = getattr(describe, "__self__", None)
        if read is None or read is device or getattr(read, "parent", None) is device:
            continue  # as most are, and it is asked at each claim
        if is_device(read) and id(device) not in device_chain(read):
            driven.append(read)
    return driven


def described_with(device: Any) -> tuple[Any, ...]:
    """Return the methods by which a ``StandardReadable`` has what it reads described.

    ophyd-async has no public name for them. Empty for any other device.
    """
    return tuple(getattr(device, "_describe_funcs", ()))


def devices_overlap(one: Any, other: Any) -> bool:
    """Tell whether one of two devices is the other, contains it, or drives it."""
    return any(
        id(part) in device_chain(driven) or id(driven) in device_chain(part)
        for part in claimed_with(one)
        for driven in claimed_with(other)
    )


def device_children(device: Any) -> Mapping[str, Any]:
    """Return what a device of ophyd-async consists of, by name; empty for any other."""
    children = getattr(device, "children", None)
    return dict(children()) if callable(children) else _NO_CHILDREN


def device_parts(device: Any) -> Mapping[str, Any]:
    """Return what a device of ophyd-async or ophyd consists of, by name.

    Without those of ophyd's that are made when they are first asked for, and wait for the network
    then, as most of an area detector's are.
    """
    if found := device_children(device):
        return found
    kind = type(device)
    return {
        name: getattr(device, name)
        for name in getattr(device, "component_names", ())
        if not getattr(getattr(kind, name, None), "lazy", False)
    }


def device_name(device: Any, otherwise: str | None = None) -> str:
    """Return the name by which a device is spoken of.

    Parameters
    ----------
    device : object
        The device.
    otherwise : str, optional
        What to call one that has no name; by default its ``repr``.
    """
    name = getattr(device, "name", None)
    if name:
        return str(name)
    return repr(device) if otherwise is None else otherwise


def safe_name(device: Any) -> str:
    """Return the name of a device whose own code may raise; for what must go on all the same."""
    try:
        return device_name(device)
    except Exception:
        return f"{type(device).__name__} without a name"


def quoted_name(part: object) -> str:
    """Return the quoted name of a device, of who holds it, or of who asks for it.

    A text is a name already; what has no name is told by its ``repr``, which needs no quotes.
    """
    if isinstance(part, str):
        return repr(part)
    name = getattr(part, "name", None)
    return repr(name) if isinstance(name, str) and name else repr(part)
