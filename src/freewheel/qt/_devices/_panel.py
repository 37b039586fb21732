"""Devices to be moved and set by hand."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QGroupBox, QLabel, QPushButton, QVBoxLayout, QWidget

from freewheel.core._devices import device_parts
from freewheel.core._errors import typed_text_of
from freewheel.qt._devices._kinds import can_edit, can_show, has_axes, is_plain, is_signal
from freewheel.qt._devices._motor_row import MotorRow
from freewheel.qt._devices._plain_row import PlainRow
from freewheel.qt._devices._reading_row import ReadingRow
from freewheel.qt._devices._setting_row import SettingRow
from freewheel.qt._link._with_line import only_with_line
from freewheel.qt._look._slots import slot
from freewheel.qt._look._tones import Tone, tint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from freewheel.qt._link._bridge import EngineBridge

__all__ = ["DevicePanel"]


class DevicePanel(QWidget):
    """Rows for all devices: motors, settings, what is only read, and those that did not connect.

    A value that is alarming is marked, and one whose device has lost its connection.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    devices
        The devices by name. An exception in place of a device is shown as the reason why it is
        not there, a future as a device that is being connected; see `set_device`.
    retry
        Connects a device once more that has failed to connect, by its name; without, there is no
        button for that.

    Attributes
    ----------
    rows : dict of str to QWidget
        By name, such as ``"stage.x"`` or ``"camera.exposure"``.
    """

    def __init__(
        self,
        bridge: EngineBridge,
        devices: Mapping[str, Any],
        parent: QWidget | None = None,
        *,
        retry: Callable[[str], object] | None = None,
    ) -> None:
        super().__init__(parent)
        self._bridge, self._retry = bridge, retry
        self._connected_here: set[str] = set()  # those that were futures
        self.rows: dict[str, QWidget] = {}
        self._boxes: dict[str, QGroupBox] = {}
        layout = QVBoxLayout(self)
        for name, device in devices.items():
            self._boxes[name] = QGroupBox(name)
            layout.addWidget(self._boxes[name])
            self._fill_box(name, device)
        layout.addStretch(1)
        only_with_line(self, bridge)

    def set_device(self, name: str, device: Any) -> None:
        """Show a device, or the reason why it is not there, in place of what is shown by its name.

        Raises
        ------
        KeyError
            For a name that the panel was made without.
        """
        old = self._boxes[name]
        box = self._boxes[name] = QGroupBox(name)
        layout = self.layout()
        assert layout is not None
        layout.replaceWidget(old, box)
        old.hide()
        old.deleteLater()
        for row in [row for row in self.rows if row == name or row.startswith(f"{name}.")]:
            del self.rows[row]
        self._fill_box(name, device)

    def _fill_box(self, name: str, device: Any) -> None:
        inside = QVBoxLayout(self._boxes[name])
        self._fill(inside, name, device)
        self._boxes[name].setVisible(inside.count() > 0)  # nothing of it can be set

    def _fill(self, layout: QVBoxLayout, name: str, device: Any) -> None:
        if isinstance(device, BaseException):
            label = QLabel(f"not connected\n{typed_text_of(device)}")
            tint(label, Tone.ERROR)
            label.setWordWrap(True)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            self._add(layout, name, label)
            if self._retry is not None and name in self._connected_here:
                layout.addWidget(self._retry_button(name, self._retry))
        elif isinstance(device, Future):
            self._connected_here.add(name)
            self._add(layout, name, QLabel("connecting …"))
        elif is_signal(device):
            if callable(getattr(device, "set", None)) and can_edit(device):
                self._add(layout, name, SettingRow(self._bridge, device, _title(name)))
            elif can_show(device):
                self._add(layout, name, ReadingRow(self._bridge, device, _title(name)))
        elif callable(getattr(device, "set", None)) and not has_axes(device):
            self._add(layout, name, MotorRow(self._bridge, device, _title(name)))
        elif is_plain(device):
            self._add(layout, name, PlainRow(self._bridge, device, _title(name)))
        else:
            for child_name, child in device_parts(device).items():
                self._fill(layout, f"{name}.{child_name}", child)

    @staticmethod
    def _retry_button(name: str, retry: Callable[[str], object]) -> QPushButton:
        button = QPushButton("Retry")
        button.setObjectName(f"retry:{name}")
        button.setAccessibleName(f"Connect {name} once more")
        # Later: the button goes with what it stands in.
        button.clicked.connect(slot(lambda: QTimer.singleShot(0, lambda: retry(name))))
        return button

    def _add(self, layout: QVBoxLayout, name: str, row: QWidget) -> None:
        self.rows[name] = row
        layout.addWidget(row)


def _title(name: str) -> str:
    """Return what a row is called in the box of its device: ``"x"``, ``"triggers.sent"``."""
    return name.partition(".")[2] or name
