"""Tells when the pixels of a camera have another size, as after a change of objective."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from freewheel.core._crossings import call_soon, run_soon
from freewheel.qt._link._feed import Feed
from freewheel.qt._link._signal_watch import SignalWatch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from freewheel.qt._link._bridge import EngineBridge

__all__ = ["PixelSizes"]


class PixelSizes(QObject):
    """Follows the signals ``pixel_size`` of cameras that have one, such as Micro-Manager's.

    A run says in its beginning how large they are: one that goes on then says it wrongly.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    parent
        The QObject that owns this one.

    Attributes
    ----------
    changed : Signal(object)
        The pixels of a camera, which comes with it, have another size.
    """

    changed = Signal(object)

    def __init__(self, bridge: EngineBridge, parent: QObject) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._followed: dict[int, _Followed] = {}  # by the camera's id

    def follow(self, cameras: Iterable[Any]) -> None:
        """Follow these cameras, too."""
        for camera in cameras:
            signal = getattr(camera, "pixel_size", None)
            if signal is not None and id(camera) not in self._followed:
                self._followed[id(camera)] = _Followed(self._bridge, camera, signal, self)


class _Followed(QObject):
    """One camera."""

    def __init__(self, bridge: EngineBridge, camera: Any, signal: Any, parent: PixelSizes) -> None:
        super().__init__(parent)
        self._camera, self._parent = camera, weakref.ref(parent)
        self._size: Any = None  # not told yet
        self._feed = Feed(self._receive)
        watch, loop = SignalWatch(signal, self._feed), bridge.engine.loop
        weakref.finalize(self, call_soon, loop, watch.stop).atexit = False
        feed = self._feed

        async def begin() -> None:
            try:
                await watch.start()
            except Exception as error:  # whatever the device raised: its size is not known then
                feed.put("failed", error)

        run_soon(loop, begin())

    def _receive(self, kind: str, arguments: tuple[Any, ...]) -> None:
        if kind != "reading":
            return
        before, self._size = self._size, arguments[0]
        parent = self._parent()
        if before not in (None, self._size) and parent is not None:
            parent.changed.emit(self._camera)
