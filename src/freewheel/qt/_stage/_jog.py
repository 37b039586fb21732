"""Arrows that step a stage, with the sizes of the steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QGridLayout, QLabel, QPushButton, QWidget

from freewheel.qt._look._icons import icon
from freewheel.qt._look._inputs import NumberField, wheel_needs_focus
from freewheel.qt._look._slots import slot

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["JogButtons"]

# Icon, the sign for who has no icons, what it does, row, column, steps.
_ARROWS: Final = (
    ("up", "\N{UPWARDS ARROW}", "Step y on", 0, 1, (0, 1, 0)),
    ("left", "\N{LEFTWARDS ARROW}", "Step x back", 1, 0, (-1, 0, 0)),
    ("right", "\N{RIGHTWARDS ARROW}", "Step x on", 1, 2, (1, 0, 0)),
    ("down", "\N{DOWNWARDS ARROW}", "Step y back", 2, 1, (0, -1, 0)),
    ("near", "\N{UPWARDS ARROW}", "Step the focus on", 0, 3, (0, 0, 1)),
    ("far", "\N{DOWNWARDS ARROW}", "Step the focus back", 2, 3, (0, 0, -1)),
)


class JogButtons(QWidget):
    """Arrows for x, y and focus around a Stop, with the sizes of their steps.

    Attributes
    ----------
    stepped : Signal(int, int, int)
        Steps of x, y and focus.
    stopped : Signal()
        Stop was pressed.
    """

    stepped = Signal(int, int, int)
    stopped = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.arrows: list[QPushButton] = []
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        for name, sign, tip, row, column, step in _ARROWS:
            picture = icon(name)
            button = QPushButton(picture, "" if not picture.isNull() else sign)
            button.setObjectName(f"jog:{name}")
            button.setAccessibleName(tip)
            button.setToolTip(tip)
            button.setAutoRepeat(True)
            button.clicked.connect(slot(self.stepped.emit, *step))
            grid.addWidget(button, row, column)
            self.arrows.append(button)
        stop = QPushButton(icon("stop"), "Stop")
        stop.setObjectName("jog:stop")
        stop.setAccessibleName("Stop the stage")
        stop.setToolTip("Stop the stage, whoever moves it")
        stop.clicked.connect(slot(self.stopped.emit))
        grid.addWidget(stop, 1, 1)
        self.fields: dict[str, NumberField] = {}
        for row, (name, text, size) in enumerate((("xy", "Step", 10), ("focus", "Focus step", 1))):
            field = self.fields[name] = NumberField(minimum=0.0)
            field.set_value(size)
            field.setObjectName(f"jog:step:{name}")
            field.setAccessibleName(text)
            field.setMinimumWidth(70)
            wheel_needs_focus(field)
            grid.addWidget(QLabel(text), row, 4)
            grid.addWidget(field, row, 5)
        grid.setColumnStretch(6, 1)

    @property
    def sizes(self) -> tuple[float, float]:
        """How far a step of x and y goes, and one of the focus; 0 for what is no number."""
        values = [self.fields[name].value() for name in ("xy", "focus")]
        xy, focus = (float(v) if isinstance(v, (int, float)) else 0.0 for v in values)
        return xy, focus

    def set_sizes(self, sizes: Mapping[str, float]) -> None:
        """Fill in how far steps go, of ``xy`` and ``focus``."""
        for name, size in sizes.items():
            if name in self.fields:
                self.fields[name].set_value(size)

    def allow(self, may: bool, why: str) -> None:
        """Have the arrows on, or grey with the reason; Stop is always on."""
        for button in self.arrows:
            button.setEnabled(may)
            button.setToolTip(button.accessibleName() if may else why)
