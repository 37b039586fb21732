"""A table for ``*args`` that come in groups: an input in each cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QHeaderView,
    QTableWidget,
    QVBoxLayout,
    QWidget,
)

from freewheel.qt._look._button_row import button_row
from freewheel.qt._look._inputs import wheel_needs_focus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from freewheel.forms import ParamDescription

__all__ = ["RowsTable"]

#: So many rows are in sight.
_ROWS: Final = 4


class RowsTable(QWidget):
    """Rows of inputs, with buttons that add one and remove the one that has the keyboard.

    Parameters
    ----------
    columns
        What is asked for in each.
    make
        Makes the input of one: the widget, what reads it, what writes it, and what is to be kept.

    Attributes
    ----------
    valueChanged : Signal()
        A value was changed, or there are other rows.
    """

    valueChanged = Signal()  # noqa: N815 - Qt's spelling

    def __init__(
        self,
        columns: Sequence[ParamDescription],
        make: Callable[[ParamDescription, Callable[[], None]], Any],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._columns, self._make = columns, make
        self._cells: list[list[Any]] = []
        self._table = QTableWidget(0, len(columns))
        self._table.setHorizontalHeaderLabels([column.label for column in columns])
        self._table.setAccessibleName(", ".join(column.label for column in columns))
        self._table.verticalHeader().hide()
        self._table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self._table.setSelectionMode(QTableWidget.SelectionMode.NoSelection)
        self._table.setTabKeyNavigation(False)  # from input to input, and on
        row, _ = button_row(
            "rows",
            (
                ("add", "Add", "Add a row", self.add_row),
                (
                    "remove",
                    "Remove",
                    "Remove the row of the input that was used last",
                    self.remove_row,
                ),
            ),
        )
        row.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._table)
        layout.addLayout(row)
        self.add_row()

    def value(self) -> list[list[Any]]:
        """Return what is in the cells, row by row."""
        return [[read() for _, read, _, _ in row] for row in self._cells]

    def set_value(self, rows: Sequence[Sequence[Any]] | None) -> None:
        """Show these rows and no others; one without values where there are none."""
        rows = [row for row in rows or () if isinstance(row, (list, tuple))]
        while len(self._cells) > max(1, len(rows)):
            self._remove(len(self._cells) - 1)
        while len(self._cells) < len(rows):
            self.add_row()
        for cells, values in zip(self._cells, rows, strict=False):
            for (_, _, write, _), value in zip(cells, values, strict=False):
                if value is not None:
                    write(value)
        self.valueChanged.emit()

    def add_row(self) -> None:
        """Add a row without values; of choices that begin with one, with one that no row has."""
        number = len(self._cells)
        self._table.insertRow(number)
        cells = [self._make(column, self.valueChanged.emit) for column in self._columns]
        self._cells.append(cells)
        for place, (column, made) in enumerate(zip(self._columns, cells, strict=True)):
            widget = made[0]
            widget.setAccessibleName(f"{column.label} of row {number + 1}")
            widget.setObjectName(f"{column.name}:{number + 1}")
            wheel_needs_focus(widget)
            self._table.setCellWidget(number, place, widget)
        self._choose_unused(number)
        self._fit()
        self.valueChanged.emit()

    def _choose_unused(self, number: int) -> None:
        _, read, write, _ = self._cells[number][0]
        used = [row[0][1]() for row in self._cells[:number]]
        if (begins_with := read()) is None or begins_with not in used:
            return
        free = [each for each in self._columns[0].choices or () if each not in used]
        if free:
            write(free[0])

    def remove_row(self) -> None:
        """Remove the row of the input that was used last, or the last row; one stays."""
        if len(self._cells) > 1:
            used = self._table.currentRow()
            self._remove(used if used >= 0 else len(self._cells) - 1)
            self.valueChanged.emit()

    def _remove(self, number: int) -> None:
        del self._cells[number]
        self._table.removeRow(number)
        self._fit()

    def _fit(self) -> None:
        self._table.resizeRowsToContents()
        shown = range(min(_ROWS, self._table.rowCount()))
        heights = sum(self._table.rowHeight(row) for row in shown)
        self._table.setFixedHeight(self._table.horizontalHeader().sizeHint().height() + heights + 4)
