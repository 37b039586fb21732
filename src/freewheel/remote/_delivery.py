"""What a client's own functions are called with, on one thread and in order."""

from __future__ import annotations

import itertools
import logging
import queue
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from freewheel.core._pictures import WaitingPictures, without_pictures
from freewheel.engine._one_run import OneRun, takes_one_run

from ._frames import is_replaceable
from ._newest import Newest
from ._watched import WatchedValues

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._protocol import Document, Frame

__all__ = ["Delivery", "RemoteFrame", "Subscriptions"]

_log = logging.getLogger("freewheel")


class Delivery:
    """A thread on which futures end, signals are emitted, and subscribers are called."""

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._run, name="freewheel-remote", daemon=True)

    def start(self) -> None:
        """Begin."""
        self.thread.start()

    def put(self, work: Callable[[], object]) -> None:
        """Have something done, after all that was put before; from any thread."""
        self._work.put(work)

    def close(self) -> None:
        """Do what was put until now, and end."""
        self._work.put(None)
        if self.thread.is_alive() and threading.current_thread() is not self.thread:
            self.thread.join()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                work()
            except Exception:
                _log.exception("A function that was told of an engine elsewhere raised.")


class _Subscriber:
    def __init__(
        self, func: Callable[[str, Any], Any], name: str, delivery: Delivery, mode: str
    ) -> None:
        self.mode = mode
        self._func = func
        self._name = name
        self._newest = Newest(delivery.put, func)
        self._put = delivery.put
        self._lock = threading.Lock()  # guards the next, and what is in its lists
        self._pictures: WaitingPictures[list[Any]] = WaitingPictures()  # that come with others

    def take(self, name: str, doc: Any) -> None:
        if self._name not in ("all", name):
            return
        if not is_replaceable(self.mode, name, doc):
            self._put(lambda: self._func(name, doc))
        elif self.mode == "display" and (rest := without_pictures(doc)) is not None:
            self._put_picture(name, doc, rest)
        else:
            self._newest.put(doc["descriptor"], name, doc)

    def _put_picture(self, name: str, doc: Any, rest: Any) -> None:
        """Hand an event with a picture on; of one that loses its own for it, all else stays."""
        stream, waiting = doc["descriptor"], [doc, rest]
        with self._lock:
            if (older := self._pictures.overtake(stream)) is not None:
                older[0] = older[1]
            self._pictures.put(stream, waiting)
        self._put(lambda: self._hand_over(name, stream, waiting))

    def _hand_over(self, name: str, stream: str, waiting: list[Any]) -> None:
        with self._lock:
            self._pictures.taken(stream, waiting)
            doc = waiting[0]
        self._func(name, doc)


class RemoteFrame(NamedTuple):
    """A frame of a camera elsewhere.

    Attributes
    ----------
    key : str
        The data key.
    data : numpy.ndarray
        The pixels; of a larger frame every n-th.
    full_shape : tuple of int
        Of the frame there.
    seq_num, time : int and float
        Of its event.
    number : int
        Counts the frames of this key there: a gap is what was not sent.
    """

    key: str
    data: np.ndarray[Any, Any]
    full_shape: tuple[int, ...]
    seq_num: int
    time: float
    number: int


class Subscriptions:
    """Who gets documents, frames and values of an engine elsewhere.

    Parameters
    ----------
    delivery : Delivery
        Where they are called.
    want : callable
        Called with what is wanted of the server, when that changes: "queued", "display", "latest"
        or ``None``.
    """

    def __init__(self, delivery: Delivery, want: Callable[[str | None], object]) -> None:
        self._delivery = delivery
        self._want = want
        self._tokens = itertools.count()
        self._lock = threading.Lock()  # guards what follows
        self._subscribers: dict[int, _Subscriber] = {}
        self._frames: Newest | None = None
        #: What was asked of frames, to be asked again; replaced as a whole, by any thread.
        self.frame_wish: dict[str, Any] | None = None
        self.values = WatchedValues(delivery.put)

    def add(
        self, func: Callable[[str, Any], Any], name: Any, delivery: str, runs: str | None
    ) -> int:
        """Add a subscriber, and return its token."""
        if delivery not in ("inline", "queued", "display", "latest"):
            raise ValueError(
                "documents come 'queued', for 'display' or 'latest' from an engine elsewhere, not "
                f"{delivery!r}"
            )
        if runs not in (None, "one", "all"):
            raise ValueError(f"runs is 'one' or 'all', not {runs!r}")
        if runs == "one" or (runs is None and takes_one_run(func)):
            func = OneRun(func, lambda: False)
        kind = str(getattr(name, "name", name))
        made = _Subscriber(func, kind, self._delivery, delivery)
        with self._lock:
            before = self._wanted()
            token = next(self._tokens)
            self._subscribers[token] = made
            wanted = self._wanted()
        if wanted != before:
            self._want(wanted)
        return token

    def remove(self, token: int) -> None:
        """Remove a subscriber; one that is not there is no error, as with bluesky."""
        with self._lock:
            before = self._wanted()
            self._subscribers.pop(token, None)
            wanted = self._wanted()
        if wanted != before:
            self._want(wanted)

    @property
    def wanted(self) -> str | None:
        """What is wanted of the server: the least that has what each subscriber wants."""
        with self._lock:
            return self._wanted()

    def _wanted(self) -> str | None:
        if not self._subscribers:
            return None
        modes = {each.mode for each in self._subscribers.values()}
        if modes == {"latest"}:
            return "latest"
        return "display" if modes <= {"display", "latest"} else "queued"

    def take(self, document: Document) -> None:
        """Hand a document on; on the line's thread."""
        with self._lock:
            subscribers = list(self._subscribers.values())
        for subscriber in subscribers:
            subscriber.take(document.name, document.doc)

    # -- frames -------------------------------------------------------------------------------

    def show_frames(self, func: Callable[[RemoteFrame], object] | None) -> None:
        """Have frames handed to a function, or to none any more."""
        with self._lock:
            self._frames = None if func is None else Newest(self._delivery.put, func)

    def take_frame(self, frame: Frame) -> None:
        """Hand a frame on; on the line's thread."""
        with self._lock:
            frames = self._frames
        if frames is None:
            return
        data = np.frombuffer(frame.data, np.dtype(frame.dtype)).reshape(frame.shape)
        frames.put(
            frame.key,
            RemoteFrame(
                frame.key,
                data,
                tuple(frame.full_shape),
                frame.seq_num,
                frame.time,
                frame.number,
            ),
        )
