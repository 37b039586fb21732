"""Every device that plans and people have touched: what the red button stops."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any, Protocol, final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Touched"]


class _Core(Protocol):
    """One engine, of the user or of a task."""

    def devices_in_use(self) -> list[Any]:
        """Return what its plan moves, has moved or has staged; from any thread."""
        ...


@final
class Touched:
    """The devices of a household that something was done to. Any thread may call."""

    def __init__(self) -> None:
        # Guards both; nothing is called with it held but the equality of devices.
        self._lock = threading.Lock()
        self._cores: weakref.WeakSet[Any] = weakref.WeakSet()
        self._past: dict[int, weakref.ref[Any]] = {}  # by the ids of the devices

    def add_engine(self, core: _Core) -> None:
        """Ask an engine, from now on, which devices its plan uses."""
        with self._lock:
            self._cores.add(core)

    def add(self, devices: Iterable[Any]) -> None:
        """Remember devices for as long as they exist: what has used them may be forgotten."""
        with self._lock:
            for device in devices:
                known = self._past.get(id(device))
                if known is not None and known() is device:
                    continue
                try:
                    self._past[id(device)] = weakref.ref(device)
                except TypeError:
                    self._past[id(device)] = lambda device=device: device  # type: ignore[assignment]

    def devices(self, more: Iterable[Any] = ()) -> list[Any]:
        """Return them all, and ``more``, each once."""
        with self._lock:
            cores = list(self._cores)
            gone = [key for key, ref in self._past.items() if ref() is None]
            for key in gone:
                del self._past[key]
            past = [device for ref in self._past.values() if (device := ref()) is not None]
        used = [device for core in cores for device in core.devices_in_use()]
        return list({id(device): device for device in (*used, *more, *past)}.values())
