"""What is under way, and how far it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

if TYPE_CHECKING:
    from freewheel.background import BackgroundTask
    from freewheel.core import Progress
    from freewheel.qt._bridge import EngineBridge

__all__ = ["ProgressPanel"]

_PARTS = 1000  # of a progress bar


class ProgressPanel(QWidget):
    """Progress of the plan's scopes and device moves, and the background tasks with buttons.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    parent
        The widget's parent.
    """

    def __init__(self, bridge: EngineBridge, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bars: list[QProgressBar] = []
        self._tasks: dict[BackgroundTask, _TaskRow] = {}
        self._scopes = QVBoxLayout()
        self._rows = QVBoxLayout()
        self._nothing = QLabel("nothing under way")
        self._nothing.setEnabled(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._nothing)
        layout.addLayout(self._scopes)
        layout.addLayout(self._rows)
        layout.addStretch(1)
        bridge.progressChanged.connect(self._show_progress)
        bridge.backgroundChanged.connect(self._show_task)
        snapshot = bridge.snapshot()
        self._show_progress(snapshot.progress)
        for task in snapshot.background:
            self._show_task(task)

    @property
    def bars(self) -> tuple[QProgressBar, ...]:
        """The progress bars that are shown."""
        return tuple(self._bars)

    @property
    def task_names(self) -> tuple[str, ...]:
        """The names of the tasks that are shown."""
        return tuple(task.name for task in self._tasks)

    def _show_progress(self, told: tuple[Progress, ...]) -> None:
        # A task as a whole has a row of its own, below.
        scopes = [p for p in told if not p.done and (p.kind != "task" or p.fraction is not None)]
        while len(self._bars) < len(scopes):
            bar = QProgressBar()
            self._bars.append(bar)
            self._scopes.addWidget(bar)
        while len(self._bars) > len(scopes):
            bar = self._bars.pop()
            self._scopes.removeWidget(bar)
            bar.hide()
            bar.deleteLater()
        for bar, scope in zip(self._bars, scopes, strict=True):
            bar.setRange(0, _PARTS)
            bar.setValue(round(_PARTS * (scope.fraction or 0)))
            bar.setFormat(_text_of(scope))
        self._say_nothing()

    def _show_task(self, task: BackgroundTask) -> None:
        row = self._tasks.get(task)
        if task.status.ended:
            if row is not None:
                del self._tasks[task]
                self._rows.removeWidget(row)
                row.hide()
                row.deleteLater()
        elif row is None:
            row = self._tasks[task] = _TaskRow(task)
            self._rows.addWidget(row)
        else:
            row.update_status()
        self._say_nothing()

    def _say_nothing(self) -> None:
        self._nothing.setVisible(not self._bars and not self._tasks)


def _text_of(scope: Progress) -> str:
    if scope.fraction is None:  # no end is known
        return f"{scope.name}  {scope.elapsed:.0f} s"
    left = "" if scope.remaining is None else f"  {scope.remaining:.0f} s left"
    return f"{scope.name}  %p %{left}"


class _TaskRow(QWidget):
    """One background task."""

    def __init__(self, task: BackgroundTask) -> None:
        super().__init__()
        self._task = task
        self.setObjectName(f"task:{task.name}")
        self._label = QLabel()
        self._pause = QPushButton("Pause")
        self._pause.setObjectName("pause")
        self._pause.clicked.connect(self._pause_or_resume)
        cancel = QPushButton("Stop")
        cancel.setObjectName("cancel")
        cancel.setToolTip("End the task, with its clean-up")
        cancel.clicked.connect(lambda: task.cancel("stopped in the window"))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._label, 1)
        layout.addWidget(self._pause)
        layout.addWidget(cancel)
        self.update_status()

    @property
    def _paused(self) -> bool:
        return "pause" in self._task.status.name.lower()

    def update_status(self) -> None:
        """Show what the task is doing now."""
        self._label.setText(f"{self._task.name}   <b>{self._task.status.name.lower()}</b>")
        self._pause.setText("Resume" if self._paused else "Pause")

    def _pause_or_resume(self) -> None:
        if self._paused:
            self._task.resume()
        else:
            self._task.pause()
