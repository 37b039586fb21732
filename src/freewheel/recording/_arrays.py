"""Arrays on disk: one HDF5 file for each stream of equal arrays.

The files are written in HDF5's single-writer-multiple-reader mode with one chunk for each array
and a flush after each, which is what keeps them readable after a ``SIGKILL`` at any moment, and
while they grow. Other tools open a file whose writer died by passing ``swmr=True``, as Tiled
does; ``h5clear -s FILE`` makes it an ordinary file again.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from freewheel.core import MissingExtraError

from ._errors import MissingArrayError
from ._superblock import ClosedView, lengthen, needs_view

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import ModuleType

__all__ = ["DATASET", "ArrayFile", "ArrayReader", "can_store", "load_h5py"]

DATASET: Final = "/entry/recorded/data"
"""Where the arrays are in each file. No detector names it so: it tells whose file it is."""

_TIMESTAMPS: Final = "/entry/recorded/timestamps"
_ATTEMPTS: Final = 3
_LARGEST_CHUNK: Final = 2**32 - 1  # HDF5's own limit


def load_h5py() -> ModuleType:
    """Import h5py.

    Raises
    ------
    MissingExtraError
        When it is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        feature = "Recording arrays"
        raise MissingExtraError(feature, "recording") from error
    return h5py  # type: ignore[no-any-return]


def can_store(array: np.ndarray) -> bool:
    """Tell whether an HDF5 dataset can hold ``array`` bit for bit."""
    return (
        array.dtype.kind in "biufc"
        and array.dtype.itemsize in (1, 2, 4, 8, 16)
        and array.dtype != np.longdouble
        and 0 < array.nbytes <= _LARGEST_CHUNK
    )


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
    """

    def __init__(
        self,
        path: Path,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        compression: Mapping[str, Any],
    ) -> None:
        h5py = load_h5py()
        self.path = path
        self.count = 0
        self._direct = not compression and dtype.kind != "c" and dtype.kind != "b"
        self._origin = (0,) * len(shape)
        self._file = h5py.File(path, "x", libver="latest")
        try:
            self._create(shape, dtype, compression)
        except BaseException:
            with contextlib.suppress(Exception):
                self._file.close()
            raise

    def _create(
        self, shape: tuple[int, ...], dtype: np.dtype[Any], compression: Mapping[str, Any]
    ) -> None:
        self._data = self._file.create_dataset(
            DATASET,
            shape=(0, *shape),
            maxshape=(None, *shape),
            chunks=(1, *shape),
            dtype=dtype,
            **compression,
        )
        self._times = self._file.create_dataset(
            _TIMESTAMPS, shape=(0,), maxshape=(None,), chunks=(512,), dtype="f8"
        )
        self._file["entry"].attrs["NX_class"] = "NXentry"
        group = self._file["entry/recorded"]
        group.attrs["NX_class"] = "NXdata"
        group.attrs["signal"] = "data"
        # No groups, datasets or attributes may be added from here on.
        self._file.swmr_mode = True

    def append(self, array: np.ndarray, timestamp: float) -> int:
        """Add an array, which a reader sees when this returns, and return its index.

        Raises
        ------
        OSError
            When it cannot be written; those before it stay, and ``count`` is as it was.
        """
        index = self.count
        try:
            self._data.resize(index + 1, axis=0)
            if self._direct:
                # Past HDF5's type conversion and chunk cache: as fast as the disk.
                chunk = np.ascontiguousarray(array)
                self._data.id.write_direct_chunk((index, *self._origin), chunk)
            else:
                self._data[index] = array
            self._data.flush()
            self._times.resize(index + 1, axis=0)
            self._times[index] = timestamp
            self._times.flush()
        except (OSError, RuntimeError) as error:  # h5py raises either for a full disk
            with contextlib.suppress(Exception):
                self._data.resize(index, axis=0)
                self._times.resize(index, axis=0)
            raise OSError(getattr(error, "errno", None), _first_line(error)) from error
        self.count += 1
        return index

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
            self._file.close()
        except (OSError, RuntimeError) as error:
            raise OSError(getattr(error, "errno", None), _first_line(error)) from error
        finally:
            with contextlib.suppress(OSError):
                lengthen(self.path)
        if durable:
            descriptor = os.open(self.path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _first_line(error: BaseException) -> str:
    """Shorten HDF5's many-line messages to what went wrong."""
    text = " ".join(str(error).split())
    for known in ("No space left on device", "File too large", "Disk quota exceeded"):
        if known in text:
            return known
    return text


class ArrayReader:
    """Reads single arrays out of array files, and keeps the files open meanwhile.

    Parameters
    ----------
    run : str
        The run that the files belong to, for error messages.
    """

    def __init__(self, run: str) -> None:
        self._run = run
        self._open: dict[Path, Any] = {}

    def read(self, path: Path, dataset: str, index: int, key: str) -> np.ndarray:
        """Return the array at ``index``.

        Raises
        ------
        MissingArrayError
            When it is not there, or cannot be read.
        """
        with self._reporting(path, index, key):
            array: np.ndarray = self._item(path, dataset, index)
        return array

    def timestamp(self, path: Path, index: int, key: str) -> float:
        """Return the timestamp of the array at ``index``, in seconds since the epoch.

        Raises
        ------
        MissingArrayError
            When it is not there, or cannot be read.
        """
        with self._reporting(path, index, key):
            return float(self._item(path, _TIMESTAMPS, index))

    @contextlib.contextmanager
    def _reporting(self, path: Path, index: int, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            message = f"the array of {key!r} is gone: its file does not exist"
            raise MissingArrayError(message, file=path, run=self._run, device=key) from error
        except (OSError, KeyError, IndexError, ValueError, RuntimeError) as error:
            message = f"array {index} of {key!r} cannot be read: {_first_line(error)}"
            raise MissingArrayError(message, file=path, run=self._run, device=key) from error

    def _item(self, path: Path, dataset: str, index: int) -> Any:
        for attempts_left in reversed(range(_ATTEMPTS)):
            try:
                return self._file(path)[dataset][index]
            except FileNotFoundError:
                raise
            except (OSError, KeyError, IndexError, RuntimeError):
                # It may be growing, and be seen in the middle of that, or as it was long ago.
                if not attempts_left or not needs_view(path):
                    raise
                if path in self._open:
                    self._open.pop(path).close()
        raise AssertionError  # the last attempt returns or raises

    def _file(self, path: Path) -> Any:
        if path not in self._open:
            if not path.exists():
                raise FileNotFoundError(path)
            h5py = load_h5py()
            if needs_view(path):
                self._open[path] = h5py.File(ClosedView(path), "r", libver="latest")
            else:
                self._open[path] = h5py.File(path, "r", libver="latest", locking="best-effort")
        return self._open[path]

    def close(self) -> None:
        """Close all files."""
        while self._open:
            _, file = self._open.popitem()
            file.close()
