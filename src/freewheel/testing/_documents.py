"""Documents in memory, and checks of them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, cast, final

import numpy as np

if TYPE_CHECKING:
    from event_model.documents import EventPage

    from freewheel.recording import RecordedRun

__all__ = ["DocumentLog", "Documents", "assert_emitted", "assert_events", "assert_valid"]

Pair: TypeAlias = tuple[str, Mapping[str, Any]]


@final
class DocumentLog:
    """A document callback that keeps what it is given.

    ``RE.subscribe(log)``. May be called, and looked at, from any thread; what it returns are
    copies of its lists, whose documents are those that were emitted.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards _pairs, which is only ever added to
        self._pairs: list[Pair] = []

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Keep a document."""
        with self._lock:
            self._pairs.append((name, doc))

    def __iter__(self) -> Any:
        """Go through the documents, as ``(name, document)``, as they came."""
        return iter(self.all())

    def __len__(self) -> int:
        """Count the documents."""
        return len(self._pairs)

    def all(self) -> list[Pair]:
        """Return all documents, as ``(name, document)``, as they came."""
        with self._lock:
            return list(self._pairs)

    def names(self) -> list[str]:
        """Return the kinds of documents, as they came."""
        return [name for name, _ in self.all()]

    def of(self, name: str) -> list[Mapping[str, Any]]:
        """Return the documents of one kind."""
        return [doc for kind, doc in self.all() if kind == name]

    def events(self, stream: str = "primary") -> list[Mapping[str, Any]]:
        """Return the events of a stream, of all runs; those of event pages one by one."""
        return _events(self.all(), stream)

    def data(self, key: str, stream: str = "primary") -> list[Any]:
        """Return the values of one key in a stream's events.

        Raises
        ------
        AssertionError
            When an event has no such key; with the keys that it has.
        """
        return _column(self.events(stream), key, stream)

    def runs(self) -> list[RecordedRun]:
        """Return the runs, as recordings: to be replayed, or to make devices of."""
        from freewheel.recording import MemoryRun

        owners: dict[str, str] = {}
        runs: dict[str, list[Pair]] = {}
        for name, doc in self.all():
            refers = doc.get("descriptor", doc.get("resource", ""))
            run = doc["uid"] if name == "start" else doc.get("run_start") or owners.get(refers, "")
            if "uid" in doc and isinstance(doc["uid"], str):
                owners[doc["uid"]] = run
            runs.setdefault(run, []).append((name, doc))
        return [MemoryRun(pairs) for run, pairs in runs.items() if run]

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._pairs.clear()


Documents: TypeAlias = DocumentLog | Iterable[Pair]


def _pairs(documents: Documents) -> list[Pair]:
    return documents.all() if isinstance(documents, DocumentLog) else list(documents)


def _events(pairs: Iterable[Pair], stream: str) -> list[Mapping[str, Any]]:
    from event_model import unpack_event_page

    streams: dict[str, str] = {}
    events: list[Mapping[str, Any]] = []
    for name, doc in pairs:
        if name == "descriptor":
            streams[doc["uid"]] = doc["name"]
        elif name == "event" and streams.get(doc["descriptor"]) == stream:
            events.append(doc)
        elif name == "event_page" and streams.get(doc["descriptor"]) == stream:
            events.extend(unpack_event_page(cast("EventPage", doc)))
    return events


def _column(events: Iterable[Mapping[str, Any]], key: str, stream: str) -> list[Any]:
    values = []
    for event in events:
        if key not in event["data"]:
            keys = ", ".join(sorted(event["data"])) or "none"
            message = f"event {event['seq_num']} of {stream!r} has no key {key!r}; it has: {keys}"
            raise AssertionError(message)
        values.append(event["data"][key])
    return values


def assert_emitted(documents: Documents, **counts: int) -> None:
    """Check how many documents of each kind were emitted.

    Parameters
    ----------
    documents : DocumentLog, or iterable of (name, document)
        What was emitted.
    **counts
        How many of each kind there must be. Kinds that are not named must not have been.

    Raises
    ------
    AssertionError
        When there were more or fewer.

    Examples
    --------
    >>> assert_emitted(log, start=1, descriptor=1, event=5, stop=1)
    """
    found = Counter(name for name, _ in _pairs(documents))
    wrong = [
        f"{name}: {found[name]} instead of {counts.get(name, 0)}"
        for name in sorted(found.keys() | counts.keys())
        if found[name] != counts.get(name, 0)
    ]
    if wrong:
        message = f"emitted were {dict(found) or 'no documents'}; {', '.join(wrong)}"
        raise AssertionError(message)


def assert_events(
    documents: Documents,
    stream: str = "primary",
    *,
    rtol: float = 1e-7,
    atol: float = 0.0,
    **columns: Any,
) -> None:
    """Check the values in a stream's events.

    Parameters
    ----------
    documents : DocumentLog, or iterable of (name, document)
        What was emitted.
    stream : str
        The stream's name.
    rtol, atol : float
        How far numbers may be off, relative and absolute.
    **columns
        For each data key, with ``_`` for what a Python name can't have (``stage_x`` for
        ``stage-x``), the values of all events in order.

    Raises
    ------
    AssertionError
        When a key is missing, or a value or the number of events is another.

    Examples
    --------
    >>> assert_events(log, stage_x=[0, 1, 2])
    """
    events = _events(_pairs(documents), stream)
    for name, expected in columns.items():
        keys = {key for event in events for key in event["data"]}
        matching = [key for key in sorted(keys) if key == name or key.replace("-", "_") == name]
        key = matching[0] if matching else name
        values = _column(events, key, stream)
        if len(values) != len(expected):
            message = f"{stream!r} has {len(values)} events, and {len(expected)} are expected"
            raise AssertionError(message)
        for number, (value, wanted) in enumerate(zip(values, expected, strict=True), 1):
            what = f"{key!r} in event {number} of {stream!r}"
            if isinstance(wanted, (str, bool)) or wanted is None:
                if value != wanted:
                    message = f"{what} is {value!r} instead of {wanted!r}"
                    raise AssertionError(message)
            else:
                np.testing.assert_allclose(value, wanted, rtol=rtol, atol=atol, err_msg=what)


def assert_valid(documents: Documents) -> None:
    """Check that documents follow event-model's schemas, and that each run is whole.

    Parameters
    ----------
    documents : DocumentLog, or iterable of (name, document)
        What was emitted.

    Raises
    ------
    AssertionError
        With the document that does not, or the run that was not stopped.
    """
    import event_model

    pairs = _pairs(documents)
    for number, (name, doc) in enumerate(pairs):
        validator = event_model.schema_validators[event_model.DocumentNames[name]]
        problem = next(validator.iter_errors(doc), None)
        if problem is not None:
            message = f"document {number} ({name}) is not valid: {problem.message}"
            raise AssertionError(message)
    started = {doc["uid"] for name, doc in pairs if name == "start"}
    stopped = [doc["run_start"] for name, doc in pairs if name == "stop"]
    if sorted(started) != sorted(stopped):
        message = f"runs that were started: {sorted(started)}; stopped: {sorted(stopped)}"
        raise AssertionError(message)
