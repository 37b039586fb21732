"""What the verbs of clients have in common."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ._errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._hub import Hub
    from ._offers import Offers
    from ._session import Session

__all__ = ["Later", "VerbRoom"]

#: What follows the tag in a key. The ledger makes keys of its own from keys, with words behind.
_OWN: Final = re.compile(r"[0-9]{1,20}", re.ASCII)
_SHOWN: Final = 40


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

    def _own_key(self, session: Session, key: str) -> str:
        """Refuse a key that another client might use, or that stands for something already.

        To be asked before anything is done: what is refused has not happened.
        """
        if not _OWN.fullmatch(key.removeprefix(session.tag)) or not key.startswith(session.tag):
            raise ProtocolError(
                f"{key[:_SHOWN]!r} is no key of this session: write {session.tag!r} and a number."
            )
        if self._hub.ledger.knows(key):
            raise ProtocolError(f"{key!r} stands for another plan of this session already.")
        return key
