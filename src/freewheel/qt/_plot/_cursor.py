"""A cursor in plots: which point is under the mouse, and how far it is from another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import QObject, Qt, Signal

from freewheel.qt._look._plots import plot_colours

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from freewheel.qt._plot._rows import PlotRows

__all__ = ["PlotCursor", "Reading"]

_DELTA = "\N{GREEK CAPITAL LETTER DELTA}"


class Reading(NamedTuple):
    """A point of a run: x, and y by their names."""

    x: float
    ys: dict[str, float]


class _Lines(NamedTuple):
    """What is drawn of a cursor in one plot."""

    across: pg.InfiniteLine
    along: pg.InfiniteLine
    marked: pg.InfiniteLine


class PlotCursor(QObject):
    """Says which point is nearest to the mouse; a click marks one, and differences are told.

    Parameters
    ----------
    rows
        The plots.
    points
        Returns the points that can be read: of each y its name, and x and y in shape (2, n).

    Attributes
    ----------
    said : Signal(str)
        What is under the cursor, in words; empty if nothing is.
    """

    said = Signal(str)

    def __init__(
        self, rows: PlotRows, points: Callable[[], Mapping[str, npt.NDArray[Any]]]
    ) -> None:
        super().__init__(rows)
        self._rows, self._points = rows, points
        self.mark: Reading | None = None
        self._lines: dict[int, _Lines] = {}  # by the plot's number
        rows.scene().sigMouseMoved.connect(self._moved)
        rows.scene().sigMouseClicked.connect(self._clicked)
        rows.coloursChanged.connect(self._take_colours)

    def _lines_of(self, number: int) -> _Lines:
        if number not in self._lines:
            lines = _Lines(*(pg.InfiniteLine(angle=angle) for angle in (90, 0, 90)))
            self._lines[number] = lines
            for line in lines:
                line.hide()
                self._rows.plots[number].addItem(line, ignoreBounds=True)
            self._take_colours()
        return self._lines[number]

    def _take_colours(self) -> None:
        colours = plot_colours()
        for across, along, marked in self._lines.values():
            across.setPen(colours.cursor)
            along.setPen(colours.cursor)
            marked.setPen(colours.mark)

    def _x_at(self, place: Any) -> float:
        return float(self._rows.plots[0].getViewBox().mapSceneToView(place).x())

    def _moved(self, place: Any) -> None:
        self.point(self._x_at(place))

    def _clicked(self, event: Any) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            found = self.nearest(self._x_at(event.scenePos()))
            self.set_mark(None if found is None or found == self.mark else found)

    def set_mark(self, mark: Reading | None) -> None:
        """Mark a point, from which differences are told, or none."""
        self.mark = mark
        for number in range(len(self._rows.plots)):
            marked = self._lines_of(number).marked
            marked.setVisible(mark is not None)
            if mark is not None:
                marked.setValue(mark.x)

    def nearest(self, x: float) -> Reading | None:
        """Return the point whose x is nearest; `None` if there are no points."""
        columns = self._points()
        if not columns:
            return None
        places = next(iter(columns.values()))[0]
        distances = np.abs(places - x)
        if not np.isfinite(distances).any():
            return None
        index = int(np.nanargmin(distances))
        return Reading(float(places[index]), {y: float(c[1, index]) for y, c in columns.items()})

    def point(self, x: float) -> None:
        """Read the point whose x is nearest."""
        found = self.nearest(x)
        for number in range(len(self._rows.plots)):
            self._show_lines(number, found)
        if found is None:
            self.said.emit("")
            return
        alone = len(found.ys) == 1
        parts = [f"x = {found.x:.6g}"]
        parts += [f"{'y' if alone else y} = {value:.6g}" for y, value in found.ys.items()]
        text = ", ".join(parts)
        if self.mark is not None:
            parts = [f"{_DELTA}x = {found.x - self.mark.x:.6g}"]
            for y, value in found.ys.items():
                if y in self.mark.ys:
                    name = "y" if alone else f" {y}"
                    parts.append(f"{_DELTA}{name} = {value - self.mark.ys[y]:.6g}")
            text += f"   {', '.join(parts)}"
        self.said.emit(text)

    def _show_lines(self, number: int, found: Reading | None) -> None:
        across, along, _ = self._lines_of(number)
        ys = self._rows.groups[number]
        value = np.nan if found is None or not ys else found.ys.get(ys[0], np.nan)
        if self._rows.plots[number].getAxis("left").logMode:
            value = np.log10(value) if value > 0 else np.nan
        across.setVisible(found is not None)
        along.setVisible(bool(np.isfinite(value)))
        if found is not None:
            across.setValue(found.x)
        if np.isfinite(value):
            along.setValue(value)
