"""Shutters, and whichever of them the core opens for a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, final

from bluesky.protocols import Location, Movable
from ophyd_async.core import (
    AsyncStatus,
    Device,
    SignalRW,
    StandardReadableFormat,
    StrictEnum,
)

from ._device import CoreDevice, Followed
from ._signals import Access, CoreBackend, CoreSignalRW

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ._port import Port

__all__ = ["CurrentShutter", "Opening", "Shutter"]


class Opening(StrictEnum):
    """Where a shutter stands."""

    OPEN = "Open"
    CLOSED = "Closed"


class Shutter(CoreDevice, Followed, Movable["Opening | str | bool"]):
    """A shutter.

    While the core's auto shutter is on, it opens and closes the shutter of its choice for each
    frame.

    Parameters
    ----------
    port, label, name
        As for `CoreDevice`.
    cameras : callable
        Returns the cameras for whose frames the core opens and closes it.

    Attributes
    ----------
    state : SignalRW[Opening]
        ``"Open"`` or ``"Closed"``; the key of the reading is the device's name.
    """

    def __init__(
        self,
        port: Port,
        label: str,
        name: str = "",
        *,
        cameras: Callable[[], Sequence[Any]] = tuple,
    ) -> None:
        core = port.core
        self._cameras = cameras
        access: Access[Opening] = Access(
            label,
            "its state",
            get=lambda: _opening(core.getShutterOpen(label)),
            put=lambda value: core.setShutterOpen(label, value == Opening.OPEN),
            topics=[("shutter", label), ("property", label, "State")],
            metadata={"choices": [str(choice) for choice in Opening]},
            choices=tuple(Opening),
        )
        self.state = CoreSignalRW(CoreBackend(Opening, port, access))
        self.add_readables([self.state], StandardReadableFormat.HINTED_SIGNAL)
        super().__init__(port, label, name)

    @property
    def followed(self) -> SignalRW[Any]:
        """The signal of its state."""
        return self.state

    def claimed_devices(self) -> Sequence[Any]:
        """Return the cameras whose frames would move it: none while auto shutter is off."""
        return self._cameras()

    def set(self, value: Opening | str | bool) -> AsyncStatus[None]:
        """Open (``"Open"`` or True) or close (``"Closed"`` or False) it."""
        if isinstance(value, bool):
            value = _opening(value)
        return self.state.set(cast("Opening", value), timeout=None)

    async def locate(self) -> Location[Opening | str | bool]:
        """Return where it stands."""
        state = await self.state.get_value()
        return Location(setpoint=state, readback=state)


def _opening(is_open: bool) -> Opening:
    return Opening.OPEN if is_open else Opening.CLOSED


@final
class CurrentShutter(Device, Movable["Opening | str | bool"]):
    """Whichever shutter the core opens for a frame: channels may choose another one.

    An open one that is replaced is closed by the core, which opens the other.

    Parameters
    ----------
    current : callable
        Returns that shutter.
    several : callable
        Returns all that it may be.
    name : str
        Name of the device here.
    """

    def __init__(
        self,
        current: Callable[[], Shutter | None],
        several: Callable[[], Sequence[Shutter]],
        name: str = "",
    ) -> None:
        self._current = current
        self._several = several
        super().__init__(name=name)

    def claimed_devices(self) -> Sequence[Shutter]:
        """Return all that it may be: a channel that is set later may choose any."""
        return self._several()

    def set(self, value: Opening | str | bool) -> AsyncStatus[None]:
        """Open or close it.

        Raises
        ------
        ValueError
            When the core has none now.
        """
        shutter = self._current()
        if shutter is None:
            raise ValueError("the core has no shutter now: its property Shutter is not set")
        return shutter.set(value)
