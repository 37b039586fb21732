"""Whether the documents of a run come in an order that the event model allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._errors import DamagedRecordingError

if TYPE_CHECKING:
    from pathlib import Path

    from ._run import Document

__all__ = ["Order"]


class Order:
    """Checks that each document comes after those that it refers to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._run: str | None = None
        self._known: set[str] = set()
        self._stopped = False

    def check(self, number: int, name: str, doc: Document) -> None:
        """Take the next document, which stands in line ``number``.

        Raises
        ------
        DamagedRecordingError
            When it may not come here.
        """
        reason = self._reason(name, doc)
        if reason is not None:
            message = (
                f"the {name} document in line {number + 1} is out of order: {reason}; "
                "all those before it were read"
            )
            raise DamagedRecordingError(message, file=self._path, run=self._run)

    def _reason(self, name: str, doc: Document) -> str | None:
        if self._stopped:
            return "it follows the stop document"
        if name == "start":
            if self._run is not None:
                return "the run has a start document already"
            self._run = doc["uid"]
            return None
        if name == "stop":
            self._stopped = True
        if doc.get("run_start", self._run) != self._run:
            return f"it belongs to another run, {doc['run_start']}"
        for field in ("descriptor", "resource", "stream_resource"):
            if name not in ("descriptor", "resource", "stream_resource") and field in doc:
                referred = doc[field]
                if referred not in self._known:
                    return f"its {field} {referred} has not come yet"
        if name in ("descriptor", "resource", "stream_resource"):
            self._known.add(doc["uid"])
        return None
