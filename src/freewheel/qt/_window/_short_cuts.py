"""The page that lists a window's short cuts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtGui import QAction, QKeySequence, QShortcut
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
)

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

__all__ = ["short_cuts_of", "show_short_cuts"]

# What Qt's own inputs do, which nobody sees in a menu.
_EVERYWHERE = (
    ("Go to the next input, or the one before", "Tab, Shift+Tab"),
    ("Press the button, tick the box", "Space"),
    ("Set what is filled in, for a device", "Return"),
    ("Add to, or take from, the number", "Up, Down"),
)


def short_cuts_of(window: QWidget) -> list[tuple[str, str]]:
    """Return what can be done with the keyboard in a window, with its keys."""
    native = QKeySequence.SequenceFormat.NativeText
    found = {}
    for action in window.findChildren(QAction):
        if keys := ", ".join(key.toString(native) for key in action.shortcuts()):
            found[action.text().replace("&", "")] = keys
    for short_cut in window.findChildren(QShortcut):
        if what := short_cut.whatsThis():
            found.setdefault(what, short_cut.key().toString(native))
    return [*found.items(), *_EVERYWHERE]


def show_short_cuts(window: QWidget) -> None:
    """Show the page; the window can be used meanwhile."""
    page = window.findChild(QDialog, "shortCuts")
    if page is not None:
        page.raise_()
        page.activateWindow()
        return
    rows = short_cuts_of(window)
    page = QDialog(window)
    page.setObjectName("shortCuts")
    page.setWindowTitle("Short cuts")
    table = QTableWidget(len(rows), 2)
    table.setAccessibleName("Short cuts")
    table.setHorizontalHeaderLabels(["What", "Keys"])
    table.verticalHeader().hide()
    table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
    table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
    for row, texts in enumerate(rows):
        for column, text in enumerate(texts):
            table.setItem(row, column, QTableWidgetItem(text))
    table.resizeColumnToContents(1)
    buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
    buttons.rejected.connect(page.reject)
    layout = QVBoxLayout(page)
    layout.addWidget(table)
    layout.addWidget(buttons)
    page.finished.connect(page.deleteLater)
    page.resize(520, 560)
    page.show()
