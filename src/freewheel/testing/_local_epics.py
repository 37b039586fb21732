"""EPICS that keeps to this machine, on ports that nobody else uses."""

from __future__ import annotations

import os
import threading
from typing import Final

from ._ports import ports_to_keep

__all__ = ["give_back", "local_epics", "take_ports"]

#: How many IOCs of a process can run at the same time, each on ports of its own. Clients read
#: once where to look, so all have to be known then.
_MOST: Final = 8

_lock = threading.Lock()  # guards what follows, the first two of which are filled once
_environment: dict[str, str] = {}
_of_servers: list[dict[str, str]] = []
_taken: set[int] = set()  # which of these


def local_epics() -> dict[str, str]:
    """Keep EPICS to this machine, on ports that nobody else uses.

    Sets the environment of this process, for its clients and for the servers that it starts. EPICS
    libraries read it once, with their first PV: call this before, at the top of a ``conftest.py``.
    The same ports each time in one process; others in another. Clients look on the ports of each
    `IocProcess`; a server that is started in another way has those of the first one.

    Returns
    -------
    dict of str to str
        The variables.
    """
    with _lock:
        if not _environment:
            _choose()
    os.environ.update(_environment)
    return dict(_environment)


def _choose() -> None:
    ports = [str(port) for port in ports_to_keep(3 * _MOST + 1)]
    repeater = ports.pop()
    for ca, pva, search in zip(ports[::3], ports[1::3], ports[2::3], strict=True):
        _of_servers.append(
            {
                "EPICS_CA_SERVER_PORT": ca,
                "EPICS_PVA_SERVER_PORT": pva,
                "EPICS_PVA_BROADCAST_PORT": search,
            }
        )
    _environment.update(
        _of_servers[0],
        EPICS_CA_ADDR_LIST=" ".join(f"127.0.0.1:{port}" for port in ports[::3]),
        EPICS_CA_AUTO_ADDR_LIST="NO",
        EPICS_CA_REPEATER_PORT=repeater,
        EPICS_CAS_INTF_ADDR_LIST="127.0.0.1",
        EPICS_CAS_BEACON_ADDR_LIST="127.0.0.1",
        EPICS_CAS_AUTO_BEACON_ADDR_LIST="NO",
        EPICS_PVA_ADDR_LIST=" ".join(f"127.0.0.1:{port}" for port in ports[2::3]),
        EPICS_PVA_AUTO_ADDR_LIST="NO",
        EPICS_PVAS_INTF_ADDR_LIST="127.0.0.1",
    )


def take_ports() -> tuple[int, dict[str, str]]:
    """Take ports for a server that begins; return which, and its environment.

    Raises
    ------
    RuntimeError
        When too many servers run.
    """
    environment = local_epics()
    with _lock:
        for number, own in enumerate(_of_servers):
            if number not in _taken:
                _taken.add(number)
                return number, {**environment, **own}
    raise RuntimeError(
        f"{_MOST} servers of this process run already, which is as many as EPICS clients of it "
        "look for: end one with `kill`."
    )


def give_back(number: int | None) -> None:
    """Let another server have the ports; nothing for `None`."""
    with _lock:
        _taken.discard(-1 if number is None else number)
