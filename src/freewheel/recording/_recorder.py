"""Recording documents as they come."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections import defaultdict
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, final

from ._errors import RecordingError, raise_first
from ._external import ArrayDivider
from ._format import check_version, write_manifest
from ._run_writer import NAMED_BY_DESCRIPTOR, RunWriter

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

__all__ = ["Recorder"]

logger = logging.getLogger(__name__)

_COMPRESSIONS: Final = ("gzip", "lzf")

#: A quick disk takes documents at once, which is less work than to pass Python's lock on; but an
#: engine does not stand by for a slow one for more than this part of its time.
_SHARE: Final = 0.05


@final
class Recorder:
    """A document callback that writes every run to disk as it comes.

    Subscribe it with ``RE.subscribe(recorder, delivery="queued")``, so that the plan does
    not wait for the disk; the plan's future is done only when everything is written.

    A recording is a directory with a file ``<uid>.jsonl`` for each run, one document per line as
    ``["name", {...}]``, and beside it a directory ``<uid>`` with the large arrays in HDF5 files,
    which stream documents point to. Both can be read while they grow, and after a crash at any
    moment: a document is written after all that it refers to, in one piece. At its end a run's
    counts and checksums are written, and each array's with it: what is lost or changed later is
    found. The format is in the documentation, byte by byte.

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
        When there is no such compression, or ``inline_limit`` is negative.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        inline_limit: int = 4096,
        compression: str | Mapping[str, Any] | None = None,
        durable: bool = False,
    ) -> None:
        if inline_limit < 0:
            raise ValueError(f"inline_limit is a number of bytes, 0 or more, not {inline_limit!r}")
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
        self._runs: dict[str, RunWriter] = {}
        self._owners: dict[str, str] = {}  # uid of a descriptor or resource -> uid of its run
        self._strangers: set[str] = set()
        # Until when the disk has had its share; of the thread that begins batches.
        self._flush_later_until = 0.0
        self._make_directory()

    @property
    def writes_to(self) -> Path:
        """The folder that it fills, for those who ask how much room there is."""
        return self.path

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
        self.take_batch([(name, doc)])

    def take_batch(self, documents: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Write several documents at once, which takes less time than one by one.

        What a document says, and all before it, is the operating system's when this returns.

        Parameters
        ----------
        documents : sequence of (name, document)
            In their order; of any runs.

        Raises
        ------
        RecordingError
            The first failure, as of a single document. The other documents are written.
        """
        self.begin_batch(documents)()()

    def begin_batch(
        self, documents: Sequence[tuple[str, Mapping[str, Any]]]
    ) -> Callable[[], Callable[[], None]]:
        """Take several documents, and return two functions for what is left of `take_batch`.

        The first waits for arrays, and needs nothing of Python. It returns the second, which writes
        what is left and is short. An engine stands by for this and for that, and goes on between.
        """
        failures: list[BaseException] = []
        self._all_of(self._steps(documents), failures)
        began = time.monotonic()
        if began >= self._flush_later_until:
            self._all_of(self._flushes(of_documents_alone=True), failures)
            self._flush_later_until = began + (time.monotonic() - began) / _SHARE
        return partial(self._wait_for_arrays, failures)

    def _wait_for_arrays(self, failures: list[BaseException]) -> Callable[[], None]:
        self._all_of(self._waits(), failures)
        return partial(self._finish_batch, failures)

    def _finish_batch(self, failures: list[BaseException]) -> None:
        self._all_of(self._flushes(), failures)
        raise_first(failures)

    def _all_of(self, steps: Iterable[Callable[[], None]], failures: list[BaseException]) -> None:
        with self._lock:
            for step in steps:
                try:
                    step()
                except Exception as error:
                    failures.append(error)

    def _steps(
        self, documents: Iterable[tuple[str, Mapping[str, Any]]]
    ) -> Iterator[Callable[[], None]]:
        """Yield what takes the documents, in their order: many events of a run at once."""
        for name, group in groupby(documents, itemgetter(0)):
            docs = [doc for _, doc in group]
            if name == "event":
                by_run, docs = self._by_run(docs)
                for run, events in by_run.items():
                    yield partial(run.write_events, events)
            for doc in docs:
                yield partial(self._take, name, doc)

    def _by_run(
        self, events: list[Mapping[str, Any]]
    ) -> tuple[dict[RunWriter, list[Mapping[str, Any]]], list[Mapping[str, Any]]]:
        """Sort events by the runs that they belong to; return apart what belongs to none."""
        by_run: defaultdict[RunWriter, list[Mapping[str, Any]]] = defaultdict(list)
        others: list[Mapping[str, Any]] = []
        known = {
            descriptor: self._runs.get(self._owners.get(descriptor, ""))
            for descriptor in {event.get("descriptor", "") for event in events}
        }
        if len(known) == 1:  # as a rule
            (run,) = known.values()
            return ({}, events) if run is None else ({run: events}, others)
        for event in events:
            run = known[event.get("descriptor", "")]
            (others if run is None else by_run[run]).append(event)
        return by_run, others

    # A generator function, so that it looks at the runs once the lock is held.
    def _waits(self) -> Iterator[Callable[[], None]]:
        for run in self._runs.values():
            yield run.wait_for_arrays

    def _flushes(self, *, of_documents_alone: bool = False) -> Iterator[Callable[[], None]]:
        for run in self._runs.values():
            if not (of_documents_alone and run.has_arrays_to_write):
                yield run.flush

    def _take(self, name: str, doc: Mapping[str, Any]) -> None:
        if name == "start":
            self._start(doc)
            return
        for uid in self._owners_of(name, doc):
            run = self._runs[uid]
            try:
                run.write(name, doc)
            finally:
                if name == "stop":
                    self._forget(uid)
                    self._end(run, whole=True)

    def _end(self, run: RunWriter, *, whole: bool) -> None:
        try:
            run.flush()
        finally:
            run.finish(whole=whole)

    def _start(self, doc: Mapping[str, Any]) -> None:
        uid = doc["uid"]
        if uid in self._runs:  # nobody can tell whose the next documents are
            self._end(self._runs.pop(uid), whole=False)
        divider = ArrayDivider(self.path / uid, uid, self._inline_limit, self._compression)
        self._runs[uid] = run = RunWriter(self.path, uid, divider, durable=self._durable)
        run.open()
        run.write("start", doc)

    def _owners_of(self, name: str, doc: Mapping[str, Any]) -> list[str]:
        """Return the runs that a document belongs to: one, but for old resources."""
        if name in NAMED_BY_DESCRIPTOR and "descriptor" in doc:
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

    def discard(self, run: str) -> None:
        """Delete a run that was recorded here and has ended."""
        with self._lock:
            (self.path / f"{run}.jsonl").unlink(missing_ok=True)
            shutil.rmtree(self.path / run, ignore_errors=True)

    def attach(self, engine: Any) -> Callable[[], None]:
        """Subscribe to an engine with queued delivery, and return a function that undoes it."""
        token = engine.subscribe(self, delivery="queued")
        return lambda: engine.unsubscribe(token)

    def close(self) -> None:
        """Close the files of runs that have not ended; they stay incomplete. Idempotent."""
        with self._lock:
            for uid, run in list(self._runs.items()):
                self._forget(uid)
                self._end(run, whole=False)

    def __enter__(self) -> Self:
        """Return the recorder."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close it."""
        self.close()
