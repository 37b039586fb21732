"""Futures of plans and tasks that run elsewhere."""

from __future__ import annotations

import threading
import time
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, final

from bluesky.run_engine import RunEngineResult

from freewheel.background import TaskStatus
from freewheel.core import EngineFuture, PlanStatus, duration_text, status_text

from ._errors import ConnectionLostError
from ._faults import error_of
from ._protocol import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from freewheel.core import PlanCall, Progress

__all__ = ["RemotePlanFuture", "RemoteTask", "end"]

_HINT = "Use add_done_callback, or await it in a coroutine."


def end(future: EngineFuture[Any], record: Mapping[str, Any]) -> None:
    """End a future as the server says that its own has ended."""
    if future.done():
        return
    if "cancelled" in record:
        future.why_cancelled = record["cancelled"] or ""
        if isinstance(future, _Remote):
            future.mark_cancelled()
        else:
            future.settle(error=CancelledError(future.why_cancelled))
    elif "fault" in record:
        future.settle(error=error_of(_fault(record["fault"])))
    else:
        future.settle(value_of(record))


def _is_lost(future: EngineFuture[Any]) -> bool:
    """Tell whether nobody knows how it has ended, for its server is no more."""
    return future.done() and isinstance(future.peek(), ConnectionLostError)


def value_of(record: Mapping[str, Any]) -> Any:
    """Return what a future has ended with, as it was written on the line."""
    if "run" in record:
        found = dict(record["run"])
        error = found["exception"]
        found["run_start_uids"] = tuple(found["run_start_uids"])
        found["exception"] = None if error is None else error_of(_fault(error))
        return RunEngineResult(**found)
    return tuple(record["tuple"]) if "tuple" in record else record.get("value")


def _fault(record: Mapping[str, Any]) -> Fault:
    return Fault(record["kind"], record.get("text", ""), record.get("parts", []))


class _Remote(EngineFuture[Any]):
    """A future of something elsewhere, which is cancelled there."""

    def __init__(self, what: str, thread: threading.Thread, cancel: Callable[[], bool]) -> None:
        super().__init__(what, thread, _HINT)
        self._ask_cancel = cancel
        # Held while it is marked as cancelled, which whoever cancels and the server's news both do.
        self._marking = threading.RLock()

    def cancel(self) -> bool:
        """Take it back, if it waits still; return whether it was taken back."""
        if self.cancelled():
            return True
        if self.done() or not self._ask_cancel():
            return False
        self.mark_cancelled()
        return True

    def mark_cancelled(self) -> None:
        """End it as cancelled, for the server says so."""
        with self._marking:
            if not self.done() and super().cancel():
                self.set_running_or_notify_cancel()


@final
class RemotePlanFuture(_Remote):
    """The future of a plan that runs elsewhere: as `freewheel.engine.PlanFuture`.

    It survives a lost line. If the server has ended meanwhile, it fails with
    `freewheel.remote.ServerRestartedError`.

    Attributes
    ----------
    plan_name : str
        The plan's name.
    call : PlanCall or None
        What makes the plan, if it was asked for here.
    """

    def __init__(
        self,
        record: Mapping[str, Any],
        thread: threading.Thread,
        outcome: _Remote,
        *,
        call: PlanCall | None = None,
        cancel: Callable[[], bool],
        progress: Callable[[RemotePlanFuture], tuple[Progress, ...]],
    ) -> None:
        super().__init__(f"plan {record['name']!r}", thread, cancel)
        self.plan_name: str = record["name"]
        self.key: str = record["key"]
        self.call = call
        self.arguments: str = record.get("arguments", "")
        self._outcome = outcome
        self._progress_of = progress
        # Replaced as a whole, on the line's thread.
        self._told: tuple[PlanStatus, float | None, float | None, float]
        self.tell(record)

    @staticmethod
    def make_outcome(name: str, thread: threading.Thread, cancel: Callable[[], bool]) -> _Remote:
        """Return the future of a plan's whole life."""
        return _Remote(f"the outcome of {name!r}", thread, cancel)

    def tell(self, record: Mapping[str, Any]) -> None:
        """Take what the server says of it."""
        status, left = PlanStatus(record["status"]), record.get("time_left")
        self._told = status, record["elapsed"], left, time.monotonic()

    @property
    def outcome(self) -> EngineFuture[Any]:
        """The future of the end of the plan's whole life."""
        return self._outcome

    @property
    def status(self) -> PlanStatus:
        """Where the plan is between its call and its end, as far as is known here."""
        if self.cancelled():
            return PlanStatus.CANCELLED
        told = self._told[0]
        return told if told.ended or not _is_lost(self) else PlanStatus.FAILED

    @property
    def failure(self) -> BaseException | None:
        """What the plan failed with; ``None`` if it did not, or has not ended."""
        return self._outcome.peek()

    @property
    def elapsed(self) -> float | None:
        """Seconds since the plan was started, until its end; ``None`` before its start."""
        status, elapsed, _, at = self._told
        if elapsed is None or status.ended or self._outcome.done():
            return elapsed
        return elapsed + time.monotonic() - at

    @property
    def time_left(self) -> float | None:
        """Seconds until its end as the engine there foresees it; ``None`` where it does not."""
        _, _, left, at = self._told
        if left is None or self._outcome.done():
            return None
        return max(0.0, left - (time.monotonic() - at))

    @property
    def progress(self) -> tuple[Progress, ...]:
        """How far the plan has come; empty when it has ended."""
        return () if self._outcome.done() else self._progress_of(self)

    def __repr__(self) -> str:
        elapsed = self.elapsed
        took = "" if elapsed is None else f", {duration_text(elapsed, tenths=True)}"
        return f"<{type(self).__name__} {self.plan_name}: {self._standing}{took}>"

    @property
    def _standing(self) -> str:
        return status_text(self.status, self.failure)


