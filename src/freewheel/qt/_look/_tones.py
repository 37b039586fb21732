"""Colours that say something, to be read on a light and on a dark theme.

Each comes with a word or a shape: not everybody sees the colour.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import QObject, Qt
from qtpy.QtGui import QGuiApplication

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

__all__ = ["INPUT_SHEET", "TABLE_SHEET", "TEXT_SHEET", "Tone", "is_dark", "tint"]

#: Below it a palette's background is a dark one, of 255.
_MIDDLE: Final = 128
_NAME: Final = "freewheel:tint"
TEXT_SHEET: Final = "color: {colour};"
#: For an input whose value is marked as wrong.
INPUT_SHEET: Final = "QWidget {{ border: 1px solid {colour}; border-radius: 3px; }}"
#: For a table of inputs; those in its cells, and its buttons, stay as they are.
TABLE_SHEET: Final = "QTableWidget {{ border: 1px solid {colour}; }}"


class Tone(Enum):
    """What a text says, as its colour on a light and on a dark background."""

    ERROR = ("#b3261e", "#ff8a80")
    WARNING = ("#8a4b00", "#ffb74d")
    INVALID = ("#7b1fa2", "#ce93d8")
    MUTED = ("#5f6368", "#9aa0a6")

    @property
    def now(self) -> str:
        """The colour for the theme that is shown."""
        return self.value[is_dark()]


def is_dark() -> bool:
    """Tell whether the application has a dark theme."""
    return bool(QGuiApplication.palette().window().color().lightness() < _MIDDLE)


def tint(widget: QWidget, tone: Tone | None, sheet: str = TEXT_SHEET) -> None:
    """Give a widget the colour of what it says, which goes with the theme; none for `None`.

    Parameters
    ----------
    widget
        The widget.
    tone
        What it says.
    sheet
        Its style sheet, with ``{colour}`` where the colour is to stand.
    """
    direct = Qt.FindChildOption.FindDirectChildrenOnly  # not that of an input inside
    follower = widget.findChild(_Follower, _NAME, direct)
    if follower is None:
        follower = _Follower(widget)
    follower.set_tone(tone, sheet)


class _Follower(QObject):
    """Keeps the colour of one widget that of the theme."""

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        self.setObjectName(_NAME)
        self._tone: Tone | None = None
        self._sheet = ""
        # A widget with a style sheet is not told of another palette by an event.
        QGuiApplication.instance().paletteChanged.connect(self.apply)

    def set_tone(self, tone: Tone | None, sheet: str) -> None:
        self._tone, self._sheet = tone, sheet
        self.apply()

    def apply(self, *_: Any) -> None:
        """Take the colour for the theme that is shown."""
        widget: Any = self.parent()
        sheet = "" if self._tone is None else self._sheet.format(colour=self._tone.now)
        if widget.styleSheet() != sheet:  # else it is polished anew, at each change of any text
            widget.setStyleSheet(sheet)
