"""Buttons and labels for an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from freewheel.core import EngineState, clock_text, time_left_text
from freewheel.core._wording import start_text
from freewheel.qt._link._with_line import only_with_line
from freewheel.qt._look._icons import icon
from freewheel.qt._look._questions import ask, withdraw
from freewheel.qt._look._readback import ShortLabel
from freewheel.qt._look._slots import slot
from freewheel.qt._plans._anyway import run_anyway
from freewheel.qt._tasks._held import HeldLine, PeriodicLine
from freewheel.qt._tasks._kept_rows import KeptRows
from freewheel.qt._tasks._state_label import StateLabel
from freewheel.qt._tasks._stop_all import StopAllButton

if TYPE_CHECKING:
    from collections.abc import Callable

    from freewheel.background import BackgroundTask, OnConflict
    from freewheel.core import EngineSnapshot, PlanCall, PlanFutureView
    from freewheel.qt._link._bridge import EngineBridge

__all__ = ["EngineControls"]

#: So many of the plans that wait are listed.
_ROWS: Final = 30

# What may be asked for in which state; `run` means to queue where something runs already.
_POSSIBLE: dict[str, frozenset[str]] = {
    "idle": frozenset({"run"}),
    "running": frozenset({"run", "pause", "stop", "abort", "halt"}),
    "pausing": frozenset({"run", "stop", "abort", "halt"}),
    "paused": frozenset({"run", "resume", "stop", "abort", "halt"}),
    "suspending": frozenset({"run", "stop", "abort", "halt"}),
    "stopping": frozenset({"halt"}),
    "aborting": frozenset({"halt"}),
}
_TEXTS = {
    "run": ("Run", "Run the plan; while another runs, queue behind it"),
    "pause": ("Pause", "Pause as soon as the plan can be paused"),
    "resume": ("Resume", "Go on from the last checkpoint"),
    "stop": ("Stop", "End the plan, with its clean-up; its data count as complete"),
    "abort": ("Abort", "End the plan, with its clean-up; its data are marked as aborted"),
    "halt": ("Halt", "End the plan at once, WITHOUT clean-up: shutters stay open, motors moving"),
}
_BESIDE = "Run the plan beside others: it gives way to a plan that needs one of its devices, {then}"
_HALT = (
    "Halt without clean-up?",
    "The plan ends at once. Shutters stay open, lamps lit, motors moving; its data may be "
    "incomplete. Stop and Abort end it with its clean-up.",
)
_HOLD = "Let the plan that runs go on, and start nothing new until Release"
_CLOCK_MS = 200
_IN_A_ROW = 3  # buttons: six beside each other would make the window wide


class EngineControls(QWidget):
    """The engine's state, and a button for each thing that can be asked of it.

    The state counts the background tasks: ``live_view, 2 more`` is not idle, and Stop ends these
    then. While the queue is held, or a service has failed, a line says so, with what mends it. A
    button is enabled exactly when the engine's state allows what it asks for; Halt asks first.
    *Stop all* is there in every state, and *Ctrl+.* does the same anywhere in the window. All are
    off while there is no line to an engine elsewhere.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    plan_factory
        Makes the plan that the Run button runs; see `set_plan`.
    parent
        The widget's parent.
    stop_all
        Whether *Stop all* is among them; without, the window has it elsewhere, as in an
        `AcquisitionBar`.

    Attributes
    ----------
    buttons : dict of str to QPushButton
        By ``run``, ``pause``, ``resume``, ``stop``, ``abort`` and ``halt``.
    waiting : QWidget
        What comes and goes below the buttons: why the queue is held, the plans that wait, and
        those that come again. A window that is not to jump puts it elsewhere.
    """

    def __init__(
        self,
        bridge: EngineBridge,
        plan_factory: Callable[[], Any] | None = None,
        parent: QWidget | None = None,
        *,
        stop_all: bool = True,
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._factory: Callable[[], Any] | None = None
        self._factory_pausable = True
        self._beside = False
        self._refusal = ""  # why the plan is known to fail
        self._doubt = ""  # why it may fail
        self._may_pause = True
        self._state = bridge.snapshot().state
        self._build(stop_all)
        self._clock = QTimer(self)
        self._clock.setInterval(_CLOCK_MS)
        self._clock.timeout.connect(self._show_time)
        bridge.stateChanged.connect(self._state_changed)
        bridge.planStarted.connect(self._plan_started)
        bridge.planEnded.connect(self._plan_ended)
        bridge.backgroundChanged.connect(self._tasks_changed)
        bridge.queueChanged.connect(self._queue_changed)
        self.set_plan(plan_factory)
        self._state_changed(self._state, "")
        only_with_line(self, bridge)

    def set_plan(
        self,
        factory: Callable[[], Any] | None,
        *,
        pausable: bool = True,
        background: bool = False,
    ) -> None:
        """Set what the Run button runs.

        Parameters
        ----------
        factory
            Called for each run, on the window's thread; `None` disables the button.
        pausable
            Whether these plans may be paused; if not, the Pause button is off while one runs.
        background
            Whether the button runs them in the background, as continuous plans are best run: see
            `run_in_background`.
        """
        self._factory = factory
        self._refusal = self._doubt = ""
        self._factory_pausable = pausable
        self._beside = background
        self._enable()

    def run(self) -> PlanFutureView | BackgroundTask | None:
        """Run the plan of the factory, as the Run button does.

        Returns
        -------
        PlanFutureView or BackgroundTask or None
            The plan's future; its task, if the button runs it in the background; `None` if it was
            refused.
        """
        return self.run_in_background() if self._beside else self.run_in_foreground()

    def run_in_foreground(self) -> PlanFutureView | None:
        """Run the plan of the factory, or have it queue behind the plan that runs."""
        plan = self._make_plan("run")
        future = None if plan is None else self._bridge.run(plan)
        if future is not None and not self._factory_pausable:
            self._bridge.keep_from_pausing(future)
        self._show_time()
        return future

    def run_in_background(self) -> BackgroundTask | None:
        """Run the plan of the factory beside others.

        It gives way to a plan in the foreground that needs one of its devices, and comes back
        when that is over. One that may not be paused is stopped, with its clean-up.
        """
        plan = self._make_plan("run in background")
        if plan is None:
            return None
        on_conflict: OnConflict = "pause" if self._factory_pausable else "cancel"
        return self._bridge.launch(plan, on_conflict=on_conflict, pausable=self._factory_pausable)

    def refuse(self, reason: str) -> None:
        """Have the Run button off, for the plan cannot run or is known to fail; empty ends that.

        While nothing is under way the reason stands beside the state.
        """
        self._refusal = reason
        self._enable()
        self._show_time()

    @property
    def refusal(self) -> str:
        """Why the plan cannot run, or is known to fail; empty if it may run."""
        return self._refusal

    def doubt(self, reason: str) -> None:
        """Have the Run button ask before it runs, for the plan may fail; empty ends that."""
        if reason != self._doubt:
            withdraw(self, "anyway")  # it was about what has changed
        self._doubt = reason

    def _make_plan(self, what: str) -> Any:
        if self._factory is None:
            return None
        try:
            return self._factory()
        except Exception as error:  # the factory is the program's: a form with a bad value, say
            self._bridge.requestRefused.emit(what, error)
            return None

    # -- parts --------------------------------------------------------------------------------

    def _build(self, stop_all: bool) -> None:
        self._time_label = ShortLabel()
        self._time_label.setObjectName("elapsed")
        self.buttons: dict[str, QPushButton] = {}
        top, grid = QHBoxLayout(), QGridLayout()
        top.addWidget(StateLabel(self._bridge))
        top.addWidget(self._time_label, 1)
        asks: dict[str, Callable[[], Any]] = {
            "run": lambda: run_anyway(self, self._doubt, self.run),
            "pause": self._bridge.pause,
            "resume": self._bridge.resume,
            "stop": self._stop,
            "abort": self._bridge.abort,
            "halt": lambda: ask(self, "reallyHalt", *_HALT, "Halt", self._bridge.halt),
        }
        for name, request in asks.items():
            text, tip = _TEXTS[name]
            button = _button(name, text, tip, request, name)
            self.buttons[name] = button
            grid.addWidget(button, *divmod(len(self.buttons) - 1, _IN_A_ROW))
        run = self.buttons["run"]
        run.setDefault(True)
        run.setMinimumWidth(_button("", "Queue", "", self.run, "run").sizeHint().width())
        if stop_all:  # in every state: not among those that come and go
            top.addWidget(StopAllButton(self._bridge))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(top)
        layout.addLayout(grid)
        self._build_waiting()
        layout.addWidget(self.waiting)

    def _build_waiting(self) -> None:
        self._queue = QListWidget()
        self._queue.setObjectName("queue")
        self._lines: KeptRows[PlanFutureView] = KeptRows(self._queue.takeItem, self._insert_line)
        self._queue.setMaximumHeight(90)
        self._queue.setToolTip(
            "Plans that wait, in their order; its button, or Delete, removes one"
        )
        self._queue.setAccessibleName("Plans that wait")
        delete = QShortcut(QKeySequence(QKeySequence.StandardKey.Delete), self._queue)
        delete.setContext(Qt.ShortcutContext.WidgetShortcut)
        delete.setWhatsThis("Remove the plan that is chosen from the queue")
        delete.activated.connect(self._remove_chosen)
        self._hold = _button("hold", "Hold", _HOLD, self._bridge.hold_queue, "hold")
        self.waiting = QWidget(self)
        below = QVBoxLayout(self.waiting)
        below.setContentsMargins(0, 0, 0, 0)
        for part in (
            HeldLine(self._bridge, self.waiting),
            self._queue,
            PeriodicLine(self._bridge, self.waiting),
        ):
            below.addWidget(part)
        below.addWidget(self._hold, 0, Qt.AlignmentFlag.AlignLeft)

    # -- following the engine -----------------------------------------------------------------

    def _state_changed(self, new: str, _old: str) -> None:
        self._state = EngineState(new)
        if "halt" not in _POSSIBLE.get(self._state, ()):
            withdraw(self, "reallyHalt")
        if self._state == "idle":
            self._clock.stop()
        elif not self._clock.isActive():
            self._clock.start()
        self._enable()
        self._show_time()

    def _plan_started(self, future: PlanFutureView) -> None:
        self._may_pause = self._bridge.may_pause(future)
        self._enable()
        self._show_time()

    def _plan_ended(self, _: PlanFutureView) -> None:
        self._may_pause = True
        self._enable()
        self._show_time()

    def _enable(self) -> None:
        possible = _POSSIBLE.get(self._state, frozenset())
        for name, button in self.buttons.items():
            button.setEnabled(name in possible)
        stop, tasks = self.buttons["stop"], self._tasks() if self._state == "idle" else []
        if tasks:
            stop.setEnabled(True)
        names = ", ".join(task.name for task in tasks)
        stop.setToolTip(f"End {names}, with clean-up" if tasks else _TEXTS["stop"][1])
        if not self._may_pause:
            self.buttons["pause"].setEnabled(False)
        self._enable_run(possible)

    def _enable_run(self, possible: frozenset[str]) -> None:
        run = self.buttons["run"]
        if self._beside:  # which the state of the foreground is not in the way of
            then = "and comes back" if self._factory_pausable else "and is stopped then"
            run.setEnabled(self._factory is not None and self._state in _POSSIBLE)
            run.setText("Run")
            run.setToolTip(_BESIDE.format(then=then))
            self._show_refusal()
            return
        run.setEnabled(self._factory is not None and "run" in possible)
        starts = self._state == "idle" and self._bridge.engine.queue.held is None
        run.setText("Run" if starts else "Queue")
        run.setToolTip(_TEXTS["run"][1])
        self._show_refusal()

    def _show_refusal(self) -> None:
        self.buttons["run"].setAccessibleDescription(self._refusal)
        if self._refusal:
            self.buttons["run"].setEnabled(False)
            self.buttons["run"].setToolTip(self._refusal)

    def _stop(self) -> None:
        """Stop the plan; while there is none, the tasks, which are what can be stopped then."""
        if self._state != "idle":
            self._bridge.stop()
            return
        for task in self._tasks():
            self._bridge.cancel_task(task)

    def _tasks(self) -> list[BackgroundTask]:
        running = self._bridge.engine.background.running
        return [task for task in running if not task.status.ended]

    def _tasks_changed(self, *_: Any) -> None:
        self._enable()
        self._show_time()

    def _show_time(self, *_: Any) -> None:
        snapshot = self._bridge.snapshot()
        if snapshot.plan_name is not None:
            text = f"{snapshot.plan_name}   {clock_text(snapshot.elapsed)}"
            if left := time_left_text(snapshot.time_left):
                text += f"   {left}"
            if snapshot.parked:
                text += f"   ({', '.join(reversed(snapshot.parked))} parked)"
        else:  # why nothing can be run goes before where something runs, which the state has
            text = self._refusal.partition("\n")[0]
            if snapshot.background and not text:
                text = "in the background"
        self._time_label.setText(text)
        self._show_queue()
        self._show_starts(snapshot)

    def _queue_changed(self, _: object) -> None:
        self._enable()  # what is run while the queue is held waits in it
        self._show_time()

    def _show_queue(self) -> None:
        waiting = self._bridge.engine.queued
        self._queue.setVisible(bool(waiting))
        # While it is held the line above has the button that releases it.
        self._hold.setVisible(bool(waiting) and self._bridge.engine.queue.held is None)
        # Each has a row of its own, of which thousands would take minutes.
        first, more = waiting[:_ROWS], len(waiting) - _ROWS
        self._lines.show(first)
        for row in range(len(first)):
            line = self._queue.itemWidget(self._queue.item(row))
            if isinstance(line, _QueueLine):
                line.show_call()
        rest = self._queue.item(len(first))
        if more <= 0:
            self._queue.takeItem(len(first))  # if there is one
        elif rest is None:
            self._queue.addItem(f"and {more} more")
        else:
            rest.setText(f"and {more} more")

    def _insert_line(self, row: int, future: PlanFutureView) -> None:
        item, line = QListWidgetItem(), _QueueLine(future, self._remove)
        item.setSizeHint(line.sizeHint())
        self._queue.insertItem(row, item)
        self._queue.setItemWidget(item, line)

    def _remove_chosen(self) -> None:
        line = self._queue.itemWidget(self._queue.currentItem())
        if isinstance(line, _QueueLine):
            self._remove(line.future)

    def _remove(self, future: PlanFutureView) -> None:
        self._bridge.remove_waiting(future)
        QTimer.singleShot(0, self._show_queue)  # the button goes with its line

    def _show_starts(self, snapshot: EngineSnapshot) -> None:
        """Say of each plan that waits when it will start; nothing while the queue is held."""
        held = snapshot.queue_held is not None
        for row, plan in zip(range(self._queue.count()), snapshot.waiting, strict=False):
            line = self._queue.itemWidget(self._queue.item(row))
            if isinstance(line, _QueueLine):  # and not how many more there are
                line.show_start("" if held else start_text(plan.starts_in))


def _button(
    name: str, text: str, tip: str, request: Callable[[], Any], picture: str = ""
) -> QPushButton:
    button = QPushButton(text)
    if picture:
        button.setIcon(icon(picture))
    button.setObjectName(name)
    button.setToolTip(tip)
    button.clicked.connect(slot(request))
    return button


class _QueueLine(QWidget):
    """One plan that waits, with a button that removes it."""

    def __init__(self, future: PlanFutureView, remove: Callable[[PlanFutureView], None]) -> None:
        super().__init__()
        self.future = future
        layout = QHBoxLayout(self)
        layout.setContentsMargins(4, 0, 0, 0)
        self._call: PlanCall | None = None
        self._label = label = ShortLabel()  # in the middle: numbers, which differ, are at the end
        label.setObjectName("call")
        label.setText(future.plan_name)
        label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        layout.addWidget(label, 1)
        self._start = QLabel()
        self._start.setObjectName("start")
        layout.addWidget(self._start)
        button = QPushButton("Remove")
        button.setObjectName("remove")
        button.setAccessibleName(f"Remove {future.plan_name} from the queue")
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.clicked.connect(slot(remove, future))
        layout.addWidget(button)

    def show_call(self) -> None:
        """Show what it is called with, if that is something else than before."""
        if (call := self.future.call) is not None and call is not self._call:
            self._call = call
            self._label.setText(f"{self.future.plan_name}({call.arguments})")

    def show_start(self, text: str) -> None:
        """Say when it will start, in few words: "in about 8 s", "not known"."""
        self._start.setText(text.removeprefix("starts ").removeprefix("start "))
        self._start.setToolTip(text)
