"""Light and dark looks for the whole application."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import QObject, Qt
from qtpy.QtGui import QColor, QPalette
from qtpy.QtWidgets import QStyleFactory

from freewheel.qt._link._feed import check_window_thread

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Theme", "theme_in_use", "use_theme"]

_NAME: Final = "freewheel:theme"

_LIGHT: Final = {
    "Window": "#f4f5f7",
    "WindowText": "#1b1f24",
    "Base": "#ffffff",
    "AlternateBase": "#f0f2f5",
    "Text": "#1b1f24",
    "Button": "#e8eaee",
    "ButtonText": "#1b1f24",
    "ToolTipBase": "#ffffff",
    "ToolTipText": "#1b1f24",
    "PlaceholderText": "#6b7178",
    "Highlight": "#1a66c9",
    "HighlightedText": "#ffffff",
    "BrightText": "#b3261e",
    "Link": "#1a66c9",
}
# Fields are lighter than what they stand in: frames and boxes to tick are drawn darker than that.
_DARK: Final = {
    "Window": "#1e2125",
    "WindowText": "#e4e7eb",
    "Base": "#2a2e34",
    "AlternateBase": "#262a2f",
    "Text": "#e4e7eb",
    "Button": "#343940",
    "ButtonText": "#e4e7eb",
    "ToolTipBase": "#30343a",
    "ToolTipText": "#e4e7eb",
    "PlaceholderText": "#8d949d",
    "Highlight": "#3b82d6",
    "HighlightedText": "#ffffff",
    "BrightText": "#ff8a80",
    "Link": "#6aa9f0",
}
_GREY: Final = {False: "#9a9fa6", True: "#6f757d"}
_GREYED: Final = ("WindowText", "Text", "ButtonText")


class Theme(StrEnum):
    """How an application looks."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


def use_theme(theme: Theme | str) -> None:
    """Have the whole application look light or dark, or as the system does, also when that changes.

    A program that does not call it keeps the style and the palette that it has; a window's *View*
    menu calls it when a person chooses.

    Parameters
    ----------
    theme
        ``"system"``, ``"light"`` or ``"dark"``.

    Raises
    ------
    ValueError
        For any other theme.
    RuntimeError
        Without a QApplication, or on another thread than the window's.
    """
    app = check_window_thread("use_theme()")
    keeper = app.findChild(_Keeper, _NAME)
    if keeper is None:
        keeper = _Keeper(app)
    keeper.use(Theme(theme))


def theme_in_use() -> Theme | None:
    """Return the theme that `use_theme` was asked for last; `None` if it never was."""
    keeper = check_window_thread("theme_in_use()").findChild(_Keeper, _NAME)
    return None if keeper is None else keeper.theme


class _Keeper(QObject):
    """The theme of one application, which follows the system while it is to."""

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self.setObjectName(_NAME)
        self.theme: Theme | None = None
        app.styleHints().colorSchemeChanged.connect(self._system_changed)

    def use(self, theme: Theme) -> None:
        app: Any = self.parent()
        self.theme = theme
        if app.style().name() != "fusion":
            app.setStyle(QStyleFactory.create("Fusion"))
        scheme = app.styleHints().colorScheme()
        dark = theme is Theme.DARK or (
            theme is Theme.SYSTEM and scheme == Qt.ColorScheme.Dark  # unknown is light
        )
        app.setPalette(_palette(dark))

    def _system_changed(self, _: object) -> None:
        if self.theme is Theme.SYSTEM:
            self.use(Theme.SYSTEM)


def _palette(dark: bool) -> QPalette:
    colours: Mapping[str, str] = _DARK if dark else _LIGHT
    # Shades of frames and grooves are those that Qt makes of the button's colour.
    palette = QPalette(QColor(colours["Button"]), QColor(colours["Window"]))
    for role, colour in colours.items():
        palette.setColor(getattr(QPalette.ColorRole, role), QColor(colour))
    for role in _GREYED:
        palette.setColor(
            QPalette.ColorGroup.Disabled, getattr(QPalette.ColorRole, role), QColor(_GREY[dark])
        )
    return palette
