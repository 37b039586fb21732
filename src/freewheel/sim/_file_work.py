"""What detectors share that take on a thread of their own, and write what they take into files."""

from __future__ import annotations

import abc
import tempfile
import threading
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import h5py
from ophyd_async.core import (
    DetectorAcquireLogic,
    DetectorDataLogic,
    PathInfo,
    PathProvider,
    SignalR,
)

from ._thread import run_in_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._shots import Taking

__all__ = ["AcquireLogic", "FileLogic", "FileWork", "FreshFiles", "GrowingFile"]

_WRITER = "freewheel-sim-writer"


class GrowingFile:
    """An HDF5 file of datasets that grow together; methods may be called from any thread.

    Readers may follow while it is written (SWMR).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # Keeps data from being written while the file is closed; guards the count, too.
        self._lock = threading.Lock()
        self._file: h5py.File | None = h5py.File(path, "w", libver="latest")
        self._count = 0

    def _dataset(self, name: str, shape: tuple[int, ...], chunk: int, dtype: Any) -> h5py.Dataset:
        assert self._file is not None
        return self._file.create_dataset(
            name, shape=(0, *shape), maxshape=(None, *shape), chunks=(chunk, *shape), dtype=dtype
        )

    def _let_read(self) -> None:
        assert self._file is not None
        self._file.swmr_mode = True  # no dataset can be made from here on

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None


_File = TypeVar("_File", bound=GrowingFile)


@dataclass(kw_only=True)
class FileWork(abc.ABC, Generic[_File]):
    """What is taken, and the file that it goes to; used on the event loop that runs the device."""

    written: SignalR[int]
    show_written: Callable[[int], None]
    file: _File | None = None
    taking: Taking | None = field(default=None, repr=False)

    @abc.abstractmethod
    async def start(self) -> None:
        """Take, and write what is taken."""

    async def stop(self) -> None:
        """Take no more, and wait until all that was taken is written."""
        taking, self.taking = self.taking, None
        if taking is not None:
            await taking.stop()

    async def close(self) -> None:
        """Stop, and close the file."""
        # Nothing comes after the file is closed: the count would say more than it holds.
        await self.stop()
        file, self.file = self.file, None
        if file is not None:
            await run_in_thread(file.close, _WRITER)


@dataclass
class AcquireLogic(DetectorAcquireLogic):
    """Starts the work, and waits for its end."""

    work: FileWork[Any]

    async def start_acquiring(self) -> None:
        await self.work.start()

    async def wait_for_idle(self) -> None:
        if self.work.taking is not None:
            await self.work.taking.end.wait()

    async def ensure_stopped(self) -> None:
        await self.work.stop()


@dataclass
class FileLogic(DetectorDataLogic):
    """Gives the work a new file each time."""

    work: FileWork[Any]
    path_provider: PathProvider

    async def _new_file(self, datakey_name: str, make: Callable[[Path], GrowingFile]) -> str:
        """Have the work write into a new file, and return its URI."""
        info = self.path_provider(datakey_name)
        path = Path(info.directory_path) / f"{info.filename}.h5"

        def opened() -> GrowingFile:
            path.parent.mkdir(parents=True, exist_ok=True)
            return make(path)

        await self.stop()
        self.work.file = await run_in_thread(opened, _WRITER)
        self.work.show_written(0)
        return f"{info.directory_uri}{info.filename}.h5"

    async def stop(self) -> None:
        await self.work.close()


class FreshFiles(PathProvider):
    """A new file name each time, in one directory; by default a temporary one, made when needed."""

    def __init__(self, directory: str | Path | None) -> None:
        self._directory = None if directory is None else Path(directory)

    @property
    def directory(self) -> Path:
        """Where they go."""
        return Path(tempfile.gettempdir()) if self._directory is None else self._directory

    def __call__(self, datakey_name: str | None = None) -> PathInfo:
        if self._directory is None:
            self._directory = Path(tempfile.mkdtemp(prefix="freewheel-sim-"))
        name = f"{datakey_name or 'frames'}-{uuid.uuid4()}"
        return PathInfo(directory_path=self._directory.absolute(), filename=name)
