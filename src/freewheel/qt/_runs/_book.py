"""The runs that an engine has made while the window was there, and what is kept of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import QObject, Signal

from freewheel.qt._plot._tables import Run, Table
from freewheel.qt._runs._reader import Frames, read_frames, read_scalars
from freewheel.recording import read_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from freewheel.qt._link._bridge import EngineBridge
    from freewheel.recording import RecordedRun

__all__ = ["KnownRun", "RunBook", "events_of"]

#: So many runs are known, and of so many scalars and the newest pictures are kept …
_RUNS: Final = 500
_KEPT: Final = 30
#: … as long as these are no more together [bytes].
_BYTES: Final = 1 << 28
#: What is said of how a run has ended, for a word that bluesky has for it.
_WORDS: Final = {"abort": "aborted", "fail": "failed"}


@dataclass(eq=False)
class KnownRun:
    """A run of this day, or of a recording.

    Attributes
    ----------
    start, stop
        Its documents; `None` while it is under way.
    where
        Tells of a run, by its uid, where it is recorded to; empty if it is not.
    events
        How many there were.
    recorded
        What reads it, once it was opened.
    is_here
        Whether it was made by the engine, and not found in a recording.
    """

    start: dict[str, Any]
    stop: dict[str, Any] | None = None
    where: Callable[[str], str] = lambda _: ""
    events: int = 0
    recorded: RecordedRun | None = None
    is_here: bool = False
    scalars: Run | None = None
    newest: dict[str, Any] = field(default_factory=dict)  # the last picture, by data key

    @property
    def uid(self) -> str:
        """Its uid."""
        return str(self.start["uid"])

    @property
    def place(self) -> str:
        """The folder or address that it is recorded to; empty if it is not."""
        return self.where(self.uid)

    @property
    def status(self) -> str:
        """How it ended, in a word."""
        if self.stop is None:
            return "running" if self.is_here else "incomplete"
        status = str(self.stop.get("exit_status", "?"))
        if status == "abort" and self.reason:
            return "stopped"  # by somebody who says why: a live view ends in no other way
        return _WORDS.get(status, status)

    @property
    def reason(self) -> str:
        """Why it ended as it did, as its stop document says; empty if it does not."""
        return str((self.stop or {}).get("reason") or "")

    @property
    def problem(self) -> str:
        """What is wrong with its recording, as far as is known; empty if nothing is."""
        return "" if self.is_here or self.recorded is None else self.recorded.problem or ""

    @property
    def newest_bytes(self) -> int:
        """How much the pictures take that are kept of it."""
        return sum(int(picture.nbytes) for picture in self.newest.values())

    def open(self) -> RecordedRun | None:
        """Open its recording, if there is one; on a worker's thread."""
        place = self.place
        if self.recorded is not None or not place:
            return self.recorded
        where = place.replace("tiled+https://", "https://").replace("tiled://", "http://")
        runs = read_runs(where if "://" in place else Path(place) / f"{self.uid}.jsonl")
        found = next((run for run in runs if run.uid == self.uid), None)
        if found is not None and found.stop is not None:  # else there is more of it later
            self.recorded = found
        return found

    def read_scalars(self) -> Run:
        """Return its scalars; on a worker's thread."""
        return self.read_recorded_scalars() if self.scalars is None else self.scalars

    def read_recorded_scalars(self) -> Run:
        """Return its scalars, as they were recorded; as above."""
        run = self.open()
        if run is None:
            msg = "it was not recorded, and is too long ago for its scalars to be kept"
            raise LookupError(msg)
        return read_scalars(run)

    def read_frames(self) -> dict[str, Frames]:
        """Return its pictures, by data key: all that were recorded, else the last; as above."""
        run = self.open()
        if run is not None:
            return read_frames(run)
        found = {}
        for key, value in dict(self.newest).items():  # the window's thread adds to it
            found[key] = Frames(key)
            found[key].add(value)
        return found

    def read_frames_of(self, key: str | None) -> Frames:
        """Return its pictures of one data key, by default the first; as above."""
        found = self.read_frames()
        if not found or (key is not None and key not in found):
            msg = f"this run has no pictures{'' if key is None else f' of {key}'}"
            raise LookupError(msg)
        return next(iter(found.values())) if key is None else found[key]


def events_of(stop: Mapping[str, Any] | None) -> int:
    """Return how many events a run had in all, as its stop document says."""
    counts = (stop or {}).get("num_events")
    known = counts.values() if isinstance(counts, dict) else ()
    return sum(number for number in known if isinstance(number, int))


class RunBook(QObject):
    """Keeps account of the runs of an engine.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    parent
        The QObject that owns this one.
    where
        Tells of a run, by its uid, where it is recorded to; empty if it is not.

    Attributes
    ----------
    changed : Signal(object)
        A run has begun, or has ended.
    """

    changed = Signal(object)

    def __init__(self, bridge: EngineBridge, parent: QObject, where: Callable[[str], str]) -> None:
        super().__init__(parent)
        self._where = where
        self.runs: dict[str, KnownRun] = {}
        self._tables: dict[str, tuple[KnownRun, Table]] = {}  # by descriptor
        bridge.documentReceived.connect(self._receive)

    @property
    def is_busy(self) -> bool:
        """Whether a run is under way."""
        return any(run.stop is None for run in self.runs.values())

    def _receive(self, name: str, doc: dict[str, Any]) -> None:
        if name == "start":
            self._forget_some()
            run = self.runs[doc["uid"]] = KnownRun(
                doc, where=self._where, is_here=True, scalars=Run(doc)
            )
            self.changed.emit(run)
        elif name == "descriptor" and doc["run_start"] in self.runs:
            run = self.runs[doc["run_start"]]
            if run.scalars is not None:
                self._tables[doc["uid"]] = run, run.scalars.add_stream(doc, ())
        elif name == "event" and doc["descriptor"] in self._tables:
            self._take_event(doc)
        elif name == "stop" and doc["run_start"] in self.runs:
            run = self.runs[doc["run_start"]]
            run.stop = doc
            run.events = events_of(doc)
            self._forget_pictures()
            self.changed.emit(run)

    def _take_event(self, doc: dict[str, Any]) -> None:
        run, table = self._tables[doc["descriptor"]]
        table.add(doc)
        for key, value in doc["data"].items():
            if getattr(value, "ndim", 0) >= 2:
                run.newest[key] = value

    def _forget_pictures(self) -> None:
        """Keep pictures of no more of what is over than there is room for; of the last always."""
        room = _BYTES
        for number, run in enumerate(r for r in reversed(self.runs.values()) if r.stop is not None):
            room -= run.newest_bytes
            if number and room < 0:
                run.newest = {}

    def _forget_some(self) -> None:
        """Keep less of what is long over, but of runs that go on all."""
        over = [uid for uid, run in self.runs.items() if run.stop is not None]
        for uid in over[: max(0, len(over) - _KEPT + 1)]:
            run = self.runs[uid]
            run.newest = {}
            run.scalars = None
        for uid in over[: max(0, len(over) - _RUNS + 1)]:
            del self.runs[uid]
        self._tables = {
            uid: each for uid, each in self._tables.items() if each[0].scalars is not None
        }
