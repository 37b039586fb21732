"""The terminal is closed, or the process is asked to end: clean up first."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from freewheel.engine import close_all_engines

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

__all__ = ["EndSignals"]

#: Seconds that the clean-up may take.
GRACE: Final = 10.0


class EndSignals:
    """Handles SIGHUP and SIGTERM where nobody else does: engines are closed, then it ends.

    Parameters
    ----------
    finish : callable
        Called after the clean-up, with the signal's number: it may write what has to be kept.
    """

    def __init__(self, finish: Callable[[int], object]) -> None:
        self._finish = finish
        self._handled: list[int] = []
        self._ending = False

    def install(self) -> None:
        """Handle the signals from now on; on the main thread, elsewhere it does nothing."""
        if threading.current_thread() is not threading.main_thread():
            return
        for name in ("SIGHUP", "SIGTERM"):
            number = getattr(signal, name, None)  # there is no SIGHUP on Windows
            if number is not None and signal.getsignal(number) == signal.SIG_DFL:
                signal.signal(number, self._handle)
                self._handled.append(number)

    def uninstall(self) -> None:
        """Let the signals do what they did before."""
        for number in self._handled:
            if signal.getsignal(number) == self._handle:
                signal.signal(number, signal.SIG_DFL)
        self._handled.clear()

    def _handle(self, number: int, frame: FrameType | None) -> Any:
        if self._ending:
            return
        self._ending = True
        close_all_engines(GRACE)
        with suppress(Exception):
            self._finish(number)
        # As if it had not been handled: whoever started the process sees which signal ended it.
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
