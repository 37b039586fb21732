"""A bar in a corner of a picture that says how long something is."""

from __future__ import annotations

import math
from typing import Any, Final

import pyqtgraph as pg
from qtpy.QtCore import QRectF, Qt
from qtpy.QtWidgets import QGraphicsRectItem

__all__ = ["ScaleBar", "round_length"]

#: What share of the width in sight it takes at most.
_SHARE: Final = 0.25
_THICK: Final = 5


def round_length(longest: float) -> float:
    """Return the longest of 1, 2, 5, 10, … that is not longer than this."""
    power = 10.0 ** math.floor(math.log10(longest))
    return next(each * power for each in (5, 2, 1) if each * power <= longest * (1 + 1e-9))


class ScaleBar(pg.GraphicsWidgetAnchor, pg.GraphicsObject):
    """The bar; it follows the zoom.

    Parameters
    ----------
    view
        The view of the picture, whose units are pixels.
    """

    def __init__(self, view: pg.ViewBox) -> None:
        pg.GraphicsObject.__init__(self)
        pg.GraphicsWidgetAnchor.__init__(self)
        self.setFlag(self.GraphicsItemFlag.ItemHasNoContents)
        self.setAcceptedMouseButtons(Qt.MouseButton.NoButton)
        self._view = view
        self._size: tuple[float, str] | None = None
        self._is_wanted, self._has_picture = True, False
        self._bar = QGraphicsRectItem(self)
        self._bar.setPen(pg.mkPen("k"))
        self._bar.setBrush(pg.mkBrush("w"))
        self._text = pg.TextItem(anchor=(0.5, 1), color="w", fill=(0, 0, 0, 180))
        self._text.setParentItem(self)
        self.setParentItem(view)
        self.anchor(itemPos=(1, 1), parentPos=(1, 1), offset=(-20, -16))
        view.sigRangeChanged.connect(self.look)
        view.sigResized.connect(self.look)
        self.want(True)

    @property
    def text(self) -> str:
        """What it says."""
        return str(self._text.toPlainText())

    def set_pixel_size(self, size: tuple[float, str] | None) -> None:
        """Take the size of a pixel and its unit; without, lengths are in pixels."""
        self._size = size
        self.look()

    def want(self, on: bool) -> None:
        """Show it where there is a picture, or don't."""
        self._is_wanted = on
        self.setVisible(on and self._has_picture)

    def see_picture(self) -> None:
        """Know that there is a picture: before the first, it would be a scale of nothing."""
        if not self._has_picture:
            self._has_picture = True
            self.want(self._is_wanted)

    def look(self, *_: Any) -> None:
        """Choose a length that fits what is in sight."""
        (left, right), _range = self._view.viewRange()
        size, unit = self._size or (1.0, "pixels")
        seen = (right - left) * size
        if not seen > 0 or not math.isfinite(seen):
            return
        length = round_length(seen * _SHARE)
        width = length / size * self._view.width() / (right - left)
        self._bar.setRect(QRectF(-width, 0, width, _THICK))
        self._text.setText(f"{length:g} {unit}")
        self._text.setPos(-width / 2, 0)

    def boundingRect(self) -> QRectF:  # noqa: N802 - Qt's spelling
        """Return nothing: its parts are what is painted."""
        return QRectF()
