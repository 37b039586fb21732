"""What the plan in a form would do, below the form."""

from __future__ import annotations

import logging
import weakref
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from freewheel.previews._facts import AWAY
from freewheel.qt._link._feed import Feed
from freewheel.qt._look._tones import Tone, tint
from freewheel.qt._plans._preview_worker import PreviewWorker

if TYPE_CHECKING:
    from freewheel.qt._link._bridge import EngineBridge
    from freewheel.qt._plans._form import PlanForm

__all__ = ["PreviewPane"]

_log = logging.getLogger("freewheel")

#: After the last change of a value [ms].
_QUIET: Final = 200
#: Between two looks at a plan whose devices are away, and may come back [ms].
_PATIENCE: Final = 2000
#: Lines that are shown; the others are in the tool tip.
_LINES: Final = 6


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
        self._feed = feed = Feed(self._arrived)
        self._worker = worker = PreviewWorker(
            bridge.engine.preview, lambda number, made: feed.put("preview", number, made)
        )
        end = weakref.finalize(self, _let_go, worker)
        end.atexit = False
        # A window may be deleted that was never closed, while Python still knows it, or after. No
        # function of ours: PyQt calls those that were cleared with the window, and crashes.
        self.destroyed.connect(end)
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
        self._away = QTimer(self)
        self._away.setSingleShot(True)
        self._away.setInterval(_PATIENCE)
        self._away.timeout.connect(self._ask)
        # Devices stand somewhere else then, or others have them.
        for changed in (bridge.planEnded, bridge.backgroundChanged):
            changed.connect(self._look_again)

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
        self._away.stop()
        self._worker.ask(None)
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
        self._worker.ask(call)

    def _arrived(self, _: str, arguments: tuple[int, Any]) -> None:
        """Show a preview, unless it is of values that have changed since."""
        number, foreseen = arguments
        if number != self._worker.number:
            return
        if isinstance(foreseen, BaseException):
            self._show(f"no preview: {foreseen!r}")
            if isinstance(foreseen, TimeoutError):  # of an engine elsewhere
                self._away.start()
            return
        self._show("\n".join(foreseen.lines[:_LINES]), str(foreseen), wrong=foreseen.is_wrong)
        if any(problem.text.endswith(AWAY) for problem in foreseen.problems):
            self._away.start()
        self.judged.emit(foreseen)

    def _show(self, text: str, tip: str = "", *, wrong: bool = False) -> None:
        self._label.setText(text)
        self._label.setToolTip(tip)
        tint(self._label, Tone.ERROR if wrong else None)

    def end(self) -> None:
        """Make no more previews, and wait for the one that is under way."""
        self._quiet.stop()
        self._away.stop()
        self._feed.close()
        self._worker.end()


def _let_go(worker: PreviewWorker) -> None:
    worker.end(wait=False)
