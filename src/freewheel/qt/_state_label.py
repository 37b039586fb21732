"""What the engine does, in a word and a colour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from freewheel.qt._bridge import EngineBridge

__all__ = ["StateLabel"]

_COLOURS: Final = {"idle": "#707070", "running": "#1a8a3b", "paused": "#a66a00"}
_OTHER: Final = "#c0392b"
_TASKS: Final = "#1565c0"  # nothing in the foreground, but not nothing
_NO_LINE: Final = "The line to the engine is lost, and tried again: all this is how it was then."
#: So many letters of a task's name are shown: there is a red button beside it.
_NAME: Final = 24


class StateLabel(QLabel):
    """The engine's state; it counts the background tasks, for with them an engine is not idle.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    parent
        The widget's parent.
    """

    def __init__(self, bridge: EngineBridge, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self.setObjectName("state")
        self.setTextFormat(Qt.TextFormat.PlainText)
        bridge.stateChanged.connect(self._look)
        bridge.backgroundChanged.connect(self._look)
        bridge.lineChanged.connect(self._look)
        self._look()

    def _look(self, *_: Any) -> None:
        picture = self._bridge.snapshot()
        tasks = [task.name for task in picture.background if not task.status.ended]
        text, colour = str(picture.state), _COLOURS.get(picture.state, _OTHER)
        if tasks and picture.state == "idle":
            more = f", {len(tasks) - 1} more" if len(tasks) > 1 else ""
            text, colour = f"{_shortened(tasks[0])}{more}", _TASKS
        tip = f"in the background: {', '.join(tasks)}" if tasks else ""
        if not self._bridge.connected:
            text, colour, tip = "no line", _OTHER, _NO_LINE
        self.setText(text)
        self.setToolTip(tip)
        self.setAccessibleName(f"State: {text}")
        self.setStyleSheet(
            f"background: {colour}; color: white; border-radius: 4px; padding: 2px 8px;"
            "font-weight: bold;"
        )


def _shortened(name: str) -> str:
    return name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"
