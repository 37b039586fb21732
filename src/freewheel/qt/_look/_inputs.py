"""The inputs that forms and device rows are made of."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QListWidget,
    QListWidgetItem,
    QScrollBar,
    QWidget,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CheckList", "ChoiceBox", "NumberField", "choice_text", "wheel_needs_focus"]

_ROWS = 5


class _WheelGuard(QObject):
    """Leaves the wheel to what an input stands in, unless the input has the keyboard."""

    def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802 - Qt's spelling
        """Let a wheel event pass by an input that nobody has chosen."""
        if event.type() == QEvent.Type.Wheel and not watched.hasFocus():
            event.ignore()  # so that it goes on to the scroll area
            return True
        return False


def wheel_needs_focus(widget: QWidget) -> None:
    """Have the wheel change inputs in a widget only when they have the keyboard.

    Over any other it scrolls what they stand in: nobody means to change a value, or a device, by
    scrolling past it.
    """
    kinds = (QAbstractSpinBox, QComboBox, QAbstractSlider)
    for part in (widget, *widget.findChildren(QWidget)):
        if isinstance(part, kinds) and not isinstance(part, QScrollBar):
            # Qt's own policy for these gives them the keyboard at the first notch.
            part.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            part.installEventFilter(_WheelGuard(part))


class ChoiceBox(QComboBox):
    """One of several choices, or none yet.

    Parameters
    ----------
    choices
        What may be chosen.
    placeholder
        What stands there while nothing is chosen.

    Attributes
    ----------
    entered : Signal()
        Return was pressed.
    """

    entered = Signal()

    def __init__(
        self, choices: Sequence[Any], placeholder: str = "", parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._choices = list(choices)
        for choice in self._choices:
            self.addItem(choice_text(choice))
        self.setPlaceholderText(placeholder)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(4)

    def value(self) -> Any:
        """Return what is chosen; `None` if nothing is."""
        index = self.currentIndex()
        return self._choices[index] if index >= 0 else None

    def add_choice(self, choice: Any) -> None:
        """Offer one more."""
        self._choices.append(choice)
        self.addItem(choice_text(choice))

    def choice_of(self, value: Any) -> Any:
        """Return the choice of a text, or that is a value; `None` if it is not on offer."""
        index = self.findText(choice_text(value))
        return self._choices[index] if index >= 0 else None

    def set_value(self, value: Any) -> None:
        """Choose; nothing for `None`. What is not on offer changes nothing."""
        if value is None:
            self.setCurrentIndex(-1)
            return
        for index, choice in enumerate(self._choices):
            if type(choice) is type(value) and choice == value:
                self.setCurrentIndex(index)
                return
        if (index := self.findText(choice_text(value))) >= 0:  # as a device says it, or a client
            self.setCurrentIndex(index)

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802 - Qt's spelling
        """Tell of Return, which a box that cannot be typed into keeps to itself."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.entered.emit()
            event.accept()
        else:
            super().keyPressEvent(event)


class NumberField(QAbstractSpinBox):
    """A number with arrows that takes any text; ``value()`` is a number, or the text if it is none.

    Parameters
    ----------
    integer
        Whether whole numbers are meant; decides what the arrows do.
    step
        What an arrow adds; by default 1, or a tenth of a number smaller than 1.
    minimum, maximum
        Where the arrows stop.
    begins
        Whether the arrows begin a number where there is none; a position has none to begin with.

    Attributes
    ----------
    edited : Signal()
        A person has typed, or used the arrows.
    """

    edited = Signal()
    valueChanged = Signal()  # noqa: N815 - Qt's spelling

    def __init__(
        self,
        *,
        integer: bool = False,
        step: float | None = None,
        minimum: float | None = None,
        maximum: float | None = None,
        begins: bool = True,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._integer, self._step, self._begins = integer, step, begins
        self._minimum, self._maximum = minimum, maximum
        self.lineEdit().textChanged.connect(self.valueChanged)
        self.lineEdit().textEdited.connect(self.edited)

    def value(self) -> Any:
        """Return the number, the text if it is none, or `None` if there is no text."""
        text = self.lineEdit().text().strip()
        if not text:
            return None
        try:
            return int(text) if self._integer else float(text)
        except ValueError:
            return text

    def set_limits(self, minimum: float | None, maximum: float | None) -> None:
        """Have the arrows stop elsewhere."""
        self._minimum, self._maximum = minimum, maximum

    def set_value(self, value: Any) -> None:
        """Show a number, a text, or nothing for `None`."""
        if isinstance(value, float):
            value = f"{value:g}" if float(f"{value:g}") == value else repr(value)
        self.lineEdit().setText("" if value is None else str(value))

    def stepBy(self, steps: int) -> None:  # noqa: N802 - Qt's spelling
        """Add to the number, as the arrows do."""
        value = self.value()
        if value is None and not self._begins:
            return
        number = value if isinstance(value, (int, float)) else (self._minimum or 0)
        number = number + steps * self._step_at(number)
        if self._minimum is not None:
            number = max(number, self._minimum)
        if self._maximum is not None:
            number = min(number, self._maximum)
        self.set_value(int(number) if self._integer else float(f"{number:.12g}"))
        self.edited.emit()

    def stepEnabled(self) -> Any:  # noqa: N802 - Qt's spelling
        """Say that both arrows may be pressed."""
        flags = QAbstractSpinBox.StepEnabledFlag
        return flags.StepUpEnabled | flags.StepDownEnabled

    def _step_at(self, number: float) -> float:
        if self._step is not None:
            return self._step
        if self._integer or abs(number) >= 1 or number == 0:
            return 1
        return float(10.0 ** (int(f"{abs(number):e}".split("e")[1])))


class CheckList(QListWidget):
    """A multiple choice: each item with a box to tick.

    Parameters
    ----------
    choices
        What may be chosen.
    """

    valueChanged = Signal()  # noqa: N815 - Qt's spelling

    def __init__(self, choices: Sequence[Any], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._choices = list(choices)
        for choice in self._choices:
            item = QListWidgetItem(choice_text(choice))
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(Qt.CheckState.Unchecked)
            self.addItem(item)
        rows = max(1, min(_ROWS, len(self._choices)))
        self.setFixedHeight(rows * max(18, self.sizeHintForRow(0)) + 6)
        self.itemChanged.connect(self.valueChanged)

    def value(self) -> list[Any]:
        """Return what is ticked, in the order of the list."""
        ticked = Qt.CheckState.Checked
        return [c for i, c in enumerate(self._choices) if self.item(i).checkState() == ticked]

    def set_value(self, value: Any) -> None:
        """Tick these and no others."""
        chosen = list(value or ())
        for index, choice in enumerate(self._choices):
            on = choice in chosen
            self.item(index).setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)


def choice_text(choice: Any) -> str:
    """Return what a choice is called in a list."""
    if isinstance(choice, enum.Enum):
        return str(choice.value) if isinstance(choice.value, str) else choice.name
    return str(choice)
