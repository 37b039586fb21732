"""What simulated hardware is made of that runs by itself: a clock, encoders, a line of pulses.

It runs on threads of its own, as a controller beside the computer does: an event loop that is held
up delays neither a pulse nor a frame.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import numpy.typing as npt

from freewheel.core._crossings import new_waiter, wake

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from ophyd_async.core import SignalRW

    from freewheel.core._crossings import Waiter

__all__ = ["EndOfFlight", "Floats", "FlyingAxis", "Pulses", "Ticker", "Timeline", "TriggerLine"]

Floats = npt.NDArray[np.float64]

#: From one look of simulated hardware at its clock to the next [s].
TICK: Final = 0.002


class FlyingAxis(Protocol):
    """What flying asks of an axis; `freewheel.sim.Axis`."""

    #: What a stop of the axis stops, too. On the loop that runs the device.
    when_stopped: Callable[[], None] | None

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def position(self) -> float:
        """Where it is [um]; from any thread."""
        ...

    @property
    def velocity(self) -> SignalRW[float]:
        """How fast it moves [um/s]."""
        ...

    @property
    def acceleration_time(self) -> SignalRW[float]:
        """How long it takes to be that fast [s]."""
        ...

    @property
    def user_setpoint(self) -> SignalRW[float]:
        """Where it was sent last [um]."""
        ...

    def pass_by(self, position: float) -> None:
        """Be somewhere [um]; from the thread that moves it."""
        ...

    def show_readback(self, position: float) -> None:
        """Tell the readback signal [um]."""
        ...

    async def check_value(self, value: float) -> None:
        """Raise ``ValueError`` if it cannot be there [um]."""
        ...

    def set(self, new_position: float) -> Awaitable[None]:
        """Move [um]."""
        ...


class Ticker:
    """A thread that does something again and again, until that says that it is over.

    Parameters
    ----------
    tick : Callable
        Called on the thread with the time [s, as `time.monotonic` counts it]; returns whether to
        go on.
    name : str
        Name of the thread.
    """

    def __init__(self, tick: Callable[[float], bool], name: str) -> None:
        self._tick = tick
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Have it look now; from any thread."""
        self._wake.set()

    def _run(self) -> None:
        while self._tick(time.monotonic()):
            self._wake.wait(TICK)
            self._wake.clear()


class EndOfFlight:
    """Told once by a hardware thread, waited for on event loops."""

    def __init__(self) -> None:
        # Guards what follows. Waiters belong to their loops, and are woken there.
        self._lock = threading.Lock()
        self._over = False
        self._error: BaseException | None = None
        self._waiters: list[Waiter] = []

    @property
    def is_over(self) -> bool:
        """Whether it has been told; from any thread."""
        return self._over

    def tell(self, error: BaseException | None = None) -> None:
        """Wake all that wait; from any thread."""
        with self._lock:
            if self._over:
                return
            self._over, self._error = True, error
            waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            wake(waiter)

    async def wait(self) -> None:
        """Wait until it is told; raise the error that it was told with."""
        await self.rest()
        if self._error is not None:
            raise self._error

    async def rest(self) -> None:
        """Wait until it is told, however it went."""
        waiter = new_waiter()
        with self._lock:
            if self._over:
                return
            self._waiters.append(waiter)
        await waiter[1]


@dataclass(frozen=True)
class Timeline:
    """Where axes are at what time: straight lines between given times.

    Attributes
    ----------
    times : numpy.ndarray
        Times [s, as `time.monotonic` counts them], ascending.
    positions : mapping
        For each axis, by name, its positions at these times.
    """

    times: Floats
    positions: Mapping[str, Floats]

    @property
    def end(self) -> float:
        """When it comes to rest."""
        return float(self.times[-1])

    def at(self, when: float | Floats) -> dict[str, Floats]:
        """Return where the axes are at one time, or at many."""
        return {
            axis: np.asarray(np.interp(when, self.times, known))
            for axis, known in self.positions.items()
        }

    def crossing(self, axis: str, where: float, forwards: bool, after: float) -> float | None:
        """Return when an axis passes a position in a direction, or ``None`` if it does not."""
        known = self.positions.get(axis)
        if known is None:
            return None
        sign = 1.0 if forwards else -1.0
        before, then = sign * (known[:-1] - where), sign * (known[1:] - where)
        # A tolerance: the position may have been reckoned another way.
        slack = 1e-9 * max(1.0, abs(where), float(np.abs(known).max()))
        passes = (before <= slack) & (then > slack) & (self.times[1:] > after)
        for number in np.flatnonzero(passes):
            begin, end = self.times[number], self.times[number + 1]
            share = max(0.0, -before[number]) / (then[number] - before[number])
            when = float(begin + share * (end - begin))
            if when > after:
                return when
        return None

    def cut(self, when: float, ramp: float) -> Timeline:
        """Return the line up to a time, and then to rest over ``ramp`` seconds."""
        here, soon = self.at(when), self.at(when + 1e-3)
        speed = {axis: (soon[axis] - here[axis]) / 1e-3 for axis in here}
        keep = self.times < when
        times = np.concatenate([self.times[keep], [when, when + ramp]])
        positions = {
            axis: np.concatenate([known[keep], [here[axis], here[axis] + speed[axis] * ramp / 2]])
            for axis, known in self.positions.items()
        }
        return Timeline(times, positions)


@dataclass(frozen=True)
class Pulses:
    """Some pulses of a trigger line.

    Attributes
    ----------
    times : numpy.ndarray
        When each of them rose [s, as `time.monotonic` counts it].
    period : float
        From one to the next [s].
    positions : mapping
        For each encoder, by the axis' name, where it was in the middle of each period.
    """

    times: Floats
    period: float
    positions: Mapping[str, Floats] = field(default_factory=dict)


class TriggerLine:
    """A cable that carries pulses from one source to any number of detectors.

    What listens is called on the source's thread, and must not take long.
    """

    def __init__(self) -> None:
        # Replaced, never changed, under the lock: the source's thread reads it without.
        self._lock = threading.Lock()
        self._listeners: tuple[Callable[[Pulses], None], ...] = ()

    def connect(self, listener: Callable[[Pulses], None]) -> None:
        """Have a function called with the pulses; from any thread."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

    def disconnect(self, listener: Callable[[Pulses], None]) -> None:
        """Call it no more; from any thread."""
        with self._lock:
            self._listeners = tuple(one for one in self._listeners if one != listener)

    def send(self, pulses: Pulses) -> None:
        """Send pulses; on the source's thread."""
        for listener in self._listeners:
            listener(pulses)
