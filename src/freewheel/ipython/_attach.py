"""Waiting for a plan in the foreground of a prompt, with rules for Ctrl-C."""

from __future__ import annotations

import queue
import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal

from bluesky.run_engine import TransitionError

from freewheel.core import status_text

from ._display import LiveProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from types import FrameType

    from freewheel.engine import PlanFuture, RunEngine

__all__ = ["Attachment", "DetachFirst", "PauseFirst", "interrupts", "wait_for"]

#: Seconds within which a second Ctrl-C counts as one.
WINDOW: Final = 1.0
#: Seconds from one picture of the progress to the next.
_REFRESH: Final = 0.1

_DONE: Final = "done"
_PRESSED: Final = "pressed"

#: What is told of: that a plan is done, or when Ctrl-C was pressed, in the rules' own seconds.
_News = str | float


@contextmanager
def interrupts(told: Callable[[], object]) -> Iterator[None]:
    """Have ``told`` called for each Ctrl-C, in a signal handler, in place of KeyboardInterrupt."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        told()

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def wait_for(future: Future[Any], timeout: float | None = None) -> bool:
    """Wait until ``future`` is done, or for Ctrl-C; return whether it is done."""
    news: queue.SimpleQueue[str] = queue.SimpleQueue()
    with interrupts(lambda: news.put(_PRESSED)):
        future.add_done_callback(lambda _: news.put(_DONE))
        try:
            return news.get(timeout=timeout) == _DONE
        except queue.Empty:
            return False


class DetachFirst:
    """The rules of ``%fg``: detach; twice: pause at the next checkpoint; thrice: pause now.

    Parameters
    ----------
    clock : callable
        Gives the time in seconds.
    """

    hint = "Ctrl-C detaches; twice within 1 s: deferred pause; three times: pause now."

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._presses = 0
        self._last = 0.0

    def now(self) -> float:
        """Return the time in seconds, for `pressed`; from a signal handler, too."""
        return self._clock()

    def pressed(self, when: float) -> tuple[Literal["wait", "later", "now", "leave"], str]:
        """Return what a Ctrl-C asks for, and what to say about it.

        What counts is when it was pressed, which may be long before a slow terminal has shown
        the answer to the one before it.
        """
        if self._presses == 1 and when - self._last > WINDOW:
            return "leave", ""
        self._presses, self._last = self._presses + 1, when
        if self._presses == 1:
            return "wait", "Detaching. Again within 1 s: pause at the next checkpoint."
        if self._presses == 2:
            return "later", "Deferred pause requested. Again: pause now."
        if self._presses == 3:
            return "now", "Pausing now."
        return "leave", ""

    def time_left(self) -> float | None:
        """Return the seconds until a single Ctrl-C detaches; ``None`` if there was none."""
        if self._presses != 1:
            return None
        return max(0.0, self._last + WINDOW - self._clock())


class PauseFirst:
    """The rules of magics that wait: pause now; once more: detach."""

    hint = "Ctrl-C pauses."

    def __init__(self) -> None:
        self._presses = 0

    def now(self) -> float:
        """Return 0: it does not matter here when a Ctrl-C is pressed."""
        return 0.0

    def pressed(self, when: float) -> tuple[Literal["wait", "later", "now", "leave"], str]:
        """Return what a Ctrl-C asks for, and what to say about it."""
        self._presses += 1
        return ("now", "Pausing.") if self._presses == 1 else ("leave", "")

    def time_left(self) -> float | None:
        """Return ``None``: a Ctrl-C never detaches by waiting."""
        return None


class Attachment:
    """Stays with a plan, on the main thread, until it ends or pauses, or the user leaves.

    Parameters
    ----------
    engine : RunEngine
        The engine.
    future : PlanFuture
        Of the plan.
    rules : DetachFirst or PauseFirst
        What Ctrl-C does.
    say : callable
        Prints a line.
    notebook : bool
        Whether this is a notebook.
    """

    def __init__(
        self,
        engine: RunEngine,
        future: PlanFuture,
        rules: DetachFirst | PauseFirst,
        say: Callable[[str], object],
        *,
        notebook: bool = False,
    ) -> None:
        self._engine = engine
        self._future = future
        self._rules = rules
        self._say = say
        self._notebook = notebook
        # Put into by a signal handler and the engine's thread, which SimpleQueue allows.
        self._news: queue.SimpleQueue[_News] = queue.SimpleQueue()

    def stay(self) -> bool:
        """Stay; return whether the plan has ended or is paused, and not merely left."""
        with (
            interrupts(lambda: self._news.put(self._rules.now())),
            LiveProgress(notebook=self._notebook) as display,
        ):
            self._future.add_done_callback(lambda _: self._news.put(_DONE))
            while True:
                self._show(display)
                news = self._next()
                if news == _DONE:
                    self._show(display)
                    return True
                if isinstance(news, float):
                    if not self._carry_out(news):
                        return False
                elif self._rules.time_left() == 0:
                    return False  # and nothing was pressed that is not taken up yet

    def _show(self, display: LiveProgress) -> None:
        future = self._future
        display.show(
            future.plan_name,
            status_text(future.status, future.failure),
            future.elapsed,
            self._engine.snapshot().progress,
        )

    def _next(self) -> _News | None:
        left = self._rules.time_left()
        try:
            return self._news.get(timeout=_REFRESH if left is None else min(left, _REFRESH))
        except queue.Empty:
            return None

    def _carry_out(self, when: float) -> bool:
        """Do what a Ctrl-C asks for; return whether to stay."""
        wish, text = self._rules.pressed(when)
        if text:
            self._say(text)
        if wish == "leave":
            return False
        try:
            if wish == "later":
                self._engine.request_pause(defer=True)
            elif wish == "now":
                self._pause()
        except TransitionError:
            pass  # it is about to end, or to pause, by itself
        return True

    def _pause(self) -> None:
        if self._engine.current is self._future:
            self._engine.request_pause()
        elif not self._future.cancel():  # it waits in the queue
            raise TransitionError("the plan is about to start")
