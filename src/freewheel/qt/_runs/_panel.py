"""Runs of today and recorded ones: what they were, and how they looked."""

from __future__ import annotations

import json
import math
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QAction
from qtpy.QtWidgets import (
    QHBoxLayout,
    QHeaderView,
    QInputDialog,
    QMenu,
    QPlainTextEdit,
    QSplitter,
    QToolButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from freewheel.core._wording import count_text
from freewheel.qt._link._worker import Worker
from freewheel.qt._look._files import ask_folder
from freewheel.qt._look._readback import ShortLabel
from freewheel.qt._look._slots import slot
from freewheel.qt._runs._book import KnownRun, RunBook, events_of
from freewheel.qt._runs._export import RunExport
from freewheel.qt._runs._recording import why_no_tiled
from freewheel.qt._runs._replayer import Replayer
from freewheel.recording import RecordingError, read_runs
from freewheel.recording._openers import read_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from freewheel.qt._image._live_image import LiveImage
    from freewheel.qt._link._bridge import EngineBridge
    from freewheel.qt._plot._live_plot import LivePlot
    from freewheel.qt._plot._tables import Run
    from freewheel.qt._runs._reader import Frames
    from freewheel.recording import RecordedRun

__all__ = ["RunsPanel"]

_COLUMNS: Final = ("Began", "Plan", "Ended", "Events", "Where")
_SPEEDS: Final = {"1 x": 1.0, "2 x": 2.0, "10 x": 10.0, "0.1 x": 0.1, "at once": math.inf}
_TODAY: Final = "Since the window was opened"
#: So many characters of a run's metadata are shown.
_LONGEST: Final = 20_000
#: So many files that could not be read are told of in a tool tip.
_SHOWN: Final = 20
_PROBLEMS: Final = Qt.ItemDataRole.UserRole  # why they could not be read


class RunsPanel(QWidget):
    """The runs since the window was opened, and those of recordings that are opened.

    Each can be looked at: its metadata, its scalars in a plot, its pictures in an image, with a
    slider through them if it was recorded; of one that was not, the last picture is kept for a
    while. Recorded runs are replayed at any speed, in the plot and the image alone. Tables (CSV)
    and pictures (OME-TIFF) are written for other programs. Disks and servers are waited for on
    another thread.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    plot
        Where runs are plotted.
    image
        Where pictures are shown.
    where
        Tells of a run, by its uid, where it is recorded to; empty if it is not.
    parent
        The widget's parent.

    Attributes
    ----------
    shown : Signal(object)
        Something of a run is shown in a widget: that one.
    """

    shown = Signal(object)

    def __init__(
        self,
        bridge: EngineBridge,
        plot: LivePlot,
        image: LiveImage,
        where: Callable[[str], str] = lambda _: "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._plot, self._image = plot, image
        self._book = RunBook(bridge, self, where)
        self._items: dict[tuple[str, str], QTreeWidgetItem] = {}  # by place and uid
        self._known: dict[tuple[str, str], KnownRun] = {}
        self._problems: dict[str, QTreeWidgetItem] = {}  # what could not be read, by place
        self._worker = Worker(self, every=True)
        self._export = RunExport(self, self._chosen, image, self._worker)
        self._replayer = Replayer(self)
        self._replayer.document.connect(plot.receive)
        self._replayer.document.connect(image.receive)
        self._replayer.over.connect(self._replayed)
        self._build()
        self._book.changed.connect(self._run_changed)

    # -- parts --------------------------------------------------------------------------------

    def _build(self) -> None:
        self._tree = QTreeWidget()
        self._tree.setObjectName("runs")
        self._tree.setAccessibleName("Runs")
        self._tree.setHeaderLabels(_COLUMNS)
        self._tree.setUniformRowHeights(True)
        header = self._tree.header()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setResizeContentsPrecision(0)  # those in sight alone: there may be thousands
        self._tree.currentItemChanged.connect(self._look)
        self._tree.itemDoubleClicked.connect(self.replot)
        self._details = QPlainTextEdit()
        self._details.setObjectName("metadata")
        self._details.setAccessibleName("Metadata of the run")
        self._details.setReadOnly(True)
        parts = QSplitter(Qt.Orientation.Horizontal)
        parts.addWidget(self._tree)
        parts.addWidget(self._details)
        parts.setSizes([500, 300])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(parts, 1)
        layout.addLayout(self._make_buttons())
        self._groups: dict[str, QTreeWidgetItem] = {}
        self._group("", _TODAY)
        self._look()

    def _make_buttons(self) -> QHBoxLayout:
        self._row = QHBoxLayout()
        self._buttons: dict[str, QToolButton] = {}
        self._button("open", "Open …", "Open a recording").setMenu(self._open_menu())
        self._button("replot", "Plot", "Plot its scalars").clicked.connect(self.replot)
        self._button("reopen", "Picture", "Show its pictures").setMenu(QMenu(self))
        export = self._button("export", "Export", "Write it for other programs")
        export.setMenu(self._export.make_menu())
        speeds = QMenu(self)
        for text, speed in _SPEEDS.items():
            action = speeds.addAction(text)
            action.triggered.connect(slot(self._replay_chosen, speed))
        self._button("replay", "Replay", "").setMenu(speeds)
        stop = self._button("stopReplay", "Stop replay", "Replay no more")
        stop.clicked.connect(self._replayer.stop)
        for name in ("open", "reopen", "export", "replay"):
            self._buttons[name].setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._buttons["reopen"].menu().aboutToShow.connect(self._offer_pictures)
        self._message = ShortLabel()
        self._message.setObjectName("runsMessage")
        self._export.said.connect(self._message.setText)
        self._row.addWidget(self._message, 1)
        return self._row

    def _button(self, name: str, text: str, tip: str) -> QToolButton:
        button = self._buttons[name] = QToolButton()
        button.setObjectName(f"runs:{name}")
        button.setText(text)
        button.setToolTip(tip)
        button.setAccessibleName(tip or text)
        self._row.addWidget(button)
        return button

    def _open_menu(self) -> QMenu:
        menu = QMenu(self)
        menu.addAction("Folder …", self._ask_folder)
        tiled = menu.addAction("Tiled server …", self._ask_address)
        if why := why_no_tiled():
            tiled.setEnabled(False)
            tiled.setText(f"Tiled server … ({why})")
        return menu

    # -- the list -----------------------------------------------------------------------------

    @property
    def message(self) -> str:
        """What is said of what could not be done."""
        return str(self._message.text())

    @property
    def runs(self) -> tuple[str, ...]:
        """The uids of all runs in the list, place by place."""
        return tuple(uid for _, uid in self._known)

    @property
    def chosen(self) -> str | None:
        """The uid of the run that is chosen."""
        run = self._chosen()
        return None if run is None else run.uid

    def choose(self, uid: str) -> None:
        """Choose a run by its uid.

        Raises
        ------
        KeyError
            If it is not in the list.
        """
        key = next((key for key in self._items if key[1] == uid), None)
        if key is None:
            msg = f"there is no run {uid!r} in the list"
            raise KeyError(msg)
        self._tree.setCurrentItem(self._items[key])

    def _chosen(self) -> KnownRun | None:
        item = self._tree.currentItem()
        found = [key for key, each in self._items.items() if each is item]
        return self._known[found[0]] if found else None

    def _group(self, place: str, title: str) -> QTreeWidgetItem:
        if place not in self._groups:
            item = self._groups[place] = QTreeWidgetItem([title])
            self._tree.addTopLevelItem(item)
            item.setFirstColumnSpanned(True)
            item.setExpanded(True)
        return self._groups[place]

    def _run_changed(self, run: KnownRun) -> None:
        self._show_run("", run)
        known = self._book.runs
        for key in [key for key in self._known if key[0] == "" and key[1] not in known]:
            del self._known[key]
            self._groups[""].removeChild(self._items.pop(key))
        if self._book.is_busy and self._replayer.is_on:
            self._replayer.stop()  # what is there now is to be seen
        self._look()

    def _show_run(self, place: str, run: KnownRun) -> None:
        key = place, run.uid
        self._known[key] = run
        item = self._items.get(key)
        if item is None:
            item = self._items[key] = QTreeWidgetItem()
            self._group(place, place).insertChild(0, item)  # the newest is the first
        began = _began(run.start, "%Y-%m-%d %H:%M" if place else "%H:%M:%S")
        events = str(run.events) if run.stop is not None else ""
        where = run.place or ("" if place else "not recorded")
        plan = str(run.start.get("plan_name", "?"))
        for column, text in enumerate((began, plan, run.status, events, where)):
            item.setText(column, text)
            item.setToolTip(column, text)
        if run.reason:
            said = run.reason.startswith(run.status)  # "stopped in the window"
            tip = run.reason if said else f"{run.status}: {run.reason}"
            item.setToolTip(_COLUMNS.index("Ended"), tip)

    def _look(self, *_: Any) -> None:
        run = self._chosen()
        item = self._tree.currentItem()
        problems = "" if item is None else str(item.data(0, _PROBLEMS) or "")
        text = problems if run is None else _metadata(run)
        if text != self._details.toPlainText():  # else it would scroll back while it is read
            self._details.setPlainText(text)
        none = "" if run is not None else "no run is chosen"
        for name in ("replot", "reopen", "export"):
            self._allow(name, none)
        why = none or ("" if run is not None and _can_open(run) else "it was not recorded")
        busy = "a run is under way" if self._book.is_busy else ""
        self._allow("replay", why or busy)
        self._allow("stopReplay", "" if self._replayer.is_on else "nothing is replayed")

    def _allow(self, name: str, reason: str) -> None:
        button = self._buttons[name]
        button.setEnabled(not reason)
        button.setToolTip(reason or button.accessibleName())
        button.setAccessibleDescription(reason)

    # -- opening ------------------------------------------------------------------------------

    def open(self, place: str) -> None:
        """List the runs of a recording: a folder, or the address of a Tiled server."""
        self._message.setText(f"{place} is being read …")
        self._worker.ask(partial(_known_runs, place), self._opened)

    def _opened(self, found: tuple[str, list[KnownRun], list[str]] | None, error: Any) -> None:
        if found is None:
            self._message.setText(str(error))
            return
        place, runs, problems = found
        more = f"; {_unread(problems)}" if problems else ""
        self._message.setText(f"{count_text(len(runs), 'run')} in {place}{more}")
        for run in runs:
            self._show_run(place, run)
        self._show_problems(place, problems)
        self._look()

    def _show_problems(self, place: str, problems: list[str]) -> None:
        """Say below the runs of a place which files could not be read, and why."""
        if (old := self._problems.pop(place, None)) is not None:
            self._groups[place].removeChild(old)
        if problems:
            item = self._problems[place] = QTreeWidgetItem([_unread(problems)])
            self._group(place, place).addChild(item)
            item.setFirstColumnSpanned(True)
            item.setData(0, _PROBLEMS, "\n\n".join(problems))
            item.setToolTip(0, "\n".join(problems[:_SHOWN]))

    def _ask_folder(self) -> None:
        ask_folder(self, "Open a recording", Path.home(), lambda path: self.open(str(path)))

    def _ask_address(self) -> None:
        dialog = QInputDialog(self)
        dialog.setLabelText("A Tiled server, such as http://localhost:8000")
        dialog.setTextValue("http://localhost:8000")
        dialog.textValueSelected.connect(self.open)
        dialog.finished.connect(dialog.deleteLater)
        dialog.setModal(False)
        dialog.show()

    # -- showing ------------------------------------------------------------------------------

    def replot(self, *_: Any) -> None:
        """Plot the scalars of the run that is chosen."""
        run = self._chosen()
        if run is not None and run.scalars is not None:
            self._scalars_read((run.uid, run.scalars), None)
        elif run is not None:
            self._worker.ask(lambda: (run.uid, run.read_scalars()), self._scalars_read)

    def _scalars_read(self, found: tuple[str, Run] | None, error: Any) -> None:
        if found is None:
            self._message.setText(f"not plotted: {error}")
            return
        self._message.setText("")
        self._plot.show_run(*found)
        self.shown.emit(self._plot)

    def _offer_pictures(self) -> None:
        """Offer the data keys of pictures that the run has; they are found on another thread."""
        menu = self._buttons["reopen"].menu()
        menu.clear()
        menu.addAction("looking …").setEnabled(False)
        if (run := self._chosen()) is not None:
            self._worker.ask(partial(_pictures_of, run), self._pictures_found)

    def _pictures_found(self, answer: tuple[KnownRun, dict[str, Frames], Any], _: Any) -> None:
        run, found, error = answer
        if run is not self._chosen():
            return  # another one was chosen meanwhile, whose pictures are looked for
        menu = self._buttons["reopen"].menu()
        menu.clear()
        for key, frames in found.items():
            action = QAction(f"{key}, {count_text(len(frames), 'frame')}", menu)
            action.triggered.connect(slot(self._show_frames, frames))
            menu.addAction(action)
        if not found:
            menu.addAction(str(error) if error else "it has no pictures").setEnabled(False)

    def reopen(self, key: str | None = None) -> None:
        """Show the pictures of the run that is chosen; by default those of its first data key."""
        if (run := self._chosen()) is not None:
            self._worker.ask(partial(run.read_frames_of, key), self._frames_read)

    def _frames_read(self, frames: Frames | None, error: Any) -> None:
        if frames is None:
            self._message.setText(f"no picture: {error}")
        else:
            self._show_frames(frames)

    def _show_frames(self, frames: Frames) -> None:
        self._message.setText("")
        self._image.show_stack(frames)
        self.shown.emit(self._image)

    # -- replaying ----------------------------------------------------------------------------

    def replay(self, speed: float = 1.0) -> None:
        """Replay the run that is chosen in plot and image.

        Parameters
        ----------
        speed : float, default: 1
            How many times faster than it was; ``math.inf`` is at once.
        """
        run = self._chosen()
        if run is not None and not self._book.is_busy:
            self._worker.ask(lambda: (run.open(), speed), self._opened_to_replay)

    def _replay_chosen(self, speed: float) -> None:
        self.replay(speed)

    def _opened_to_replay(self, found: tuple[RecordedRun | None, float] | None, error: Any) -> None:
        run, speed = found or (None, 1.0)
        if run is None:
            self._message.setText(f"not replayed: {error or 'it was not recorded'}")
            return
        self._message.setText(f"{run.start.get('plan_name', '?')} is replayed")
        self._image.frozen = False
        self._replayer.start(run, speed)
        self._look()

    def _replayed(self, error: BaseException | None) -> None:
        self._message.setText("" if error is None else f"the replay has ended: {error}")
        self._look()

    def end(self) -> None:
        """Replay no more; for a window that is closed."""
        self._replayer.stop()

    # -- exporting ----------------------------------------------------------------------------

    def save_csv(self, path: str | Path) -> None:
        """Write the scalars of the run that is chosen, each further stream beside the first."""
        self._export.save_csv(Path(path))

    def save_tiff(self, path: str | Path, key: str | None = None) -> None:
        """Write the pictures of the run that is chosen into an OME-TIFF, with the pixels' size."""
        self._export.save_tiff(Path(path), key)


def _began(start: dict[str, Any], form: str) -> str:
    try:
        return time.strftime(form, time.localtime(start["time"]))
    except (TypeError, ValueError, OverflowError, OSError):  # of a clock that was wrong, say
        return "?"


def _can_open(run: KnownRun) -> bool:
    return run.recorded is not None or bool(run.place)


def _metadata(run: KnownRun) -> str:
    """Return what a run says of itself, to be read."""
    whole: dict[str, Any] = {"problem": run.problem} if run.problem else {}
    whole["start"] = run.start
    if run.stop is not None:
        whole["stop"] = run.stop
    text = json.dumps(whole, indent=2, default=str, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}\n…"


def _pictures_of(run: KnownRun) -> tuple[KnownRun, dict[str, Frames], Exception | None]:
    try:
        return run, run.read_frames(), None
    except Exception as error:  # a disk, a server, a damaged file: the menu says it
        return run, {}, error


def _unread(problems: list[str]) -> str:
    return f"{count_text(len(problems), 'file')} could not be read"


def _known_runs(place: str) -> tuple[str, list[KnownRun], list[str]]:
    """Return the runs of a place, and why others cannot be read."""
    found, problems = [], list[RecordingError]()
    if Path(place).is_dir():
        runs, problems = read_folder(Path(place))
    else:
        runs = read_runs(place)
    for run in runs:
        known = KnownRun(run.start, run.stop, recorded=run)
        known.events = events_of(run.stop)
        found.append(known)
    return place, found, [str(problem) for problem in problems]
