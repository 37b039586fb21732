"""A temperature that drifts."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np
from ophyd_async.core import (
    StandardReadable,
    StandardReadableFormat,
    soft_signal_r_and_setter,
)

from ._camera import valid_seed
from ._injection import inject

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bluesky.protocols import Reading
    from ophyd_async.core import Callback

    from ._faults import Fault

_PERIODS = (11.0, 67.0, 600.0)  # s: air conditioning, a door, the afternoon
_SHARES = (0.1, 0.3, 0.6)
_NOISE = 0.005  # degC
_MONITOR_PERIOD = 0.5  # s between the updates of a monitor


class Thermometer(StandardReadable):
    """A temperature that drifts slowly, with some noise.

    Can be read, and monitored.

    Parameters
    ----------
    name : str
        Name of the device, and of its data key.
    mean : float
        Temperature about which it drifts [degC].
    drift : float
        How far it drifts [degC].
    seed : int
        Seed of the drift and of the noise, zero or more.
    clock : Callable
        Seconds.
    faults : Sequence[Fault]
        Faults from the start; see `inject`.
    """

    def __init__(
        self,
        name: str = "temperature",
        *,
        mean: float = 21.0,
        drift: float = 0.5,
        seed: int = 0,
        clock: Callable[[], float] = time.monotonic,
        faults: Sequence[Fault] = (),
    ) -> None:
        self._mean = mean
        self._drift = drift
        self._clock = clock
        self._began = clock()
        self._rng = np.random.default_rng(valid_seed(seed))
        self._phases = self._rng.uniform(0.0, 2 * math.pi, len(_PERIODS)).tolist()
        self.readback, _ = soft_signal_r_and_setter(
            float,
            mean,
            units="degC",
            precision=3,
            getter=self._now,
            poll_period=_MONITOR_PERIOD,
        )
        # Not cached, as it is another one each time that it is read.
        self.add_readables([self.readback], StandardReadableFormat.HINTED_UNCACHED_SIGNAL)
        super().__init__(name=name)
        if faults:
            inject(self, *faults)

    def _now(self) -> float:
        elapsed = self._clock() - self._began
        waves = zip(_SHARES, _PERIODS, self._phases, strict=True)
        drift = sum(
            share * math.sin(2 * math.pi * elapsed / period + phase)
            for share, period, phase in waves
        )
        return self._mean + self._drift * drift + float(self._rng.normal(0.0, _NOISE))

    def set_name(self, name: str, *, child_name_separator: str | None = None) -> None:
        """Name the device, and its data key likewise."""
        super().set_name(name, child_name_separator=child_name_separator)
        self.readback.set_name(name)

    def subscribe_reading(self, function: Callback[dict[str, Reading[float]]]) -> None:
        """Call a function with each new reading; on the event loop that runs the device."""
        self.readback.subscribe_reading(function)

    subscribe = subscribe_reading

    def clear_sub(self, function: Callback[dict[str, Reading[float]]]) -> None:
        """Call that function no more."""
        self.readback.clear_sub(function)
