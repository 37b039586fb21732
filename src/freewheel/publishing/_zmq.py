"""To a 0MQ proxy, with bluesky's publisher."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

import zmq
from bluesky.callbacks.zmq import Publisher

from ._errors import AwayError, RefusedError
from ._knock import knock
from ._targets import Target

if TYPE_CHECKING:
    from ._address import Address
    from ._targets import Item

__all__ = ["ZmqTarget"]

#: So long is waited for a proxy to be there, to take a document, and at the end to take all [ms].
_PATIENCE: Final = 2_000
#: A proxy that says nothing for so long is gone [ms].
_HEARTBEAT: Final = 2_000
_KEYS: Final = (zmq.CURVE_PUBLICKEY, zmq.CURVE_SECRETKEY, zmq.CURVE_SERVERKEY)


class _HearingPublisher(Publisher):
    """Bluesky's publisher, which hears whether anybody listens, and drops nothing.

    A PUB socket, which it has, silently drops what nobody listens to, and what a listener is too
    slow for. An XPUB socket sends the same messages to the same proxy, and is told of listeners.
    """

    def __init__(self, address: str, **options: Any) -> None:
        super().__init__(address, **options)
        keys = {key: self._socket.get(key) for key in _KEYS if options.get("curve_config")}
        self._socket.close(linger=0)
        self._socket = self._context.socket(zmq.XPUB)
        for key, value in keys.items():
            self._socket.set(key, value)
        self._socket.set(zmq.XPUB_NODROP, 1)
        # Else a proxy that has gone counts as a listener, and its documents wait in the socket.
        self._socket.set(zmq.IMMEDIATE, 1)
        self._socket.set(zmq.SNDTIMEO, _PATIENCE)
        self._socket.set(zmq.LINGER, _PATIENCE)
        self._socket.set(zmq.HEARTBEAT_IVL, _HEARTBEAT)
        self._socket.set(zmq.HEARTBEAT_TIMEOUT, _HEARTBEAT)
        self._socket.connect(self.address)
        self._topics: set[bytes] = set()

    def is_heard(self, timeout: int = 0) -> bool:
        """Tell whether anybody listens; wait so many milliseconds for one."""
        while self._socket.poll(0 if self._topics else timeout, zmq.POLLIN):
            message: bytes = self._socket.recv()
            if message[:1] == b"\x01":
                self._topics.add(message[1:])
            elif message[:1] == b"\x00":
                self._topics.discard(message[1:])
        return bool(self._topics)


@final
class ZmqTarget(Target):
    """A 0MQ proxy, such as ``bluesky-0MQ-proxy``."""

    acknowledges = False

    def __init__(self, address: Address, *, prefix: str | bytes = b"", **options: Any) -> None:
        knock(address.servers)
        prefix = prefix.encode() if isinstance(prefix, str) else prefix
        self._publisher = _HearingPublisher(f"tcp://{address.servers}", prefix=prefix, **options)
        if not self._publisher.is_heard(_PATIENCE):
            self.close()
            raise AwayError(
                f"no proxy that listens was found within {_PATIENCE / 1000:g} s; "
                "bluesky-0MQ-proxy is one"
            )

    def send(self, items: list[Item]) -> None:
        """Send a document; it is 0MQ's then, which does not say what arrives."""
        (item,) = items
        self.check()
        try:
            self._publisher(item.name, dict(item.doc))
        except zmq.Again:
            raise AwayError(f"the proxy has taken nothing for {_PATIENCE / 1000:g} s") from None
        except zmq.ZMQError as error:
            raise AwayError(str(error)) from error
        except Exception as error:  # whatever a serializer raises
            raise RefusedError(f"it cannot be serialized: {error}") from error

    def check(self) -> None:
        """Notice that the proxy has gone."""
        if not self._publisher.is_heard():
            raise AwayError("the proxy has gone")

    def close(self) -> None:
        """Give up the connection, when the proxy has taken what it has been sent."""
        self._publisher.close()  # type: ignore[no-untyped-call]
