"""The tabs of docks that are behind each other, of which Qt 6.11 leaves old ones on the window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QTabBar

if TYPE_CHECKING:
    from qtpy.QtWidgets import QMainWindow

__all__ = ["hide_old_tabs", "restore_docks"]


def hide_old_tabs(window: QMainWindow) -> None:
    """Hide tabs that stand for docks which newer ones stand for; they lie over what is there.

    Qt makes new ones when docks are put behind each other, and when their places are restored.
    """
    shown: set[str] = set()
    children = Qt.FindChildOption.FindDirectChildrenOnly
    for bar in reversed(window.findChildren(QTabBar, options=children)):
        titles = {str(bar.tabText(tab)) for tab in range(bar.count())}
        if not bar.isHidden():
            bar.setVisible(not titles & shown)
            shown |= titles


def restore_docks(window: QMainWindow, state: Any) -> None:
    """Have docks where they were when ``saveState`` was asked."""
    window.restoreState(state)
    hide_old_tabs(window)
