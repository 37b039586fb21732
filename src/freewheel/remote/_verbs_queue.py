"""What clients ask of the plans that wait."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from ._ledger import ending_of
from ._offers import NamedCall  # noqa: TC001 - read from the signatures
from ._verb_room import VerbRoom

if TYPE_CHECKING:
    from ._hub import Hub
    from ._offers import Offers
    from ._session import Session

__all__ = ["QueueVerbs"]


class QueueVerbs(VerbRoom):
    """Orders the plans that wait."""

    def __init__(self, hub: Hub, offers: Offers) -> None:
        super().__init__(hub, offers)
        self._numbers = itertools.count(1)
        self._periodic: dict[str, Any] = {}

    def queue_hold(self, session: Session, reason: str = "") -> None:
        self._engine.queue.hold(reason or session.client.name)

    def queue_release(self, session: Session) -> None:
        self._engine.queue.release()

    def queue_clear(self, session: Session) -> list[dict[str, Any]]:
        ledger, gone = self._hub.ledger, self._engine.queue.clear()
        return [ledger.record(future) | {"ending": ending_of(future)} for future in gone]

    def queue_move(self, session: Session, key: str, position: int) -> None:
        self._engine.queue.move(self._hub.ledger.find(key), position)

    def queue_edit(self, session: Session, key: str, call: NamedCall) -> None:
        self._engine.queue.edit(self._hub.ledger.find(key), self._offers.call(call))

    def queue_put_back(self, session: Session, keys: list[str] = []) -> list[Any]:  # noqa: B006
        again = self._engine.queue.put_back(*map(self._hub.ledger.find, keys))
        return [self._hub.ledger.record(future) for future in again]

    def queue_on_interruption(self, session: Session, value: str) -> None:
        self._engine.queue.on_interruption = value
        self._hub.touch("queue_changed")

    def every(
        self,
        session: Session,
        seconds: float,
        call: NamedCall,
        metadata: dict[str, Any] = {},  # noqa: B006 - the struct copies it
    ) -> str:
        key = f"every-{next(self._numbers)}"
        self._periodic[key] = self._engine.queue.every(
            seconds, self._offers.call(call), **self._signed(session, metadata)
        )
        self._hub.touch("queue_changed")
        return key

    def every_cancel(self, session: Session, key: str) -> bool:
        handle = self._periodic.pop(key, None)
        self._hub.touch("queue_changed")
        return handle is not None and bool(handle.cancel())
