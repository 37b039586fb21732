"""Reading from a Tiled catalogue."""

from __future__ import annotations

import heapq
import uuid
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np

from ._arrays import DATASET
from ._errors import NotARecordingError
from ._run import RecordedRun
from ._tiled_client import Connection, reporting

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ._run import Document

__all__ = ["TiledRun", "read_tiled_runs"]

_RUN_SPEC: Final = "BlueskyRun"
_INTERNAL: Final = "internal"  # the name that bluesky's writer gives the table of a stream


def read_tiled_runs(
    target: Any, *, api_key: str | None = None, limit: int | None = None
) -> list[RecordedRun]:
    """Open the runs of a Tiled server.

    Parameters
    ----------
    target : str or tiled client
        The address of a catalogue or of one run, or a client of it.
    api_key : str, optional
        The server's API key, if it is not part of its address.
    limit : int, optional
        Only so many runs, the last ones.

    Returns
    -------
    list of RecordedRun
        In the order in which they started.

    Raises
    ------
    TiledConnectionError
        When the server cannot be reached.
    NotARecordingError
        When there is something else at the address.
    """
    connection = Connection(target, api_key)
    client, address = connection.client, connection.address
    with reporting("cannot list the runs", address):
        if _is_run(client):
            return [TiledRun(client, connection)]
        if not hasattr(client, "values"):
            message = "this is neither a catalogue nor a run"
            raise NotARecordingError(message, file=address)
        nodes = client.values()
        last = nodes[-limit:] if limit else nodes
        runs = [TiledRun(node, connection) for node in last if _is_run(node)]
    return sorted(runs, key=lambda run: run.start["time"])


def _is_run(node: Any) -> bool:
    return any(spec.name == _RUN_SPEC for spec in node.specs)


@final
class TiledRun(RecordedRun):
    """A run in a Tiled catalogue.

    Tiled keeps the contents of a run, not its documents. These are made anew from it: start and
    stop as they were, one descriptor for each stream, and its events, with uids of their own. The
    timestamps of arrays are those of their events.

    Parameters
    ----------
    node : tiled client
        The run's container.
    connection : object, optional
        Kept for as long as the run is.
    """

    def __init__(self, node: Any, connection: object = None) -> None:
        self._connection = connection
        self._node = node.include_data_sources()
        self.origin = str(node.uri)
        metadata = dict(node.metadata)
        self.start = dict(metadata["start"])
        self.uid = self.start["uid"]
        stop = metadata.get("stop")
        self.stop = None if stop is None else dict(stop)

    def documents(
        self, *, fill: bool = True, skip_damaged: bool = False
    ) -> Iterator[tuple[str, Document]]:
        """Yield documents that say what the catalogue holds; see `RecordedRun.documents`."""
        del fill, skip_damaged  # the server fills them, and knows no damage
        yield "start", dict(self.start)
        streams = []
        with reporting("cannot read the run", self.origin, self.uid):
            container = self._node
            if "streams" in container:  # where earlier versions of the writer put them
                container = container["streams"]
            for name, node in container.items():
                streams.append(_Stream(self, name, getattr(node, "base", node)))
        timed = heapq.merge(*(stream.documents() for stream in streams), key=lambda item: item[0])
        with reporting("cannot read on", self.origin, self.uid):
            for _, name, doc in timed:
                yield name, doc
        if self.stop is not None:
            yield "stop", dict(self.stop)


class _Stream:
    """One stream of a run in a catalogue."""

    def __init__(self, run: TiledRun, name: str, node: Any) -> None:
        self._run = run
        self._name = name
        metadata = dict(node.metadata)
        metadata.pop("_config_updates", None)
        self._parts = dict(node.items())
        self._resources: dict[str, Document] = {}
        self._in_place: set[str] = set()
        data_keys = {key: dict(about) for key, about in metadata["data_keys"].items()}
        for key, part in self._parts.items():
            if key == _INTERNAL:
                continue
            source = part.data_sources()[0]
            if source.parameters.get("dataset") == DATASET:
                self._in_place.add(key)
                data_keys[key].pop("external", None)
            else:
                self._resources[key] = self._resource(key, source)
        objects: dict[str, list[str]] = {}
        for key, about in data_keys.items():
            objects.setdefault(str(about.get("object_name", key)), []).append(key)
        self._descriptor = {
            **metadata,
            "name": name,
            "run_start": run.uid,
            "data_keys": data_keys,
            "object_keys": objects,
        }

    def _uid(self, *parts: object) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(map(str, (self._run.uid, *parts)))))

    def _resource(self, key: str, source: Any) -> Document:
        return {
            "uid": self._uid(self._name, key),
            "data_key": key,
            "mimetype": source.mimetype,
            "uri": source.assets[0].data_uri,
            "parameters": dict(source.parameters),
            "run_start": self._run.uid,
        }

    def documents(self) -> Iterator[tuple[float, str, Document]]:
        """Yield the time of each document, its kind, and itself."""
        began = float(self._descriptor["time"])
        yield began, "descriptor", dict(self._descriptor)
        for resource in self._resources.values():
            yield began, "stream_resource", dict(resource)
        if _INTERNAL not in self._parts:
            count = max((self._length(key) for key in self._parts), default=0)
            for key in self._resources:
                yield began, "stream_datum", self._datum(key, 0, count)
            return
        table = self._parts[_INTERNAL].read()
        rows = table.to_dict("records")
        for index, row in enumerate(rows):
            when = float(row["time"])
            for key in self._resources:
                if index < self._length(key):
                    yield when, "stream_datum", self._datum(key, index, index + 1)
            yield when, "event", self._event(index, row)

    def _length(self, key: str) -> int:
        """Return for how many events there are arrays."""
        return int(self._parts[key].shape[0]) // self._rows_each(key)

    def _rows_each(self, key: str) -> int:
        """Return how many rows of the server's array make one event's."""
        shape = tuple(self._descriptor["data_keys"][key].get("shape", ()))
        stacked = tuple(self._parts[key].shape[1:]) == shape
        return 1 if stacked or not shape else int(shape[0])

    def _datum(self, key: str, start: int, stop: int) -> Document:
        return {
            "uid": f"{self._resources[key]['uid']}/{start}",
            "stream_resource": self._resources[key]["uid"],
            "descriptor": self._descriptor["uid"],
            "indices": {"start": start, "stop": stop},
            "seq_nums": {"start": start + 1, "stop": stop + 1},
        }

    def _event(self, index: int, row: Mapping[str, Any]) -> Document:
        data, timestamps = {}, {}
        for key, about in self._descriptor["data_keys"].items():
            if key in row:
                data[key] = _value(row[key], about)
                timestamps[key] = float(row.get(f"ts_{key}", row["time"]))
            elif key in self._in_place:
                data[key] = self._array(key, index)
                timestamps[key] = float(row["time"])
        return {
            "uid": self._uid(self._name, "event", row["seq_num"], index),
            "time": float(row["time"]),
            "seq_num": int(row["seq_num"]),
            "descriptor": self._descriptor["uid"],
            "data": data,
            "timestamps": timestamps,
            "filled": {},
        }

    def _array(self, key: str, index: int) -> np.ndarray:
        shape = tuple(self._descriptor["data_keys"][key].get("shape", ()))
        array = np.asarray(self._parts[key][index : index + 1])
        return array.reshape(shape) if array.size == np.prod(shape) else array[0]


def _value(value: Any, about: Mapping[str, Any]) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, np.ndarray)) and about["dtype"] == "array":
        dtype = about.get("dtype_numpy")
        return np.asarray(list(value), dtype=dtype if isinstance(dtype, str) else None)
    return value
