"""Asks which settings to save as a preset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
)

from freewheel.qt._link._bridge import value_text
from freewheel.qt._look._questions import keep_stop_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from qtpy.QtWidgets import QWidget

__all__ = ["choose_settings"]

_ROW = Qt.ItemDataRole.UserRole


def choose_settings(
    parent: QWidget,
    name: str,
    readings: Mapping[str, Any],
    chosen: Iterable[str],
    save: Callable[[str, list[str]], object],
) -> None:
    """Ask for a name and for settings; the window can be used meanwhile.

    Parameters
    ----------
    parent
        What it is a part of.
    name
        The name that is filled in.
    readings
        What can be saved, as it is now.
    chosen
        What is ticked at first.
    save
        Called with the name and what was ticked.
    """
    dialog = QDialog(parent)
    dialog.setObjectName("presetDialog")
    dialog.setWindowTitle("Save a preset")
    title = QLineEdit(name)
    title.setAccessibleName("Name of the preset")
    ticked = set(chosen)
    rows = QListWidget()
    rows.setAccessibleName("Settings to save")
    for row, value in readings.items():
        item = QListWidgetItem(f"{row} = {value_text(value)}")
        item.setData(_ROW, row)
        item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
        item.setCheckState(Qt.CheckState.Checked if row in ticked else Qt.CheckState.Unchecked)
        rows.addItem(item)
    buttons = QDialogButtonBox(
        QDialogButtonBox.StandardButton.Save | QDialogButtonBox.StandardButton.Cancel
    )
    layout = QFormLayout(dialog)
    layout.addRow("Name", title)
    layout.addRow(rows)
    layout.addRow(buttons)

    def wanted() -> list[str]:
        items = [rows.item(place) for place in range(rows.count())]
        return [str(i.data(_ROW)) for i in items if i.checkState() == Qt.CheckState.Checked]

    def look(*_: Any) -> None:
        enough = bool(title.text().strip()) and bool(wanted())
        buttons.button(QDialogButtonBox.StandardButton.Save).setEnabled(enough)

    def done() -> None:
        save(title.text().strip(), wanted())
        dialog.accept()

    title.textChanged.connect(look)
    rows.itemChanged.connect(look)
    buttons.accepted.connect(done)
    buttons.rejected.connect(dialog.reject)
    dialog.finished.connect(dialog.deleteLater)
    look()
    keep_stop_all(dialog, parent)
    dialog.setModal(False)
    dialog.resize(360, 420)
    dialog.show()
