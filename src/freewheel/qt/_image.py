"""A live image that shows the newest frame, at what pace the window can bear."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import QRectF, Qt, QTimer, Signal
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from freewheel.qt._frames import Picture, UnshowableFrameError, find_frame, prepare
from freewheel.qt._rates import RateMeter

if TYPE_CHECKING:
    import numpy.typing as npt

    from freewheel.qt._bridge import EngineBridge

__all__ = ["LiveImage"]

# The histogram is for people, who need it a few times a second [s].
_HISTOGRAM_PERIOD = 0.25
_STATUS_PERIOD = 0.25
# Levels leave out this share of the pixels at each end: a hot pixel shall not darken the rest [%].
_CLIPPED = 0.1


class LiveImage(QWidget):
    """The newest frame of the running plan.

    However fast frames arrive, only the newest waits, and painting takes at most half of the
    window's time. What is painted is what the screen can show: of a frame larger than the
    widget, every n-th pixel, and of a zoomed one, the part that is in sight. The value under the
    cursor is always that of the whole frame.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    key
        The data key of the frames; by default the first one that looks like a picture.
    parent
        The widget's parent.

    Attributes
    ----------
    frameShown : Signal(object)
        After each paint, the event document that is on the screen.
    """

    frameShown = Signal(object)  # noqa: N815 - Qt's spelling

    def __init__(
        self, bridge: EngineBridge, key: str | None = None, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._key = key
        self._waiting: dict[str, Any] | None = None  # the newest event, not yet painted
        self._shown: dict[str, Any] | None = None
        self._picture: Picture | None = None
        self._streams: dict[str, str] = {}
        self._acquired, self._painted = RateMeter(), RateMeter()
        self._next_histogram = self._next_status = 0.0
        self._cursor: tuple[int, int] | None = None
        self._build()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._paint)
        bridge.documentReceived.connect(self._receive)

    @property
    def key(self) -> str | None:
        """The data key that is shown; `None` for the first picture of each event."""
        return self._key

    @key.setter
    def key(self, key: str | None) -> None:
        self._key = key

    @property
    def frame(self) -> npt.NDArray[Any] | None:
        """The frame on the screen, whole; `None` before the first."""
        return None if self._picture is None else self._picture.pixels

    @property
    def message(self) -> str:
        """What is said about a frame that was changed to be shown, or can't be."""
        return str(self._message.text())

    @property
    def rates(self) -> tuple[float, float]:
        """Frames a second: acquired, and shown."""
        return self._acquired.rate, self._painted.rate

    # -- parts --------------------------------------------------------------------------------

    def _build(self) -> None:
        self._item = pg.ImageItem(axisOrder="row-major")
        self._view = pg.ViewBox(lockAspect=True, invertY=True, enableMenu=False)
        self._view.addItem(self._item)
        self._graphics = pg.GraphicsLayoutWidget()
        self._graphics.addItem(self._view)
        self._histogram = pg.HistogramLUTItem(fillHistogram=False)
        self._histogram.setMaximumWidth(110)
        # Fed a few times a second from here: by itself it would count each frame.
        self._histogram.setImageItem(self._item)
        self._item.sigImageChanged.disconnect(self._histogram.imageChanged)
        self._histogram.sigLevelChangeFinished.connect(self._levels_by_hand)
        self._graphics.addItem(self._histogram)
        self._graphics.scene().sigMouseMoved.connect(self._mouse_moved)
        self._view.sigRangeChanged.connect(self._refresh)

        self._auto = QCheckBox("Auto levels")
        self._auto.setObjectName("autoLevels")
        self._auto.setChecked(True)
        self._auto.setToolTip("Fit black and white to each frame, but for a few extreme pixels")
        self._auto.toggled.connect(self._refresh)
        self._rate_label = QLabel("no frames")
        self._rate_label.setObjectName("rates")
        self._value_label = QLabel("")
        self._value_label.setObjectName("cursor")
        self._message = QLabel("")
        self._message.setObjectName("message")
        self._message.setStyleSheet("color: #b35900;")
        bar = QHBoxLayout()
        for widget in (self._auto, self._value_label, self._message):
            bar.addWidget(widget)
        bar.addStretch(1)
        bar.addWidget(self._rate_label)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._graphics, 1)
        layout.addLayout(bar)

    # -- receiving ----------------------------------------------------------------------------

    def _receive(self, name: str, doc: dict[str, Any]) -> None:
        if name == "event":
            self._receive_event(doc)
        elif name == "start":
            self._acquired.reset()
            self._painted.reset()
            self._streams.clear()
        elif name == "descriptor":
            self._streams[doc["uid"]] = doc.get("name", "")
        elif name == "stop":
            self._say_rates()

    def _receive_event(self, doc: dict[str, Any]) -> None:
        key = find_frame(doc["data"], self._key)
        if key is None:
            return
        # Numbers of events tell how many there were, also of those that never came this far.
        self._acquired.count_to(doc["descriptor"], doc["seq_num"], doc["time"])
        self._waiting = doc
        if not self._timer.isActive():
            self._timer.start(0)

    # -- painting -----------------------------------------------------------------------------

    def _paint(self) -> None:
        doc, self._waiting = self._waiting, None
        if doc is None:
            return
        began = time.perf_counter()
        self._shown = doc
        key = find_frame(doc["data"], self._key) or ""
        try:
            self._picture = prepare(doc["data"][key])
            self._message.setText(self._picture.note)
        except UnshowableFrameError as error:
            self._message.setText(f"{key}: {error}")
        else:
            self._put(self._picture)
            self._graphics.viewport().repaint()  # now, so that the time is known
            self._painted.count(time.monotonic())
        self._say_often(time.monotonic())
        self.frameShown.emit(doc)
        # At most half of the window's time: rest for as long as this took.
        self._timer.start(max(1, round(1000 * (time.perf_counter() - began))))

    def _put(self, picture: Picture) -> None:
        """Give the part in sight to the item, no finer than the screen."""
        height, width = picture.pixels.shape[:2]
        first = self._item.image is None or self._item_shape != (height, width)
        self._item_shape = (height, width)
        if first:
            self._view.setRange(QRectF(0, 0, width, height), padding=0)
        rows, columns, step = self._part_in_sight(height, width)
        part = np.ascontiguousarray(picture.pixels[rows, columns])
        levels = None
        if self._auto.isChecked():
            levels = _levels_of(part)
        elif self._item.levels is not None:
            levels = self._item.levels
        if part.dtype.kind == "f" and not picture.is_colour:
            part = self._finite(part, levels)
        self._item.setImage(part, autoLevels=False, levels=levels, autoDownsample=False)
        shown = QRectF(columns.start, rows.start, part.shape[1] * step, part.shape[0] * step)
        self._item.setRect(shown)

    _item_shape: tuple[int, int] = (0, 0)

    def _finite(self, part: npt.NDArray[Any], levels: Any) -> npt.NDArray[Any]:
        """Paint what is not finite black or white, and say that it is there."""
        if np.isfinite(part).all():
            return part
        self._message.setText("some values are not finite")
        low, high = levels if levels is not None and np.ndim(levels) == 1 else (0.0, 1.0)
        finite: npt.NDArray[Any] = np.nan_to_num(part, nan=low, posinf=high, neginf=low)
        return finite

    def _part_in_sight(self, height: int, width: int) -> tuple[slice, slice, int]:
        (left, right), (top, bottom) = self._view.viewRange()
        pixels = max(1.0, self._view.width()), max(1.0, self._view.height())
        step = max(1, int(min((right - left) / pixels[0], (bottom - top) / pixels[1])))
        x0, x1 = max(0, int(left)), min(width, int(right) + 1)
        y0, y1 = max(0, int(top)), min(height, int(bottom) + 1)
        if x0 >= x1 or y0 >= y1:  # moved out of sight: keep something to show
            x0, x1, y0, y1 = 0, width, 0, height
        return slice(y0, y1, step), slice(x0, x1, step), step

    def _refresh(self, *_: Any) -> None:
        """Show the frame again, for another part or other levels."""
        if self._waiting is None and self._shown is not None and not self._timer.isActive():
            self._waiting = self._shown
            self._timer.start(0)

    def _levels_by_hand(self, *_: Any) -> None:
        self._auto.setChecked(False)

    # -- saying -------------------------------------------------------------------------------

    def _say_often(self, now: float) -> None:
        if now >= self._next_histogram:
            self._next_histogram = now + _HISTOGRAM_PERIOD
            if self._picture is not None and not self._picture.is_colour:
                self._histogram.sigLevelChangeFinished.disconnect(self._levels_by_hand)
                self._histogram.imageChanged()
                if self._item.levels is not None and np.ndim(self._item.levels) == 1:
                    self._histogram.region.setRegion(self._item.levels)
                self._histogram.sigLevelChangeFinished.connect(self._levels_by_hand)
        if now >= self._next_status:
            self._next_status = now + _STATUS_PERIOD
            self._say_rates()
            self._say_value()

    def _say_rates(self) -> None:
        acquired, painted = self.rates
        shape = self._item_shape
        self._rate_label.setText(
            f"{shape[1]} x {shape[0]}   acquired {acquired:.1f} Hz, shown {painted:.1f} Hz"
        )

    def _mouse_moved(self, position: Any) -> None:
        point = self._view.mapSceneToView(position)
        self._cursor = (int(point.x() // 1), int(point.y() // 1))
        self._say_value()

    def _say_value(self) -> None:
        frame = self.frame
        if frame is None or self._cursor is None:
            return
        x, y = self._cursor
        inside = 0 <= y < frame.shape[0] and 0 <= x < frame.shape[1]
        self._value_label.setText(f"({x}, {y}) = {frame[y, x]}" if inside else "")


def _levels_of(part: npt.NDArray[Any]) -> Any:
    """Return black and white for a part, from at most some ten thousand of its pixels."""
    if part.ndim == 3:
        return (0, 255) if part.dtype == np.uint8 else (0.0, float(np.nanmax(part)) or 1.0)
    coarse = part[:: max(1, part.shape[0] // 128), :: max(1, part.shape[1] // 128)]
    if coarse.dtype.kind == "f":
        coarse = coarse[np.isfinite(coarse)]
        if coarse.size == 0:
            return 0.0, 1.0
    low, high = np.percentile(coarse, (_CLIPPED, 100 - _CLIPPED))
    return float(low), float(high) if high > low else float(low) + 1.0
