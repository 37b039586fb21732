"""The state of an engine, published to whoever listens, with the last value kept."""

from __future__ import annotations

import logging
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from freewheel.core import MissingExtraError
from freewheel.core._view import PICTURE_SIGNALS

if TYPE_CHECKING:
    from freewheel.core import EngineView

__all__ = ["TOPIC", "StatePublisher"]

_log = logging.getLogger("freewheel")

#: The first part of each message; the second is `EngineSnapshot.to_json`.
TOPIC: Final = b"fw.state"
_NONE: Final = "Give one such as in publish_state('tcp://127.0.0.1:60640')."
_TAKEN: Final = (
    "Somebody publishes there: another worker with this start-up script, or an earlier one that "
    "has not ended. Two managers need a publish_state('tcp://…') each, and of queueserver's a "
    "--redis-name-prefix each."
)


class StatePublisher:
    """Publishes an engine's snapshots over 0MQ, after each change, from a thread of its own.

    Who subscribes gets the engine's state of that moment at once. A message has two parts: the
    topic ``fw.state`` and the snapshot as JSON. Changes that follow each other quickly are told
    together; the last one is always told. Neither the engine nor a plan ever waits for it, or for
    who listens.

    Parameters
    ----------
    engine : EngineView
        The engine.
    address : str
        Where to publish, such as ``"tcp://127.0.0.1:60640"``. With port ``*`` a free one is taken.
    rate : float
        How often a second it publishes, at most, but for who has just subscribed.

    Attributes
    ----------
    address : str
        Where it publishes, with the port that was taken.

    Raises
    ------
    OSError
        If it cannot publish there.
    """

    def __init__(self, engine: EngineView, address: str, *, rate: float = 50.0) -> None:
        zmq = _zmq()
        self._engine = engine
        self._shortest = 1 / rate
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.set(zmq.XPUB_VERBOSE, 1)  # tell of each who subscribes, not of the first only
        self._socket.set(zmq.LINGER, 0)
        try:
            self._socket.bind(address)
        except zmq.ZMQError as error:
            self._context.destroy()
            raise OSError(
                f"The engine's state cannot be published at {address!r}: {error}. "
                + (_TAKEN if error.errno == zmq.EADDRINUSE else _NONE)
            ) from error
        self.address: str = self._socket.get(zmq.LAST_ENDPOINT).decode()
        # Written to by any thread, one byte for a change; read by ours.
        self._bell, self._ring = socket.socketpair()
        self._ring.setblocking(False)
        self._closing = False  # only ever set, by any thread, before a byte
        self._thread = threading.Thread(target=self._serve, name="freewheel-state", daemon=True)
        for name in PICTURE_SIGNALS:
            getattr(engine.events, name).connect(self._wake)
        self._thread.start()

    def _wake(self, *_: object) -> None:
        """Have it publish; from any thread, without waiting."""
        try:
            self._ring.send(b".")
        except BlockingIOError:
            pass  # so much has been rung already that one ring more says nothing

    def close(self) -> None:
        """Publish no more, and end the thread."""
        if self._closing:
            return
        for name in PICTURE_SIGNALS:
            getattr(self._engine.events, name).disconnect(self._wake, missing_ok=True)
        self._closing = True
        self._wake()
        self._thread.join()

    # -- on its own thread --------------------------------------------------------------------

    def _serve(self) -> None:
        zmq = _zmq()
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._bell.fileno(), zmq.POLLIN)
        last, due, next_at = b"", True, 0.0
        try:
            while True:
                wait = None if not due else max(0.0, next_at - time.monotonic()) * 1000
                ready = dict(poller.poll(wait))
                if self._bell.fileno() in ready:
                    self._bell.recv(4096)
                    due = True
                if self._closing:
                    return
                if self._socket in ready and self._is_new_listener():
                    due, next_at = True, 0.0  # what was sent last may be old: news take a moment
                if due and time.monotonic() >= next_at:
                    last, due = self._picture() or last, False
                    next_at = time.monotonic() + self._shortest
                    self._send(last)
        finally:
            self._context.destroy(linger=0)
            self._bell.close()
            self._ring.close()

    def _is_new_listener(self) -> bool:
        message: bytes = self._socket.recv()
        return message[:1] == b"\x01" and TOPIC.startswith(message[1:])

    def _picture(self) -> bytes:
        try:
            return self._engine.snapshot().to_json().encode()
        except Exception:
            _log.exception("The engine's state could not be published this time.")
            return b""

    def _send(self, picture: bytes) -> None:
        if picture:
            self._socket.send_multipart([TOPIC, picture])


def _zmq() -> Any:
    try:
        import zmq
    except ImportError as error:
        raise MissingExtraError(
            "freewheel.hosts.queueserver.publish_state", "queueserver"
        ) from error
    return zmq
