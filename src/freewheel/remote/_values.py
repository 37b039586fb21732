"""The values of devices as they change, for clients that watch them."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Final

from freewheel.core._crossings import call_soon, run_soon
from freewheel.core._devices import device_name
from freewheel.core._server_watch import ServerWatch
from freewheel.core._severity import severity_of
from freewheel.core._subscription import Subscription

from ._protocol import Value
from ._wire import to_client

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from freewheel.core import EngineView

    from ._session import Session

__all__ = ["Values"]

_log = logging.getLogger("freewheel")

#: Values are sent no more often than this [s].
_PERIOD: Final = 0.02


class _Watch:
    """A device that somebody watches. Its callback is called on any thread."""

    def __init__(self, name: str, device: Any, ring: Callable[[], None]) -> None:
        self.name = name
        self.device = device
        self.sessions: set[Session] = set()  # of the server's loop, as the next
        self.sent: bytes | None = None
        # What is to be sent, and then that it is: in this order, for it is looked at in the other.
        self.reading: dict[str, Any] = {}
        self.is_lost = False
        self.is_new = False
        self._server = ServerWatch(device, self._server_changed)
        self._readings = Subscription(device, self.changed, self._server_changed)
        self._ring = ring

    def changed(self, readings: Any = None, **news: Any) -> None:
        """Take what ophyd-async gives, a reading, or ophyd, keywords with the value among them."""
        if readings is None and "value" in news:
            reading = {"value": news["value"], "timestamp": news.get("timestamp", 0.0)}
            readings = {device_name(self.device): reading}
        if readings is not None:
            self._server.was_there()
            self.reading = {key: _with_severity(reading) for key, reading in readings.items()}
            self._tell()

    def _server_changed(self, connected: bool) -> None:
        if self.is_lost is connected:
            self.is_lost = not connected
            self._tell()

    def _tell(self) -> None:
        self.is_new = True
        self._ring()

    async def begin(self) -> None:
        self._readings.begin()
        self._server.start()
        await self._readings.ask()

    async def end(self) -> None:
        self._server.stop()
        self._readings.end()


class Values:
    """Watches devices while a client wants that. On the server's loop, but for what devices call.

    Parameters
    ----------
    engine : EngineView
        The engine, on whose loop devices live.
    loop : asyncio.AbstractEventLoop
        The server's.
    too_slow : callable
        Called with a session for which too much waits.
    """

    def __init__(
        self,
        engine: EngineView,
        loop: asyncio.AbstractEventLoop,
        too_slow: Callable[[Session], object],
    ) -> None:
        self._engine = engine
        self._loop = loop
        self._too_slow = too_slow
        self._watches: dict[str, _Watch] = {}
        self._lock = threading.Lock()  # guards `_rung`, for devices call on threads of their own
        self._rung = False

    def watch(self, session: Session, name: str, device: Any) -> None:
        """Send a session the value of a device, now and at each change.

        Raises
        ------
        TypeError
            If it tells of no changes.
        """
        if not callable(getattr(device, "clear_sub", None)):
            raise TypeError(f"{name!r} tells of no changes: it can be read, and its parts watched.")
        watch = self._watches.get(name)
        if watch is None:
            watch = self._watches[name] = _Watch(name, device, self._ring)
            run_soon(self._engine.loop, watch.begin()).add_done_callback(_tell)
        watch.sessions.add(session)
        if watch.sent is not None:
            session.put_newest(0, watch.sent, f"value of {name}")

    def leave(self, session: Session, name: str | None = None) -> None:
        """Send a session no values of a device, or of none, any more."""
        for known in [name] if name is not None else list(self._watches):
            watch = self._watches.get(known)
            if watch is None:
                continue
            watch.sessions.discard(session)
            if not watch.sessions:
                del self._watches[known]
                run_soon(self._engine.loop, watch.end()).add_done_callback(_tell)

    def close(self) -> None:
        """Watch nothing any more."""
        for watch in self._watches.values():
            watch.sessions.clear()
        for name in list(self._watches):
            watch = self._watches.pop(name)
            if not self._engine.closed:
                run_soon(self._engine.loop, watch.end()).add_done_callback(_tell)

    def _ring(self) -> None:
        with self._lock:
            ring, self._rung = not self._rung, True
        if ring:
            call_soon(self._loop, self._loop.call_later, _PERIOD, self._send)

    def _send(self) -> None:
        with self._lock:
            self._rung = False
        for watch in self._watches.values():
            if not watch.is_new:
                continue
            watch.is_new = False
            watch.sent = to_client(Value(watch.name, watch.reading, watch.is_lost))
            for session in list(watch.sessions):
                if not session.put_newest(0, watch.sent, f"value of {watch.name}"):
                    self._too_slow(session)


def _with_severity(reading: Any) -> Any:
    """Return a reading with its alarm as EPICS has it: Tango's numbers mean something else."""
    if "alarm_severity" not in reading:
        return reading
    return {**reading, "alarm_severity": severity_of(reading["alarm_severity"])}


def _tell(done: Any) -> None:
    if not done.cancelled() and (error := done.exception()) is not None:
        _log.warning("A device cannot be watched: %s: %s", type(error).__name__, error)
