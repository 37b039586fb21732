"""Protocols that freewheel adds to bluesky's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from bluesky.protocols import Reading, Status

__all__ = ["HasCache", "HasClaims"]


@runtime_checkable
class HasCache(Protocol):
    """A device that keeps readings which a plan hands it: what ``stash`` and ``clear_cache`` need.

    `freewheel.core.ReadingCache` is a ready-made one.
    """

    def stash(self, values: Mapping[str, Reading[Any]], /) -> Status:
        """Keep readings, by key as ``read`` gives them; the status is done when they are kept."""
        ...

    def clear(self) -> Status:
        """Forget all readings; the status is done when they are forgotten."""
        ...


@runtime_checkable
class HasClaims(Protocol):
    """A device that drives others, which are not its children: who uses it needs them too.

    A pseudo axis of one's own over motors that belong to somebody else, a detector that opens a
    shared shutter, an instrument that is several devices.
    """

    def claimed_devices(self) -> Iterable[Any]:
        """Return the devices that whoever claims this one needs as well. It must be quick."""
        ...
