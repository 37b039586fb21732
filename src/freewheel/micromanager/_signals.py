"""Signals of ophyd-async whose values are the core's."""

from __future__ import annotations

import asyncio
import logging
import math
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, cast

import numpy as np
from ophyd_async.core import (
    SignalBackend,
    SignalDatatypeT,
    SignalMetadata,
    SignalR,
    SignalRW,
    SubsetEnum,
    make_datakey,
)

from freewheel.core._crossings import call_soon

from ._errors import CoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from bluesky.protocols import Location, Reading
    from event_model import DataKey
    from ophyd_async.core import Callback

    from ._lanes import Lane
    from ._port import Port

_log = logging.getLogger(__name__)

__all__ = ["Access", "CoreBackend", "CoreSignalR", "CoreSignalRW", "checked", "enumeration"]


def enumeration(name: str, values: Sequence[str]) -> type[SubsetEnum]:
    """Return an enumeration of strings that are known only when a configuration is loaded."""
    members: dict[str, str] = {}
    for value in values:
        label = re.sub(r"\W+", "_", value).upper().strip("_") or "EMPTY"
        if not label[0].isalpha():
            label = f"V_{label}"
        while label in members:
            label += "_"
        members[label] = value
    made: type[SubsetEnum] = cast("Any", SubsetEnum)(re.sub(r"\W+", "", name) or "Choice", members)
    return made


def checked(what: str, value: Any, metadata: SignalMetadata, choices: Sequence[Any] = ()) -> None:
    """Refuse a value outside of the limits or not among the choices.

    Raises
    ------
    ValueError
        With what would be taken.
    """
    if choices and value not in choices:
        several = ", ".join(str(choice) for choice in choices)
        raise ValueError(f"{what} takes one of {several}, not {value}")
    if isinstance(value, (str, np.ndarray, list, tuple)):
        return
    if not math.isfinite(value):
        raise ValueError(f"{what} takes a finite number, not {value}")
    limits = metadata.get("limits", {}).get("control")
    if limits is None:
        return
    low, high = limits["low"], limits["high"]
    if (low is not None and value < low) or (high is not None and value > high):
        units = f" {metadata['units']}" if "units" in metadata else ""
        raise ValueError(f"{what} takes {low:g} to {high:g}{units}, not {value:g}")


@dataclass(frozen=True)
class Access(Generic[SignalDatatypeT]):
    """How a value is got from the core, and put there.

    Parameters
    ----------
    label : str
        The device.
    what : str
        What the value is, for errors, such as ``"the property 'Gain'"``.
    get : callable
        Returns the value; on the device's lane.
    put : callable, optional
        Sets the value, on the device's lane or `lane`.
    topics : sequence of hashable
        The keys of `Changes` that tell of a change.
    convert : callable, optional
        Makes the value of what the first topic tells; without it, the value is got again.
    metadata : SignalMetadata
        Limits, units, choices.
    choices : sequence
        What it takes, if that is a list.
    lane : Lane, optional
        The lane to set it on, if that is not the device's: for what uses the core's current camera.
    """

    label: str
    what: str
    get: Callable[[], SignalDatatypeT]
    put: Callable[[SignalDatatypeT], object] | None = None
    topics: Sequence[Hashable] = ()
    convert: Callable[[Any], SignalDatatypeT] | None = None
    metadata: SignalMetadata = field(default_factory=SignalMetadata)
    choices: Sequence[Any] = ()
    lane: Lane | None = None


