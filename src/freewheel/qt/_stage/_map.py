"""Where a stage is, may go, and has been: a map, and the place for the arrow keys."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QPainter, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

from freewheel.qt._link._limits import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["StageMap"]

_EDGE: Final = 14  # px
_DOT: Final = 4.0
#: Names are written for so many places; more would only cover each other.
_NAMED: Final = 40
_KEYS: Final = {
    Qt.Key.Key_Left: (-1, 0, 0),
    Qt.Key.Key_Right: (1, 0, 0),
    Qt.Key.Key_Up: (0, 1, 0),
    Qt.Key.Key_Down: (0, -1, 0),
    Qt.Key.Key_PageUp: (0, 0, 1),
    Qt.Key.Key_PageDown: (0, 0, -1),
}
#: What Shift does to a step.
_LARGE: Final = 10
_UNKNOWN: Final = 100.0  # how much is shown around where there are no limits


class StageMap(QWidget):
    """A map of the stage: its limits, the saved positions, fields to be imaged, where it is now.

    With the keyboard the arrow keys step, Page Up and Page Down the focus, and Shift makes ten
    steps of one. A double click goes there; which place that is stands in the corner before.

    Attributes
    ----------
    stepped : Signal(int, int, int)
        Steps of x, y and focus.
    chosen : Signal(float, float)
        A place, double clicked.
    """

    stepped = Signal(int, int, int)
    chosen = Signal(float, float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._place: tuple[float, float] | None = None
        self._limits = (Limits(), Limits())
        self._positions: Mapping[str, tuple[float, float]] = {}
        self._fields: Sequence[tuple[float, float, float, float]] = ()
        self._pointed: QPointF | None = None
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName("Map of the stage: arrow keys, Page Up and Page Down move it")
        self.setToolTip(
            "Arrow keys step, Page Up and Page Down step the focus, Shift makes ten steps of one; "
            "a double click goes there"
        )

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's spelling
        """Take room for some names."""
        return QSize(220, 180)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's spelling
        """Be large enough to be seen."""
        return QSize(120, 100)

    # -- showing ------------------------------------------------------------------------------

    def show_place(self, place: tuple[float, float] | None, limits: tuple[Limits, Limits]) -> None:
        """Show where the stage is, and how far it may go."""
        if (place, limits) != (self._place, self._limits):
            self._place, self._limits = place, limits
            self.update()

    def show_positions(self, positions: Mapping[str, tuple[float, float]]) -> None:
        """Show the positions that were saved."""
        self._positions = dict(positions)
        self.update()

    def show_fields(self, fields: Sequence[tuple[float, float, float, float]]) -> None:
        """Show what is to be imaged: left, top, width and height of each, in the stage's unit."""
        self._fields = tuple(fields)
        self.update()

    @property
    def fields(self) -> tuple[tuple[float, float, float, float], ...]:
        """What is shown to be imaged."""
        return tuple(self._fields)

    @property
    def extent(self) -> QRectF:
        """What is in sight, in the stage's unit."""
        xs, ys = self._seen(0), self._seen(1)
        return QRectF(xs[0], ys[0], xs[1] - xs[0], ys[1] - ys[0])

    def _seen(self, axis: int) -> tuple[float, float]:
        low, high = self._limits[axis]
        found = [place[axis] for place in self._positions.values()]
        found += [] if self._place is None else [self._place[axis]]
        for field in self._fields:
            found += [field[axis], field[axis] + field[axis + 2]]
        if low is None:
            low = min(found, default=0.0) - _UNKNOWN
        if high is None:
            high = max(found, default=0.0) + _UNKNOWN
        return (low, high) if high > low else (low - _UNKNOWN, low + _UNKNOWN)

    def _scale(self) -> tuple[float, QRectF]:
        """Return pixels for each unit, and what is in sight."""
        seen = self.extent
        room = max(1, self.width() - 2 * _EDGE), max(1, self.height() - 2 * _EDGE)
        return min(room[0] / seen.width(), room[1] / seen.height()), seen

    def on_screen(self, x: float, y: float) -> QPointF:
        """Return where a place is in the widget; y goes up."""
        scale, seen = self._scale()
        middle, here = seen.center(), self.rect().center()
        return QPointF(here.x() + (x - middle.x()) * scale, here.y() - (y - middle.y()) * scale)

    def on_stage(self, point: QPointF) -> tuple[float, float]:
        """Return which place is at a point of the widget."""
        scale, seen = self._scale()
        middle, here = seen.center(), self.rect().center()
        return (
            middle.x() + (point.x() - here.x()) / scale,
            middle.y() - (point.y() - here.y()) / scale,
        )

    @property
    def pointed(self) -> str:
        """The place that a double click would go to now, to a pixel; empty without the mouse."""
        if self._pointed is None:
            return ""
        digits = max(0, math.ceil(math.log10(self._scale()[0])))
        x, y = (round(each, digits) + 0.0 for each in self.on_stage(self._pointed))  # no -0
        return f"{x:.{digits}f}, {y:.{digits}f}"

    def paintEvent(self, _: Any) -> None:  # noqa: N802 - Qt's spelling
        """Draw the map."""
        painter, palette = QPainter(self), self.palette()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), palette.base())
        grey, text = palette.placeholderText().color(), palette.text().color()
        if self._limits != (Limits(), Limits()):
            painter.setPen(QPen(grey, 1, Qt.PenStyle.DashLine))
            painter.drawRect(self._on_screen(self.extent))
        painter.setPen(QPen(palette.link().color(), 1))
        for left, top, width, height in self._fields:
            painter.drawRect(self._on_screen(QRectF(left, top, width, height)))
        painter.setPen(text)
        for number, (name, place) in enumerate(self._positions.items()):
            point = self.on_screen(*place)
            painter.setBrush(text)
            painter.drawEllipse(point, _DOT / 2, _DOT / 2)
            if number < _NAMED:
                painter.drawText(point + QPointF(_DOT, -_DOT), name)
        if self._place is not None:
            self._draw_cross(painter, self.on_screen(*self._place))
        painter.setPen(text)
        corner = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignBottom
        painter.drawText(self.rect().adjusted(4, 0, 0, -2), corner, self.pointed)
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(palette.highlight().color(), 2))
            painter.drawRect(self.rect().adjusted(1, 1, -1, -1))

    def _on_screen(self, place: QRectF) -> QRectF:
        corners = (
            self.on_screen(place.left(), place.top()),
            self.on_screen(place.right(), place.bottom()),
        )
        return QRectF(*corners).normalized()

    def _draw_cross(self, painter: QPainter, point: QPointF) -> None:
        painter.setPen(QPen(self.palette().highlight().color(), 2))
        for dx, dy in ((8, 0), (0, 8)):
            painter.drawLine(point - QPointF(dx, dy), point + QPointF(dx, dy))

    # -- asking -------------------------------------------------------------------------------

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802 - Qt's spelling
        """Step."""
        step = _KEYS.get(event.key())
        if step is None:
            super().keyPressEvent(event)
            return
        large = event.modifiers() & Qt.KeyboardModifier.ShiftModifier
        self.stepped.emit(*(each * (_LARGE if large else 1) for each in step))

    def mouseMoveEvent(self, event: Any) -> None:  # noqa: N802 - Qt's spelling
        """Say which place is pointed at: without limits, nothing else tells how far that is."""
        self._pointed = event.position()
        self.update()

    def leaveEvent(self, _: Any) -> None:  # noqa: N802 - Qt's spelling
        """Say no more what is pointed at."""
        self._pointed = None
        self.update()

    def mouseDoubleClickEvent(self, event: Any) -> None:  # noqa: N802 - Qt's spelling
        """Go there."""
        if event.button() == Qt.MouseButton.LeftButton:
            self.chosen.emit(*self.on_stage(event.position()))
