"""What clients ask of what runs beside the plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from ._offers import NamedCall  # noqa: TC001 - read from the signatures
from ._verb_room import VerbRoom

if TYPE_CHECKING:
    from ._session import Session

__all__ = ["TaskVerbs"]


class TaskVerbs(VerbRoom):
    """Launches background tasks, and steers them."""

    def launch(
        self,
        session: Session,
        call: NamedCall,
        name: str | None = None,
        claims: list[str] = [],  # noqa: B006
        on_conflict: Literal["cancel", "pause", "error"] = "cancel",
        metadata: dict[str, Any] = {},  # noqa: B006
    ) -> dict[str, Any]:
        task = self._engine.background.launch(
            self._offers.call(call),
            name=name,
            claims=[self._offers.device(each) for each in claims],
            on_conflict=on_conflict,
            **self._signed(session, metadata),
        )
        return self._hub.ledger.task_record(task)

    def launch_registered(
        self,
        session: Session,
        task_id: str,
        name: str,
        kwargs: dict[str, Any] = {},  # noqa: B006
    ) -> dict[str, Any]:
        launch: Any = getattr(self._engine.background, "launch_registered", None)
        return self._hub.ledger.task_record(
            launch(task_id, name, **self._offers.with_devices(kwargs))
        )

    def task_cancel(self, session: Session, key: str, reason: str = "") -> bool:
        return bool(self._hub.ledger.find(key).cancel(reason))

    def task_pause(self, session: Session, key: str) -> None:
        self._hub.ledger.find(key).pause()

    def task_resume(self, session: Session, key: str) -> None:
        self._hub.ledger.find(key).resume()
