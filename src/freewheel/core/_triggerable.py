"""What a device can do, asked many times a second."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bluesky.protocols import Triggerable

if TYPE_CHECKING:
    from typing import TypeGuard

__all__ = ["is_triggerable"]

# Types whose instances have a `trigger` by their class. Bounded by the device classes that a
# process defines; read and filled by engines and by whichever thread iterates a plan: a lost entry
# costs one more look.
_triggerable_types: set[type] = set()


def is_triggerable(device: Any) -> TypeGuard[Triggerable]:
    """Return what ``isinstance(device, Triggerable)`` does, without its price for known types.

    A protocol that is checked at run time looks at the object's attributes each time. What a
    class defines stays; only an answer that hangs on the instance is asked for again.
    """
    if getattr(device, "trigger", None) is None:
        return False
    kind = type(device)
    if kind in _triggerable_types:
        return True
    if not isinstance(device, Triggerable):
        return False
    if callable(getattr(kind, "trigger", None)):
        _triggerable_types.add(kind)
    return True
