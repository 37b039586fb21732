"""A run in a file of JSON lines."""

from __future__ import annotations

import logging
from contextlib import closing
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast, final

from ._encoding import decoded
from ._errors import (
    DamagedRecordingError,
    FutureVersionError,
    NotARecordingError,
    RecordingError,
)
from ._fidelity import restore
from ._filler import Filler
from ._format import notes_of
from ._integrity import find_gap, shown_lines
from ._notes import CurrentNotes, RunNotes, read_notes
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
        notes = read_notes(notes_of(self.path))
        self.start = self._parse_start(first, notes)
        self.uid = self.start["uid"]
        self.torn = not last.endswith(b"\n")
        self.stop: Document | None = None
        if last != first:
            self.stop = self._parse_stop(last, notes)
        self._end = notes.end
        self._damaged_notes = notes.unreadable
        self._lacks_end = notes.end is None and (notes.version > 1 or notes.is_cut)

    def _parse_start(self, line: bytes, notes: RunNotes) -> Document:
        if not line.endswith(b"\n"):
            # Without the end of its line nobody knows whether more was to come.
            what = "is empty" if not line else "has no complete line"
            message = f"the file {what}: it was cut short, or is no recording"
            raise NotARecordingError(message, file=self.path)
        try:
            name, doc = decoded(line)
        except (ValueError, TypeError) as error:
            message = 'this is no recording: its lines are not of the form ["name", {document}]'
            raise NotARecordingError(message, file=self.path) from error
        is_start = name == "start" and isinstance(doc, dict) and "uid" in doc
        if not is_start or not isinstance(doc.get("time"), (int, float)):
            message = "this is no recording of a run: its first line is no start document"
            raise NotARecordingError(message, file=self.path)
        return _restored(line, notes.of_kind("start"))

    def _parse_stop(self, line: bytes, notes: RunNotes) -> Document | None:
        try:
            name, _ = decoded(line)
        except (ValueError, TypeError):
            return None
        if name != "stop" or not line.endswith(b"\n"):
            return None
        return _restored(line, notes.of_kind("stop"))

    @cached_property
    def _gap(self) -> str | None:
        """What is missing, as far as is known while it is not whole; looked for once."""
        if self._damaged_notes:
            lines = shown_lines(self._damaged_notes)
            return f"of its notes these lines are unreadable: {lines}"
        try:
            return None if self.stop is None else find_gap(self.path, self.stop, self._end)
        except OSError as error:
            return f"the file cannot be read: {error.strerror or error}"

    @property
    def complete(self) -> bool:
        """Whether the run was recorded to its end, and all its documents are there."""
        return self.stop is not None and self._gap is None

    @property
    def problem(self) -> str | None:
        """What is wrong with the recording of this run; arrays are not looked at, see `verify`."""
        if self.torn:
            return (
                f"the last record of {self.path} is cut short (run {self.uid}); "
                "all those before it are readable"
            )
        if self._gap is not None:
            return f"the recording has a gap: {self._gap} ({self.path}, run {self.uid})"
        return super().problem

    def documents(
        self, *, fill: bool = True, skip_damaged: bool = False
    ) -> Iterator[tuple[str, Document]]:
        """Yield the run's documents; see `RecordedRun.documents`."""
        notes = read_notes(notes_of(self.path)) if fill else None
        for _, name, doc in self._sound(notes, skip_damaged=skip_damaged):
            yield name, doc

    def timed_documents(
        self, *, lazy: bool = False, skip_damaged: bool = False
    ) -> Iterator[tuple[float, str, Document]]:
        """Yield the run's documents with their times; see `RecordedRun.timed_documents`."""
        notes = read_notes(notes_of(self.path))
        numbered = self._sound(notes, lazy=lazy, skip_damaged=skip_damaged)
        return with_times(
            (notes.received_at(number, doc), name, doc) for number, name, doc in numbered
        )

    def verify(self) -> tuple[str, ...]:
        """Read everything, and tell what is wrong; see `RecordedRun.verify`."""
        entries = self._entries(read_notes(notes_of(self.path)))
        damages = [str(entry) for entry in entries if isinstance(entry, Exception)]
        if self.problem is not None:
            damages.insert(0, self.problem)
        elif self._lacks_end:
            damages.append(
                "the end of its notes is not there: whether something was changed cannot be told "
                f"({notes_of(self.path)}, run {self.uid})"
            )
        return tuple(dict.fromkeys(damages))  # that a file is gone each of its arrays says

    def _sound(
        self, notes: RunNotes | None, *, skip_damaged: bool, lazy: bool = False
    ) -> Iterator[tuple[int, str, Document]]:
        """Yield the documents; raise what is wrong with the first that is not, or leave it out."""
        said: set[str] = set()
        for entry in self._entries(notes, lazy=lazy):
            if not isinstance(entry, RecordingError):
                yield entry
            elif not skip_damaged:
                raise entry
            elif str(entry) not in said:  # of a file that is gone each array has the same to say
                said.add(str(entry))
                logger.warning("Left out: %s", entry)

    def _entries(
        self, notes: RunNotes | None, *, lazy: bool = False
    ) -> Iterator[tuple[int, str, Document] | RecordingError]:
        """Yield for each line its number, name and document, or what is wrong with it.

        Without notes the documents are those that the lines hold, and arrays are not filled in.
        """
        order = Order(self.path)
        with (
            closing(Filler(self.path, self.uid, lazy=lazy)) as filler,
            self.path.open("rb") as file,
        ):
            current = None if notes is None else CurrentNotes(notes)
            for number, line in enumerate(file):
                if not line.endswith(b"\n"):
                    logger.warning("%s", self.problem)
                    return
                try:
                    name, doc = self._parse(number, line)
                    order.check(number, name, doc)
                    if current is not None:
                        noted = current.on(number, name, doc)
                        if filler.takes(name, doc):
                            continue
                        doc = self._restore(number, filler.fill(name, doc), noted)
                except FutureVersionError:
                    raise
                except RecordingError as error:
                    yield error
                except (LookupError, TypeError, ValueError, AttributeError) as error:
                    yield self._misfit(number, error)
                else:
                    yield number, name, doc

    def _restore(self, number: int, doc: Document, noted: Notes) -> Document:
        try:
            return restore(doc, noted)
        except Exception as error:  # whatever a path or a type that was changed leads to
            message = f"the notes on the document in line {number + 1} do not fit it"
            raise DamagedRecordingError(message, file=notes_of(self.path), run=self.uid) from error

    def _misfit(self, number: int, error: Exception) -> DamagedRecordingError:
        """Make an error of what a document with another key or type leads to."""
        what = f"lacks {error}" if isinstance(error, KeyError) else f"does not fit: {error}"
        message = f"the document in line {number + 1} {what}"
        misfit = DamagedRecordingError(message, file=self.path, run=self.uid)
        misfit.__cause__ = error
        return misfit

    def _parse(self, number: int, line: bytes) -> tuple[str, Document]:
        try:
            name, doc = decoded(line)
            if isinstance(name, str) and isinstance(doc, dict):
                return name, doc
            reason: Exception | None = None
        except (ValueError, TypeError) as error:
            reason = error
        message = (
            f"line {number + 1} is no document; the {number} lines before it were read, and with "
            "skip_damaged=True those behind it can be"
        )
        raise DamagedRecordingError(message, file=self.path, run=self.uid) from reason


def _restored(line: bytes, noted: Notes) -> Document:
    """Return the document of a line; where its notes do not fit it, as JSON has it."""
    doc: Document = decoded(line)[1]
    try:
        return restore(doc, noted)
    except Exception:
        return cast("Document", decoded(line)[1])  # `verify` tells of it


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
