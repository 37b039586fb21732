"""Telling of changes that the core announces, whoever made them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, final

from psygnal import SignalInstance

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from pymmcore_plus import CMMCorePlus

__all__ = ["Changes"]


@final
class Changes:
    """Hands on what the core announces to those who watch it.

    What is watched is named by a key: ``("property", device, name)``, ``("position", device)``,
    ``("xy", device)``, ``("exposure", device)``, ``("roi", device)``, ``("shutter", device)``,
    ``("auto_shutter",)``, ``("pixel_size",)``.

    Watchers are called on the thread that announces: the core's own, or that of whoever made
    the change. They must return at once.

    Parameters
    ----------
    core : CMMCorePlus
        The core.
    """

    def __init__(self, core: CMMCorePlus) -> None:
        # Guards _connected, and _watchers, whose tuples are never changed.
        self._lock = threading.Lock()
        self._watchers: dict[Hashable, tuple[Callable[[Any], None], ...]] = {}
        events = core.events
        self._connected: list[tuple[Any, Callable[..., None]]] = [
            (events.propertyChanged, self._property_changed),
            (events.stagePositionChanged, self._position_changed),
            (events.XYStagePositionChanged, self._xy_changed),
            (events.exposureChanged, self._exposure_changed),
            (events.roiSet, self._roi_changed),
            (events.shutterOpenChanged, self._shutter_changed),
            (events.autoShutterSet, self._auto_shutter_changed),
            (events.pixelSizeChanged, self._pixel_size_changed),
            (events.pixelSizeAffineChanged, self._pixel_size_changed),
        ]
        for signal, slot in self._connected:
            _connect(signal, slot)

    def disconnect(self) -> None:
        """Hand on nothing any more. From any thread."""
        with self._lock:
            connected, self._connected = self._connected, []
        for signal, slot in connected:
            signal.disconnect(slot)

    def watch(self, key: Hashable, watcher: Callable[[Any], None]) -> None:
        """Have a function called with each new value. From any thread."""
        with self._lock:
            self._watchers[key] = (*self._watchers.get(key, ()), watcher)

    def forget(self, key: Hashable, watcher: Callable[[Any], None]) -> None:
        """Call a function no more. From any thread."""
        with self._lock:
            self._watchers[key] = tuple(
                other for other in self._watchers.get(key, ()) if other != watcher
            )

    def tell(self, key: Hashable, value: Any) -> None:
        """Tell the watchers of a key. From any thread."""
        for watcher in self._watchers.get(key, ()):
            watcher(value)

    def _property_changed(self, device: str, name: str, value: str) -> None:
        self.tell(("property", device, name), value)

    def _position_changed(self, device: str, position: float) -> None:
        self.tell(("position", device), position)

    def _xy_changed(self, device: str, x: float, y: float) -> None:
        self.tell(("xy", device), (x, y))

    def _exposure_changed(self, device: str, exposure: float) -> None:
        self.tell(("exposure", device), exposure)

    def _roi_changed(self, device: str, x: int, y: int, width: int, height: int) -> None:
        self.tell(("roi", device), (x, y, width, height))

    def _shutter_changed(self, device: str, is_open: bool) -> None:
        self.tell(("shutter", device), is_open)

    def _auto_shutter_changed(self, automatic: bool) -> None:
        self.tell(("auto_shutter",), automatic)

    def _pixel_size_changed(self, *figures: float) -> None:
        self.tell(("pixel_size",), figures)


def _connect(signal: Any, slot: Callable[..., None]) -> None:
    if isinstance(signal, SignalInstance):
        signal.connect(slot)
        return
    # A core that was made when a Qt application was there has Qt's signals. Those would queue
    # the call for the thread that connects, which need not run an event loop of Qt's.
    from qtpy.QtCore import Qt

    signal.connect(slot, Qt.ConnectionType.DirectConnection)
