"""A whole acquisition window, made of the parts of this package."""

from __future__ import annotations

import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from qtpy.compat import isalive
from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtWidgets import (
    QDockWidget,
    QLabel,
    QMainWindow,
    QPushButton,
    QStyle,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from freewheel.core._wording import names_text
from freewheel.qt._devices._panel import DevicePanel
from freewheel.qt._devices._presets import PresetPanel
from freewheel.qt._image._area import ImageArea
from freewheel.qt._link._bridge import EngineBridge
from freewheel.qt._link._claims import ClaimsView
from freewheel.qt._link._ending import Ending
from freewheel.qt._link._with_line import only_with_line
from freewheel.qt._look._questions import ask, is_asked, withdraw
from freewheel.qt._look._scrolled import scrolled
from freewheel.qt._look._slots import slot
from freewheel.qt._mda._editor import MDAEditor
from freewheel.qt._plans._action_bar import ActionBar
from freewheel.qt._plans._anyway import run_anyway
from freewheel.qt._plans._list import PlanChooser
from freewheel.qt._plans._preview import PreviewPane
from freewheel.qt._plot._live_plot import LivePlot
from freewheel.qt._runs._panel import RunsPanel
from freewheel.qt._stage._pad import StagePad
from freewheel.qt._tasks._controls import EngineControls
from freewheel.qt._tasks._progress import ProgressPanel
from freewheel.qt._tasks._queue_table import QueueTable
from freewheel.qt._tasks._under_way import place_for
from freewheel.qt._window._acquisition_bar import AcquisitionBar
from freewheel.qt._window._dock_tabs import hide_old_tabs, restore_docks
from freewheel.qt._window._errors import ErrorList
from freewheel.qt._window._log import PlanLog
from freewheel.qt._window._memory import WindowMemory
from freewheel.qt._window._menus import build_menus
from freewheel.qt._window._offers import Offers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from qtpy.QtCore import QSettings

    from freewheel.background import BackgroundTask
    from freewheel.core import EngineView
    from freewheel.forms import PlanEntry
    from freewheel.previews import Preview
    from freewheel.qt._plans._form import PlanForm

__all__ = ["AcquisitionWindow"]

# What the button below the form says: the way of running a plan that the Run button is not.
_FOREGROUND = (
    "Run in foreground",
    "Run the plan by itself: other plans queue behind it until it is stopped.",
)
_BACKGROUND = (
    "Run in background, gives way",
    "Run the plan beside others. It pauses while a plan in the foreground needs one of its "
    "devices, and comes back afterwards.",
)

# Where the screen has room for it.
_SIZE: Final = QSize(1400, 860)

# Of the window's thread: windows that were not closed.
_open: weakref.WeakSet[AcquisitionWindow] = weakref.WeakSet()
# Of the window's thread: windows that Qt has not deleted, by their ids. Python's collector takes
# the parts of a window apart in any order, and a tool bar that loses its parts so ends the program.
_undeleted: dict[int, AcquisitionWindow] = {}


class AcquisitionWindow(QMainWindow):
    """An engine, its devices and its plans in one window; made to be used, and to be copied from.

    Closing it while a plan or a task runs asks first, then stops with clean-up, and closes when
    the clean-up is over. If that takes too long the window offers to halt, and closes then whatever
    the devices do. While another window shows the same engine it just closes, and all goes on. The
    engine is not closed: it belongs to whoever made it.

    A window that is closed can be looked at again for as long as the program wants, with what it
    showed last. It is freed when Qt deletes it: call its ``deleteLater()``, or set Qt's attribute
    ``WA_DeleteOnClose`` beforehand.

    Parameters
    ----------
    engine
        The engine.
    devices
        The devices by name; an exception in place of one that did not connect. With the futures
        of `connect_devices` the window shows which ones are being connected, offers to try again
        with those that fail, and offers each plan as soon as there are devices for it.
    plans
        The plans, as `freewheel.forms.find_plans` returns them; or a function that returns them,
        called with the devices that are connected, and again when a file that they come from
        changes; on a thread of its own, for files may take long to be imported.
    parent
        The widget's parent.
    patience
        How long a clean-up may take before the window that waits for it offers to halt [s].
    settings
        Where the window keeps its docks, its theme, the picture's levels, how the plot's axes are,
        the plan that is chosen, and what is filled in in forms, from one time to the next; nowhere
        if it is `None`.
    microscope
        What `freewheel.micromanager.devices` makes: with it there is a dock in which sequences of
        useq are filled in; see `MDAEditor`.

    Attributes
    ----------
    bridge, bar, controls, chooser, actions, images, image, plot, progress, claims, devices, log,
    errors, queue, runs, stage, presets
        The parts; ``image`` is the first of ``images``.
    """

    def __init__(
        self,
        engine: EngineView,
        devices: Mapping[str, Any],
        plans: Sequence[PlanEntry] | Callable[[Mapping[str, Any]], Sequence[PlanEntry]],
        parent: QWidget | None = None,
        *,
        patience: float = 10.0,
        settings: QSettings | None = None,
        microscope: Any = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("freewheel")
        self._continuous = False  # whether the chosen plan is
        self._doubt = ""  # why the plan that is chosen may fail
        self.bridge = bridge = EngineBridge(engine, self)
        self._ending = Ending(bridge, self)
        self._make_parts(devices, settings)
        self._offers = Offers(
            self,
            devices,
            plans,
            panel=self.devices,
            chooser=self.chooser,
            log=self.log,
            errors=self.errors,
            users=(self.queue, self.stage, self.bar),
        )
        self._lay_out(microscope)
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.setInterval(round(1000 * patience))
        self._patience.timeout.connect(self._offer_halt)
        self.chooser.chosen.connect(self._plan_chosen)
        self._plan_chosen(None)
        if settings is not None:
            WindowMemory(self, self.chooser, settings, self.image, self.plot).restore()
            bridge.planStarted.connect(self._remember)  # a program may end in many ways
        self._offers.begin()
        self.log.failed.connect(self._show_failure)
        self._ending.over.connect(self.close)
        for ended in (bridge.planEnded, bridge.stateChanged, bridge.backgroundChanged):
            ended.connect(self._look_whether_to_close)
        _open.add(self)
        me = id(self)
        _undeleted[me] = self
        self.destroyed.connect(lambda *_: _undeleted.pop(me, None))

    # -- parts --------------------------------------------------------------------------------

    def _make_parts(self, devices: Mapping[str, Any], settings: QSettings | None) -> None:
        bridge = self.bridge
        self.chooser = PlanChooser((), {}, bridge)
        self.controls = EngineControls(bridge, stop_all=False)  # it is in the bar
        self.actions = ActionBar(bridge)
        self.images = ImageArea(bridge)
        self.image = self.images.image
        self.bar = AcquisitionBar(bridge)
        self.plot = LivePlot(bridge)
        self.progress = ProgressPanel(bridge)
        self.claims = ClaimsView(bridge)
        self.devices = DevicePanel(bridge, devices, retry=self.connect_again)
        self.log = PlanLog(bridge)
        self.errors = ErrorList(bridge)
        self.queue = QueueTable(bridge)
        self.stage = StagePad(bridge, {}, self.image, settings=settings)
        self.presets = PresetPanel(self.devices, settings=settings)
        self.runs = RunsPanel(bridge, self.plot, self.image, self.bar.where)
        only_with_line(self.presets, bridge)
        self._otherwise = QPushButton(_BACKGROUND[0])
        self._otherwise.setObjectName("runOtherwise")
        self._otherwise.clicked.connect(self._run_otherwise)
        bridge.lineChanged.connect(self._enable_otherwise)
        self.preview = PreviewPane(bridge)
        self.preview.judged.connect(self._plan_judged)

    def _lay_out(self, microscope: Any) -> None:
        tabs = self.tabs = QTabWidget()
        tabs.setDocumentMode(True)
        self.addToolBar(self.bar)
        self.bar.toggleViewAction().setVisible(False)  # what stops all is not hidden
        self.bar.snapChosen.connect(self.image.show_event)
        self.images.roiWanted.connect(self.chooser.fill_region)
        tabs.addTab(self.images, "Image")
        tabs.addTab(self.plot, "Plot")
        self.setCentralWidget(tabs)
        plan = QWidget()
        column = QVBoxLayout(plan)
        column.addWidget(self.controls)
        column.addWidget(_heading("Under way"))
        column.addWidget(place_for([self.progress, self.controls.waiting]))
        column.addWidget(_heading("Actions"))
        column.addWidget(self.actions)
        column.addWidget(_heading("Plan"))
        column.addWidget(self.chooser, 1)
        column.addWidget(self.preview)
        column.addWidget(self._otherwise)
        self._dock("Plan", plan, Qt.DockWidgetArea.LeftDockWidgetArea)
        self._dock("Devices", scrolled(self.devices), Qt.DockWidgetArea.RightDockWidgetArea)
        self._dock("Stage", scrolled(self.stage), Qt.DockWidgetArea.RightDockWidgetArea)
        self._dock("Presets", self.presets, Qt.DockWidgetArea.RightDockWidgetArea)
        if microscope is not None:
            editor = MDAEditor(self.bridge, microscope, self.stage)
            self._dock("Sequence", editor, Qt.DockWidgetArea.RightDockWidgetArea)
            recording = self.bar.recording
            recording.changed.connect(slot(self._tell_recorded, editor))
            self._tell_recorded(editor)
        self._dock("Claims", self.claims, Qt.DockWidgetArea.RightDockWidgetArea)
        self._dock("Log", self.log, Qt.DockWidgetArea.BottomDockWidgetArea)
        self._dock("Errors", self.errors, Qt.DockWidgetArea.BottomDockWidgetArea)
        self._dock("Queue", self.queue, Qt.DockWidgetArea.BottomDockWidgetArea)
        self._arrange()

    def _tell_recorded(self, editor: MDAEditor) -> None:
        # An engine elsewhere is recorded there, or not: that is not known here.
        elsewhere = self.bridge.engine.is_elsewhere
        editor.show_recorded(self.bar.recording.is_on or elsewhere)

    def _arrange(self) -> None:
        self.setCorner(Qt.Corner.BottomLeftCorner, Qt.DockWidgetArea.LeftDockWidgetArea)
        self.setCorner(Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)
        docks = {dock.objectName(): dock for dock in self.findChildren(QDockWidget)}
        self.tabifyDockWidget(docks["Devices"], docks["Stage"])
        if "Sequence" in docks:
            self.tabifyDockWidget(docks["Stage"], docks["Sequence"])
        self.tabifyDockWidget(docks["Claims"], docks["Presets"])
        self.tabifyDockWidget(docks["Log"], docks["Errors"])
        self.tabifyDockWidget(docks["Errors"], docks["Queue"])
        # Beside the others, before they are behind each other, there would be no room for it.
        self._dock("Runs", self.runs, Qt.DockWidgetArea.BottomDockWidgetArea, docks["Queue"])
        hide_old_tabs(self)
        self.runs.shown.connect(self._raise_tab)
        for name in ("Log", "Devices", "Claims"):
            docks[name].raise_()
        self.errors.countChanged.connect(self._count_errors)
        self.resizeDocks([docks["Log"]], [130], Qt.Orientation.Vertical)
        self.resizeDocks([docks["Devices"], docks["Claims"]], [460, 140], Qt.Orientation.Vertical)
        self.resizeDocks([docks["Plan"], docks["Devices"]], [390, 420], Qt.Orientation.Horizontal)
        # With its title bar, no larger than the screen.
        title = QSize(0, self.style().pixelMetric(QStyle.PixelMetric.PM_TitleBarHeight))
        self.resize(_SIZE.boundedTo(self.screen().availableSize() - title))
        self.statusBar()
        build_menus(self, self.controls, partial(restore_docks, self, self.saveState()))

    def _raise_tab(self, part: QWidget) -> None:
        self.tabs.setCurrentWidget(self.plot if part is self.plot else self.images)

    def _dock(
        self, title: str, widget: QWidget, area: Any, behind: QDockWidget | None = None
    ) -> None:
        dock = QDockWidget(title)
        dock.setObjectName(title)
        dock.setWidget(widget)
        features = QDockWidget.DockWidgetFeature
        dock.setFeatures(
            features.DockWidgetMovable
            | features.DockWidgetFloatable
            | features.DockWidgetClosable  # and comes back in the menu
        )
        self.addDockWidget(area, dock)
        if behind is not None:
            self.tabifyDockWidget(behind, dock)

    def _count_errors(self, count: int) -> None:
        dock = self.findChild(QDockWidget, "Errors")
        if dock is not None:
            dock.setWindowTitle(f"Errors ({count})" if count else "Errors")

    # -- devices ------------------------------------------------------------------------------

    def connect_again(self, name: str) -> None:
        """Connect a device once more that has failed to connect."""
        self._offers.connect_again(name)

    @property
    def is_connecting(self) -> bool:
        """Whether devices are being connected, or plans loaded: more may be offered then."""
        return self._offers.is_connecting or self._offers.is_loading

    # -- plans --------------------------------------------------------------------------------

    def _plan_chosen(self, form: PlanForm | None) -> None:
        if form is None:
            self.controls.set_plan(None)
            self._enable_otherwise()
            self.preview.follow(None)
            return
        spec = form.spec
        self._continuous = spec.continuous
        self.controls.set_plan(
            form.make_call,
            pausable=spec.pausable or not spec.continuous,
            background=spec.continuous,
        )
        text, tip = _FOREGROUND if spec.continuous else _BACKGROUND
        self._otherwise.setText(text)
        self._otherwise.setToolTip(tip)
        self._enable_otherwise()
        self.preview.follow(form)

    def _plan_judged(self, foreseen: Preview | None) -> None:
        """Have no plan run that cannot be made, or is known to fail; where that is a guess, ask."""
        problems = () if foreseen is None else foreseen.problems
        form = self.chooser.form
        wrong = [] if form is None else [form.obstacles]
        known = "\n".join(filter(None, [*wrong, *(p.text for p in problems if not p.is_guess)]))
        self.controls.refuse(known)
        doubt = "\n".join(each.text for each in problems if each.is_guess)
        if doubt != self._doubt:
            withdraw(self, "anyway")  # it was about what has changed
        self._doubt = doubt
        self.controls.doubt(self._doubt)
        self._enable_otherwise()

    def _enable_otherwise(self, *_: Any) -> None:
        possible = self.chooser.form is not None and not self.controls.refusal
        self._otherwise.setEnabled(possible and self.bridge.connected)

    def run_in_background(self, *_: Any) -> BackgroundTask | None:
        """Run the chosen plan beside others, giving way to the foreground."""
        return self.controls.run_in_background()

    def _run_otherwise(self) -> None:
        """Run the chosen plan in the way that the Run button does not."""
        foreground, background = self.controls.run_in_foreground, self.controls.run_in_background
        run_anyway(self, self._doubt, foreground if self._continuous else background)

    def _show_failure(self, line: str) -> None:
        self.statusBar().showMessage(line, 15_000)

    def focusNextPrevChild(self, following: bool) -> bool:  # noqa: N802 - Qt's spelling
        """Go to the next input, or to the one before, that is not in a dock behind another one.

        Nobody is to move a stage with keys that go to a pad that cannot be seen.
        """
        began = self.focusWidget()
        while super().focusNextPrevChild(following):
            if not _is_behind(self.focusWidget()) or self.focusWidget() is began:
                return True
        return False

    # -- closing ------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether a plan or a background task is under way."""
        return self._ending.busy

    def closeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's spelling
        """Close, if nothing is under way that no other window of the engine shows; else ask."""
        if self._ending.given_up or not self._in_the_way:
            _open.discard(self)
            for name in ("close", "halt"):
                withdraw(self, name)
            self._patience.stop()
            self._remember()
            self._offers.end()
            self.preview.end()
            self.bar.end()
            self.runs.end()
            self.log.unlisten()
            self.bridge.close()
            event.accept()
            return
        event.ignore()
        if not self._ending.asked:
            self._ask()

    def _remember(self, *_: Any) -> None:
        for memory in self.findChildren(WindowMemory):
            memory.save()

    def _ask(self) -> None:
        running = self.bridge.snapshot()
        first = [running.plan_name] if running.plan_name else []
        names = [*first, *running.queue, *(task.name for task in running.background)]
        text = f"{names_text(names)} {'is' if len(names) == 1 else 'are'} still under way."
        details = "Stop, clean up, and close the window? It closes by itself when all has ended."
        ask(self, "close", text, details, "Stop and close", self.stop_and_close, no="Go on")

    def _look_whether_to_close(self, *_: Any) -> None:
        """Close, as somebody wanted, if what was in the way has ended meanwhile."""
        if is_asked(self, "close") and not self._in_the_way:
            self.close()

    @property
    def _in_the_way(self) -> bool:
        """Whether something is under way that no other window of the engine shows."""
        others = (w for w in _open if w is not self and isalive(w) and w.isVisible())
        return self.busy and not any(w.bridge.engine is self.bridge.engine for w in others)

    def stop_and_close(self) -> None:
        """Stop everything with clean-up, and close the window when that is over."""
        self.statusBar().showMessage("Stopping; the window closes when the clean-up is over")
        self._patience.start()
        self._ending.stop("the window is closed")

    @property
    def halted(self) -> bool:
        """Whether *Halt and close* was chosen: a device may never let its thread go then."""
        return self._ending.halted

    def _offer_halt(self) -> None:
        if not self.busy:
            self.close()
            return
        text = "The clean-up has not come to its end yet."
        details = "Halting leaves devices as they are, without clean-up."
        halt, wait = self._halt, self._patience.start
        ask(self, "halt", text, details, "Halt and close", halt, no="Wait", otherwise=wait)

    def _halt(self) -> None:
        self.statusBar().showMessage("Halting; the window closes")
        self._ending.halt()


def _is_behind(widget: QWidget | None) -> bool:
    """Tell whether a widget is in a dock that stands behind another one."""
    while widget is not None and not isinstance(widget, QDockWidget):
        widget = widget.parentWidget()
    return widget is not None and widget.visibleRegion().isEmpty()


def _heading(text: str) -> QLabel:
    label = QLabel(text)
    font = label.font()  # no style sheet: with one it would keep the colours of the first theme
    font.setBold(True)
    label.setFont(font)
    label.setContentsMargins(0, 6, 0, 0)
    return label
