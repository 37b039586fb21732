"""A setting of a device, changed by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from freewheel.qt._devices._edited_row import EditedRow
from freewheel.qt._link._claims import ClaimGuard

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from freewheel.qt._link._bridge import EngineBridge

__all__ = ["SettingRow"]


class SettingRow(EditedRow):
    """A setting of a device, such as an exposure time, changed by hand.

    It may be changed while a plan uses the device: the engine changes it between two messages of
    the plan. A signal that stands by itself, such as a PV that scans move, is a device of its own:
    while a plan holds it, it is greyed out, with the holder in the tool tip. Nothing is set before
    *Apply* or Return; a device that is marked as dangerous asks then. What is filled in follows
    what the device reads until somebody edits it.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    signal
        A signal that can be set and read.
    name
        What to call it; by default its own name.
    """

    def __init__(
        self,
        bridge: EngineBridge,
        signal: Any,
        name: str | None = None,
        parent: QWidget | None = None,
    ) -> None:
        button = ("Apply", "set", "Set what is filled in")
        super().__init__(bridge, signal, name or signal.name, parent, self.apply, button)
        self._editor.widget.setObjectName("value")
        self._editor.widget.setAccessibleName(self._title)
        self._button.setAccessibleName(f"Apply {self._title}")
        self._between = getattr(signal, "parent", None) is not None
        if not self._between:
            self.guard = ClaimGuard(bridge, signal, self._button)
        self._subscribe(signal)

    def set_value(self, value: Any) -> None:
        """Fill in what `apply` sets."""
        self._editor.fill_in(value)

    def apply(self, *_: Any) -> None:
        """Set what is filled in."""
        self._send()
