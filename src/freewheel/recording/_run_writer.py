"""Writing one run: its documents, the notes beside them, its arrays."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections import Counter
from itertools import groupby, repeat
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from ._checksums import running_checksum
from ._encoding import encoded, encoded_lines
from ._errors import RecordingError
from ._fidelity import plain
from ._format import FORMAT_VERSION, NOTES_FILE, RESERVE_FILE, document_id
from ._plain_events import are_plain_events

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ._external import ArrayDivider
    from ._fidelity import Notes

__all__ = ["NAMED_BY_DESCRIPTOR", "RunWriter"]

NAMED_BY_DESCRIPTOR: Final = frozenset({"event", "event_page", "stream_datum", "bulk_events"})

_RESERVED: Final = 1 << 20  # bytes: more than a batch of documents takes, as a rule

_DESCRIPTOR: Final = itemgetter("descriptor")
_RESOURCE: Final = "stream_resource"


class RunWriter:
    """The files of one run. The recorder's lock guards it.

    What is written is on its way to the disk when `flush` returns; until then it is in memory,
    but for arrays.

    Parameters
    ----------
    folder : Path
        The recording's directory.
    uid : str
        The run's unique id.
    divider : ArrayDivider
        What takes the large arrays out.
    durable : bool
        At the end, wait until the disk itself has it.
    """

    def __init__(self, folder: Path, uid: str, divider: ArrayDivider, *, durable: bool) -> None:
        self.uid = uid
        self._durable = durable
        self.path = folder / f"{uid}.jsonl"
        self._divider = divider
        self._documents = _AppendOnly(self.path)
        self._notes = _AppendOnly(folder / uid / NOTES_FILE)
        self._block: list[tuple[str, Mapping[str, Any]]] = []  # taken, and no lines yet
        self._lines = 0
        self._events: Counter[str] = Counter()  # by the descriptor's uid
        self._plain: set[str] = set()  # uids of descriptors whose events may be taken as they are
        self._streams: dict[str, str] = {}  # by the descriptor's uid, its stream
        self._last_notes: dict[str, Notes] = {}  # by kind of document
        self._reserve = _Reserve(folder / uid / RESERVE_FILE)
        self._failed = False

    def open(self) -> None:
        """Make the file.

        Raises
        ------
        RecordingError
            When the run is recorded already, or the disk refuses.
        """
        try:
            self._documents.open()
            self._notes.write(encoded({"version": FORMAT_VERSION, "run": self.uid}) + b"\n")
            self._notes.flush()
        except FileExistsError as error:
            self._failed = True
            message = (
                "this run is in the recording already; give the recorder another directory "
                "(a replay emits the documents of a run under their old uids)"
            )
            raise RecordingError(message, file=self.path, run=self.uid) from error
        except OSError as error:
            self._failed = True
            raise self._error("start", error) from error

    def write(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take a document.

        Raises
        ------
        RecordingError
            When an array of it cannot be written. What was taken before is still to be flushed.
        """
        if self._failed:
            return  # said once; a run with a gap must not look whole
        try:
            self._write(name, doc)
        except OSError as error:
            self._failed = True
            self._reserve.release()  # the arrays before it will be there: so must their documents
            raise self._error(name, error) from error
        except BaseException:
            self._failed = True
            raise

    def write_events(self, docs: Sequence[Mapping[str, Any]]) -> None:
        """Take events; all at once if JSON holds them as they are, and there is nothing to note.

        Raises
        ------
        RecordingError
            As `write`.
        """
        for _, group in groupby(docs, _DESCRIPTOR):
            events = list(group)
            if self._take(events):
                continue
            self.write("event", events[0])  # which may make a file for all
            if not self._take(events[1:]):
                for doc in events[1:]:
                    self.write("event", doc)

    def _take(self, docs: Sequence[Mapping[str, Any]]) -> bool:
        """Take events of one descriptor at once, if they are as they usually are."""
        if not docs or self._failed:
            return not docs
        descriptor = docs[0]["descriptor"]
        if descriptor not in self._plain:
            return False
        if self._divider.takes_from(descriptor):
            divided = self._divider.divide_events(docs)
            if divided is None:
                return False
            self._block.extend(divided)
        elif are_plain_events(docs):
            self._block.extend(zip(repeat("event"), docs))
        else:
            return False
        self._events[descriptor] += len(docs)
        return True

    def _write(self, name: str, doc: Mapping[str, Any]) -> None:
        documents, notes = self._divider(name, doc)
        if name == "stop":
            self._flush_arrays()
            self._divider.close(durable=self._durable)
        type_notes: Notes = []
        changed = documents[-1][1]
        if name != "event" or not are_plain_events((changed,)):
            changed = plain(changed, type_notes)
        self._block.extend(documents[:-1])
        # What was done last is undone first.
        self._note(name, doc, type_notes + notes)
        self._block.append((name, changed))
        self._count(name, doc)

    def _note(self, name: str, doc: Mapping[str, Any], notes: Notes) -> None:
        kind = f"{name} {doc['descriptor']}" if name in NAMED_BY_DESCRIPTOR else name
        note: dict[str, Any] = {}
        if self._last_notes.get(kind, []) != notes:
            # Most events are of the same types as the one before: a note holds until the next.
            self._last_notes[kind] = notes
            if name == "event":
                self._expect_plain_events(doc["descriptor"])
            note = {"kind": kind, "notes": notes}
        if "time" not in doc:
            note["received"] = time.time()
        if note:
            # By its id a document is known, though a line before it should be lost.
            about = {"line": self._lines + len(self._block), "id": document_id(doc), **note}
            self._notes.write(encoded(about) + b"\n")

    def _count(self, name: str, doc: Mapping[str, Any]) -> None:
        if name == "descriptor":
            self._streams[doc["uid"]] = doc.get("name", "primary")
            self._events[doc["uid"]] += 0
            self._expect_plain_events(doc["uid"])
            if self._divider.takes_from(doc["uid"]):
                self._reserve.take()
        elif name in ("event", "event_page"):
            self._events[doc["descriptor"]] += 1 if name == "event" else len(doc["seq_num"])

    def _expect_plain_events(self, descriptor: str) -> None:
        """Find out whether the next event of a descriptor may be written as it comes."""
        if self._last_notes.get(f"event {descriptor}"):
            self._plain.discard(descriptor)
        else:
            self._plain.add(descriptor)

    @property
    def has_arrays_to_write(self) -> bool:
        """Whether `flush` has to wait for arrays."""
        return self._divider.has_arrays_to_write

    def wait_for_arrays(self) -> None:
        """Do of `flush` what takes long and needs nothing of Python."""
        self._divider.wait()

    def flush(self) -> None:
        """Give all that was taken to the operating system; it outlives this process then.

        Raises
        ------
        RecordingError
            When that is not possible. What fits is there, in whole lines.
        """
        if self._deleted and not self._failed:  # told of now, and not at the end of a long run
            self._failed = True
            self._block.clear()  # what is left of it must not look whole
            raise self._error("event", _deleted())
        failures: list[OSError] = []
        # In this order: a document comes after all that it refers to.
        for step in (self._flush_arrays, self._notes.flush, self._flush_documents):
            try:
                step()
            except OSError as error:
                failures.append(error)
        if failures and not self._failed:
            self._failed = True
            raise self._error("event", failures[0]) from failures[0]

    @property
    def _deleted(self) -> Path | None:
        """A file of the run that somebody has deleted: the arrays are large, and in a folder."""
        own = (file.path for file in (self._documents, self._notes) if file.is_deleted)
        return next(own, None) or self._divider.deleted

    def _flush_arrays(self) -> None:
        try:
            self._divider.flush()
        except OSError:
            self._reserve.release()  # what arrays are there: so must be their documents
            self._leave_out_what_lacks()
            raise

    def _leave_out_what_lacks(self) -> None:
        """Drop the first event whose arrays could not be written, and all after it."""
        block = self._block
        end = next((i for i, each in enumerate(block) if self._divider.lacks(*each)), len(block))
        if end < len(block):
            numbers = block[end][1]["seq_nums"]
            # With it all that was to come before it.
            while end and (
                block[end - 1][0] == _RESOURCE or block[end - 1][1].get("seq_nums") == numbers
            ):
                end -= 1
        del block[end:]

    def _flush_documents(self) -> None:
        try:
            self._encode()
        finally:
            self._documents.flush()

    def _encode(self) -> None:
        """Make lines of what was taken; those before one that cannot be made are kept."""
        block, self._block = self._block, []
        lines = encoded_lines(block) if block else b""
        if lines is not None:
            self._documents.write(lines)
            self._lines += len(block)
            return
        for document in block:
            try:
                self._documents.write(encoded(document) + b"\n")
            except Exception:
                self._failed = True
                raise
            self._lines += 1

    def finish(self, *, whole: bool) -> None:
        """Close the files.

        Parameters
        ----------
        whole : bool
            The stop document was written: say of what the recording consists.

        Raises
        ------
        RecordingError
            When what was still in memory could not be written.
        """
        try:
            self._divider.close(durable=self._durable)
            if self._deleted:
                raise _deleted()
            if whole and not self._failed:
                self._notes.flush()  # the end says what is before it
                self._notes.write(encoded({"end": self._summary()}) + b"\n")
                self._notes.flush()
        except OSError as error:
            if not self._failed:
                self._failed = True
                raise self._error("stop", error) from error
        finally:
            self._reserve.release()
            self._notes.close(durable=self._durable)
            self._documents.close(durable=self._durable)

    def _summary(self) -> dict[str, Any]:
        events: dict[str, int] = {}
        for descriptor, count in self._events.items():
            stream = self._streams.get(descriptor, "primary")
            events[stream] = events.get(stream, 0) + count
        return {
            "lines": self._lines,
            "bytes": self._documents.size,
            "xxh3_64": self._documents.checksum.hexdigest(),
            "events": events,
            "notes": {
                "bytes": self._notes.size,
                "xxh3_64": self._notes.checksum.hexdigest(),
            },
        }

    def _error(self, name: str, error: OSError) -> RecordingError:
        kept = "What was recorded before is intact and readable; the rest of this run"
        deleted = self._deleted
        if deleted:
            kept = "This run"
        message = (
            f"cannot record a document ({name}): {error.strerror or error}. {kept} is not recorded"
        )
        return RecordingError(message, file=deleted or self.path, run=self.uid)


