"""Buttons for the actions that a plan waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget

from freewheel.core import Action
from freewheel.qt._look._scrolled import scrolled

if TYPE_CHECKING:
    from freewheel.core import SRLatch
    from freewheel.qt._link._bridge import EngineBridge

__all__ = ["ActionBar", "ActionButton"]

# A plan that works between two waits for an action still means to offer it [ms].
_LINGER_MS = 300


class ActionButton(QPushButton):
    """The button of one action: to be pushed, or switched on and off.

    Enabled while a plan waits for the action, and for a moment longer, so that it does not
    flicker while the plan is busy between two waits; what is pushed in that moment is not lost.

    Parameters
    ----------
    action
        The action.
    bridge
        The bridge to the engine; without one the button is a picture of itself.
    """

    def __init__(
        self, action: Action, bridge: EngineBridge | None = None, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._action = action
        self._bridge = bridge
        self._latch: SRLatch | None = None
        self.setObjectName(f"action:{action.name}")
        self.setToolTip(action.description or f"Trigger {action.name}")
        self.setCheckable(action.togglable)
        self._linger = QTimer(self)
        self._linger.setSingleShot(True)
        self._linger.setInterval(_LINGER_MS)
        self._linger.timeout.connect(self._gone)
        self.setEnabled(False)
        self._label()
        self.clicked.connect(self._push)
        if bridge is not None:
            bridge.actionsChanged.connect(self._actions_changed)
            bridge.lineChanged.connect(self._enable)
            self._actions_changed(frozenset(bridge.pending_actions()))

    @property
    def action(self) -> Action:
        """The action."""
        return self._action

    def _actions_changed(self, names: frozenset[str]) -> None:
        if self._bridge is None:
            return
        latch = self._bridge.pending_actions().get(self._action.name)
        if latch is not None:
            self._linger.stop()
            self._latch = latch
            self._enable()
            self._label()
        elif self._action.name not in names and self._latch is not None:
            self._linger.start()

    def _enable(self, *_: Any) -> None:
        """Be off without a latch, and while there is no line to whoever would hear of it."""
        connected = self._bridge is not None and self._bridge.connected
        self.setEnabled(connected and self._latch is not None)

    def _gone(self) -> None:
        self._latch = None
        self._enable()

    def _push(self, *_: Any) -> None:
        # The latch itself, not its name: it is there between two waits as well.
        if self._latch is None:
            return
        if self._action.togglable and self._latch.is_set():
            self._latch.reset()
        else:
            self._latch.set()
        self._label()

    def _label(self) -> None:
        name = self._action.name
        text = name[:1].upper() + name[1:].replace("_", " ")
        if self._action.togglable:
            on = self._latch is not None and self._latch.is_set()
            self.setChecked(on)
            text += f": {self._action.toggle_states[0 if on else 1]}"
        self.setText(text)


class ActionBar(QWidget):
    """One button for each action on offer, coming and going with the plan's waits.

    It has room for a row of them, whether there are any or not, and scrolls sideways where they are
    too many: nothing jumps when one appears.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    parent
        The widget's parent.
    """

    def __init__(self, bridge: EngineBridge, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._buttons: dict[str, ActionButton] = {}
        row = QWidget()
        self._layout = QHBoxLayout(row)
        self._layout.setContentsMargins(0, 0, 0, 0)
        scroll = scrolled(row, frame=False)
        scroll.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        room = QPushButton("Snap").sizeHint().height()
        scroll.setFixedHeight(room + scroll.horizontalScrollBar().sizeHint().height() + 2)
        whole = QHBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(scroll)
        self._none = QLabel("no actions on offer")
        self._none.setEnabled(False)
        self._layout.addWidget(self._none)
        self._layout.addStretch(1)
        self._linger = QTimer(self)
        self._linger.setSingleShot(True)
        self._linger.setInterval(_LINGER_MS)
        self._linger.timeout.connect(self._remove_gone)
        bridge.actionsChanged.connect(self._actions_changed)
        self._actions_changed(frozenset(bridge.pending_actions()))

    @property
    def buttons(self) -> dict[str, ActionButton]:
        """The buttons that are shown, by the action's name."""
        return dict(self._buttons)

    def _actions_changed(self, names: frozenset[str]) -> None:
        pending = self._bridge.pending_actions()
        for name, latch in pending.items():
            action = latch.action or Action(name=name)
            shown = self._buttons.get(name)
            if shown is not None and shown.action is not action and latch.action is not None:
                self._remove(name)
            if name not in self._buttons:
                button = ActionButton(action, self._bridge)
                self._buttons[name] = button
                self._layout.insertWidget(self._layout.count() - 1, button)
        self._none.setVisible(not self._buttons)
        if set(self._buttons) - set(names):
            self._linger.start()

    def _remove_gone(self) -> None:
        pending = self._bridge.pending_actions()
        for name in list(self._buttons):
            if name not in pending:
                self._remove(name)
        self._none.setVisible(not self._buttons)

    def _remove(self, name: str) -> None:
        button = self._buttons.pop(name)
        self._layout.removeWidget(button)
        button.hide()
        button.deleteLater()