class CoreBackend(SignalBackend[SignalDatatypeT]):
    """A signal's backend: one value of the core's.

    Used on the loop that runs the device, but for `_announced`.

    Parameters
    ----------
    datatype : type
        The signal's datatype.
    port : Port
        The way to the core.
    access : Access
        What to get and put there.
    """

    def __init__(
        self, datatype: type[SignalDatatypeT], port: Port, access: Access[SignalDatatypeT]
    ) -> None:
        super().__init__(datatype)
        self._port = port
        self._access = access
        self._callback: Callback[Reading[SignalDatatypeT]] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None  # that the callback is called on
        self._renewal: asyncio.Task[None] | None = None
        self._stale = False  # something changed while it was being got

    def source(self, name: str, read: bool) -> str:
        return f"mmcore://{self._access.label}/{self._access.what}"

    async def connect(self, timeout: float) -> None:  # noqa: ASYNC109 (its base says so)
        async with asyncio.timeout(timeout):
            await self.get_value()

    async def put(self, value: SignalDatatypeT | None) -> None:
        access = self._access
        put = access.put
        what = f"{access.what.replace('its ', 'the ', 1)} of {access.label!r}"
        if put is None or value is None:
            raise TypeError(f"{what} can't be set to {value}")
        checked(what, value, access.metadata, access.choices)
        taken = f" (it takes {', '.join(map(str, access.choices))})" if access.choices else ""
        what = f"set {access.what} to {value}{taken}"
        await self._port.change(access.label, what, lambda: put(value), lane=access.lane)
        await self.refresh()

    async def get_datakey(self, source: str) -> DataKey:
        datatype = self.datatype
        assert datatype is not None
        # The value is looked at for its shape, which for these is known without asking the core.
        is_scalar = isinstance(datatype, type) and issubclass(datatype, (bool, int, float, str))
        value: Any = 0 if is_scalar else await self.get_value()
        return make_datakey(datatype, value, source, self._access.metadata)

    async def get_reading(self) -> Reading[SignalDatatypeT]:
        return _reading(await self.get_value())

    async def get_value(self) -> SignalDatatypeT:
        access = self._access
        return await self._port.call(access.label, f"tell {access.what}", access.get)

    async def get_setpoint(self) -> SignalDatatypeT:
        return await self.get_value()

    def set_callback(self, callback: Callback[Reading[SignalDatatypeT]] | None) -> None:
        if callback is not None and self._callback is not None:
            raise RuntimeError("Cannot set a callback when one is already set")
        self._callback = callback
        for topic in self._access.topics:
            if callback is None:
                self._port.changes.forget(topic, self._announced)
            else:
                self._port.changes.watch(topic, self._announced)
        if callback is not None:
            self._loop = asyncio.get_running_loop()
            self._renew_soon()
        elif self._renewal is not None:
            self._renewal.cancel()

    def _announced(self, value: Any) -> None:
        """Take a change; on whichever thread announces it."""
        loop = self._loop
        if loop is None:
            return
        convert = self._access.convert
        if convert is None:
            call_soon(loop, self._renew_soon)
        else:
            call_soon(loop, self.show, convert(value))

    def show(self, value: SignalDatatypeT) -> None:
        """Give whoever subscribed a value. On the loop."""
        if self._callback is not None:
            self._callback(_reading(value))

    async def refresh(self) -> None:
        """Get the value anew for whoever subscribed: not every adapter announces each change."""
        if self._callback is not None:
            await self._renew()

    def _renew_soon(self) -> None:
        if self._renewal is not None and not self._renewal.done():
            self._stale = True
            return
        self._renewal = asyncio.get_running_loop().create_task(self._renew_or_log())

    async def _renew_or_log(self) -> None:
        try:
            await self._renew()
        except CoreError as error:
            _log.warning("a change could not be followed: %s", error)

    async def _renew(self) -> None:
        while True:
            self._stale = False
            value = await self.get_value()
            if not self._stale:
                self.show(value)
                return


class CoreSignalR(SignalR[SignalDatatypeT]):
    """A signal without a time-out, and so without a task, for each reading.

    Those of the core's calls are the port's; a frame is read some hundred times a second.
    """

    async def read(self, cached: bool | None = None) -> dict[str, Reading[SignalDatatypeT]]:
        """Return a single item dict with the reading in it."""
        return {self.name: await self._backend_or_cache(cached).get_reading()}

    async def get_value(self, cached: bool | None = None) -> SignalDatatypeT:
        """Return the current value."""
        value: SignalDatatypeT = await self._backend_or_cache(cached).get_value()
        return value


class CoreSignalRW(CoreSignalR[SignalDatatypeT], SignalRW[SignalDatatypeT]):
    """The same, which can be set."""

    async def locate(self) -> Location[SignalDatatypeT]:
        """Return the value: the core keeps no other of what was asked for."""
        value = await self.get_value()
        return {"setpoint": value, "readback": value}


def _reading(value: SignalDatatypeT) -> Reading[SignalDatatypeT]:
    return {"value": value, "timestamp": time.time(), "alarm_severity": 0}
