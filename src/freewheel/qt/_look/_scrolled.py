"""A place that scrolls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFrame, QScrollArea

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

__all__ = ["scrolled"]


def scrolled(widget: QWidget, *, frame: bool = True) -> QScrollArea:
    """Return a place that scrolls to what has the keyboard, and does not take that for itself."""
    scroll = QScrollArea()
    scroll.setWidgetResizable(True)
    scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    if not frame:
        scroll.setFrameShape(QFrame.Shape.NoFrame)
    scroll.setWidget(widget)
    return scroll
