"""What a recorded run holds: its scalars, and its pictures one by one. No widget is touched."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, overload

import event_model
import numpy as np

from freewheel.qt._plot._tables import Run
from freewheel.recording._growing import GrowingData
from freewheel.recording._lazy import LazyArray

if TYPE_CHECKING:
    from collections.abc import Iterator

    from freewheel.recording import RecordedRun

__all__ = ["Frames", "read_frames", "read_scalars"]

#: So much of pictures that come in documents is kept, the newer ones [bytes].
_BYTES: Final = 1 << 29
_HDF5: Final = "application/x-hdf5"


class Frames(Sequence[Any]):
    """The pictures of one data key of a run, read when they are asked for; from any thread."""

    def __init__(self, key: str) -> None:
        self.key = key
        self._lock = threading.Lock()  # files are read by one thread at a time
        self._items: list[Any] = []
        self._bytes = 0

    def add(self, item: Any) -> None:
        """Add a picture, or what reads it."""
        self._items.append(item)
        self._bytes += getattr(item, "nbytes", 0)
        while self._bytes > _BYTES and len(self._items) > 1:
            self._bytes -= getattr(self._items.pop(0), "nbytes", 0)

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        item = self._items[index]
        with self._lock:
            return item.load() if isinstance(item, (LazyArray, _InFile)) else item


class _InFile:
    """A picture in the file of a detector."""

    def __init__(self, data: GrowingData, index: int) -> None:
        self._data, self._index = data, index

    def load(self) -> Any:
        value = self._data.read(self._index)
        if value is None:
            msg = f"picture {self._index} of {self._data.key!r} cannot be read in its file"
            raise OSError(msg)
        return value


def read_scalars(run: RecordedRun) -> Run:
    """Read the scalars of a run, to be plotted: those that can be read; from any thread."""
    found = Run(run.start)
    tables = {}
    for name, doc in _documents(run.documents(fill=False, skip_damaged=True)):
        if name == "descriptor":
            tables[doc["uid"]] = found.add_stream(doc, ())
        elif name == "event" and doc["descriptor"] in tables:
            tables[doc["descriptor"]].add(doc)
    found.open = False
    return found


def read_frames(run: RecordedRun) -> dict[str, Frames]:
    """Find the pictures of a run, by data key: those that can be read; from any thread.

    Raises
    ------
    RecordingError
        If it had some, and none can be read: why.
    """
    found = _frames_in(run, skip_damaged=True)
    return found or _frames_in(run, skip_damaged=False)


def _frames_in(run: RecordedRun, *, skip_damaged: bool) -> dict[str, Frames]:
    found: dict[str, Frames] = {}
    files: dict[str, GrowingData] = {}
    shapes: dict[str, Any] = {}
    documents = (
        (name, doc) for _, name, doc in run.timed_documents(lazy=True, skip_damaged=skip_damaged)
    )
    for name, doc in _documents(documents):
        if name == "descriptor":
            shapes |= {key: about.get("shape") or () for key, about in doc["data_keys"].items()}
        elif name == "event":
            for key, value in doc["data"].items():
                if isinstance(value, LazyArray) or np.ndim(value) >= 2:
                    found.setdefault(key, Frames(key)).add(value)
        elif name == "stream_resource" and doc["mimetype"] == _HDF5:
            if len(shapes.get(doc["data_key"], ())) >= 2:
                files[doc["uid"]] = GrowingData(doc, shapes[doc["data_key"]])
        elif name == "stream_datum" and doc["stream_resource"] in files:
            data = files[doc["stream_resource"]]
            for index in range(doc["indices"]["start"], doc["indices"]["stop"]):
                found.setdefault(data.key, Frames(data.key)).add(_InFile(data, index))
    return found


def _documents(documents: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Take pages of events apart."""
    for name, doc in documents:
        if name == "event_page":
            for event in event_model.unpack_event_page(doc):
                yield "event", event
        else:
            yield name, doc
