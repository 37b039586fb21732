"""Which documents of which runs were sent, and which were not."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ._keeper import Keeper
    from ._targets import Item

__all__ = ["Ledger", "RunAccount"]


@dataclass
class RunAccount:
    """What became of the documents of one run."""

    uid: str
    taken: int = 0
    sent: int = 0
    unsent: int = 0
    reason: str = ""  # why the first of them was not sent, or may not have arrived
    doubtful: bool = False  # whether some may not have arrived that were sent
    skipped: bool = False  # its further documents are not to be sent
    ended: bool = False  # its stop document was taken

    @property
    def is_whole(self) -> bool:
        """Whether all was sent, as far as anybody knows."""
        return not (self.unsent or self.doubtful)

    @property
    def is_settled(self) -> bool:
        """Whether nothing of it is on its way."""
        return self.ended and self.sent + self.unsent == self.taken


@final
class Ledger:
    """The accounts of the runs under way. Any thread calls.

    Parameters
    ----------
    keeper : Keeper
        Copies the runs.
    over : callable
        Is told of each run that was not sent whole, with its account; under the lock.
    grace : float
        For how long after its end it is not known whether a run has arrived [s].
    """

    def __init__(
        self, keeper: Keeper, over: Callable[[RunAccount], None], grace: float = 0.0
    ) -> None:
        self._over = over
        self._grace = grace
        self._lock = threading.Lock()  # guards all below, and what `keeper` does
        self._keeper = keeper
        self._runs: dict[str, RunAccount] = {}
        self._fresh: deque[tuple[float, RunAccount]] = deque()  # those that have just ended
        self.sent = 0
        self.unsent = 0

    def take(self, item: Item) -> bool:
        """Note a document that has come; false if it is not to be sent, and not counted so yet."""
        with self._lock:
            if item.name == "start":
                self._runs[item.run] = RunAccount(item.run)
            account = self._runs.get(item.run)
            if account is None:
                return True
            account.taken += 1
            account.ended = item.name == "stop"
            self._keeper.add(item)
            return not account.skipped

    def note_sent(self, items: Iterable[Item]) -> None:
        """Note documents that were sent."""
        with self._lock:
            for item in items:
                self.sent += 1
                if account := self._runs.get(item.run):
                    account.sent += 1
                    self._look(account)

    def note_unsent(self, items: Iterable[Item], reason: str) -> None:
        """Note documents that will not be sent: their runs are kept."""
        with self._lock:
            for item in items:
                self.unsent += 1
                if account := self._runs.get(item.run):
                    account.unsent += 1
                    account.reason = account.reason or reason
                    self._keeper.keep(item.run)
                    self._look(account)

    def confirm(self) -> None:
        """Note that the broker is there: what was sent a while ago has arrived."""
        if not self._fresh:
            return
        with self._lock:
            while self._fresh and self._fresh[0][0] < time.monotonic() - self._grace:
                self._end(self._fresh.popleft()[1])

    def skip(self, run: str, reason: str) -> None:
        """Have no further document of a run sent."""
        with self._lock:
            if account := self._runs.get(run):
                account.skipped = True
                account.reason = account.reason or reason
                self._keeper.keep(run)

    def doubt(self, reason: str) -> None:
        """Note that nobody knows what has arrived of the runs of which some was sent."""
        with self._lock:
            for account in self._begun():
                account.doubtful = True
                account.reason = account.reason or reason
                self._keeper.keep(account.uid)
            for _, account in self._fresh:
                self._end(account)
            self._fresh.clear()

    def skip_begun(self, reason: str) -> list[str]:
        """Have no further document sent of the runs of which some was; return their uids."""
        with self._lock:
            begun = [account.uid for account in self._begun()]
        for run in begun:
            self.skip(run, reason)
        return begun

    def skips(self, run: str) -> bool:
        """Tell whether a run's documents are not to be sent."""
        with self._lock:
            account = self._runs.get(run)
            return account is not None and account.skipped

    def close(self) -> None:
        """Give up the runs that are still under way."""
        with self._lock:
            for account in list(self._runs.values()):
                self._end(account)
            self._keeper.close()

    def _begun(self) -> list[RunAccount]:
        return [account for account in self._runs.values() if account.sent]

    def _look(self, account: RunAccount) -> None:
        if account.is_settled and self._grace and account.is_whole:
            self._fresh.append((time.monotonic(), account))
        elif account.is_settled:
            self._end(account)

    def _end(self, account: RunAccount) -> None:
        if self._runs.get(account.uid) is not account:
            return  # the same run has come again, in a replay
        del self._runs[account.uid]
        self._keeper.forget(account.uid, sent=account.is_whole)
        if not account.is_whole:
            self._over(account)
