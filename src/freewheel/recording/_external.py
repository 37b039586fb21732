"""Taking large arrays out of documents, into files that stream documents point to.

A data key that is described as a large array becomes an external one (``external: "STREAM:"``).
Its arrays go to an HDF5 file, which a ``stream_resource`` document names, and each event is
preceded by a ``stream_datum`` document that says which array belongs to it. This is what
ophyd-async's detectors emit that write their own files, so whatever reads those reads these.
"""

from __future__ import annotations

import math
import re
import uuid
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ._array_file import ArrayFile, can_store
from ._arrays import DATASET
from ._fidelity import ABSENT, plain
from ._format import FORMAT_VERSION, RECORDER
from ._plain_events import are_plain_events

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ._fidelity import Notes

__all__ = ["ArrayDivider"]

_MAX_FILES_PER_KEY: Final = 16

_ARRAY: Final = frozenset({np.ndarray})  # a subclass may be another thing
_FLOAT: Final = frozenset({float})

Documents = list[tuple[str, dict[str, Any]]]


def array_uid(event_uid: str, key: str) -> str:
    """Return the uid of the ``stream_datum`` that holds an event's array."""
    return f"{event_uid}/{key}"


class ArrayDivider:
    """Divides the documents of one run into small documents and array files.

    Not thread-safe; its owner calls it under a lock.

    Parameters
    ----------
    folder : Path
        Where the array files go. Made when the first one is needed.
    run : str
        The run's uid.
    inline_limit : int
        Arrays of up to so many bytes stay in their documents.
    compression : Mapping
        See `ArrayFile`.
    """

    def __init__(
        self, folder: Path, run: str, inline_limit: int, compression: Mapping[str, Any]
    ) -> None:
        self._folder = folder
        self._run = run
        self._limit = inline_limit
        self._compression = compression
        self._streams: dict[str, str] = {}  # descriptor uid -> stream name
        self._external: dict[str, frozenset[str]] = {}  # descriptor uid -> keys taken out
        self._files: dict[tuple[Any, ...], tuple[ArrayFile, str]] = {}
        self._deleted: Path | None = None

    def __call__(self, name: str, doc: Mapping[str, Any]) -> tuple[Documents, Notes]:
        """Return the documents to write in place of this one, the last of them its own.

        The notes are what `restore` needs, beside the arrays, to undo it for that last one.

        Raises
        ------
        OSError
            When an array cannot be written.
        """
        if name == "descriptor":
            changed, notes = self._descriptor(doc)
            return [(name, changed)], notes
        if name in ("event", "event_page") and self.takes_from(doc["descriptor"]):
            return self._event(name, doc)
        return [(name, dict(doc))], []

    def takes_from(self, descriptor: str) -> bool:
        """Tell whether arrays are taken out of the events of a descriptor."""
        return bool(self._external.get(descriptor))

    def _descriptor(self, doc: Mapping[str, Any]) -> tuple[dict[str, Any], Notes]:
        taken = [key for key, about in doc["data_keys"].items() if self._is_large(about)]
        self._streams[doc["uid"]] = doc.get("name", "")
        self._external[doc["uid"]] = frozenset(taken)
        data_keys = dict(doc["data_keys"])
        for key in taken:
            data_keys[key] = {**data_keys[key], "external": "STREAM:"}
        notes: Notes = [[["data_keys", key, "external"], ABSENT, None] for key in taken]
        return {**doc, "data_keys": data_keys}, notes

    def _is_large(self, about: Mapping[str, Any]) -> bool:
        shape = about.get("shape") or ()
        if "external" in about or about.get("dtype") != "array" or None in shape:
            return False
        text = about.get("dtype_numpy")
        try:
            size = np.dtype(text).itemsize if isinstance(text, str) else 8
        except TypeError:
            return False
        return math.prod(shape) * size > self._limit

    def _event(self, name: str, doc: Mapping[str, Any]) -> tuple[Documents, Notes]:
        descriptor = doc["descriptor"]
        before: Documents = []
        notes: Notes = []
        data, timestamps = dict(doc["data"]), dict(doc["timestamps"])
        filled = dict(doc.get("filled", {}))
        for key in sorted(self._external[descriptor] & data.keys()):
            column = data[key] if name == "event_page" else [data[key]]
            times = timestamps[key] if name == "event_page" else [timestamps[key]]
            file = self._file_for(descriptor, key, column, before)
            if file is None:
                # It stays where it is, which the event model calls "filled".
                old = filled.get(key)
                filled[key] = [True] * len(column) if name == "event_page" else True
                notes.append([["filled", key], ABSENT if old is None else "value", old])
                continue
            stored, resource = file
            indices = [stored.append(*pair) for pair in zip(column, times, strict=True)]
            before.append(("stream_datum", self._datum(doc, key, resource, indices)))
            if any(type(time) is not float for time in times):
                notes.append([["timestamps", key], "value", plain(timestamps[key], [])])
            del data[key], timestamps[key]
            if key in filled:
                notes.append([["filled", key], "value", plain(filled.pop(key), [])])
        for key in sorted(self._external[descriptor] - doc["data"].keys()):
            # As when another subscriber has taken it out. Its place is kept, for what is not there
            # when the run is read is an array that was lost.
            for part in (data, timestamps):
                if key not in part:
                    part[key] = [None] * len(doc["seq_num"]) if name == "event_page" else None
                    notes.append([["data" if part is data else "timestamps", key], ABSENT, None])
        changed = {**doc, "data": data, "timestamps": timestamps}
        if filled or "filled" in doc:
            changed["filled"] = filled
        else:
            notes = [note for note in notes if note[0][0] != "filled"]
        if "filled" in changed and "filled" not in doc:
            notes.append([["filled"], ABSENT, None])
        return [*before, (name, changed)], notes

    def divide_events(self, docs: Sequence[Mapping[str, Any]]) -> Documents | None:
        """Divide events of one descriptor at once, in a third of the time of one by one.

        `None` if they are not as they usually are: with all the arrays, for which there are
        files and room, and with nothing else that JSON could not hold.

        Parameters
        ----------
        docs : sequence of mapping
            Events, of a descriptor of which `takes_from` holds.
        """
        descriptor = docs[0]["descriptor"]
        data = [dict(doc["data"]) for doc in docs]
        times = [dict(doc["timestamps"]) for doc in docs]
        taken = []
        for key in sorted(self._external[descriptor]):
            column = [values.pop(key, None) for values in data]
            stamps = [values.pop(key, None) for values in times]
            stored = self._known_file(descriptor, key, column)
            if stored is None or not _FLOAT.issuperset(map(type, stamps)):
                return None
            taken.append((key, *stored, column, stamps))
        small = [
            {**doc, "data": values, "timestamps": stamps}
            for doc, values, stamps in zip(docs, data, times, strict=True)
        ]
        if not are_plain_events(small):
            return None
        try:
            for _, file, *_ in taken:
                file.make_room(len(docs))
        except OSError:
            return None  # for some there may be
        divided: list[Documents] = [
            [
                ("stream_datum", self._datum(doc, key, resource, (index,)))
                for index, doc in enumerate(docs, file.extend(column, stamps))
            ]
            for key, file, resource, column, stamps in taken
        ]
        events: Documents = list(zip(repeat("event"), small))
        return list(chain.from_iterable(zip(*divided, events, strict=True)))

    def _known_file(
        self, descriptor: str, key: str, column: Sequence[Any]
    ) -> tuple[ArrayFile, str] | None:
        """Return the file for arrays that are all like the ones before."""
        if not _ARRAY.issuperset(map(type, column)):
            return None
        shape, dtype = column[0].shape, column[0].dtype
        if any(array.shape != shape or array.dtype != dtype for array in column):
            return None
        known = self._files.get((self._streams[descriptor], key, shape, dtype.str))
        return known if known is not None and known[0].takes_many else None

    def _file_for(
        self, descriptor: str, key: str, column: Sequence[Any], before: Documents
    ) -> tuple[ArrayFile, str] | None:
        """Return the file for these arrays, a new one with its document in ``before``."""
        if not column or not all(isinstance(a, np.ndarray) and can_store(a) for a in column):
            return None
        shape, dtype = column[0].shape, column[0].dtype
        if any(a.shape != shape or a.dtype != dtype for a in column):
            return None
        stream = self._streams[descriptor]
        signature = (stream, key, shape, dtype.str)
        if signature not in self._files:
            number = sum(1 for known in self._files if known[:2] == (stream, key))
            if number >= _MAX_FILES_PER_KEY:
                return None
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / self._file_name(stream, key, number)
            file = ArrayFile(path, shape, dtype, self._compression)
            resource = self._resource(path, key, shape)
            self._files[signature] = file, resource["uid"]
            before.append(("stream_resource", resource))
        return self._files[signature]

    def _file_name(self, stream: str, key: str, number: int) -> str:
        text = re.sub(r"[^\w.-]+", "_", f"{stream}-{key}")[:100]
        # Two keys that differ only in what was replaced must not meet in one file.
        while (self._folder / (name := f"{text}-{number}.h5" if number else f"{text}.h5")).exists():
            number += 1
        return name

    def _resource(self, path: Path, key: str, shape: tuple[int, ...]) -> dict[str, Any]:
        return {
            "uid": str(uuid.uuid4()),
            "data_key": key,
            "mimetype": "application/x-hdf5",
            "uri": "file://localhost" + path.absolute().as_uri().removeprefix("file://"),
            "parameters": {
                "dataset": DATASET,
                "chunk_shape": [1, *shape],
                "join_method": "stack",
                "swmr": True,
                "recorder": {"name": RECORDER, "version": FORMAT_VERSION},
            },
            "run_start": self._run,
        }

    def _datum(
        self, doc: Mapping[str, Any], key: str, resource: str, indices: Sequence[int]
    ) -> dict[str, Any]:
        uids, numbers = doc["uid"], doc["seq_num"]
        first_uid = uids if isinstance(uids, str) else uids[0]
        first = numbers if isinstance(numbers, int) else numbers[0]
        return {
            "uid": array_uid(first_uid, key),
            "stream_resource": resource,
            "descriptor": doc["descriptor"],
            "indices": {"start": indices[0], "stop": indices[-1] + 1},
            "seq_nums": {"start": first, "stop": first + len(indices)},
        }

    @property
    def has_arrays_to_write(self) -> bool:
        """Whether `flush` has something to write."""
        return any(file.has_arrays_to_write for file, _ in self._files.values())

    def wait(self) -> None:
        """Write arrays, which takes long and needs nothing of Python; `flush` does the rest."""
        for file, _ in self._files.values():
            file.wait()

    def flush(self) -> None:
        """Write what belongs to the documents until now: before they are written themselves.

        Raises
        ------
        OSError
            When that is not possible: for some of them, see `lacks`.
        """
        failures = []
        for file, _ in self._files.values():
            try:
                file.flush()
            except OSError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def lacks(self, name: str, doc: Mapping[str, Any]) -> bool:
        """Tell whether a document points to arrays that `flush` could not write."""
        return name == "stream_datum" and any(
            uid == doc["stream_resource"] and doc["indices"]["stop"] > file.count
            for file, uid in self._files.values()
        )

    @property
    def deleted(self) -> Path | None:
        """An array file that somebody has deleted meanwhile; also once they are closed."""
        gone = (file.path for file, _ in self._files.values() if file.is_deleted)
        return self._deleted or next(gone, None)

    def close(self, *, durable: bool = False) -> None:
        """Close the array files.

        Raises
        ------
        OSError
            When one could not be closed; the others are closed.
        """
        self._deleted = self.deleted
        failures = []
        for file, _ in self._files.values():
            try:
                file.close(durable=durable)
            except OSError as error:
                failures.append(error)
        self._files.clear()
        if failures:
            raise failures[0]
