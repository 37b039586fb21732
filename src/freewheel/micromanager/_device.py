"""What all devices of a configuration have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ophyd_async.core import StandardReadable

from ._properties import Properties

if TYPE_CHECKING:
    from ._port import Port

__all__ = ["CoreDevice"]


class CoreDevice(StandardReadable):
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

    Attributes
    ----------
    label : str
        The device's label in the configuration.
    properties : Properties
        All of its properties, as signals.
    """

    def __init__(self, port: Port, label: str, name: str = "") -> None:
        self.label = label
        self._port = port
        self.properties = Properties(port, label)
        super().__init__(name=name)
