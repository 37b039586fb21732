"""Recorded runs shown once more, at any speed, in the window alone."""

from __future__ import annotations

import threading
import time
import uuid
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import QObject, Signal

from freewheel.qt._link._feed import Feed
from freewheel.recording import replay

if TYPE_CHECKING:
    from freewheel.recording import RecordedRun

__all__ = ["Replayer"]

_REASON: Final = "its replay has ended before it"


class Replayer(QObject):
    """Emits a run's documents again, with their spacing; no engine sees them.

    Parameters
    ----------
    parent
        The QObject that owns this one.

    Attributes
    ----------
    document : Signal(str, object)
        Name and document.
    over : Signal(object)
        It has ended: `None`, or why it could not go on.
    """

    document = Signal(str, object)
    over = Signal(object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._ended: threading.Event | None = None  # set here, waited for by the thread
        self._feed: Feed | None = None  # of the replay that is on: no other's documents come late
        self._runs: dict[str, None] = {}  # that have begun, and not ended

    @property
    def is_on(self) -> bool:
        """Whether a run is replayed."""
        return self._ended is not None

    def start(self, run: RecordedRun, speed: float) -> None:
        """Replay a run, and no other any more."""
        self.stop()
        self._ended = ended = threading.Event()
        self._feed = feed = Feed(self._arrived)
        play = partial(_play, run, speed, feed, ended)
        threading.Thread(target=play, name="freewheel-replay", daemon=True).start()

    def stop(self, *_: Any) -> None:
        """Replay no more."""
        if self._ended is not None:
            self._finish(None)

    def _arrived(self, kind: str, arguments: tuple[Any, ...]) -> None:
        if kind == "over":
            self._finish(arguments[0])
            return
        name, doc = arguments
        if name == "start":
            self._runs[doc["uid"]] = None
        elif name == "stop":
            self._runs.pop(doc["run_start"], None)
        self.document.emit(name, doc)

    def _finish(self, error: BaseException | None) -> None:
        ended, feed, runs = self._ended, self._feed, self._runs
        self._ended, self._feed, self._runs = None, None, {}
        if ended is not None and feed is not None:
            ended.set()
            feed.close()
        for uid in runs:  # whoever has seen them begin waits for their ends
            stop = {"uid": uuid.uuid4().hex, "run_start": uid, "time": time.time()}
            self.document.emit("stop", {**stop, "exit_status": "abort", "reason": _REASON})
        self.over.emit(error)


def _play(run: RecordedRun, speed: float, feed: Feed, ended: threading.Event) -> None:
    error: BaseException | None = None
    try:
        for name, doc in replay(run, speed=speed, sleep=ended.wait):
            if ended.is_set():
                return
            feed.put_document(name, doc)
    except Exception as failure:  # of a damaged recording, or a server
        error = failure
    feed.put("over", error)
