"""Which run a document belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RunOwners"]


class RunOwners:
    """Knows the run of each document, from the documents before it.

    Its owner calls it under a lock.
    """

    def __init__(self) -> None:
        self._owners: dict[str, str] = {}  # uid of a descriptor or resource -> uid of its run

    def run_of(self, name: str, doc: Mapping[str, Any]) -> str:
        """Return the uid of a document's run; ``""`` if nothing tells it."""
        if name == "start":
            return str(doc["uid"])
        owner: str | None = doc.get("run_start")
        if owner is None:
            refers = doc.get("descriptor", doc.get("resource"))
            return self._owners.get(str(refers), "")
        if "uid" in doc:
            self._owners[doc["uid"]] = owner
        return owner

    def forget(self, run: str) -> None:
        """Forget a run that has ended."""
        self._owners = {key: owner for key, owner in self._owners.items() if owner != run}

    def clear(self) -> None:
        """Forget all runs."""
        self._owners.clear()
