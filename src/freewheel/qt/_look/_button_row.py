"""Buttons beside each other, and keys of a list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QHBoxLayout, QPushButton

from freewheel.qt._look._icons import icon
from freewheel.qt._look._slots import slot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from qtpy.QtWidgets import QWidget

__all__ = ["add_keys", "allow", "button_row"]


def button_row(
    prefix: str, parts: Iterable[tuple[str, str, str, Callable[[], object]]]
) -> tuple[QHBoxLayout, dict[str, QPushButton]]:
    """Return a row of buttons, and these by their names.

    Parameters
    ----------
    prefix : str
        How their object names begin, before a colon and the name.
    parts : iterable of tuple
        Of each its name, which is its icon's, its text, its tooltip and what it does.
    """
    row = QHBoxLayout()
    buttons: dict[str, QPushButton] = {}
    for name, text, tip, act in parts:
        button = buttons[name] = QPushButton(icon(name), text)
        button.setObjectName(f"{prefix}:{name}")
        button.setToolTip(tip)
        button.setWhatsThis(tip)
        button.clicked.connect(slot(act))
        row.addWidget(button)
    return row, buttons


def allow(buttons: Iterable[QPushButton], why_not: str) -> None:
    """Enable buttons of a row, or say why they are not.

    Parameters
    ----------
    buttons : iterable of QPushButton
        Some of those that `button_row` has made.
    why_not : str
        Why nothing can be done with them; empty if it can.
    """
    for button in buttons:
        button.setEnabled(not why_not)
        button.setToolTip(why_not or button.whatsThis())
        button.setAccessibleDescription(why_not)


def add_keys(widget: QWidget, parts: Iterable[tuple[str, str, Callable[[], object]]]) -> None:
    """Have keys do something while a widget has the keyboard: each with what is said of it."""
    for keys, what, act in parts:
        short_cut = QShortcut(QKeySequence(keys), widget)
        short_cut.activated.connect(slot(act))
        short_cut.setContext(Qt.ShortcutContext.WidgetShortcut)
        short_cut.setWhatsThis(what)
