"""Devices to be moved and set by hand."""

from __future__ import annotations

import asyncio
import enum
import inspect
import weakref
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from qtpy.compat import isalive
from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QPainter
from qtpy.QtWidgets import (
    QComboBox,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from freewheel.core._crossings import call_soon, run_soon
from freewheel.core._devices import device_children
from freewheel.qt._claims import ClaimGuard
from freewheel.qt._feed import Feed
from freewheel.qt._fields import NumberField, choice_text

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from freewheel.qt._bridge import EngineBridge

__all__ = ["DevicePanel", "MotorRow", "SettingRow"]


class _ShortLabel(QLabel):
    """A line that is shortened where there is no room for it; the tooltip has all of it.

    A long name, or a long value, is not to push what can be pressed out of the panel.
    """

    def minimumSizeHint(self) -> Any:  # noqa: N802 - Qt's spelling
        """Take a few letters' room at least."""
        return QSize(62, super().minimumSizeHint().height())

    def setText(self, text: str) -> None:  # noqa: N802 - Qt's spelling
        """Show a text."""
        super().setText(text)
        self.setToolTip(text)

    def paintEvent(self, _: Any) -> None:  # noqa: N802 - Qt's spelling
        """Draw what fits."""
        room = self.contentsRect()
        middle = Qt.TextElideMode.ElideMiddle
        text = self.fontMetrics().elidedText(self.text(), middle, room.width())
        QPainter(self).drawText(room, int(self.alignment()), text)


class _Row(QWidget):
    """A name, what the device reads now, and what is to be done with it.

    Everything that touches the device runs on the engine's loop; what comes back goes through a
    feed, so that the window waits for nothing and is not flooded.
    """

    def __init__(
        self, bridge: EngineBridge, device: Any, name: str, parent: QWidget | None
    ) -> None:
        super().__init__(parent)
        self._bridge, self._device = bridge, device
        self.setObjectName(f"device:{name}")
        self._name, self._readback = _ShortLabel(), _ShortLabel()
        self._name.setText(name)
        self._readback.setText("-")
        self._readback.setObjectName("readback")
        self._readback.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._status = QLabel("")
        self._status.setObjectName("status")
        self._status.setStyleSheet("color: #c0392b;")
        self._status.setWordWrap(True)
        self._status.hide()
        self._line = QHBoxLayout()
        self._line.setContentsMargins(0, 0, 0, 0)
        self._line.addWidget(self._name, 1)
        self._line.addWidget(self._readback)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(1)
        layout.addLayout(self._line)
        layout.addWidget(self._status)
        me = weakref.ref(self)
        self._feed = Feed(lambda kind, arguments: _hand_over(me, kind, arguments))
        weakref.finalize(self, self._feed.close).atexit = False

    @property
    def problem(self) -> str:
        """What went wrong with the last request; empty if nothing did."""
        return str(self._status.text())

    def receive(self, kind: str, arguments: tuple[Any, ...]) -> None:
        """Show what came back from the engine's loop."""
        if kind == "reading":
            self._show_value(arguments[0])
        elif kind == "unit":
            self._name.setText(f"{self._name.text()} [{arguments[0]}]")
        elif kind == "failed":
            self._say(f"{type(arguments[0]).__name__}: {arguments[0]}")
        elif kind == "done":
            self._say("")

    def _say(self, text: str) -> None:
        self._status.setText(text)
        self._status.setVisible(bool(text))

    def _show_value(self, value: Any) -> None:
        self._readback.setText(f"{value:.4g}" if isinstance(value, float) else choice_text(value))

    def _on_loop(
        self, work: Callable[[], Coroutine[Any, Any, Any]], *, requested: bool = True
    ) -> None:
        """Run a coroutine function on the engine's loop, and say here how it ended.

        What nobody has requested tells of its failure alone: its success is not to take what is
        said of a request's failure away.
        """
        feed = self._feed

        async def guarded() -> None:
            try:
                await work()
            except Exception as error:  # shown in the row, whatever the device raised
                feed.put("failed", error)
            else:
                if requested:
                    feed.put("done")

        run_soon(self._bridge.engine.loop, guarded())

    def _by_hand(self, value: Any, *, between: bool) -> None:
        """Set the device as a person does, and say here how that ended."""
        by_hand = self._bridge.engine.by_hand
        self._tell_of(lambda: by_hand.set(self._device, value, between=between))

    def _tell_of(self, ask: Callable[[], Any]) -> None:
        """Ask for something that gives a future, and say here how that ended."""
        feed = self._feed

        def tell(done: Any) -> None:
            error = None if done.cancelled() else done.exception()
            if error is None:
                feed.put("done")
            else:
                feed.put("failed", error)

        try:
            future = ask()
        except Exception as error:  # refused at once: shown in the row, as what comes later
            feed.put("failed", error)
        else:
            future.add_done_callback(tell)

    def _subscribe(self, signal: Any) -> None:
        """Show what a signal reads, from now on."""
        feed = self._feed
        subscribe = getattr(signal, "subscribe_reading", None) or getattr(signal, "subscribe", None)
        if subscribe is None:
            return

        # ophyd-async gives a reading; ophyd gives keywords alone, the value among them.
        def changed(readings: Mapping[str, Any] | None = None, *_: Any, **news: Any) -> None:
            if readings is not None:
                feed.put("reading", next(iter(readings.values()))["value"])
            elif "value" in news:
                feed.put("reading", news["value"])

        async def start() -> None:
            subscribe(changed)
            if (value := await _first_value(signal)) is not None:
                feed.put("reading", value)
            for key in (await _asked(signal, "describe")).values():
                if unit := key.get("units"):
                    feed.put("unit", unit)
                break

        def stop(*_: Any) -> None:
            clear = getattr(signal, "clear_sub", None)
            if clear is not None:
                call_soon(engine.loop, clear, changed)

        engine = self._bridge.engine
        weakref.finalize(self, stop).atexit = False
        self._on_loop(start, requested=False)


class MotorRow(_Row):
    """A motor, moved by hand: go to a position, step, stop.

    A move takes the claim for the motor, so that no plan moves it at the same time; while a plan
    holds the motor the row is greyed out, and its tooltip names the holder.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    motor
        Something movable.
    name
        What to call it; by default its own name.
    """

    def __init__(
        self,
        bridge: EngineBridge,
        motor: Any,
        name: str | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(bridge, motor, name or motor.name, parent)
        kind = _datatype_of(motor)
        self._editor = _editor_for(kind)
        self._editor.setObjectName("target")
        self._first = True
        self._parts = QWidget()
        parts = QHBoxLayout(self._parts)
        parts.setContentsMargins(0, 0, 0, 0)
        parts.addWidget(self._editor)
        go = _button("Go")
        go.setObjectName("go")
        go.clicked.connect(self.move)
        parts.addWidget(go)
        self._line.addWidget(self._parts)
        _on_return(self._editor, self.move)
        stop = _button("Stop")
        stop.setObjectName("stop")
        stop.setEnabled(hasattr(motor, "stop"))
        stop.clicked.connect(self.stop)
        self._line.addWidget(stop)  # never greyed out
        self.guard = ClaimGuard(bridge, motor, self._parts)
        self._subscribe(getattr(motor, "user_readback", None) or getattr(motor, "readback", motor))

    def _show_value(self, value: Any) -> None:
        super()._show_value(value)
        if self._first and isinstance(self._editor, QComboBox):
            _write(self._editor, value)
        self._first = False

    def set_target(self, target: Any) -> None:
        """Fill in where `move` goes."""
        _write(self._editor, target)

    def move(self, *_: Any) -> None:
        """Move to the target that is filled in."""
        target = _read(self._editor)
        if target is None or _is_no_number(self._editor, target):
            self._say(f"{target!r} is no position" if target else "give a position")
            return
        self._by_hand(target, between=False)

    def stop(self, *_: Any) -> None:
        """Stop the motor, whoever moves it, and give up a move that waits for an interlock."""
        self._tell_of(lambda: self._bridge.engine.by_hand.stop(self._device))


class SettingRow(_Row):
    """A setting of a device, such as an exposure time, changed by hand.

    It may be changed while a plan uses the device: the engine changes it between two messages of
    the plan.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    signal
        A signal that can be set and read.
    name
        What to call it; by default its own name.
    """

    def __init__(
        self,
        bridge: EngineBridge,
        signal: Any,
        name: str | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(bridge, signal, name or signal.name, parent)
        self._editor = _editor_for(_datatype_of(signal))
        self._editor.setObjectName("value")
        self._line.addWidget(self._editor)
        self._first = True
        if isinstance(self._editor, QComboBox):
            self._editor.activated.connect(self.apply)
        else:
            _on_return(self._editor, self.apply)
            apply = _button("Set")
            apply.setObjectName("set")
            apply.clicked.connect(self.apply)
            self._line.addWidget(apply)
        self._subscribe(signal)

    def set_value(self, value: Any) -> None:
        """Fill in what `apply` sets."""
        _write(self._editor, value)

    def apply(self, *_: Any) -> None:
        """Set what is filled in."""
        value = _read(self._editor)
        if value is None or _is_no_number(self._editor, value):
            self._say(f"{value!r} is no number" if value else "give a value")
            return
        self._by_hand(value, between=True)

    def _show_value(self, value: Any) -> None:
        super()._show_value(value)
        if self._first:
            self._first = False
            _write(self._editor, value)


class DevicePanel(QWidget):
    """Rows for all devices: motors to move, settings to change, and those that did not connect.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    devices
        The devices by name. An exception in place of a device is shown as the reason why it is
        not there, a future as a device that is being connected; see `set_device`.

    Attributes
    ----------
    rows : dict of str to QWidget
        By name, such as ``"stage.x"`` or ``"camera.exposure"``.
    """

    def __init__(
        self, bridge: EngineBridge, devices: Mapping[str, Any], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self.rows: dict[str, QWidget] = {}
        self._boxes: dict[str, QGroupBox] = {}
        layout = QVBoxLayout(self)
        for name, device in devices.items():
            self._boxes[name] = QGroupBox(name)
            layout.addWidget(self._boxes[name])
            self._fill_box(name, device)
        layout.addStretch(1)

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
            label = QLabel(f"not connected\n{type(device).__name__}: {device}")
            label.setStyleSheet("color: #c0392b;")
            label.setWordWrap(True)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            self._add(layout, name, label)
        elif isinstance(device, Future):
            self._add(layout, name, QLabel("connecting …"))
        elif _is_signal(device):
            if callable(getattr(device, "set", None)) and _can_edit(device):
                self._add(layout, name, SettingRow(self._bridge, device, name.rpartition(".")[2]))
        elif callable(getattr(device, "set", None)) and not _has_axes(device):
            self._add(layout, name, MotorRow(self._bridge, device, name.rpartition(".")[2]))
        else:
            for child_name, child in _parts(device).items():
                self._fill(layout, f"{name}.{child_name}", child)

    def _add(self, layout: QVBoxLayout, name: str, row: QWidget) -> None:
        self.rows[name] = row
        layout.addWidget(row)


def _hand_over(row: weakref.ref[_Row], kind: str, arguments: tuple[Any, ...]) -> None:
    target = row()
    if target is not None and isalive(target):
        target.receive(kind, arguments)


async def _first_value(signal: Any) -> Any:
    """Return what a signal of ophyd reads now: it says nothing before its first change."""
    if inspect.iscoroutinefunction(getattr(signal, "describe", None)):
        return None
    readings = await _asked(signal, "read")
    first = next(iter(readings.values()), {"value": getattr(signal, "position", None)})
    return first["value"]


async def _asked(signal: Any, method: str) -> Mapping[str, Any]:
    """Return what a method of a signal answers; empty if it has none."""
    function = getattr(signal, method, None)
    if inspect.iscoroutinefunction(function):
        answer: Mapping[str, Any] = await function()
        return answer
    # Those of ophyd wait for the network where they stand, which the loop must not.
    return await asyncio.to_thread(function) if callable(function) else {}


def _parts(device: Any) -> Mapping[str, Any]:
    """Return what a device consists of, of ophyd-async or ophyd, by name."""
    names = getattr(device, "component_names", ())
    return device_children(device) or {name: getattr(device, name) for name in names}


def _has_axes(device: Any) -> bool:
    """Tell whether parts of a device are moved themselves, such as the axes of an XY stage."""
    parts = _parts(device).values()
    return any(callable(getattr(p, "set", None)) and not _is_signal(p) for p in parts)


def _is_signal(device: Any) -> bool:
    if hasattr(device, "datatype") and hasattr(device, "subscribe"):
        return True
    # ophyd's, unlike its devices and positioners.
    return hasattr(device, "write_access") and not hasattr(device, "component_names")


def _datatype_of(device: Any) -> Any:
    for name in ("", "setpoint", "user_setpoint", "followed"):
        datatype = getattr(getattr(device, name, None) if name else device, "datatype", None)
        if datatype is not None:
            return datatype
    return float


def _can_edit(signal: Any) -> bool:
    if not getattr(signal, "write_access", True):
        return False
    datatype = _datatype_of(signal)
    return isinstance(datatype, type) and issubclass(datatype, (bool, int, float, str, enum.Enum))


def _button(text: str) -> QPushButton:
    button = QPushButton(text)
    button.setFixedWidth(button.fontMetrics().horizontalAdvance(text) + 22)
    return button


def _editor_for(datatype: Any) -> Any:
    if isinstance(datatype, type) and issubclass(datatype, (enum.Enum, bool)):
        box = QComboBox()
        for choice in (True, False) if datatype is bool else datatype:
            box.addItem(choice_text(choice), choice)
        box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        box.setMinimumContentsLength(4)
        return box
    if datatype is str:
        text = QLineEdit()
        text.setMinimumWidth(84)
        return text
    number = NumberField(integer=datatype is int)
    number.setMinimumWidth(84)
    return number


def _on_return(editor: Any, act: Callable[[], None]) -> None:
    """Act when Return is pressed in an editor that is typed into."""
    line = editor.lineEdit() if isinstance(editor, NumberField) else editor
    if isinstance(line, QLineEdit):
        line.returnPressed.connect(act)


def _is_no_number(editor: Any, value: Any) -> bool:
    return isinstance(value, str) and isinstance(editor, NumberField)


def _read(editor: Any) -> Any:
    if isinstance(editor, QComboBox):
        return editor.currentData()
    return editor.text() if isinstance(editor, QLineEdit) else editor.value()


def _write(editor: Any, value: Any) -> None:
    if isinstance(editor, QComboBox):
        editor.setCurrentIndex(editor.findText(choice_text(value)))
    elif isinstance(editor, QLineEdit):
        editor.setText(str(value))
    else:
        editor.set_value(value)
