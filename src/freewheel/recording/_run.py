"""What a recorded run is, wherever it is kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, final

from ._errors import DamagedRecordingError, RecordingError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["Document", "MemoryRun", "RecordedRun", "with_times"]

Document = dict[str, Any]


class RecordedRun(ABC):
    """A run that was recorded: to a directory, to a Tiled server, or in memory.

    Immutable; may be used from any thread, an iterator of it from one at a time.

    Attributes
    ----------
    uid : str
        The run's unique id.
    start : dict
        Its start document.
    stop : dict or None
        Its stop document; `None` when the run was not recorded to its end.
    origin : str
        The file or address that it was read from, for messages.
    """

    uid: str
    start: Document
    stop: Document | None
    origin: str

    @property
    def complete(self) -> bool:
        """Whether the run was recorded to its end, and, as far as is known, without a gap."""
        return self.stop is not None

    @property
    def problem(self) -> str | None:
        """What is wrong with the recording of this run, as far as is known; `None` if nothing."""
        return None if self.complete else "the run was not recorded to its end"

    @abstractmethod
    def documents(
        self, *, fill: bool = True, skip_damaged: bool = False
    ) -> Iterator[tuple[str, Document]]:
        """Yield the run's documents as they were emitted, in that order.

        Parameters
        ----------
        fill : bool
            Put the arrays in place. Without, the documents come as they are stored: valid, with
            stream documents that point to the array files.
        skip_damaged : bool
            Leave out, and log, what cannot be read or is not what was recorded, and go on behind
            it; instead of raising an error.

        Yields
        ------
        name, document
            The documents are the caller's own.

        Raises
        ------
        RecordingError
            At the first document that cannot be given, after all those before it.
        """

    def verify(self) -> tuple[str, ...]:
        """Read everything, arrays too, and tell what is wrong with it.

        Returns
        -------
        tuple of str
            Empty when all is as it was recorded.
        """
        problems = [] if self.problem is None else [self.problem]
        try:
            for _ in self.documents():
                pass
        except RecordingError as error:
            problems.append(str(error))
        return tuple(problems)

    def timed_documents(
        self, *, lazy: bool = False, skip_damaged: bool = False
    ) -> Iterator[tuple[float, str, Document]]:
        """Yield ``(time, name, document)``, with the time of emission in seconds since the epoch.

        For a document that carries no time it is when it was recorded, or that of the one
        before. The times never decrease. Raises what `documents` raises. With ``lazy``, large
        arrays may be `LazyArray` objects, which read them when they are asked to.
        """
        del lazy
        documents = self.documents(skip_damaged=skip_damaged)
        return with_times((None, name, doc) for name, doc in documents)

    def __repr__(self) -> str:
        """Say which run it is."""
        plan = self.start.get("plan_name", "?")
        state = "" if self.stop is not None else ", incomplete"
        return f"<{type(self).__name__} {self.uid[:8]} {plan}{state}>"


@final
class MemoryRun(RecordedRun):
    """A run whose documents are at hand.

    Parameters
    ----------
    documents : iterable of (name, document)
        The documents, the start document first.

    Raises
    ------
    DamagedRecordingError
        When the first is no start document.
    """

    def __init__(self, documents: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        self._documents = [(name, dict(doc)) for name, doc in documents]
        self.origin = "memory"
        if not self._documents or self._documents[0][0] != "start":
            message = "the documents of a run begin with a start document"
            raise DamagedRecordingError(message)
        self.start = self._documents[0][1]
        self.uid = self.start["uid"]
        last_name, last = self._documents[-1]
        self.stop = last if last_name == "stop" else None

    def documents(
        self, *, fill: bool = True, skip_damaged: bool = False
    ) -> Iterator[tuple[str, Document]]:
        """Yield the documents; they are in place always."""
        del fill, skip_damaged
        for name, doc in self._documents:
            yield name, dict(doc)


def with_times(
    documents: Iterable[tuple[float | None, str, Document]],
) -> Iterator[tuple[float, str, Document]]:
    """Put a time to each document: its own, when it was received, or that of the one before."""
    latest = 0.0
    for received, name, doc in documents:
        own = doc.get("time", received)
        if isinstance(own, (list, tuple)):
            own = max(own, default=None)  # a page is emitted when its last event is complete
        if own is not None:
            latest = max(latest, own)
        yield latest, name, doc
