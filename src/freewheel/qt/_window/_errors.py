"""A list of what went wrong, with the details on a click."""

from __future__ import annotations

import time
import traceback
from typing import TYPE_CHECKING, Final

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QPlainTextEdit,
    QPushButton,
    QSplitter,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from freewheel.core._errors import typed_text_of
from freewheel.qt._link._failures import Failures, device_of

if TYPE_CHECKING:
    from freewheel.qt._link._bridge import EngineBridge

__all__ = ["ErrorList"]

_LIMIT: Final = 1000
_COLUMNS: Final = ("Time", "What", "Device", "Text")
_DETAILS: Final = Qt.ItemDataRole.UserRole


class ErrorList(QWidget):
    """Plans and tasks that failed, and what a person asked for in vain: the newest first.

    A row says when, what, with which device, and why; the traceback is shown for the row that is
    chosen.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    parent
        The widget's parent.

    Attributes
    ----------
    countChanged : Signal(int)
        How many there are now.
    """

    countChanged = Signal(int)  # noqa: N815 - Qt's spelling

    def __init__(self, bridge: EngineBridge, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._list = QTreeWidget()
        self._list.setObjectName("errors")
        self._list.setAccessibleName("Errors")
        self._list.setHeaderLabels(_COLUMNS)
        self._list.setRootIsDecorated(False)
        self._list.setUniformRowHeights(True)
        self._list.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        header = self._list.header()
        for column in range(3):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        self._list.itemSelectionChanged.connect(self._show_details)
        self._details = QPlainTextEdit()
        self._details.setObjectName("details")
        self._details.setAccessibleName("Details of the error that is chosen")
        self._details.setReadOnly(True)
        self._details.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self._details.hide()
        parts = QSplitter(Qt.Orientation.Vertical)
        parts.addWidget(self._list)
        parts.addWidget(self._details)
        row = QHBoxLayout()
        row.addStretch(1)
        for text, name, act in (("Copy", "copy", self.copy), ("Clear", "clear", self.clear)):
            button = QPushButton(text)
            button.setObjectName(name)
            button.clicked.connect(act)
            row.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(parts, 1)
        layout.addLayout(row)
        Failures(bridge, self).failed.connect(self.add)

    @property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """What is listed: time, what, device and text of each."""
        items = [self._list.topLevelItem(row) for row in range(self._list.topLevelItemCount())]
        return tuple(
            tuple(item.text(column) for column in range(len(_COLUMNS)))
            for item in items
            if item is not None
        )

    @property
    def details(self) -> str:
        """What is shown of the row that is chosen; empty if none is."""
        return str(self._details.toPlainText())

    def add(self, what: str, error: BaseException, device: str = "") -> None:
        """List an error.

        Parameters
        ----------
        what
            What went wrong, in a few words.
        error
            Why.
        device
            With which device; by default the one that the exception names, if it names one.
        """
        text = typed_text_of(error)
        first = text.splitlines()[0]
        item = QTreeWidgetItem([time.strftime("%H:%M:%S"), what, device or device_of(error), first])
        details = text if error.__traceback__ is None else _traceback_of(error)
        item.setData(0, _DETAILS, f"{what}\n{details}")
        item.setToolTip(3, text)
        self._list.insertTopLevelItem(0, item)
        while self._list.topLevelItemCount() > _LIMIT:
            self._list.takeTopLevelItem(_LIMIT)
        self.countChanged.emit(self._list.topLevelItemCount())

    def clear(self, *_: object) -> None:
        """Forget all of them."""
        self._list.clear()
        self.countChanged.emit(0)

    def copy(self, *_: object) -> None:
        """Put those that are chosen, or all, with their details on the clipboard."""
        chosen = self._list.selectedItems()
        if not chosen:
            every = range(self._list.topLevelItemCount())
            chosen = [item for row in every if (item := self._list.topLevelItem(row)) is not None]
        lines = [f"{item.text(0)}  {item.data(0, _DETAILS)}" for item in chosen]
        QGuiApplication.clipboard().setText("\n\n".join(lines))

    def _show_details(self) -> None:
        chosen = self._list.selectedItems()
        self._details.setPlainText("\n\n".join(str(item.data(0, _DETAILS)) for item in chosen))
        self._details.setVisible(bool(chosen))


def _traceback_of(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)).rstrip()
