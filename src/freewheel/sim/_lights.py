"""Shutter and lamp of the simulated microscope."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic

from ophyd_async.core import (
    MovableLogic,
    SignalDatatypeT,
    StandardMovable,
    StandardReadable,
    StandardReadableFormat,
    StrictEnum,
    TimeoutCalculator,
    soft_signal_r_and_setter,
    soft_signal_rw,
)

from ._injection import inject
from ._waits import is_instant

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from ._faults import Fault

_SHUTTER_TRAVEL = 0.02  # s
_LAMP_SETTLE = 0.05  # s


@dataclass
class _SettlingLogic(MovableLogic[SignalDatatypeT], Generic[SignalDatatypeT]):
    """Goes where it is told in a fixed time."""

    readback_set: Callable[[SignalDatatypeT], None]
    settle: float
    sleep: Callable[[float], Awaitable[object]]

    async def move(
        self,
        new_position: SignalDatatypeT,
        timeout: TimeoutCalculator,  # noqa: ASYNC109 (its base says so)
    ) -> None:
        await self.setpoint.set(new_position)
        if self.settle:
            await self.sleep(self.settle)
        self.readback_set(new_position)


@dataclass
class _PowerLogic(_SettlingLogic[float]):
    async def check_move(self, new_position: float) -> None:
        if not 0 <= new_position <= 100:  # true for NaN
            msg = f"{self.readback.name} takes a power from 0 to 100 %, not {new_position:g}"
            raise ValueError(msg)


class ShutterState(StrictEnum):
    """Where a shutter stands."""

    OPEN = "Open"
    CLOSED = "Closed"


class Shutter(StandardReadable, StandardMovable[ShutterState]):
    """A shutter, open to begin with.

    Takes a `ShutterState`, or ``"Open"`` or ``"Closed"``.

    Parameters
    ----------
    name : str
        Name of the device, and of its data key.
    travel : float
        Time that it takes to open or close [s].
    sleep : Callable
        Coroutine function that waits for a number of seconds.
    faults : Sequence[Fault]
        Faults from the start; see `inject`.
    """

    def __init__(
        self,
        name: str = "shutter",
        *,
        travel: float = _SHUTTER_TRAVEL,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        faults: Sequence[Fault] = (),
    ) -> None:
        self._travel = travel
        self._sleep = sleep
        self._state = ShutterState.OPEN  # read and written on the loop that runs the device
        self.readback, self._show = soft_signal_r_and_setter(ShutterState, ShutterState.OPEN)
        # Not hinted: what is no number can't be plotted.
        self.add_readables([self.readback], StandardReadableFormat.UNCACHED_SIGNAL)
        self.setpoint = soft_signal_rw(ShutterState, ShutterState.OPEN)
        super().__init__(name=name)
        if faults:
            inject(self, *faults)

    def expected_time(self, verb: str, value: Any, known: Callable[[Any], Any]) -> float | None:
        """Say how long it takes to open or close, for previews; see `freewheel.core.TellsTimes`."""
        if verb != "set":
            return None
        return 0.0 if is_instant(self._sleep) else self._travel

    @property
    def transmission(self) -> float:
        """Share of the light that passes: 1 or 0."""
        return 1.0 if self._state is ShutterState.OPEN else 0.0

    @cached_property
    def movable_logic(self) -> MovableLogic[ShutterState]:
        """How it moves."""
        return _SettlingLogic(
            self.setpoint, self.readback, self._arrived, self._travel, self._sleep
        )

    def _arrived(self, state: ShutterState) -> None:
        self._state = ShutterState(state)
        self._show(self._state)


class Lamp(StandardReadable, StandardMovable[float]):
    """A lamp whose power is set in percent, full to begin with.

    Parameters
    ----------
    name : str
        Name of the device, and of its data key.
    settle : float
        Time until the light is steady [s].
    sleep : Callable
        Coroutine function that waits for a number of seconds.
    faults : Sequence[Fault]
        Faults from the start; see `inject`.
    """

    def __init__(
        self,
        name: str = "lamp",
        *,
        settle: float = _LAMP_SETTLE,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        faults: Sequence[Fault] = (),
    ) -> None:
        self._settle = settle
        self._sleep = sleep
        self._power = 100.0  # read and written on the loop that runs the device
        self.readback, self._show = soft_signal_r_and_setter(float, self._power, units="%")
        self.add_readables([self.readback], StandardReadableFormat.HINTED_SIGNAL)
        self.setpoint = soft_signal_rw(float, self._power, units="%")
        super().__init__(name=name)
        if faults:
            inject(self, *faults)

    def expected_time(self, verb: str, value: Any, known: Callable[[Any], Any]) -> float | None:
        """Say how long it takes to be steady, for previews; see `freewheel.core.TellsTimes`."""
        if verb != "set":
            return None
        return 0.0 if is_instant(self._sleep) else self._settle

    @property
    def light(self) -> float:
        """Light that it gives, from 0 to 1."""
        return self._power / 100

    @cached_property
    def movable_logic(self) -> MovableLogic[float]:
        """How it is set."""
        return _PowerLogic(self.setpoint, self.readback, self._arrived, self._settle, self._sleep)

    def _arrived(self, power: float) -> None:
        self._power = float(power)
        self._show(self._power)
