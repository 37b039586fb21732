"""Connections on which nobody has asked for anything yet: few, and not for long."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

    from ._limits import Limits

__all__ = ["caller_protocol"]

#: So many more than clients may be connected, to ask over HTTP or to be told that it is full.
_SPARE: Final = 64


def caller_protocol(limits: Limits) -> type[asyncio.Protocol]:
    """Return uvicorn's protocol of HTTP, which ends connections on which nothing is asked for."""
    looks = max(1, round(limits.stuck / limits.patience))
    most = _room(2 * limits.clients + _SPARE)

    # h11 and not httptools, which would be faster and keeps headers of any length.
    class Caller(H11Protocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.access_log = False  # who does what is told by the door
            self._request: Any = None  # that was under way, or the last one, at the last look
            self._same = 0  # so often it was that one
            if len(self.connections) > most:  # WebSockets are among them
                transport.abort()
            else:
                self.loop.call_later(limits.patience, self._look)

        def _look(self) -> None:
            transport = self.transport
            if transport.is_closing() or transport.get_protocol() is not self:
                return  # it has become a WebSocket, which the door looks after
            self._same = self._same + 1 if self.cycle is self._request else 0
            self._request = self.cycle
            idle = self.cycle is None or (self._same and self.cycle.response_complete)
            if idle or self._same >= looks:
                transport.abort()
            else:
                self.loop.call_later(limits.patience, self._look)

    return Caller


def _room(wanted: int) -> int:
    """Return how many connections there may be: files are left for all else that a process opens.

    A process that may open no more files cannot take a connection, its own clients' neither, and
    asyncio tells of that thousands of times a second.
    """
    if sys.platform == "win32":
        return wanted
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if soft == resource.RLIM_INFINITY else min(wanted, soft // 2)
