"""From the engine to all clients: what changes, what happens, and the documents."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from freewheel.core._crossings import call_soon
from freewheel.core._devices import device_name
from freewheel.core._pictures import without_pictures
from freewheel.core._view import PICTURE_SIGNALS

from ._frames import FrameKeeper, is_replaceable
from ._ledger import Ledger
from ._protocol import Document, News
from ._values import Values
from ._wire import to_client

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from freewheel.core import EngineView

    from ._session import Lease, Session

__all__ = ["Hub"]

_log = logging.getLogger("freewheel")

#: So many things are told of in one turn of the loop.
_TURN: Final = 500
#: The loop is left to others for so many times what a picture of the engine took.
_REST: Final = 2.0
#: What happens is told of so much later, with all that happened until then [s].
_MOMENT: Final = 0.001


class Hub:
    """Tells all sessions what the engine tells, in one order.

    What comes on the engine's threads is put into a queue, which costs it a few microseconds and
    never waits for anybody; all else is done on the server's loop.

    Parameters
    ----------
    engine : EngineView
        The engine.
    loop : asyncio.AbstractEventLoop
        The server's loop.
    too_slow : callable
        Called with a session for which too much waits.
    """

    def __init__(
        self,
        engine: EngineView,
        loop: asyncio.AbstractEventLoop,
        too_slow: Callable[[Session], object],
    ) -> None:
        self.engine = engine
        self.ledger = Ledger(lambda key: self._put("done", key))
        self.frames = FrameKeeper(engine, lambda: call_soon(loop, self._frames_changed))
        self.values = Values(engine, loop, too_slow)
        self.sessions: dict[str, Session] = {}  # of the server's loop, as all that follows
        self.number = 0  # of the last numbered message
        self.documents = 0  # that were sent, for the metrics
        self._loop = loop
        self._too_slow = too_slow
        self._last: dict[str, Any] = {}  # the picture that everybody has
        self._latches: dict[int, Callable[[], None]] = {}  # those that are watched, and the end
        self._next = 0.0  # when the next picture may be taken
        self._later: asyncio.TimerHandle | None = None
        self._token: int | None = None
        # Any thread appends, the server's loop takes; the lock guards `_rung` alone.
        self._items: deque[tuple[Any, ...]] = deque()
        self._lock = threading.Lock()
        self._rung = False
        self._thread = 0  # of the loop; written by `open`, on it
        self._slots = [
            (getattr(engine.events, name), _slot(self._put, name)) for name in PICTURE_SIGNALS
        ]

    # -- on any thread ------------------------------------------------------------------------

    def _put(self, kind: str, *what: Any) -> None:
        self._items.append((kind, *what))
        with self._lock:
            ring, self._rung = not self._rung, True
        if not ring:
            return
        if threading.get_ident() == self._thread:
            self._drain_soon()  # nothing is to be woken, which takes two calls of the system
        else:
            call_soon(self._loop, self._drain_soon)

    def _document(self, name: str, doc: Any) -> None:
        self._put("document", name, doc)

    # -- on the server's loop -----------------------------------------------------------------

    def open(self) -> None:
        """Follow the engine."""
        self._thread = threading.get_ident()
        for signal, slot in self._slots:
            signal.connect(slot)
        self._last = self.picture()

    def close(self) -> None:
        """Follow the engine no more."""
        for signal, slot in self._slots:
            signal.disconnect(slot, missing_ok=True)
        self.frames.follow(False)
        self.values.close()
        if self._token is not None:
            self.engine.unsubscribe(self._token)
        if self._later is not None:
            self._later.cancel()
        for unwatch in self._latches.values():
            unwatch()

    def touch(self, kind: str = "look") -> None:
        """Look at the engine again: something was done that it may not tell of."""
        self._put(kind)

    def after(self, then: Callable[[], object]) -> None:
        """Do something when all that has happened until now was told."""
        if self._items:
            self._put("then", then)
        else:
            then()

    def follow(self) -> None:
        """Follow documents and frames if a session wants any, and only then."""
        wanted = any(session.documents for session in self.sessions.values())
        if wanted and self._token is None:
            # Inline: putting takes a microsecond, and no change of state overtakes a document.
            self._token = self.engine.subscribe(self._document)
        elif not wanted and self._token is not None:
            self.engine.unsubscribe(self._token)
            self._token = None
        self.frames.follow(any(session.frames for session in self.sessions.values()))

    def _frames_changed(self) -> None:
        for session in self.sessions.values():
            if session.frames is not None:
                session.ready.set()

    def _drain_soon(self) -> None:
        """Tell in a moment: of what happens together at once, and not while a plan would go on.

        A picture takes the interpreter for as long as a plan takes to go on from an action.
        """
        if self._later is None:
            wait = max(_MOMENT, self._next - time.monotonic())
            self._later = self._loop.call_later(wait, self._drain)

    def _drain(self) -> None:
        self._later = None
        with self._lock:
            self._rung = False
        events: list[list[Any]] = []
        thens: list[Callable[[], object]] = []
        for _ in range(_TURN):
            if not self._items:
                break
            kind, *what = self._items.popleft()
            if kind == "document":
                self._tell(events, thens)
                events, thens = [], []
                self._send_document(*what)
            elif kind == "then":
                thens.append(what[0])
            else:
                events += self._events(kind, what)
        self._tell(events, thens)
        if self._items:
            self._put("look")

    def _events(self, kind: str, what: list[Any]) -> list[list[Any]]:
        """Return what is told of something that has happened."""
        if kind == "done":
            return self.ledger.endings(what[0])
        if kind == "plan_started":
            return [["started", self.ledger.record(what[0])]]
        if kind == "plan_ended":
            record = self.ledger.record(what[0])
            return [*self.ledger.endings(record["key"]), ["ended", record]]
        if kind == "background_changed":
            record = self.ledger.task_record(what[0])
            ended = self.ledger.task_endings(record["key"]) if what[0].done else []
            return [*ended, ["task", record]]
        if kind == "state_changed":
            return [["state", str(what[0]), str(what[1])]]
        if kind in ("lease", "all_stopped"):
            return [[kind, *what]]
        return [[kind]]

    def end_lease(self, session: Session, lease: Lease, why: str) -> None:
        """Take a lease back, and tell everybody."""
        session.leases.pop(lease.key, None)
        claims: Any = self.engine.claims  # the ledger: a server's engine is in this process
        claims.release_all(lease.hand)
        self._put("lease", lease.key, why)

    def _tell(self, events: list[list[Any]], thens: list[Callable[[], object]]) -> None:
        """Tell everybody what has happened, once, and do all that waits for that."""
        if events:
            self._tell_news(events)
        for then in thens:
            then()

    def _tell_news(self, events: list[list[Any]]) -> None:
        """Tell everybody what has happened, with what is different in the picture."""
        began = time.monotonic()
        picture = self.picture()
        changed = {key: value for key, value in picture.items() if self._last.get(key) != value}
        self._last = picture
        events = [event for event in events if event != ["look"]]
        if not changed and not events:
            return
        self.number += 1
        data = to_client(News(self.number, changed, events))
        for session in list(self.sessions.values()):
            if not session.put(self.number, data):
                self._too_slow(session)
        self._next = began + _REST * (time.monotonic() - began)

    def _send_document(self, name: str, doc: Any) -> None:
        wanted = [session for session in self.sessions.values() if session.documents]
        if not wanted:
            return
        self.number += 1
        self.documents += 1
        made: dict[tuple[bool, bool], bytes] = {}  # for most, all clients want the same
        slim = b""
        for session in wanted:
            newest = is_replaceable(session.documents, name, doc)
            # Of a display's pictures the numbers that come with them stay.
            rest = without_pictures(doc) if newest and session.documents == "display" else None
            if rest is not None and not slim:
                slim = to_client(Document(self.number, name, rest))
            kind = newest, rest is None
            if kind not in made:
                # Without a number: it may take the place of one that others stand behind.
                number = 0 if newest and rest is None else self.number
                made[kind] = to_client(Document(number, name, doc, newest))
            if newest:
                kept = b"" if rest is None else slim
                fits = session.put_newest(self.number, made[kind], doc["descriptor"], kept)
            else:
                fits = session.put(self.number, made[kind])
            if not fits:
                self._too_slow(session)

    # -- the picture --------------------------------------------------------------------------

    @property
    def last(self) -> dict[str, Any]:
        """The picture that everybody has, or a new one if something has happened since."""
        return self.picture() if self._items else self._last

    def picture(self) -> dict[str, Any]:
        """Return the engine at this moment, as clients have it."""
        engine, ledger = self.engine, self.ledger
        found: dict[str, Any] = json.loads(engine.snapshot().to_json())
        current = engine.current
        queued = [ledger.record(future) for future in engine.queued]
        now = None if current is None else ledger.record(current)
        keys = [each["key"] for each in queued] + ([] if now is None else [now["key"]])
        found |= {
            "current": now,
            "queued": queued,
            "others": ledger.others(keys),
            "tasks": [ledger.task_record(task) for task in engine.background.running],
            "on_interruption": engine.queue.on_interruption,
            "moving": [device_name(device) for device in engine.by_hand.moving],
            "closed": engine.closed,
        }
        self._watch_latches()
        return found

    def _watch_latches(self) -> None:
        """Look again when an action on offer is switched, which no signal tells of."""
        latches = {id(latch): latch for latch in self.engine.pending_actions.values()}
        for gone in self._latches.keys() - latches.keys():
            self._latches.pop(gone)()
        for key, latch in latches.items():
            if key not in self._latches:
                self._latches[key] = latch.watch(lambda *_: self.touch())


def _slot(put: Callable[..., None], name: str) -> Callable[..., None]:
    if name.startswith(("plan", "background")):
        return lambda thing: put(name, thing)
    if name == "state_changed":
        return lambda new, old: put(name, new, old)
    if name == "all_stopped":
        return lambda reason: put(name, reason)
    return lambda *_: put(name)
