"""A run in a file of JSON lines."""

from __future__ import annotations

import json
import logging
from contextlib import closing
from typing import TYPE_CHECKING, Any, final

from ._errors import DamagedRecordingError, NotARecordingError
from ._fidelity import restore
from ._filler import Filler
from ._format import NOTES_FILE
from ._order import Order
from ._run import RecordedRun, with_times

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ._fidelity import Notes
    from ._run import Document

__all__ = ["FileRun"]

logger = logging.getLogger(__name__)


@final
class FileRun(RecordedRun):
    """A run in a file of JSON lines.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    NotARecordingError
        When it holds no run.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.origin = str(path)
        try:
            with path.open("rb") as file:
                first = file.readline()
                last = _last_line(file)
        except OSError as error:
            message = f"the file cannot be read: {error.strerror or error}"
            raise NotARecordingError(message, file=path) from error
        self.start = self._parse_start(first)
        self.uid = self.start["uid"]
        self.torn = not last.endswith(b"\n")
        self.stop: Document | None = None
        if last != first:
            self.stop = self._parse_stop(last)

    def _parse_start(self, line: bytes) -> Document:
        if not line.endswith(b"\n"):
            # Without the end of its line nobody knows whether more was to come.
            what = "is empty" if not line else "has no complete line"
            message = f"the file {what}: it was cut short, or is no recording"
            raise NotARecordingError(message, file=self.path)
        try:
            name, doc = json.loads(line)
        except (ValueError, TypeError) as error:
            message = 'this is no recording: its lines are not of the form ["name", {document}]'
            raise NotARecordingError(message, file=self.path) from error
        if name != "start" or not isinstance(doc, dict) or not {"uid", "time"} <= doc.keys():
            message = "this is no recording of a run: its first line is no start document"
            raise NotARecordingError(message, file=self.path)
        start: Document = doc
        for kind, notes in self._read_notes().get(0, []):
            if kind == "start":
                start = restore(start, notes)
        return start

    def _parse_stop(self, line: bytes) -> Document | None:
        try:
            name, doc = json.loads(line)
        except (ValueError, TypeError):
            return None
        if name != "stop" or not line.endswith(b"\n"):
            return None
        entries = [notes for per in self._read_notes().values() for k, notes in per if k == "stop"]
        stop: Document = doc
        return restore(stop, entries[-1]) if entries else stop

    @property
    def problem(self) -> str | None:
        """What is wrong with the recording of this run."""
        if self.torn:
            return (
                f"the last record of {self.path} is cut short (run {self.uid}); "
                "all those before it are readable"
            )
        return super().problem

    def documents(self, *, fill: bool = True) -> Iterator[tuple[str, Document]]:
        """Yield the run's documents; see `RecordedRun.documents`."""
        for _, name, doc in self._documents(fill=fill):
            yield name, doc

    def timed_documents(self, *, lazy: bool = False) -> Iterator[tuple[float, str, Document]]:
        """Yield the run's documents with their times; see `RecordedRun.timed_documents`."""
        received = self._received()
        numbered = self._documents(fill=True, lazy=lazy)
        return with_times((received.get(number), name, doc) for number, name, doc in numbered)

    def _documents(self, *, fill: bool, lazy: bool = False) -> Iterator[tuple[int, str, Document]]:
        order = Order(self.path)
        notes = self._read_notes() if fill else {}
        with (
            closing(Filler(self.path, self.uid, lazy=lazy)) as filler,
            self.path.open("rb") as file,
        ):
            current: dict[str, Notes] = {}
            for number, line in enumerate(file):
                if not line.endswith(b"\n"):
                    logger.warning("%s", self.problem)
                    return
                name, doc = self._parse(number, line)
                order.check(number, name, doc)
                if not fill:
                    yield number, name, doc
                    continue
                current.update(notes.get(number, []))
                if filler.takes(name, doc):
                    continue
                doc = filler.fill(name, doc)
                kind = f"{name} {doc['descriptor']}" if "descriptor" in doc else name
                yield number, name, restore(doc, current.get(kind, []))

    def _parse(self, number: int, line: bytes) -> tuple[str, Document]:
        try:
            name, doc = json.loads(line)
        except (ValueError, TypeError) as error:
            message = (
                f"line {number + 1} is no document; the {number} lines before it were read, "
                "and what follows it cannot be trusted"
            )
            raise DamagedRecordingError(message, file=self.path, run=self.uid) from error
        return name, doc

    def _read_notes(self) -> dict[int, list[tuple[str, Notes]]]:
        """Return, for each line, the notes that hold from it on, by the kind of document."""
        path = self.path.with_suffix("") / NOTES_FILE
        result: dict[int, list[tuple[str, Notes]]] = {}
        for entry in _complete_json_lines(path):
            if "notes" in entry:
                result.setdefault(entry["line"], []).append((entry["kind"], entry["notes"]))
        return result

    def _received(self) -> dict[int, float]:
        """Return when the documents that carry no time were received, by their line."""
        path = self.path.with_suffix("") / NOTES_FILE
        return {
            entry["line"]: entry["received"]
            for entry in _complete_json_lines(path)
            if "received" in entry
        }


def _complete_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                return
            try:
                yield json.loads(line)
            except ValueError:
                return


def _last_line(file: Any) -> bytes:
    """Return the last line of an open binary file, with its end if it has one."""
    position = file.seek(0, 2)
    tail = b""
    while position > 0:
        step = min(65536, position)
        position = file.seek(position - step)
        tail = file.read(step) + tail
        start = tail.rfind(b"\n", 0, len(tail) - 1)
        if start >= 0:
            return bytes(tail[start + 1 :])
    return tail
