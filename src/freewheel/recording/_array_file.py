"""Writing arrays: one HDF5 file for each stream of equal arrays.

The files are written in HDF5's single-writer-multiple-reader mode with one chunk for each array,
which is what keeps them readable after a ``SIGKILL`` at any moment, and while they grow. Without
compression HDF5 is asked for places alone, many at once; the arrays themselves go to their
places by one call of the operating system for many, without a copy, while Python is free for
others.
"""

from __future__ import annotations

import contextlib
import os
import weakref
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ._arrays import CHECKSUMS, DATASET, TIMESTAMPS, first_line, load_h5py
from ._checksums import bytes_of, checksums
from ._row_writer import RowWriter
from ._superblock import lengthen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["ArrayFile", "can_store"]

_LARGEST_CHUNK: Final = 2**32 - 1  # HDF5's own limit
_AHEAD_BYTES: Final = 1 << 24  # of arrays, that a file has places for beyond what is written …
_AHEAD_ROWS: Final = 256  # … or this many arrays, if that is less
_MOST_PARTS: Final = 512  # of one call that writes; no system takes fewer than 1,024
_METADATA: Final = (
    1 << 14
)  # bytes of HDF5's own between arrays: fewer make more calls to write them
_COLUMN_CHUNK: Final = 512  # timestamps or checksums: one page of memory


def can_store(array: np.ndarray) -> bool:
    """Tell whether an HDF5 dataset can hold ``array`` bit for bit."""
    return (
        array.dtype.kind in "biufc"
        and array.dtype.itemsize in (1, 2, 4, 8, 16)
        and array.dtype != np.longdouble
        and 0 < array.nbytes <= _LARGEST_CHUNK
        and not np.ma.is_masked(array)
    )


