"""Connecting to an engine elsewhere."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

from ._engine import RemoteEngine

if TYPE_CHECKING:
    import ssl

__all__ = ["connect", "connect_async"]

#: Where a token is taken from if none is given: an environment stays out of lists of processes.
_VARIABLE: Final = "FREEWHEEL_TOKEN"


def connect(
    url: str,
    token: str | None = None,
    *,
    timeout: float = 10.0,
    program: str = "",
    tls: ssl.SSLContext | None = None,
) -> RemoteEngine:
    """Connect to an engine that ``freewheel serve`` serves; waits until that is done.

    Parameters
    ----------
    url : str
        ``ws://HOST:PORT``, or ``wss://`` for one with TLS.
    token : str, optional
        Who we are; by default what the environment variable ``FREEWHEEL_TOKEN`` has.
    timeout : float
        Seconds that it may take.
    program : str
        What we call ourselves, for the server's log.
    tls : ssl.SSLContext, optional
        For a server whose certificate is not one that everybody knows.

    Returns
    -------
    RemoteEngine
        The engine; ``with connect(...) as remote:`` closes the line at the end.

    Raises
    ------
    ConnectionLostError
        If there is no server.
    NotAllowedError
        If it does not know the token.
    """
    known = os.environ.get(_VARIABLE, "") if token is None else token
    return RemoteEngine(url, known, program=program, tls=tls).open(timeout)


async def connect_async(
    url: str,
    token: str | None = None,
    *,
    timeout: float = 10.0,  # noqa: ASYNC109 - as `connect`
    program: str = "",
    tls: ssl.SSLContext | None = None,
) -> RemoteEngine:
    """Connect as `connect` does, without holding up the caller's loop.

    What the engine returns can be awaited on that loop: ``await remote(remote.plans.count(...))``.
    """
    return await asyncio.to_thread(connect, url, token, timeout=timeout, program=program, tls=tls)
