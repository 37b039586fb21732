"""Who holds which device, and widgets that respect it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from freewheel.qt._link._holders import holder_at_work

if TYPE_CHECKING:
    from collections.abc import Mapping

    from freewheel.qt._link._bridge import EngineBridge

__all__ = ["ClaimGuard", "ClaimsView"]


class ClaimsView(QTableWidget):
    """A table of the devices that are held, and by whom.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    parent
        The widget's parent.
    """

    def __init__(self, bridge: EngineBridge, parent: QWidget | None = None) -> None:
        super().__init__(0, 2, parent)
        self.setHorizontalHeaderLabels(["Device", "Held by"])
        self.setAccessibleName("Claims")
        self.verticalHeader().hide()
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        bridge.claimsChanged.connect(self._show)
        self._show(bridge.snapshot().claims)

    def _show(self, claims: Mapping[str, str]) -> None:
        self.setRowCount(len(claims))
        for row, (device, holder) in enumerate(sorted(claims.items())):
            self.setItem(row, 0, QTableWidgetItem(str(device)))
            self.setItem(row, 1, QTableWidgetItem(str(holder)))


class ClaimGuard(QObject):
    """Greys a widget out while somebody else holds its device, with the holder in the tooltip.

    A plan or a task that is paused lends its devices, so that the widget can be used then. The
    signal ``changed`` tells that another one, or nobody, may keep hands from the device now.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    device
        The device; a claim on its parent or on a child of it counts.
    widget
        The widget, which owns the guard.
    mine
        A holder's name that is this widget's own, and does not grey it out; by default that of
        what is moved by hand here.
    """

    changed = Signal()

    def __init__(
        self, bridge: EngineBridge, device: Any, widget: QWidget, mine: str | None = None
    ) -> None:
        super().__init__(widget)
        self._bridge, self._device, self._widget = bridge, device, widget
        self._mine = bridge.engine.by_hand.holder if mine is None else mine
        self._tip = widget.toolTip()
        bridge.claimsChanged.connect(self._update)
        # Whoever is paused lends what he holds.
        bridge.stateChanged.connect(self._update)
        bridge.backgroundChanged.connect(self._update)
        self._update()

    @property
    def holder(self) -> str | None:
        """Who keeps hands from the device, if it is somebody else."""
        holder = holder_at_work(self._bridge, self._device)
        return None if holder == self._mine else holder

    def _update(self, *_: Any) -> None:
        holder = self.holder
        self._widget.setEnabled(holder is None)
        self._widget.setToolTip(self._tip if holder is None else f"held by {holder}")
        self.changed.emit()
