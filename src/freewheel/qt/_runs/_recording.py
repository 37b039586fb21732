"""Recording the runs of an engine, switched on and off while they come."""

from __future__ import annotations

import os
import shutil
import time
import weakref
from abc import abstractmethod
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from qtpy.compat import isalive
from qtpy.QtCore import QObject, QTimer, Signal

from freewheel.core import duration_text
from freewheel.core._errors import text_of
from freewheel.core._wording import count_text
from freewheel.previews._preview import bytes_text
from freewheel.qt._link._feed import Feed
from freewheel.qt._link._worker import Worker
from freewheel.qt._runs._daily import DAY, DailyRecorder, folder_of
from freewheel.qt._runs._gate import Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from freewheel.qt._link._bridge import EngineBridge

__all__ = ["Recording", "why_no_tiled"]

_LOOK_MS: Final = 1000
#: With less than this the disk is called nearly full [bytes].
_LITTLE: Final = 2_000_000_000
_TILED: Final = ("tiled://", "tiled+https://")

_Place: TypeAlias = tuple[str, str]  # a folder or an address, and the uid of a run in it

# Of the window's thread: a run is written into one place once.
_recordings: weakref.WeakSet[Recording] = weakref.WeakSet()


def why_no_tiled() -> str:
    """Return why nothing can be sent to a Tiled server; empty if it can."""
    return "" if find_spec("tiled") else "needs Tiled: pip install 'freewheel[tiled]'"


