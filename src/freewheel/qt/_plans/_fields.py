"""One input for each kind of parameter.

A field holds whatever was typed, right or wrong: judging it is `freewheel.forms`' part, and the
form marks the field where it was typed.
"""

from __future__ import annotations

import datetime
import enum
from typing import TYPE_CHECKING, Any

from magicgui import widgets as mg
from qtpy.QtCore import QEvent, Qt, Signal
from qtpy.QtWidgets import (
    QApplication,
    QCheckBox,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from freewheel.forms import FieldType, ParamDescription
from freewheel.qt._look._inputs import CheckList, ChoiceBox, NumberField, wheel_needs_focus
from freewheel.qt._look._slots import slot
from freewheel.qt._look._tones import INPUT_SHEET, TABLE_SHEET, Tone, tint
from freewheel.qt._plans._rows_table import RowsTable

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Field", "input_for"]


class Field(QWidget):
    """The input of one parameter, with a place below it for what is wrong with the value.

    Parameters
    ----------
    parameter
        What is asked for.

    Attributes
    ----------
    changed : Signal()
        The user, or the program, has changed the value.
    left : Signal()
        The keyboard has gone elsewhere.
    editor : QWidget
        The input itself.
    """

    changed = Signal()
    left = Signal()

    def __init__(self, parameter: ParamDescription, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.parameter = parameter
        # Made by a function of its kind: what to show, how to read it, how to write it. `_keep`
        # holds what Python must not drop, such as magicgui's half of a widget.
        self.editor, self._read, self._write, self._keep = input_for(parameter, self.changed.emit)
        self.editor.setObjectName(parameter.name)
        self.editor.setAccessibleName(parameter.label)
        wheel_needs_focus(self.editor)
        self.was_left = False
        for part in (self.editor, *self.editor.findChildren(QWidget)):
            part.installEventFilter(self)
        self._given = QCheckBox()
        self._given.setToolTip("Tick to give a value; otherwise there is none")
        self._given.setVisible(parameter.optional)
        self._given.setChecked(True)
        self._given.toggled.connect(self._toggle)
        self._problem = QLabel()
        self._problem.setObjectName(f"{parameter.name}:problem")
        tint(self._problem, Tone.ERROR)
        self._problem.setWordWrap(True)
        self._problem.hide()
        line = QHBoxLayout()
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(self._given)
        line.addWidget(self.editor, 1)
        if parameter.unit:
            line.addWidget(QLabel(parameter.unit))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(1)
        layout.addLayout(line)
        layout.addWidget(self._problem)
        # Room that the form has to spare belongs below its rows, not inside them.
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Maximum)
        if parameter.docs:
            self.setToolTip(parameter.docs)
        if parameter.has_default:
            self.set_value(parameter.default)

    def value(self) -> Any:
        """Return what was typed or chosen; `None` if there is to be no value."""
        if self.parameter.optional and not self._given.isChecked():
            return None
        return self._read()

    def set_value(self, value: Any) -> None:
        """Show a value."""
        self._given.setChecked(value is not None or not self.parameter.optional)
        if value is not None:
            self._write(value)

    def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802 - Qt's spelling
        """Note that the keyboard leaves the field, but for a list that pops up."""
        if (
            event.type() == QEvent.Type.FocusOut
            and event.reason() != Qt.FocusReason.PopupFocusReason
            # A list of choices takes the keyboard once more, for another reason.
            and QApplication.activePopupWidget() is None
            and not self._has_keyboard()  # in another cell, say
        ):
            self.was_left = True
            self.left.emit()
        return bool(super().eventFilter(watched, event))

    @property
    def is_empty(self) -> bool:
        """Whether nothing was typed or chosen."""
        return _is_nothing(self.value())

    def mark(self, problem: str) -> None:
        """Say what is wrong with the value; nothing if the text is empty."""
        self._problem.setText(problem)
        self._problem.setVisible(bool(problem))
        # A dynamic property, so that the editor's own looks stay for the rest.
        sheet = TABLE_SHEET if isinstance(self.editor, RowsTable) else INPUT_SHEET
        tint(self.editor, Tone.ERROR if problem else None, sheet)

    @property
    def problem(self) -> str:
        """What is said to be wrong with the value."""
        return str(self._problem.text())

    def _has_keyboard(self) -> bool:
        now = QApplication.focusWidget()
        return now is not None and bool(self.isAncestorOf(now))

    def _toggle(self, given: bool) -> None:
        self.editor.setEnabled(given)
        self.changed.emit()


def _is_nothing(value: Any) -> bool:
    """Tell whether nothing was typed or chosen; in a table, in none of its cells."""
    if isinstance(value, list):
        return all(map(_is_nothing, value))
    return value is None or value == ""


_Made = tuple[QWidget, "Callable[[], Any]", "Callable[[Any], None]", Any]


def input_for(parameter: ParamDescription, changed: Callable[[], None]) -> _Made:
    """Make the input of a parameter, with functions that read and write it."""
    if parameter.field is FieldType.ROWS:
        table = RowsTable(parameter.columns, input_for)
        table.valueChanged.connect(changed)
        return table, table.value, table.set_value, None
    if parameter.multiselect:
        ticks = CheckList(parameter.choices or ())
        ticks.valueChanged.connect(changed)
        return ticks, ticks.value, lambda value: ticks.set_value(_names(value)), None
    if parameter.choices is not None:
        return _make_choice(parameter, changed)
    if parameter.field in (FieldType.INTEGER, FieldType.NUMBER, FieldType.DURATION):
        return _make_number(parameter, changed)
    if parameter.field is FieldType.LIST:
        return _from_magicgui(mg.LineEdit(), changed, read=_split, write=_join)
    if parameter.field is FieldType.QUANTITY:
        return _from_magicgui(mg.LineEdit(), changed, write=_quantity_text)
    if parameter.field is FieldType.BOOLEAN:
        return _from_magicgui(mg.CheckBox(text=""), changed)
    if parameter.field is FieldType.PATH:
        edit = mg.FileEdit(mode="w")
        # An empty line is no path, and not the folder that the program runs in.
        return _from_magicgui(
            edit, changed, read=lambda path: path if edit.line_edit.value else None
        )
    if parameter.field is FieldType.DATE:
        return _from_magicgui(mg.DateEdit(value=datetime.date.today()), changed)
    if parameter.field is FieldType.TIME:
        return _from_magicgui(mg.TimeEdit(value=datetime.time()), changed)
    if parameter.field is FieldType.DATETIME:
        now = datetime.datetime.now().replace(microsecond=0)
        return _from_magicgui(mg.DateTimeEdit(value=now), changed)
    return _from_magicgui(mg.LineEdit(), changed)


def _make_choice(parameter: ParamDescription, changed: Callable[[], None]) -> _Made:
    names = parameter.device_proto is not None
    box = ChoiceBox(parameter.choices or (), "choose a device" if names else "choose")
    if names:
        box.set_value(None)  # the first that fits may be any: whoever fills in the form knows
    box.currentIndexChanged.connect(slot(changed))

    def write(value: Any) -> None:
        box.set_value(_names([value])[0] if names else value)

    return box, box.value, write, None


def _make_number(parameter: ParamDescription, changed: Callable[[], None]) -> _Made:
    b = parameter.bounds
    number = NumberField(
        integer=parameter.field is FieldType.INTEGER,
        step=b.step,
        minimum=None if b.exclusive_minimum else b.minimum,
        maximum=None if b.exclusive_maximum else b.maximum,
    )
    number.valueChanged.connect(changed)
    if parameter.field is FieldType.DURATION:
        number.lineEdit().setPlaceholderText("seconds")

    def write(value: Any) -> None:
        seconds = getattr(value, "total_seconds", None)
        number.set_value(value if seconds is None else seconds())

    return number, number.value, write, None


def _from_magicgui(
    widget: Any,
    changed: Callable[[], None],
    *,
    read: Callable[[Any], Any] | None = None,
    write: Callable[[Any], Any] | None = None,
) -> _Made:
    # psygnal holds bound methods weakly, and signals' emit methods are new objects each time
    widget.changed.connect(lambda *_: changed())

    def get() -> Any:
        return widget.value if read is None else read(widget.value)

    def put(value: Any) -> None:
        text = value if write is None else write(value)
        if write is None or text is not None:
            widget.value = text

    return widget.native, get, put, widget


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.replace(";", ",").split(",") if part.strip()]


def _join(values: Any) -> str:
    return ", ".join(str(value) for value in values)


def _quantity_text(value: Any) -> str:
    return f"{value:~}" if hasattr(value, "units") else str(value)


def _names(values: Any) -> list[Any]:
    """Devices by their names; other values as they are."""
    if values is None:
        return []
    return [
        value.name if not isinstance(value, (str, enum.Enum)) and hasattr(value, "name") else value
        for value in values
    ]
