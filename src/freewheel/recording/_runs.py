"""Reading recordings."""

from __future__ import annotations

import json
import logging
from abc import ABC, abstractmethod
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, final
from urllib.parse import unquote, urlparse
from urllib.request import url2pathname

from ._arrays import ArrayReader
from ._errors import (
    DamagedRecordingError,
    FutureVersionError,
    MissingArrayError,
    NotARecordingError,
    RecordingError,
)
from ._external import FORMAT_VERSION, RECORDER
from ._fidelity import restore
from ._lazy import LazyArray
from ._recorder import MANIFEST, NOTES_FILE, check_version

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping

    from ._fidelity import Notes

__all__ = ["MemoryRun", "RecordedRun", "path_of_uri", "read_runs"]

logger = logging.getLogger(__name__)

Document = dict[str, Any]


class RecordedRun(ABC):
    """A run that was recorded: to a directory, to a Tiled server, or in memory.

    Immutable; may be used from any thread, an iterator of it from one at a time.

    Attributes
    ----------
    uid : str
        The run's unique id.
    start : dict
        Its start document.
    stop : dict or None
        Its stop document; `None` when the run was not recorded to its end.
    origin : str
        The file or address that it was read from, for messages.
    """

    uid: str
    start: Document
    stop: Document | None
    origin: str

    @property
    def complete(self) -> bool:
        """Whether the run was recorded to its end."""
        return self.stop is not None

    @property
    def problem(self) -> str | None:
        """What is wrong with the recording of this run, as far as is known; `None` if nothing."""
        return None if self.complete else "the run was not recorded to its end"

    @abstractmethod
    def documents(self, *, fill: bool = True) -> Iterator[tuple[str, Document]]:
        """Yield the run's documents as they were emitted, in that order.

        Parameters
        ----------
        fill : bool
            Put the arrays in place. Without, the documents come as they are stored: valid, with
            stream documents that point to the array files.

        Yields
        ------
        name, document
            The documents are the caller's own.

        Raises
        ------
        RecordingError
            At the first document that cannot be given, after all those before it.
        """

    def timed_documents(self, *, lazy: bool = False) -> Iterator[tuple[float, str, Document]]:
        """Yield ``(time, name, document)``, with the time of emission in seconds since the epoch.

        For a document that carries no time it is when it was recorded, or that of the one
        before. The times never decrease. Raises what `documents` raises. With ``lazy``, large
        arrays may be `LazyArray` objects, which read them when they are asked to.
        """
        del lazy
        return _with_times((None, name, doc) for name, doc in self.documents())

    def __repr__(self) -> str:
        """Say which run it is."""
        plan = self.start.get("plan_name", "?")
        state = "" if self.complete else ", incomplete"
        return f"<{type(self).__name__} {self.uid[:8]} {plan}{state}>"