@final
class RemoteTask:
    """A background task that runs elsewhere: as `freewheel.BackgroundTask`."""

    kind = "task"

    def __init__(
        self,
        record: Mapping[str, Any],
        thread: threading.Thread,
        ask: Callable[..., Any],
        find: Callable[[str], Any] = lambda key: None,
    ) -> None:
        self.key: str = record["key"]
        self.name: str = record["name"]
        self._find = find
        self.future: EngineFuture[Any] = EngineFuture.under_way(
            f"the task {self.name!r}", thread, _HINT
        )
        self._ask = ask
        self._told = record  # replaced as a whole, on the line's thread

    def tell(self, record: Mapping[str, Any]) -> None:
        """Take what the server says of it."""
        self._told = record

    @property
    def status(self) -> TaskStatus:
        """Where it is in its life, as far as is known here."""
        told = TaskStatus(self._told["status"])
        return told if told.ended or not _is_lost(self.future) else TaskStatus.FAILED

    @property
    def waits_for(self) -> str:
        """The device that it waits for, and who has it; or empty."""
        return str(self._told["waits_for"])

    @property
    def standing(self) -> str:
        """Its status in words, with what it waits for."""
        return f"{self.status}, waits for {self.waits_for}" if self.waits_for else str(self.status)

    @property
    def parent(self) -> RemoteTask | EngineFuture[Any] | None:
        """What has started it: a task; of a plan in the foreground its outcome.

        ``None`` for one that was launched from outside of any plan, and where it is not known.
        """
        found: RemoteTask | EngineFuture[Any] | None = self._find(self._told.get("parent", ""))
        return found

    @property
    def claims(self) -> tuple[str, ...]:
        """The names of the devices that it holds."""
        return tuple(self._told["claims"])

    @property
    def run_start_uids(self) -> tuple[str, ...]:
        """The uids of the runs that it has opened."""
        return tuple(self._told["runs"])

    @property
    def done(self) -> bool:
        """Whether it has ended, with its clean-up."""
        return self.future.done()

    def result(self, timeout: float | None = None) -> Any:
        """Wait for its end and return its result."""
        return self.future.result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for its end and return what it failed with, or ``None``."""
        return self.future.exception(timeout)

    wait = result

    def __await__(self) -> Generator[Any, None, Any]:
        return self.future.__await__()

    def cancel(self, reason: str = "") -> bool:
        """Ask it to end, with its clean-up; return false if it has ended already."""
        return bool(self._ask("task_cancel", key=self.key, reason=reason))

    def pause(self) -> None:
        """Ask it to rest."""
        self._ask("task_pause", key=self.key)

    def resume(self) -> None:
        """Take back `pause`."""
        self._ask("task_resume", key=self.key)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {self.standing}>"
