"""Maps of scans with two dimensions: what was measured, as colours in the plane of the motors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import QRectF, Signal

from freewheel.qt._look._plots import ThemedGraphics, dress_axis, plot_colours
from freewheel.qt._plot._tables import with_unit

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    from qtpy.QtWidgets import QWidget

    from freewheel.qt._look._plots import PlotColours
    from freewheel.qt._plot._cells import Cells

__all__ = ["PlotMaps"]

#: So many points of a scan without an even grid are drawn, the newer ones.
_POINTS: Final = 5000
_SHADES: Final = 128
_SIZE: Final = 9  # of a point [pixels]
#: With sides that differ by no more, a unit is as long in both directions.
_LIKE_A_SQUARE: Final = 3.0


class PlotMaps(ThemedGraphics):
    """A map of each signal, beside each other.

    Attributes
    ----------
    said : Signal(str)
        What is under the mouse, in words; empty if nothing is.
    """

    said = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._maps: list[_Map] = []  # also those that are not needed now
        self._count = 0
        self._cells: Cells | None = None
        self.scene().sigMouseMoved.connect(self._moved)

    def draw(self, cells: Cells, units: Mapping[str, str]) -> None:
        """Draw what was measured in a plane."""
        self._cells = cells
        self._arrange(len(cells.values))
        for each, y in zip(self._maps, cells.values, strict=False):
            each.draw(cells, y, units)

    def _arrange(self, count: int) -> None:
        before, self._count = self._count, count
        columns = 1 if count < 2 else 2
        if count == before:
            return
        for each in self._maps[:before]:
            self.removeItem(each.layout)
        for number in range(count):
            if number == len(self._maps):
                self._maps.append(_Map(self))
            self.addItem(self._maps[number].layout, number // columns, number % columns)

    def take_colours(self, colours: PlotColours) -> None:
        """Draw the scales of colours in those of a theme, too."""
        super().take_colours(colours)
        for each in self._maps:
            each.take_colours(colours)

    def _moved(self, place: Any) -> None:
        for each in self._maps[: self._count]:
            if each.plot.sceneBoundingRect().contains(place):
                point = each.plot.getViewBox().mapSceneToView(place)
                self.point(point.x(), point.y())

    def point(self, x: float, y: float) -> None:
        """Read what was measured nearest to a place."""
        cells = self._cells
        if cells is None:
            return
        span = np.ptp(cells.places, axis=1)[:, None]
        away = (cells.places - np.array([[x], [y]])) / np.where(span > 0, span, 1.0)
        distances = np.hypot(*away)
        if not np.isfinite(distances).any():
            self.said.emit("")
            return
        index = int(np.nanargmin(distances))
        here = dict(zip((cells.x, cells.y), cells.places[:, index], strict=True))
        here |= {key: values[index] for key, values in cells.values.items()}
        self.said.emit(", ".join(f"{key} = {value:.6g}" for key, value in here.items()))


class _Map:
    """The map of one signal, with its scale of colours."""

    def __init__(self, within: ThemedGraphics) -> None:
        self.layout = pg.GraphicsLayout()
        self.plot = within.add_plot(self.layout)
        self.plot.showGrid(x=False, y=False)  # it would lie over the colours
        self._image = pg.ImageItem(axisOrder="row-major")
        self._points = pg.ScatterPlotItem(size=_SIZE, pen=None)
        for item in (self._image, self._points):
            self.plot.addItem(item)
        self._colours = pg.colormap.get("viridis")
        self._brushes = [pg.mkBrush(each) for each in self._colours.getLookupTable(0, 1, _SHADES)]
        self._bar = pg.ColorBarItem(colorMap=self._colours, interactive=False, width=14)
        self._bar.setImageItem(self._image)
        self.layout.addItem(self._bar)
        self._seen: Any = None  # the area that was put in sight, and the labels
        self.take_colours(plot_colours())

    def take_colours(self, colours: PlotColours) -> None:
        dress_axis(self._bar.axis, colours)
        self.plot.titleLabel.setText(self.plot.titleLabel.text, color=colours.text)

    def draw(self, cells: Cells, y: str, units: Mapping[str, str]) -> None:
        image = None if cells.images is None else cells.images[y]
        values = cells.values[y] if image is None else image
        levels = _levels(values)
        self._bar.setLevels(levels)
        self._image.setVisible(image is not None)
        self._points.setVisible(image is None)
        if image is not None and cells.area is not None:
            self._image.setImage(image, autoLevels=False, levels=levels)
            self._image.setRect(QRectF(*cells.area))
        else:
            self._draw_points(cells, values, levels)
        self._put_in_sight(cells, y, units)

    def _draw_points(
        self, cells: Cells, values: npt.NDArray[Any], levels: tuple[float, float]
    ) -> None:
        drawn = np.isfinite(values) & np.isfinite(cells.places).all(axis=0)
        shares = (values[drawn][-_POINTS:] - levels[0]) / (levels[1] - levels[0])
        shades = np.clip(np.rint(shares * (_SHADES - 1)), 0, _SHADES - 1).astype(int)
        x, y = cells.places[:, drawn][:, -_POINTS:]
        self._points.setData(x=x, y=y, brush=[self._brushes[shade] for shade in shades])

    def _put_in_sight(self, cells: Cells, y: str, units: Mapping[str, str]) -> None:
        seen = cells.area, cells.x, cells.y, y
        if seen == self._seen:
            return  # which lays out all of the map, and would undo a person's zoom
        self._seen = seen
        self.plot.setTitle(with_unit(y, units), color=plot_colours().text, size="9pt")
        self.plot.setLabel("bottom", with_unit(cells.x, units))
        self.plot.setLabel("left", with_unit(cells.y, units))
        if cells.area is None:
            self.plot.setAspectLocked(False)
            self.plot.enableAutoRange()
            return
        width, height = cells.area[2:]
        square = units.get(cells.x) == units.get(cells.y) and (
            1 / _LIKE_A_SQUARE <= width / height <= _LIKE_A_SQUARE
        )
        self.plot.setAspectLocked(square)
        self.plot.setRange(QRectF(*cells.area), padding=0.02)


def _levels(values: npt.NDArray[Any]) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)
