"""Reading single arrays out of array files, also of those whose writer died.

Other tools open such a file by passing ``swmr=True``, as Tiled does; ``h5clear -s FILE`` makes it
an ordinary file again.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from freewheel.core import MissingExtraError

from ._checksums import array_checksum
from ._errors import DamagedArrayError, MissingArrayError
from ._superblock import ClosedView, needs_view

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

__all__ = ["CHECKSUMS", "DATASET", "TIMESTAMPS", "ArrayReader", "first_line", "load_h5py"]

DATASET: Final = "/entry/recorded/data"
"""Where the arrays are in each file. No detector names it so: it tells whose file it is."""

TIMESTAMPS: Final = "/entry/recorded/timestamps"
CHECKSUMS: Final = "/entry/recorded/checksums"
"""Beside the arrays, since version 2 of the format: see `array_checksum`."""

_ATTEMPTS: Final = 3


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


def first_line(error: BaseException) -> str:
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
        self._files: dict[Path, Any] = {}
        self._datasets: dict[tuple[Path, str], Any] = {}

    def read(self, path: Path, dataset: str, index: int, key: str) -> np.ndarray:
        """Return the array at ``index``.

        Raises
        ------
        MissingArrayError
            When it is not there, or cannot be read.
        DamagedArrayError
            When it is not what was recorded.
        """
        with self._reporting(path, index, key):
            # h5py makes a number of an array without dimensions.
            array = np.asarray(self._item(path, dataset, index), self._dataset(path, dataset).dtype)
            if self._has(path, CHECKSUMS):
                timestamp = float(self._item(path, TIMESTAMPS, index))
                checksum = int(self._item(path, CHECKSUMS, index))
                if array_checksum(np.ascontiguousarray(array), timestamp) != checksum:
                    message = (
                        f"array {index} of {key!r}, or its timestamp, is not what was recorded: "
                        "its checksum is another one"
                    )
                    raise DamagedArrayError(message, file=path, run=self._run, device=key)
        return array

    def timestamp(self, path: Path, index: int, key: str) -> float:
        """Return the timestamp of the array at ``index``, in seconds since the epoch.

        Raises
        ------
        MissingArrayError
            When it is not there, or cannot be read.
        """
        with self._reporting(path, index, key):
            return float(self._item(path, TIMESTAMPS, index))

    @contextlib.contextmanager
    def _reporting(self, path: Path, index: int, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            message = f"the array of {key!r} is gone: its file does not exist"
            raise MissingArrayError(message, file=path, run=self._run, device=key) from error
        except MissingArrayError:
            raise
        except (OSError, KeyError, IndexError, ValueError, RuntimeError) as error:
            message = f"array {index} of {key!r} cannot be read: {first_line(error)}"
            raise MissingArrayError(message, file=path, run=self._run, device=key) from error

    def _item(self, path: Path, dataset: str, index: int) -> Any:
        for attempts_left in reversed(range(_ATTEMPTS)):
            try:
                return self._dataset(path, dataset)[index]
            except FileNotFoundError:
                raise
            except (OSError, KeyError, IndexError, RuntimeError):
                # It may be growing, and be seen in the middle of that, or as it was long ago.
                if not attempts_left or not needs_view(path):
                    raise
                self._forget(path)
        raise AssertionError  # the last attempt returns or raises

    def _has(self, path: Path, dataset: str) -> bool:
        return (path, dataset) in self._datasets or dataset in self._file(path)

    def _dataset(self, path: Path, name: str) -> Any:
        if (path, name) not in self._datasets:
            self._datasets[path, name] = self._file(path)[name]
        return self._datasets[path, name]

    def _file(self, path: Path) -> Any:
        if path not in self._files:
            if not path.exists():
                raise FileNotFoundError(path)
            h5py = load_h5py()
            # Nothing is kept: what was read of a file that grows is another thing later.
            options: dict[str, Any] = {"libver": "latest", "rdcc_nbytes": 0}
            if needs_view(path):
                self._files[path] = h5py.File(ClosedView(path), "r", **options)
            else:
                self._files[path] = h5py.File(path, "r", locking="best-effort", **options)
        return self._files[path]

    def _forget(self, path: Path) -> None:
        self._datasets = {key: known for key, known in self._datasets.items() if key[0] != path}
        if path in self._files:
            self._files.pop(path).close()

    def close(self) -> None:
        """Close all files."""
        for path in list(self._files):
            self._forget(path)
