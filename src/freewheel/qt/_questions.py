"""Questions before something is done that cannot be undone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QShortcut
from qtpy.QtWidgets import QMessageBox

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

__all__ = ["ask", "is_asked", "withdraw"]


def ask(
    parent: QWidget,
    name: str,
    text: str,
    details: str,
    yes: str,
    act: Callable[[], object],
    *,
    no: str = "Cancel",
    otherwise: Callable[[], object] | None = None,
) -> None:
    """Ask, with "no" for the answer by default; the window can be used meanwhile.

    Not even a question is to be in the way of Stop all, so that it is not modal.

    Parameters
    ----------
    parent
        What the question is about. A question of the same name there is withdrawn.
    name
        The object name of the question.
    text, details
        What is asked, and what there is to know about it.
    yes, no
        What the two buttons say.
    act, otherwise
        Called if the answer is yes, and if it is no.
    """
    withdraw(parent, name)
    box = QMessageBox(parent)
    box.setObjectName(name)
    box.setIcon(QMessageBox.Icon.Warning)
    box.setWindowTitle(yes)
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setText(text)
    box.setInformativeText(details)
    buttons = QMessageBox.StandardButton
    box.setStandardButtons(buttons.Yes | buttons.Cancel)
    box.button(buttons.Yes).setText(yes)
    box.button(buttons.Cancel).setText(no)
    box.setDefaultButton(buttons.Cancel)
    box.setEscapeButton(buttons.Cancel)

    def answered(answer: int) -> None:
        box.deleteLater()
        if answer == int(buttons.Yes.value):
            act()
        elif otherwise is not None:
            otherwise()

    box.finished.connect(answered)
    for keys in parent.window().findChildren(QShortcut, "stopAll"):
        # A dialog has short cuts of its own.
        QShortcut(keys.key(), box).activated.connect(keys.activated)
    box.setModal(False)
    box.show()


def is_asked(parent: QWidget, name: str) -> bool:
    """Tell whether a question waits for its answer."""
    return any(box.isVisible() for box in parent.findChildren(QMessageBox, name))


def withdraw(parent: QWidget, name: str) -> None:
    """Take a question back, as if the answer were no: what it was about has changed."""
    for box in parent.findChildren(QMessageBox, name):
        if box.isVisible():
            box.reject()
