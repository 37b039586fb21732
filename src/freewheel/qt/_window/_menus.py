"""The menus of the acquisition window, and its short cuts."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import Qt
from qtpy.QtGui import QAction, QActionGroup, QKeySequence
from qtpy.QtWidgets import QDockWidget

from freewheel.qt._look._icons import icon
from freewheel.qt._look._slots import slot
from freewheel.qt._look._theme import Theme, theme_in_use, use_theme
from freewheel.qt._tasks._stop_all import StopAllButton
from freewheel.qt._window._about import show_about
from freewheel.qt._window._short_cuts import show_short_cuts

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QMainWindow, QMenu, QWidget

    from freewheel.qt._tasks._controls import EngineControls

__all__ = ["build_menus"]

# Button, text and keys. Those that lose data have no keys.
_ENGINE: Final = (
    ("run", "&Run, or queue", "F5"),
    ("pause", "&Pause", "F6"),
    ("resume", "R&esume", "F7"),
    ("stop", "&Stop", "F8"),
    ("abort", "&Abort", ""),
    ("halt", "&Halt …", ""),
)
_THEMES: Final = (
    (Theme.SYSTEM, "As the &system"),
    (Theme.LIGHT, "&Light"),
    (Theme.DARK, "&Dark"),
)
#: There are keys for so many docks.
_DOCKS: Final = 9


def build_menus(
    window: QMainWindow, controls: EngineControls, put_back: Callable[[], object]
) -> None:
    """Give a window its menus; called when it has all of its docks.

    Parameters
    ----------
    window
        The window.
    controls
        Its buttons, which the menu *Engine* presses.
    put_back
        Puts the docks back to where they were at first.
    """
    bar = window.menuBar()
    file = bar.addMenu("&File")
    _add(window, file, "&Close", window.close, QKeySequence.StandardKey.Close, "close")
    _add(window, file, "&Quit", window.close, QKeySequence.StandardKey.Quit)
    engine = bar.addMenu("&Engine")
    for name, text, keys in _ENGINE:
        _add(window, engine, text, controls.buttons[name].click, keys, name)
    engine.addSeparator()
    red = window.findChild(StopAllButton)
    # Its keys are those of the button, which a window without menus has as well.
    _add(window, engine, "Stop a&ll", red.click, "", "stop_all")
    _follow_buttons(engine, controls)
    _build_view(window, bar.addMenu("&View"), put_back)
    help_menu = bar.addMenu("&Help")
    keys = QKeySequence.StandardKey.HelpContents
    _add(window, help_menu, "&Short cuts", partial(show_short_cuts, window), keys, "help")
    _add(window, help_menu, "&About", partial(show_about, window))


def _add(
    window: QMainWindow,
    menu: QMenu,
    text: str,
    act: Callable[[], object],
    keys: Any = "",
    picture: str = "",
) -> QAction:
    action = QAction(text, window)
    if picture:
        action.setIcon(icon(picture))
    if keys:
        action.setShortcut(QKeySequence(keys))
    action.triggered.connect(slot(act))
    menu.addAction(action)
    return action


def _follow_buttons(menu: QMenu, controls: EngineControls) -> None:
    """Have what the engine's state does not allow be grey while the menu is open.

    When it is closed all are on, for their short cuts: those of a button that is off do nothing.
    """
    actions = dict(zip((name for name, *_ in _ENGINE), menu.actions(), strict=False))

    def look() -> None:
        for name, action in actions.items():
            action.setEnabled(controls.buttons[name].isEnabled())
            action.setToolTip(controls.buttons[name].toolTip())

    def leave() -> None:
        for action in actions.values():
            action.setEnabled(True)

    menu.setToolTipsVisible(True)
    menu.aboutToShow.connect(slot(look))
    menu.aboutToHide.connect(slot(leave))


def _build_view(window: QMainWindow, menu: QMenu, put_back: Callable[[], object]) -> None:
    themes = menu.addMenu(icon("theme"), "&Theme")
    group = QActionGroup(window)
    for theme, text in _THEMES:
        action = _add(window, themes, text, partial(use_theme, theme))
        action.setCheckable(True)
        action.setObjectName(f"theme:{theme}")
        group.addAction(action)

    def look() -> None:
        for (theme, _), action in zip(_THEMES, group.actions(), strict=True):
            action.setChecked(theme is theme_in_use())

    themes.aboutToShow.connect(slot(look))
    docks = window.findChildren(QDockWidget)
    shown = menu.addMenu("&Docks")
    for dock in docks:
        shown.addAction(dock.toggleViewAction())
    menu.addSeparator()
    for number, dock in enumerate(docks[:_DOCKS], 1):
        _add(window, menu, f"Go to {dock.objectName()}", partial(_go_to, dock), f"Ctrl+{number}")
    menu.addSeparator()
    _add(window, menu, "&Put the docks back", put_back, "", "reset")


def _go_to(dock: QDockWidget) -> None:
    """Show a dock, and give the keyboard to the first that takes it there."""
    dock.show()
    dock.raise_()
    first: QWidget | None = dock.widget()
    while first is not None and not _takes_keyboard(first, dock):
        first = first.nextInFocusChain()
        if first is dock.widget():
            return
    if first is not None:
        first.setFocus(Qt.FocusReason.ShortcutFocusReason)


def _takes_keyboard(widget: QWidget, dock: QDockWidget) -> bool:
    policy = widget.focusPolicy()
    return (
        dock.isAncestorOf(widget)
        and bool(policy & Qt.FocusPolicy.TabFocus)
        and widget.isEnabled()
        and widget.isVisible()
    )
