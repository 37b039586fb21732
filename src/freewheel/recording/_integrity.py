"""Whether all of a run is there, as it was recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._checksums import file_checksum
from ._encoding import decoded
from ._format import is_of_recorder, notes_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ._run import Document

__all__ = ["find_gap", "shown_lines"]


def find_gap(path: Path, stop: Document, end: Mapping[str, Any] | None) -> str | None:
    """Tell what is missing or changed in a file of documents that ends with a stop document.

    Parameters
    ----------
    path : Path
        The file.
    stop : dict
        Its stop document, which has the numbers of events.
    end : Mapping or None
        What the recorder noted when it was done; `None` for files of others, and of version 1,
        in which a changed value is not found.

    Returns
    -------
    str or None
        `None` when nothing is.

    Raises
    ------
    OSError
        When the file cannot be read.
    """
    if end is not None and _is_as_noted(path, end):
        return _changed_notes(path, end)
    found = _Found(path)
    problems = []
    if found.unreadable:
        problems.append(f"of its lines these are unreadable: {shown_lines(found.unreadable)}")
    if end is None:
        problems += _missing(stop.get("num_events"), found.points())
        if found.version > 1 and not notes_of(path).exists():
            problems.append("its notes are gone, and with them what JSON cannot say")
    else:
        problems += _missing(end["events"], found.events)
        if not problems and found.lines != end["lines"]:
            problems.append(f"it has {found.lines} lines, and {end['lines']} were written")
        if not problems:
            problems.append("its checksum is another one: something in it was changed")
    return "; ".join(problems) or None


def _is_as_noted(path: Path, end: Mapping[str, Any]) -> bool:
    size: int = end["bytes"]
    return path.stat().st_size == size and file_checksum(path, size) == end["xxh3_64"]


def _changed_notes(path: Path, end: Mapping[str, Any]) -> str | None:
    """Tell whether the notes are others; those of the first recorders of version 2 do not say."""
    noted = end.get("notes")
    if noted is None or file_checksum(notes_of(path), noted["bytes"]) == noted["xxh3_64"]:
        return None
    return "the checksum of its notes is another one: something in them was changed"


def shown_lines(numbers: Sequence[int]) -> str:
    """Return the numbers of lines as a message shows them."""
    return ", ".join(map(str, numbers[:5])) + (" ..." if len(numbers) > 5 else "")


def _missing(expected: Any, found: Mapping[str, int]) -> list[str]:
    if not isinstance(expected, dict):
        return []  # it was not counted
    return [
        f"{found.get(stream, 0)} of the {count} events of stream {stream!r} are there"
        for stream, count in expected.items()
        if isinstance(count, int) and found.get(stream, 0) != count
    ]


class _Found:
    """What a file of documents has, counted.

    Attributes
    ----------
    lines : int
        How many lines.
    unreadable : list of int
        The numbers of those that are no document, from 1.
    events : dict of str to int
        How many events there are, by stream.
    version : int
        Of the format, as far as arrays were taken out; else 0.
    """

    def __init__(self, path: Path) -> None:
        self.lines = 0
        self.unreadable: list[int] = []
        self.events: dict[str, int] = {}
        self._streams: dict[str, str] = {}
        self._numbers: dict[str, set[int]] = {}
        self._own: set[str] = set()  # resources that the recorder added
        self.version = 0
        with path.open("rb") as file:
            for line in file:
                self.lines += 1
                try:
                    name, doc = decoded(line)
                    self._count(name, doc)
                except (ValueError, TypeError, KeyError):
                    self.unreadable.append(self.lines)

    def points(self) -> dict[str, int]:
        """Return how many points there are by stream; a rewind repeats points."""
        return {stream: len(numbers) for stream, numbers in self._numbers.items()}

    def _count(self, name: str, doc: Mapping[str, Any]) -> None:
        if name == "descriptor":
            self._streams[doc["uid"]] = doc.get("name", "primary")
        elif name == "event":
            self._add(doc["descriptor"], [doc["seq_num"]])
        elif name == "event_page":
            self._add(doc["descriptor"], doc["seq_num"])
        elif name == "bulk_events":
            for descriptor, events in doc.items():
                self._add(descriptor, [event["seq_num"] for event in events])
        elif name == "stream_resource" and is_of_recorder(doc):
            self._own.add(doc["uid"])
            self.version = doc["parameters"]["recorder"].get("version", 0)
        elif name == "stream_datum" and doc["stream_resource"] not in self._own:
            # A detector that writes files of its own emits no events, perhaps.
            numbers = doc["seq_nums"]
            self._points(doc["descriptor"]).update(range(numbers["start"], numbers["stop"]))

    def _add(self, descriptor: str, numbers: list[int]) -> None:
        stream = self._streams.get(descriptor, "primary")
        self.events[stream] = self.events.get(stream, 0) + len(numbers)
        self._points(descriptor).update(numbers)

    def _points(self, descriptor: str) -> set[int]:
        return self._numbers.setdefault(self._streams.get(descriptor, "primary"), set())
