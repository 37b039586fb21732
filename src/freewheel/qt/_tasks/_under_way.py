"""What is under way and what waits, in a place that keeps its size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from qtpy.QtWidgets import QPushButton, QScrollArea, QVBoxLayout, QWidget

from freewheel.qt._look._scrolled import scrolled

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["place_for"]

#: So many rows of a task are in sight.
_ROWS: Final = 6


def place_for(parts: Sequence[QWidget]) -> QScrollArea:
    """Return a place for parts that come and go: what is below it stays where it is."""
    inside = QWidget()
    column = QVBoxLayout(inside)
    column.setContentsMargins(0, 0, 0, 0)
    for part in parts:
        column.addWidget(part)
    column.addStretch(1)
    scroll = scrolled(inside, frame=False)
    scroll.setFixedHeight(_ROWS * QPushButton("Stop").sizeHint().height())
    return scroll
