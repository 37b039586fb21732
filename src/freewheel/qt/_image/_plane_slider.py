"""A slider through the frames of a stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QSlider, QWidget

from freewheel.qt._look._inputs import wheel_needs_focus

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["PlaneSlider"]


class PlaneSlider(QWidget):
    """A slider with the number of the frame; hidden while there is no choice.

    Attributes
    ----------
    moved : Signal(int)
        Somebody wants the frame of this index.
    """

    moved = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._planes: tuple[int, ...] = ()
        self._slider = QSlider(Qt.Orientation.Horizontal)
        self._slider.setObjectName("plane")
        self._slider.setAccessibleName("Frame of the stack")
        self._slider.valueChanged.connect(self._value_changed)
        wheel_needs_focus(self._slider)
        self._label = QLabel()
        self._label.setObjectName("planeText")
        row = QHBoxLayout(self)
        row.setContentsMargins(4, 0, 4, 0)
        row.addWidget(self._slider, 1)
        row.addWidget(self._label)
        self.hide()

    @property
    def text(self) -> str:
        """Which frame it is, in words."""
        return str(self._label.text())

    def offer(self, count: int, index: int, planes: Sequence[int] = ()) -> None:
        """Offer so many frames, and show which one is seen; of several axes their lengths."""
        self._planes = tuple(planes)
        with QSignalBlocker(self._slider):
            self._slider.setRange(0, max(0, count - 1))
            self._slider.setValue(index)
        self.setVisible(count > 1)
        self._say(index)

    def _value_changed(self, index: int) -> None:
        self._say(index)
        self.moved.emit(index)

    def _say(self, index: int) -> None:
        text = f"{index + 1} of {self._slider.maximum() + 1}"
        if len(self._planes) > 1:
            places = [int(place) + 1 for place in np.unravel_index(index, self._planes)]
            text += f" ({', '.join(map(str, places))})"
        self._label.setText(text)
