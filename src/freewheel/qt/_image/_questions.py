"""What a person is asked about a picture, in dialogs that are in the way of nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QInputDialog

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

__all__ = ["ImageQuestions"]


class ImageQuestions(QObject):
    """Asks how large a pixel is, and from which value on one is saturated.

    Parameters
    ----------
    over
        The widget that is asked about.

    Attributes
    ----------
    pixelSizeGiven : Signal(object)
        The size of a pixel and its unit.
    limitGiven : Signal(object)
        The value from which on a pixel is saturated; `None` for what documents tell.
    refused : Signal(str)
        Why an answer is none.
    """

    pixelSizeGiven = Signal(object)  # noqa: N815 - Qt's spelling
    limitGiven = Signal(object)  # noqa: N815
    refused = Signal(str)

    def __init__(self, over: QWidget) -> None:
        super().__init__(over)
        self._over = over

    def ask_pixel_size(self, now: tuple[float, str] | None) -> None:
        """Ask for the size of a pixel."""
        size, unit = now or (1.0, "um")
        self._ask("Pixel size, and its unit", f"{size:g} {unit}", self._take_pixel_size)

    def ask_limit(self, now: float | None) -> None:
        """Ask for the value from which on a pixel is saturated."""
        text = "" if now is None else f"{now:g}"
        self._ask("Value from which on a pixel is saturated", text, self._take_limit)

    def _take_pixel_size(self, text: str) -> None:
        number, _, unit = text.strip().partition(" ")
        try:
            size = float(number)
        except ValueError:
            size = 0.0
        if size > 0:
            self.pixelSizeGiven.emit((size, unit.strip() or "um"))
        else:
            self.refused.emit(f"{text!r} is no size of a pixel, such as 0.65 um")

    def _take_limit(self, text: str) -> None:
        try:
            limit = float(text) if text.strip() else None
        except ValueError:
            self.refused.emit(f"{text!r} is no number")
        else:
            self.limitGiven.emit(limit)

    def _ask(self, what: str, text: str, take: Any) -> None:
        dialog = QInputDialog(self._over)
        dialog.setLabelText(what)
        dialog.setTextValue(text)
        dialog.textValueSelected.connect(take)
        dialog.finished.connect(dialog.deleteLater)
        dialog.setModal(False)  # not even a question is to be in the way of Stop all
        dialog.show()
