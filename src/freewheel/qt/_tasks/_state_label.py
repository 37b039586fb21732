"""What the engine does, in a word, a shape and a colour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPen, QPolygonF
from qtpy.QtWidgets import QLabel

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

    from freewheel.qt._link._bridge import EngineBridge

__all__ = ["StateLabel"]

_COLOURS: Final = {"idle": "#5f6368", "running": "#177534", "paused": "#8a5600"}
_OTHER: Final = "#b3261e"
_TASKS: Final = "#1558b0"  # nothing in the foreground, but not nothing
_NO_LINE: Final = "The line to the engine is lost, and tried again: all this is how it was then."
#: So many letters of a task's name are shown: there is a red button beside it.
_NAME: Final = 24
#: The shape, and the room that it takes.
_SIDE: Final = 9
_ROOM: Final = 24
#: No less than this is shown of a word.
_SHORTEST: Final = "suspending"


class StateLabel(QLabel):
    """The engine's state; it counts the background tasks, for with them an engine is not idle.

    A shape stands for the colour: a ring while it is idle, a triangle while something runs, two
    bars while it is paused, a diamond while it changes, a cross while there is no line.

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
        self._draw: Callable[[QPainter, QRectF], None] = _ring
        self._colour = QColor(_OTHER)
        font = self.font()
        font.setBold(True)
        self.setFont(font)
        self.setObjectName("state")
        self.setTextFormat(Qt.TextFormat.PlainText)
        bridge.stateChanged.connect(self._look)
        bridge.backgroundChanged.connect(self._look)
        bridge.lineChanged.connect(self._look)
        self._look()

    @property
    def shape(self) -> str:
        """What is drawn before the word, such as ``"triangle"``."""
        return self._draw.__name__.removeprefix("_")

    def _look(self, *_: Any) -> None:
        picture = self._bridge.snapshot()
        tasks = [task.name for task in picture.background if not task.status.ended]
        text, colour = str(picture.state), _COLOURS.get(picture.state, _OTHER)
        self._draw = _SHAPES.get(picture.state, _diamond)
        if tasks and picture.state == "idle":
            more = f", {len(tasks) - 1} more" if len(tasks) > 1 else ""
            text, colour = f"{_shortened(tasks[0])}{more}", _TASKS
            self._draw = _triangle
        tip = f"in the background: {', '.join(tasks)}" if tasks else ""
        if not self._bridge.connected:
            text, colour, tip, self._draw = "no line", _OTHER, _NO_LINE, _cross
        self.setText(text)
        self.setToolTip(tip)
        self.setAccessibleName(f"State: {text}")
        self._colour = QColor(colour)
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's spelling
        """Have room for the shape and the word."""
        return self._room_for(self.text())

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's spelling
        """Have room for a state; a name is shortened."""
        return self._room_for(_SHORTEST)

    def _room_for(self, text: str) -> QSize:
        metrics = self.fontMetrics()
        return QSize(_ROOM + metrics.horizontalAdvance(text) + 10, metrics.height() + 8)

    def paintEvent(self, _: Any) -> None:  # noqa: N802 - Qt's spelling
        """Draw the word, and the shape before it."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._colour)
        painter.drawRoundedRect(self.rect(), 4, 4)
        painter.setPen(QPen(Qt.GlobalColor.white, 2))
        room = self.rect().adjusted(_ROOM, 0, -8, 0)
        right = Qt.TextElideMode.ElideRight
        text = self.fontMetrics().elidedText(self.text(), right, room.width())
        painter.drawText(room, int(Qt.AlignmentFlag.AlignVCenter), text)
        painter.setBrush(Qt.GlobalColor.white)
        left = (_ROOM - _SIDE) / 2
        self._draw(painter, QRectF(left, (self.height() - _SIDE) / 2, _SIDE, _SIDE))


def _ring(painter: QPainter, room: QRectF) -> None:
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawEllipse(room)


def _triangle(painter: QPainter, room: QRectF) -> None:
    right = QPointF(room.right(), room.center().y())
    painter.drawPolygon(QPolygonF([room.topLeft(), room.bottomLeft(), right]))


def _bars(painter: QPainter, room: QRectF) -> None:
    painter.setPen(QPen(Qt.GlobalColor.white, 3))
    for x in (room.left() + 1, room.right() - 1):
        painter.drawLine(QPointF(x, room.top()), QPointF(x, room.bottom()))


def _diamond(painter: QPainter, room: QRectF) -> None:
    middle = room.center()
    corners = [
        QPointF(middle.x(), room.top()),
        QPointF(room.right(), middle.y()),
        QPointF(middle.x(), room.bottom()),
        QPointF(room.left(), middle.y()),
    ]
    painter.drawPolygon(QPolygonF(corners))


def _cross(painter: QPainter, room: QRectF) -> None:
    painter.drawLine(room.topLeft(), room.bottomRight())
    painter.drawLine(room.bottomLeft(), room.topRight())


_SHAPES: Final[dict[str, Callable[[QPainter, QRectF], None]]] = {
    "idle": _ring,
    "running": _triangle,
    "paused": _bars,
}


def _shortened(name: str) -> str:
    return name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"
