"""Lets whole runs through to what records them."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from freewheel.recording._owners import RunOwners

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ["Gate"]

_Documents = list[tuple[str, "Mapping[str, Any]"]]


class Gate:
    """A document callback that hands on the runs which begin while it is open, whole.

    Parameters
    ----------
    sink
        What takes the documents, in batches.
    over
        Called once it is shut and the last of these runs has been handed on; on the thread that
        documents come on, or that shuts it.
    failed
        Called with what the sink raised, which reaches the engine, too; on the same threads.
    begun
        Called with the start document of each of these runs; on the thread that documents come on.
    """

    def __init__(
        self,
        sink: Any,
        over: Callable[[], object],
        failed: Callable[[Exception], object],
        begun: Callable[[Mapping[str, Any]], object],
    ) -> None:
        self._sink = sink
        self._over = over
        self._failed = failed
        self._begun = begun
        # Guards what follows: documents come on one thread, and another one opens and shuts it.
        self._lock = threading.Lock()
        self._owners = RunOwners()
        self._runs: set[str] = set()  # under way
        self._is_open = True
        self.writes_to = getattr(sink, "writes_to", None)
        if hasattr(sink, "begin_batch"):
            self.begin_batch = self._begin_batch

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take a document."""
        self.take_batch([(name, doc)])

    def take_batch(self, documents: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Take several documents."""
        with self._looking_after():
            self._sink.take_batch(self._let_through(documents))

    def _begin_batch(
        self, documents: Sequence[tuple[str, Mapping[str, Any]]]
    ) -> Callable[[], Callable[[], None]]:
        wait = self._sink.begin_batch(self._let_through(documents))

        def waited() -> Callable[[], None]:
            finish = wait()

            def finished() -> None:
                with self._looking_after():
                    finish()

            return finished

        return waited

    @contextmanager
    def _looking_after(self) -> Iterator[None]:
        """Tell of a failure of the sink: of a task's runs the engine tells nobody."""
        try:
            yield
        except Exception as error:
            self._failed(error)
            raise
        finally:
            self._look_whether_over()

    def _let_through(self, documents: Sequence[tuple[str, Mapping[str, Any]]]) -> _Documents:
        through: _Documents = []
        with self._lock:
            for name, doc in documents:
                run = self._owners.run_of(name, doc)
                if name == "start" and self._is_open:
                    self._runs.add(run)
                    self._begun(doc)
                if run in self._runs:
                    through.append((name, doc))
                if name == "stop":
                    self._runs.discard(run)
                    self._owners.forget(run)
        return through

    # -- opening and shutting -----------------------------------------------------------------

    def open(self) -> bool:
        """Hand runs on that begin from now on; false if it is over."""
        with self._lock:
            self._is_open = self._over is not _nothing
            return self._is_open

    def shut(self) -> None:
        """Hand on no run that begins from now on."""
        with self._lock:
            self._is_open = False
        self._look_whether_over()

    def _look_whether_over(self) -> None:
        with self._lock:
            if self._is_open or self._runs:
                return
            over, self._over = self._over, _nothing
        over()


def _nothing() -> None:
    """Tell nobody: it is over, and was told."""
