"""A setting of a device, changed by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from freewheel.qt._device_kinds import datatype_of
from freewheel.qt._device_row import DeviceRow
from freewheel.qt._editor import Editor, small_button

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from freewheel.qt._bridge import EngineBridge
    from freewheel.qt._signal_watch import Limits

__all__ = ["SettingRow"]


class SettingRow(DeviceRow):
    """A setting of a device, such as an exposure time, changed by hand.

    It may be changed while a plan uses the device: the engine changes it between two messages of
    the plan. Nothing is set before *Apply* or Return; a device that is marked as dangerous asks
    then. What is filled in follows what the device reads until somebody edits it.

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
        super().__init__(bridge, signal, name or signal.name, parent)
        self._sent: Any = None
        self._apply = small_button("Apply", "set", self.apply, "Set what is filled in")
        self._apply.setAccessibleName(f"Apply {self._title}")
        self._editor = Editor(datatype_of(signal), self.apply, self._mark)
        self._editor.widget.setObjectName("value")
        self._editor.widget.setAccessibleName(self._title)
        self._line.addWidget(self._editor.widget)
        self._line.addWidget(self._apply)
        self._subscribe(signal)

    def set_value(self, value: Any) -> None:
        """Fill in what `apply` sets."""
        self._editor.fill_in(value)

    def apply(self, *_: Any) -> None:
        """Set what is filled in."""
        if problem := self._editor.problem:
            self.say(problem)
            return
        self._sent = self._editor.value()
        self._by_hand(self._sent, between=True)

    def receive(self, kind: str, arguments: tuple[Any, ...]) -> None:
        """Show what came back from the engine's loop."""
        super().receive(kind, arguments)
        if kind == "done" and self._editor.value() == self._sent:
            self._editor.follow()

    def show_reading(self, value: Any) -> None:
        """Show what the signal reads."""
        super().show_reading(value)
        self._editor.show_reading(value)

    def show_limits(self, limits: Limits) -> None:
        """Have the input take nothing beyond the limits."""
        self._editor.limit(limits)

    def _mark(self) -> None:
        """Show that what is filled in was not set yet."""
        font = self._apply.font()
        font.setBold(self._editor.edited)
        self._apply.setFont(font)
