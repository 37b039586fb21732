"""Recording into a Tiled catalogue, and reading from one."""

from __future__ import annotations

import contextlib
import heapq
import socket
import threading
import uuid
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, final

import numpy as np

from freewheel.core import MissingExtraError

from ._arrays import DATASET
from ._errors import NotARecordingError, RecordingError, TiledConnectionError
from ._external import ArrayDivider
from ._fidelity import plain
from ._runs import RecordedRun

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping

    from ._runs import Document

__all__ = ["TiledRecorder", "TiledRun", "read_tiled_runs", "tiled_server"]

_FEATURE = "Tiled"
_RUN_SPEC = "BlueskyRun"
_INTERNAL = "internal"  # the name that bluesky's writer gives the table of a stream


def _imported() -> Any:
    try:
        import tiled.client
    except ImportError as error:
        raise MissingExtraError(_FEATURE, "tiled") from error
    return tiled.client


@contextlib.contextmanager
def _reporting(what: str, address: str, run: str | None = None) -> Iterator[None]:
    """Turn whatever a lost or unwilling server raises into an error that names it."""
    import httpx

    try:
        yield
    except RecordingError:
        raise
    except (httpx.HTTPError, OSError) as error:
        message = (
            f"{what}: the Tiled server does not answer as it should "
            f"({type(error).__name__}: {error}). Is it running, and is the API key right?"
        )
        raise TiledConnectionError(message, file=address, run=run) from error


@final
class _Connection:
    """A client of a server, and its address without any key.

    A client that was made here is closed when the last that needs it has gone: whoever does,
    refers to this object. One that was given stays open; it is its maker's.

    Parameters
    ----------
    target : str or tiled client
        The address, or a client.
    api_key : str, optional
        The server's API key, if it is not part of its address.
    """

    def __init__(self, target: Any, api_key: str | None) -> None:
        tiled_client = _imported()
        self.close: Callable[[], object] = lambda: None
        if not isinstance(target, str):
            self.client, self.address = target, str(target.uri)
            return
        from tiled.client.context import Context

        self.address = target.partition("?")[0]
        key = {"api_key": api_key} if api_key else {}
        with _reporting("cannot connect", self.address):
            context, parts = Context.from_any_uri(target, **key)
            # It refers to the connections and not to this object, so that this can go. Idempotent.
            self.close = weakref.finalize(self, context.close)
            self.client = tiled_client.from_context(context, node_path_parts=parts)


@final
class TiledRecorder:
    """A document callback that writes runs into a Tiled catalogue, with bluesky's ``TiledWriter``.

    Subscribe it with ``RE.subscribe(recorder, delivery="queued")``. Numbers and texts go into
    tables on the server; arrays into HDF5 files under ``arrays``, which the server must be able to
    read (`tiled_server` can read what is below its directory).

    Runs may be interleaved. It may be called from any thread. `close` it, or use it in a ``with``
    statement, when there are no more documents.

    Parameters
    ----------
    target : str or tiled client
        The server's address, with its API key as ``?api_key=...``, or a client of it.
    arrays : str or Path
        A directory for the files of arrays.
    batch_size : int
        How many events are sent to the server at once. What is not sent yet is lost if the
        process dies; use `Recorder` beside this where that matters.
    backup_directory : str or Path, optional
        Where the documents of a run go which the server did not take.
    api_key : str, optional
        The server's API key, if it is not part of its address.
    """

    def __init__(
        self,
        target: Any,
        *,
        arrays: str | os.PathLike[str],
        batch_size: int = 100,
        backup_directory: str | os.PathLike[str] | None = None,
        api_key: str | None = None,
    ) -> None:
        self._connection = connection = _Connection(target, api_key)
        self.address = connection.address
        from bluesky.callbacks.tiled_writer import TiledWriter

        self._arrays = Path(arrays).absolute()
        self._make_writer: Callable[[], Any] = lambda: TiledWriter(
            connection.client,
            batch_size=batch_size,
            backup_directory=None if backup_directory is None else str(backup_directory),
        )
        self._lock = threading.Lock()  # held for each document; guards all below
        self._runs: dict[str, _TiledRunWriter] = {}
        self._owners: dict[str, str] = {}
        self._closed = False

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Write one document.

        Raises
        ------
        TiledConnectionError
            When the server is gone. The rest of that run is not recorded.
        RecordingError
            When the server refuses the document, or an array cannot be written.
        """
        with self._lock:
            if name == "start" and self._closed:
                message = "this recorder was closed; make another"
                raise RecordingError(message, file=self.address, run=doc["uid"])
            if name == "start":
                self._start(doc["uid"])
            uid = self._run_of(name, doc)
            if uid not in self._runs:
                return
            writer = self._runs[uid]
            if name == "stop":
                del self._runs[uid]
                self._owners = {key: run for key, run in self._owners.items() if run != uid}
            with _reporting(f"cannot record a document ({name})", self.address, uid):
                writer(name, doc)

    def close(self) -> None:
        """Close the files of runs that have not ended, which stay incomplete. Idempotent.

        The connection is closed too, unless it is one of a client that was given.
        """
        with self._lock:
            self._closed = True
            for run in self._runs.values():
                run.close()
            self._runs.clear()
            self._owners.clear()
            self._connection.close()

    def __enter__(self) -> Self:
        """Return the recorder."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close it."""
        self.close()

    def _start(self, uid: str) -> None:
        divider = ArrayDivider(self._arrays / uid, uid, 0, {})
        with _reporting("cannot record a document (start)", self.address, uid):
            self._runs[uid] = _TiledRunWriter(self._make_writer(), divider, self.address, uid)

    def _run_of(self, name: str, doc: Mapping[str, Any]) -> str:
        if name == "start":
            return str(doc["uid"])
        owner: str | None = doc.get("run_start")
        if owner is None:
            refers = doc.get("descriptor", doc.get("resource"))
            return self._owners.get(str(refers), "")
        if "uid" in doc:
            self._owners[doc["uid"]] = owner
        return owner