def _deleted() -> OSError:
    return OSError(errno.ENOENT, "its file was deleted meanwhile")


class _Reserve:
    """Room on the disk for documents, while arrays fill it: they come a little later.

    Parameters
    ----------
    path : Path
        A file of zeros.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._taken = False

    def take(self) -> None:
        """Take the room, if it is not taken yet, and if there is any."""
        if self._taken:
            return
        self._taken = True
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_bytes(bytes(_RESERVED))
        except OSError:
            self.release()  # what comes next will say that the disk is full

    def release(self) -> None:
        """Give it back; idempotent."""
        if self._taken:
            self._taken = False
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)


class _AppendOnly:
    """A file to which lines are added: each is in it completely, or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1
        self._waiting: list[bytes] = []
        self.size = 0
        self.checksum = running_checksum()  # of what is in it

    @property
    def is_deleted(self) -> bool:
        """Whether what was written is in no folder any more, and so lost when it is closed."""
        return self._fd >= 0 and not os.fstat(self._fd).st_nlink

    def open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        self._fd = os.open(self.path, flags, 0o666)

    def write(self, line: bytes) -> None:
        self._waiting.append(line)

    def flush(self) -> None:
        """Write the lines that wait."""
        if not self._waiting:
            return
        if self._fd < 0:
            self.open()
        data = b"".join(self._waiting)
        self._waiting.clear()
        done = 0
        try:
            # One call, as a rule, and no buffer: what is written is the kernel's.
            while done < len(data):
                done += os.write(self._fd, memoryview(data)[done:])
        except OSError:
            whole = self.size + data.rfind(b"\n", 0, done) + 1
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, whole)
                os.lseek(self._fd, whole, os.SEEK_SET)
            self.size = whole
            raise
        self.size += done
        self.checksum.update(data)

    def close(self, *, durable: bool) -> None:
        if self._fd < 0:
            return
        try:
            if durable:
                os.fsync(self._fd)
        finally:
            os.close(self._fd)
            self._fd = -1
