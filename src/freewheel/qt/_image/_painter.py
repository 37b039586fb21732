"""The newest frame, painted at what pace the window can bear."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import QObject, Qt, QTimer, Signal

from freewheel.qt._image._frames import Picture, UnshowableFrameError, find_frame, prepare

if TYPE_CHECKING:
    import numpy.typing as npt

    from freewheel.qt._image._marks import ImageMarks
    from freewheel.qt._image._scale import ImageScale
    from freewheel.qt._image._source import ImageSource
    from freewheel.qt._image._stack import ImageStack
    from freewheel.qt._image._status import ImageStatus
    from freewheel.qt._image._view import ImageView

__all__ = ["ImagePainter"]

# The histogram is for people, who need it a few times a second [s].
_HISTOGRAM_PERIOD: Final = 0.25
_STATUS_PERIOD: Final = 0.25


class ImagePainter(QObject):
    """Paints the newest event that it was given, and rests for as long as that took.

    Parameters
    ----------
    graphics
        What is painted on.
    source
        Which picture of an event is shown.
    marks
        What is measured in each frame.
    stack
        Which frame of a stack is shown.
    status
        Where the frame is spoken of.
    scale
        What is known of the size of its pixels.
    parent
        The QObject that owns this one.

    Attributes
    ----------
    painted : Signal(object)
        The event that is on the screen.
    picture : Picture or None
        What is on the screen; `None` before the first, and if it could not be shown.
    """

    painted = Signal(object)

    def __init__(
        self,
        graphics: ImageView,
        source: ImageSource,
        marks: ImageMarks,
        stack: ImageStack,
        status: ImageStatus,
        scale: ImageScale,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._graphics, self._source, self._marks = graphics, source, marks
        self._stack, self._status, self._scale = stack, status, scale
        self._waiting: dict[str, Any] | None = None  # the newest event, not yet painted
        self._shown: dict[str, Any] | None = None
        self._is_marking = False
        self._next_histogram = self._next_status = 0.0
        self.picture: Picture | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._paint)
        graphics.pointed.connect(self._pointed)
        graphics.sightChanged.connect(self.refresh)
        stack.loaded.connect(self.show_now)
        stack.planeChosen.connect(self.refresh)

    # -- what is to be painted ----------------------------------------------------------------

    def offer(self, doc: dict[str, Any]) -> None:
        """Paint an event when it is time, if no newer one comes before."""
        self._waiting = doc
        if not self._timer.isActive():
            self._timer.start(0)

    def show_now(self, doc: dict[str, Any]) -> None:
        """Paint an event without a rest before it."""
        self._waiting = doc
        self._timer.start(0)

    def refresh(self, *_: Any) -> None:
        """Paint the frame again, for another part or other levels."""
        if self._waiting is None and self._shown is not None:
            self.offer(self._shown)

    def mark_saturated(self, on: bool) -> None:
        """Mark pixels that are saturated, or don't."""
        self._is_marking = on
        self.refresh()

    # -- what is known of it ------------------------------------------------------------------

    @property
    def frame(self) -> npt.NDArray[Any] | None:
        """The frame on the screen, whole."""
        return None if self.picture is None else self.picture.pixels

    @property
    def saturation(self) -> float | None:
        """The value from which on a pixel is saturated, if it was given or told."""
        dtype = None if self.picture is None else self.picture.pixels.dtype
        return self._source.saturation_of(self._shown, dtype)

    def give_saturation(self, limit: float | None) -> None:
        """Take the value from which on a pixel is saturated; `None` for what documents tell."""
        self._source.given_limit = limit
        self.refresh()

    # -- painting -----------------------------------------------------------------------------

    def _paint(self) -> None:
        doc, self._waiting = self._waiting, None
        if doc is None:
            return
        began = time.perf_counter()
        self._shown = doc
        key = self._source.key_of(doc) or find_frame(doc["data"]) or ""
        try:
            if key not in doc["data"]:
                msg = "this event has no picture"
                raise UnshowableFrameError(msg)
            self.picture = picture = prepare(doc["data"][key], self._stack.plane)
        except UnshowableFrameError as error:
            self.picture = None
            self._graphics.clear_picture()
            self._status.say(f"{key}: {error}" if key else str(error))
        else:
            self._put(picture)
            self._graphics.paint_now()
            self._status.count_painted()
            self.measure()
        self._scale.follow(doc)
        self._say_often(time.monotonic())
        self.painted.emit(doc)
        # At most half of the window's time: rest for as long as this took.
        self._timer.start(max(1, round(1000 * (time.perf_counter() - began))))

    def _put(self, picture: Picture) -> None:
        self._stack.offer(picture.planes, picture.plane)
        limit = self.saturation if self._is_marking else None
        note = self._graphics.put(picture, auto=self._status.auto.isChecked(), limit=limit)
        share = self._graphics.saturated_share
        full = f"{share:.2%} saturated" if share else ""
        self._status.say(", ".join(filter(None, (picture.note, note, full))))

    def measure(self) -> None:
        """Measure what is marked in the frame on the screen."""
        if self.picture is not None and self._shown is not None:
            self._marks.look(self.picture.pixels, self._shown["time"], self.saturation)

    # -- saying -------------------------------------------------------------------------------

    def _say_often(self, now: float) -> None:
        if now >= self._next_histogram:
            self._next_histogram = now + _HISTOGRAM_PERIOD
            if self.picture is not None and not self.picture.is_colour:
                self._graphics.show_histogram()
        if now >= self._next_status:
            self._next_status = now + _STATUS_PERIOD
            self._status.say_rates()
            self._status.say_value(self.frame)
            self._scale.look()

    def _pointed(self, x: int, y: int) -> None:
        self._status.cursor = (x, y)
        self._status.say_value(self.frame)
