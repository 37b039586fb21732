"""Arrays put back into the events that they were taken out of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse
from urllib.request import url2pathname

from ._arrays import ArrayReader
from ._errors import FutureVersionError, MissingArrayError
from ._format import FORMAT_VERSION, is_of_recorder
from ._lazy import LazyArray

if TYPE_CHECKING:
    from ._run import Document

__all__ = ["Filler"]


class Filler:
    """Puts arrays back into the events that they were taken out of."""

    def __init__(self, path: Path, run: str, *, lazy: bool) -> None:
        self._path = path
        self._folder = path.with_suffix("")
        self._lazy = lazy
        self._reader = ArrayReader(run)
        self._run = run
        self._resources: dict[str, tuple[Path, str]] = {}  # file and dataset
        self._frames: dict[str, list[tuple[str, str, range]]] = {}
        self._taken: dict[str, set[str]] = {}  # by descriptor, the keys that were taken out

    def takes(self, name: str, doc: Document) -> bool:
        """Keep a document that the recorder added; tell whether it was one."""
        if name == "stream_resource":
            if not is_of_recorder(doc):
                return False
            about = doc["parameters"]["recorder"]
            if about.get("version", 0) > FORMAT_VERSION:
                message = (
                    f"these arrays have format version {about['version']}, and this version of "
                    f"freewheel reads up to {FORMAT_VERSION}: install a newer freewheel"
                )
                raise FutureVersionError(message, file=doc["uri"], run=self._run)
            self._resources[doc["uid"]] = self._locate(doc)
            return True
        if name == "stream_datum" and doc["stream_resource"] in self._resources:
            event, _, key = doc["uid"].partition("/")
            frames = range(doc["indices"]["start"], doc["indices"]["stop"])
            self._frames.setdefault(event, []).append((key, doc["stream_resource"], frames))
            self._taken.setdefault(doc["descriptor"], set()).add(key)
            return True
        return False

    def _locate(self, doc: Document) -> tuple[Path, str]:
        path = _path_of_uri(doc["uri"])
        # A recording that was moved has its arrays still beside its documents.
        beside = self._folder / path.name
        chosen = beside if beside.exists() or not path.exists() else path
        return chosen, doc["parameters"]["dataset"]

    def fill(self, name: str, doc: Document) -> Document:
        """Return an event, or a page of them, with the arrays in place.

        Raises
        ------
        MissingArrayError
            When one cannot be read, or nothing tells where it is.
        """
        if name not in ("event", "event_page") or not self._taken:
            return doc
        uid = doc["uid"] if name == "event" else next(iter(doc["uid"]), "")
        for key, resource, frames in self._frames.pop(uid, ()):
            path, dataset = self._resources[resource]
            times = [self._reader.timestamp(path, index, key) for index in frames]
            arrays: list[Any] = [
                LazyArray(self._reader, path, dataset, index, key) for index in frames
            ]
            if not self._lazy:
                arrays = [array.load() for array in arrays]
            doc["data"][key] = arrays if name == "event_page" else arrays[0]
            doc["timestamps"][key] = times if name == "event_page" else times[0]
        lacking = self._taken.get(doc["descriptor"], set()) - doc["data"].keys()
        if lacking:
            key = min(lacking)
            message = f"the line that says where the array of {key!r} of an event is, is lost"
            raise MissingArrayError(message, file=self._path, run=self._run, device=key)
        return doc

    def close(self) -> None:
        """Close the array files."""
        if not self._lazy:  # else the arrays keep the reader, and it closes with the last of them
            self._reader.close()


def _path_of_uri(uri: str) -> Path:
    """Return the path that a ``file:`` URI names.

    Raises
    ------
    MissingArrayError
        When the URI is of another kind.
    """
    parts = urlparse(uri)
    if parts.scheme != "file":
        message = f"only file: addresses can be read, and this is {uri}"
        raise MissingArrayError(message, file=uri)
    return Path(url2pathname(parts.path))
