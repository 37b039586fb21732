"""The thread that sends documents: to a broker that may be slow, away, or unwilling."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from typing import TYPE_CHECKING, Final, final

from freewheel.core._futures import failure_text
from freewheel.core._timers import timers

from ._errors import AwayError, PublishingError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._ledger import Ledger
    from ._line import Line
    from ._notices import Notices
    from ._targets import Item, Target

__all__ = ["Sender"]

_log = logging.getLogger("freewheel.publishing")

_FIRST_PAUSE: Final = 0.2  # s, before a broker that is away is tried again …
_LONGEST_PAUSE: Final = 5.0  # … which doubles up to this
#: How often a broker that acknowledges nothing is looked for while nothing is sent [s].
_TICK: Final = 0.5
#: A document that so many connections in a row have broken over is refused.
_TRIES: Final = 3
#: A broker that is so far behind is said to be slow [s].
_LATE: Final = 5.0
#: So long it takes at least from one look back to the next, if nothing else has it look [s].
_LOOK: Final = 0.1


@final
class Sender:
    """Connects, sends, and connects again. `run` is its thread's; others may look.

    Parameters
    ----------
    connect : callable
        Makes a target.
    kind : type of Target
        Its class.
    line : Line
        What is to be sent.
    ledger : Ledger
        Is told what was.
    notices : Notices
        Is told how it goes.
    """

    def __init__(
        self,
        connect: Callable[[], Target],
        kind: type[Target],
        line: Line,
        ledger: Ledger,
        notices: Notices,
    ) -> None:
        self._connect = connect
        self._kind = kind
        self._line = line
        self._ledger = ledger
        self._notices = notices
        self._target: Target | None = None
        self._tick = None if kind.acknowledges else _TICK
        self._breaks = 0  # connections that were lost since a document was sent
        # Written by the thread, looked at by others.
        self.connected = False
        self.problem = ""
        self.done = False  # for the timers: it is looked back for as long as there is somebody
        self._lock = threading.Lock()  # guards what is below
        self._looks_again = False  # whether it is on the timers' list

    def run(self) -> None:
        """Send until the line is closed and empty, or the broker is away then."""
        pause = _FIRST_PAUSE
        while True:
            if self._target is None and not self._try():
                if self._line.wait_for_end(pause) and not (self._line.waiting()[0] and self._try()):
                    break
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            pause = _FIRST_PAUSE
            items = self._line.take(self._kind.at_once, self._tick)
            if items:
                self._send(items)
            else:
                self._check()
            if items is None:
                break
        self._hang_up()

    def look_back(self) -> None:
        """Say so if it is far behind, or no longer; from any thread.

        And once more when what waits will have waited for long: a server that does not answer keeps
        this thread, and no document may come.
        """
        waiting, age = self._line.waiting()
        self._notices.behind(waiting, age, limit=_LATE)
        with self._lock:
            if not waiting or self._looks_again:
                return
            self._looks_again = True
        timers.call_at(
            time.monotonic() + max(_LOOK, _LATE - age), Sender._look_again, weakref.ref(self)
        )

    def _look_again(self) -> None:
        """Look back; on the timers' thread."""
        with self._lock:
            self._looks_again = False
        self.look_back()

    def _try(self) -> bool:
        """Connect; tell whether it worked."""
        if self._target is not None:
            return True
        try:
            self._target = self._connect()
        except PublishingError as error:
            self._is_away(str(error))
            return False
        except BaseException as error:  # this thread is nobody else's, and is needed still
            _log.debug("No connection.", exc_info=True)
            self._is_away(failure_text(error))
            return False
        self.connected, self.problem = True, ""
        self._notices.back(self._line.waiting()[0])
        return True

    def _check(self) -> None:
        try:
            if self._target is not None:
                self._target.check()
        except AwayError as error:
            self._lost(str(error))
        else:
            self._ledger.confirm()

    def _send(self, taken: list[Item]) -> None:
        skipped = {run for run in {item.run for item in taken} if self._ledger.skips(run)}
        items = [item for item in taken if item.run not in skipped]
        error: PublishingError | None = None
        try:
            if items:
                assert self._target is not None
                self._target.send(items)
        except PublishingError as failure:
            error = self._judged(failure)
        except BaseException as failure:  # raised by a value, which is asked for its parts
            _log.exception("A document cannot be published.")
            error = RefusedError(failure_text(failure))
        sent = len(items) if error is None else error.sent
        refused = sent + isinstance(error, RefusedError)
        if not self._line.settle(items[refused:]):
            return
        self._ledger.note_unsent((item for item in taken if item.run in skipped), "")
        self._ledger.note_sent(items[:sent])
        if error is None:
            self._ledger.confirm()
        if isinstance(error, RefusedError):
            self._refused(items[sent], str(error))
        elif error is not None:
            self._lost(str(error))
        self.look_back()

    def _judged(self, error: PublishingError) -> PublishingError:
        """Take a document that each connection breaks over for one that is refused."""
        if error.sent or not isinstance(error, AwayError):
            self._breaks = 0
        if isinstance(error, AwayError):
            self._breaks += 1
        if self._breaks < _TRIES:
            return error
        self._breaks = 0
        self._hang_up()
        refusal = RefusedError(f"{_TRIES} connections broke over it: {error}")
        refusal.sent = error.sent
        return refusal

    def _lost(self, reason: str) -> None:
        """Deal with a connection that has broken."""
        if not self._kind.acknowledges:
            self._ledger.doubt(reason)
        if not self._kind.resumable:
            for run in self._ledger.skip_begun(reason):
                self._ledger.note_unsent(self._line.drop(run), reason)
        self._hang_up()
        self._is_away(reason)

    def _refused(self, item: Item, reason: str) -> None:
        """Deal with a document that is not taken."""
        self.problem = reason
        text = f"a document ({item.name}) was refused: {reason}"
        if not self._kind.resumable:
            self._ledger.skip(item.run, text)
        self._ledger.note_unsent([item], text)

    def _is_away(self, reason: str) -> None:
        self.connected, self.problem = False, reason
        self._notices.away(reason)

    def _hang_up(self) -> None:
        target, self._target = self._target, None
        if target is None:
            return
        try:
            target.close()
        except Exception:
            _log.debug("The connection was not closed well.", exc_info=True)
