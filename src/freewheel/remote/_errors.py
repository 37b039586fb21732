"""What can go wrong between a client and an engine elsewhere."""

from __future__ import annotations

__all__ = [
    "ConnectionLostError",
    "NotAllowedError",
    "ProtocolError",
    "RemoteError",
    "ServerRestartedError",
]


class RemoteError(RuntimeError):
    """Something failed on the server with an exception that this process does not know.

    Attributes
    ----------
    kind : str
        The name of the exception's class there.
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(kind, text)
        self.kind = kind
        self.text = text

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}" if self.text else self.kind


class ConnectionLostError(ConnectionError):
    """There is no line to the server, or it was lost before an answer came."""


class ServerRestartedError(ConnectionLostError):
    """The server is a new one: what was waited for belonged to the one before it."""


class NotAllowedError(PermissionError):
    """The server does not let this client in, or its role does not allow what it asked for."""

    def _render_traceback_(self) -> list[str]:
        """Say it in one line at a prompt, where IPython asks for this."""
        return [f"{type(self).__name__}: {self}"]


class ProtocolError(ValueError):
    """What came over the line is no message of the protocol, or of another version of it."""
