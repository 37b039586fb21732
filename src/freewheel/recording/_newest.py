"""Watching files while they are written: the newest frame, for displays."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlparse
from urllib.request import url2pathname

from freewheel.core import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["NewestFrames"]

_HDF5: Final = "application/x-hdf5"


class NewestFrames:
    """Hands on the newest of what detectors write to files, as events that carry it.

    A scan that hardware runs has no events with data: its documents point into files. This reads
    the newest frame, or number, of each of them while they are written, and calls a function as if
    it were subscribed to a plan that reads. Made for displays::

        engine.subscribe(NewestFrames(show), delivery="latest")

    HDF5 files that are written for readers beside the writer (SWMR), as ophyd-async's detectors
    and `freewheel.sim` do. The detector is not asked for anything. Nothing else in the documents
    changes; events of the plan are handed on as they are.

    One thread at a time may call it: that of its delivery.

    Parameters
    ----------
    receive : callable
        Called with name and document: every start, descriptor, event and stop, and for what was
        written to files an event document with the newest value for each data key. Its ``seq_num``
        is that of the newest, so that numbers are left out.
    rate : float
        How often a second files are read, at most.
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
        self._sources: dict[str, _Source] = {}  # by the resource's uid
        self._newest: dict[str, dict[str, Mapping[str, Any]]] = {}  # descriptor, resource: datum
        self._keys: dict[str, set[str]] = {}  # by descriptor: the keys that are in files
        self._unreadable: set[str] = set()  # keys in files that are read another way
        self._next = 0.0

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take a document."""
        if name == "stream_resource":
            if doc["mimetype"] == _HDF5:
                self._sources[doc["uid"]] = _Source(doc)
            else:
                self._unreadable.add(doc["data_key"])
        elif name == "stream_datum":
            self._take(doc)
        elif name == "stop":
            self._hand_on()  # the last ones, whenever the ones before were read
            self._close(doc["run_start"])
            self._forward(name, doc)
        elif name in ("start", "descriptor", "event", "event_page"):
            if name == "descriptor":
                keys = doc["data_keys"]
                self._keys[doc["uid"]] = {key for key in keys if "external" in keys[key]}
            self._forward(name, doc)

    def _forward(self, name: str, doc: Mapping[str, Any]) -> None:
        if not self._external:
            self._receive(name, doc)

    def _take(self, doc: Mapping[str, Any]) -> None:
        if doc["stream_resource"] not in self._sources:
            return
        waiting = self._newest.setdefault(doc["descriptor"], {})
        waiting[doc["stream_resource"]] = doc
        if time.monotonic() >= self._next and self._is_complete(doc["descriptor"]):
            self._hand_on()
            self._next = time.monotonic() + self._period

    def _is_complete(self, descriptor: str) -> bool:
        """Tell whether all files of a stream have told of the same point."""
        waiting = self._newest[descriptor]
        told = {self._sources[resource].key for resource in waiting}
        stops = {doc["seq_nums"]["stop"] for doc in waiting.values()}
        return len(stops) == 1 and told >= self._keys.get(descriptor, set()) - self._unreadable

    def _hand_on(self) -> None:
        now = time.time()
        for descriptor, waiting in self._newest.items():
            data = {}
            number = 0
            for resource, datum in waiting.items():
                source = self._sources[resource]
                value = source.read(datum["indices"]["stop"] - 1)
                if value is not None:
                    data[source.key] = value
                    number = max(number, datum["seq_nums"]["stop"] - 1)
            if data:
                self._receive(
                    "event",
                    {
                        "uid": f"{descriptor}/{number}",
                        "descriptor": descriptor,
                        "seq_num": number,
                        "time": now,
                        "data": data,
                        "timestamps": dict.fromkeys(data, now),
                        "filled": dict.fromkeys(data, True),
                    },
                )
        self._newest.clear()

    def _close(self, run: str) -> None:
        for uid, source in list(self._sources.items()):
            if source.run in (run, ""):
                source.close()
                del self._sources[uid]
        if not self._sources:
            self._keys.clear()
            self._unreadable.clear()


class _Source:
    """One data set of one file that is being written."""

    def __init__(self, doc: Mapping[str, Any]) -> None:
        self.key: str = doc["data_key"]
        self.run: str = doc.get("run_start", "")
        self._path = url2pathname(unquote(urlparse(doc["uri"]).path))
        self._dataset: str = doc["parameters"]["dataset"]
        self._file: Any = None
        self._data: Any = None

    def read(self, index: int) -> Any:
        """Return a frame, or a number; ``None`` if a reader does not see it yet."""
        try:
            if self._file is None:
                import h5py

                self._file = h5py.File(self._path, "r", swmr=True, libver="latest")
                self._data = self._file[self._dataset]
            self._data.id.refresh()
            if index >= len(self._data):
                return None
            value = self._data[index]
        except (OSError, KeyError, RuntimeError):
            # It is on another machine, or its writer has not come so far: the next one may do.
            self.close()
            return None
        return value if value.shape else value.item()

    def close(self) -> None:
        """Close the file."""
        file, self._file, self._data = self._file, None, None
        if file is not None:
            file.close()
