"""What a signal reads, from now on, with its unit, its limits, and whether it can be believed."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from freewheel.core._server_watch import ServerWatch
from freewheel.core._severity import severity_of
from freewheel.core._subscription import PERIOD, SILENCE, Subscription
from freewheel.qt._link._asking import asked, first_value
from freewheel.qt._link._limits import Limits, LimitsWatch, limits_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from freewheel.qt._link._feed import Feed

__all__ = ["SignalWatch", "Standing"]


class Standing(Enum):
    """Whether what a signal reads is as it should be."""

    FINE = ""
    MINOR = "minor alarm"
    MAJOR = "major alarm"
    INVALID = "invalid"
    LOST = "stale: the connection is lost"


_STANDINGS = (Standing.FINE, Standing.MINOR, Standing.MAJOR, Standing.INVALID)  # by severity


class SignalWatch:
    """Puts what a signal reads into a feed: ``reading``, ``standing``, ``unit`` and ``limits``.

    Parameters
    ----------
    signal
        A signal, or something movable, of ophyd-async or ophyd.
    feed
        Where to.
    moved
        What is moved, if the signal tells where that is: its limits count then, and not those of
        the signal.
    silence, period
        For how long a signal is waited for that tells nothing by itself, and how often it is asked
        then [s].
    """

    def __init__(
        self,
        signal: Any,
        feed: Feed,
        moved: Any = None,
        *,
        silence: float = SILENCE,
        period: float = PERIOD,
    ) -> None:
        self._signal, self._feed = signal, feed
        self._limits = None if moved is None else LimitsWatch(moved, self._limited)
        self._server = ServerWatch(signal, self._server_changed)
        self._standing = self._severity = Standing.FINE
        self._lost = False
        self._began = self._ended = False  # of the engine's loop
        self._can_tell = hasattr(signal, "subscribe_reading") or hasattr(signal, "subscribe")
        self._readings = Subscription(
            signal, self.changed, self._server_changed, silence=silence, period=period
        )
        # Of ophyd: where it tells of its alarms.
        self._meta = getattr(signal, "SUB_META", None)

    async def start(self) -> None:
        """Begin, on the engine's loop."""
        if not self._can_tell or self._ended:
            return
        self._began = True
        self._readings.begin()
        if self._meta is not None:
            self._signal.subscribe(self.meta_changed, event_type=self._meta)
        self._server.start()
        if self._limits is not None:
            self._limits.start()
        if (value := await first_value(self._signal)) is not None:
            self._feed.put("reading", value)
        for key in (await asked(self._signal, "describe")).values():
            if unit := key.get("units"):
                self._feed.put("unit", unit)
            if self._limits is None and (limits := limits_in(key)) != Limits():
                self._limited(limits)
            break
        if self._limits is not None:
            await self._limits.ask()
        await self._readings.ask()

    def stop(self) -> None:
        """End it, on the engine's loop; one that has not begun yet does not begin then."""
        self._ended = True
        if not self._began:
            return
        self._server.stop()
        self._readings.end()
        if self._meta is not None:
            self._signal.clear_sub(self.meta_changed)
        if self._limits is not None:
            self._limits.stop()

    # ophyd-async gives readings; ophyd gives keywords alone, the value among them.
    def changed(self, readings: Mapping[str, Any] | None = None, *_: Any, **news: Any) -> None:
        """Take what a signal reads."""
        if readings is not None:
            self._server.was_there()
            reading = next(iter(readings.values()))
            self._feed.put("reading", reading["value"])
            self._severity = _standing_of(reading.get("alarm_severity"))
            self._look()
        elif "value" in news:
            self._feed.put("reading", news["value"])

    def meta_changed(self, *_: Any, **news: Any) -> None:
        """Take what a signal of ophyd says of its alarms."""
        if news.get("connected") is not False:
            self._severity = _standing_of(news.get("severity"))
            self._look()

    def _server_changed(self, connected: bool) -> None:
        self._lost = not connected
        self._look()

    def _limited(self, limits: Limits) -> None:
        self._feed.put("limits", limits)

    def _look(self) -> None:
        standing = Standing.LOST if self._lost else self._severity
        if standing is not self._standing:
            self._standing = standing
            self._feed.put("standing", standing)


def _standing_of(severity: Any) -> Standing:
    return _STANDINGS[severity_of(severity)]
