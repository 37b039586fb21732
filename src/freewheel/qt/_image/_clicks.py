"""Double clicks on a picture, in its pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyqtgraph as pg
from qtpy.QtCore import QEvent, QObject, Qt, Signal

if TYPE_CHECKING:
    from freewheel.qt._image._live_image import LiveImage

__all__ = ["PictureClicks"]


class PictureClicks(QObject):
    """Tells of double clicks on the frame of a live image.

    Parameters
    ----------
    image
        The live image.
    parent
        The QObject that owns this one.

    Attributes
    ----------
    clicked : Signal(float, float)
        How many pixels from the left, and from the top.
    """

    clicked = Signal(float, float)

    def __init__(self, image: LiveImage, parent: QObject) -> None:
        super().__init__(parent)
        self._image = image
        self._graphics = image.findChild(pg.GraphicsView)
        self._graphics.viewport().installEventFilter(self)

    @property
    def middle(self) -> tuple[float, float] | None:
        """The middle of the frame [pixels]; `None` before the first."""
        frame = self._image.frame
        return None if frame is None else (frame.shape[1] / 2, frame.shape[0] / 2)

    def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802 - Qt's spelling
        """Hear of double clicks, and leave them to the picture as well."""
        is_double = event.type() == QEvent.Type.MouseButtonDblClick
        if is_double and event.button() == Qt.MouseButton.LeftButton:
            self._clicked(self._graphics.mapToScene(event.position().toPoint()))
        return False

    def _clicked(self, place: Any) -> None:
        frame = self._image.frame
        for item in self._graphics.scene().items(place):
            if frame is not None and isinstance(item, pg.ImageItem):
                point = item.getViewBox().mapSceneToView(place)
                if 0 <= point.x() < frame.shape[1] and 0 <= point.y() < frame.shape[0]:
                    self.clicked.emit(point.x(), point.y())
                return
