"""The line below a picture: levels, the value under the cursor, a message, rates."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QWidget

from freewheel.qt._look._rates import RateMeter
from freewheel.qt._look._readback import ShortLabel
from freewheel.qt._look._tones import Tone, tint

if TYPE_CHECKING:
    import numpy.typing as npt

    from freewheel.qt._image._view import ImageView

__all__ = ["ImageStatus"]

_LOOK_MS: Final = 500  # whether frames still come


class ImageStatus(QWidget):
    """What is said about a picture, and whether its levels are fitted to each frame.

    Parameters
    ----------
    graphics
        The picture, whose size is said.

    Attributes
    ----------
    auto : QCheckBox
        Whether black and white are those of each frame.
    frozen : bool
        Whether newer frames are not shown.
    cursor : tuple of int and int, or None
        The column and row whose value is said.
    """

    def __init__(self, graphics: ImageView) -> None:
        super().__init__()
        self._graphics = graphics
        self.frozen = False
        self.cursor: tuple[int, int] | None = None
        self._acquired, self._painted = RateMeter(), RateMeter()
        self.auto = QCheckBox("Auto levels")
        self.auto.setObjectName("autoLevels")
        self.auto.setChecked(True)
        self.auto.setToolTip("Fit black and white to each frame, but for a few extreme pixels")
        self._value = QLabel("")
        self._value.setObjectName("cursor")
        self._message = QLabel("")
        self._message.setObjectName("message")
        tint(self._message, Tone.WARNING)
        self._rates = ShortLabel("no frames")
        self._rates.setObjectName("rates")
        self._rates.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2)
        for widget in (self.auto, self._value, self._message):
            row.addWidget(widget)
        row.addWidget(self._rates, 1)
        self._clock = QTimer(self)
        self._clock.setInterval(_LOOK_MS)
        self._clock.timeout.connect(self._look_whether_stale)

    # -- words --------------------------------------------------------------------------------

    @property
    def message(self) -> str:
        """What is said about a frame that was changed to be shown, or can't be."""
        return str(self._message.text())

    def say(self, message: str) -> None:
        """Say something about the frame."""
        self._message.setText(message)

    def say_value(self, frame: npt.NDArray[Any] | None) -> None:
        """Say the value of a frame that is under the cursor."""
        if frame is None or self.cursor is None:
            return
        x, y = self.cursor
        inside = 0 <= y < frame.shape[0] and 0 <= x < frame.shape[1]
        self._value.setText(f"({x}, {y}) = {frame[y, x]}" if inside else "")

    # -- rates --------------------------------------------------------------------------------

    @property
    def rates(self) -> tuple[float, float]:
        """Frames a second: acquired, and shown; 0 when none come any more."""
        if self._acquired.is_stale(time.monotonic()):
            return 0.0, 0.0
        return self._acquired.rate, self._painted.rate

    def reset_rates(self) -> None:
        """Begin to count anew."""
        self._acquired.reset()
        self._painted.reset()

    def count_acquired(self, doc: dict[str, Any]) -> None:
        """Count the frame of an event."""
        # Numbers of events tell how many there were, also of those that never came this far.
        self._acquired.count_to(doc["descriptor"], doc["seq_num"], doc["time"])
        self._acquired.came(time.monotonic())
        if not self._clock.isActive():
            self._clock.start()

    def count_painted(self) -> None:
        """Count a frame that was painted."""
        self._painted.count(time.monotonic())

    def say_rates(self) -> None:
        """Say how large the picture is, and how many of them come."""
        height, width = self._graphics.shape
        size = f"{width} x {height}" if height else "no picture"
        if self._acquired.is_stale(time.monotonic()):
            words = "no new frames"
        else:
            words = "acquired {:.1f} Hz, shown {:.1f} Hz".format(*self.rates)
        frozen = "   FROZEN" if self.frozen else ""
        self._rates.setText(f"{size}   {words}{frozen}")

    def _look_whether_stale(self) -> None:
        if self._acquired.is_stale(time.monotonic()):
            self._clock.stop()
        self.say_rates()
