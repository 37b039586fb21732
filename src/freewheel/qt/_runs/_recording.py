"""Recording the runs of an engine, switched on and off while they come."""

from __future__ import annotations

import os
import shutil
import time
import weakref
from abc import abstractmethod
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from qtpy.compat import isalive
from qtpy.QtCore import QObject, QTimer, Signal

from freewheel.core import duration_text
from freewheel.core._errors import text_of
from freewheel.previews._preview import bytes_text
from freewheel.qt._link._feed import Feed
from freewheel.qt._link._worker import Worker
from freewheel.qt._runs._gate import Gate

if TYPE_CHECKING:
    from collections.abc import Callable

    from freewheel.qt._link._bridge import EngineBridge

__all__ = ["Recording", "why_no_tiled"]

_LOOK_MS: Final = 1000
#: With less than this the disk is called nearly full [bytes].
_LITTLE: Final = 2_000_000_000
_TILED: Final = ("tiled://", "tiled+https://")

# Of the window's thread: a run is written into one place once.
_recordings: weakref.WeakSet[Recording] = weakref.WeakSet()


def why_no_tiled() -> str:
    """Return why nothing can be sent to a Tiled server; empty if it can."""
    return "" if find_spec("tiled") else "needs Tiled: pip install 'freewheel[tiled]'"


class Recording(QObject):
    """Has runs recorded from one moment to another: to a folder, or to a Tiled server.

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
        self._target: _Target | None = None
        self._gate: Gate | None = None
        self._token = 0  # of the gate's subscription
        self._begun = 0  # counts what was asked for
        self._making = 0  # which of these is being made; 0 for none
        self._ending = False
        self._runs: set[str] = set()  # that were recorded, since the program began
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
        return self._target is not None and not self._ending

    @property
    def is_beginning(self) -> bool:
        """Whether it is not on yet: the place is being made, or a run has to end before."""
        return bool(self._making)

    @property
    def is_ending(self) -> bool:
        """Whether runs that have begun are recorded still, and no others."""
        return self._target is not None and self._ending

    @property
    def figures(self) -> str:
        """Size, rate and free disk, in words; and what is not recorded whole."""
        return "; ".join(filter(None, (self._problem, self._figures)))

    @property
    def is_low(self) -> bool:
        """Whether the disk is nearly full, the server away, or a run not recorded whole."""
        return self._low or bool(self._problem)

    def has(self, run: str) -> bool:
        """Tell whether a run is, or was, recorded, and as far as is known whole; by its uid."""
        return run in self._runs - self._lost

    def start(self, destination: str) -> None:
        """Record the runs that begin from now on, to a folder or a ``tiled://`` address."""
        if self._making:
            return
        if self._gate is not None and self._gate.open():  # it was not over yet, and goes on
            self._ending = False
            self.changed.emit()
            return
        self.end()
        if any(other.writes_for(self._bridge.engine, destination) for other in _recordings):
            msg = f"another window records the runs of this engine to {destination} already"
            self.failed.emit(RuntimeError(msg))
            return
        self.destination = destination
        self._begun += 1
        self._making = number = self._begun
        self._worker.ask(lambda: _make(number, destination), self._made)
        self.changed.emit()

    def writes_for(self, engine: Any, destination: str) -> bool:
        """Tell whether the runs of an engine are recorded to a destination here."""
        is_on = self._target is not None or self.is_beginning
        is_mine = self._bridge.engine is engine and is_on
        same = _place_of(self.destination) == _place_of(destination)
        return is_mine and same and bool(isalive(self))

    def _made(self, found: tuple[int, _Target | None, Exception | None], _: object) -> None:
        number, target, error = found
        if target is not None:
            self._between(lambda: self._attach(number, target))
        elif number == self._making:
            self._making = 0
            self.failed.emit(error)
            self.changed.emit()

    def _attach(self, number: int, target: _Target) -> None:
        if number != self._making:  # it was switched off meanwhile
            self._worker.ask(target.close, self._closed)
            return
        self._making = 0
        feed = self._feed
        gate = Gate(
            target.sink,
            over=lambda: feed.put("over", gate),
            failed=lambda error: feed.put("failed", error),
        )
        self._token = self._bridge.engine.subscribe(gate, delivery="queued")
        target.since = time.time()
        self._gate, self._target = gate, target
        self._ending, self._figures, self._problem = False, "", ""
        self._clock.start()
        self._look()
        self.changed.emit()

    def stop(self) -> None:
        """Record no run that begins from now on."""
        self._making = 0
        self._between(self._stop)

    def _stop(self) -> None:
        self._ending = self._target is not None
        if self._gate is not None:
            self._gate.shut()
        self.changed.emit()

    def _gate_told(self, kind: str, arguments: tuple[Any]) -> None:
        if kind == "failed":
            self._run_failed(arguments[0])
        elif arguments[0] is self._gate:
            self.end()  # what was to be recorded is

    def _run_failed(self, error: Exception) -> None:
        """Say what is not recorded: a live view goes on, and nobody else would tell of it."""
        self._lost.add(str(getattr(error, "run", None)))
        self._problem = f"not recorded whole: {text_of(error)}"
        self.failed.emit(error)
        self.changed.emit()

    def end(self) -> None:
        """Record nothing more, not even what has begun."""
        target, gate = self._target, self._gate
        self._target = self._gate = None
        self._making = 0
        self._ending = False
        self._clock.stop()
        if gate is not None and target is not None:
            self._bridge.engine.unsubscribe(self._token)
            self._worker.ask(target.close, self._closed)
        self.changed.emit()

    def _closed(self, _: None, error: BaseException | None) -> None:
        if error is not None:
            self.failed.emit(error)

    def _note(self, name: str, doc: dict[str, Any]) -> None:
        # Older ones began before it: a replayed one, say, or one that the window tells late.
        if name == "start" and self.is_on and self._target is not None:
            if doc["time"] >= self._target.since:
                self._runs.add(doc["uid"])

    def _look(self) -> None:
        target = self._target
        if target is not None and not self._worker.busy:
            runs = tuple(self._runs)
            self._worker.ask(lambda: target.look(runs), self._looked)

    def _looked(self, found: tuple[str, bool] | None, error: BaseException | None) -> None:
        self._figures, self._low = (str(error), True) if found is None else found
        self.changed.emit()


