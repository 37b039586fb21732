"""What a simulated detector takes, on a thread of its own: by its clock, or one for each pulse."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from freewheel.core._crossings import call_soon

from ._hardware import EndOfFlight, Pulses

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._hardware import Floats, TriggerLine

__all__ = ["ClockShots", "LineShots", "Shots", "Taking"]

#: Shots that are written in one go, at most.
BATCH: Final = 64
#: From one update of the count to the next, at least [s]; the last one comes at once.
SHOWN: Final = 0.02


class Shots(Protocol):
    """When shots are to be taken."""

    def take(self) -> Pulses | None:
        """Return those that are due, waiting for the first; ``None`` when there are no more."""
        ...

    def stop(self) -> None:
        """Take no more; from any thread."""
        ...


class ClockShots:
    """Shots by the detector's own clock; one that is late delays those that follow.

    Parameters
    ----------
    number : int
        How many; 0 for no end.
    period : Callable
        Returns the time from one shot to the next [s], asked for each; 0 for no wait.
    """

    def __init__(self, number: int, period: Callable[[], float]) -> None:
        self._left = number or None
        self._period = period
        self._stopped = threading.Event()
        self._due = time.monotonic()  # when the shot before ended

    def take(self) -> Pulses | None:
        if self._left == 0 or self._stopped.is_set():
            return None
        period = self._period()
        due = self._due + period
        if period and self._stopped.wait(max(0.0, due - time.monotonic())):
            return None
        now = time.monotonic()
        count = int((now - self._due) / period) if period else 1
        if count > BATCH:  # the camera waits for a disk that is that slow
            self._due = now - BATCH * period
        count = max(1, min(BATCH, count))
        if self._left is not None:
            count = min(count, self._left)
            self._left -= count
        begun, self._due = self._due, self._due + count * period
        times: Floats = begun + period * np.arange(count, dtype=np.float64)
        return Pulses(times, period)

    def stop(self) -> None:
        self._stopped.set()


class LineShots:
    """A shot for each pulse of a line, from now until `stop`.

    Parameters
    ----------
    line : TriggerLine
        The line.
    number : int
        How many pulses count; 0 for no end.
    busy : Callable
        Returns for how long a shot keeps the detector busy [s]; it misses pulses meanwhile.
    capacity : int
        Shots that wait to be written, at most; what comes then is lost.
    """

    def __init__(
        self, line: TriggerLine, number: int, busy: Callable[[], float], capacity: int
    ) -> None:
        self._line = line
        self._busy = busy
        self._capacity = capacity
        # Guards what follows: the source's thread puts, the detector's takes.
        self._condition = threading.Condition()
        self._left = number or None
        self._waiting: deque[Pulses] = deque()
        self._count = 0
        self._free_at = -np.inf
        self._stopped = False
        self.lost = 0
        line.connect(self._receive)

    def _receive(self, pulses: Pulses) -> None:
        # On the source's thread.
        busy = self._busy()
        with self._condition:
            if self._stopped:
                return
            kept = self._seen(pulses, busy)
            self.lost += len(pulses.times) - len(kept)
            room = min(self._capacity - self._count, len(kept))
            if self._left is not None:
                room = min(room, self._left)
                self._left -= room
            self.lost += len(kept) - room
            if room:
                chosen = kept[:room]
                positions = {axis: known[chosen] for axis, known in pulses.positions.items()}
                self._waiting.append(Pulses(pulses.times[chosen], pulses.period, positions))
                self._count += room
                self._condition.notify()

    def _seen(self, pulses: Pulses, busy: float) -> list[int]:
        """Return which pulses find the detector free."""
        seen = []
        for number, when in enumerate(pulses.times.tolist()):
            if when >= self._free_at - 1e-6:  # cables are not exact either
                seen.append(number)
                self._free_at = when + busy
        return seen

    def take(self) -> Pulses | None:
        busy = self._busy()
        with self._condition:
            while not self._stopped:
                if self._waiting:
                    ready = float(self._waiting[0].times[0]) + busy - time.monotonic()
                    if ready <= 0:
                        return self._ready(time.monotonic() - busy)
                    self._condition.wait(ready)
                elif self._left == 0:
                    break
                else:
                    self._condition.wait()
        self._line.disconnect(self._receive)
        return None

    def _ready(self, before: float) -> Pulses:
        pulses = self._waiting.popleft()
        count = min(BATCH, int(np.searchsorted(pulses.times, before, side="right"))) or 1
        if count < len(pulses.times):
            self._waiting.appendleft(_part(pulses, slice(count, None)))
            pulses = _part(pulses, slice(count))
        self._count -= len(pulses.times)
        return pulses

    def stop(self) -> None:
        with self._condition:
            self._stopped = True
            self._condition.notify()


def _part(pulses: Pulses, which: slice) -> Pulses:
    positions = {axis: known[which] for axis, known in pulses.positions.items()}
    return Pulses(pulses.times[which], pulses.period, positions)


class Taking:
    """Takes shots and writes them, on a thread of its own, until there are no more.

    Made on the loop that runs the device.

    Parameters
    ----------
    shots : Shots
        When to take them.
    write : Callable
        Takes and writes some shots, on the thread; returns how many the file holds then.
    show : Callable
        Called with that number, on the loop, fifty times a second at most, and at the end.
    name : str
        Name of the thread.
    """

    def __init__(
        self,
        shots: Shots,
        write: Callable[[Pulses], int],
        show: Callable[[int], None],
        name: str,
    ) -> None:
        self.shots = shots
        self._write = write
        self._show = show
        self._loop = asyncio.get_running_loop()
        # Written by the thread, read on the loop.
        self._written: int | None = None
        self.taken = 0
        self._show_next = 0.0
        self._timer: asyncio.TimerHandle | None = None  # on the loop
        self._ended = False
        self.end = EndOfFlight()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            while (pulses := self.shots.take()) is not None:
                self._written = self._write(pulses)
                self.taken += len(pulses.times)
                if (now := time.monotonic()) >= self._show_next:
                    self._show_next = now + SHOWN
                    call_soon(self._loop, self._show_soon)
        except BaseException as problem:  # told to whoever waits for the detector
            error = problem
            self.shots.stop()
            self.shots.take()  # lets the line go
        call_soon(self._loop, self._finish, error)

    def _show_soon(self) -> None:
        # What comes until the next update is shown with it, or by the timer if nothing does.
        if self._ended:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(2 * SHOWN, self._show_now)
        self._show_now()

    def _show_now(self) -> None:
        if self._written is not None:
            self._show(self._written)

    def _finish(self, error: BaseException | None) -> None:
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
        self._show_now()
        self.end.tell(error)

    async def stop(self) -> None:
        """Take no more, and wait until those that were begun are written."""
        self.shots.stop()
        await self.end.rest()
