"""What keeps plans from being started, with the button that frees them; and what comes itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QWidget

if TYPE_CHECKING:
    from freewheel.core import EngineSnapshot
    from freewheel.qt._link._bridge import EngineBridge

__all__ = ["HeldLine", "PeriodicLine"]

_STYLE = (
    "#held { background: #fff3cd; border: 1px solid #d08700; border-radius: 4px; }"
    "#held QLabel { color: #4d3400; }"
)


class HeldLine(QFrame):
    """Says what keeps plans from going on, and what mends it; else it is hidden.

    That is a queue that is held, a service that has failed, and an interlock that is waited for.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    parent
        What it is a part of: without one it would be a window.
    """

    def __init__(self, bridge: EngineBridge, parent: QWidget) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self.setObjectName("held")
        self.setStyleSheet(_STYLE)
        self._text = QLabel()
        self._text.setObjectName("obstacle")
        self._text.setWordWrap(True)
        self._release = QPushButton("Release")
        self._release.setObjectName("release")
        self._release.setToolTip("Let the plans that wait start, one after the other")
        self._release.clicked.connect(bridge.release_queue)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(6, 2, 2, 2)
        layout.addWidget(self._text, 1)
        layout.addWidget(self._release)
        # A service that ends, or is adopted again, is a task that changes.
        for told in (
            bridge.queueChanged,
            bridge.backgroundChanged,
            bridge.stateChanged,
            bridge.interlocksChanged,
        ):
            told.connect(self._look)
        self._look()

    def _look(self, *_: Any) -> None:
        picture = self._bridge.snapshot()
        held = "" if picture.queue_held is None else _why_held(picture)
        failed = picture.service_failed or ""
        waits = [f"Interlock {each}." for each in picture.interlocks if each.waiting]
        lines = (f"{failed[:1].upper()}{failed[1:]}", held, *waits)
        self._text.setText("\n".join(filter(None, lines)))
        self._release.setVisible(bool(held))
        self._release.setEnabled(not failed)  # no plan is run then
        self.setVisible(bool(self._text.text()))


class PeriodicLine(QLabel):
    """Says which plans are run again and again, and when the next run is due; else it is hidden.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    parent
        What it is a part of: without one it would be a window.
    """

    def __init__(self, bridge: EngineBridge, parent: QWidget) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self.setObjectName("periodic")
        self.setWordWrap(True)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setToolTip("Plans that run again and again, at the next safe point")
        self._clock = QTimer(self)
        self._clock.setInterval(1000)
        self._clock.timeout.connect(self._look)
        bridge.queueChanged.connect(self._look)
        bridge.stateChanged.connect(self._look)
        self._look()

    def _look(self, *_: Any) -> None:
        periodic = self._bridge.snapshot().periodic
        self.setText("\n".join(map(str, periodic)))
        self.setVisible(bool(periodic))
        if not periodic:
            self._clock.stop()
        elif not self._clock.isActive():
            self._clock.start()


def _why_held(picture: EngineSnapshot) -> str:
    count = len(picture.queue)
    waiting = f" {count} plan{' waits' if count == 1 else 's wait'} for Release." if count else ""
    return f"The queue is held: {picture.queue_held}. No plan of it starts.{waiting}"
