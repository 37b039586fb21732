"""What a publisher says: to the log, which prompt, window and terminal show."""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING, final

from freewheel.core import duration_text

if TYPE_CHECKING:
    from pathlib import Path

    from ._address import Address
    from ._ledger import RunAccount

__all__ = ["Notices"]

_log = logging.getLogger("freewheel.publishing")


@final
class Notices:
    """Says each thing once: that a broker is away and back, late and up to date, and what is kept.

    Any thread calls.

    Parameters
    ----------
    address : Address
        Where documents go.
    place : Path or None
        The recording that has the runs which could not be sent.
    """

    def __init__(self, address: Address, place: Path | None) -> None:
        self._address = address
        self._place = place
        self._lock = threading.Lock()  # guards all below
        self._away = False
        self._back_at = 0.0  # since when it has been there, by time.monotonic()
        self._late = 0.0  # how far it was behind, while it is
        self._kept: list[str] = []
        self._untold = 0  # runs kept since the last that was told of

    @property
    def kept(self) -> tuple[str, ...]:
        """The runs that were not sent whole."""
        with self._lock:
            return tuple(self._kept)

    def away(self, reason: str) -> None:
        """Say that the broker is not there."""
        with self._lock:
            if self._away:
                return
            self._away = True
        _log.warning(
            "%s is not there: %s. Plans run on; the documents wait for it.", self._address, reason
        )

    def back(self, waiting: int) -> None:
        """Say that the broker is there again."""
        with self._lock:
            if not self._away:
                return
            self._away = False
            self._back_at = time.monotonic()
        _log.warning("%s is there now; %s", self._address, _are_sent(waiting))
        self.sum_up()

    def behind(self, waiting: int, age: float, *, limit: float) -> None:
        """Say that the broker is slow, if it is, and when it no longer is."""
        with self._lock:
            if self._away:
                return
            age = min(age, time.monotonic() - self._back_at)  # an outage is no slowness
            before = self._late
            if waiting and age >= limit:
                self._late = max(before, age)
                if before:
                    return
            elif waiting or not before:
                return
            else:
                self._late = 0.0
        if before:
            text = "%s has caught up: it was %s behind."
            _log.warning(text, self._address, duration_text(before))
        else:
            _log.warning(
                "%s is slow: it is %s behind, and %d documents wait for it. No plan does.",
                self._address,
                duration_text(age),
                waiting,
            )

    def run_kept(self, account: RunAccount) -> None:
        """Say that a run was not sent whole, and where it is; of those of an outage the first."""
        with self._lock:
            self._kept.append(account.uid)
            if self._away and self._untold:
                self._untold += 1
                return
            self._untold = int(self._away)
        _log.warning("%s: %s", self._address, self._about(account))

    def sum_up(self) -> None:
        """Say how many runs were kept that were not told of one by one."""
        with self._lock:
            more, self._untold = max(0, self._untold - 1), 0
        if more:
            _log.warning("%s: %d runs more were not sent.%s", self._address, more, self._remedy())

    def _about(self, account: RunAccount) -> str:
        run = f"the run {account.uid[:8]}"
        if account.unsent:
            text = f"{account.unsent} of the {account.taken} documents of {run} were not sent"
        else:
            text = f"some of the {account.taken} documents of {run} may not have arrived"
        return f"{text}: {account.reason}.{self._remedy(account.uid[:8])}"

    def _remedy(self, run: str = "") -> str:
        if self._place is None:
            return ""
        place = os.path.relpath(self._place)
        place = str(self._place) if place.startswith("..") else place
        only = f" --run {run}" if run else ""
        where = self._address.typed
        return f" It is kept: freewheel replay {place}{only} --publish {where} sends it again."


def _are_sent(waiting: int) -> str:
    if not waiting:
        return "nothing waited."
    if waiting == 1:
        return "the document that waited is sent."
    return f"the {waiting} documents that waited are sent."
