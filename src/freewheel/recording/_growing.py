"""One data set of a file that grows while a detector writes it."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse
from urllib.request import url2pathname

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["GrowingData"]


class GrowingData:
    """One data set of an HDF5 file, read beside its writer (SWMR); one thread at a time.

    Parameters
    ----------
    doc : mapping
        The stream resource.
    shape : sequence of int
        Shape of the data key, whose first number says how many rows an event has.

    Attributes
    ----------
    key : str
        The data key.
    run : str
        Uid of the run, or empty.
    """

    def __init__(self, doc: Mapping[str, Any], shape: Any = ()) -> None:
        self.key: str = doc["data_key"]
        self.run: str = doc.get("run_start", "")
        self._path = url2pathname(urlparse(doc["uri"]).path)
        self._dataset: str = doc["parameters"]["dataset"]
        self._shape = shape
        self._file: Any = None
        self._data: Any = None
        self._rows = 1  # of an event
        self._at_first: int | None = None  # how many events there were when it was opened

    def read(self, index: int) -> Any:
        """Return the last row of an event; ``None`` if a reader does not see it yet."""
        try:
            row = self._refresh() * (index + 1) - 1
            if row >= len(self._data):
                return None
            value = self._data[row]
        except (OSError, KeyError, RuntimeError):
            # It is on another machine, or its writer has not come so far: the next one may do.
            self.close()
            return None
        return value if value.shape else value.item()

    @property
    def tells(self) -> bool:
        """Whether the file itself tells which rows are written.

        Writers make room before they write. A row that is a chunk of its own, as pictures are,
        is there or not; of numbers, of which many share a chunk, nobody can tell.
        """
        return self._data is not None and (self._data.chunks or (0,))[0] == 1

    def written(self) -> int:
        """Return how many events are surely in the file; 0 if that cannot be told.

        Nor of a file that has not grown since it was opened: a run that is replayed goes on
        frame by frame, and its file is complete.
        """
        try:
            rows = self._refresh()
            events = self._count(rows) if self.tells else 0
        except (OSError, KeyError, RuntimeError):
            self.close()
            return 0
        return events if events > (self._at_first or 0) else 0

    def _count(self, rows: int) -> int:
        room = range(len(self._data) // rows)
        if not room or self._is_there(len(room) * rows - 1):
            return len(room)
        return bisect_left(room, True, key=lambda it: not self._is_there((it + 1) * rows - 1))

    def _is_there(self, row: int) -> bool:
        corner = [(edge - 1) // chunk * chunk for edge, chunk in self._edges()]
        info = self._data.id.get_chunk_info_by_coord((row, *corner))
        return info.byte_offset is not None

    def _edges(self) -> Any:
        return zip(self._data.shape[1:], self._data.chunks[1:], strict=True)

    def _refresh(self) -> int:
        """Look what the writer has done since; return how many rows an event has."""
        if self._file is None:
            import h5py

            self._file = h5py.File(self._path, "r", swmr=True, libver="latest")
            self._data = self._file[self._dataset]
            many = len(self._shape) == self._data.ndim
            self._rows = max(1, int(self._shape[0])) if many and self._shape else 1
        self._data.id.refresh()
        if self._at_first is None:
            self._at_first = self._count(self._rows) if self.tells else 0
        return self._rows

    def close(self) -> None:
        """Close the file."""
        file, self._file, self._data = self._file, None, None
        if file is not None:
            file.close()
