"""A picture on the screen: its part in sight, colours, levels, and what is drawn over it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import QCoreApplication, QEvent, QRectF, Signal
from qtpy.QtGui import QImage

from freewheel.qt._image._colours import Curve, colour_map, table_of
from freewheel.qt._image._frames import levels_of
from freewheel.qt._image._measure import at_limit
from freewheel.qt._image._scale_bar import ScaleBar
from freewheel.qt._look._plots import ThemedGraphics, dress_axis, plot_colours

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from freewheel.qt._image._frames import Picture
    from freewheel.qt._look._plots import PlotColours

__all__ = ["ImageView"]

#: What is larger is painted as if it were infinite: pyqtgraph's axes go no further.
_LARGEST: Final = 1e38
_SATURATED: Final = np.array([[0, 0, 0, 0], [255, 30, 30, 255]], np.uint8)


class ImageView(ThemedGraphics):
    """Paints what is in sight of a picture, no finer than the screen.

    Attributes
    ----------
    sightChanged : Signal()
        Another part is in sight, or other colours or levels are wanted: paint it again.
    levelsMoved : Signal()
        Somebody has moved the levels.
    pointed : Signal(int, int)
        The column and row under the mouse.
    view : pyqtgraph.ViewBox
        What regions and lines are added to; its units are pixels.
    """

    sightChanged = Signal()  # noqa: N815 - Qt's spelling
    levelsMoved = Signal()  # noqa: N815
    pointed = Signal(int, int)

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Picture")
        self.view = pg.ViewBox(lockAspect=True, invertY=True, enableMenu=False)
        self.item = pg.ImageItem(axisOrder="row-major")
        self._over = pg.ImageItem(axisOrder="row-major")  # what is saturated
        self._over.setLookupTable(_SATURATED)
        self._over.setZValue(5)
        self._over.hide()
        self.view.addItem(self.item)
        self.view.addItem(self._over)
        self.addItem(self.view)
        self.scale_bar = ScaleBar(self.view)
        self._shape = (0, 0)
        self._is_fitted = True
        self._curve = Curve()
        self._is_told = False  # the histogram is told of levels
        self.saturated_share = 0.0  # of the pixels that were painted last
        self._make_histogram()
        self.take_colours(plot_colours())
        self.scene().sigMouseMoved.connect(self._mouse_moved)
        self.view.sigRangeChanged.connect(self.sightChanged)
        self.view.sigRangeChangedManually.connect(self._moved_by_hand)

    def _make_histogram(self) -> None:
        self._histogram = pg.HistogramLUTItem(fillHistogram=False)
        self._histogram.setMaximumWidth(110)
        # Fed a few times a second from here: by itself it would count each frame.
        self._histogram.setImageItem(self.item)
        self.item.sigImageChanged.disconnect(self._histogram.imageChanged)
        self._histogram.sigLevelChangeFinished.connect(self._levels_moved)
        self._histogram.sigLookupTableChanged.connect(self._make_table)
        self.addItem(self._histogram)

    def take_colours(self, colours: PlotColours) -> None:
        """Draw what is around the picture, and the histogram, in the colours of a theme."""
        super().take_colours(colours)
        self.setBackground(colours.surroundings)
        dress_axis(self._histogram.axis, colours)
        self._histogram.plot.setPen(colours.text)

    # -- what is in sight ---------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the picture."""
        return self._shape

    @property
    def is_fitted(self) -> bool:
        """Whether the whole picture is in sight, and stays so when the window changes."""
        return self._is_fitted

    def fit(self, *_: Any) -> None:
        """Have the whole picture in sight, also when the window changes."""
        self._is_fitted = True
        height, width = self._shape
        if height and width:
            self.view.setRange(QRectF(0, 0, width, height), padding=0)

    def actual_size(self, *_: Any) -> None:
        """Show one pixel of the picture as one of the screen, around what is in the middle."""
        self._is_fitted = False
        (left, right), (top, bottom) = self.view.viewRange()
        ratio = self.devicePixelRatioF()
        width, height = self.view.width() * ratio, self.view.height() * ratio
        x, y = (left + right - width) / 2, (top + bottom - height) / 2
        self.view.setRange(QRectF(x, y, width, height), padding=0)

    def resizeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's spelling
        """Keep the whole picture in sight if it was."""
        super().resizeEvent(event)
        if getattr(self, "_is_fitted", False):  # pyqtgraph's constructor resizes
            self.fit()

    def _moved_by_hand(self, *_: Any) -> None:
        self._is_fitted = False

    def _part_in_sight(self) -> tuple[slice, slice, int]:
        height, width = self._shape
        (left, right), (top, bottom) = self.view.viewRange()
        pixels = max(1.0, self.view.width()), max(1.0, self.view.height())
        step = max(1, int(min((right - left) / pixels[0], (bottom - top) / pixels[1])))
        x0, x1 = max(0, int(left)), min(width, int(right) + 1)
        y0, y1 = max(0, int(top)), min(height, int(bottom) + 1)
        if x0 >= x1 or y0 >= y1:  # moved out of sight: keep something to show
            x0, x1, y0, y1 = 0, width, 0, height
        return slice(y0, y1, step), slice(x0, x1, step), step

    # -- painting -----------------------------------------------------------------------------

    def put(self, picture: Picture, *, auto: bool, limit: float | None) -> str:
        """Show a picture, and say what there is to know about its values.

        Parameters
        ----------
        picture
            The picture.
        auto
            Whether black and white are those of this frame.
        limit
            The value from which on pixels are marked as saturated; `None` for no mark.
        """
        height, width = picture.pixels.shape[:2]
        if self._shape != (height, width):
            self._shape = (height, width)
            self.fit()
            self.scale_bar.see_picture()
        rows, columns, step = self._part_in_sight()
        part = np.ascontiguousarray(picture.pixels[rows, columns])
        levels = levels_of(part) if auto or self.item.levels is None else self.item.levels
        levels = np.clip(levels, -_LARGEST, _LARGEST)
        rect = QRectF(columns.start, rows.start, part.shape[1] * step, part.shape[0] * step)
        self._mark_saturated(part, limit, rect)
        part, note = _paintable(part, levels)
        first = self.item.image is None
        self.item.setImage(part, autoLevels=False, levels=levels, autoDownsample=False)
        if first:  # pyqtgraph then takes those that it was given when there was no image
            self.item.setLevels(levels)
        self.item.setRect(rect)
        return note

    def whole(self, picture: Picture) -> Callable[[], QImage]:
        """Return what makes an image of a picture, with all of its pixels, on any thread."""
        table = None if picture.is_colour else self.item.lut
        return partial(_image_of, picture, self.item.levels, table)

    def clear_picture(self) -> None:
        """Show nothing."""
        self._shape = (0, 0)
        self.item.clear()
        self._over.hide()

    def _mark_saturated(self, part: npt.NDArray[Any], limit: float | None, rect: QRectF) -> None:
        full = None if limit is None else at_limit(part, limit)
        count = 0 if full is None else int(np.count_nonzero(full))
        self.saturated_share = count / full.size if full is not None and count else 0.0
        self._over.setVisible(bool(count))
        if full is not None and count:
            self._over.setImage(full.view(np.uint8), autoLevels=False, levels=(0, 1))
            self._over.setRect(rect)

    def paint_now(self) -> None:
        """Paint without waiting for the window's turn, so that the time is known."""
        # The scene looks then at what has changed, and paints that. `repaint` would paint all, and
        # have the scene do so once more in a moment.
        QCoreApplication.sendPostedEvents(self.scene(), QEvent.Type.MetaCall)

    def show_histogram(self) -> None:
        """Count the values of what is shown."""
        if self.item.image is None or self.item.image.ndim != 2:
            return
        self._is_told = True
        try:
            levels = self.item.levels
            self._histogram.imageChanged()
            if levels is not None and np.ndim(levels) == 1:
                self._histogram.region.setRegion(levels)
                self.item.setLevels(levels)
        finally:
            self._is_told = False

    def _levels_moved(self, *_: Any) -> None:
        if not self._is_told:  # by a person, and not from here
            self.levelsMoved.emit()

    # -- colours ------------------------------------------------------------------------------

    @property
    def curve(self) -> Curve:
        """How brightness follows the values."""
        return self._curve

    def set_curve(self, curve: Curve) -> None:
        """Take another one; black and white stay where they are."""
        self._curve = curve
        self._make_table()

    def set_colours(self, name: str) -> None:
        """Take a colour map; see `COLOUR_MAPS`."""
        self._histogram.gradient.setColorMap(colour_map(name))

    def _make_table(self, *_: Any) -> None:
        colours = self._histogram.gradient
        if self._curve.is_straight and colours.isLookupTrivial():
            self.item.setLookupTable(None)
        else:
            table = colours.getLookupTable(256, alpha=False)
            self.item.setLookupTable(table_of(table, self._curve))
        self.sightChanged.emit()

    def _mouse_moved(self, position: Any) -> None:
        point = self.view.mapSceneToView(position)
        self.pointed.emit(int(point.x() // 1), int(point.y() // 1))


def _image_of(picture: Picture, levels: Any, table: Any) -> QImage:
    pixels, _ = _paintable(np.ascontiguousarray(picture.pixels), levels)
    coloured, _ = pg.makeRGBA(pixels, lut=table, levels=levels)
    height, width = coloured.shape[:2]
    image = QImage(coloured.data, width, height, 4 * width, QImage.Format.Format_RGBA8888)
    return image.copy()  # which has its own memory


def _paintable(part: npt.NDArray[Any], levels: Any) -> tuple[npt.NDArray[Any], str]:
    """Paint what is not finite, or nearly, black or white, and say that it is there."""
    if part.dtype.kind in "ui" and part.dtype.itemsize == 8:
        return part.astype(np.float64), ""  # which pyqtgraph could not count beyond the others
    if part.dtype.kind != "f" or (part.min() >= -_LARGEST and part.max() <= _LARGEST):
        return part, ""  # and not so if one is NaN
    low, high = levels if np.ndim(levels) == 1 else (0.0, 1.0)
    known = np.abs(part) <= _LARGEST
    finite: npt.NDArray[Any] = np.where(known, part, np.where(part > 0, high, low))
    return finite, "some values are not finite" if known.any() else "no value is finite"
