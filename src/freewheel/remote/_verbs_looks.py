"""What clients ask to see: the engine, its documents and its frames."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Literal

from ._session import FrameWish
from ._verb_room import VerbRoom

if TYPE_CHECKING:
    from ._session import Session

__all__ = ["LookVerbs"]

#: Frames are sent no more often than this to one client [1/s].
_MAX_RATE: Final = 240.0


class LookVerbs(VerbRoom):
    """Looks, and asks to be told."""

    async def explain(self, session: Session) -> str:
        return await asyncio.to_thread(self._engine.explain)

    def picture(self, session: Session) -> dict[str, Any]:
        return self._hub.last

    def offers(self, session: Session) -> dict[str, Any]:
        return {
            "plans": self._offers.plan_records(),
            "devices": self._offers.device_records(),
        }

    def futures(self, session: Session, keys: list[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key in keys:
            try:
                found[key] = self._hub.ledger.ending(key)
            except KeyError as error:
                found[key] = {"lost": str(error.args[0])}
        return found

    def subscribe(self, session: Session, delivery: Literal["queued", "display", "latest"]) -> None:
        session.documents = delivery
        self._hub.follow()

    def unsubscribe(self, session: Session) -> None:
        session.documents = None
        self._hub.follow()

    def frames(
        self,
        session: Session,
        wanted: bool = True,
        key: str | None = None,
        max_side: int = 512,
        rate: float = 30.0,
    ) -> None:
        if not (max_side >= 1 and 0 < rate <= _MAX_RATE):
            raise ValueError(
                f"frames have sides of a pixel or more, and come at most {_MAX_RATE:g} times a "
                f"second, not {max_side} and {rate:g}"
            )
        session.frames = FrameWish(key, max_side, rate) if wanted else None
        self._hub.follow()
        session.ready.set()
