"""The calls that wait for their turn, and what a user sees and does of them."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, final, overload

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable

    from ._calls import Call
    from ._futures import PlanFuture

__all__ = ["OnInterruption", "PlanQueue", "Waiting"]

_log = logging.getLogger("freewheel")

#: What the reason is when nobody has given one: `PlanQueue.held` is never empty while it holds.
_NO_REASON: Final = "held by hand"


class OnInterruption(StrEnum):
    """What becomes of the calls that wait when the plan before them does not end by itself."""

    CANCEL = "cancel"
    HOLD = "hold"

    @classmethod
    def of(cls, value: str) -> OnInterruption:
        """Return the member of that name.

        Raises
        ------
        ValueError
            With the names that there are.
        """
        try:
            return cls(value)
        except ValueError:
            raise ValueError(
                f"RE.queue.on_interruption is 'cancel' or 'hold', not {value!r}."
            ) from None


@final
class Waiting:
    """The calls that wait, in their order; all under the engine's lock, which the caller holds.

    What is to be told when the lock is free again is returned, or called by `tell`.

    Parameters
    ----------
    lock : threading.RLock
        The lock of the engine's states. Invariant under it: while the queue is not held and no
        plan runs, nothing waits.
    changed : callable
        Tells those who watch that the queue has changed; from any thread, without waiting.
    """

    def __init__(self, lock: threading.RLock, changed: Callable[[], None]) -> None:
        self.lock = lock
        self.tell = changed
        self.calls: deque[Call] = deque()
        self.held: str | None = None
        self.on_interruption = OnInterruption.CANCEL

    def futures(self) -> tuple[PlanFuture, ...]:
        """Return the futures of those that wait; from any thread."""
        with self.lock:
            return tuple(call.future for call in self.calls)

    def put(self, call: Call) -> None:
        """Have a call wait for its turn."""
        call.make_withdrawable(lambda: self._withdraw(call))
        self.calls.append(call)
        self.tell()

    def next(self) -> Call | None:
        """Take the call that is to start now, if there is one and nothing holds it."""
        if not self.calls or self.held is not None:
            return None
        call = self.calls.popleft()
        self.tell()
        return call

    def take_all(self) -> list[Call]:
        """Take all of them, to be cancelled."""
        taken = list(self.calls)
        self.calls.clear()
        if taken:
            self.tell()
        return taken

    def interrupted(self, why: str, *, always_hold: bool = False) -> list[Call]:
        """Deal with those that wait: the plan before them has not ended by itself.

        Parameters
        ----------
        why : str
            What has happened.
        always_hold : bool
            Whether to hold the queue even while it is empty, if it is one that is to be held.

        Returns
        -------
        list of Call
            Those that are to be cancelled.
        """
        if self.on_interruption is OnInterruption.CANCEL:
            return self.take_all()
        if (self.calls or always_hold) and self.held is None:
            self.hold(why)
            _log.warning("%s", self.why_held())
        return []

    def hold(self, reason: str) -> None:
        """Start none of them until they are released."""
        self.held = reason or _NO_REASON
        self.tell()

    def why_held(self) -> str:
        """Return what holds the queue, what waits, and the commands that free it."""
        names = ", ".join(call.name for call in self.calls)
        count = len(self.calls)
        waiting = f"; {count} plan{'s wait' if count != 1 else ' waits'}: {names}" if count else ""
        drop = "; RE.queue.clear() drops what waits" if count else ""
        return f"The queue is held ({self.held}){waiting}. RE.queue.release() frees it{drop}."

    def _withdraw(self, call: Call) -> bool:
        with self.lock:
            if call not in self.calls:
                return False
            self.calls.remove(call)
        self.tell()
        call.cancel("it was taken out of the queue")
        return True


def cancel_all(calls: Iterable[Call], why: str) -> tuple[PlanFuture, ...]:
    """Cancel calls that were taken out of the queue; without the lock."""
    cancelled = list(calls)
    if cancelled:
        names = ", ".join(call.name for call in cancelled)
        _log.warning("%d queued plan(s) cancelled because %s: %s.", len(cancelled), why, names)
    for call in cancelled:
        call.cancel(why)
    return tuple(call.future for call in cancelled)


@final
class PlanQueue(Sequence["PlanFuture"]):
    """The futures of the calls that wait, in the order in which they will start: ``RE.queue``.

    Any thread may use it, and nothing here waits for the engine. It is a sequence of what waits
    now; take ``tuple(RE.queue)`` for a picture that stays.
    """

    __slots__ = ("_check", "_start_next", "_waiting")

    def __init__(
        self, waiting: Waiting, start_next: Callable[[], None], check: Callable[[], None]
    ) -> None:
        self._waiting = waiting
        self._start_next = start_next
        self._check = check

    # -- looking ------------------------------------------------------------------------------

    @overload
    def __getitem__(self, index: int) -> PlanFuture: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[PlanFuture, ...]: ...

    def __getitem__(self, index: Any) -> Any:
        return self._waiting.futures()[index]

    def __len__(self) -> int:
        return len(self._waiting.calls)

    def __iter__(self) -> Iterator[PlanFuture]:
        return iter(self._waiting.futures())

    @property
    def held(self) -> str | None:
        """Why nothing new starts; ``None`` if it is not held, and never empty if it is."""
        return self._waiting.held

    def __repr__(self) -> str:
        names = ", ".join(future.plan_name for future in self) or "empty"
        held = self.held
        return f"<PlanQueue: {names}{'' if held is None else f'; held: {held}'}>"

    # -- changing -----------------------------------------------------------------------------

    @property
    def on_interruption(self) -> str:
        """What becomes of those that wait after a stop, and after a failure.

        ``"cancel"``, the default: they are cancelled, for a future that a script waits for must
        end. ``"hold"``: they stay, the queue is held with the reason, and a person releases it.
        Both are logged.
        """
        return self._waiting.on_interruption

    @on_interruption.setter
    def on_interruption(self, value: str) -> None:
        self._waiting.on_interruption = OnInterruption.of(value)

    def hold(self, reason: str = "") -> None:
        """Start nothing new until `release`; the plan that runs goes on.

        Parameters
        ----------
        reason : str, optional
            For `held`, for whoever wonders why nothing starts. A later one takes its place.
        """
        with self._waiting.lock:
            self._waiting.hold(str(reason))

    def release(self) -> None:
        """Let the queue go on: if no plan runs, the next one starts at once.

        While it is not held, this does nothing.

        Raises
        ------
        ServiceFailedError
            If a service has ended and was not adopted again; the queue stays held.
        """
        self._check()
        with self._waiting.lock:
            if self._waiting.held is None:
                return
            self._waiting.held = None
            self._waiting.tell()
            self._start_next()

    def clear(self) -> tuple[PlanFuture, ...]:
        """Cancel all that wait; a hold stays.

        Returns
        -------
        tuple of PlanFuture
            The cancelled ones, in their order.
        """
        with self._waiting.lock:
            taken = self._waiting.take_all()
        return cancel_all(taken, "the queue was cleared")
