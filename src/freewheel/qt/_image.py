"""A live image that shows the newest frame, at what pace the window can bear."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QInputDialog, QLabel, QVBoxLayout, QWidget

from freewheel.qt._colours import Curve
from freewheel.qt._frames import Picture, UnshowableFrameError, find_frame, prepare
from freewheel.qt._image_facts import picture_keys, pixel_size_in, saturation_in
from freewheel.qt._image_marks import ImageMarks, Region
from freewheel.qt._image_panel import ImagePanel
from freewheel.qt._image_tools import Channel, ImageTools
from freewheel.qt._image_view import ImageView
from freewheel.qt._plane_slider import PlaneSlider
from freewheel.qt._rates import RateMeter
from freewheel.qt._readback import ShortLabel
from freewheel.qt._worker import Worker

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from freewheel.qt._bridge import EngineBridge
    from freewheel.qt._measure import Measured

__all__ = ["LiveImage"]

# The histogram is for people, who need it a few times a second [s].
_HISTOGRAM_PERIOD = 0.25
_STATUS_PERIOD = 0.25
_LOOK_MS: Final = 500  # whether frames still come


class LiveImage(QWidget):
    """The newest frame of the running plan.

    However fast frames arrive, only the newest waits, and painting takes at most half of the
    window's time. What is painted is what the screen can show: of a frame larger than the
    widget, every n-th pixel, and of a zoomed one, the part that is in sight. The value under the
    cursor, the statistics of a region and the profile along a line are always those of the whole
    frame; they are worked out on another thread.

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
    roiChanged : Signal(object)
        The region was moved: left, top, width and height, or `None`.
    roiWanted : Signal(object)
        Somebody wants to use the region in a plan.
    tools : QWidget
        The buttons above the picture, by their names in ``tools.buttons``.
    """

    frameShown = Signal(object)  # noqa: N815 - Qt's spelling
    roiChanged = Signal(object)  # noqa: N815
    roiWanted = Signal(object)  # noqa: N815

    def __init__(
        self, bridge: EngineBridge, key: str | None = None, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._channel: Channel = (key, None)
        self._waiting: dict[str, Any] | None = None  # the newest event, not yet painted
        self._shown: dict[str, Any] | None = None
        self._picture: Picture | None = None
        self._descriptors: dict[str, dict[str, Any]] = {}  # of runs under way, and the last
        self._starts: dict[str, dict[str, Any]] = {}
        self._ended: set[str] = set()  # of these runs
        self._stack: Sequence[Any] | None = None  # what the slider goes through
        self._plane: int | None = None  # of a stack in one event; `None` for the last
        self._frozen = False
        self._pixel_size: tuple[float, str] | None = None  # that was given
        self._limit: float | None = None  # that was given
        self._acquired, self._painted = RateMeter(), RateMeter()
        self._next_histogram = self._next_status = 0.0
        self._cursor: tuple[int, int] | None = None
        self._worker = Worker(self)
        self._build()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._paint)
        self._clock = QTimer(self)
        self._clock.setInterval(_LOOK_MS)
        self._clock.timeout.connect(self._look_whether_stale)
        bridge.documentReceived.connect(self.receive)

    # -- what is shown ------------------------------------------------------------------------

    @property
    def key(self) -> str | None:
        """The data key that is shown; `None` for the first picture of each event."""
        return self._channel[0]

    @key.setter
    def key(self, key: str | None) -> None:
        self.choose(key)

    @property
    def channels(self) -> tuple[tuple[str, str | None], ...]:
        """What can be chosen: the pictures of the latest runs, each a data key and a stream.

        The stream is `None` where a key is in one stream alone.
        """
        streams: dict[str, list[str]] = {}
        for descriptor in self._descriptors.values():
            for key in picture_keys(descriptor):
                names = streams.setdefault(key, [])
                if (name := descriptor.get("name", "")) not in names:
                    names.append(name)
        found: list[tuple[str, str | None]] = []
        for key, names in streams.items():
            found.append((key, None))
            found += [(key, name) for name in names if len(names) > 1]
        return tuple(found)

    def choose(self, key: str | None, stream: str | None = None) -> None:
        """Show another camera or channel: a data key, of one stream or of whichever comes."""
        self._channel = key, stream
        self.tools.offer(self.channels, self._channel)

    def learn_from(self, other: LiveImage) -> None:
        """Know the runs and channels that another image knows: they were told of before."""
        self._starts, self._descriptors = dict(other._starts), dict(other._descriptors)
        self._ended = set(other._ended)
        self.tools.offer(self.channels, self._channel)

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
        """Frames a second: acquired, and shown; 0 when none come any more."""
        if self._acquired.is_stale(time.monotonic()):
            return 0.0, 0.0
        return self._acquired.rate, self._painted.rate

    # -- tools --------------------------------------------------------------------------------

    def fit(self) -> None:
        """Have the whole picture in sight, also when the widget changes its size."""
        self._graphics.fit()

    def actual_size(self) -> None:
        """Show one pixel of the picture as one of the screen."""
        self._graphics.actual_size()

    @property
    def frozen(self) -> bool:
        """Whether newer frames are not shown."""
        return self._frozen

    @frozen.setter
    def frozen(self, frozen: bool) -> None:
        self._frozen = frozen
        self.tools.buttons["freeze"].setChecked(frozen)
        if not frozen and self._stack is not None:
            self._stack = None
            self._slider.offer(0, 0)
        self._say_rates()

    @property
    def roi(self) -> Region | None:
        """The region: left, top, width and height in pixels; `None` if there is none."""
        return self._marks.region

    @roi.setter
    def roi(self, roi: Region | None) -> None:
        self._marks.set_region(roi)

    @property
    def profile_line(self) -> tuple[tuple[float, float], tuple[float, float]] | None:
        """The ends of the line along which values are plotted; `None` if there is none."""
        return self._marks.line

    @profile_line.setter
    def profile_line(self, line: tuple[tuple[float, float], tuple[float, float]] | None) -> None:
        self._marks.set_line(line)

    @property
    def measured(self) -> Measured | None:
        """What was measured last: ``region`` with its statistics, ``distance`` and ``values``."""
        return self._marks.latest

    @property
    def history(self) -> npt.NDArray[Any]:
        """Of each frame since the region was moved: time, mean, deviation, minimum, maximum."""
        return self._marks.history

    @property
    def pixel_size(self) -> tuple[float, str] | None:
        """The size of a pixel and its unit: what was given, else what documents tell."""
        if self._pixel_size is not None or self._shown is None:
            return self._pixel_size
        descriptor, key = self._descriptor_of(self._shown), self._key_of(self._shown)
        start = self._starts.get(descriptor.get("run_start", ""), {})
        return pixel_size_in(start, descriptor, key) if descriptor and key else None

    @pixel_size.setter
    def pixel_size(self, size: tuple[float, str] | None) -> None:
        self._pixel_size = size
        self._show_pixel_size()

    @property
    def saturation(self) -> float | None:
        """The value from which on a pixel is saturated: given, or told; `None` if not known."""
        if self._limit is not None or self._shown is None or self._picture is None:
            return self._limit
        descriptor, key = self._descriptor_of(self._shown), self._key_of(self._shown)
        return saturation_in(descriptor, key or "", self._picture.pixels.dtype)

    @saturation.setter
    def saturation(self, limit: float | None) -> None:
        self._limit = limit
        self._refresh()

    @property
    def levels(self) -> tuple[float, float] | None:
        """What is black and what is white; `None` while that is fitted to each frame."""
        found = self._graphics.item.levels
        if self._auto.isChecked() or found is None or len(found) != 2:
            return None
        return float(found[0]), float(found[1])

    @levels.setter
    def levels(self, levels: tuple[float, float] | None) -> None:
        if levels is not None:
            self._graphics.item.setLevels(levels)
        self._auto.setChecked(levels is None)
        self._refresh()

    def set_colours(self, name: str) -> None:
        """Show another colour map, such as ``"viridis"``; a `ValueError` says which there are."""
        self._graphics.set_colours(name)

    def set_curve(self, *, gamma: float = 1.0, logarithmic: bool = False) -> None:
        """Set how brightness follows the values; black and white stay where they are.

        Parameters
        ----------
        gamma : float, default: 1
            Exponent of the curve.
        logarithmic : bool, default: False
            Whether the logarithm is shown, of three decades.
        """
        self._graphics.curve = Curve(gamma, logarithmic)

    # -- parts --------------------------------------------------------------------------------

    def _build(self) -> None:
        self._graphics = ImageView()
        self._item, self._view = self._graphics.item, self._graphics.view
        self._graphics.levelsMoved.connect(self._levels_by_hand)
        self._graphics.pointed.connect(self._mouse_moved)
        self._graphics.sightChanged.connect(self._refresh)
        self._marks = ImageMarks(self._view, self)
        self._marks.moved.connect(self._marks_moved)
        self._panel = ImagePanel(self._marks)
        self._panel.wanted.connect(self.roiWanted)
        self._slider = PlaneSlider()
        self._slider.moved.connect(self._plane_chosen)
        self._build_tools()
        self._auto = QCheckBox("Auto levels")
        self._auto.setObjectName("autoLevels")
        self._auto.setChecked(True)
        self._auto.setToolTip("Fit black and white to each frame, but for a few extreme pixels")
        self._auto.toggled.connect(self._refresh)
        self._rate_label = ShortLabel("no frames")
        self._rate_label.setObjectName("rates")
        self._rate_label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._value_label = QLabel("")
        self._value_label.setObjectName("cursor")
        self._message = QLabel("")
        self._message.setObjectName("message")
        self._message.setStyleSheet("color: #b35900;")
        bar = QHBoxLayout()
        for widget in (self._auto, self._value_label, self._message):
            bar.addWidget(widget)
        bar.addWidget(self._rate_label, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.tools)
        layout.addWidget(self._graphics, 1)
        for part in (self._slider, self._panel):
            layout.addWidget(part)
        layout.addLayout(bar)

    def _build_tools(self) -> None:
        self.tools = tools = ImageTools()
        buttons = tools.buttons
        buttons["fit"].clicked.connect(self._graphics.fit)
        buttons["actualSize"].clicked.connect(self._graphics.actual_size)
        buttons["freeze"].toggled.connect(self._freeze_toggled)
        buttons["region"].toggled.connect(self._region_toggled)
        buttons["line"].toggled.connect(self._line_toggled)
        buttons["scale"].toggled.connect(self._graphics.scale_bar.setVisible)
        buttons["saturation"].toggled.connect(self._refresh)
        tools.channelChosen.connect(lambda channel: self.choose(*channel))
        tools.coloursChosen.connect(self.set_colours)
        tools.curveChosen.connect(self._take_curve)
        tools.pixelSizeWanted.connect(self._ask_pixel_size)
        tools.limitWanted.connect(self._ask_limit)

    def _freeze_toggled(self, on: bool) -> None:
        if on != self._frozen:
            self.frozen = on

    def _region_toggled(self, on: bool) -> None:
        if on != (self.roi is not None):
            self.roi = self._marks.middle() if on else None

    def _line_toggled(self, on: bool) -> None:
        if on == (self.profile_line is not None):
            return
        left, top, width, height = self._marks.middle(0.6)
        middle = top + height / 2
        self.profile_line = ((left, middle), (left + width, middle)) if on else None

    def _take_curve(self, curve: Curve) -> None:
        self._graphics.curve = curve

    def _marks_moved(self) -> None:
        self.tools.buttons["region"].setChecked(self.roi is not None)
        self.tools.buttons["line"].setChecked(self.profile_line is not None)
        self.roiChanged.emit(self.roi)
        self._measure()

    def _ask_pixel_size(self) -> None:
        size, unit = self.pixel_size or (1.0, "um")
        self._ask("Pixel size, and its unit", f"{size:g} {unit}", self._take_pixel_size)

    def _take_pixel_size(self, text: str) -> None:
        number, _, unit = text.strip().partition(" ")
        try:
            size = float(number)
        except ValueError:
            size = 0.0
        if size > 0:
            self.pixel_size = size, unit.strip() or "um"
        else:
            self._message.setText(f"{text!r} is no size of a pixel, such as 0.65 um")

    def _ask_limit(self) -> None:
        limit = self.saturation
        now = "" if limit is None else f"{limit:g}"
        self._ask("Value from which on a pixel is saturated", now, self._take_limit)

    def _take_limit(self, text: str) -> None:
        try:
            self.saturation = float(text) if text.strip() else None
        except ValueError:
            self._message.setText(f"{text!r} is no number")

    def _ask(self, what: str, text: str, take: Any) -> None:
        dialog = QInputDialog(self)
        dialog.setLabelText(what)
        dialog.setTextValue(text)
        dialog.textValueSelected.connect(take)
        dialog.finished.connect(lambda _: dialog.deleteLater())
        dialog.setModal(False)  # not even a question is to be in the way of Stop all
        dialog.show()

    # -- receiving ----------------------------------------------------------------------------

    def receive(self, name: str, doc: dict[str, Any]) -> None:
        """Take a document: one of the engine's, which come by themselves, or of a replay."""
        if name == "event":
            self._receive_event(doc)
        elif name == "start":
            self._forget_ended()
            self._starts[doc["uid"]] = doc
            if len(self._starts) == 1:  # another one goes on beside it
                self._acquired.reset()
                self._painted.reset()
        elif name == "descriptor":
            self._descriptors[doc["uid"]] = doc
            self.tools.offer(self.channels, self._channel)
        elif name == "stop":
            # What it has said is kept until the next run: its frames can still be looked at.
            self._ended.add(doc["run_start"])
            self._say_rates()

    def _forget_ended(self) -> None:
        for uid in self._ended:
            self._starts.pop(uid, None)
        kept = self._starts
        self._descriptors = {
            uid: each for uid, each in self._descriptors.items() if each["run_start"] in kept
        }
        self._ended.clear()

    def _receive_event(self, doc: dict[str, Any]) -> None:
        if self._key_of(doc) is None:
            return
        # Numbers of events tell how many there were, also of those that never came this far.
        self._acquired.count_to(doc["descriptor"], doc["seq_num"], doc["time"])
        self._acquired.came(time.monotonic())
        if not self._clock.isActive():
            self._clock.start()
        if self._frozen:
            return
        self._waiting = doc
        if not self._timer.isActive():
            self._timer.start(0)

    def _descriptor_of(self, doc: dict[str, Any]) -> dict[str, Any]:
        return self._descriptors.get(doc["descriptor"], {})

    def _key_of(self, doc: dict[str, Any]) -> str | None:
        """Return the key of the frame that is shown of an event; `None` if it has none."""
        key, stream = self._channel
        if stream is not None and self._descriptor_of(doc).get("name") != stream:
            return None
        return find_frame(doc["data"], key)

    # -- frames that were taken before ----------------------------------------------------------

    def show_event(self, doc: dict[str, Any]) -> None:
        """Show the frame of an event that came before, and no newer one until `frozen` is false."""
        self.frozen = True
        self._waiting = doc
        self._timer.start(0)

    def show_stack(self, frames: Sequence[Any], index: int = -1) -> None:
        """Show one of some frames, with a slider through them, until `frozen` is false.

        Parameters
        ----------
        frames
            The frames; each is got by its index, on another thread, when it is shown.
        index
            Which of them is shown first.
        """
        self._stack = frames
        self.frozen = True
        count = len(frames)
        self._slider.offer(count, index % count if count else 0)
        self._load(index % count if count else 0)

    def _load(self, index: int) -> None:
        frames = self._stack
        if frames is not None and 0 <= index < len(frames):
            self._worker.ask(partial(_frame_of, frames, index), self._loaded)

    def _loaded(self, found: tuple[int, Any] | None, error: BaseException | None) -> None:
        if self._stack is None:
            return
        if found is None:
            self._message.setText(str(error))
            return
        number, frame = found
        event = {"descriptor": "", "seq_num": number + 1, "time": float(number)}
        self._waiting = {**event, "data": {self.key or "frame": frame}}
        self._timer.start(0)

    def _plane_chosen(self, index: int) -> None:
        if self._stack is not None:
            self._load(index)
            return
        self._plane = index
        self._refresh()

    def save_picture(self, path: str | Path) -> None:
        """Write the frame on the screen, whole, into a picture with its colours and levels.

        Raises
        ------
        ValueError
            When no frame was shown yet.
        """
        if self._picture is None:
            msg = "there is no frame that could be saved"
            raise ValueError(msg)
        self._graphics.save_whole(self._picture, str(path))

    # -- painting -----------------------------------------------------------------------------

    def _paint(self) -> None:
        doc, self._waiting = self._waiting, None
        if doc is None:
            return
        began = time.perf_counter()
        self._shown = doc
        key = self._key_of(doc) or find_frame(doc["data"]) or ""
        try:
            if key not in doc["data"]:
                msg = "this event has no picture"
                raise UnshowableFrameError(msg)
            self._picture = picture = prepare(doc["data"][key], self._plane)
        except UnshowableFrameError as error:
            self._picture = None
            self._graphics.clear_picture()
            self._message.setText(f"{key}: {error}" if key else str(error))
        else:
            self._put(picture)
            self._graphics.paint_now()
            self._painted.count(time.monotonic())
            self._measure()
        self._say_often(time.monotonic())
        self.frameShown.emit(doc)
        # At most half of the window's time: rest for as long as this took.
        self._timer.start(max(1, round(1000 * (time.perf_counter() - began))))

    def _put(self, picture: Picture) -> None:
        if self._stack is None:
            count = int(np.prod(picture.planes)) if picture.planes else 0
            self._slider.offer(count, picture.plane, picture.planes)
        marks = self.tools.buttons["saturation"].isChecked()
        limit = self.saturation if marks else None
        note = self._graphics.put(picture, auto=self._auto.isChecked(), limit=limit)
        share = self._graphics.saturated_share
        full = f"{share:.2%} saturated" if share else ""
        self._message.setText(", ".join(filter(None, (picture.note, note, full))))

    def _measure(self) -> None:
        if self._picture is not None and self._shown is not None:
            self._marks.look(self._picture.pixels, self._shown["time"], self.saturation)

    def _refresh(self, *_: Any) -> None:
        """Show the frame again, for another part or other levels."""
        if self._waiting is None and self._shown is not None:
            self._waiting = self._shown
            if not self._timer.isActive():
                self._timer.start(0)

    def _levels_by_hand(self, *_: Any) -> None:
        self._auto.setChecked(False)

    # -- saying -------------------------------------------------------------------------------

    def _say_often(self, now: float) -> None:
        if now >= self._next_histogram:
            self._next_histogram = now + _HISTOGRAM_PERIOD
            if self._picture is not None and not self._picture.is_colour:
                self._graphics.show_histogram()
        if now >= self._next_status:
            self._next_status = now + _STATUS_PERIOD
            self._say_rates()
            self._say_value()
            self._show_pixel_size()

    def _show_pixel_size(self) -> None:
        size = self.pixel_size
        if size != self._panel.pixel_size:
            self._panel.pixel_size = size
            self._graphics.scale_bar.set_pixel_size(size)

    def _look_whether_stale(self) -> None:
        if self._acquired.is_stale(time.monotonic()):
            self._clock.stop()
        self._say_rates()

    def _say_rates(self) -> None:
        height, width = self._graphics.shape
        size = f"{width} x {height}" if height else "no picture"
        if self._acquired.is_stale(time.monotonic()):
            words = "no new frames"
        else:
            words = "acquired {:.1f} Hz, shown {:.1f} Hz".format(*self.rates)
        frozen = "   FROZEN" if self._frozen else ""
        self._rate_label.setText(f"{size}   {words}{frozen}")

    def _mouse_moved(self, x: int, y: int) -> None:
        self._cursor = (x, y)
        self._say_value()

    def _say_value(self) -> None:
        frame = self.frame
        if frame is None or self._cursor is None:
            return
        x, y = self._cursor
        inside = 0 <= y < frame.shape[0] and 0 <= x < frame.shape[1]
        self._value_label.setText(f"({x}, {y}) = {frame[y, x]}" if inside else "")


def _frame_of(frames: Sequence[Any], index: int) -> tuple[int, Any]:
    return index, frames[index]