class Recording(QObject):
    """Has runs recorded from one moment to another: to a folder, or to a Tiled server.

    Where `DAY` stands in a folder's name each run goes to that of the day on which it begins.

    Nothing of it waits for a disk or a server on the window's thread. What is being recorded when
    it is ended is recorded to the end of its run.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    parent
        The QObject that owns this one.
    between
        Calls a function where a run ends and another begins, if it can: soon, or at once.

    Attributes
    ----------
    changed : Signal()
        It was begun, or has ended, or there are new figures.
    failed : Signal(object)
        It could not be begun, or a run is not recorded whole: the exception.
    """

    changed = Signal()
    failed = Signal(object)

    def __init__(
        self,
        bridge: EngineBridge,
        parent: QObject,
        between: Callable[[Callable[[], object]], None],
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._between = between
        self.destination = ""  # of the runs that are recorded now, or were last
        self._wish: object = None  # what somebody asked for last, while that is made
        self._session: _Session | None = None
        self._left: list[_Session] = []  # their last runs go on, and others are recorded elsewhere
        self._ending = False
        # Runs that were recorded since the program began, and where. Gates add to it, on the thread
        # of the documents and so earlier or later than the window hears of a run; nobody removes.
        self._places: dict[str, str] = {}
        self._lost: set[str] = set()  # of these, not recorded whole
        self._figures, self._low, self._problem = "", False, ""
        self._worker = Worker(self, every=True)
        self._feed = Feed(self._gate_told)
        self._clock = QTimer(self)
        self._clock.setInterval(_LOOK_MS)
        self._clock.timeout.connect(self._look)
        bridge.documentReceived.connect(self._note)
        _recordings.add(self)

    @property
    def is_on(self) -> bool:
        """Whether runs are recorded that begin now."""
        return self._session is not None and not self._ending

    @property
    def is_beginning(self) -> bool:
        """Whether it is not on yet: the place is being made, or a run has to end before."""
        return self._wish is not None

    @property
    def is_ending(self) -> bool:
        """Whether runs that have begun are recorded still, and no others."""
        return self._session is not None and self._ending

    @property
    def figures(self) -> str:
        """Size, rate and free disk, in words; and what is not recorded whole."""
        return "; ".join(filter(None, (self._problem, self._figures)))

    @property
    def is_low(self) -> bool:
        """Whether the disk is nearly full, the server away, or a run not recorded whole."""
        return self._low or bool(self._problem)

    def place_of(self, run: str) -> str:
        """Return where a run is, or was, recorded to whole, by its uid; empty if it is not."""
        return "" if run in self._lost else self._places.get(run, "")

    def start(self, destination: str) -> None:
        """Record the runs that begin from now on, to a folder or a ``tiled://`` address.

        Those that are being recorded to another one are recorded there to their ends.
        """
        is_same = _absolute(destination) == _absolute(self.destination)
        if self.is_beginning and is_same:
            return
        session = self._session
        if session is not None and is_same and session.gate.open():
            self._ending = False  # it was not over yet, and goes on
            self.changed.emit()
            return
        if any(each.writes_for(self._bridge.engine, destination) for each in _recordings - {self}):
            msg = f"another window records the runs of this engine to {destination} already"
            self.failed.emit(RuntimeError(msg))
            return
        self._leave()
        self.destination = destination
        self._wish = wish = object()
        self._worker.ask(lambda: _make(wish, destination), self._made)
        self.changed.emit()

    def writes_for(self, engine: Any, destination: str) -> bool:
        """Tell whether the runs of an engine are recorded to a destination here."""
        is_on = self._session is not None or self.is_beginning
        is_mine = self._bridge.engine is engine and is_on
        same = _absolute(folder_of(self.destination)) == _absolute(folder_of(destination))
        return is_mine and same and bool(isalive(self))

    def _made(self, found: tuple[object, str, _Target | None, Exception | None], _: object) -> None:
        wish, place, target, error = found
        if target is not None:
            self._between(lambda: self._attach(wish, place, target))
        elif wish is self._wish:
            self._wish = None
            self.failed.emit(error)
            self.changed.emit()

    def _attach(self, wish: object, place: str, target: _Target) -> None:
        if wish is not self._wish:  # nobody wants it any more
            self._worker.ask(target.close, self._closed)
            return
        self._wish, feed, places, runs = None, self._feed, self._places, list[_Place]()

        def begun(start: Mapping[str, Any]) -> None:
            folder, run = folder_of(place, start), str(start["uid"])
            places[run] = folder
            runs.append((folder, run))

        gate = Gate(
            target.sink,
            over=lambda: feed.put("over", gate),
            failed=lambda error: feed.put("failed", error),
            begun=begun,
        )
        token = self._bridge.engine.subscribe(gate, delivery="queued")
        target.since = time.time()
        self._session = _Session(target, gate, token, runs)
        self._ending, self._figures, self._problem = False, "", ""
        self._clock.start()
        self._look()
        self.changed.emit()

    def stop(self) -> None:
        """Record no run that begins from now on."""
        self._wish = None
        self._between(self._stop)

    def _stop(self) -> None:
        self._ending = self._session is not None
        if self._session is not None:
            self._session.gate.shut()
        self.changed.emit()

    def _gate_told(self, kind: str, arguments: tuple[Any]) -> None:
        if kind == "failed":
            self._run_failed(arguments[0])
        else:
            self._gate_is_over(arguments[0])

    def _run_failed(self, error: Exception) -> None:
        """Say what is not recorded: a live view goes on, and nobody else would tell of it."""
        self._lost.add(str(getattr(error, "run", None)))
        self._problem = f"not recorded whole: {text_of(error)}"
        self.failed.emit(error)
        self.changed.emit()

    def _gate_is_over(self, gate: Gate) -> None:
        """Let go: what was to be recorded is."""
        session = self._session
        if session is not None and gate is session.gate:
            self._forget_session()
        for left in [each for each in self._left if each.gate is gate]:
            self._left.remove(left)
            self._close(left)

    def _leave(self) -> None:
        """Let the runs of a session come to their ends, while others are recorded elsewhere."""
        session, self._session = self._session, None
        if session is not None:
            self._left.append(session)
            session.gate.shut()

    def end(self) -> None:
        """Record nothing more, not even what has begun."""
        self._wish = None
        left, self._left = self._left, []
        for session in left:
            self._close(session)
        self._forget_session()

    def _forget_session(self) -> None:
        session, self._session = self._session, None
        self._ending = False
        self._clock.stop()
        if session is not None:
            self._close(session)
        self.changed.emit()

    def _close(self, session: _Session) -> None:
        self._bridge.engine.unsubscribe(session.token)
        self._worker.ask(session.target.close, self._closed)

    def _closed(self, _: None, error: BaseException | None) -> None:
        if error is not None:
            self.failed.emit(error)

    def _note(self, name: str, doc: dict[str, Any]) -> None:
        session = self._session
        # Older ones began before it: a replayed one, say, or one that the window tells late.
        if name == "start" and session is not None and not self._ending:
            if doc["time"] >= session.target.since:
                place = folder_of(self.destination, doc)
                self._places.setdefault(doc["uid"], place)  # the gate may be behind

    def _look(self) -> None:
        session = self._session
        if session is not None and not self._worker.busy:
            runs = tuple(session.runs)
            self._worker.ask(lambda: session.target.look(runs), self._looked)

    def _looked(self, found: tuple[str, bool] | None, error: BaseException | None) -> None:
        self._figures, self._low = (str(error), True) if found is None else found
        self.changed.emit()


def _make(wish: object, destination: str) -> tuple[object, str, _Target | None, Exception | None]:
    """Make where runs are recorded to, or say why it cannot be; on a worker's thread."""
    kind = _TiledTarget if destination.startswith(_TILED) else _FolderTarget
    try:
        return wish, destination, kind(destination), None
    except Exception as error:  # of a disk, an address, a library that is missing
        return wish, destination, None, error


def _absolute(destination: str) -> str:
    return destination if destination.startswith(_TILED) else os.path.abspath(destination)


class _Target:
    """Where runs are recorded to; ``sink`` takes the documents. Made on a worker's thread."""

    sink: Any

    def __init__(self) -> None:
        self.since = time.time()

    def close(self) -> None:
        """Give back files and connections; on a worker's thread."""
        self.sink.close()

    @abstractmethod
    def look(self, runs: tuple[_Place, ...]) -> tuple[str, bool]:
        """Return figures in words, and whether it gets tight. On a worker's thread."""


@dataclass(eq=False)
class _Session:
    """Recording to one place, from one moment to another."""

    target: _Target
    gate: Gate
    token: int  # of the gate's subscription
    runs: list[_Place]  # that it has; the gate alone adds to it


class _FolderTarget(_Target):
    def __init__(self, folder: str) -> None:
        from freewheel.recording import Recorder

        super().__init__()
        self.sink = DailyRecorder(folder) if DAY in folder else Recorder(folder)
        self._before = (0.0, 0)  # when it was looked at last, and how much there was then
        self._first: int | None = None

    def look(self, runs: tuple[_Place, ...]) -> tuple[str, bool]:
        now, size = time.monotonic(), sum(_size_of(Path(folder), run) for folder, run in runs)
        self._first = size if self._first is None else self._first
        then, before = self._before
        self._before = now, size
        rate = (size - before) / (now - then) if then else 0.0
        free = shutil.disk_usage(self.sink.writes_to).free
        text = f"{bytes_text(size - self._first)}, {bytes_text(max(rate, 0))}/s"
        text += f", {bytes_text(free)} free"
        if rate > 0:
            text += f" for {duration_text(free / rate)}"
        return text, free < _LITTLE


class _TiledTarget(_Target):
    def __init__(self, address: str) -> None:
        from freewheel.publishing import Publisher

        super().__init__()
        self.sink = Publisher(address)

    def look(self, runs: tuple[_Place, ...]) -> tuple[str, bool]:
        status = self.sink.status
        wait = "waits" if status.waiting == 1 else "wait"
        text = f"{count_text(status.sent, 'document')} sent, {status.waiting} {wait}"
        return (f"{status.problem}; {text}", True) if status.problem else (text, False)


def _size_of(folder: Path, run: str) -> int:
    size = 0
    for path in (folder / f"{run}.jsonl", *(folder / run).glob("*")):
        try:
            size += path.stat().st_size
        except OSError:  # not made yet, or moved meanwhile
            continue
    return size
