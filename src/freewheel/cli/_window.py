"""What commands that open a window share: the application, and its end."""

from __future__ import annotations

import os
import re
import sys
import threading
from typing import TYPE_CHECKING, Any

import typer

from ._output import say

if TYPE_CHECKING:
    from freewheel.core import EngineView
    from freewheel.qt import AcquisitionWindow

__all__ = ["application", "settings_of", "show"]

_NO_WINDOW = 1
# How long the process may take to end when the user has chosen to halt [s].
_EXIT_LIMIT = 8.0


def application() -> Any:
    """Return the QApplication; without a display, say so and end the process.

    Qt would abort the process. So this comes before anything that needs to be cleaned up.
    """
    from qtpy.QtCore import QtMsgType, qInstallMessageHandler
    from qtpy.QtWidgets import QApplication

    if QApplication.instance() is not None:
        return QApplication.instance()
    said: list[str] = []

    def note(kind: Any, context: Any, text: str) -> None:
        if kind != QtMsgType.QtFatalMsg:
            said.append(text)
            return
        why = f" ({said[0].strip()})" if said else ""
        say(
            f"freewheel: no window can be opened here: there is no display that Qt can use{why}. "
            "Run it where there is one, with ssh -X, or under xvfb-run; freewheel run and "
            "freewheel shell need none."
        )
        os._exit(_NO_WINDOW)  # when this returns, Qt aborts

    before = qInstallMessageHandler(note)
    try:
        app = QApplication(["freewheel"])
    finally:
        qInstallMessageHandler(before)
        for text in said:
            say(text)
    from freewheel.qt import use_theme

    use_theme("system")
    return app


def settings_of(instrument: str) -> Any:
    """Return where windows on an instrument keep what they look like."""
    from qtpy.QtCore import QSettings

    name = re.sub(r"\W+", "-", instrument).strip("-")
    return QSettings(
        QSettings.Format.IniFormat, QSettings.Scope.UserScope, "freewheel", f"window-{name}"
    )


def show(window: AcquisitionWindow, engine: EngineView) -> int:
    """Show a window until it is closed or a signal comes; return the exit code.

    The engine is closed when it was halted, and the process ended if a device hangs then.
    """
    from qtpy.QtWidgets import QApplication

    from freewheel.qt import end_on_signals, responsive

    window.show()
    with responsive(), end_on_signals(window.bridge) as end:
        QApplication.exec()
    window.close()
    sys.stdout.flush()
    if window.halted or end.halted:
        _end_soon()
        engine.close(timeout=1)
    return end.exit_code


def _end_soon() -> None:
    """End the process though a device hangs; after a halt that the user has chosen.

    The interpreter waits at its exit for each thread of an executor, and a device that blocks one
    for ever would keep the process.
    """

    def end() -> None:
        typer.echo("A device did not let its thread go; the process is ended.", err=True)
        os._exit(1)

    limit = threading.Timer(_EXIT_LIMIT, end)
    limit.daemon = True  # ends with the process, if that ends by itself
    limit.start()
