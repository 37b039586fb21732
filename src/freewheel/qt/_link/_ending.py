"""Ending what is under way: asked for by a closed window, or by Ctrl-C and SIGTERM."""

from __future__ import annotations

import signal
import socket
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QSocketNotifier, QTimer, Signal
from qtpy.QtWidgets import QApplication

from freewheel.qt._link._feed import check_window_thread
from freewheel.terminal import ENDING_SIGNALS, StopFirst, Wish, signals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from freewheel.qt._link._bridge import EngineBridge

__all__ = ["Ending", "end_on_signals"]

# How long a halt may take before nobody waits for it any more [ms].
_HALT_MS = 2_000


class Ending(QObject):
    """Ends everything that is under way, and tells when it is over.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    parent
        The QObject that owns this one.

    Attributes
    ----------
    over : Signal()
        Emitted each time that nothing is under way any more after it was asked to end; after a
        halt also when a device does not let go of the engine.
    """

    over = Signal()

    def __init__(self, bridge: EngineBridge, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._asked = False
        self._halted = False
        self._given_up = False
        # Timers of its own: they end with it, whoever deletes it.
        self._over_soon = _once(self)
        self._over_soon.timeout.connect(self.over)
        self._patience = _once(self)
        self._patience.timeout.connect(self._give_up)
        for changed in (bridge.planEnded, bridge.stateChanged, bridge.backgroundChanged):
            changed.connect(self._look)

    @property
    def asked(self) -> bool:
        """Whether `stop` or `halt` was called."""
        return self._asked

    @property
    def halted(self) -> bool:
        """Whether `halt` was called: a device may never let its thread go then."""
        return self._halted

    @property
    def given_up(self) -> bool:
        """Whether a device did not let go of the engine in time after a halt."""
        return self._given_up

    @property
    def busy(self) -> bool:
        """Whether a plan or a background task is under way that would end with this process."""
        if self._bridge.engine.is_elsewhere:
            return False  # others use it, and it goes on
        snapshot = self._bridge.snapshot()
        return (
            snapshot.state != "idle"
            or snapshot.plan_name is not None
            or bool(snapshot.queue)
            or any(not task.status.ended for task in snapshot.background)
        )

    def stop(self, reason: str) -> None:
        """End the plan, the queue and the background tasks, with their clean-up."""
        self._asked = True
        if not self.busy:
            self._look()
            return
        snapshot = self._bridge.snapshot()
        for task in snapshot.background:
            task.cancel(reason)
        for future in self._bridge.engine.queued:
            future.cancel()
        if snapshot.plan_name is not None:
            self._bridge.stop()
        self._look()

    def halt(self) -> None:
        """End the plan without its clean-up, and give up what does not end then."""
        self._asked = self._halted = True
        self._cut_short()
        self._patience.start(_HALT_MS)
        self._look()

    def _cut_short(self) -> None:
        # Background tasks were cancelled: those that do not end the engine kills by itself.
        if self._bridge.snapshot().plan_name is not None:
            self._bridge.halt()

    def _give_up(self) -> None:
        if self.busy:
            self._cut_short()  # a second one cuts short a device that swallowed the first
            self._given_up = True
            self.over.emit()

    def _look(self, *_: Any) -> None:
        if self._asked and not self.busy:
            self._over_soon.start(0)


def _once(parent: QObject) -> QTimer:
    timer = QTimer(parent)
    timer.setSingleShot(True)
    return timer


class _Signals(QObject):
    """Passes signals on to an ending, and ends the application when that is over."""

    def __init__(self, ending: Ending, reader: socket.socket) -> None:
        super().__init__()
        self._ending = ending
        self._reader = reader
        self._rules = StopFirst()
        self._numbers: list[int] = []  # put in by signal handlers, taken out by the window
        self._notifier = QSocketNotifier(reader.fileno(), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._take)
        ending.over.connect(self._quit)

    @property
    def exit_code(self) -> int | None:
        return self._rules.exit_code

    def told(self, number: int) -> None:
        """Note a signal. Called by its handler, between any two steps of the window's thread."""
        self._numbers.append(number)

    def _take(self, *_: Any) -> None:
        with suppress(BlockingIOError):
            self._reader.recv(4096)
        while self._numbers:
            wish, text = self._rules.pressed(self._numbers.pop(0), self._rules.now())
            with suppress(OSError):  # SIGHUP: there may be nobody to tell
                sys.stderr.write(f"{text}\n")
            if wish is Wish.STOP:
                self._ending.stop(signal.Signals(self._rules.first or 0).name)
            elif self._ending.halted:
                self._quit()
            else:
                self._ending.halt()

    def _quit(self) -> None:
        if self.exit_code is not None:
            QApplication.closeAllWindows()
            QApplication.quit()  # whatever a window says to that


class SignalsEnd:
    """How a block of `end_on_signals` has ended."""

    def __init__(self, ending: Ending, listener: _Signals) -> None:
        self._ending = ending
        self._listener = listener

    @property
    def exit_code(self) -> int:
        """What a shell gives to a program that a signal has ended; 0 if none came."""
        return self._listener.exit_code or 0

    @property
    def halted(self) -> bool:
        """Whether a second signal has cut the clean-up short."""
        return self._ending.halted


@contextmanager
def end_on_signals(bridge: EngineBridge) -> Iterator[SignalsEnd]:
    """Have Ctrl-C, SIGTERM and SIGHUP end the plan with its clean-up, and then the program.

    Goes around ``app.exec()``. The window stays alive meanwhile. A second signal halts: what was
    under way ends without its clean-up; a third one waits for nothing.

    Parameters
    ----------
    bridge
        The bridge to the engine.

    Yields
    ------
    SignalsEnd
        Its ``exit_code`` is for `sys.exit`: 0, or 130 after Ctrl-C, 143 after SIGTERM, 129 after
        SIGHUP. ``halted`` tells whether the clean-up was cut short.

    Raises
    ------
    RuntimeError
        Without a QApplication, or on another thread than the window's.
    """
    check_window_thread("end_on_signals()")
    ending = Ending(bridge)
    reader, writer = socket.socketpair()
    for end in (reader, writer):
        end.setblocking(False)
    listener = _Signals(ending, reader)
    # Python calls its handlers between two of its own steps, and Qt waits in C: the byte that is
    # written for each signal wakes it.
    before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        with signals(ENDING_SIGNALS, listener.told):
            yield SignalsEnd(ending, listener)
    finally:
        signal.set_wakeup_fd(before)
        listener.deleteLater()
        ending.deleteLater()
        reader.close()
        writer.close()
