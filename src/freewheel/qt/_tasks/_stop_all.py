"""The red button, which is there in every state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QPushButton

from freewheel.qt._look._icons import icon

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from freewheel.qt._link._bridge import EngineBridge

__all__ = ["StopAllButton"]

_TIP: Final = "Stop every device, and end every plan and task with its clean-up (Ctrl+.)"
_KEYS: Final = "Ctrl+."
_RED: Final = (
    "QPushButton { background: #c62828; color: white; font-weight: bold; padding: 4px 12px;"
    " border: 2px solid #c62828; border-radius: 4px; }"
    "QPushButton:hover { background: #b71c1c; }"
    "QPushButton:pressed { background: #8e0000; }"
    "QPushButton:focus { border-color: white; }"
)


class StopAllButton(QPushButton):
    """Stops all that the engine does; *Ctrl+.* does the same anywhere in its window.

    The keys work while it is in sight: a window has one where nothing can hide it.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    parent
        The widget's parent.
    """

    def __init__(self, bridge: EngineBridge, parent: QWidget | None = None) -> None:
        super().__init__(icon("stop_all", "white"), "Stop all", parent)
        self.setObjectName("stop_all")
        self.setToolTip(_TIP)
        self.setAccessibleDescription(_TIP)
        self.setStyleSheet(_RED)
        self.clicked.connect(lambda _=False: bridge.stop_all())
        # Of the window: docks that float, and questions that are open, leave it be.
        keys = QShortcut(QKeySequence(_KEYS), self)
        keys.setObjectName("stopAll")
        keys.setWhatsThis("Stop all")
        keys.activated.connect(bridge.stop_all)
        keys.activatedAmbiguously.connect(bridge.stop_all)  # of two buttons in a window
