"""What the plan in a form would do, below the form."""

from __future__ import annotations

import logging
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final

from qtpy.compat import isalive
from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from freewheel.qt._feed import Feed

if TYPE_CHECKING:
    from freewheel.core import PlanCall
    from freewheel.qt._bridge import EngineBridge
    from freewheel.qt._form import PlanForm

__all__ = ["PreviewPane"]

_log = logging.getLogger("freewheel")

#: After the last change of a value [ms].
_QUIET: Final = 200
#: Lines that are shown; the others are in the tool tip.
_LINES: Final = 6
#: For how long a preview that is under way is waited for when the window closes [s].
_PATIENCE: Final = 3.0


class PreviewPane(QWidget):
    """Says what the plan in a form would do, each time that a value has changed.

    Previews are made on a thread of their own, one after the other, and leave the processor to
    others in between. Of values that change quickly the last ones count.

    Parameters
    ----------
    bridge
        The bridge to the engine.

    Attributes
    ----------
    judged : Signal(object)
        The preview of what is in the form now (a `freewheel.Preview`); ``None`` while there is
        none.
    """

    judged = Signal(object)

    def __init__(self, bridge: EngineBridge, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._form: PlanForm | None = None
        # Of what was asked for last; of the window's thread, and read by the other one.
        self._number = 0
        # Guards the two that follow: the window's thread asks, the other one answers.
        self._lock = threading.Lock()
        self._wanted: tuple[int, PlanCall] | None = None
        self._thread: threading.Thread | None = None
        me = weakref.ref(self)
        self._feed = feed = Feed(lambda _, arguments: _hand_over(me, *arguments))
        weakref.finalize(self, feed.close).atexit = False
        self._label = QLabel()
        self._label.setObjectName("preview")
        self._label.setTextFormat(Qt.TextFormat.PlainText)
        self._label.setWordWrap(True)
        self._label.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self._label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        # What is above does not jump with each value.
        self._label.setMinimumHeight(4 * self._label.fontMetrics().lineSpacing())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._label)
        self._quiet = QTimer(self)
        self._quiet.setSingleShot(True)
        self._quiet.setInterval(_QUIET)
        self._quiet.timeout.connect(self._ask)
        # Devices stand somewhere else then.
        bridge.planEnded.connect(self._look_again)

    @property
    def text(self) -> str:
        """What is shown."""
        return str(self._label.text())

    def follow(self, form: PlanForm | None) -> None:
        """Say what the plan of another form would do; ``None`` for nothing."""
        if self._form is not None:
            self._form.valuesChanged.disconnect(self._changed)
        self._form = form
        if form is not None:
            form.valuesChanged.connect(self._changed)
        self._changed()

    def _look_again(self, _: object) -> None:
        self._quiet.start()

    def _changed(self) -> None:
        """Forget what was said: it was about other values."""
        self._number += 1
        self._show("")
        self.judged.emit(None)
        self._quiet.start()

    def _ask(self) -> None:
        form = self._form
        if form is None or not form.is_valid or form.spec.plan is None:
            return
        try:
            call = form.make_call()
        except Exception as error:  # a form with a bad value marks it itself
            _log.debug("No preview: %s", error)
            return
        self._number += 1
        with self._lock:
            self._wanted = self._number, call
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="freewheel-preview", daemon=True
                )
                self._thread.start()

    def _work(self) -> None:
        while True:
            with self._lock:
                wanted, self._wanted = self._wanted, None
                if wanted is None:
                    self._thread = None
                    return
            number, call = wanted
            try:
                self._feed.put("preview", number, self._preview(number, call))
            except Exception as error:  # the plan's own code, or a device's
                self._feed.put("preview", number, error)

    def _preview(self, number: int, call: PlanCall) -> Any:
        preview = self._bridge.engine.preview
        gently = getattr(preview, "gently", None)
        if gently is None:
            return preview(call)
        return gently(call, lambda: number != self._number)

    def arrived(self, number: int, foreseen: Any) -> None:
        """Show a preview, unless it is of values that have changed since."""
        if number != self._number:
            return
        if isinstance(foreseen, Exception):
            self._show(f"no preview: {foreseen}")
            return
        self._show("\n".join(foreseen.lines[:_LINES]), str(foreseen), wrong=foreseen.is_wrong)
        self.judged.emit(foreseen)

    def _show(self, text: str, tip: str = "", *, wrong: bool = False) -> None:
        self._label.setText(text)
        self._label.setToolTip(tip)
        self._label.setStyleSheet("color: #b3261e;" if wrong else "")

    def end(self) -> None:
        """Make no more previews, and wait for the one that is under way."""
        self._quiet.stop()
        self._number += 1
        self._feed.close()
        with self._lock:
            self._wanted = None
            thread = self._thread
        if thread is not None:
            thread.join(_PATIENCE)


def _hand_over(pane: weakref.ref[PreviewPane], number: int, foreseen: Any) -> None:
    target = pane()
    if target is not None and isalive(target):
        target.arrived(number, foreseen)
