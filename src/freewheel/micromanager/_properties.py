"""Micro-Manager's properties as signals."""

from __future__ import annotations

import keyword
import re
from typing import TYPE_CHECKING, Any, Final

from ophyd_async.core import Device, SignalMetadata, SignalR
from pymmcore_plus import PropertyType

from ._signals import Access, CoreBackend, CoreSignalR, CoreSignalRW, enumeration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pymmcore_plus import CMMCorePlus

    from ._lanes import Lane
    from ._port import Port

__all__ = ["Properties", "identifier", "limited"]

_UNITS: Final = re.compile(
    r"[\s_\-\[(](um/s|um|nm|ms|us|s|mW|W|mV|V|mA|A|Hz|kHz|MHz|%|deg|degC|electrons)[\])]?$"
)
# Those that the core's own documentation gives.
_KNOWN_UNITS: Final = {"Exposure": "ms", "CCDTemperature": "degC", "CCDTemperature RO": "degC"}


def identifier(label: str) -> str:
    """Return a label as a name that Python takes: letters, digits and ``_``."""
    name = re.sub(r"\W+", "_", label).strip("_") or "unnamed"
    if name[0].isdigit() or keyword.iskeyword(name):
        name = f"_{name}"
    return name


class Properties(Device):
    """All properties of one device, each a signal.

    ``properties.Gain``, or ``properties["Gain"]`` by Micro-Manager's own spelling. Those that are
    read only, or fixed before the device is initialised, can't be set. A property with a list of
    values is an enumeration; numbers have limits.

    Parameters
    ----------
    port : Port
        The way to the core.
    label : str
        The device.
    lane : Lane, optional
        The lane to set them on, if that is not the device's.
    """

    def __init__(self, port: Port, label: str, lane: Lane | None = None) -> None:
        super().__init__()
        self._attributes: dict[str, str] = {}  # by the property's own name
        for name in port.core.getDevicePropertyNames(label):
            attribute = self._free(identifier(name))
            self._attributes[name] = attribute
            setattr(self, attribute, _signal(port, label, name, lane))

    def _free(self, attribute: str) -> str:
        while hasattr(self, attribute):
            attribute += "_"
        return attribute

    def __getitem__(self, name: str) -> SignalR[Any]:
        """Return the signal of a property, by Micro-Manager's name for it."""
        try:
            signal: SignalR[Any] = getattr(self, self._attributes[name])
        except KeyError:
            several = ", ".join(self._attributes) or "none"
            raise KeyError(f"{self.name} has no property {name!r}; it has: {several}") from None
        return signal

    def __contains__(self, name: object) -> bool:
        """Whether there is a property of that name."""
        return name in self._attributes

    def __iter__(self) -> Iterator[str]:
        """Go through Micro-Manager's names of the properties."""
        return iter(self._attributes)

    def __len__(self) -> int:
        """Count the properties."""
        return len(self._attributes)


def _signal(port: Port, label: str, name: str, lane: Lane | None) -> SignalR[Any]:
    core = port.core
    fixed = core.isPropertyReadOnly(label, name) or core.isPropertyPreInit(label, name)
    datatype, convert, choices = _datatype(port, label, name)

    def put(value: Any) -> None:
        core.setProperty(label, name, value)

    access: Access[Any] = Access(
        label=label,
        what=f"the property {name!r}",
        get=lambda: convert(core.getProperty(label, name)),
        put=None if fixed else put,
        topics=[("property", label, name)],
        convert=convert,
        metadata=_metadata(port, label, name, choices if issubclass(datatype, str) else ()),
        choices=choices,
        lane=lane,
    )
    backend: CoreBackend[Any] = CoreBackend(datatype, port, access)
    return CoreSignalR(backend) if fixed else CoreSignalRW(backend)


def _datatype(
    port: Port, label: str, name: str
) -> tuple[type[Any], Callable[[str], Any], tuple[Any, ...]]:
    """Return a property's type, what makes it of the core's text, and what it may be."""
    kind = port.core.getPropertyType(label, name)
    allowed: tuple[str, ...] = tuple(port.core.getAllowedPropertyValues(label, name))
    if kind == PropertyType.Float:
        return float, float, tuple(map(float, allowed))
    if kind == PropertyType.Integer:
        return int, _whole, tuple(map(_whole, allowed))
    if allowed:
        choice = enumeration(f"{label}{name}", allowed)
        return choice, choice, allowed
    return str, str, ()


def _whole(text: str) -> int:
    return int(float(text))


def limited(core: CMMCorePlus, label: str, name: str, metadata: SignalMetadata) -> SignalMetadata:
    """Put the limits of a property into metadata, if there is such a property and it has any."""
    if core.hasProperty(label, name) and core.hasPropertyLimits(label, name):
        low = core.getPropertyLowerLimit(label, name)
        high = core.getPropertyUpperLimit(label, name)
        metadata["limits"] = {"control": {"low": low, "high": high}}
    return metadata


def _metadata(port: Port, label: str, name: str, choices: tuple[str, ...]) -> SignalMetadata:
    core = port.core
    metadata: SignalMetadata = {}
    if choices:
        metadata["choices"] = list(choices)
        return metadata
    limited(core, label, name, metadata)
    units = _KNOWN_UNITS.get(name)
    match = _UNITS.search(name)
    if units is None and match is not None:
        units = match[1]
    if units is not None and core.getPropertyType(label, name) != PropertyType.String:
        metadata["units"] = units
    return metadata
