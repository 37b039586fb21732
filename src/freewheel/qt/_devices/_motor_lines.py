"""What stands below a motor: its limits and steps, or who holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget

from freewheel.qt._devices._editor import small_button
from freewheel.qt._look._inputs import NumberField, wheel_needs_focus
from freewheel.qt._look._readback import ShortLabel
from freewheel.qt._look._slots import slot
from freewheel.qt._look._tones import Tone, tint

if TYPE_CHECKING:
    from collections.abc import Callable

    from freewheel.qt._link._limits import Limits

__all__ = ["HeldBy", "StepBar"]


class StepBar(QWidget):
    """The limits, a step size, and a button for each direction; nothing for what is no number.

    Parameters
    ----------
    name
        What is moved.
    is_number
        Whether it goes to numbers.

    Attributes
    ----------
    stepped : Signal(float)
        The distance to go.
    """

    stepped = Signal(float)

    def __init__(self, name: str, is_number: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.size_field = NumberField(minimum=0.0)
        self.size_field.set_value(1)
        self.size_field.setObjectName("stepSize")
        self.size_field.setAccessibleName(f"Step of {name}")
        self.size_field.setToolTip("How far a step goes")
        self.size_field.setFixedWidth(84)
        wheel_needs_focus(self.size_field)
        back = small_button(
            "\N{MINUS SIGN}", "stepBack", lambda: self._step(-1), "Go back by a step"
        )
        on = small_button("+", "stepOn", lambda: self._step(1), "Go on by a step")
        back.setAccessibleName(f"Step {name} back")
        on.setAccessibleName(f"Step {name} on")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._limits = ShortLabel()
        self._limits.setObjectName("limits")
        self._limits.setMinimumWidth(40)  # the buttons beside it go first
        layout.addWidget(self._limits, 1)
        for part in (back, self.size_field, on):
            part.setVisible(is_number)
            layout.addWidget(part)

    def show_limits(self, limits: Limits, beyond: str) -> None:
        """Show between which values it goes, and that what is filled in is beyond these."""
        words = f"limits: {limits}" if str(limits) else ""
        self._limits.setText(f"\N{MULTIPLICATION SIGN} {beyond}" if beyond else words)
        tint(self._limits, Tone.ERROR if beyond else Tone.MUTED)

    def _step(self, direction: int) -> None:
        size = self.size_field.value()
        if isinstance(size, (int, float)):
            self.stepped.emit(float(direction * size))


class HeldBy(QWidget):
    """Who holds a motor, with a button that pauses him.

    Parameters
    ----------
    pause
        Called by the button.
    """

    def __init__(self, pause: Callable[[], object], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._holder = ShortLabel()
        self._holder.setObjectName("holder")
        self._holder.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._pause = QPushButton("Pause and move")
        self._pause.setObjectName("pauseAndMove")
        self._pause.clicked.connect(slot(pause))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._holder, 1)
        layout.addWidget(self._pause)

    def show_holder(self, holder: str | None, *, may_pause: bool) -> None:
        """Say who holds it, and whether he may be paused."""
        self._holder.setText("" if holder is None else f"held by {holder}")
        self._pause.setEnabled(may_pause)
        self._pause.setToolTip(
            "Pause it from its next safe point on, then move to the target if one was filled in. "
            "Resume lets it go on."
            if may_pause
            else f"{holder} cannot be paused now"
        )
