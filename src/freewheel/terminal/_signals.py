"""Signals, told instead of carried out, so that plans can clean up."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import FrameType

__all__ = ["ENDING_SIGNALS", "signals"]

#: Those that end a process: Ctrl-C, a polite kill, and a terminal that was closed.
ENDING_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


@contextmanager
def signals(names: Iterable[str], told: Callable[[int], object]) -> Iterator[None]:
    """Have signals told, in a signal handler, where that can be done: on the main thread.

    Parameters
    ----------
    names : iterable of str
        Such as ``"SIGINT"``; one that the platform does not have is left out.
    told : callable
        Called with the number of a signal, in place of what it would do.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        told(number)

    # There is no SIGHUP on Windows. Under nohup it is ignored, and stays so.
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    wanted = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, handle) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
