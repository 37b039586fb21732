"""Whether the server of a Tango device is there, asked once a second for all of its signals.

Tango has no subscription that tells of that by itself: events come from the server, and a client
finds out after ten seconds that they no longer do; attributes without events are read by turns.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import weakref
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TangoWatch", "device_of"]

_PERIOD: Final = 1.0  # seconds between two questions
#: A server that hangs is as good as gone: an answer may take so long [ms].
_PATIENCE: Final = 1000


def device_of(source: str) -> str | None:
    """Return the name of the Tango device that has an attribute; ``None`` if it is of another kind.

    Parameters
    ----------
    source : str
        As ophyd-async has it: ``tango://host:port/domain/family/member/attribute#dbase=no``, where
        all that is around the four names may be left out.
    """
    scheme, separator, rest = source.rpartition("://")
    if separator and scheme != "tango":
        return None
    path, mark, option = rest.partition("#")
    device, slash, attribute = path.rpartition("/")
    if not slash or not attribute or device.count("/") < 2:
        return None
    return f"{scheme}{separator}{device}{mark}{option}"


class TangoWatch:
    """Tells whether a device's server answers; on a loop, as all of this module.

    Parameters
    ----------
    device : str
        The device, by its full name.
    told : callable
        Called with each answer: whether the server is there.
    """

    def __init__(self, device: str, told: Callable[[bool], object]) -> None:
        self._told = told
        known = _rounds.setdefault(asyncio.get_running_loop(), {})
        self._rounds = known
        self._round = known.get(device) or _Round(device)
        known[device] = self._round
        self._round.add(told)

    def close(self) -> None:
        """Hear no more of it."""
        if self._round.remove(self._told) and self._rounds.get(self._round.device) is self._round:
            del self._rounds[self._round.device]


class _Round:
    """Asks one device, for as long as somebody wants to know."""

    def __init__(self, device: str) -> None:
        self.device = device
        self._told: list[Callable[[bool], object]] = []
        self._task: asyncio.Task[None] | None = None

    def add(self, told: Callable[[bool], object]) -> None:
        self._told.append(told)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._ask_on())

    def remove(self, told: Callable[[bool], object]) -> bool:
        """Return whether that was the last one."""
        with contextlib.suppress(ValueError):
            self._told.remove(told)
        if not self._told and self._task is not None:
            self._task.cancel()
            self._task = None
        return not self._told

    async def _ask_on(self) -> None:
        proxy = _Proxy(self.device)
        while True:
            # On a thread: it waits for the network, and for a server that hangs.
            there = await asyncio.to_thread(proxy.answers)
            for told in list(self._told):
                told(there)
            await asyncio.sleep(_PERIOD)


class _Proxy:
    """A connection of its own to a device, so that no signal's waits for these questions."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._proxy: Any = None

    def answers(self) -> bool:
        """Ask the server; on any thread, one at a time."""
        tango = sys.modules["tango"]
        try:
            if self._proxy is None:
                proxy = tango.DeviceProxy(self._device)
                proxy.set_timeout_millis(_PATIENCE)
                self._proxy = proxy
            self._proxy.ping()
        except tango.DevFailed:
            return False
        return True


#: By loop and name of the device: all signals of one, in all windows, ask once.
_rounds: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _Round]] = (
    weakref.WeakKeyDictionary()
)
