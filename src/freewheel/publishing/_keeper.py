"""Copies of the runs under way, so that what cannot be sent can be kept whole."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

from freewheel.recording import Recorder, RecordingError
from freewheel.recording._format import MANIFEST

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from ._targets import Item

__all__ = ["Keeper"]

_log = logging.getLogger("freewheel.publishing")

#: What the copies hold in memory at most; a run that is longer is copied to the disk.
_MAX_DOCUMENTS: Final = 10_000
_MAX_BYTES: Final = 1 << 26


@dataclass
class _Copy:
    documents: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    size: int = 0
    on_disk: bool = False


@final
class Keeper:
    """Has a copy of each run until all of it was sent: in memory, and of long runs on disk.

    Its owner calls it under a lock.

    Parameters
    ----------
    keep : path, Recorder or None
        The recording to keep runs in. A recorder records all runs anyway, so that nothing is to be
        done; without any, nothing is kept.
    label : str
        The recording's directory below the path.
    """

    def __init__(self, keep: str | os.PathLike[str] | Recorder | None, label: str) -> None:
        recorded = isinstance(keep, Recorder)
        self.place: Path | None
        if keep is None:
            self.place = None
        else:
            self.place = keep.path if isinstance(keep, Recorder) else Path(keep).absolute() / label
        self._copies = keep is not None and not recorded
        self._was_there = self.place is not None and self.place.exists()
        self._recorder: Recorder | None = None  # made when it is needed
        self._runs: dict[str, _Copy] = {}
        self._documents = 0  # in memory, of all runs
        self._bytes = 0

    def add(self, item: Item) -> None:
        """Copy a document."""
        if not self._copies:
            return
        if item.name == "start":
            self._runs[item.run] = _Copy()
        copy = self._runs.get(item.run)
        if copy is None:
            return
        if copy.on_disk:
            self._write(item.run, [(item.name, item.doc)])
            return
        copy.documents.append((item.name, item.doc))
        copy.size += item.size
        self._documents += 1
        self._bytes += item.size
        if self._documents > _MAX_DOCUMENTS or self._bytes > _MAX_BYTES:
            self.keep(item.run)

    def keep(self, run: str) -> None:
        """Write a run to the recording, and what still comes of it."""
        copy = self._runs.get(run)
        if copy is not None and not copy.on_disk:
            copy.on_disk = True
            documents = self._empty(copy)
            self._write(run, documents)

    def forget(self, run: str, *, sent: bool) -> None:
        """Have no more to do with a run that is over; throw away what was sent."""
        copy = self._runs.pop(run, None)
        if copy is None:
            return
        self._empty(copy)
        if sent and copy.on_disk and self._recorder is not None:
            self._recorder.discard(run)

    def close(self) -> None:
        """Write what is to be kept; runs that have not ended stay incomplete."""
        self._runs.clear()
        if self._recorder is None:
            return
        with contextlib.suppress(OSError, RecordingError):
            self._recorder.close()
        if not self._was_there and not any(self._recorder.path.glob("*.jsonl")):
            # Nothing but what is empty: another process may keep its runs here, from now on.
            with contextlib.suppress(OSError):
                (self._recorder.path / MANIFEST).unlink()
                self._recorder.path.rmdir()

    def _empty(self, copy: _Copy) -> list[tuple[str, Mapping[str, Any]]]:
        documents, copy.documents = copy.documents, []
        self._documents -= len(documents)
        self._bytes -= copy.size
        copy.size = 0
        return documents

    def _write(self, run: str, documents: list[tuple[str, Mapping[str, Any]]]) -> None:
        try:
            if self._recorder is None:
                assert self.place is not None
                self._recorder = Recorder(self.place)
            self._recorder.take_batch(documents)
        except (RecordingError, OSError) as error:
            del self._runs[run]  # there is no use in trying it with each document
            _log.error("The run %s, which is to be kept, cannot be recorded: %s", run, error)
