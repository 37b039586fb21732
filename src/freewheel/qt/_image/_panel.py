"""What is measured in a picture: a region against time, and a line."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QSplitter, QVBoxLayout, QWidget

from freewheel.qt._look._inputs import wheel_needs_focus
from freewheel.qt._look._plots import ThemedGraphics, plot_colours
from freewheel.qt._look._readback import ShortLabel

if TYPE_CHECKING:
    from freewheel.qt._image._marks import ImageMarks
    from freewheel.qt._image._measure import Measured, RegionStatistics
    from freewheel.qt._look._plots import PlotColours

__all__ = ["ImagePanel"]

_PERIOD: Final = 0.1  # between two drawings [s]
#: What can be plotted against time, by its row in `ImageMarks.history`.
_ROWS: Final = {"mean": 1, "deviation": 2, "minimum": 3, "maximum": 4}
_ROOM: Final = 170
#: Which colours of curves they have: like those of the region and the line in the picture.
_TREND, _PROFILE = 1, 0


class ImagePanel(QWidget):
    """Statistics of the region in words and against time, and the profile along the line.

    Parameters
    ----------
    marks
        What is measured.

    Attributes
    ----------
    wanted : Signal(object)
        The region is to be used in a plan: left, top, width and height.
    """

    wanted = Signal(object)

    def __init__(self, marks: ImageMarks) -> None:
        super().__init__()
        self._marks = marks
        self._pixel_size: tuple[float, str] | None = None
        self._newest: Measured | None = None
        self._drawn = 0.0
        self._turn = 0  # of the plots, which are drawn one after the other
        self._unit = ""  # that the line's axis has
        self._where, self._words = ShortLabel(), ShortLabel()
        self._where.setObjectName("region")
        self._words.setObjectName("statistics")
        self._words.elide = Qt.TextElideMode.ElideRight  # the mean comes first
        self._row = QComboBox()
        self._row.setObjectName("statistic")
        self._row.setAccessibleName("Statistic plotted against time")
        self._row.addItems(list(_ROWS))
        self._row.currentIndexChanged.connect(self._draw)
        wheel_needs_focus(self._row)
        use = QPushButton("Use in plan")
        use.setObjectName("useRegion")
        use.setToolTip("Fill the region into the plan's form, where that asks for one")
        use.clicked.connect(self._use)
        self._use_button = use
        words = QVBoxLayout()  # two lines are no higher than what can be pressed beside them
        words.setSpacing(0)
        words.addWidget(self._where)
        words.addWidget(self._words)
        line = QHBoxLayout()
        line.addLayout(words, 1)
        line.addWidget(self._row)
        line.addWidget(use)
        self._trend, self._profile = _OneCurve(_TREND), _OneCurve(_PROFILE)
        self._trend.plot.setLabel("bottom", "time [s]")
        plots = QSplitter()
        plots.addWidget(self._trend)
        plots.addWidget(self._profile)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(line)
        layout.addWidget(plots)
        self.setFixedHeight(_ROOM)
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self._draw)
        marks.measured.connect(self._take)
        marks.moved.connect(self._moved)
        self._moved()

    @property
    def text(self) -> str:
        """The statistics in words."""
        return ": ".join(filter(None, (self._where.text(), self._words.text())))

    def set_pixel_size(self, size: tuple[float, str] | None) -> None:
        """Take the size of a pixel and its unit, for the line; without, it is in pixels."""
        self._pixel_size = size

    def _moved(self) -> None:
        region, line = self._marks.region, self._marks.line
        self.setVisible(region is not None or line is not None)
        self._trend.setVisible(region is not None)
        self._profile.setVisible(line is not None)
        for part in (self._row, self._use_button):
            part.setVisible(region is not None)
        if region is None:
            self._where.setText("")
            self._words.setText("")

    def _use(self, *_: Any) -> None:
        if (region := self._marks.region) is not None:
            self.wanted.emit(region)

    def _take(self, found: Measured) -> None:
        self._newest = found
        if not self._later.isActive():
            wait = max(0.0, self._drawn + _PERIOD - time.monotonic())
            self._later.start(round(1000 * wait))

    def _draw(self, *_: Any) -> None:
        self._drawn = time.monotonic()
        self._turn = 1 - self._turn
        if self._turn or self._marks.line is None:
            self._draw_region()
        if not self._turn or self._marks.region is None:
            self._draw_line()

    def _draw_region(self) -> None:
        found, region = self._newest, self._marks.region
        if found is not None and region is not None and found.region is not None:
            left, top, width, height = region
            self._where.setText(f"{width} x {height} at ({left}, {top})")
            self._words.setText(_text(found.region))
            history = self._marks.history
            if history.shape[1]:
                row = history[_ROWS[self._row.currentText()]]
                self._trend.curve.setData(history[0] - history[0, 0], row)

    def _draw_line(self) -> None:
        found = self._newest
        if found is not None and found.distance is not None and self._marks.line is not None:
            size, unit = self._pixel_size or (1.0, "pixels")
            if unit != self._unit:  # which lays out all of the plot
                self._unit = unit
                self._profile.plot.setLabel("bottom", f"along the line [{unit}]")
            self._profile.curve.setData(found.distance * size, found.values)


def _text(region: RegionStatistics) -> str:
    text = f"mean {region.mean:.4g} ± {region.deviation:.3g}"
    text += f", {region.minimum:g} to {region.maximum:g}, sum {region.total:.3g}"
    return f"{text}, {region.saturated} saturated" if region.saturated else text


class _OneCurve(ThemedGraphics):
    """A plot with one curve, in one of the colours that curves have."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number
        self.plot = self.add_plot()
        self.curve = self.plot.plot(connect="finite")
        self.curve.setClipToView(True)
        self.curve.setDownsampling(auto=True, method="peak")
        self.take_colours(plot_colours())

    def take_colours(self, colours: PlotColours) -> None:
        """Draw the curve in the colour of a theme, too."""
        super().take_colours(colours)
        self.curve.setPen(colours.curves[self._number])
