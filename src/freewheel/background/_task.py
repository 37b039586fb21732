"""A background task: what its users see of it."""

from __future__ import annotations

import enum
import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, final

from freewheel.core._futures import failure_text

from ._holders import HANDS

if TYPE_CHECKING:
    from collections.abc import Container, Generator, Mapping

    from freewheel.core import EngineFuture

__all__ = ["BackgroundTask", "MergeMode", "Requests", "TaskInside", "TaskStatus"]


class TaskStatus(enum.StrEnum):
    """Where a background task is in its life."""

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether nothing follows any more."""
        return self in (TaskStatus.COMPLETED, TaskStatus.CANCELLED, TaskStatus.FAILED)


class MergeMode(enum.StrEnum):
    """What became of the result of a background task.

    Attributes
    ----------
    HOT
        It arrived while its plan was running, in `background_results`.
    WAKEUP
        Its plan had ended or was paused, or it had none: it waits in ``RE.background.pending``.
    """

    HOT = "hot"
    WAKEUP = "wakeup"


class Requests(Protocol):
    """What a task that has not ended can be asked; from any thread."""

    def claims(self) -> tuple[Any, ...]:
        """Return the devices that it holds and may use."""
        ...

    def ask_cancel(self, reason: str) -> bool:
        """See `BackgroundTask.cancel`."""
        ...

    def ask_pause(self) -> None:
        """See `BackgroundTask.pause`."""
        ...

    def ask_resume(self) -> None:
        """See `BackgroundTask.resume`."""
        ...


@final
class TaskInside:
    """The inside of a task: what the engine writes and the task shows.

    Written on the loop's thread alone; read by any, each read of one value, which is old or new.

    Attributes
    ----------
    name : str
        What the task answers to.
    began : float
        When it was started, by the monotonic clock; constant.
    future : EngineFuture
        Done when the task has ended.
    requests : Requests or None
        Whom to ask, until the end.
    status : TaskStatus
        Where the task is in its life.
    goes_on : bool
        Whether it is about to go on, and lends nothing more, though it is still paused.
    merge : MergeMode or None
        What became of the result.
    value : object
        What the payload returned, if it did.
    run_start_uids : tuple of str
        Of the runs that it has opened.
    parent, metadata
        See `BackgroundTask`; constant.
    waits_for : str
        The device that it waits for, and who has it; empty if it waits for none.
    """

    __slots__ = (
        "began",
        "future",
        "goes_on",
        "merge",
        "metadata",
        "name",
        "parent",
        "requests",
        "run_start_uids",
        "status",
        "value",
        "waits_for",
    )

    def __init__(
        self,
        name: str,
        requests: Requests,
        future: EngineFuture[Any],
        parent: BackgroundTask | EngineFuture[Any] | None,
        metadata: Mapping[str, Any],
    ) -> None:
        self.name = name
        self.began = time.monotonic()
        self.future = future
        self.parent = parent
        self.metadata = metadata
        self.run_start_uids: tuple[str, ...] = ()
        self.requests: Requests | None = requests
        self.status = TaskStatus.WAITING
        self.goes_on = False
        self.merge: MergeMode | None = None
        self.value: Any = None
        self.waits_for = ""


@final
class BackgroundTask:
    """A plan, coroutine or function that runs beside the plan that started it.

    Made by the `background` stub, or by ``RE.background.launch``. All of it may be used from any
    thread; nothing here waits but `result` and `exception`.
    """

    __slots__ = ("__weakref__", "_inside")
    #: What sort of holder of devices it is, for errors.
    kind = "task"

    def __init__(self, inside: TaskInside) -> None:
        self._inside = inside

    @property
    def name(self) -> str:
        """What the task answers to."""
        return self._inside.name

    @property
    def status(self) -> TaskStatus:
        """Where it is in its life."""
        return self._inside.status

    @property
    def elapsed(self) -> float | None:
        """Seconds since it was started; ``None`` when it has ended."""
        return None if self.done else time.monotonic() - self._inside.began

    @property
    def waits_for(self) -> str:
        """The device that it waits for, or has given up to a plan, and who has it; or empty."""
        return self._inside.waits_for

    @property
    def standing(self) -> str:
        """Its status in words, with what it waits for."""
        waits_for = self._inside.waits_for
        return f"{self.status.value}, waits for {waits_for}" if waits_for else self.status.value

    @property
    def parent(self) -> BackgroundTask | EngineFuture[Any] | None:
        """What has started it: a task; of a plan in the foreground its future at that moment.

        ``None`` for one that was launched from outside of any plan. A detached task has a parent
        too, but outlives it.
        """
        return self._inside.parent

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The metadata that it was started with, read-only; the runs of a plan have them."""
        return MappingProxyType(dict(self._inside.metadata))

    @property
    def run_start_uids(self) -> tuple[str, ...]:
        """The uids of the runs that it has opened, and its own tasks, in the order of their starts.

        At this moment: there may be more to come until it has ended.
        """
        return self._inside.run_start_uids

    @property
    def lends_to(self) -> Container[Any]:
        """To whom it lends what it holds: while it is paused, to people."""
        inside = self._inside
        return HANDS if inside.status is TaskStatus.PAUSED and not inside.goes_on else ()

    @property
    def future(self) -> EngineFuture[Any]:
        """Done when the task has ended; it can be awaited, on any asyncio loop.

        ``cancel()`` of it answers false and changes nothing: it is the task that is cancelled,
        with `BackgroundTask.cancel`. A task that was cancelled has the result ``None``.
        """
        return self._inside.future

    @property
    def merge(self) -> MergeMode | None:
        """What became of its result; ``None`` before it has one."""
        return self._inside.merge

    @property
    def claims(self) -> tuple[Any, ...]:
        """The devices that it holds and may use at this moment."""
        requests = self._inside.requests
        return () if requests is None else requests.claims()

    @property
    def done(self) -> bool:
        """Whether it has ended, with its clean-up."""
        return self._inside.future.done()

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the end of the task and return its result.

        Parameters
        ----------
        timeout : float, optional
            How long to wait at most, in seconds.

        Returns
        -------
        object
            What the payload returned; ``None`` if the task was cancelled.

        Raises
        ------
        Exception
            What the payload raised.
        TimeoutError
            If it was not done in time.
        RuntimeError
            On the engine's own thread, such as in a document callback, before it is done.
        CircularWaitError
            Within a plan or task that this one waits for, or a task that it is itself.
        """
        __tracebackhide__ = True
        return self._inside.future.result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the end of the task and return what it failed with, or ``None``.

        Raises as `result` does for a time-out and on the engine's own thread.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait at most; then `WaitTimeoutError` is raised.
        """
        return self._inside.future.exception(timeout)

    #: The same as `result`.
    wait = result

    @property
    def value(self) -> Any:
        """What the payload returned, even if that was after it was cancelled; else ``None``.

        The ``result`` of a task that was cancelled is ``None``, whatever it returned. Never waits.
        """
        return self._inside.value

    def __await__(self) -> Generator[Any, None, Any]:
        """Wait for the end of the task, on any asyncio loop: ``await task`` is its result."""
        return self._inside.future.__await__()

    def cancel(self, reason: str = "") -> bool:
        """Ask the task to end, with its clean-up; return false if it has ended already.

        Parameters
        ----------
        reason : str, optional
            For the log and the stop documents.
        """
        requests = self._inside.requests
        return requests is not None and requests.ask_cancel(reason)

    def pause(self) -> None:
        """Ask the task to rest. A plan rests at its last checkpoint, a coroutine where it awaits.

        Raises
        ------
        RuntimeError
            For a function that has no parameter ``context``: it could not be told.
        """
        requests = self._inside.requests
        if requests is not None:
            requests.ask_pause()

    def resume(self) -> None:
        """Take back `pause`. A task that rests for other reasons too goes on when those end."""
        requests = self._inside.requests
        if requests is not None:
            requests.ask_resume()

    def __repr__(self) -> str:
        """Name it and its status."""
        error = self._inside.future.peek() if self.status is TaskStatus.FAILED else None
        why = "" if error is None else f" with {failure_text(error)}"
        return f"<{type(self).__name__} {self.name!r}: {self.standing}{why}>"
