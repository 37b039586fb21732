"""What happened, and what went wrong, to be read and copied."""

from __future__ import annotations

import html
import logging
import time
import weakref
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QHBoxLayout, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

from freewheel.core._errors import typed_text_of
from freewheel.qt._link._bridge import failure_of
from freewheel.qt._link._failures import Failures
from freewheel.qt._link._feed import Feed

if TYPE_CHECKING:
    from freewheel.background import BackgroundTask
    from freewheel.core import PlanFutureView
    from freewheel.qt._link._bridge import EngineBridge

__all__ = ["PlanLog"]

_LINES = 5000
_CROSS = "\N{BALLOT X}"
_RED = "#d93025"  # of lines that stay when the theme changes: it is to be read on both
_PUBLISHING = logging.getLogger("freewheel.publishing")


class _ToFeed(logging.Handler):
    """Has warnings shown that come on other threads."""

    def __init__(self, feed: Feed) -> None:
        super().__init__(logging.WARNING)
        self._feed = feed

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a record on."""
        self._feed.put("said", record.getMessage())


class PlanLog(QWidget):
    """Plans that ran, a line for what went wrong, and what hands did; the newest last.

    What `freewheel.publishing` says of documents that wait, or could not be sent, stands there too.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    parent
        The widget's parent.

    Attributes
    ----------
    failed : Signal(str)
        A plan or task failed, a request was refused, or documents wait that are to be published: a
        line that says so.
    """

    failed = Signal(str)

    def __init__(self, bridge: EngineBridge, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        # Of each task, what was said last; of one that has ended too, for that is told twice.
        self._told: weakref.WeakKeyDictionary[BackgroundTask, str] = weakref.WeakKeyDictionary()
        self._text = QPlainTextEdit()
        self._text.setObjectName("log")
        self._text.setReadOnly(True)
        self._text.setAccessibleName("Log")
        self._text.setMaximumBlockCount(_LINES)
        copy, clear = QPushButton("Copy"), QPushButton("Clear")
        copy.setObjectName("copy")
        copy.setToolTip("Copy what is selected, or all")
        copy.clicked.connect(self.copy)
        clear.clicked.connect(self._text.clear)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(copy)
        row.addWidget(clear)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._text, 1)
        layout.addLayout(row)
        bridge.planStarted.connect(self._plan_started)
        bridge.planEnded.connect(self._plan_ended)
        bridge.requestMade.connect(self._asked)
        bridge.lineChanged.connect(self._line_changed)
        Failures(bridge, self).failed.connect(self.note_failure)
        bridge.backgroundChanged.connect(self._task_changed)
        feed = Feed(self._published)
        handler = _ToFeed(feed)
        _PUBLISHING.addHandler(handler)
        self._unlisten = weakref.finalize(self, _unlisten, handler, feed)
        self._unlisten.atexit = False

    @property
    def text(self) -> str:
        """All that is shown."""
        return str(self._text.toPlainText())

    def copy(self) -> None:
        """Put what is selected, or all of it, on the clipboard."""
        selected = self._text.textCursor().selectedText().replace("\u2029", "\n")
        QGuiApplication.clipboard().setText(selected or self.text)

    def unlisten(self) -> None:
        """Show no more of what is said on other threads."""
        self._unlisten()

    def _published(self, _: str, arguments: tuple[Any, ...]) -> None:
        self.said(*arguments)

    def said(self, line: str) -> None:
        """Show what a publisher says."""
        self.note(line)
        self.failed.emit(line)

    def note(self, line: str) -> None:
        """Add a line, with the time."""
        self._text.appendPlainText(self._timed(line))

    def note_failure(self, what: str, error: BaseException, _device: str = "") -> None:
        """Add a line for an exception, in colour; `ErrorList` has the details."""
        line = f"{what}: {typed_text_of(error)}"
        shown = html.escape(self._timed(f"{_CROSS} {line}"))
        self._text.appendHtml(f"<b style='color:{_RED}'>{shown}</b>")
        self.failed.emit(line)

    @staticmethod
    def _timed(line: str) -> str:
        return f"{time.strftime('%H:%M:%S')}  {line}"

    def _plan_started(self, future: PlanFutureView) -> None:
        self.note(f"{future.plan_name} started")

    def _plan_ended(self, future: PlanFutureView) -> None:
        if failure_of(future.outcome) is None:
            self.note(f"{future.plan_name} {future.status}")

    def _line_changed(self, up: bool, how: str) -> None:
        if not up:
            self.said(f"the line to the engine is lost: {how}")
        elif how == "restarted":
            self.said("there is a line again, to a new server: how plans there ended is not known")
        else:
            self.note("there is a line again")

    def _asked(self, what: str) -> None:
        self.note(f"by hand: {what}")

    def _task_changed(self, task: BackgroundTask) -> None:
        status = task.status
        if self._told.get(task) == status.name:
            return
        self._told[task] = status.name
        self.note(f"background {task.name}: {status.name.lower()}")


def _unlisten(handler: logging.Handler, feed: Feed) -> None:
    _PUBLISHING.removeHandler(handler)
    feed.close()
