"""Ports that nobody else takes between the question and the server that they are for."""

from __future__ import annotations

import atexit
import os
import secrets
import socket
import threading
from collections import deque
from typing import Final

__all__ = ["free_port", "ports_to_keep"]

#: Below those that Linux, Windows and macOS give to outgoing connections.
_PORTS: Final = range(20_000, 32_768)
#: A process has so many together, the first of which it holds: others see by it that they are
#: somebody's, and the system lets it go however the process ends.
_TOGETHER: Final = 128

_lock = threading.Lock()  # guards what follows
_held: list[socket.socket] = []
_ports: deque[int] = deque()  # the next one to give is the first


def free_port() -> int:
    """Return a port that nobody has, of TCP and UDP alike.

    Not one of those that systems give to outgoing connections, one of which may have it a moment
    later, when the server that it is for begins. No other process is given it while this one
    lives, and this one not again before it was given a hundred others. Any thread may call.

    Raises
    ------
    RuntimeError
        When other processes have all that there are.
    """
    with _lock:
        port = _next()
        _ports.append(port)
        return port


def ports_to_keep(count: int) -> list[int]:
    """Return ports as `free_port` does, which this process is never given again."""
    with _lock:
        return [_next() for _ in range(count)]


def _next() -> int:
    """Take the next port off the line. Called with the lock."""
    while True:
        for _ in range(len(_ports)):
            port = _ports.popleft()
            if _is_free(port):
                return port
            _ports.append(port)
        _ports.extendleft(reversed(_more()))


def _is_free(port: int) -> bool:
    try:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(type=kind) as each:
                each.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


def _more() -> range:
    """Make ports that lie together this process's, and return them. Called with the lock."""
    firsts = _PORTS[: 1 - _TOGETHER : _TOGETHER]
    # Not in order, so that what comes late for a process that has ended finds nobody; and not by
    # `random`, which tests seed.
    for first in secrets.SystemRandom().sample(firsts, len(firsts)):
        holder = socket.socket(type=socket.SOCK_DGRAM)
        try:
            holder.bind(("127.0.0.1", first))
        except OSError:
            holder.close()
            continue
        _held.append(holder)
        return range(first + 1, first + _TOGETHER)
    raise RuntimeError(
        f"Other processes have all ports from {_PORTS.start} to {_PORTS.stop - 1} of this machine: "
        "end those that are left from earlier."
    )


def _let_go() -> None:
    """Close what holds the ports: the interpreter would complain of it at its end."""
    while _held:
        _held.pop().close()


def _begin_anew() -> None:
    """Leave its ports to the process that this one was forked from."""
    global _lock
    _lock = threading.Lock()  # another thread may have had it
    _ports.clear()
    _let_go()


atexit.register(_let_go)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
