"""Recorded runs shown once more, at any speed, in the window alone."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from freewheel.qt._link._feed import Feed
from freewheel.recording import replay

if TYPE_CHECKING:
    from freewheel.recording import RecordedRun

__all__ = ["Replayer"]


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
        self._feed = Feed(self._arrived)

    @property
    def is_on(self) -> bool:
        """Whether a run is replayed."""
        return self._ended is not None

    def start(self, run: RecordedRun, speed: float) -> None:
        """Replay a run, and no other any more."""
        self.stop()
        self._ended = ended = threading.Event()
        play = partial(_play, run, speed, self._feed, ended)
        threading.Thread(target=play, name="freewheel-replay", daemon=True).start()

    def stop(self, *_: Any) -> None:
        """Replay no more."""
        ended, self._ended = self._ended, None
        if ended is not None:
            ended.set()
            self.over.emit(None)

    def _arrived(self, kind: str, arguments: tuple[Any, ...]) -> None:
        if kind == "document":
            if self._ended is not None:
                self.document.emit(*arguments)
            return
        ended, error = arguments
        if ended is self._ended:
            self._ended = None
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
    feed.put("over", ended, error)
