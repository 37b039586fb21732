"""Between which values a device may be set, as signals and motors of all kinds tell it."""

from __future__ import annotations

import asyncio
import math
import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from freewheel.qt._link._asking import asked, first_value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Limits", "LimitsWatch", "limits_in"]

# The parts of a motor record, of ophyd-async or ophyd, that have its limits.
_ENDS: Final = ("low_limit_travel", "high_limit_travel")
_DIAL_ENDS: Final = ("dial_low_limit_travel", "dial_high_limit_travel")


class Limits(NamedTuple):
    """Between which values something may be set; `None` where there is no limit."""

    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        low = "" if self.low is None else f"from {self.low:g}"
        high = "" if self.high is None else f"to {self.high:g}"
        return f"{low} {high}".strip()

    def problem_of(self, value: float) -> str:
        """Return in words that a value is beyond them, or no number; empty if it is neither."""
        if not math.isfinite(value):
            return f"{value} is nothing that can be set"
        beyond = (self.low is not None and value < self.low) or (
            self.high is not None and value > self.high
        )
        return f"{value:g} is beyond the limits, {self}" if beyond else ""


def limits_in(key: Mapping[str, Any]) -> Limits:
    """Return the limits that a data key tells of, as event-model or ophyd writes them."""
    control = (key.get("limits") or {}).get("control") or {}
    low = control.get("low", key.get("lower_ctrl_limit"))
    high = control.get("high", key.get("upper_ctrl_limit"))
    return _limits(low, high)


def _limits(low: Any, high: Any) -> Limits:
    if low == high:  # EPICS' way to say that there are none
        return Limits()
    return Limits(
        *(None if end is None or not math.isfinite(end) else float(end) for end in (low, high))
    )


class LimitsWatch:
    """Tells between which values something movable may be set, now and whenever that changes.

    The limits of a motor record are followed. Those of any other device are asked for once: its
    ``limits``, else what its setpoint says of itself, else what it does.

    Parameters
    ----------
    device
        Something movable, of ophyd-async or ophyd.
    told
        Called with `Limits`, on any thread.
    """

    def __init__(self, device: Any, told: Callable[[Limits], object]) -> None:
        self._device, self._told = device, told
        ends: dict[str, Any] = {name: getattr(device, name, None) for name in (*_ENDS, *_DIAL_ENDS)}
        self._ends: dict[str, Any] = {
            n: e for n, e in ends.items() if callable(getattr(e, "subscribe", None))
        }
        # Kept, for what was subscribed is what has to be cleared.
        self._callbacks = {name: _Callback(self, name) for name in self._ends}
        # The lock guards `_values`: ophyd tells on threads of its own, ophyd-async on the loop.
        self._lock = threading.Lock()
        self._values: dict[str, float] = {}

    @property
    def follows(self) -> bool:
        """Whether the device has its limits in parts of their own, which are followed."""
        return all(name in self._ends for name in _ENDS)

    def start(self) -> None:
        """Follow the limits of a motor record; on the engine's loop."""
        if self.follows:
            for name, end in self._ends.items():
                end.subscribe(self._callbacks[name])

    def stop(self) -> None:
        """End it, on the engine's loop."""
        if self.follows:
            for name, end in self._ends.items():
                end.clear_sub(self._callbacks[name])

    async def ask(self) -> None:
        """Ask for what has not told of itself; on the engine's loop."""
        if not self.follows:
            if (found := await _limits_by_asking(self._device)) != Limits():
                self._told(found)
            return
        for name, end in self._ends.items():
            if (value := await first_value(end)) is not None:
                self.take(name, float(value), first=True)

    def take(self, name: str, value: float, *, first: bool = False) -> None:
        """Take what an end is now, or, as the `first`, what it was a moment ago; on any thread."""
        with self._lock:
            if first and name in self._values:
                return
            self._values[name] = value
            known = dict(self._values)
        if any(name not in known for name in self._ends):
            return
        # The record takes dial limits that are both 0 for none, whatever the user's are.
        free = all(known.get(name) == 0 for name in _DIAL_ENDS)
        self._told(Limits() if free else _limits(*(known[name] for name in _ENDS)))


class _Callback:
    """Takes what one end of the limits reads: readings of ophyd-async's, keywords of ophyd's."""

    def __init__(self, watch: LimitsWatch, name: str) -> None:
        self._watch, self._name = watch, name

    def __call__(self, readings: Mapping[str, Any] | None = None, *_: Any, **news: Any) -> None:
        value = news.get("value")
        if readings is not None:
            value = next(iter(readings.values()))["value"]
        if value is not None:
            self._watch.take(self._name, float(value))


async def _limits_by_asking(device: Any) -> Limits:
    # Those of ophyd may wait for the network where they stand, which the loop must not.
    found = await asyncio.to_thread(getattr, device, "limits", None)
    if isinstance(found, tuple) and len(found) == 2:
        return _limits(*found)
    setpoint = getattr(device, "user_setpoint", None) or getattr(device, "setpoint", None)
    for teller in (setpoint, device):
        for key in (await asked(teller, "describe")).values():
            if (limits := limits_in(key)) != Limits():
                return limits
            break
    return Limits()
