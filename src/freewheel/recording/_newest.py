"""Watching files while they are written: the newest frame, for displays."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from freewheel.core import MissingExtraError, Pacer

from ._growing import GrowingData

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["NewestFrames"]

_log = logging.getLogger("freewheel")

_HDF5: Final = "application/x-hdf5"
#: A file in which nothing new has come for so long is left alone until documents tell of more [s].
_PATIENCE: Final = 1.0


class NewestFrames:
    """Hands on the newest of what detectors write to files, as events that carry it.

    A scan that hardware runs has no events with data: its documents point into files. This reads
    the newest frame, or number, of each of them while they are written, and calls a function as if
    it were subscribed to a plan that reads. Made for displays::

        engine.subscribe(NewestFrames(show), delivery="latest")

    HDF5 files that are written for readers beside the writer (SWMR), as ophyd-async's detectors
    and `freewheel.sim` do. The detector is not asked for anything. Nothing else in the documents
    changes; events of the plan are handed on as they are.

    Plans tell of what was written a few times a second, and a picture is wanted more often. So
    the newest of them is looked for in the file, too: such an event has only pictures. Numbers
    come with the documents, and with them the picture of the same point if no newer one was
    shown. Pictures never go back.

    One thread at a time may call it: that of its delivery.

    Parameters
    ----------
    receive : callable
        Called with name and document: every start, descriptor, event and stop, and for what was
        written to files an event document with the newest value for each data key. Its ``seq_num``
        is that of the newest, so that numbers are left out. It is called on the thread that
        documents come on, or on one that looks into the files; never on both at once.
    rate : float
        How often a second files are read, at most: a schedule, kept whatever reading takes.
    external : bool
        Whether to hand on only what was read from files; for a receiver that gets the others
        another way.

    Raises
    ------
    freewheel.core.MissingExtraError
        If h5py is not installed.
    ValueError
        If the rate is not above zero.
    """

    def __init__(
        self,
        receive: Callable[[str, Any], object],
        *,
        rate: float = 60.0,
        external: bool = False,
    ) -> None:
        if not rate > 0:
            msg = f"files are read at a rate above zero, not {rate!r} times a second"
            raise ValueError(msg)
        try:
            import h5py  # noqa: F401 - asked for now, and not in the middle of a run
        except ModuleNotFoundError as error:
            raise MissingExtraError("freewheel.recording.NewestFrames", "recording") from error
        self._receive = receive
        self._period = 1 / rate
        self._external = external
        # Guards all that follows, and calls of `_receive`: documents come on one thread, and
        # files are looked into on another.
        self._lock = threading.Lock()
        self._sources: dict[str, GrowingData] = {}  # by the resource's uid
        self._streams: dict[str, _Stream] = {}  # by descriptor
        self._unreadable: set[str] = set()  # keys in files that are read another way
        self._next = 0.0  # when documents may have files read again
        self._reader: _Reader | None = None
        self._last_new = 0.0  # when the reader found something new

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take a document."""
        with self._lock:
            if name == "stream_resource":
                self._add_source(doc)
            elif name == "stream_datum":
                self._take(doc)
            elif name == "stop":
                self._hand_on()  # the last ones, whenever the ones before were read
                if any(stream.told for stream in self._streams.values()):
                    self._hand_on()  # a file that could not be read is opened anew
                self._close(doc["run_start"])
                self._forward(name, doc)
            elif name in ("start", "descriptor", "event", "event_page"):
                if name == "descriptor":
                    self._streams[doc["uid"]] = _Stream(doc)
                self._forward(name, doc)

    def _forward(self, name: str, doc: Mapping[str, Any]) -> None:
        if not self._external:
            self._receive(name, doc)

    def _add_source(self, doc: Mapping[str, Any]) -> None:
        if doc["mimetype"] != _HDF5:
            self._unreadable.add(doc["data_key"])
            return
        shapes = (stream.shapes.get(doc["data_key"]) for stream in self._streams.values())
        shape = next((shape for shape in shapes if shape is not None), ())
        self._sources[doc["uid"]] = GrowingData(doc, shape)

    # -- what documents tell of ---------------------------------------------------------------

    def _take(self, doc: Mapping[str, Any]) -> None:
        resource, descriptor = doc["stream_resource"], doc["descriptor"]
        if resource not in self._sources:
            return
        stream = self._streams.setdefault(descriptor, _Stream({"uid": descriptor}))
        stream.told[resource] = doc
        now = time.monotonic()
        if now >= self._next and self._is_complete(stream):
            self._hand_on()
            self._next = max(self._next, now - self._period) + self._period

    def _is_complete(self, stream: _Stream) -> bool:
        """Tell whether all files of a stream have told of the same point."""
        keys = {self._sources[resource].key for resource in stream.told}
        stops = {doc["seq_nums"]["stop"] for doc in stream.told.values()}
        return len(stops) == 1 and keys >= stream.shapes.keys() - self._unreadable

    def _hand_on(self) -> None:
        for stream in self._streams.values():
            data = {}
            number = 0
            for resource, datum in list(stream.told.items()):
                source, its_number = self._sources[resource], datum["seq_nums"]["stop"] - 1
                stream.first[resource] = its_number - (datum["indices"]["stop"] - 1)
                if source.tells and its_number < stream.shown:
                    del stream.told[resource]  # a newer one is on the screen
                    continue
                value = source.read(datum["indices"]["stop"] - 1)
                if value is not None:  # else it is tried again with the next, or at the end
                    del stream.told[resource]
                    data[source.key] = value
                    number = max(number, its_number)
                    if source.tells:
                        stream.shown = max(stream.shown, its_number)
            self._tell(stream, number, data)
        if self._reader is None and any(source.tells for source in self._sources.values()):
            self._last_new = time.monotonic()
            self._reader = _Reader(self, self._period)

    def _tell(self, stream: _Stream, number: int, data: dict[str, Any]) -> None:
        if not data:
            return
        now = time.time()
        self._receive(
            "event",
            {
                "uid": str(uuid4()),
                "descriptor": stream.uid,
                "seq_num": number,
                "time": now,
                "data": data,
                "timestamps": dict.fromkeys(data, now),
                "filled": dict.fromkeys(data, True),
            },
        )

    # -- what files tell of -------------------------------------------------------------------

    def look(self, reader: _Reader) -> bool:
        """Look for pictures that no document tells of yet; return whether to look again.

        On the reader's thread.
        """
        with self._lock:
            if reader is not self._reader:
                return False
            now = time.monotonic()
            # Where documents come that often themselves, there is nothing to add.
            new = now < self._next or sum(map(self._look_into, self._streams.values()))
            if new:
                self._last_new = now
            if now - self._last_new <= _PATIENCE:
                return True
            self._reader = None
            return False

    def _look_into(self, stream: _Stream) -> bool:
        sources = {
            resource: self._sources[resource]
            for resource in stream.first
            if self._sources[resource].tells
        }
        numbers = [
            source.written() - 1 + stream.first[resource] for resource, source in sources.items()
        ]
        number = min(numbers, default=0)  # of the newest point of which all have a picture
        if number <= stream.shown:
            return False
        data = {}
        for resource, source in sources.items():
            value = source.read(number - stream.first[resource])
            if value is not None:
                data[source.key] = value
        stream.shown = number
        self._tell(stream, number, data)
        return True

    def _close(self, run: str) -> None:
        for uid, source in list(self._sources.items()):
            if source.run in (run, ""):
                source.close()
                del self._sources[uid]
        self._streams = {
            uid: stream for uid, stream in self._streams.items() if stream.run not in (run, "")
        }
        if not self._sources:
            self._unreadable.clear()
            if self._reader is not None:
                self._reader.end()
                self._reader = None


