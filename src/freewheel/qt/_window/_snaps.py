"""Snaps that were taken: a small picture of the last, how many there are, where they went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from qtpy.QtCore import QSize, Signal
from qtpy.QtGui import QIcon, QImage, QPixmap
from qtpy.QtWidgets import QHBoxLayout, QToolButton, QWidget

from freewheel.core._wording import count_text
from freewheel.qt._image._frames import UnshowableFrameError, find_frame, levels_of, prepare
from freewheel.qt._look._readback import ShortLabel

if TYPE_CHECKING:
    from collections.abc import Callable

    from freewheel.qt._link._bridge import EngineBridge

__all__ = ["PURPOSE", "SnapView"]

#: What runs say of themselves that were taken as snaps, in their start documents.
PURPOSE: Final = "snap"
_STREAM: Final = "snapshot"  # of a live view
_SIDE: Final = 36
#: Of the words, however long they are: what stands behind them is not to move.
_ROOM: Final = 200


class SnapView(QWidget):
    """The last snap as a small picture, how many there are, and where they went.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    where
        Tells of a run, by its uid, where it is recorded; empty if it is not.

    Attributes
    ----------
    chosen : Signal(object)
        Somebody wants to see the last snap: its event document.
    """

    chosen = Signal(object)

    def __init__(self, bridge: EngineBridge, where: Callable[[str], str]) -> None:
        super().__init__()
        self._where = where
        self._runs: set[str] = set()
        self._streams: dict[str, str] = {}  # of snaps: run by descriptor
        self._last: dict[str, Any] | None = None
        self.count = 0
        self._button = QToolButton()
        self._button.setObjectName("lastSnap")
        self._button.setAccessibleName("Show the last snap")
        self._button.setIconSize(QSize(_SIDE, _SIDE))
        self._button.setAutoRaise(True)
        self._button.setEnabled(False)
        self._button.clicked.connect(self._choose)
        self._label = ShortLabel("no snaps")
        self._label.setObjectName("snaps")
        self._label.setFixedWidth(_ROOM)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._button)
        row.addWidget(self._label)
        bridge.documentReceived.connect(self._receive)

    @property
    def last(self) -> dict[str, Any] | None:
        """The event document of the last snap."""
        return self._last

    @property
    def text(self) -> str:
        """How many there are, and where the last one went."""
        return str(self._label.text())

    def _receive(self, name: str, doc: dict[str, Any]) -> None:
        if name == "start" and str(doc.get("purpose")) == PURPOSE:  # an array is no answer to ==
            self._runs.add(doc["uid"])
        elif name == "descriptor":
            if doc["run_start"] in self._runs or doc.get("name") == _STREAM:
                self._streams[doc["uid"]] = doc["run_start"]
        elif name == "event" and doc["descriptor"] in self._streams:
            self._add(doc)
        elif name == "stop":
            # Pictures in files may come a moment later, so that its streams are kept for a while.
            self._runs.discard(doc["run_start"])
            for uid in list(self._streams)[:-20]:
                del self._streams[uid]

    def _add(self, doc: dict[str, Any]) -> None:
        key = find_frame(doc["data"])
        if key is None:
            return
        self.count += 1
        self._last = doc
        where = self._where(self._streams[doc["descriptor"]]) or "not recorded"
        self._label.setText(f"{count_text(self.count, 'snap')}, {where}")
        self._button.setEnabled(True)
        self._button.setToolTip(f"Show the last snap ({key}); {where}")
        try:
            self._button.setIcon(QIcon(QPixmap.fromImage(_thumbnail(doc["data"][key]))))
        except UnshowableFrameError as error:
            self._label.setText(f"{key}: {error}")

    def _choose(self, *_: Any) -> None:
        if self._last is not None:
            self.chosen.emit(self._last)


def _thumbnail(value: Any, side: int = 2 * _SIDE) -> QImage:
    """Make a small picture of a frame, of every n-th of its pixels."""
    pixels = prepare(value).pixels
    step = max(1, -(-max(pixels.shape[:2]) // side))
    part = np.nan_to_num(pixels[::step, ::step].astype(np.float64))
    if part.ndim == 3:
        part = part[..., :3]
    low, high = levels_of(part)
    grey = np.clip((part - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    height, width = grey.shape[:2]
    kind = QImage.Format.Format_RGB888 if grey.ndim == 3 else QImage.Format.Format_Grayscale8
    return QImage(grey.tobytes(), width, height, grey[0].nbytes, kind).copy()
