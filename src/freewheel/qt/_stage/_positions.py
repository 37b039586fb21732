"""Places of a stage that were saved, with names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from freewheel.qt._look._button_row import add_keys, button_row
from freewheel.qt._look._slots import slot

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PositionList"]

_PLACE: Final = Qt.ItemDataRole.UserRole
_NAME: Final = Qt.ItemDataRole.UserRole + 1


class PositionList(QWidget):
    """The saved positions: a double click, or Return, goes to one; F2 gives it another name.

    Attributes
    ----------
    wanted : Signal(object)
        Where to go: axis names and numbers.
    saving, returning : Signal()
        The present place is to be saved; the stage is to go back to where it was.
    changed : Signal()
        There are other positions, or other names.
    """

    wanted = Signal(object)
    saving = Signal()
    returning = Signal()
    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._list = QListWidget()
        self._list.setObjectName("positions")
        self._list.setAccessibleName("Saved positions")
        self._list.setToolTip("Double click, or Return, to go there; F2 to rename")
        self._list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self._list.setEditTriggers(QListWidget.EditTrigger.EditKeyPressed)
        self._list.itemDoubleClicked.connect(slot(self.go))
        self._list.itemChanged.connect(self._renamed)
        add_keys(
            self._list,
            (
                ("Return", "Go to the position that is chosen", self.go),
                ("Delete", "Delete the position that is chosen", self.delete),
            ),
        )
        row, self.buttons = button_row(
            "position",
            (
                ("add", "Save", "Save where the stage is now", self.saving.emit),
                ("go", "Go", "Go to the position that is chosen", self.go),
                ("back", "Back", "Go back to where the stage was before", self.returning.emit),
                ("delete", "Delete", "Forget the position that is chosen", self.delete),
            ),
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._list)
        layout.addLayout(row)

    @property
    def positions(self) -> dict[str, dict[str, float]]:
        """Where each is: numbers by axis name, by the position's name, in the order of the list."""
        items = [self._list.item(row) for row in range(self._list.count())]
        return {item.text(): dict(item.data(_PLACE)) for item in items}

    def show_positions(self, positions: Mapping[str, Mapping[str, float]]) -> None:
        """Show these and no others."""
        with QSignalBlocker(self._list):
            self._list.clear()
            for name, place in positions.items():
                self._add(name, place)
        self.changed.emit()

    def add(self, place: Mapping[str, float], name: str = "") -> str:
        """Add a position, and return its name; one of the same name is replaced."""
        taken = self.positions
        name = name or next(n for i in range(1, 10**6) if (n := f"Position {i}") not in taken)
        with QSignalBlocker(self._list):
            for row, other in enumerate(taken):
                if other == name:
                    self._list.takeItem(row)
                    break
            self._list.setCurrentItem(self._add(name, place))
        self.changed.emit()
        return name

    def choose(self, name: str) -> None:
        """Choose a position by its name."""
        for item in self._list.findItems(name, Qt.MatchFlag.MatchExactly):
            self._list.setCurrentItem(item)

    def go(self) -> None:
        """Ask to go to the position that is chosen."""
        if (item := self._list.currentItem()) is not None:
            self.wanted.emit(dict(item.data(_PLACE)))

    def delete(self) -> None:
        """Forget the position that is chosen."""
        if self._list.currentRow() >= 0:
            self._list.takeItem(self._list.currentRow())
            self.changed.emit()

    def _add(self, name: str, place: Mapping[str, float]) -> QListWidgetItem:
        item = QListWidgetItem(name)
        item.setData(_PLACE, dict(place))
        item.setData(_NAME, name)
        item.setToolTip(f"{name}: {place_text(place)}")
        item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
        self._list.addItem(item)
        return item

    def _renamed(self, item: QListWidgetItem) -> None:
        before, name = str(item.data(_NAME)), item.text().strip()
        items = (self._list.item(row) for row in range(self._list.count()))
        others = {str(other.data(_NAME)) for other in items} - {before}
        with QSignalBlocker(self._list):
            # Two of one name could not be told apart.
            new = name if name and name not in others else before
            item.setText(new)
            item.setData(_NAME, new)
            item.setToolTip(f"{new}: {place_text(item.data(_PLACE))}")
        self.changed.emit()


def place_text(place: Mapping[str, Any]) -> str:
    """Return a place as a person would write it."""
    return ", ".join(f"{name} {value:g}" for name, value in place.items())
