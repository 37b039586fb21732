"""The notes beside a run's documents: what JSON cannot say, and what there is in all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ._encoding import decoded
from ._format import document_id

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ._fidelity import Notes

__all__ = ["CurrentNotes", "RunNotes", "read_notes"]


@dataclass(frozen=True, slots=True)
class _Change:
    """From a document on, other notes hold for its kind."""

    line: int
    id: str | None
    kind: str
    notes: Notes


@dataclass(slots=True)
class RunNotes:
    """What the notes of a run say."""

    changes: list[_Change] = field(default_factory=list)
    received: dict[int | str, float] = field(default_factory=dict)
    """When documents that carry no time came, by id; in version 1 by line."""
    end: Mapping[str, Any] | None = None
    """Of a run that was recorded to its end: what there is in all. Not in version 1."""
    version: int = 0
    """Of the format; in version 1 it is not said."""
    is_cut: bool = False
    """Whether the last line is not complete, or there is none in the file."""
    unreadable: list[int] = field(default_factory=list)
    """The numbers of lines that are no notes, from 1: what they told of is not as it was."""

    def add(self, entry: Any) -> None:
        """Take what a line says.

        Raises
        ------
        AttributeError, KeyError, TypeError
            When it says nothing that can be understood.
        """
        self.version = entry.get("version", self.version)
        if "notes" in entry:
            change = _Change(entry["line"], entry.get("id"), entry["kind"], entry["notes"])
            self.changes.append(change)
        if "received" in entry:
            self.received[entry.get("id") or entry["line"]] = entry["received"]
        if "end" in entry:
            self.end = _checked_end(entry["end"])

    def of_kind(self, kind: str) -> Notes:
        """Return the last notes on a kind of document."""
        return next((each.notes for each in reversed(self.changes) if each.kind == kind), [])

    def received_at(self, number: int, doc: Mapping[str, Any]) -> float | None:
        """Return when a document without a time came."""
        return self.received.get(document_id(doc) or number, self.received.get(number))


def _checked_end(end: Mapping[str, Any]) -> Mapping[str, Any]:
    for part in (end, end["notes"]) if "notes" in end else (end,):
        if not (isinstance(part["bytes"], int) and isinstance(part["xxh3_64"], str)):
            raise TypeError
    if not (isinstance(end["lines"], int) and isinstance(end["events"], dict)):
        raise TypeError
    return end


class CurrentNotes:
    """The notes that hold as a run is read.

    Parameters
    ----------
    notes : RunNotes
        All of them.
    """

    def __init__(self, notes: RunNotes) -> None:
        self._changes = notes.changes
        self._place_of = {each.id: i for i, each in enumerate(self._changes) if each.id}
        self._next = 0
        self._current: dict[str, Notes] = {}

    def on(self, number: int, name: str, doc: Mapping[str, Any]) -> Notes:
        """Return the notes on the next document, which stands in line ``number``.

        Where lines are missing before it, its id tells where the notes are.
        """
        last = self._place_of.get(document_id(doc) or "", -1)
        while self._next < len(self._changes) and (
            self._next <= last or self._changes[self._next].line <= number
        ):
            change = self._changes[self._next]
            self._current[change.kind] = change.notes
            self._next += 1
        kind = f"{name} {doc['descriptor']}" if "descriptor" in doc else name
        return self._current.get(kind, [])


def read_notes(path: Path) -> RunNotes:
    """Read a file of notes, as far as it is readable; there need not be any."""
    notes = RunNotes()
    if not path.exists():
        return notes
    line = b""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.endswith(b"\n"):  # else not yet complete, as it seems
                try:
                    notes.add(decoded(line))
                except (ValueError, AttributeError, KeyError, TypeError):
                    notes.unreadable.append(number)
    notes.is_cut = not line.endswith(b"\n")
    return notes
