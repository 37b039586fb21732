"""Widgets that are off while there is no line to the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from freewheel.qt._link._bridge import EngineBridge

__all__ = ["only_with_line"]


def only_with_line(widget: QWidget, bridge: EngineBridge) -> None:
    """Have a widget off while there is no line: what it would ask for reaches nobody.

    What is inside of it keeps its own state, and has it again with the line.
    """
    bridge.lineChanged.connect(widget.setEnabled)
    widget.setEnabled(bridge.connected)
