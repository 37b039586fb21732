"""Carries what an engine tells from its threads to the window's."""

from __future__ import annotations

import logging
import sys
import threading
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

from qtpy.compat import isalive
from qtpy.QtCore import QCoreApplication, QObject, Qt, Signal

from freewheel.core._pictures import WaitingPictures, has_picture, without_pictures
from freewheel.qt._link._collector import Collector
from freewheel.qt._link._exit import delete_windows_at_exit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Feed", "check_window_thread"]

_log = logging.getLogger("freewheel.qt")

# How long one wake-up may hold the window's thread before input and painting get their turn [s].
_TURN = 0.004
# Documents of scalars that may wait for a window that does not come round to them.
_LIMIT = 100_000


def check_window_thread(what: str) -> QCoreApplication:
    """Return the application; refuse a call from any thread but the window's.

    Raises
    ------
    RuntimeError
        If there is no application, or this is not its thread.
    """
    app = QCoreApplication.instance()
    if app is None:
        msg = f"{what} needs a QApplication: make one first"
        raise RuntimeError(msg)
    if app.thread() != QObject().thread():
        msg = f"{what} belongs to the window's thread, and was made on another"
        raise RuntimeError(msg)
    return app


class _Bell(QObject):
    """Wakes the window's thread; one for the application, so that it outlives every bridge."""

    rung = Signal()

    def __init__(self, app: QCoreApplication) -> None:
        super().__init__(app)
        # The lock guards `_waiting`: feeds that wait for a turn, each at most once. Engine
        # threads add, the window's thread takes.
        self._lock = threading.Lock()
        self._waiting: list[Feed] = []
        self.rung.connect(self._answer, Qt.ConnectionType.QueuedConnection)

    def ring(self, feed: Feed) -> None:
        """Give a feed a turn on the window's thread; from any thread."""
        with self._lock:
            first = not self._waiting
            self._waiting.append(feed)
        if first:
            try:
                self.rung.emit()
            except RuntimeError:  # the application is gone, and every window with it
                feed.close()

    def _answer(self) -> None:
        with self._lock:
            feeds, self._waiting = self._waiting, []
        for feed in feeds:
            feed.deliver()


_bells: dict[int, _Bell] = {}  # by the application's id; the window's thread alone


def _bell_of(app: QCoreApplication) -> _Bell:
    bell = app.property("freewheel_bell")
    if not isinstance(bell, _Bell):
        bell = _bells[id(app)] = _Bell(app)
        app.setProperty("freewheel_bell", bell)
        Collector(app)
        delete_windows_at_exit()
    return bell


