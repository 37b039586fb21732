"""A tool bar with what is wanted most: Stop all, Live, Snap, Record."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QAction, QActionGroup
from qtpy.QtWidgets import QInputDialog, QMenu, QStyle, QToolBar, QToolButton, QWidget

from freewheel.core._wording import names_text
from freewheel.qt._link._with_line import only_with_line
from freewheel.qt._look._files import ask_folder
from freewheel.qt._look._icons import icon
from freewheel.qt._look._questions import keep_stop_all
from freewheel.qt._look._readback import ShortLabel
from freewheel.qt._look._slots import slot
from freewheel.qt._runs._daily import DAY, folder_of
from freewheel.qt._runs._recording import Recording, why_no_tiled
from freewheel.qt._tasks._stop_all import StopAllButton
from freewheel.qt._window._live_switch import LiveSwitch
from freewheel.qt._window._pixel_sizes import PixelSizes
from freewheel.qt._window._snapper import Snapper
from freewheel.qt._window._snaps import SnapView

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qtpy.QtGui import QIcon

    from freewheel.qt._link._bridge import EngineBridge

__all__ = ["AcquisitionBar"]

_RATES: Final = {"5 Hz": 5.0, "10 Hz": 10.0, "30 Hz": 30.0, "60 Hz": 60.0, "as fast as it can": 2e4}
_LIVE: Final = "Show the cameras that are chosen until it is pressed again; it gives way to plans"
_SNAP: Final = "Take one frame of each camera that is chosen"
_RECORD: Final = "Record the runs that begin from now on; a live view begins a new one"
_ELSEWHERE: Final = "The engine is another process's: its server records (freewheel serve)"
_NO_LINE: Final = "There is no line to the engine"
_FOLDER_OF_THE_DAY: Final = str(Path.home() / "freewheel-recordings" / DAY)
#: Of the recording's figures, however long they are: a tool bar hides what it has no room for.
_ROOM: Final = 320


class AcquisitionBar(QToolBar):
    """*Stop all*, and live view, snaps and recording with one click each.

    Live view and snaps are of the cameras that are chosen in its first menu. The live view is a
    background task: it gives way to plans that need a camera. A snap during a live view is an event
    of its run; otherwise it is a run with ``purpose="snap"``. Recording begins with the next
    run; a live view that was begun here goes on with a new run, which is recorded from its begin,
    and is ended when recording ends. An engine elsewhere is recorded there.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    devices
        The devices by name; those that can be triggered and read are offered as cameras.
    parent
        The widget's parent.

    Attributes
    ----------
    snapChosen : Signal(object)
        Somebody wants to see the last snap: its event document.
    """

    snapChosen = Signal(object)  # noqa: N815 - Qt's spelling

    def __init__(
        self,
        bridge: EngineBridge,
        devices: Mapping[str, Any] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__("Acquisition", parent)
        self.setObjectName("Acquisition")
        self._bridge = bridge
        self._devices: dict[str, Any] = {}
        self._rates = QActionGroup(self)
        self._chosen: set[str] | None = None  # `None` until somebody has chosen
        self.rate = 30.0
        self._destination = _FOLDER_OF_THE_DAY
        self._switch = LiveSwitch(bridge, self)
        self._snapper = Snapper(bridge, self._switch, self._chosen_devices, self)
        self.recording = Recording(bridge, self, self._switch.between)
        self.snaps = SnapView(bridge, self._recorded_to)
        self._sizes = PixelSizes(bridge, self)
        self._sizes.changed.connect(self._pixels_changed)
        self._build()
        for changed in (bridge.claimsChanged, bridge.stateChanged, bridge.lineChanged):
            changed.connect(self._look)
        bridge.actionsChanged.connect(self._look)
        self._switch.changed.connect(self._look)
        self.recording.changed.connect(self._look)
        self.recording.failed.connect(self._not_recorded)
        self.snaps.chosen.connect(self.snapChosen)
        self.set_devices(devices or {})

    # -- parts --------------------------------------------------------------------------------

    def _build(self) -> None:
        side = self.style().pixelMetric(QStyle.PixelMetric.PM_SmallIconSize)
        self.setIconSize(QSize(side, side))  # as buttons elsewhere in the window have them
        stop_all = StopAllButton(self._bridge)
        only_with_line(stop_all, self._bridge)
        self.addWidget(stop_all)  # first: where there is little room the last ones are folded away
        self.addSeparator()
        self._cameras = self._menu_button("cameras", "Which cameras Live and Snap are of")
        self._live = self._button("live", "Live", _LIVE, checkable=True)
        _show_icon(self._live, icon("run"))
        self._live.clicked.connect(self._live_clicked)
        self._snap = self._button("snap", "Snap", _SNAP)
        self._snap.clicked.connect(self.snap)
        self.addWidget(self.snaps)
        self.addSeparator()
        self._record = self._button("record", "Record \N{BLACK CIRCLE}", _RECORD, checkable=True)
        self._record.clicked.connect(self._record_clicked)
        self._to = self._menu_button("recordTo", "")
        _show_icon(self._to, icon("save"))
        menu = self._to.menu()
        menu.addAction("Folder …", self._ask_folder)
        tiled = menu.addAction("Tiled server …", self._ask_address)
        if why := why_no_tiled():
            tiled.setEnabled(False)
            tiled.setText(f"Tiled server … ({why})")
        daily = menu.addAction("A folder for each day")
        daily.triggered.connect(slot(self._set_destination, _FOLDER_OF_THE_DAY))
        self._figures = ShortLabel()
        self._figures.setObjectName("recordingFigures")
        self._figures.setFixedWidth(_ROOM)
        self.addWidget(self._figures)

    def _button(self, name: str, text: str, tip: str, *, checkable: bool = False) -> QToolButton:
        button = QToolButton()
        button.setObjectName(name)
        button.setText(text)
        button.setToolTip(tip)
        button.setAccessibleName(text.partition(" \N{BLACK CIRCLE}")[0])
        button.setCheckable(checkable)
        self.addWidget(button)
        return button

    def _menu_button(self, name: str, tip: str) -> QToolButton:
        button = self._button(name, "", tip)
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        button.setMenu(QMenu(button))
        return button

    # -- cameras ------------------------------------------------------------------------------

    def set_devices(self, devices: Mapping[str, Any]) -> None:
        """Offer the cameras among these devices."""
        self._devices = {name: device for name, device in devices.items() if _is_camera(device)}
        self._sizes.follow(self._devices.values())
        menu = self._cameras.menu()
        menu.clear()
        for name in self._devices:
            action = menu.addAction(name)
            action.setCheckable(True)
            action.setChecked(name in self.cameras)
            action.toggled.connect(self._cameras_changed)
        menu.addSeparator()
        self._rates.deleteLater()
        rates = self._rates = QActionGroup(self)
        for text, rate in _RATES.items():
            action = rates.addAction(QAction(text, menu, checkable=True, checked=rate == self.rate))
            action.triggered.connect(slot(self._set_rate, rate))
            menu.addAction(action)
        self._look()

    @property
    def cameras(self) -> tuple[str, ...]:
        """The names of the cameras that are chosen; at first, the first one that there is."""
        if self._chosen is None:
            named = [name for name in self._devices if "cam" in name.lower()]
            return tuple([*named, *self._devices][:1])
        return tuple(name for name in self._devices if name in self._chosen)

    def choose_cameras(self, names: Sequence[str]) -> None:
        """Choose cameras by their names.

        Raises
        ------
        KeyError
            If one of them is not there, or cannot be triggered and read.
        """
        for name in names:
            if name not in self._devices:
                msg = f"there is no camera {name!r}; there are: {names_text(list(self._devices))}"
                raise KeyError(msg)
        for action in self._cameras.menu().actions():
            if action.text() in self._devices:
                action.setChecked(action.text() in names)

    def _cameras_changed(self, *_: Any) -> None:
        self._chosen = {
            action.text()
            for action in self._cameras.menu().actions()
            if action.isChecked() and action.text() in self._devices
        }
        self._live_anew()

    def _set_rate(self, rate: float) -> None:
        self.rate = rate
        self._live_anew()

    def _live_anew(self) -> None:
        if self.cameras:
            self._switch.renew(self._chosen_devices(), self.rate)
        self._look()

    def _pixels_changed(self, camera: Any) -> None:
        if any(camera is chosen for chosen in self._chosen_devices()):
            self._live_anew()  # its run is to say what is so

    def _chosen_devices(self) -> list[Any]:
        return [self._devices[name] for name in self.cameras]

    # -- live and snap ------------------------------------------------------------------------

    def _live_clicked(self, on: bool) -> None:
        if on:
            self.start_live()
        else:
            self.stop_live()

    def start_live(self) -> None:
        """Begin the live view of the cameras that are chosen, after a snap that is under way."""
        if not self._switch.tasks:
            self._snapper.after(self._begin_live)  # which would be refused the camera
        self._look()

    def _begin_live(self) -> None:
        if not self._switch.tasks:
            self._switch.start(self._chosen_devices(), self.rate)

    def stop_live(self) -> None:
        """End the live view, with its clean-up."""
        self._snapper.after(None)
        self._switch.stop()
        self._look()

    def snap(self, *_: Any) -> None:
        """Take one frame of each camera that is chosen: of the live view, if that is on."""
        self._snapper.take()

    # -- recording ----------------------------------------------------------------------------

    @property
    def destination(self) -> str:
        """Where runs are recorded to now: a folder, or a ``tiled://`` address.

        Where ``{date}`` stands in what it is set to, each run goes to the folder of the day on
        which it begins; so it is at first.
        """
        return folder_of(self._destination)

    @destination.setter
    def destination(self, destination: str) -> None:
        self._destination = str(destination)
        self._look()

    def _not_recorded(self, error: BaseException) -> None:
        self._bridge.requestRefused.emit("recording", error)

    def _record_clicked(self, on: bool) -> None:
        if on:
            self.start_recording()
        else:
            self.stop_recording()

    def start_recording(self) -> None:
        """Record the runs that begin from now on."""
        # Before what it has the live view do, which nobody has asked for in so many words.
        place = self.destination.partition("?")[0]  # without the key of a server
        self._bridge.requestMade.emit(f"record to {place}")
        self.recording.start(self._destination)
        self._look()

    def stop_recording(self) -> None:
        """Record no more runs; what has begun is recorded to its end."""
        self._bridge.requestMade.emit("record no more")
        self.recording.stop()
        self._look()

    def end(self) -> None:
        """Record nothing more; for a window that is closed."""
        self.recording.end()

    def where(self, run: str) -> str:
        """Return where a run is recorded to, by its uid; empty if it is not."""
        return self.recording.place_of(run)

    def _recorded_to(self, run: str) -> str:
        place = self.where(run)
        return f"recorded to {place}" if place else ""

    def _set_destination(self, path: Path | str) -> None:
        self.destination = str(path)

    def _ask_folder(self) -> None:
        begin = Path(self.destination)
        while not begin.exists() and begin != begin.parent:
            begin = begin.parent
        ask_folder(self, "Record to", begin, self._set_destination)

    def _ask_address(self) -> None:
        dialog = QInputDialog(self)
        dialog.setWindowTitle("Record to")
        dialog.setLabelText("A Tiled server, such as tiled://localhost:8000?api_key=…")
        dialog.setTextValue(self._destination if "://" in self._destination else "tiled://")
        dialog.textValueSelected.connect(self._set_destination)
        dialog.finished.connect(dialog.deleteLater)
        keep_stop_all(dialog, self)
        dialog.setModal(False)
        dialog.show()

    # -- showing ------------------------------------------------------------------------------

    def _look(self, *_: Any) -> None:
        names = self.cameras
        more = f", {len(names) - 1} more" if len(names) > 1 else ""
        self._cameras.setText(f"{names[0]}{more}" if names else "no camera")
        tasks = self._switch.tasks
        self._live.setChecked(bool(tasks))
        no_line = "" if self._bridge.connected else _NO_LINE
        _allow(self._live, _LIVE, no_line or ("" if tasks else self._why_no_live()))
        _allow(self._snap, _SNAP, no_line or self._why_no_snap())
        self._show_recording()

    def _why_no_live(self) -> str:
        return "" if self.cameras else "no camera is chosen"

    def _why_no_snap(self) -> str:
        if not self.cameras:
            return "no camera is chosen"
        if self._switch.is_running:
            return ""
        for device in self._chosen_devices():
            holder = self._bridge.engine.claims.get(device)
            if holder is not None and not holder.startswith("snap"):
                return f"{device.name} is held by {holder}"
        return ""

    def _show_recording(self) -> None:
        recording = self.recording
        self._record.setChecked(recording.is_on or recording.is_beginning)
        reason = _ELSEWHERE if self._bridge.engine.is_elsewhere else ""
        _allow(self._record, _RECORD, reason)
        shown = recording.is_on or recording.is_beginning or recording.is_ending
        free = not (reason or shown)
        name, tip = Path(self._destination).name or self._destination, self._destination
        if DAY in self._destination:  # nobody tells of midnight, so that a date would be wrong soon
            name, tip = "today's folder", f"{tip.replace(DAY, '…')}: a folder for each day"
        _allow(self._to, tip, "" if free else reason or "while it is recorded to")
        self._to.setText(f"to {name}")
        words = recording.figures
        if recording.is_ending:
            words = f"ends with the run that is under way; {words}"
        if recording.is_beginning:
            words = "begins in a moment; nothing is recorded yet"
        self._figures.setText(words if shown else "")
        self._figures.setStyleSheet("color: #c0392b;" if recording.is_low else "")


def _is_camera(device: Any) -> bool:
    return callable(getattr(device, "trigger", None)) and callable(getattr(device, "read", None))


def _show_icon(button: QToolButton, picture: QIcon) -> None:
    """Show an icon beside a button's text; without the font there is none, and no gap for it."""
    if not picture.isNull():
        button.setIcon(picture)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)


def _allow(button: QToolButton, tip: str, reason: str) -> None:
    """Enable a button, or say why it is not."""
    button.setEnabled(not reason)
    button.setToolTip(reason or tip)
    button.setAccessibleDescription(reason)
