"""The input of a device row: what is filled in there, and Return."""

from __future__ import annotations

import enum
import numbers
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QLineEdit, QPushButton

from freewheel.qt._link._limits import Limits
from freewheel.qt._look._inputs import ChoiceBox, NumberField, wheel_needs_focus
from freewheel.qt._look._tones import INPUT_SHEET, Tone, tint

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Editor", "small_button"]


class Editor:
    """An input for values of a type, which shows what the device reads until a person edits it.

    Parameters
    ----------
    datatype
        The type of the values.
    act
        Called when Return is pressed in it.
    changed
        Called when what is filled in is no longer, or is again, what the device reads, and when
        the limits are others.
    """

    def __init__(
        self, datatype: Any, act: Callable[[], object], changed: Callable[[], object]
    ) -> None:
        self._changed = changed
        self._latest: Any = None  # what the device reads
        self._edited = False
        self._limits = Limits()
        self.widget: Any = _make(datatype)
        self.is_number = isinstance(self.widget, NumberField)
        wheel_needs_focus(self.widget)
        if isinstance(self.widget, ChoiceBox):
            self.widget.activated.connect(self._edit)
            self.widget.entered.connect(act)
        else:
            line = self.widget.lineEdit() if self.is_number else self.widget
            line.returnPressed.connect(act)
            (self.widget.edited if self.is_number else line.textEdited).connect(self._edit)

    @property
    def edited(self) -> bool:
        """Whether a person, or the program, has filled in something that was not asked for yet."""
        return self._edited

    @property
    def latest(self) -> Any:
        """What the device reads; `None` before it has said so."""
        return self._latest

    def value(self) -> Any:
        """Return what is filled in; `None` for nothing, and a text where a number is meant."""
        return self.widget.text() if isinstance(self.widget, QLineEdit) else self.widget.value()

    @property
    def beyond(self) -> str:
        """In words that what a person has filled in is beyond the limits; empty if it is not."""
        value = self.value()
        is_number = self.is_number and isinstance(value, (int, float))
        return self._limits.problem_of(value) if self._edited and is_number else ""

    @property
    def problem(self) -> str:
        """What is wrong with what is filled in; empty if nothing is."""
        return self.problem_of(self.value())

    def problem_of(self, value: Any) -> str:
        """Return what is wrong with a value; empty if nothing is."""
        if value is None:
            return "nothing is filled in"
        if not self.is_number:
            return ""
        if not isinstance(value, numbers.Real):
            return f"{value!r} is no number"
        return self._limits.problem_of(float(value))

    def choice_of(self, value: Any) -> Any:
        """Return the choice that has the text of a value; `None` for what is not on offer.

        Where there are no choices that is the value itself.
        """
        return self.widget.choice_of(value) if isinstance(self.widget, ChoiceBox) else value

    def limit(self, limits: Limits) -> None:
        """Let the arrows stop at limits, show them, and refuse what is beyond."""
        if self.is_number:
            self._limits = limits
            self.widget.set_limits(*limits)
            self._look()

    def fill_in(self, value: Any) -> None:
        """Fill in a value, as a person would."""
        self._write(value)
        self._edit()

    def show_reading(self, value: Any) -> None:
        """Take what the device reads; it is filled in unless somebody has edited that."""
        self._latest = value
        if not self._edited:
            self._write(value)

    def follow(self) -> None:
        """Fill in what the device reads, from now on: what was edited is done, or given up."""
        self._edited = False
        if self._latest is not None:
            self._write(self._latest)
        self._look()

    def _edit(self, *_: Any) -> None:
        self._edited = True
        self._look()

    def _look(self) -> None:
        """Mark what is beyond the limits, before it is asked for, and tell of it."""
        if self.is_number:
            beyond = self.beyond
            tint(self.widget, Tone.ERROR if beyond else None, INPUT_SHEET)
            self.widget.setToolTip(beyond or str(self._limits))
            self.widget.setAccessibleDescription(beyond)
        self._changed()

    def _write(self, value: Any) -> None:
        if isinstance(self.widget, QLineEdit):
            self.widget.setText(str(value))
            return
        line = self.widget.lineEdit()
        all_of_it = line is not None and line.text() and line.selectedText() == line.text()
        self.widget.set_value(float(f"{value:.7g}") if isinstance(value, float) else value)
        if all_of_it:
            line.selectAll()  # whoever is about to type replaces it


def _make(datatype: Any) -> Any:
    if isinstance(datatype, type) and issubclass(datatype, (enum.Enum, bool)):
        return ChoiceBox([True, False] if datatype is bool else list(datatype))
    if datatype is str:
        text = QLineEdit()
        text.setMinimumWidth(84)
        return text
    number = NumberField(integer=datatype is int, begins=False)
    number.setMinimumWidth(84)
    return number


def small_button(text: str, name: str, act: Callable[..., object], tip: str = "") -> QPushButton:
    """Return a button no wider than its text."""
    button = QPushButton(text)
    button.setObjectName(name)
    button.setToolTip(tip)
    button.setFixedWidth(button.fontMetrics().horizontalAdvance(text) + 22)
    button.clicked.connect(act)
    return button
