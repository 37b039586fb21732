"""What a signal reads, from now on, with its unit, its limits, and whether it can be believed."""

from __future__ import annotations

import asyncio
import inspect
import math
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from freewheel.qt._link._feed import Feed

__all__ = ["Limits", "SignalWatch", "Standing", "soft_limits_of"]


class Standing(Enum):
    """Whether what a signal reads is as it should be."""

    FINE = ""
    MINOR = "minor alarm"
    MAJOR = "major alarm"
    INVALID = "invalid"
    LOST = "stale: the connection is lost"


# EPICS' severities, which event-model's readings carry.
_SEVERITIES = {0: Standing.FINE, 1: Standing.MINOR, 2: Standing.MAJOR}
# Tango's qualities, which ophyd-async hands on in their place.
_QUALITIES = {
    "ATTR_VALID": Standing.FINE,
    "ATTR_CHANGING": Standing.FINE,
    "ATTR_WARNING": Standing.MINOR,
    "ATTR_ALARM": Standing.MAJOR,
}


class Limits(NamedTuple):
    """Between which values something may be set; `None` where there is no limit."""

    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        low = "" if self.low is None else f"from {self.low:g}"
        high = "" if self.high is None else f"to {self.high:g}"
        return f"{low} {high}".strip()


class SignalWatch:
    """Puts what a signal reads into a feed: ``reading``, ``standing``, ``unit`` and ``limits``.

    Parameters
    ----------
    signal
        A signal, or something movable, of ophyd-async or ophyd.
    feed
        Where to.
    """

    def __init__(self, signal: Any, feed: Feed) -> None:
        self._signal, self._feed = signal, feed
        self._standing = Standing.FINE
        self._told = False  # whether it has told anything by itself; of the engine's loop
        subscribe = getattr(signal, "subscribe_reading", None) or getattr(signal, "subscribe", None)
        self._subscribe = subscribe
        # Of ophyd: where it tells of its connection and its alarms.
        self._meta = getattr(signal, "SUB_META", None)

    async def start(self) -> None:
        """Begin, on the engine's loop."""
        if self._subscribe is None:
            return
        self._subscribe(self.changed)
        if self._meta is not None:
            self._subscribe(self.meta_changed, event_type=self._meta)
        if (value := await _first_value(self._signal)) is not None:
            self._feed.put("reading", value)
        for key in (await _asked(self._signal, "describe")).values():
            if unit := key.get("units"):
                self._feed.put("unit", unit)
            limits = _limits_of(key)
            if limits != Limits():
                self._feed.put("limits", limits)
            break
        if not self._told and (value := await _value_by_asking(self._signal)) is not None:
            if not self._told:
                self._feed.put("reading", value)

    def stop(self) -> None:
        """End it, on the engine's loop."""
        if (clear := getattr(self._signal, "clear_sub", None)) is not None:
            clear(self.changed)
            if self._meta is not None:
                clear(self.meta_changed)

    # ophyd-async gives readings; ophyd gives keywords alone, the value among them.
    def changed(self, readings: Mapping[str, Any] | None = None, *_: Any, **news: Any) -> None:
        """Take what a signal reads."""
        if readings is not None:
            reading = next(iter(readings.values()))
            self._told = True
            self._feed.put("reading", reading["value"])
            self._stands(_standing_of(reading.get("alarm_severity")))
        elif "value" in news:
            self._feed.put("reading", news["value"])

    def meta_changed(self, *_: Any, **news: Any) -> None:
        """Take what a signal of ophyd says of itself."""
        if news.get("connected") is False:
            self._stands(Standing.LOST)
        else:
            severity = news.get("severity")
            known = _SEVERITIES.get(int(severity or 0), Standing.INVALID)
            self._stands(known)

    def _stands(self, standing: Standing) -> None:
        if standing is not self._standing:
            self._standing = standing
            self._feed.put("standing", standing)


def _standing_of(severity: Any) -> Standing:
    if type(severity).__name__ == "AttrQuality":
        return _QUALITIES.get(severity.name, Standing.INVALID)
    return _SEVERITIES.get(severity or 0, Standing.INVALID)


def _limits_of(key: Mapping[str, Any]) -> Limits:
    """Return the limits that a data key tells of, as event-model or ophyd writes them."""
    control = (key.get("limits") or {}).get("control") or {}
    low = control.get("low", key.get("lower_ctrl_limit"))
    high = control.get("high", key.get("upper_ctrl_limit"))
    if low == high:  # EPICS' way to say that there are none
        return Limits()
    return Limits(low, high)


async def soft_limits_of(device: Any) -> Limits:
    """Return the limits that a motor has in signals, or attributes, of their own."""
    ends = [getattr(device, f"{which}_limit_travel", None) for which in ("low", "high")]
    if all(inspect.iscoroutinefunction(getattr(end, "get_value", None)) for end in ends):
        low, high = [await end.get_value() for end in ends if end is not None]
    else:
        # Those of ophyd may wait for the network where they stand, which the loop must not.
        found = await asyncio.to_thread(getattr, device, "limits", None)
        low, high = found if isinstance(found, tuple) and len(found) == 2 else (None, None)
    if low == high:  # EPICS' way to say that there are none
        return Limits()
    return Limits(*(None if end is None or math.isinf(end) else float(end) for end in (low, high)))


async def _first_value(signal: Any) -> Any:
    """Return what a signal of ophyd reads now: it says nothing before its first change."""
    if inspect.iscoroutinefunction(getattr(signal, "describe", None)):
        return None
    readings = await _asked(signal, "read")
    first = next(iter(readings.values()), {"value": getattr(signal, "position", None)})
    return first["value"]


async def _value_by_asking(signal: Any) -> Any:
    """Return what a signal of ophyd-async reads that tells nothing: some servers have no events."""
    ask = getattr(signal, "get_value", None)
    if not inspect.iscoroutinefunction(ask) or "cached" not in inspect.signature(ask).parameters:
        return None
    return await ask(cached=False)


async def _asked(signal: Any, method: str) -> Mapping[str, Any]:
    """Return what a method of a signal answers; empty if it has none."""
    function = getattr(signal, method, None)
    if inspect.iscoroutinefunction(function):
        answer: Mapping[str, Any] = await function()
        return answer
    # Those of ophyd wait for the network where they stand, which the loop must not.
    return await asyncio.to_thread(function) if callable(function) else {}
