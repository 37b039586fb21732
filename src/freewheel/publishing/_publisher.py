"""Documents of an engine, sent on to a broker that may be slow or away."""

from __future__ import annotations

import threading
import time
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self, final

from freewheel.core._data_size import data_size
from freewheel.engine._lifetime import after_engines
from freewheel.recording._owners import RunOwners

from ._address import read_address
from ._keeper import Keeper
from ._ledger import Ledger
from ._line import Line
from ._notices import Notices
from ._sender import Sender
from ._targets import Item, target_class

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    from freewheel.recording import Recorder

__all__ = ["Publisher", "PublisherStatus"]

#: Where runs are kept that could not be sent.
UNSENT: Final = "freewheel-unsent"
#: So long it takes at most until a broker that acknowledges nothing is known to be gone [s].
_UNKNOWN: Final = 5.0
#: Seconds that all publishers together have when the interpreter exits.
_EXIT_GRACE: Final = 10.0


@dataclass(frozen=True)
class PublisherStatus:
    """How a publisher stands.

    Parameters
    ----------
    address : str
        Where it publishes, without keys and passwords.
    connected : bool
        Whether the broker is there.
    problem : str
        Why it is not, or why a document was refused last.
    waiting : int
        Documents that are to be sent yet.
    behind : float
        For how long the oldest of them has been waiting [s].
    sent, unsent : int
        Documents that were sent, and that will not be.
    kept : tuple of str
        Uids of the runs that were not sent whole, and are in the recording.
    """

    address: str
    connected: bool
    problem: str
    waiting: int
    behind: float
    sent: int
    unsent: int
    kept: tuple[str, ...]


@final
class Publisher:
    """A document callback that sends every document to a broker, or to a Tiled server.

    Subscribe it with ``publisher.attach(RE)``. It is bluesky's own publisher for that kind of
    broker (bluesky's for 0MQ and Tiled, bluesky-kafka's and bluesky-nats's), on a thread of its
    own: no plan, and no end of a plan, ever waits for it. While the broker is away, documents wait
    for it; a run that could not be sent whole is kept whole in a recording, which
    ``freewheel replay`` and `send_runs` send later. All of that is said in the log, and counted in
    `status`.

    Runs may be interleaved. It may be called from any thread.

    Parameters
    ----------
    address : str
        Such as ``"zmq://localhost:5577"``, ``"nats://localhost:4222/events.volatile"``,
        ``"kafka://localhost:9092/bluesky.documents"`` or ``"tiled://localhost:8000?api_key=…"``.
    keep : path, Recorder or None
        A directory; below it, runs that could not be sent are recorded. Or a `Recorder` that
        records everything anyway. With `None` they are lost.
    max_documents, max_bytes : int
        How many documents, and bytes of data, may wait. When there are more, the run that they
        are of is kept instead.
    **options
        For bluesky's own publisher: ``prefix``, ``serializer`` and ``curve_config`` for 0MQ;
        ``key``, ``producer_config`` and ``serializer`` for Kafka; what ``nats.connect`` takes for
        NATS; ``arrays``, ``batch_size`` and ``api_key`` for Tiled.

    Raises
    ------
    ValueError
        If the address is none.
    MissingExtraError
        If the packages for that kind of broker are not installed.
    """

    def __init__(
        self,
        address: str,
        *,
        keep: str | os.PathLike[str] | Recorder | None = UNSENT,
        max_documents: int = 10_000,
        max_bytes: int = 1 << 28,
        **options: Any,
    ) -> None:
        where = read_address(address)
        make = target_class(where.scheme)
        keeper = Keeper(keep, where.label)
        self._address = str(where)
        self._notices = Notices(where, keeper.place)
        self._line = Line(max_documents, max_bytes)
        self._ledger = Ledger(
            keeper, self._notices.run_kept, 0.0 if make.acknowledges else _UNKNOWN
        )
        settings = {**where.options, **options}
        self._sender = Sender(
            lambda: make(where, **settings), make, self._line, self._ledger, self._notices
        )
        self._lock = threading.Lock()  # held for each document; guards `_owners`, and their order
        self._owners = RunOwners()
        self._closed = False  # only ever set, under the lock
        self._full = f"more than {max_documents} documents, or {max_bytes >> 20} MB, waited for it"
        self._thread = threading.Thread(
            target=self._sender.run, name=f"freewheel-publisher-{where.scheme}", daemon=True
        )
        self._thread.start()
        weakref.finalize(self, self._line.close).atexit = False  # else its thread would stay
        _publishers.add(self)
        after_engines(_close_all)

    def __repr__(self) -> str:
        return f"Publisher({self._address!r})"

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take a document. It never raises, and never waits for the broker."""
        self.take_batch([(name, doc)])

    def take_batch(self, documents: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Take several documents, of any runs."""
        with self._lock:
            for name, doc in documents:
                self._take(name, doc)
        self._sender.look_back()

    def _take(self, name: str, doc: Mapping[str, Any]) -> None:
        run = self._owners.run_of(name, doc)
        if name == "stop":
            self._owners.forget(run)
        item = Item(run, name, doc, data_size(doc), time.monotonic())
        if self._closed:
            self._ledger.note_unsent([item], "the publisher was closed")
        elif not self._ledger.take(item):
            self._ledger.note_unsent([item], "")
        elif not self._line.put(item):
            self._ledger.skip(run, self._full)
            self._ledger.note_unsent([*self._line.drop(run), item], self._full)

    def attach(self, engine: Any) -> Callable[[], None]:
        """Subscribe to an engine with queued delivery, and return a function that undoes it."""
        token = engine.subscribe(self, delivery="queued")
        return lambda: engine.unsubscribe(token)

    @property
    def status(self) -> PublisherStatus:
        """How it stands."""
        waiting, behind = self._line.waiting()
        return PublisherStatus(
            self._address,
            self._sender.connected,
            self._sender.problem,
            waiting,
            behind,
            self._ledger.sent,
            self._ledger.unsent,
            self._notices.kept,
        )

    def wait(self, timeout: float | None = None) -> PublisherStatus:
        """Wait until nothing waits to be sent, so long at most [s]; return how it stands."""
        self._line.wait_until_empty(timeout)
        return self.status

    def close(self, timeout: float = 10.0) -> PublisherStatus:
        """Send what waits, and end the thread. What is not sent by then is kept. Idempotent.

        Parameters
        ----------
        timeout : float
            How long to wait for a broker that takes documents [s]; one that is away is not waited
            for.

        Returns
        -------
        PublisherStatus
            With what was sent and what was not.
        """
        with self._lock:
            self._closed = True
        self._line.close()
        self._thread.join(timeout)
        if left := self._line.abandon():
            late = f"it took longer than {timeout:g} s" if timeout else "nobody waited for it"
            self._ledger.note_unsent(left, self._sender.problem or late)
        self._ledger.close()
        self._notices.sum_up()
        return self.status

    def __enter__(self) -> Self:
        """Return the publisher."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close it."""
        self.close()


# Added to by any thread; closed when the interpreter exits, after the engines.
_publishers: weakref.WeakSet[Publisher] = weakref.WeakSet()


def _close_all() -> None:
    deadline = time.monotonic() + _EXIT_GRACE
    for publisher in list(_publishers):
        publisher.close(max(0.0, deadline - time.monotonic()))
