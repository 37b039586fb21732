"""What is under way, and how far it is."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from freewheel.background import TaskStatus
from freewheel.core import duration_text, left_text
from freewheel.qt._link._with_line import only_with_line
from freewheel.qt._look._icons import icon
from freewheel.qt._look._readback import ShortLabel
from freewheel.qt._look._slots import slot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from freewheel.background import BackgroundTask
    from freewheel.core import Progress
    from freewheel.qt._link._bridge import EngineBridge

__all__ = ["ProgressPanel"]

_PARTS = 1000  # of a progress bar
_STATUS = 70  # the least room for what a task does [px]


class ProgressPanel(QWidget):
    """Progress of the plan's scopes and device moves, and the background tasks with buttons.

    Each background task has one row, with its own progress below it. The row of a task that a
    plan has taken a device from names that plan.

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
        self._tasks: dict[BackgroundTask, _TaskRow] = {}
        self._scopes = _Bars()
        self._rows = QVBoxLayout()
        self._nothing = QLabel("nothing under way")
        self._nothing.setEnabled(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._nothing)
        # First, for bars come and go with each move, and buttons are not to jump.
        layout.addLayout(self._rows)
        layout.addWidget(self._scopes)
        layout.addStretch(1)
        bridge.progressChanged.connect(self._show_progress)
        bridge.backgroundChanged.connect(self._show_task)
        bridge.claimsChanged.connect(self._update_rows)
        snapshot = bridge.snapshot()
        for task in snapshot.background:
            self._show_task(task)
        self._show_progress(snapshot.progress)
        only_with_line(self, bridge)

    @property
    def bars(self) -> tuple[QProgressBar, ...]:
        """The progress bars that are shown, those of the plan in the foreground first."""
        rows = (bar for row in self._tasks.values() for bar in row.bars.shown)
        return (*self._scopes.shown, *rows)

    @property
    def task_names(self) -> tuple[str, ...]:
        """The names of the tasks that are shown."""
        return tuple(task.name for task in self._tasks)

    def _show_progress(self, told: tuple[Progress, ...]) -> None:
        # A task as a whole is its row. Of two of one name the newer one answers to it.
        rows = {task.name: row for task, row in self._tasks.items()}
        scopes = [p for p in told if not p.done and p.kind != "task"]
        foreground: list[Progress] = []
        of_rows: dict[str, list[Progress]] = {name: [] for name in rows}
        for scope in scopes:
            mine = of_rows.get(scope.owner) if scope.background else None
            (foreground if mine is None else mine).append(scope)
        self._scopes.show_scopes([self._as_foreseen(scope) for scope in foreground])
        for name, row in rows.items():
            row.bars.show_scopes(of_rows[name], name)
        self._say_nothing()

    def _as_foreseen(self, scope: Progress) -> Progress:
        """Return a scope with the time that is left of the plan, if it is that of all of it.

        It is what stands beside the state: two times that differ would be one too many.
        """
        plan = self._bridge.snapshot()
        if plan.time_left is None or math.isinf(plan.time_left) or scope.name != plan.plan_name:
            return scope
        return replace(scope, remaining=plan.time_left)

    def _show_task(self, task: BackgroundTask) -> None:
        row = self._tasks.get(task)
        if task.status.ended:
            if row is not None:
                del self._tasks[task]
                self._rows.removeWidget(row)
                row.hide()
                row.deleteLater()
        elif row is None:
            row = self._tasks[task] = _TaskRow(task, self._bridge)
            self._rows.addWidget(row)
        else:
            row.update_status()
        self._say_nothing()

    def _update_rows(self, *_: Any) -> None:
        for row in self._tasks.values():
            row.update_status()

    def _say_nothing(self) -> None:
        self._nothing.setVisible(not self._scopes.shown and not self._tasks)


