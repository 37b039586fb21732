"""What clients ask of devices: read, set by hand, hold."""

from __future__ import annotations

import asyncio
import enum
import inspect
import itertools
from typing import TYPE_CHECKING, Any, Final

from bluesky.bundlers import maybe_await

from freewheel.background._holders import HandHold
from freewheel.core._crossings import run_soon
from freewheel.core._devices import device_name

from ._session import Lease
from ._verb_room import Later, VerbRoom

if TYPE_CHECKING:
    from ._hub import Hub
    from ._offers import Offers
    from ._session import Session

__all__ = ["DeviceVerbs"]

_MAX_LEASES: Final = 1_000


class DeviceVerbs(VerbRoom):
    """Reads devices, sets them by hand, and holds them by leases."""

    def __init__(self, hub: Hub, offers: Offers) -> None:
        super().__init__(hub, offers)
        self._numbers = itertools.count(1)

    async def read(self, session: Session, device: str, locate: bool = False) -> dict[str, Any]:
        found = self._offers.device(device)
        if locate:
            return {"location": await self._asked(found, "locate")}
        return {
            "reading": await self._asked(found, "read"),
            "describe": await self._asked(found, "describe"),
        }

    async def _asked(self, device: Any, method: str) -> Any:
        function = getattr(device, method, None)
        if not callable(function):
            raise TypeError(f"{device_name(device)!r} cannot be read.")
        if inspect.iscoroutinefunction(function):
            return await asyncio.wrap_future(run_soon(self._engine.loop, function()))
        # One that blocks must hold up neither the engine's loop nor this one.
        return await maybe_await(await asyncio.to_thread(function))

    def watch(self, session: Session, device: str, wanted: bool = True) -> None:
        if wanted:
            self._hub.values.watch(session, device, self._offers.device(device))
        else:
            self._hub.values.leave(session, device)

    def hand_set(
        self, session: Session, device: str, value: Any, between: bool = False, holder: str = ""
    ) -> Any:
        found = self._offers.device(device)
        future = self._engine.by_hand.set(
            found,
            _as_member(found, self._offers.with_devices(value)),
            between=between,
            holder=_as(session, holder),
        )
        future.add_done_callback(lambda _: self._hub.touch())
        return Later(future)

    def hand_stop(self, session: Session, device: str) -> Any:
        return Later(self._engine.by_hand.stop(self._offers.device(device)))

    def claim(self, session: Session, devices: list[str], holder: str = "") -> str:
        if len(session.leases) >= _MAX_LEASES:
            raise RuntimeError(f"{session.client.name!r} holds {_MAX_LEASES} leases already.")
        found = tuple(self._offers.device(name) for name in devices)
        hand = HandHold(_as(session, holder))
        self._engine.claims.acquire(hand, found)
        key = f"lease-{next(self._numbers)}"
        session.leases[key] = Lease(key, hand, found)
        return key

    def unclaim(self, session: Session, key: str) -> bool:
        lease = session.leases.pop(key, None)
        if lease is None:
            return False
        self._engine.claims.release_all(lease.hand)
        return True

    def revoke(self, session: Session, device: str) -> list[str]:
        wanted = self._offers.device(device)
        found = []
        for other in self._hub.sessions.values():
            for lease in list(other.leases.values()):
                if any(self._engine.claims.overlap(wanted, held) for held in lease.devices):
                    self._hub.end_lease(other, lease, f"taken away by {session.client.name}")
                    found.append(other.client.name)
        if not found:
            raise KeyError(f"No client holds {device!r} by a lease.")
        return found


def _as(session: Session, holder: str) -> str:
    """Return how a client is called as a holder: always with the name of its token."""
    name = session.client.name
    return f"{name} ({holder[:60]})" if holder and holder != name else name


def _as_member(device: Any, value: Any) -> Any:
    """Return the member of a signal's enumeration for its value, as a client has it."""
    datatype = getattr(device, "datatype", None)
    if isinstance(datatype, type) and issubclass(datatype, enum.Enum):
        return datatype(value)
    return value
