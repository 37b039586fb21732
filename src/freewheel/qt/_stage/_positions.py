"""Places of a stage that were saved, with names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtGui import QPalette
from qtpy.QtWidgets import (
    QListWidget,
    QListWidgetItem,
    QStyle,
    QStyledItemDelegate,
    QVBoxLayout,
    QWidget,
)

from freewheel.qt._look._button_row import add_keys, allow, button_row
from freewheel.qt._look._slots import slot

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PositionList"]

_PLACE: Final = Qt.ItemDataRole.UserRole
_NAME: Final = Qt.ItemDataRole.UserRole + 1
_WORDS: Final = Qt.ItemDataRole.UserRole + 2  # where it is, in words
_GAP: Final = 16  # between a name and where it is [pixels]


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
        self._axes: dict[str, tuple[str, str]] = {}  # by name, what it is called here, and its unit
        self._list = QListWidget()
        self._list.setItemDelegate(_PlaceBeside(self._list))
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
        self._list.currentItemChanged.connect(self._look)
        self._look()

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
        self._look()
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
        self._look()
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
            self._look()
            self.changed.emit()

    def _add(self, name: str, place: Mapping[str, float]) -> QListWidgetItem:
        item = QListWidgetItem(name)
        item.setData(_PLACE, dict(place))
        item.setData(_NAME, name)
        self._say_place(item)
        item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
        self._list.addItem(item)
        return item

    def show_axes(self, axes: Mapping[str, tuple[str, str]]) -> None:
        """Write places with what axes are called here, and with their units, by axis name."""
        if axes == self._axes:
            return
        self._axes = dict(axes)
        with QSignalBlocker(self._list):
            for row in range(self._list.count()):
                self._say_place(self._list.item(row))
        self._list.viewport().update()

    def _say_place(self, item: QListWidgetItem) -> None:
        name, words = item.data(_NAME), place_text(item.data(_PLACE), self._axes)
        item.setData(_WORDS, words)
        item.setData(Qt.ItemDataRole.AccessibleDescriptionRole, words)
        item.setToolTip(f"{name}: {words}")

    def _look(self, *_: Any) -> None:
        """Let nothing be pressed that does nothing."""
        is_chosen = self._list.currentItem() is not None
        why = "no position is chosen" if self._list.count() else "no position is saved"
        allow((self.buttons["go"], self.buttons["delete"]), "" if is_chosen else why)

    def _renamed(self, item: QListWidgetItem) -> None:
        before, name = str(item.data(_NAME)), item.text().strip()
        items = (self._list.item(row) for row in range(self._list.count()))
        others = {str(other.data(_NAME)) for other in items} - {before}
        with QSignalBlocker(self._list):
            # Two of one name could not be told apart.
            new = name if name and name not in others else before
            item.setText(new)
            item.setData(_NAME, new)
            self._say_place(item)
        self.changed.emit()


class _PlaceBeside(QStyledItemDelegate):
    """Writes beside a position's name where it is, if there is room."""

    def paint(self, painter: Any, option: Any, index: Any) -> None:
        """Draw a row."""
        super().paint(painter, option, index)
        name = option.fontMetrics.horizontalAdvance(str(index.data() or ""))
        room = option.rect.adjusted(name + _GAP, 0, -_GAP // 2, 0)
        words = str(index.data(_WORDS) or "")
        text = option.fontMetrics.elidedText(words, Qt.TextElideMode.ElideRight, room.width())
        if room.width() < _GAP or not text:
            return
        is_chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        role = (
            QPalette.ColorRole.HighlightedText if is_chosen else QPalette.ColorRole.PlaceholderText
        )
        painter.save()
        painter.setPen(option.palette.color(role))
        painter.drawText(room, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, text)
        painter.restore()


def place_text(
    place: Mapping[str, float], axes: Mapping[str, tuple[str, str]] | None = None
) -> str:
    """Return a place as a person would write it: ``"x 3, y 0 um"``.

    Parameters
    ----------
    place : mapping
        Numbers by axis name.
    axes : mapping, optional
        By axis name, what to call it, and its unit; these come first, in their order.
    """
    known = axes or {}
    names = [*(name for name in known if name in place), *(n for n in place if n not in known)]
    found = [(*known.get(name, (name, "")), place[name]) for name in names]
    words = [f"{name} {value:.6g}" for name, _, value in found]
    units = [unit for _, unit, _ in found]
    if len(set(units)) == 1:
        return f"{', '.join(words)} {units[0]}".rstrip()
    return ", ".join(f"{word} {unit}".rstrip() for word, unit in zip(words, units, strict=True))
