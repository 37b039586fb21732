"""How much a client may."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """How much each client may, and how long a server waits for it.

    Attributes
    ----------
    clients : int
        So many at once.
    rate : float
        So many messages a second are read from one; what comes faster waits on its line.
    burst : int
        So many at once before that.
    payload : int
        The largest message that is taken [bytes].
    backlog : int
        So much may wait for one that is slow, or away, before it is dropped [bytes].
    grace : float
        So long a lease lives without a line [s].
    memory : float
        So long a session waits for its client to come back [s].
    away : int
        So many sessions of one name wait so; then the oldest is forgotten.
    patience : float
        So long a connection may take to say who it is [s].
    stuck : float
        So long a line may take nothing before it is given up [s].
    guard : float
        So often it is looked whether the token of a client that only looks counts still [s].
    """

    clients: int = 256
    rate: float = 200.0
    burst: int = 50
    payload: int = 1 << 20
    backlog: int = 64 << 20
    grace: float = 2.0
    memory: float = 120.0
    away: int = 16
    patience: float = 5.0
    stuck: float = 30.0
    guard: float = 1.0
