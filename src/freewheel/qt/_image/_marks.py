"""A region and a line in a picture, which a person moves, and what is measured in them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import QObject, QRectF, Signal

from freewheel.qt._image._measure import Measured, measure
from freewheel.qt._link._worker import Worker

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["ImageMarks", "Region"]

#: Left, top, width and height, in pixels.
Region = tuple[int, int, int, int]

_REGION, _LINE = "#ffb000", "#35d0ff"
_KEPT: Final = 20_000  # measurements, for the plot against time


class ImageMarks(QObject):
    """The region and the line of one picture.

    Measuring is done on another thread, of the newest frame alone.

    Parameters
    ----------
    view
        The view of the picture, whose units are pixels.
    parent
        The QObject that owns this one.

    Attributes
    ----------
    measured : Signal(object)
        What was measured in a frame: `freewheel.qt._image._measure.Measured`.
    moved : Signal()
        A region or line was added, moved, or removed.
    """

    measured = Signal(object)
    moved = Signal()

    def __init__(self, view: pg.ViewBox, parent: QObject) -> None:
        super().__init__(parent)
        self._view = view
        self._shape = (0, 0)
        self._roi: pg.RectROI | None = None
        self._line: pg.LineSegmentROI | None = None
        self._worker = Worker(self)
        self._rows = np.empty((5, 256))  # time, mean, deviation, minimum, maximum
        self._count = 0
        self.latest: Measured | None = None

    # -- the region ---------------------------------------------------------------------------

    @property
    def region(self) -> Region | None:
        """The region: left, top, width and height, within the picture; `None` if there is none."""
        if self._roi is None:
            return None
        (x, y), (w, h) = self._roi.pos(), self._roi.size()
        height, width = self._shape
        if not height:  # there is no picture yet
            return round(x), round(y), round(w), round(h)
        left, top = min(max(0, round(x)), width - 1), min(max(0, round(y)), height - 1)
        right, bottom = min(max(left + 1, round(x + w)), width), min(round(y + h), height)
        return left, top, right - left, max(top + 1, bottom) - top

    def set_region(self, region: Region | None) -> None:
        """Show a region, or none; what was measured in another one is forgotten.

        Raises
        ------
        ValueError
            If it is no region; the one before is still shown.
        """
        if region is not None:
            _check_region(region)
        self._forget()
        if self._roi is not None:
            self._view.removeItem(self._roi)
            self._roi = None
        if region is not None:
            left, top, width, height = region
            self._roi = pg.RectROI((left, top), (width, height), pen=pg.mkPen(_REGION, width=2))
            self._roi.setZValue(10)
            self._roi.addScaleHandle((0, 0), (1, 1))
            self._view.addItem(self._roi)
            self._roi.sigRegionChanged.connect(self._region_moved)
        self.moved.emit()

    def _region_moved(self, *_: Any) -> None:
        self._forget()
        self.moved.emit()

    def _forget(self) -> None:
        """Forget what was measured, and is being measured, in another region."""
        self._count = 0
        self._worker.forget()

    def set_line(self, line: tuple[tuple[float, float], tuple[float, float]] | None) -> None:
        """Show a line between two points, each x and y, or none.

        Raises
        ------
        ValueError
            If one of them is nowhere, as with a NaN; the line before is still shown.
        """
        if line is not None and not np.isfinite(line).all():
            msg = f"a line goes from one point to another, not from {line[0]} to {line[1]}"
            raise ValueError(msg)
        if self._line is not None:
            self._view.removeItem(self._line)
            self._line = None
        if line is not None:
            self._line = pg.LineSegmentROI(line, pen=pg.mkPen(_LINE, width=2))
            self._line.setZValue(10)
            self._view.addItem(self._line)
            self._line.sigRegionChanged.connect(self.moved)
        self.moved.emit()

    @property
    def line(self) -> tuple[tuple[float, float], tuple[float, float]] | None:
        """The two ends of the line, each x and y; `None` if there is none."""
        if self._line is None:
            return None
        ends = [self._line.mapToParent(h["pos"]) for h in self._line.handles]
        begin, end = ((float(point.x()), float(point.y())) for point in ends)
        return begin, end

    def middle(self, share: float = 0.25) -> Region:
        """Return a region in the middle of what is in sight."""
        height, width = self._shape
        seen = self._view.viewRect().intersected(QRectF(0, 0, width, height))
        w, h = max(1, int(seen.width() * share)), max(1, int(seen.height() * share))
        centre = seen.center()
        return max(0, int(centre.x() - w / 2)), max(0, int(centre.y() - h / 2)), w, h

    def toggle_region(self, on: bool) -> None:
        """Show a region in the middle of what is in sight, if there is none, or none."""
        if on != (self._roi is not None):
            self.set_region(self.middle() if on else None)

    def toggle_line(self, on: bool) -> None:
        """Show a line through the middle of what is in sight, if there is none, or none."""
        if on == (self._line is not None):
            return
        left, top, width, height = self.middle(0.6)
        middle = top + height / 2
        self.set_line(((left, middle), (left + width, middle)) if on else None)

    # -- measuring ----------------------------------------------------------------------------

    def look(self, pixels: npt.NDArray[Any], time: float, limit: float | None) -> None:
        """Measure a frame, if there is something to measure."""
        self._shape = pixels.shape[:2]
        if self._roi is None and self._line is None:
            return
        self._worker.ask(
            partial(measure, pixels, time, self.region, self.line, limit), self._arrived
        )

    def _arrived(self, found: Measured | None, _: BaseException | None) -> None:
        if found is None:
            return
        self.latest = found
        if found.region is not None and self._roi is not None:
            self._keep(found)
        self.measured.emit(found)

    def _keep(self, found: Measured) -> None:
        region = found.region
        assert region is not None
        if self._count and self._rows[0, self._count - 1] == found.time:
            self._count -= 1  # the same frame once more: it is shown again
        elif self._count and self._rows[0, self._count - 1] > found.time:
            self._count = 0  # of a run that was before, which is shown or replayed
        if self._count == self._rows.shape[1]:
            kept = self._rows if self._count < _KEPT else self._rows[:, self._count // 2 :]
            self._count = kept.shape[1]
            self._rows = np.empty((5, 2 * self._count))
            self._rows[:, : self._count] = kept
        row = (found.time, region.mean, region.deviation, region.minimum, region.maximum)
        self._rows[:, self._count] = row
        self._count += 1

    @property
    def history(self) -> npt.NDArray[Any]:
        """Of the frames measured since the region was moved: time, mean, deviation, low, high.

        Times only grow: a frame of before, when a run is replayed, begins it anew.
        """
        history: npt.NDArray[Any] = self._rows[:, : self._count]
        return history


def _check_region(region: Region) -> None:
    if not np.isfinite(region).all():  # as of a fit that found nothing
        msg = f"a region is left, top, width and height in pixels, not {region}"
        raise ValueError(msg)
    _, _, width, height = region
    if width < 1 or height < 1:
        msg = f"a region is a pixel wide and high at least, not {width} x {height}"
        raise ValueError(msg)
