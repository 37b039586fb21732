"""Whether the server of a signal is there, which its readings do not tell.

A subscription of ophyd-async falls silent when its server goes; signals of ophyd, and those of
engines elsewhere, tell of that themselves.
Nothing here imports a control system's library: a signal of one can only be in use when that is
loaded already, so that `sys.modules` knows it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from ._tango_watch import TangoWatch, device_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ServerWatch"]

# The module that ophyd-async has its client of PV Access in: a second one would connect anew.
_PVA: Final = "ophyd_async.epics.core._p4p"


class ServerWatch:
    """Tells when the server of a signal of EPICS or Tango goes, and when it is back.

    Of EPICS it is a subscription of its own on the channel that the signal has, to what seldom
    changes; of Tango, a question a second to the device. Signals of ophyd tell of it themselves,
    and so does one with a method ``watch_server(told)``, which returns what is to be closed. Of
    any other signal it tells nothing.

    Parameters
    ----------
    signal
        The signal.
    told
        Called where the signal's subscribers are: `True` when the server is back, `False` when it
        has gone.
    """

    def __init__(self, signal: Any, told: Callable[[bool], object]) -> None:
        self._signal = signal
        self._source, self._told = str(getattr(signal, "source", "")), told
        self._connected: bool | None = None  # not known yet; of where it is told
        self._meta: str | None = getattr(signal, "SUB_META", None)
        self._subscription: Any = None

    def start(self) -> None:
        """Begin, on the engine's loop."""
        if (watch := getattr(self._signal, "watch_server", None)) is not None:
            self._connected = True  # what it tells first counts, for it was there before
            self._subscription = watch(self._hears)
            return
        if self._meta is not None:
            self._connected = True
            self._signal.subscribe(self.meta_changed, event_type=self._meta)
            return
        protocol, _, name = self._source.partition("://")
        if protocol == "ca" and (aioca := sys.modules.get("aioca")) is not None:
            self._subscription = aioca.camonitor(
                name,
                lambda value: self._hears(bool(value.ok)),
                events=aioca.DBE_PROPERTY,  # which seldom change: the values are the signal's part
                count=1,
                notify_disconnect=True,
            )
        elif protocol == "pva" and (client := sys.modules.get(_PVA)) is not None:
            self._subscription = client.context().monitor(
                name, self._hears_pva, request="field(alarm)", notify_disconnect=True
            )
        elif "tango" in sys.modules and (device := device_of(self._source)) is not None:
            self._subscription = TangoWatch(device, self._hears)

    def stop(self) -> None:
        """End it, on the engine's loop."""
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None
        elif self._meta is not None:
            self._signal.clear_sub(self.meta_changed)

    def meta_changed(self, *_: Any, connected: bool | None = None, **__: Any) -> None:
        """Take what a signal of ophyd says of itself."""
        if connected is not None:
            self._hears(bool(connected))

    async def _hears_pva(self, value: Any) -> None:
        self._hears(not isinstance(value, Exception))

    def was_there(self) -> None:
        """Take note that the signal has told something: its server can be lost from now on."""
        if self._connected is None:
            self._connected = True

    def _hears(self, connected: bool) -> None:
        if self._connected is None and not connected:
            return  # not yet: it has to be there first, to be lost
        if connected is not self._connected:
            before, self._connected = self._connected, connected
            if before is not None:
                self._told(connected)
