"""What becomes of windows when the interpreter ends."""

from __future__ import annotations

import atexit
import gc
from typing import TYPE_CHECKING

from qtpy.compat import isalive
from qtpy.QtCore import QCoreApplication, QEvent, QObject, Qt
from qtpy.QtWidgets import QApplication, QWidget

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["delete_windows_at_exit"]


def delete_windows_at_exit() -> None:
    """Have the windows that are left when the interpreter ends deleted, each with its children.

    PyQt's own clean-up deletes all objects without a parent as they stand in a table that changes
    meanwhile: one of some hundred programs with pictures and plots ended with a segmentation
    fault there. Called again, this does nothing more.
    """
    # The last that was registered is called first: PyQt's own, registered at its import, later.
    atexit.unregister(_delete_windows)
    atexit.register(_delete_windows)


def _delete_windows() -> None:
    app = QApplication.instance()
    if app is None or app.thread() != QObject().thread():
        return
    gc.collect()  # windows that nobody has any more
    # In this order: pyqtgraph's scenes still need the hidden parts that they have made.
    _delete(lambda widget: widget.testAttribute(Qt.WidgetAttribute.WA_WState_ExplicitShowHide))
    _delete(lambda widget: widget.windowType() != Qt.WindowType.Window)
    gc.collect()


def _delete(chosen: Callable[[QWidget], bool]) -> None:
    for widget in QApplication.topLevelWidgets():
        if isalive(widget) and widget.parent() is None and chosen(widget):
            widget.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