class Feed:
    """A queue from the engine's threads to one receiver on the window's.

    What is put arrives in order. Of documents with large arrays only the newest of each stream
    waits, so that a flood of frames holds one frame in memory and wakes the window once. Of those
    before it what else they carry arrives, without the arrays: a scan with a camera is to be
    plotted point by point. A window that cannot keep up with these shows pictures all the same:
    beside the newest frame, the first that waits keeps its own until it is there.

    Parameters
    ----------
    receive
        ``receive(kind, arguments)``, called on the window's thread. If it is a method of a QObject,
        the feed does not keep that alive, and closes once it is deleted.
    """

    def __init__(self, receive: Callable[[str, tuple[Any, ...]], None]) -> None:
        self._bell = _bell_of(check_window_thread("a feed from the engine"))
        if isinstance(getattr(receive, "__self__", None), QObject):
            receive = _Method(receive, self)
        self._receive: Callable[[str, tuple[Any, ...]], None] | None = receive
        # The lock guards all that follows: engine threads put, the window's thread takes.
        self._lock = threading.Lock()
        self._items: deque[list[Any]] = deque()
        self._frames: WaitingPictures[list[Any]] = WaitingPictures()
        self._last: dict[str, list[Any]] = {}  # by descriptor, of these the one that came last
        self._rung = False
        self.dropped = 0

    def put(self, kind: str, *arguments: Any) -> None:
        """Add something; from any thread, never waiting for the window."""
        self._add([kind, arguments])

    def put_document(self, name: str, doc: Mapping[str, Any]) -> None:
        """Add a document; from any thread, never waiting for the window."""
        stream = _stream_of_frames(name, doc)
        if stream is None:
            self._add(["document", (name, doc)], droppable=name == "event")
            return
        with self._lock:
            if self._replace(stream, (name, doc)):
                return
        self._add(["document", (name, doc), stream], stream=stream)

    def _replace(self, stream: tuple[str, ...], newer: tuple[str, Mapping[str, Any]]) -> bool:
        """Put a frame in the place of the one that waits, if that can be; with the lock.

        It cannot where the older one has scalars, which stay there, and where a frame with others
        of the same run has come after it: frames are to arrive in order.
        """
        waiting = self._frames.newest(stream)
        if waiting is None:
            return False
        slim = without_pictures(waiting[1][1])
        is_last = self._last.get(stream[0]) is waiting
        if (slim is None and is_last) or len(self._items) >= _LIMIT:
            waiting[1] = newer
            return True
        if self._frames.overtake(stream) is not None:
            waiting[1:] = [None if slim is None else (newer[0], slim)]
        return False

    def _add(
        self, item: list[Any], *, droppable: bool = False, stream: tuple[str, ...] = ()
    ) -> None:
        with self._lock:
            if self._receive is None:
                return
            if droppable and len(self._items) >= _LIMIT:
                self.dropped += 1
                if self.dropped == 1:
                    _log.error("The window is %s documents behind; it misses some.", _LIMIT)
                return
            self._items.append(item)
            if stream:
                self._frames.put(stream, item)
                self._last[stream[0]] = item
            ring, self._rung = not self._rung, True
        if ring:
            self._bell.ring(self)

    def deliver(self) -> None:
        """Hand over what waits, for no longer than a turn; on the window's thread."""
        end = time.monotonic() + _TURN
        while True:
            with self._lock:
                receive = self._receive
                if receive is None or not self._items:
                    self._rung = False
                    return
                item = self._items.popleft()
                self._forget(item)
                kind, arguments = item[0], item[1]
            if arguments is None:  # a frame that a newer one has taken the place of
                continue
            try:
                receive(kind, arguments)
            except (Exception, KeyboardInterrupt):
                # As a slot that raises is told of. What waits here and in other feeds still comes.
                sys.excepthook(*sys.exc_info())
            if time.monotonic() > end:
                self._bell.ring(self)  # `_rung` stays: this is the one wake-up under way
                return

    def _forget(self, item: list[Any]) -> None:
        """Have nothing newer take the place of an item any more; with the lock."""
        if len(item) < 3:
            return
        stream = item[2]
        self._frames.taken(stream, item)
        if self._last.get(stream[0]) is item:
            del self._last[stream[0]]

    def close(self) -> None:
        """Deliver nothing more; from any thread."""
        with self._lock:
            self._receive = None
            self._items.clear()
            self._frames.clear()
            self._last.clear()


class _Method:
    """A method of a QObject, for as long as both halves of that are there."""

    def __init__(self, method: Any, feed: Feed) -> None:
        self._method = weakref.WeakMethod(method)
        self._feed = weakref.ref(feed)
        weakref.finalize(method.__self__, feed.close).atexit = False

    def __call__(self, kind: str, arguments: tuple[Any, ...]) -> None:
        method = self._method()
        if method is not None and isalive(method.__self__):
            method(kind, arguments)
        elif (feed := self._feed()) is not None:
            feed.close()


def _stream_of_frames(name: str, doc: Mapping[str, Any]) -> tuple[str, ...] | None:
    if name != "event":
        return None
    # With its keys: a picture alone must not replace one that comes with numbers.
    return (doc["descriptor"], *doc["data"]) if has_picture(doc) else None