@final
class MemoryRun(RecordedRun):
    """A run whose documents are at hand.

    Parameters
    ----------
    documents : iterable of (name, document)
        The documents, the start document first.

    Raises
    ------
    DamagedRecordingError
        When the first is no start document.
    """

    def __init__(self, documents: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        self._documents = [(name, dict(doc)) for name, doc in documents]
        self.origin = "memory"
        if not self._documents or self._documents[0][0] != "start":
            message = "the documents of a run begin with a start document"
            raise DamagedRecordingError(message)
        self.start = self._documents[0][1]
        self.uid = self.start["uid"]
        last_name, last = self._documents[-1]
        self.stop = last if last_name == "stop" else None

    def documents(self, *, fill: bool = True) -> Iterator[tuple[str, Document]]:
        """Yield the documents; they are in place always."""
        del fill
        for name, doc in self._documents:
            yield name, dict(doc)


def read_runs(path: str | os.PathLike[str], **options: Any) -> list[RecordedRun]:
    """Open a recording.

    Parameters
    ----------
    path : str or Path
        A recording's directory, one ``.jsonl`` file of a run, or the ``http(s)`` address of a
        Tiled server. Files written by suitcase-jsonl are read as well.
    **options
        For a Tiled server: see `read_tiled_runs`.

    Returns
    -------
    list of RecordedRun
        In the order in which they started. A run that is incomplete is among them; one of which
        not even the start document is whole is not, and is logged.

    Raises
    ------
    NotARecordingError
        When there is no recording.
    FutureVersionError
        When a later version wrote it.
    """
    text = str(path)
    if text.startswith(("http://", "https://")):
        from ._tiled import read_tiled_runs

        return read_tiled_runs(text, **options)
    if options:
        message = f"the options {', '.join(options)} are for a Tiled server, and this is a path"
        raise TypeError(message)
    path = Path(path)
    if path.is_dir():
        return _read_directory(path)
    if not path.exists():
        message = "there is no such file or directory"
        raise NotARecordingError(message, file=path)
    check_version(path.parent)
    return [_FileRun(path)]


def _read_directory(folder: Path) -> list[RecordedRun]:
    check_version(folder)
    files = sorted(folder.glob("*.jsonl"))
    if not files and not (folder / MANIFEST).exists():
        message = "this directory holds no recording: neither a manifest nor any .jsonl file"
        raise NotARecordingError(message, file=folder)
    runs: list[RecordedRun] = []
    failures: list[RecordingError] = []
    for file in files:
        try:
            runs.append(_FileRun(file))
        except FutureVersionError:
            raise
        except RecordingError as error:
            failures.append(error)
            logger.warning("Skipped: %s", error)
    if failures and not runs and not (folder / MANIFEST).exists():
        raise failures[0]
    return sorted(runs, key=lambda run: run.start["time"])


class _FileRun(RecordedRun):
    """A run in a file of JSON lines."""

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
        return _with_times((received.get(number), name, doc) for number, name, doc in numbered)

    def _documents(self, *, fill: bool, lazy: bool = False) -> Iterator[tuple[int, str, Document]]:
        order = _Order(self.path)
        notes = self._read_notes() if fill else {}
        with (
            closing(_Filler(self.path, self.uid, lazy=lazy)) as filler,
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


def _with_times(
    documents: Iterable[tuple[float | None, str, Document]],
) -> Iterator[tuple[float, str, Document]]:
    latest = 0.0
    for received, name, doc in documents:
        own = doc.get("time", received)
        if isinstance(own, (list, tuple)):
            own = max(own, default=None)  # a page is emitted when its last event is complete
        if own is not None:
            latest = max(latest, own)
        yield latest, name, doc


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


class _Order:
    """Checks that each document comes after those that it refers to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._run: str | None = None
        self._known: set[str] = set()
        self._stopped = False

    def check(self, number: int, name: str, doc: Document) -> None:
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


class _Filler:
    """Puts arrays back into the events that they were taken out of."""

    def __init__(self, path: Path, run: str, *, lazy: bool) -> None:
        self._folder = path.with_suffix("")
        self._lazy = lazy
        self._reader = ArrayReader(run)
        self._run = run
        self._resources: dict[str, tuple[Path, str, str]] = {}
        self._frames: dict[str, list[tuple[str, str, range]]] = {}

    def takes(self, name: str, doc: Document) -> bool:
        """Keep a document that the recorder added; tell whether it was one."""
        if name == "stream_resource":
            about = doc["parameters"].get("recorder")
            if not isinstance(about, dict) or about.get("name") != RECORDER:
                return False
            if about.get("version", 0) > FORMAT_VERSION:
                message = (
                    f"these arrays have format version {about['version']}, and this version of "
                    f"freewheel reads up to {FORMAT_VERSION}: install a newer freewheel"
                )
                raise FutureVersionError(message, file=doc["uri"], run=self._run)
            self._resources[doc["uid"]] = self._locate(doc)
            return True
        if name == "stream_datum" and doc["stream_resource"] in self._resources:
            event, _, key = doc["uid"].partition("/")
            frames = range(doc["indices"]["start"], doc["indices"]["stop"])
            self._frames.setdefault(event, []).append((key, doc["stream_resource"], frames))
            return True
        return False

    def _locate(self, doc: Document) -> tuple[Path, str, str]:
        path = path_of_uri(doc["uri"])
        # A recording that was moved has its arrays still beside its documents.
        beside = self._folder / path.name
        chosen = beside if beside.exists() or not path.exists() else path
        return chosen, doc["parameters"]["dataset"], doc["data_key"]

    def fill(self, name: str, doc: Document) -> Document:
        if name not in ("event", "event_page") or not self._frames:
            return doc
        uid = doc["uid"] if name == "event" else next(iter(doc["uid"]), "")
        for key, resource, frames in self._frames.pop(uid, ()):
            path, dataset, _ = self._resources[resource]
            times = [self._reader.timestamp(path, index, key) for index in frames]
            arrays: list[Any] = [
                LazyArray(self._reader, path, dataset, index, key) for index in frames
            ]
            if not self._lazy:
                arrays = [array.load() for array in arrays]
            doc["data"][key] = arrays if name == "event_page" else arrays[0]
            doc["timestamps"][key] = times if name == "event_page" else times[0]
        return doc

    def close(self) -> None:
        if not self._lazy:  # else the arrays keep the reader, and it closes with the last of them
            self._reader.close()


def path_of_uri(uri: str) -> Path:
    """Return the path that a ``file:`` URI names.

    Raises
    ------
    MissingArrayError
        When the URI is of another kind.
    """
    parts = urlparse(uri)
    if parts.scheme != "file":
        message = f"only file: addresses can be read, and this is {uri}"
        raise MissingArrayError(message, file=uri)
    return Path(url2pathname(unquote(parts.path)))