class _Bars(QWidget):
    """Progress bars, one below the other."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[QProgressBar] = []
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(2)
        self.hide()

    def show_scopes(self, scopes: Sequence[Progress], title: str = "") -> None:
        """Show these, and no others; one of the name that stands above them without its name."""
        while len(self.shown) < len(scopes):
            bar = QProgressBar()
            self.shown.append(bar)
            self._column.addWidget(bar)
        while len(self.shown) > len(scopes):
            bar = self.shown.pop()
            self._column.removeWidget(bar)
            bar.hide()
            bar.deleteLater()
        for bar, scope in zip(self.shown, scopes, strict=True):
            bar.setRange(0, _PARTS)
            bar.setValue(round(_PARTS * (scope.fraction or 0)))
            bar.setFormat(_text_of(scope, title))
            bar.setAccessibleName(scope.name)
            bar.setToolTip(bar.text())  # a long name does not fit into it
        self.setVisible(bool(scopes))


def _text_of(scope: Progress, title: str) -> str:
    name = "" if scope.name == title else f"{scope.name}  "
    if scope.fraction is None:  # no end is known
        return f"{name}{duration_text(scope.elapsed)}"
    return f"{name}%p %  {left_text(scope)}".rstrip()


class _TaskRow(QWidget):
    """One background task, and its progress."""

    def __init__(self, task: BackgroundTask, bridge: EngineBridge) -> None:
        super().__init__()
        self._task, self._bridge = task, bridge
        self.setObjectName(f"task:{task.name}")
        name = ShortLabel()
        name.setText(task.name)
        self._label = QLabel()
        self._label.setObjectName("status")
        self._label.setTextFormat(Qt.TextFormat.PlainText)
        self._label.setStyleSheet("font-weight: bold;")
        self._label.setWordWrap(True)  # to whom a task gives way takes more than a line
        self._label.setMinimumWidth(_STATUS)  # however long a name is that it says
        self._pause = QPushButton(icon("pause"), "Pause")
        self._pause.setObjectName("pause")
        self._pause.setMinimumWidth(QPushButton(icon("run"), "Resume").sizeHint().width())
        self._pause.clicked.connect(self._pause_or_resume)
        cancel = QPushButton(icon("cancel"), "Stop")
        cancel.setAccessibleName(f"Stop {task.name}")
        cancel.setObjectName("cancel")
        cancel.setToolTip("End the task, with its clean-up")
        cancel.clicked.connect(slot(bridge.cancel_task, task))
        self._waits = QLabel()  # a line of its own: beside the buttons it would be a word wide
        self._waits.setObjectName("waitsFor")
        self._waits.setTextFormat(Qt.TextFormat.PlainText)
        self._waits.setWordWrap(True)
        self.bars = _Bars()
        line = QHBoxLayout()
        line.addWidget(name, 1)
        line.addWidget(self._label, 1)
        line.addWidget(self._pause)
        line.addWidget(cancel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(line)
        layout.addWidget(self._waits)
        layout.addWidget(self.bars)
        self.update_status()

    @property
    def _paused(self) -> bool:
        return self._task.status is TaskStatus.PAUSED

    @property
    def _gives_way_to(self) -> str | None:
        """The plan that uses a device of the task meanwhile, if there is one."""
        claims = self._bridge.engine.claims
        for device in claims:
            if claims.lends(self._task, device):
                return claims.get(device)
        return None

    def update_status(self) -> None:
        """Show what the task is doing now."""
        taker = self._gives_way_to if self._paused else None
        status = self._task.status.value if taker is None else f"gives way to {taker}"
        waits_for = "" if taker is not None else self._task.waits_for
        self._label.setText(status)
        self._label.setToolTip(status)
        self._waits.setText(f"waits for {waits_for}")
        self._waits.setVisible(bool(waits_for))
        resume = self._paused and taker is None
        self._pause.setText("Resume" if resume else "Pause")
        self._pause.setIcon(icon("run" if resume else "pause"))
        self._pause.setAccessibleName(f"{self._pause.text()} {self._task.name}")
        if taker is not None:
            enabled, tip = False, f"It comes back by itself when {taker} is over"
        elif not self._bridge.may_pause(self._task):
            enabled, tip = False, "This plan may not be paused"
        else:
            enabled, tip = True, "Rest from the last checkpoint on, until Resume"
        self._pause.setEnabled(enabled)
        self._pause.setToolTip(tip)

    def _pause_or_resume(self) -> None:
        if self._paused:
            self._bridge.resume_task(self._task)
        else:
            self._bridge.pause_task(self._task)
