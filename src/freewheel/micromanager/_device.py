"""What all devices of a configuration have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bluesky.protocols import Subscribable
from ophyd_async.core import StandardReadable

from ._properties import Properties

if TYPE_CHECKING:
    from bluesky.protocols import Reading
    from ophyd_async.core import Callback, SignalR

    from ._lanes import Lane
    from ._port import Port

__all__ = ["CoreDevice", "Followed"]


class _Readable(StandardReadable):
    """Reads its parts one after the other: so the core answers anyway, and it takes no tasks."""

    async def read(self) -> dict[str, Reading[Any]]:
        """Read all that was added as readable."""
        readings: dict[str, Reading[Any]] = {}
        for read in self._read_funcs:
            readings.update(await read())
        return readings


class Followed(_Readable, Subscribable[Any]):
    """A device of one value, which can be followed: by `monitor`, and by windows.

    Attributes
    ----------
    followed : SignalR
        The signal of that value.
    """

    @property
    def followed(self) -> SignalR[Any]:
        """The signal of the value."""
        raise NotImplementedError

    def set_name(self, name: str, *, child_name_separator: str | None = None) -> None:
        """Name the device; its reading has the same name."""
        super().set_name(name, child_name_separator=child_name_separator)
        self.followed.set_name(name)

    def subscribe_reading(self, function: Callback[dict[str, Reading[Any]]]) -> None:
        """Call a function with the reading, now and at each change. On the loop."""
        self.followed.subscribe_reading(function)

    subscribe = subscribe_reading

    def clear_sub(self, function: Callback[dict[str, Reading[Any]]]) -> None:
        """Call it no more. On the loop."""
        self.followed.clear_sub(function)


class CoreDevice(_Readable):
    """A device of a Micro-Manager configuration.

    Its methods are for the thread of the loop that runs it. It belongs to no loop.

    Parameters
    ----------
    port : Port
        The way to the core.
    label : str
        The device's label in the configuration.
    name : str
        Name of the device here.
    lane : Lane, optional
        The lane to set properties on, if that is not the device's.

    Attributes
    ----------
    label : str
        The device's label in the configuration.
    properties : Properties
        All of its properties, as signals.
    """

    def __init__(self, port: Port, label: str, name: str = "", lane: Lane | None = None) -> None:
        self.label = label
        self._port = port
        self.properties = Properties(port, label, lane)
        super().__init__(name=name)