@contextlib.contextmanager
def _as_os_error() -> Iterator[None]:
    """Make an `OSError` of what h5py raises for a full disk: that, or a `RuntimeError`."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise OSError(getattr(error, "errno", None), first_line(error)) from error


class ArrayFile:
    """A growing HDF5 file of arrays that have one shape and dtype.

    Not thread-safe: the recorder that owns it calls it under its own lock.

    Parameters
    ----------
    path : Path
        The file, which must not exist.
    shape : tuple of int
        The shape of each array.
    dtype : numpy.dtype
        The type of each array.
    compression : Mapping
        Keyword arguments of ``h5py.Group.create_dataset`` that choose filters; empty for none.

    Raises
    ------
    OSError
        When it cannot be made.
    """

    def __init__(
        self,
        path: Path,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        compression: Mapping[str, Any],
    ) -> None:
        self.path = path
        self.count = 0
        self._file = load_h5py().File(path, "x", libver="latest", meta_block_size=_METADATA)
        # Of what was appended, and is not written yet.
        self._timestamps: list[float] = []
        self._checksums: list[int] = []
        try:
            self._raw = _RawFile(path)
            with _as_os_error():
                self._create(shape, dtype, compression)
        except BaseException:
            with contextlib.suppress(Exception):
                self._file.close()
            raise

    def _create(
        self, shape: tuple[int, ...], dtype: np.dtype[Any], compression: Mapping[str, Any]
    ) -> None:
        size = dtype.itemsize * int(np.prod(shape))
        ahead = max(1, min(_AHEAD_ROWS, _AHEAD_BYTES // size))
        self._writer: RowWriter | None = None  # unless HDF5 is to compress them
        if compression:
            self._compressed = self._file.create_dataset(
                DATASET,
                shape=(0, *shape),
                maxshape=(None, *shape),
                chunks=(1, *shape),
                dtype=dtype,
                **compression,
            )
        else:
            self._rows = _Places(self._file, self._raw, DATASET, dtype, shape, 1, ahead)
            self._writer = RowWriter(self._rows.write_each)
        column = (), _COLUMN_CHUNK, _COLUMN_CHUNK
        floats, integers = np.dtype("<f8"), np.dtype("<u8")
        self._times = _Places(self._file, self._raw, TIMESTAMPS, floats, *column)
        self._sums = _Places(self._file, self._raw, CHECKSUMS, integers, *column)
        self._file["entry"].attrs["NX_class"] = "NXentry"
        group = self._file["entry/recorded"]
        group.attrs["NX_class"] = "NXdata"
        group.attrs["signal"] = "data"
        # No groups, datasets or attributes may be added from here on.
        self._file.swmr_mode = True

    def append(self, array: np.ndarray, timestamp: float) -> int:
        """Add an array, and return its index. `flush` writes it, if this does not.

        It may not change until then.

        Raises
        ------
        OSError
            When it cannot be written; those before it stay, and ``count`` is as it was.
        """
        index = self.count
        array = np.ascontiguousarray(array)
        # Before the array: HDF5 is not to be asked for anything once the disk is full.
        self.make_room(1)
        if self._writer is None:
            with _as_os_error():
                self._compress(index, array)
        self._take([bytes_of(array)], [timestamp])
        return index

    def make_room(self, count: int) -> None:
        """See to it that there are places for so many arrays more.

        Raises
        ------
        OSError
            When the disk has none.
        """
        last = self.count + count - 1
        with _as_os_error():
            self._times.make_room(last)
            self._sums.make_room(last)
            if self._writer is not None:
                self._rows.make_room(last)

    def extend(self, arrays: Sequence[np.ndarray], timestamps: Sequence[float]) -> int:
        """Add arrays for which there is room, and return the index of the first.

        `flush` writes them; they may not change until then.
        """
        index = self.count
        self._take([bytes_of(np.ascontiguousarray(array)) for array in arrays], timestamps)
        return index

    @property
    def is_deleted(self) -> bool:
        """Whether the file is in no folder any more, and so lost when it is closed."""
        return self._raw.is_deleted

    @property
    def takes_many(self) -> bool:
        """Whether there is `extend`: HDF5 compresses one array after the other."""
        return self._writer is not None

    def _take(self, rows: Sequence[Any], timestamps: Sequence[float]) -> None:
        if self._writer is not None:
            self._writer.put(self.count, rows)
        # While they are written.
        self._checksums.extend(checksums(rows, timestamps))
        self._timestamps.extend(timestamps)
        self.count += len(rows)

    def _compress(self, index: int, array: np.ndarray) -> None:
        try:
            self._compressed.resize(index + 1, axis=0)
            self._compressed[index] = array
            self._compressed.flush()
        except BaseException:
            with contextlib.suppress(Exception):
                self._compressed.resize(index, axis=0)
            raise

    @property
    def has_arrays_to_write(self) -> bool:
        """Whether `flush` has something to write."""
        return bool(self._timestamps)

    def wait(self) -> None:
        """Write the arrays that were appended, as far as that is possible: `flush` says."""
        if self._writer is not None:
            self._writer.wait()

    def flush(self) -> None:
        """Write what was appended, then its timestamps and checksums: it is whole then.

        Raises
        ------
        OSError
            When that is not possible. What fits is whole, and ``count`` is how many those are.
        """
        if not self.has_arrays_to_write:
            return
        first = self.count - len(self._timestamps)
        failure: OSError | None = None
        if self._writer is not None:
            count, failure = self._writer.finish()
            self.count = first + count
        try:
            with _as_os_error():
                self._write_columns(first, self.count - first)
            if failure is not None:
                raise failure
        finally:
            self._timestamps.clear()
            self._checksums.clear()

    def _write_columns(self, first: int, count: int) -> None:
        self._times.write(first, np.array(self._timestamps[:count], "<f8"))
        self._sums.write(first, np.array(self._checksums[:count], "<u8"))

    def close(self, *, durable: bool = False) -> None:
        """Close the file; idempotent.

        Parameters
        ----------
        durable : bool
            Wait until the disk itself has it.

        Raises
        ------
        OSError
            When what HDF5 still held could not be written.
        """
        if not self._file:
            return
        try:
            self.flush()
            with _as_os_error():
                if self._writer is not None:
                    self._rows.cut(self.count)
                self._times.cut(self.count)
                self._sums.cut(self.count)
        finally:
            self._close(durable=durable)

    def _close(self, *, durable: bool) -> None:
        if self._writer is not None:
            self._writer.close()
        try:
            with _as_os_error():
                self._file.close()
                if durable:
                    self._raw.sync()
        finally:
            self._raw.close()
            with contextlib.suppress(OSError):
                lengthen(self.path)


class _Places:
    """A dataset whose rows are written past HDF5, at the places that it keeps for them.

    Parameters
    ----------
    file : h5py.File
        Where it is made; not in its SWMR mode yet.
    raw : _RawFile
        The same file.
    name : str
        The path of the dataset.
    dtype, shape
        Of each row.
    chunk : int
        How many rows HDF5 keeps together.
    ahead : int
        By how many rows it grows at once at most, a multiple of ``chunk``.
    """

    def __init__(
        self,
        file: Any,
        raw: _RawFile,
        name: str,
        dtype: np.dtype[Any],
        shape: tuple[int, ...],
        chunk: int,
        ahead: int,
    ) -> None:
        h5py = load_h5py()
        h5d, h5p, h5s = h5py.h5d, h5py.h5p, h5py.h5s
        # Places are given when the dataset grows, and nothing is written to them.
        creation = h5p.create(h5p.DATASET_CREATE)
        creation.set_chunk((chunk, *shape))
        creation.set_alloc_time(h5d.ALLOC_TIME_EARLY)
        creation.set_fill_time(h5d.FILL_TIME_NEVER)
        links = h5p.create(h5p.LINK_CREATE)
        links.set_create_intermediate_group(True)
        space = h5s.create_simple((0, *shape), (h5s.UNLIMITED, *shape))
        kind = h5py.h5t.py_create(dtype, logical=True)
        self._dataset = h5py.Dataset(
            h5d.create(file.id, name.encode(), kind, space, creation, links)
        )
        self._file = file
        self._raw = raw
        self._row = dtype.itemsize * int(np.prod(shape))
        self._chunk = chunk
        self._ahead = ahead
        self._offsets: list[int] = []  # in the file, of each chunk

    def write(self, first: int, rows: np.ndarray) -> None:
        """Write whole rows from the ``first`` on; ``rows`` is contiguous."""
        data = bytes_of(rows)
        while len(data):
            chunk, within = divmod(first, self._chunk)
            self.make_room(first)
            count = min(self._chunk - within, len(data) // self._row)
            size = count * self._row
            self._raw.write(self._offsets[chunk] + within * self._row, data[:size])
            data, first = data[size:], first + count

    def write_each(self, first: int, data: Sequence[Any]) -> Iterator[int]:
        """Write the bytes of rows that lie apart in memory, of chunks that are one row each.

        Yields
        ------
        int
            After each call of the operating system, how many rows are whole.
        """
        done = 0
        while done < len(data):
            place = self._offsets[first + done]
            end = done + 1
            while (
                end < len(data) and self._offsets[first + end] == place + (end - done) * self._row
            ):
                end += 1
            whole, rest = divmod(self._raw.write_some(place, data[done:end]), self._row)
            done += whole
            yield done
            if rest:
                self._raw.write(self._offsets[first + done] + rest, data[done][rest:])
                done += 1
                yield done

    def make_room(self, row: int) -> None:
        """See to it that there is a place for a row."""
        lacking = row // self._chunk + 1 - len(self._offsets)
        if lacking > 0:
            self._grow(lacking)

    def _grow(self, lacking: int) -> None:
        known = len(self._offsets)
        # A short file is not to look long, for HDF5 does not give back the end of a file; and a
        # long one not to be asked for its places at each step, which it looks through from the
        # first one on.
        step = max(min(self._ahead // self._chunk, known), known // 8, lacking)
        self._dataset.resize((known + step) * self._chunk, axis=0)
        self._dataset.flush()
        places = self._new_places(known + step)
        # Others refuse files that are shorter than they say; `ArrayReader` does not.
        with contextlib.suppress(OSError):
            self._raw.lengthen(self._file.id.get_filesize())
        if self._chunk > 1:
            # Small ones take their place on the disk now: they must not be what it is full for.
            for place in places:
                self._raw.write(place, np.zeros(self._chunk * self._row, np.uint8))
        self._offsets.extend(places)

    def _new_places(self, end: int) -> list[int]:
        """Return where the chunks up to ``end`` are that are not known yet.

        HDF5 walks through all chunks for each that is asked for. But it takes new ones from the
        end of the file, one after another as a rule: so the last of them tells.
        """
        size = self._chunk * self._row
        places: list[int] = []
        place = cache(self._place)
        ends = [end]
        while ends:
            known = len(self._offsets) + len(places)
            before = (places or self._offsets or [-1])[-1]
            last = place(ends[-1] - 1)
            if before >= 0 and last - before == (ends[-1] - known) * size:
                places.extend(range(before + size, last + 1, size))
            elif ends[-1] - known == 1:
                places.append(last)
            else:  # HDF5 put something between: before the middle, or behind it
                ends.append((known + ends[-1]) // 2)
                continue
            ends.pop()
        return places

    def _place(self, chunk: int) -> int:
        corner = (chunk * self._chunk, *[0] * (self._dataset.ndim - 1))
        place: int = self._dataset.id.get_chunk_info_by_coord(corner).byte_offset
        return place

    def cut(self, count: int) -> None:
        """Give back the places behind the first ``count`` rows."""
        self._dataset.resize(count, axis=0)


class _RawFile:
    """A file that is written at given places, without a buffer."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | getattr(os, "O_BINARY", 0))
        self.close = weakref.finalize(self, os.close, self._fd)  # idempotent

    def write(self, place: int, data: Any) -> None:
        while len(data):
            done = self.write_some(place, [data])
            data, place = data[done:], place + done

    def write_some(self, place: int, parts: Sequence[Any]) -> int:
        """Write parts one after another, as far as one call does it; return the bytes written."""
        if hasattr(os, "pwritev"):
            # One call for many: whoever gives up Python's lock waits until he has it again.
            return os.pwritev(self._fd, parts[:_MOST_PARTS], place)
        os.lseek(self._fd, place, os.SEEK_SET)  # Windows
        return os.write(self._fd, parts[0])

    @property
    def is_deleted(self) -> bool:
        return self.close.alive and not os.fstat(self._fd).st_nlink

    def lengthen(self, size: int) -> None:
        if os.fstat(self._fd).st_size < size:
            os.ftruncate(self._fd, size)

    def sync(self) -> None:
        os.fsync(self._fd)
