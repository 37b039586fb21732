"""What clients ask of plans: run, pause, end, act."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ._offers import NamedCall  # noqa: TC001 - read from the signatures
from ._previews import preview_record
from ._verb_room import Later, VerbRoom

if TYPE_CHECKING:
    from ._session import Session

__all__ = ["PlanVerbs"]


class PlanVerbs(VerbRoom):
    """Runs plans, and steers the one that runs."""

    def submit(
        self,
        session: Session,
        call: NamedCall,
        key: str,
        priority: float = 0,
        name: str | None = None,
        metadata: dict[str, Any] = {},  # noqa: B006 - the struct copies it
    ) -> Any:
        made, mine = self._offers.call(call), self._own_key(session, key)
        future = self._engine.queue.submit(
            made,
            priority=priority,
            name=name,
            metadata=self._signed(session, metadata),
        )
        return self._hub.ledger.record(future, mine)

    def preempt(
        self,
        session: Session,
        call: NamedCall,
        key: str,
        restore: bool = False,
        name: str | None = None,
        metadata: dict[str, Any] = {},  # noqa: B006
    ) -> Any:
        made, mine = self._offers.call(call), self._own_key(session, key)
        future = self._engine.preempt(
            made,
            restore=restore,
            name=name,
            metadata=self._signed(session, metadata),
        )
        return self._hub.ledger.record(future, mine)

    def cancel(self, session: Session, key: str) -> bool:
        return bool(self._hub.ledger.find(key).cancel())

    def pause(self, session: Session, defer: bool = False) -> Any:
        return Later(self._engine.request_pause(defer))

    def resume(self, session: Session, key: str) -> Any:
        mine = self._own_key(session, key)
        return self._hub.ledger.record(self._engine.resume(), mine)

    def stop(self, session: Session) -> Any:
        return Later(self._engine.stop())

    def abort(self, session: Session, reason: str = "") -> Any:
        return Later(self._engine.abort(reason))

    def halt(self, session: Session) -> Any:
        return Later(self._engine.halt())

    def stop_all(self, session: Session, reason: str = "") -> Any:
        why = (
            f"{session.client.name}: {reason}" if reason else f"asked for by {session.client.name}"
        )
        return Later(self._engine.stop_all(why))

    async def preview(self, session: Session, call: NamedCall) -> dict[str, Any]:
        made = self._offers.call(call)
        return preview_record(await asyncio.to_thread(self._engine.preview, made))

    def trigger(self, session: Session, name: str, plan: str | None = None) -> None:
        self._engine.trigger_action(name, plan=plan)

    def release(self, session: Session, name: str, plan: str | None = None) -> None:
        self._engine.release_action(name, plan=plan)
