"""The signals that end a process, told instead of carried out, so that plans can clean up."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from freewheel import RunEngine

__all__ = ["end_early", "say", "signals"]


@contextmanager
def signals(told: Callable[[int], object]) -> Iterator[None]:
    """Have SIGINT, SIGTERM and SIGHUP told, in a signal handler, where that can be done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        told(number)

    # There is no SIGHUP on Windows. Under nohup it is ignored, and stays so.
    numbers = [
        getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
    ]
    wanted = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, handle) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_early(engine: RunEngine, number: int, *, again: bool, before: str = "") -> None:
    """Stop the plan that runs for a signal, or halt it for one that comes ``again``; say so.

    ``before`` is written before the first message, to leave a line that is overwritten.
    """
    from bluesky.utils import TransitionError  # commands without a plan start sooner

    # Asked for first, told of then: with SIGHUP there may be nobody to tell.
    with suppress(TransitionError):  # the plan has just ended by itself
        (engine.halt if again else engine.stop)()
    if again:
        say("Again: ending it without its clean-up.")
    else:
        say(f"{before}{signal.Signals(number).name}: stopping the plan ...")


def say(text: str) -> None:
    """Write a line to the standard error, if there still is one: SIGHUP means a closed terminal."""
    with suppress(OSError):
        typer.echo(text, err=True)
