"""One line of a device: its name, what it reads, and what went wrong."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from freewheel.core import danger_of
from freewheel.core._crossings import call_soon, run_soon
from freewheel.core._errors import typed_text_of
from freewheel.qt._link._bridge import failure_of, value_text
from freewheel.qt._link._feed import Feed
from freewheel.qt._link._limits import Limits
from freewheel.qt._link._signal_watch import SignalWatch
from freewheel.qt._look._questions import ask, withdraw
from freewheel.qt._look._readback import Readback, ShortLabel
from freewheel.qt._look._tones import Tone, tint

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from freewheel.qt._link._bridge import EngineBridge

__all__ = ["DeviceRow"]


class DeviceRow(QWidget):
    """A name, what the device reads now, and what is to be done with it.

    Everything that touches the device runs on the engine's loop; what comes back goes through a
    feed, so that the window waits for nothing and is not flooded.
    """

    def __init__(
        self, bridge: EngineBridge, device: Any, name: str, parent: QWidget | None
    ) -> None:
        super().__init__(parent)
        self._bridge, self._device, self._title = bridge, device, name
        self.setObjectName(f"device:{name}")
        self._name, self._readback = ShortLabel(), Readback()
        self._unit, self._limits = "", Limits()
        self._show_name()
        self._readback.setAccessibleDescription(name)
        self._status = QLabel("")
        self._status.setObjectName("status")
        tint(self._status, Tone.ERROR)
        self._status.setWordWrap(True)
        self._status.hide()
        self._line = QHBoxLayout()
        self._line.setContentsMargins(0, 0, 0, 0)
        self._line.setSpacing(4)  # what is read does not run into what is filled in
        self._line.addWidget(self._name, 1)
        self._line.addWidget(self._readback)
        layout = self._column = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(1)
        layout.addLayout(self._line)
        layout.addWidget(self._status)
        bridge.allStopped.connect(self.give_up)
        self._feed = Feed(self.receive)

    @property
    def problem(self) -> str:
        """What went wrong with the last request; empty if nothing did."""
        return str(self._status.text())

    def give_up(self) -> None:
        """Do nothing of what waits for an answer: everything was stopped."""
        withdraw(self, "danger")

    def receive(self, kind: str, arguments: tuple[Any, ...]) -> None:
        """Show what came back from the engine's loop."""
        if kind == "reading":
            self.show_reading(arguments[0])
        elif kind == "standing":
            self._readback.show_standing(arguments[0])
        elif kind == "limits":
            self._limits = arguments[0]
            self._show_name()
            self.show_limits(self._limits)
        elif kind == "unit":
            self._unit = str(arguments[0])
            self._show_name()
        elif kind == "failed":
            self.say(typed_text_of(arguments[0]))
        else:
            self.say("")

    def _show_name(self) -> None:
        self._name.setText(f"{self._title} [{self._unit}]" if self._unit else self._title)
        if str(self._limits):
            self._name.setToolTip(f"{self._name.text()}, {self._limits}")

    def say(self, text: str) -> None:
        """Say what is wrong, below the row; nothing if the text is empty."""
        self._status.setText(text)
        self._status.setVisible(bool(text))

    def show_reading(self, value: Any) -> None:
        """Show what the device reads."""
        self._readback.show_value(value)

    def show_limits(self, limits: Limits) -> None:
        """Take between which values the device may be set."""

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

    def _by_hand(self, value: Any, *, between: bool = False) -> None:
        """Set the device as a person does, and say here how that ended; of a dangerous one, ask."""

        def set_now() -> None:
            self._tell_of(self._bridge.set_by_hand(self._device, value, between=between), "done")

        reason = danger_of(self._device)
        if reason is None:
            set_now()
            return
        text = f"Set {self._title} to {value_text(value)}?"
        ask(self, "danger", text, f"{self._title}: {reason}.", "Set it", set_now)

    def _tell_of(self, future: Any, kind: str) -> None:
        """Say here how something ends that was asked for by hand."""
        feed = self._feed

        def tell(done: Any) -> None:
            error = failure_of(done)
            if error is None:
                feed.put(kind)
            else:
                feed.put("failed", error)

        future.add_done_callback(tell)

    def _subscribe(self, signal: Any, moved: Any = None) -> None:
        """Show what a signal reads, from now on, with the limits of what is moved, if it is."""
        watch, engine = SignalWatch(signal, self._feed, moved), self._bridge.engine
        weakref.finalize(self, call_soon, engine.loop, watch.stop).atexit = False
        self._on_loop(watch.start, requested=False)
