"""Recording documents as they come."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, final

from ._errors import RecordingError
from ._external import ArrayDivider
from ._fidelity import plain
from ._format import NOTES_FILE, check_version, write_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._fidelity import Notes

__all__ = ["Recorder"]

logger = logging.getLogger(__name__)

_COMPRESSIONS: Final = ("gzip", "lzf")
_NAMED_BY_DESCRIPTOR: Final = frozenset({"event", "event_page", "stream_datum", "bulk_events"})


@final
class Recorder:
    """A document callback that writes every run to disk as it comes.

    Subscribe it with ``RE.subscribe(recorder, delivery="queued")``, so that the plan never waits
    for the disk; the plan's future is done only when everything is written.

    A recording is a directory with a file ``<uid>.jsonl`` for each run, one document per line as
    ``["name", {...}]``, and beside it a directory ``<uid>`` with the large arrays in HDF5 files,
    which stream documents point to. Both can be read while they grow, and after a crash at any
    moment: a document is written after all that it refers to, in one piece.

    Runs may be interleaved. It may be called from any thread.

    Parameters
    ----------
    path : str or Path
        The recording's directory. It is made if need be; an existing recording is added to.
    inline_limit : int
        Arrays of up to so many bytes stay in their documents.
    compression : str or Mapping or None
        ``"gzip"`` or ``"lzf"``, or keyword arguments of ``h5py.Group.create_dataset`` that
        choose other filters. `None` writes arrays as they are, which is fastest by far.
    durable : bool
        At the end of each run, wait until the disk itself has the data. Without, a finished run
        survives whatever happens to the process, but not a power cut in the seconds after it.

    Raises
    ------
    RecordingError
        When the directory cannot be made or written to, or holds something else.
    ValueError
        When there is no such compression.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        inline_limit: int = 4096,
        compression: str | Mapping[str, Any] | None = None,
        durable: bool = False,
    ) -> None:
        self.path = Path(path).absolute()
        self._inline_limit = inline_limit
        if isinstance(compression, str):
            if compression not in _COMPRESSIONS:
                message = (
                    f"compression must be one of {', '.join(_COMPRESSIONS)}, or the keyword "
                    f"arguments that choose another filter of h5py, not {compression!r}"
                )
                raise ValueError(message)
            compression = {"compression": compression, "shuffle": True}
        self._compression = dict(compression or {})
        self._durable = durable
        self._lock = threading.Lock()
        """Held for each document; guards all below, and keeps a run's lines in their order."""
        self._runs: dict[str, _RunFile] = {}
        self._owners: dict[str, str] = {}  # uid of a descriptor or resource -> uid of its run
        self._strangers: set[str] = set()
        self._make_directory()

    def _make_directory(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            check_version(self.path)
            write_manifest(self.path)
        except OSError as error:
            message = f"cannot record here: {error.strerror or error}"
            raise RecordingError(message, file=self.path) from error

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Write one document.

        Raises
        ------
        RecordingError
            When it cannot be written, as when the disk is full. What was written before stays
            readable; the rest of the run is not recorded, and the run stays incomplete.
        """
        with self._lock:
            if name == "start":
                self._start(doc)
                return
            for uid in self._owners_of(name, doc):
                run = self._runs[uid]
                run.write(name, doc)
                if name == "stop":
                    self._forget(uid)
                    run.finish(durable=self._durable)

    def _start(self, doc: Mapping[str, Any]) -> None:
        uid = doc["uid"]
        divider = ArrayDivider(self.path / uid, uid, self._inline_limit, self._compression)
        self._runs[uid] = run = _RunFile(self.path, uid, divider)
        run.open()
        run.write("start", doc)

    def _owners_of(self, name: str, doc: Mapping[str, Any]) -> list[str]:
        """Return the runs that a document belongs to: one, but for old resources."""
        if name in _NAMED_BY_DESCRIPTOR and "descriptor" in doc:
            uid = self._owners.get(doc["descriptor"])
        elif name in ("datum", "datum_page"):
            uid = self._owners.get(doc["resource"])
        else:
            uid = doc.get("run_start")
            if uid is None and name in ("resource", "stream_resource") and len(self._runs) == 1:
                uid = next(iter(self._runs))
            if uid is not None and "uid" in doc and name != "stop":
                self._owners[doc["uid"]] = uid
        if uid in self._runs:
            return [uid]
        if uid is None and name in ("resource", "datum", "datum_page"):
            return list(self._runs)  # it does not say whose it is, so none may miss it
        self._report_stranger(name, str(uid))
        return []

    def _report_stranger(self, name: str, uid: str) -> None:
        if uid not in self._strangers:
            self._strangers.add(uid)
            logger.warning(
                "A %s document belongs to a run (%s) whose start was not seen, because the "
                "recorder was subscribed later or because it failed: not recorded in %s",
                name,
                uid,
                self.path,
            )

    def _forget(self, uid: str) -> None:
        del self._runs[uid]
        self._owners = {key: owner for key, owner in self._owners.items() if owner != uid}

    def attach(self, engine: Any) -> Callable[[], None]:
        """Subscribe to an engine with queued delivery, and return a function that undoes it."""
        token = engine.subscribe(self, delivery="queued")
        return lambda: engine.unsubscribe(token)

    def close(self) -> None:
        """Close the files of runs that have not ended; they stay incomplete. Idempotent."""
        with self._lock:
            for uid, run in list(self._runs.items()):
                self._forget(uid)
                run.finish(durable=self._durable)

    def __enter__(self) -> Self:
        """Return the recorder."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close it."""
        self.close()


class _RunFile:
    """The files of one run. The recorder's lock guards it."""

    def __init__(self, folder: Path, uid: str, divider: ArrayDivider) -> None:
        self.uid = uid
        self.path = folder / f"{uid}.jsonl"
        self._divider = divider
        self._documents = _AppendOnly(self.path)
        self._notes = _AppendOnly(folder / uid / NOTES_FILE)
        self._lines = 0
        self._last_notes: dict[str, Notes] = {}
        self._failed = False

    def open(self) -> None:
        try:
            self._documents.open()
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
        if self._failed:
            return  # said once; a run with a gap must not look whole
        try:
            self._write(name, doc)
        except OSError as error:
            self._failed = True
            raise self._error(name, error) from error
        except BaseException:
            self._failed = True
            raise

    def _write(self, name: str, doc: Mapping[str, Any]) -> None:
        documents, notes = self._divider(name, doc)
        if name == "stop":
            self._divider.close()
        lines = []
        for part_name, part in documents[:-1]:
            lines.append(json.dumps([part_name, part]))
        type_notes: Notes = []
        lines.append(json.dumps([name, plain(documents[-1][1], type_notes)]))
        # What was done last is undone first.
        self._write_notes(name, doc, type_notes + notes, self._lines + len(lines) - 1)
        self._documents.write("\n".join(lines) + "\n")
        self._lines += len(lines)

    def _write_notes(self, name: str, doc: Mapping[str, Any], notes: Notes, line: int) -> None:
        kind = f"{name} {doc['descriptor']}" if name in _NAMED_BY_DESCRIPTOR else name
        note: dict[str, Any] = {}
        if self._last_notes.get(kind, []) != notes:
            # Most events are of the same types as the one before: a note holds until the next.
            self._last_notes[kind] = notes
            note = {"kind": kind, "notes": notes}
        if "time" not in doc:
            note["received"] = time.time()
        if note:
            self._notes.write(json.dumps({"line": line, **note}) + "\n")

    def finish(self, *, durable: bool) -> None:
        try:
            self._divider.close(durable=durable)
        except OSError as error:
            if not self._failed:
                raise self._error("stop", error) from error
        finally:
            self._notes.close(durable=durable)
            self._documents.close(durable=durable)

    def _error(self, name: str, error: OSError) -> RecordingError:
        message = (
            f"cannot record a document ({name}): {error.strerror or error}. What was recorded "
            "before is intact and readable; the rest of this run is not recorded"
        )
        return RecordingError(message, file=self.path, run=self.uid)


class _AppendOnly:
    """A file to which whole texts are added: each is in it completely, or not at all."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1
        self._size = 0

    def open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        self._fd = os.open(self._path, flags, 0o666)

    def write(self, text: str) -> None:
        if self._fd < 0:
            self.open()
        rest = memoryview(text.encode())
        total = len(rest)
        try:
            # No buffer: what is written is the kernel's, and outlives this process.
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._size)
                os.lseek(self._fd, self._size, os.SEEK_SET)
            raise
        self._size += total

    def close(self, *, durable: bool) -> None:
        if self._fd < 0:
            return
        try:
            if durable:
                os.fsync(self._fd)
        finally:
            os.close(self._fd)
            self._fd = -1
