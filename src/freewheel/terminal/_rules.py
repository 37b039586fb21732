"""What signals mean while somebody stays with a plan."""

from __future__ import annotations

import signal
import time
from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol

from ._signals import ENDING_SIGNALS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["DetachFirst", "PauseFirst", "Rules", "StopFirst", "Wish"]

#: Seconds within which a second Ctrl-C counts as one.
WINDOW: Final = 1.0


class Wish(Enum):
    """What a signal asks for."""

    WAIT = "wait"
    PAUSE_LATER = "pause later"
    PAUSE = "pause"
    STOP = "stop"
    HALT = "halt"
    LEAVE = "leave"


class Rules(Protocol):
    """What the signals mean; asked on the main thread, but for `now`."""

    @property
    def signals(self) -> Sequence[str]:
        """The names of those that are listened to."""
        ...

    def now(self) -> float:
        """Return the time in seconds, for `pressed`; from a signal handler, too."""
        ...

    def pressed(self, number: int, when: float) -> tuple[Wish, str]:
        """Return what a signal at a time [s] asks for, and what to say about it."""
        ...

    def time_left(self) -> float | None:
        """Return the seconds until a signal that came before means to leave, if one does."""
        ...


class DetachFirst:
    """The rules of ``%fg``: detach; twice: pause at the next checkpoint; thrice: pause now.

    Parameters
    ----------
    clock : callable
        Gives the time in seconds.
    """

    signals = ("SIGINT",)
    hint = "Ctrl-C detaches; twice within 1 s: deferred pause; three times: pause now."

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._presses = 0
        self._last = 0.0

    def now(self) -> float:
        """Return the time in seconds, for `pressed`; from a signal handler, too."""
        return self._clock()

    def pressed(self, number: int, when: float) -> tuple[Wish, str]:
        """Return what a Ctrl-C asks for, and what to say about it.

        What counts is when it was pressed [s], which may be long before a slow terminal has shown
        the answer to the one before it.
        """
        if self._presses == 1 and when - self._last > WINDOW:
            return Wish.LEAVE, ""
        self._presses, self._last = self._presses + 1, when
        if self._presses == 1:
            return Wish.WAIT, "Detaching. Again within 1 s: pause at the next checkpoint."
        if self._presses == 2:
            return Wish.PAUSE_LATER, "Deferred pause requested. Again: pause now."
        if self._presses == 3:
            return Wish.PAUSE, "Pausing now."
        return Wish.LEAVE, ""

    def time_left(self) -> float | None:
        """Return the seconds until a single Ctrl-C detaches; ``None`` if there was none."""
        if self._presses != 1:
            return None
        return max(0.0, self._last + WINDOW - self._clock())


class PauseFirst:
    """The rules of magics that wait: pause now; once more: detach."""

    signals = ("SIGINT",)

    def __init__(self) -> None:
        self._presses = 0

    def now(self) -> float:
        """Return 0: it does not matter here when a Ctrl-C is pressed."""
        return 0.0

    def pressed(self, number: int, when: float) -> tuple[Wish, str]:
        """Return what a Ctrl-C at a time [s] asks for, and what to say about it."""
        self._presses += 1
        return (Wish.PAUSE, "Pausing.") if self._presses == 1 else (Wish.LEAVE, "")

    def time_left(self) -> float | None:
        """Return ``None``: a Ctrl-C never detaches by waiting."""
        return None


class StopFirst:
    """The rules of commands: stop the plan with its clean-up; once more: halt it.

    Parameters
    ----------
    before : str
        Written before the first message, to leave a line that is overwritten.
    """

    signals = ENDING_SIGNALS

    def __init__(self, before: str = "") -> None:
        self._before = before
        self.first: int | None = None
        """The number of the first signal that came."""

    def now(self) -> float:
        """Return 0: it does not matter here when a signal comes."""
        return 0.0

    def pressed(self, number: int, when: float) -> tuple[Wish, str]:
        """Return what a signal at a time [s] asks for, and what to say about it."""
        if self.first is not None:
            return Wish.HALT, "Again: ending it without its clean-up."
        self.first = number
        return Wish.STOP, f"{self._before}{signal.Signals(number).name}: stopping the plan ..."

    def time_left(self) -> float | None:
        """Return ``None``: a command stays until the plan has ended."""
        return None

    @property
    def exit_code(self) -> int | None:
        """What a shell gives to a program that a signal has ended; ``None`` if none came."""
        return None if self.first is None else 128 + self.first
