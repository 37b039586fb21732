"""Labels that fit where there is no room for them, and what a device reads in one."""

from __future__ import annotations

from typing import Any, Final

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QPainter
from qtpy.QtWidgets import QLabel, QWidget

from freewheel.qt._link._signal_watch import Standing
from freewheel.qt._look._inputs import choice_text
from freewheel.qt._look._tones import Tone, tint

__all__ = ["Readback", "ShortLabel", "reading_text"]


def reading_text(value: Any) -> str:
    """Return what was read as rows of devices write it."""
    return f"{value:.4g}" if isinstance(value, float) else choice_text(value)


class ShortLabel(QLabel):
    """A line that is shortened where there is no room for it; the tooltip has all of it.

    A long name, or a long value, is not to push what can be pressed out of the panel.

    Attributes
    ----------
    elide
        Where it is shortened.
    """

    elide = Qt.TextElideMode.ElideMiddle

    def minimumSizeHint(self) -> Any:  # noqa: N802 - Qt's spelling
        """Take a few letters' room at least."""
        return QSize(62, super().minimumSizeHint().height())

    def setText(self, text: str) -> None:  # noqa: N802 - Qt's spelling
        """Show a text."""
        super().setText(text)
        self.setToolTip(text)

    def paintEvent(self, _: Any) -> None:  # noqa: N802 - Qt's spelling
        """Draw what fits."""
        room = self.contentsRect()
        text = self.fontMetrics().elidedText(self.text(), self.elide, room.width())
        QPainter(self).drawText(room, int(self.alignment()), text)


# A mark and a colour: not everybody sees the colour.
_MARKS: Final = {
    Standing.MINOR: ("\N{WHITE UP-POINTING TRIANGLE}", Tone.WARNING),
    Standing.MAJOR: ("\N{BLACK UP-POINTING TRIANGLE}", Tone.ERROR),
    Standing.INVALID: ("?", Tone.INVALID),
    Standing.LOST: ("\N{MULTIPLICATION SIGN}", Tone.MUTED),
}


class Readback(ShortLabel):
    """What a device reads, marked while that is alarming, or cannot be believed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._value, self._standing = "-", Standing.FINE
        self.setObjectName("readback")
        self.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._show()

    def show_value(self, value: Any) -> None:
        """Show what was read."""
        self._value = reading_text(value)
        self._show()

    def show_standing(self, standing: Standing) -> None:
        """Show whether that is as it should be."""
        self._standing = standing
        _, tone = _MARKS.get(standing, ("", None))
        tint(self, tone)
        self._show()

    def _show(self) -> None:
        mark, _ = _MARKS.get(self._standing, ("", None))
        self.setText(f"{mark} {self._value}".strip())
        said = f"{self._value}: {self._standing.value}" if mark else self._value
        self.setToolTip(said)
        self.setAccessibleName(said)