class _TiledRunWriter:
    """Writes one run. The recorder's lock guards it."""

    def __init__(self, writer: Any, divider: ArrayDivider, address: str, uid: str) -> None:
        self._writer = writer
        self._divider = divider
        self._address = address
        self._uid = uid
        self._failed = False
        self._waiting: dict[str, Document] = {}

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        if self._failed:
            return
        try:
            self._write(name, doc)
        except BaseException:
            self._failed = True
            with contextlib.suppress(OSError):  # what went wrong first is what is told
                self.close()
            raise

    def close(self) -> None:
        """Close the files of arrays."""
        self._divider.close()

    def _write(self, name: str, doc: Mapping[str, Any]) -> None:
        if name == "stop":
            for descriptor in list(self._waiting):
                self._release(descriptor, None)
            self._divider.close()
        documents, _ = self._divider(name, doc)
        if name == "descriptor" and self._lacks_dtype(documents[-1][1]):
            # Tiled has to know; the first event will tell.
            self._waiting[doc["uid"]] = documents[-1][1]
            return
        if doc.get("descriptor") in self._waiting:
            self._release(doc["descriptor"], doc)
        for part_name, part in documents:
            self._send(part_name, part)

    def _lacks_dtype(self, descriptor: Document) -> bool:
        return any(
            "external" in about and "dtype_numpy" not in about
            for about in descriptor["data_keys"].values()
        )

    def _release(self, uid: str, event: Mapping[str, Any] | None) -> None:
        descriptor = self._waiting.pop(uid)
        data_keys = dict(descriptor["data_keys"])
        for key, about in data_keys.items():
            value = (event or {}).get("data", {}).get(key)
            if "dtype_numpy" not in about and isinstance(value, np.ndarray):
                data_keys[key] = {**about, "dtype_numpy": value.dtype.str}
        self._send("descriptor", {**descriptor, "data_keys": data_keys})

    def _send(self, name: str, doc: Document) -> None:
        try:
            self._writer(name, plain(doc, []))
        except (ValueError, TypeError, KeyError, RuntimeError, NotImplementedError) as error:
            message = f"Tiled cannot take a document ({name}): {error}"
            raise RecordingError(message, file=self._address, run=self._uid) from error


@contextlib.contextmanager
def tiled_server(
    directory: str | os.PathLike[str], *, port: int = 0, api_key: str | None = None
) -> Iterator[Any]:
    """Run a Tiled server in this process, with its catalogue in SQLite.

    For one user on one machine: it listens on this machine only.

    Parameters
    ----------
    directory : str or Path
        Where the catalogue and all data are. Made if need be; used again if there is one.
    port : int
        The port, or 0 for any free one.
    api_key : str, optional
        The key that clients have to show, of letters and digits; by default one is made.

    Yields
    ------
    tiled.server.SimpleTiledServer
        Its ``uri`` is what clients connect to; arrays in files are read from below its
        ``directory / "arrays"``.

    Raises
    ------
    MissingExtraError
        When Tiled's server is not installed.
    RecordingError
        When the directory cannot be made, the port is taken, or the server does not start.
    ValueError
        When the key is not of letters and digits alone.
    """
    if api_key is not None and not (api_key.isascii() and api_key.isalnum()):
        message = f"a Tiled server's key is made of letters and digits alone, not {api_key!r}"
        raise ValueError(message)
    try:
        from tiled.server import SimpleTiledServer
    except ImportError as error:
        raise MissingExtraError(_FEATURE, "tiled") from error
    folder = Path(directory).absolute()
    arrays = folder / "arrays"
    try:
        arrays.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"cannot keep a catalogue here: {error.strerror or error}"
        raise RecordingError(message, file=folder) from error
    _check_port(port)
    try:
        server = SimpleTiledServer(folder, api_key=api_key, port=port, readable_storage=[folder])
    except Exception as error:  # of SQLite, of its migrations, of the network
        first, *_ = str(error).splitlines() or [""]
        message = f"the Tiled server did not start ({type(error).__name__}: {first}); see error.log"
        raise RecordingError(message, file=folder) from error
    try:
        yield server
    finally:
        server.close()


def _check_port(port: int) -> None:
    """Refuse a port that is taken: the server itself would not say so, but wait for 20 s."""
    with socket.socket() as probe:
        # As the server does it: a port whose last connections still fade away counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            message = f"the server cannot listen at port {port}: {reason}. Choose another, or 0"
            raise RecordingError(message) from error


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
    connection = _Connection(target, api_key)
    client, address = connection.client, connection.address
    with _reporting("cannot list the runs", address):
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

    def documents(self, *, fill: bool = True) -> Iterator[tuple[str, Document]]:
        """Yield documents that say what the catalogue holds; see `RecordedRun.documents`."""
        del fill  # the server fills them
        yield "start", dict(self.start)
        streams = []
        with _reporting("cannot read the run", self.origin, self.uid):
            container = self._node
            if "streams" in container:  # where earlier versions of the writer put them
                container = container["streams"]
            for name, node in container.items():
                streams.append(_Stream(self, name, getattr(node, "base", node)))
        timed = heapq.merge(*(stream.documents() for stream in streams), key=lambda item: item[0])
        with _reporting("cannot read on", self.origin, self.uid):
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
