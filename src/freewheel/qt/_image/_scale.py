"""What is known of the size of a pixel, and of how the camera is turned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

if TYPE_CHECKING:
    from freewheel.qt._image._source import ImageSource

__all__ = ["ImageScale"]


class ImageScale(QObject):
    """The size of a pixel of the picture on the screen: given, else told, else measured.

    Parameters
    ----------
    source
        What documents tell of a picture.
    parent
        The QObject that owns this one.

    Attributes
    ----------
    changed : Signal(object)
        Another size of a pixel is known, or `None`; or how the camera is turned.
    """

    changed = Signal(object)

    def __init__(self, source: ImageSource, parent: QObject) -> None:
        super().__init__(parent)
        self._source = source
        self._shown: dict[str, Any] | None = None  # the event on the screen
        self._said_of: str | None = None  # which descriptor
        self._said: tuple[Any, Any] = (None, None)  # the size of a pixel, and how it is turned

    @property
    def pixel_size(self) -> tuple[float, str] | None:
        """The size of a pixel and its unit; `None` if it is not known."""
        return self._source.pixel_size_of(self._shown)

    @property
    def affine(self) -> tuple[float, float, float, float] | None:
        """How far the stage goes for a pixel to the right and down, if a device has told it [um].

        x to the right, x down, y to the right, y down.
        """
        return self._source.affine_of(self._shown)

    def give(self, size: tuple[float, str] | None) -> None:
        """Take the size of a pixel; `None` for what documents tell."""
        self._source.given_size = size
        self.look()

    def learn(self, size: tuple[float, str] | None) -> None:
        """Take the size of a pixel that was measured, for pictures that nobody tells one of."""
        self._source.learned_size = size
        self.look()

    def follow(self, doc: dict[str, Any]) -> None:
        """Know which event is on the screen; what it tells of is said at once if it is another."""
        self._shown = doc
        if doc["descriptor"] != self._said_of:  # no other frame may follow
            self.look()

    def look(self) -> None:
        """Say it if something else is known now."""
        self._said_of = None if self._shown is None else self._shown["descriptor"]
        said = size, _ = self.pixel_size, self.affine
        if said != self._said:
            self._said = said
            self.changed.emit(size)
