"""One line of a device with a value to fill in, which is set on a click or Return."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from freewheel.qt._devices._editor import Editor, small_button
from freewheel.qt._devices._kinds import datatype_of
from freewheel.qt._devices._row import DeviceRow

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

    from freewheel.qt._link._bridge import EngineBridge
    from freewheel.qt._link._claims import ClaimGuard
    from freewheel.qt._link._limits import Limits

__all__ = ["EditedRow"]


class EditedRow(DeviceRow):
    """A value to fill in, which follows what the device reads until somebody edits it."""

    _between = False  # whether it may be set between two messages of the plan that holds it

    def __init__(
        self,
        bridge: EngineBridge,
        device: Any,
        name: str,
        parent: QWidget | None,
        act: Callable[[], object],
        button: tuple[str, str, str],
    ) -> None:
        super().__init__(bridge, device, name, parent)
        self._sent: Any = None  # what was asked for last
        self.guard: ClaimGuard | None = None  # greys it out while somebody else has the device
        text, object_name, tip = button
        self._button = small_button(text, object_name, act, tip)
        self._editor = Editor(datatype_of(device), act, self._mark)
        self._line.addWidget(self._editor.widget)
        self._line.addWidget(self._button)

    @property
    def reading(self) -> Any:
        """What the device reads; `None` before it has said so."""
        return self._editor.latest

    def problem_with(self, value: Any) -> str:
        """Return why the device cannot be set to a value by hand; empty if it can."""
        holder = None if self.guard is None else self.guard.holder
        if holder is not None:
            return f"held by {holder}"
        choice = self._editor.choice_of(value)
        return f"{value} is not on offer" if choice is None else self._editor.problem_of(choice)

    def set_to(self, value: Any) -> None:
        """Set the device by hand, whatever is filled in; the text of a choice stands for it."""
        if problem := self.problem_with(value):
            self.say(problem)
            return
        choice = self._editor.choice_of(value)
        self._sent = choice
        self._by_hand(choice, between=self._between)

    def _send(self) -> None:
        """Set what is filled in, or say what is wrong with it."""
        if problem := self._editor.problem:
            self.say(problem)
            return
        self._sent = self._editor.value()
        self._by_hand(self._sent, between=self._between)

    def receive(self, kind: str, arguments: tuple[Any, ...]) -> None:
        """Show what came back from the engine's loop."""
        super().receive(kind, arguments)
        if kind == "done" and self._editor.value() == self._sent:
            self._editor.follow()

    def show_reading(self, value: Any) -> None:
        """Show what the device reads."""
        super().show_reading(value)
        self._editor.show_reading(value)

    def show_limits(self, limits: Limits) -> None:
        """Have the input take nothing beyond the limits."""
        self._editor.limit(limits)

    def _mark(self) -> None:
        """Show that what is filled in was not set yet."""
        font = self._button.font()
        font.setBold(self._editor.edited)
        self._button.setFont(font)
