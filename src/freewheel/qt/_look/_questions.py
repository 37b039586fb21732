"""Questions before something is done that cannot be undone."""

from __future__ import annotations

import inspect
import weakref
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QShortcut
from qtpy.QtWidgets import QMessageBox

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

__all__ = ["ask", "is_asked", "keep_stop_all", "withdraw"]


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

    # Weakly: a question that is not answered is not to keep the window that it is a part of.
    if_yes, if_no, me = _weak(act), _weak(otherwise), weakref.ref(box)

    def answered(answer: int) -> None:
        if (mine := me()) is not None:
            mine.deleteLater()
        chosen = (if_yes if answer == int(buttons.Yes.value) else if_no)()
        if chosen is not None:
            chosen()

    box.finished.connect(answered)
    keep_stop_all(box, parent)
    box.setModal(False)
    box.show()


def keep_stop_all(dialog: QWidget, parent: QWidget) -> None:
    """Have the keys of Stop all work in a dialog, which has short cuts of its own."""
    for keys in parent.window().findChildren(QShortcut, "stopAll"):
        QShortcut(keys.key(), dialog).activated.connect(keys.activated)


def _weak(function: Callable[[], object] | None) -> Callable[[], Callable[[], object] | None]:
    """Return what gives a function back; of a method only while its object is there."""
    if inspect.ismethod(function):
        return weakref.WeakMethod(function)
    return lambda: function


def is_asked(parent: QWidget, name: str) -> bool:
    """Tell whether a question waits for its answer."""
    return any(box.isVisible() for box in parent.findChildren(QMessageBox, name))


def withdraw(parent: QWidget, name: str) -> None:
    """Take a question back, as if the answer were no: what it was about has changed."""
    for box in parent.findChildren(QMessageBox, name):
        if box.isVisible():
            box.reject()