@dataclass
class _Stream:
    """What is known of one stream."""

    descriptor: Mapping[str, Any]
    # By resource: the datum that was not handed on yet, and what an index lacks to a number.
    told: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    shown: int = 0  # number of the newest picture that was handed on

    @property
    def uid(self) -> str:
        return str(self.descriptor["uid"])

    @property
    def run(self) -> str:
        return str(self.descriptor.get("run_start", ""))

    @cached_property
    def shapes(self) -> dict[str, Sequence[int]]:
        """The shapes of the data keys that are in files."""
        keys = self.descriptor.get("data_keys", {})
        return {key: about["shape"] for key, about in keys.items() if "external" in about}


class _Reader:
    """A thread that looks into files, on a schedule; it does not keep alive for whom."""

    def __init__(self, newest: NewestFrames, period: float) -> None:
        self._newest = weakref.ref(newest)
        self._period = period
        self._ended = threading.Event()
        threading.Thread(target=self._run, name="freewheel-newest-frames", daemon=True).start()

    def end(self) -> None:
        """Look no more; from any thread."""
        self._ended.set()

    def _run(self) -> None:
        pacer, took = Pacer(self._period), 0.0
        pacer.begin_turn()
        # A reader of large frames rests as long as it reads.
        while not self._ended.wait(max(took, pacer.remaining())):
            began = time.monotonic()
            newest = self._newest()
            try:
                if newest is None or not newest.look(self):
                    return
            except Exception:
                _log.exception("A display of frames raised; it gets only those of documents.")
                return
            del newest
            took = time.monotonic() - began