def _make(number: int, destination: str) -> tuple[int, _Target | None, Exception | None]:
    """Make where runs are recorded to, or say why it cannot be; on a worker's thread."""
    kind = _TiledTarget if destination.startswith(_TILED) else _FolderTarget
    try:
        return number, kind(destination), None
    except Exception as error:  # of a disk, an address, a library that is missing
        return number, None, error


def _place_of(destination: str) -> str:
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
    def look(self, runs: tuple[str, ...]) -> tuple[str, bool]:
        """Return figures in words, and whether it gets tight. On a worker's thread."""


class _FolderTarget(_Target):
    def __init__(self, folder: str) -> None:
        from freewheel.recording import Recorder

        super().__init__()
        self._folder = Path(folder)
        self.sink = Recorder(self._folder)
        self._before = (0.0, 0)  # when it was looked at last, and how much there was then
        self._first: int | None = None

    def look(self, runs: tuple[str, ...]) -> tuple[str, bool]:
        now, size = time.monotonic(), sum(_size_of(self._folder, run) for run in runs)
        self._first = size if self._first is None else self._first
        then, before = self._before
        self._before = now, size
        rate = (size - before) / (now - then) if then else 0.0
        free = shutil.disk_usage(self._folder).free
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

    def look(self, runs: tuple[str, ...]) -> tuple[str, bool]:
        status = self.sink.status
        text = f"{status.sent} documents sent, {status.waiting} wait"
        return (f"{status.problem}; {text}", True) if status.problem else (text, False)


def _size_of(folder: Path, run: str) -> int:
    size = 0
    for path in (folder / f"{run}.jsonl", *(folder / run).glob("*")):
        try:
            size += path.stat().st_size
        except OSError:  # not made yet, or moved meanwhile
            continue
    return size
