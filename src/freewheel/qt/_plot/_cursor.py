"""A cursor in a plot: which point is under the mouse, and how far it is from another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import QObject, Qt, Signal

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

__all__ = ["PlotCursor"]


class PlotCursor(QObject):
    """Says which point is nearest to the mouse; a click marks one, and differences are told.

    Parameters
    ----------
    plot
        The plot.
    points
        Returns the points that can be read, shape (2, n).

    Attributes
    ----------
    said : Signal(str)
        What is under the cursor, in words; empty if nothing is.
    """

    said = Signal(str)

    def __init__(self, plot: pg.PlotWidget, points: Callable[[], npt.NDArray[Any]]) -> None:
        super().__init__(plot)
        self._plot, self._points = plot, points
        self.mark: tuple[float, float] | None = None
        self._lines = [pg.InfiniteLine(angle=angle, pen=pg.mkPen("#888888")) for angle in (90, 0)]
        self._marked = pg.InfiniteLine(angle=90, pen=pg.mkPen("#35d0ff"))
        for line in (*self._lines, self._marked):
            line.hide()
            plot.addItem(line, ignoreBounds=True)
        plot.scene().sigMouseMoved.connect(self._moved)
        plot.scene().sigMouseClicked.connect(self._clicked)

    def _moved(self, position: Any) -> None:
        self.point(self._plot.getViewBox().mapSceneToView(position).x())

    def _clicked(self, event: Any) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            found = self.nearest(self._plot.getViewBox().mapSceneToView(event.scenePos()).x())
            self.set_mark(None if found is None or found == self.mark else found)

    def set_mark(self, mark: tuple[float, float] | None) -> None:
        """Mark a point, from which differences are told, or none."""
        self.mark = mark
        self._marked.setVisible(mark is not None)
        if mark is not None:
            self._marked.setValue(mark[0])

    def nearest(self, x: float) -> tuple[float, float] | None:
        """Return the point whose x is nearest; `None` if there are no points."""
        points = self._points()
        distances = np.abs(points[0] - x)
        if not np.isfinite(distances).any():
            return None
        index = int(np.nanargmin(distances))
        return float(points[0, index]), float(points[1, index])

    def point(self, x: float) -> None:
        """Read the point whose x is nearest."""
        found = self.nearest(x)
        for line in self._lines:
            line.setVisible(found is not None)
        if found is None:
            self.said.emit("")
            return
        for line, value in zip(self._lines, found, strict=True):
            if np.isfinite(value):
                line.setValue(value)
        text = f"x = {found[0]:.6g}, y = {found[1]:.6g}"
        if self.mark is not None:
            text += f"   \N{GREEK CAPITAL LETTER DELTA}x = {found[0] - self.mark[0]:.6g}"
            text += f", \N{GREEK CAPITAL LETTER DELTA}y = {found[1] - self.mark[1]:.6g}"
        self.said.emit(text)
