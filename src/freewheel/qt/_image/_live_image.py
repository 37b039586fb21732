"""A live image that shows the newest frame, at what pace the window can bear."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from freewheel.qt._image._colours import Curve
from freewheel.qt._image._marks import ImageMarks, Region
from freewheel.qt._image._painter import ImagePainter
from freewheel.qt._image._panel import ImagePanel
from freewheel.qt._image._questions import ImageQuestions
from freewheel.qt._image._scale import ImageScale
from freewheel.qt._image._source import ImageSource
from freewheel.qt._image._stack import ImageStack
from freewheel.qt._image._status import ImageStatus
from freewheel.qt._image._tools import ImageTools
from freewheel.qt._image._view import ImageView
from freewheel.qt._look._files import write_image
from freewheel.qt._look._slots import slot

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt
    from qtpy.QtGui import QImage

    from freewheel.qt._image._measure import Measured
    from freewheel.qt._link._bridge import EngineBridge

__all__ = ["LiveImage"]


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
    scale : QObject
        What is known of the size of a pixel, and in ``scale.affine`` of how the camera is turned.
    pixelSizeChanged : Signal(object)
        Another size of a pixel is known, or `None`; or how the camera is turned.
    """

    frameShown = Signal(object)  # noqa: N815 - Qt's spelling
    roiChanged = Signal(object)  # noqa: N815
    roiWanted = Signal(object)  # noqa: N815
    pixelSizeChanged = Signal(object)  # noqa: N815

    def __init__(
        self, bridge: EngineBridge, key: str | None = None, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._source = ImageSource(key)
        self.tools = ImageTools()
        self._graphics = ImageView()
        self._marks = ImageMarks(self._graphics.view, self)
        self._panel = ImagePanel(self._marks)
        self._stack = ImageStack(self._source, self)
        self._status = ImageStatus(self._graphics)
        self.scale = ImageScale(self._source, self)
        self._painter = ImagePainter(
            self._graphics, self._source, self._marks, self._stack, self._status, self.scale, self
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.tools)
        layout.addWidget(self._graphics, 1)
        for part in (self._stack.slider, self._panel, self._status):
            layout.addWidget(part)
        self._connect()
        bridge.documentReceived.connect(self.receive)

    def _connect(self) -> None:
        self._graphics.levelsMoved.connect(slot(self._status.auto.setChecked, False))
        self._status.auto.toggled.connect(self._painter.refresh)
        self._marks.moved.connect(self._marks_moved)
        self._panel.wanted.connect(self.roiWanted)
        self._stack.failed.connect(self._status.say)
        self.scale.changed.connect(self._panel.set_pixel_size)
        self.scale.changed.connect(self._graphics.scale_bar.set_pixel_size)
        self.scale.changed.connect(self.pixelSizeChanged)
        self._painter.painted.connect(self.frameShown)
        tools, buttons = self.tools, self.tools.buttons
        buttons["fit"].clicked.connect(self._graphics.fit)
        buttons["actualSize"].clicked.connect(self._graphics.actual_size)
        buttons["freeze"].toggled.connect(self._freeze_toggled)
        buttons["region"].toggled.connect(self._marks.toggle_region)
        buttons["line"].toggled.connect(self._marks.toggle_line)
        buttons["scale"].toggled.connect(self._graphics.scale_bar.want)
        buttons["saturation"].toggled.connect(self._painter.mark_saturated)
        self._painter.mark_saturated(buttons["saturation"].isChecked())
        tools.channelChosen.connect(self.choose)
        tools.coloursChosen.connect(self.set_colours)
        tools.curveChosen.connect(self._graphics.set_curve)
        questions = ImageQuestions(self)
        tools.pixelSizeWanted.connect(slot(lambda: questions.ask_pixel_size(self.pixel_size)))
        tools.limitWanted.connect(slot(lambda: questions.ask_limit(self.saturation)))
        questions.pixelSizeGiven.connect(self.scale.give)
        questions.limitGiven.connect(self._painter.give_saturation)
        questions.refused.connect(self._status.say)

    def _freeze_toggled(self, on: bool) -> None:
        if on != self.frozen:
            self.frozen = on

    def _marks_moved(self) -> None:
        self.tools.buttons["region"].setChecked(self.roi is not None)
        self.tools.buttons["line"].setChecked(self.profile_line is not None)
        self.roiChanged.emit(self.roi)
        self._painter.measure()

    # -- what is shown ------------------------------------------------------------------------

    @property
    def key(self) -> str | None:
        """The data key that is shown; `None` for the first picture of each event."""
        return self._source.channel[0]

    @key.setter
    def key(self, key: str | None) -> None:
        self.choose(key)

    @property
    def channels(self) -> tuple[tuple[str, str | None], ...]:
        """What can be chosen: the pictures of the latest runs, each a data key and a stream.

        The stream is `None` where a key is in one stream alone.
        """
        return self._source.channels

    def choose(self, key: str | None, stream: str | None = None) -> None:
        """Show another camera or channel: a data key, of one stream or of whichever comes."""
        self._source.channel = key, stream
        self.tools.offer(self.channels, self._source.channel)

    def learn_from(self, other: LiveImage) -> None:
        """Know the runs and channels that another image knows: they were told of before."""
        self._source.learn_from(other._source)
        self.tools.offer(self.channels, self._source.channel)

    @property
    def frame(self) -> npt.NDArray[Any] | None:
        """The frame on the screen, whole; `None` before the first."""
        return self._painter.frame

    @property
    def message(self) -> str:
        """What is said about a frame that was changed to be shown, or can't be."""
        return self._status.message

    @property
    def rates(self) -> tuple[float, float]:
        """Frames a second: acquired, and shown; 0 when none come any more."""
        return self._status.rates

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
        return self._status.frozen

    @frozen.setter
    def frozen(self, frozen: bool) -> None:
        self._status.frozen = frozen
        self.tools.buttons["freeze"].setChecked(frozen)
        if not frozen:
            self._stack.close()
        self._status.say_rates()

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
        """The size of a pixel and its unit: given, else told by documents, else measured."""
        return self.scale.pixel_size

    @pixel_size.setter
    def pixel_size(self, size: tuple[float, str] | None) -> None:
        self.scale.give(size)

    @property
    def saturation(self) -> float | None:
        """The value from which on a pixel is saturated: given, or told; `None` if not known."""
        return self._painter.saturation

    @saturation.setter
    def saturation(self, limit: float | None) -> None:
        self._painter.give_saturation(limit)

    @property
    def levels(self) -> tuple[float, float] | None:
        """What is black and what is white; `None` while that is fitted to each frame."""
        found = self._graphics.item.levels
        if self._status.auto.isChecked() or found is None or len(found) != 2:
            return None
        return float(found[0]), float(found[1])

    @levels.setter
    def levels(self, levels: tuple[float, float] | None) -> None:
        if levels is not None:
            self._graphics.item.setLevels(levels)
        self._status.auto.setChecked(levels is None)
        self._painter.refresh()

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

        Raises
        ------
        ValueError
            If gamma is not above 0.
        """
        if not 0 < gamma < math.inf:
            msg = f"gamma is a number above 0, not {gamma}"
            raise ValueError(msg)
        self._graphics.set_curve(Curve(gamma, logarithmic))

    # -- receiving ----------------------------------------------------------------------------

    def receive(self, name: str, doc: dict[str, Any]) -> None:
        """Take a document: one of the engine's, which come by themselves, or of a replay."""
        if name == "event":
            if self._source.key_of(doc) is not None:
                self._status.count_acquired(doc)
                if not self._status.frozen:
                    self._painter.offer(doc)
            return
        self._source.take(name, doc)
        if name == "start" and self._source.is_one_run:
            self._status.reset_rates()
        elif name == "descriptor":
            self.tools.offer(self.channels, self._source.channel)
        elif name == "stop":
            self._status.say_rates()

    # -- frames that were taken before ----------------------------------------------------------

    def show_event(self, doc: dict[str, Any]) -> None:
        """Show the frame of an event that came before, and no newer one until `frozen` is false."""
        self.frozen = True
        self._painter.show_now(doc)

    def show_stack(self, frames: Sequence[Any], index: int = -1) -> None:
        """Show one of some frames, with a slider through them, until `frozen` is false.

        Parameters
        ----------
        frames
            The frames; each is got by its index, on another thread, when it is shown.
        index
            Which of them is shown first.
        """
        self.frozen = True
        self._stack.open(frames, index)

    def save_picture(self, path: str | Path) -> None:
        """Write the frame on the screen, whole, into a picture with its colours and levels.

        Raises
        ------
        ValueError
            When no frame was shown yet.
        OSError
            When it cannot be written there.
        """
        write_image(self.whole_picture()(), Path(path))

    def whole_picture(self) -> Callable[[], QImage]:
        """Return what makes an image of the frame on the screen, as `save_picture` writes it.

        It may be called on another thread: of a large frame that takes a while.

        Raises
        ------
        ValueError
            When no frame was shown yet.
        """
        if self._painter.picture is None:
            msg = "there is no frame that could be saved"
            raise ValueError(msg)
        return self._graphics.whole(self._painter.picture)
