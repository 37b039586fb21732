"""What the verbs of clients have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ._errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._hub import Hub
    from ._offers import Offers
    from ._session import Session

__all__ = ["Later", "VerbRoom", "own_key"]


class Later(NamedTuple):
    """An answer that comes later: what the call began, and what was accepted.

    Attributes
    ----------
    future : FutureView
        Of what was begun.
    accepted : object
        What is told at once.
    """

    future: Any
    accepted: Any = None


class VerbRoom:
    """Verbs of one kind, each a method: its parameters are what it takes.

    On the server's loop alone.

    Parameters
    ----------
    hub : Hub
        What tells clients.
    offers : Offers
        The plans and devices.
    """

    def __init__(self, hub: Hub, offers: Offers) -> None:
        self._hub = hub
        # Of this process, and so with more than clients see of it.
        self._engine: Any = hub.engine
        self._offers = offers

    def _signed(self, session: Session, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """Have runs say who has asked for them."""
        return {**self._offers.with_devices(metadata), "submitted_by": session.client.name}


def own_key(session: Session, key: str) -> str:
    """Refuse a key that another client might use."""
    if not key.startswith(session.tag):
        raise ProtocolError(f"{key!r} is no key of this session.")
    return key
