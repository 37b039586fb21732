"""Icons from a packaged font, in the colours of the theme that is shown."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import QPoint, QRect, Qt
from qtpy.QtGui import (
    QColor,
    QFont,
    QFontDatabase,
    QGuiApplication,
    QIcon,
    QIconEngine,
    QPainter,
    QPalette,
    QPixmap,
)

if TYPE_CHECKING:
    from qtpy.QtCore import QSize

__all__ = ["icon"]

# What things are called here, and in Material Design Icons.
_GLYPHS: Final = {
    "abort": "close_octagon_outline",
    "add": "plus",
    "apply": "check",
    "back": "undo",
    "calibrate": "ruler_square",
    "cancel": "stop",
    "clear": "notification_clear_all",
    "close": "close",
    "copy": "content_copy",
    "delete": "delete_outline",
    "down": "arrow_down",
    "edit": "pencil_outline",
    "far": "arrow_collapse_down",
    "go": "arrow_right_bold",
    "grid": "grid",
    "halt": "flash_alert_outline",
    "help": "keyboard_outline",
    "hold": "hand_back_right_outline",
    "left": "arrow_left",
    "near": "arrow_collapse_up",
    "open": "folder_open_outline",
    "pause": "pause",
    "remove": "close",
    "reset": "restore",
    "resume": "step_forward",
    "right": "arrow_right",
    "run": "play",
    "save": "content_save_outline",
    "stop": "stop",
    "stop_all": "alert_octagon",
    "theme": "theme_light_dark",
    "up": "arrow_up",
}
#: Of an icon's height: there is room for the font's bearings.
_SCALE: Final = 0.9


def icon(name: str, colour: str | None = None) -> QIcon:
    """Return an icon; an empty one if the font is not installed, for what it stands for is written.

    Parameters
    ----------
    name
        What it stands for, such as ``"run"``.
    colour
        Its colour; by default that of the text of buttons, in whatever theme is shown.
    """
    found = _font()
    if found is None:
        return QIcon()
    family, glyphs = found
    return QIcon(_Glyph(getattr(glyphs, _GLYPHS[name])[-1], family, colour))


@functools.cache
def _font() -> tuple[str, Any] | None:
    """Return the font's family, and its glyphs by name."""
    try:
        from fonticon_mdi7 import MDI7
    except ImportError:
        return None
    families = QFontDatabase.applicationFontFamilies(
        QFontDatabase.addApplicationFont(MDI7.__font_file__)
    )
    return (families[0], MDI7) if families else None


class _Glyph(QIconEngine):
    """Draws a letter of an icon font when it is asked for: the theme may have changed."""

    def __init__(self, letter: str, family: str, colour: str | None) -> None:
        super().__init__()
        self._letter, self._family, self._colour = letter, family, colour

    def clone(self) -> QIconEngine:
        """Return another one."""
        return _Glyph(self._letter, self._family, self._colour)

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        """Draw it."""
        font = QFont(self._family)
        font.setPixelSize(max(1, round(rect.height() * _SCALE)))
        painter.save()
        painter.setFont(font)
        painter.setPen(self._pen(mode))
        painter.drawText(rect, int(Qt.AlignmentFlag.AlignCenter), self._letter)
        painter.restore()

    def _pen(self, mode: QIcon.Mode) -> Any:
        off = mode == QIcon.Mode.Disabled
        if self._colour is not None and not off:
            return QColor(self._colour)
        group = QPalette.ColorGroup.Disabled if off else QPalette.ColorGroup.Active
        return QGuiApplication.palette().color(group, QPalette.ColorRole.ButtonText)

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        """Return a picture of it."""
        made = QPixmap(size)
        made.fill(Qt.GlobalColor.transparent)
        painter = QPainter(made)
        self.paint(painter, QRect(QPoint(0, 0), size), mode, state)
        painter.end()
        return made
