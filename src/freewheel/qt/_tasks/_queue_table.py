"""The plans that wait, to be ordered, edited, held and put back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from freewheel.core import duration_text
from freewheel.core._wording import start_text
from freewheel.qt._link._with_line import only_with_line
from freewheel.qt._look._readback import ShortLabel
from freewheel.qt._look._slots import slot
from freewheel.qt._plans._call_dialog import edit_call
from freewheel.qt._tasks._kept_rows import KeptRows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from freewheel.core import PlanCall, PlanFutureView, WaitingPlan
    from freewheel.qt._link._bridge import EngineBridge

__all__ = ["QueueTable"]

_COLUMNS: Final = ("Plan", "Arguments", "Takes", "Starts")
_TIMES_MS: Final = 1000
#: So many of the plans that wait are shown.
_ROWS: Final = 200
_EDITABLE: Final = "Double click, or F2, to change its arguments"
_MADE: Final = "It was made before it was queued: it can be moved and removed, and not be changed"


class _Rows(QTreeWidget):
    """Rows that can be dragged; they are moved by whoever hears of it, not by the list itself."""

    dropped = Signal(int, int)

    def __init__(self) -> None:
        super().__init__()
        self.setDragDropMode(QAbstractItemView.DragDropMode.InternalMove)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self._dragged: QTreeWidgetItem | None = None

    def startDrag(self, actions: Any) -> None:  # noqa: N802 - Qt's spelling
        """Remember what is dragged: if it goes meanwhile, another row becomes the current one."""
        self._dragged = self.currentItem()
        try:
            super().startDrag(actions)  # until it is let go
        finally:
            self._dragged = None

    def dropEvent(self, event: Any) -> None:  # noqa: N802 - Qt's spelling
        """Tell from where to where a row was dragged."""
        target = self.indexAt(event.position().toPoint())
        below = self.dropIndicatorPosition() == QAbstractItemView.DropIndicatorPosition.BelowItem
        dragged = self._dragged or self.currentItem()
        begin = -1 if dragged is None else self.indexOfTopLevelItem(dragged)
        end = target.row() + below if target.isValid() else self.topLevelItemCount()
        # Else the row would be taken away here, too.
        event.setDropAction(Qt.DropAction.IgnoreAction)
        event.accept()
        self.dropped.emit(begin, end - (end > begin))


class QueueTable(QWidget):
    """The plans that wait: with arguments, how long each takes, and when it will start.

    They are ordered by dragging, or with Alt+Up and Alt+Down, edited by a double click, and
    removed; the queue is held and released; what a stop has cancelled is put back.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    devices
        The devices by name, for the forms in which plans are edited; see `set_devices`.
    parent
        The widget's parent.
    """

    def __init__(
        self,
        bridge: EngineBridge,
        devices: Mapping[str, Any] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._bridge, self._devices = bridge, dict(devices or {})
        self._waiting: tuple[PlanFutureView, ...] = ()
        self._calls: dict[PlanFutureView, Any] = {}  # what the row of each shows
        self._more = 0  # that are not shown
        self._rows = _Rows()
        self._rows.setObjectName("waiting")
        self._rows.setAccessibleName("Plans that wait")
        self._rows.setHeaderLabels(_COLUMNS)
        header = self._rows.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        self._kept: KeptRows[PlanFutureView] = KeptRows(
            self._rows.takeTopLevelItem, self._insert_row
        )
        self._rows.dropped.connect(self.move_row)
        self._rows.itemDoubleClicked.connect(slot(self.edit))
        self._rows.currentItemChanged.connect(self._enable)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._rows, 1)
        layout.addLayout(self._make_buttons())
        for keys, act in (
            ("Alt+Up", self.up),
            ("Alt+Down", self.down),
            ("F2", self.edit),
            ("Delete", self.remove),
        ):
            short_cut = QShortcut(QKeySequence(keys), self._rows)
            short_cut.activated.connect(act)
            short_cut.setContext(Qt.ShortcutContext.WidgetShortcut)
        self._clock = QTimer(self)
        self._clock.setInterval(_TIMES_MS)
        self._clock.timeout.connect(self._show_times)
        bridge.queueChanged.connect(self._look)
        bridge.stateChanged.connect(self._show_times)
        self._look()
        only_with_line(self, bridge)

    def _make_buttons(self) -> QHBoxLayout:
        row = QHBoxLayout()
        self._buttons: dict[str, QPushButton] = {}
        for name, text, tip, act in (
            ("up", "Up", "Have it run earlier (Alt+Up)", self.up),
            ("down", "Down", "Have it run later (Alt+Down)", self.down),
            ("edit", "Edit", "Change its arguments (F2)", self.edit),
            ("remove", "Remove", "Have it not run (Delete)", self.remove),
            ("hold", "Hold", "Start nothing new until Release", self._hold_or_release),
            ("putBack", "Put back", "Queue again what was cancelled last", self._bridge.put_back),
        ):
            button = self._buttons[name] = QPushButton(text)
            button.setObjectName(f"queue:{name}")
            button.setToolTip(tip)
            button.clicked.connect(act)
            row.addWidget(button)
        self._buttons["hold"].setMinimumWidth(80)  # for both of its words
        self._held = ShortLabel()
        self._held.setObjectName("queue:held")
        row.addWidget(self._held, 1)
        return row

    # -- asking -------------------------------------------------------------------------------

    def set_devices(self, devices: Mapping[str, Any]) -> None:
        """Take the devices that forms offer."""
        self._devices = dict(devices)

    @property
    def chosen(self) -> PlanFutureView | None:
        """The plan of the row that is chosen."""
        row = self._rows.currentIndex().row()
        return self._waiting[row] if 0 <= row < len(self._waiting) else None

    def choose(self, row: int) -> None:
        """Choose a row."""
        self._rows.setCurrentItem(self._rows.topLevelItem(row))

    def move_row(self, begin: int, end: int) -> None:
        """Have the plan of a row wait in the place of another one."""
        if begin != end and 0 <= begin < len(self._waiting) and 0 <= end < len(self._waiting):
            self._bridge.move_waiting(self._waiting[begin], end)

    def up(self, *_: object) -> None:
        """Have the chosen plan run earlier."""
        row = self._rows.currentIndex().row()
        self.move_row(row, row - 1)

    def down(self, *_: object) -> None:
        """Have the chosen plan run later."""
        row = self._rows.currentIndex().row()
        self.move_row(row, row + 1)

    def remove(self, *_: object) -> None:
        """Have the chosen plan not run."""
        if (future := self.chosen) is not None:
            self._bridge.remove_waiting(future)

    def _hold_or_release(self, *_: object) -> None:
        if self._bridge.engine.queue.held is None:
            self._bridge.hold_queue()
        else:
            self._bridge.release_queue()

    def edit(self, *_: object) -> None:
        """Change the arguments of the chosen plan, in a form."""
        future = self.chosen
        if future is not None and future.call is not None:
            edit_call(self, self._bridge, future, self._devices)

    # -- showing ------------------------------------------------------------------------------

    def _look(self, *_: object) -> None:
        chosen, waiting = self.chosen, self._bridge.engine.queued
        self._waiting, self._more = waiting[:_ROWS], max(0, len(waiting) - _ROWS)
        self._kept.show(self._waiting)
        calls = {future: future.call for future in self._waiting}
        for row, (future, call) in enumerate(calls.items()):
            item = self._rows.topLevelItem(row)
            if item is not None and self._calls.get(future, self) is not call:
                _show_call(item, future.plan_name, call)
            if future is chosen:
                self._rows.setCurrentItem(item)
        if chosen not in calls:
            self._rows.setCurrentItem(None)
        self._calls = calls
        if self._waiting:
            self._clock.start()
        else:
            self._clock.stop()
        self._show_times()
        self._enable()

    def _insert_row(self, row: int, future: PlanFutureView) -> None:
        item = QTreeWidgetItem()
        item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsDropEnabled)  # between rows, not into one
        self._calls.pop(future, None)  # of a row that was elsewhere
        self._rows.insertTopLevelItem(row, item)

    def _show_times(self, *_: object) -> None:
        picture = self._bridge.snapshot()
        for row, plan in zip(range(self._rows.topLevelItemCount()), picture.waiting, strict=False):
            item = self._rows.topLevelItem(row)
            if item is not None:
                item.setText(2, duration_text(_finite(plan)))
                held = picture.queue_held is not None
                item.setText(3, "held" if held else start_text(plan.starts_in).split(" ", 1)[1])
        why = picture.queue_held
        held_text = "" if why is None else f"held: {why}"
        more = f"and {self._more} more" if self._more else ""
        self._held.setText(", ".join(filter(None, (more, held_text))))
        self._buttons["hold"].setText("Hold" if why is None else "Release")

    def _enable(self, *_: object) -> None:
        chosen, row = self.chosen, self._rows.currentIndex().row()
        self._buttons["up"].setEnabled(chosen is not None and row > 0)
        self._buttons["down"].setEnabled(chosen is not None and row < len(self._waiting) - 1)
        self._buttons["remove"].setEnabled(chosen is not None)
        self._buttons["edit"].setEnabled(chosen is not None and chosen.call is not None)


def _show_call(item: QTreeWidgetItem, name: str, call: PlanCall | None) -> None:
    """Show what a plan is called with, which takes longer than all else of a row."""
    item.setText(0, name)
    item.setText(1, "" if call is None else call.arguments)
    item.setToolTip(0, _MADE if call is None else _EDITABLE)
    item.setToolTip(1, item.text(1))


def _finite(plan: WaitingPlan) -> float | None:
    return None if plan.duration in (None, float("inf")) else plan.duration
