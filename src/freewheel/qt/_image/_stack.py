"""The frames of a stack: taken before and got one by one, or all in one event."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from freewheel.qt._image._plane_slider import PlaneSlider
from freewheel.qt._link._worker import Worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from freewheel.qt._image._source import ImageSource

__all__ = ["ImageStack"]


class ImageStack(QObject):
    """Gets the frame that the slider is at.

    Parameters
    ----------
    source
        Which picture is shown.
    parent
        The QObject that owns this one.

    Attributes
    ----------
    loaded : Signal(object)
        A frame that was taken before is there, as an event.
    failed : Signal(str)
        Why there is none.
    planeChosen : Signal()
        Another frame of the stack in the event is wanted.
    slider : PlaneSlider
        Where a person chooses.
    plane : int or None
        The frame of a stack in one event; `None` for the last.
    """

    loaded = Signal(object)
    failed = Signal(str)
    planeChosen = Signal()  # noqa: N815 - Qt's spelling

    def __init__(self, source: ImageSource, parent: QObject) -> None:
        super().__init__(parent)
        self._source = source
        self._frames: Sequence[Any] | None = None  # those that were taken before
        self._worker = Worker(self)
        self.plane: int | None = None
        self.slider = PlaneSlider()
        self.slider.moved.connect(self._chosen)

    def open(self, frames: Sequence[Any], index: int) -> None:
        """Go through frames that were taken before, from now on and from one of them on."""
        self._frames = frames
        self._worker.forget()  # one of the former
        count = len(frames)
        index = index % count if count else 0
        self.slider.offer(count, index)
        self._load(index)

    def close(self) -> None:
        """Go through no frames that were taken before any more."""
        if self._frames is not None:
            self._frames = None
            self._worker.forget()
            self.slider.offer(0, 0)

    def offer(self, planes: Sequence[int], plane: int) -> None:
        """Offer the frames of a stack in one event, if none that were taken before are shown.

        Parameters
        ----------
        planes
            The lengths of the stack's axes; none for a single frame.
        plane
            Which of them is seen.
        """
        if self._frames is None:
            count = math.prod(planes) if planes else 0
            self.slider.offer(count, plane, planes)

    def _chosen(self, index: int) -> None:
        if self._frames is not None:
            self._load(index)
            return
        self.plane = index
        self.planeChosen.emit()

    def _load(self, index: int) -> None:
        frames = self._frames
        if frames is not None and 0 <= index < len(frames):
            self._worker.ask(partial(_frame_of, frames, index), self._arrived)

    def _arrived(self, found: tuple[int, Any] | None, error: BaseException | None) -> None:
        if self._frames is None:
            return
        if found is None:
            self.failed.emit(str(error))
            return
        number, frame = found
        key, _ = self._source.channel
        event = {"descriptor": "", "seq_num": number + 1, "time": float(number)}
        self.loaded.emit({**event, "data": {key or "frame": frame}})


def _frame_of(frames: Sequence[Any], index: int) -> tuple[int, Any]:
    return index, frames[index]
