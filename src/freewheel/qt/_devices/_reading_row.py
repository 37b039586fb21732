"""What a device reads that nobody can set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from freewheel.qt._devices._row import DeviceRow

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from freewheel.qt._link._bridge import EngineBridge

__all__ = ["ReadingRow"]


class ReadingRow(DeviceRow):
    """What a signal reads that cannot be set, such as a temperature.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    signal
        A signal that can be read.
    name
        What to call it; by default its own name.
    """

    def __init__(
        self,
        bridge: EngineBridge,
        signal: Any,
        name: str | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(bridge, signal, name or signal.name, parent)
        self._subscribe(signal)
