"""Recording into a Tiled catalogue."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, final

import numpy as np

from ._errors import RecordingError
from ._external import ArrayDivider
from ._fidelity import plain
from ._owners import RunOwners
from ._tiled_arrays import say_if_unreadable
from ._tiled_client import Connection, reporting

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from ._run import Document

__all__ = ["TiledRecorder"]


@final
class TiledRecorder:
    """A document callback that writes runs into a Tiled catalogue, with bluesky's ``TiledWriter``.

    Subscribe it with ``RE.subscribe(recorder, delivery="queued")``. Numbers and texts go into
    tables on the server; arrays into HDF5 files under ``arrays``, which the server must be able to
    read (`tiled_server` can read what is below its directory).

    Runs may be interleaved. It may be called from any thread. `close` it, or use it in a ``with``
    statement, when there are no more documents.

    Parameters
    ----------
    target : str or tiled client
        The server's address, with its API key as ``?api_key=...``, or a client of it.
    arrays : str or Path
        A directory for the files of arrays.
    batch_size : int
        How many events are sent to the server at once. What is not sent yet is lost if the
        process dies; use `Recorder` beside this where that matters.
    backup_directory : str or Path, optional
        Where the documents of a run go which the server did not take.
    api_key : str, optional
        The server's API key, if it is not part of its address.
    """

    def __init__(
        self,
        target: Any,
        *,
        arrays: str | os.PathLike[str],
        batch_size: int = 100,
        backup_directory: str | os.PathLike[str] | None = None,
        api_key: str | None = None,
    ) -> None:
        self._connection = connection = Connection(target, api_key)
        self.address = connection.address
        from bluesky.callbacks.tiled_writer import TiledWriter

        self._arrays = Path(arrays).absolute()
        options: dict[str, Any] = {"batch_size": batch_size}
        if backup_directory is not None:
            options["backup_directory"] = str(backup_directory)

        def make_writer(failures: list[Exception]) -> Any:
            # With a backup directory bluesky's writer deals with failures itself.
            if backup_directory is None:
                options["normalizer"] = _telling_normalizer(failures)
            return TiledWriter(connection.client, **options)

        self._make_writer = make_writer
        self._lock = threading.Lock()  # held for each document; guards all below
        self._runs: dict[str, _TiledRunWriter] = {}
        self._owners = RunOwners()
        self._closed = False
        self._unasked = True  # whether the server can read arrays

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Write one document.

        Raises
        ------
        TiledConnectionError
            When the server is gone. The rest of that run is not recorded.
        RecordingError
            When the server refuses the document, or an array cannot be written.
        """
        with self._lock:
            if name == "start" and self._closed:
                message = "this recorder was closed; make another"
                raise RecordingError(message, file=self.address, run=doc["uid"])
            if name == "start":
                self._start(doc["uid"])
            uid = self._owners.run_of(name, doc)
            if uid not in self._runs:
                return
            writer = self._runs[uid]
            if name == "stop":
                del self._runs[uid]
                self._owners.forget(uid)
            with reporting(f"cannot record a document ({name})", self.address, uid):
                writer(name, doc)
            if name == "stop" and self._unasked and (self._arrays / uid).exists():
                self._unasked = False
                say_if_unreadable(self._connection.client, uid, self._arrays)

    def close(self) -> None:
        """Close the files of runs that have not ended, which stay incomplete. Idempotent.

        The connection is closed too, unless it is one of a client that was given.
        """
        with self._lock:
            self._closed = True
            for run in self._runs.values():
                run.close()
            self._runs.clear()
            self._owners.clear()
            self._connection.close()

    def __enter__(self) -> Self:
        """Return the recorder."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close it."""
        self.close()

    def _start(self, uid: str) -> None:
        divider = ArrayDivider(self._arrays / uid, uid, 0, {})
        with reporting("cannot record a document (start)", self.address, uid):
            failures: list[Exception] = []
            writer = self._make_writer(failures)
            self._runs[uid] = _TiledRunWriter(writer, failures, divider, self.address, uid)


def _telling_normalizer(failures: list[Exception]) -> type[Any]:
    """Make bluesky's normalizer put aside why a start document could not be written.

    Event-model's router, which has it in its hands, would make a warning of that and go on.
    """
    from bluesky.callbacks.tiled_writer import RunNormalizer

    class TellingNormalizer(RunNormalizer):
        def start(self, doc: Any) -> None:
            try:
                super().start(doc)
            except Exception as error:
                failures.append(error)

    return TellingNormalizer


class _TiledRunWriter:
    """Writes one run. The recorder's lock guards it."""

    def __init__(
        self,
        writer: Any,
        failures: list[Exception],
        divider: ArrayDivider,
        address: str,
        uid: str,
    ) -> None:
        self._writer = writer
        self._failures = failures  # what the writer has put aside
        self._divider = divider
        self._address = address
        self._uid = uid
        self._failed = False
        self._waiting: dict[str, Document] = {}

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        if self._failed:
            return
        try:
            self._write(name, doc)
        except BaseException:
            self._failed = True
            with contextlib.suppress(OSError):  # what went wrong first is what is told
                self.close()
            raise

    def close(self) -> None:
        """Close the files of arrays."""
        self._divider.close()

    def _write(self, name: str, doc: Mapping[str, Any]) -> None:
        if name == "stop":
            for descriptor in list(self._waiting):
                self._release(descriptor, None)
            self._divider.close()
        documents, _ = self._divider(name, doc)
        self._divider.flush()
        if name == "descriptor" and self._lacks_dtype(documents[-1][1]):
            # Tiled has to know; the first event will tell.
            self._waiting[doc["uid"]] = documents[-1][1]
            return
        if doc.get("descriptor") in self._waiting:
            self._release(doc["descriptor"], doc)
        for part_name, part in documents:
            self._send(part_name, part)

    def _lacks_dtype(self, descriptor: Document) -> bool:
        return any(
            "external" in about and "dtype_numpy" not in about
            for about in descriptor["data_keys"].values()
        )

    def _release(self, uid: str, event: Mapping[str, Any] | None) -> None:
        descriptor = self._waiting.pop(uid)
        data_keys = dict(descriptor["data_keys"])
        for key, about in data_keys.items():
            value = (event or {}).get("data", {}).get(key)
            if "dtype_numpy" not in about and isinstance(value, np.ndarray):
                data_keys[key] = {**about, "dtype_numpy": value.dtype.str}
        self._send("descriptor", {**descriptor, "data_keys": data_keys})

    def _send(self, name: str, doc: Document) -> None:
        try:
            self._writer(name, plain(doc, []))
            if self._failures:
                raise self._failures.pop()
        except (ValueError, TypeError, KeyError, RuntimeError, NotImplementedError) as error:
            message = f"Tiled cannot take a document ({name}): {error}"
            raise RecordingError(message, file=self._address, run=self._uid) from error
