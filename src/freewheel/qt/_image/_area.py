"""Several live images side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QSplitter, QVBoxLayout, QWidget

from freewheel.qt._image._live_image import LiveImage
from freewheel.qt._look._slots import slot

if TYPE_CHECKING:
    from freewheel.qt._link._bridge import EngineBridge

__all__ = ["ImageArea"]


class ImageArea(QWidget):
    """A live image, and others beside it: each of a camera or channel of its own.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    parent
        The widget's parent.

    Attributes
    ----------
    image : LiveImage
        The first one, which is always there.
    roiWanted : Signal(object)
        Somebody wants to use a region in a plan.
    """

    roiWanted = Signal(object)  # noqa: N815 - Qt's spelling

    def __init__(self, bridge: EngineBridge, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._views: list[LiveImage] = []
        self._splitter = QSplitter()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._splitter)
        self.image = self._add()
        beside = self.image.tools.add_button("beside", "+", "Show another camera or channel beside")
        beside.clicked.connect(self.add_view)

    @property
    def views(self) -> tuple[LiveImage, ...]:
        """The images, from left to right."""
        return tuple(self._views)

    def add_view(self, *_: object) -> LiveImage:
        """Show another image beside the others: of a channel that none shows yet, if there is one.

        Returns
        -------
        LiveImage
            The new one.
        """
        channels = self.image.channels
        shown = {view.key for view in self._views}
        if None in shown and channels:
            shown.add(channels[0][0])  # what the automatic one shows, as a rule
        free = [channel for channel in channels if channel[0] not in shown]
        view = self._add(self.image)
        if free:
            view.choose(*free[0])
        close = view.tools.add_button("close", "\N{MULTIPLICATION SIGN}", "Close this picture")
        close.clicked.connect(slot(self.remove_view, view))
        return view

    def remove_view(self, view: LiveImage) -> None:
        """Show one of the images no more; the first one stays."""
        if view is self.image or view not in self._views:
            return
        self._views.remove(view)
        view.hide()
        view.deleteLater()

    def _add(self, like: LiveImage | None = None) -> LiveImage:
        view = LiveImage(self._bridge)
        if like is not None:
            view.learn_from(like)
        view.roiWanted.connect(self.roiWanted)
        self._views.append(view)
        self._splitter.addWidget(view)
        return view
