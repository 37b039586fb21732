"""Whether anybody is there at all."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from ._errors import AwayError

__all__ = ["knock"]


def knock(servers: str, *, port: int = 0, patience: float = 3.0) -> None:
    """Find out whether one of several servers takes connections.

    The clients of brokers try for long before they say that nobody is there, and not why.

    Parameters
    ----------
    servers : str
        ``host:port``, or several with commas between them.
    port : int
        The port of those that have none.
    patience : float
        For how long to try [s].

    Raises
    ------
    AwayError
        If none does; with the reason.
    """
    reason = ""
    for server in servers.split(","):
        parts = urlsplit(f"//{server}")
        try:
            socket.create_connection((parts.hostname, parts.port or port), patience).close()
        except (OSError, UnicodeError) as error:  # the latter of a name that can be none
            reason = getattr(error, "strerror", None) or str(error)
        else:
            return
    raise AwayError(reason)
