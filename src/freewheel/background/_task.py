"""A background task: what its users see of it."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from freewheel.core import EngineFuture

    from ._life import Life

__all__ = ["BackgroundTask", "MergeMode", "TaskStatus"]


class TaskStatus(enum.StrEnum):
    """Where a background task is in its life."""

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
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


@final
class BackgroundTask:
    """A plan, coroutine or function that runs beside the plan that started it.

    Made by the `background` stub, or by ``RE.background.launch``. All of it may be used from any
    thread; nothing here waits but `result` and `exception`.
    """

    __slots__ = ("__weakref__", "_future", "_life", "_merge", "_name", "_status")

    def __init__(self, name: str, life: Life, future: EngineFuture[Any]) -> None:
        self._name = name
        self._future = future
        # Written on the loop's thread alone; each read is of one value, which is old or new.
        self._life: Life | None = life
        self._status = TaskStatus.WAITING
        self._merge: MergeMode | None = None

    @property
    def name(self) -> str:
        """What the task answers to."""
        return self._name

    @property
    def status(self) -> TaskStatus:
        """Where it is in its life."""
        return self._status

    @property
    def future(self) -> EngineFuture[Any]:
        """Done when the task has ended; it can be awaited, on any asyncio loop.

        ``cancel()`` of it answers false and changes nothing: it is the task that is cancelled,
        with `BackgroundTask.cancel`. A task that was cancelled has the result ``None``.
        """
        return self._future

    @property
    def merge(self) -> MergeMode | None:
        """What became of its result; ``None`` before it has one."""
        return self._merge

    @property
    def claims(self) -> tuple[Any, ...]:
        """The devices that it holds and may use at this moment."""
        life = self._life
        return () if life is None else life.claims()

    @property
    def done(self) -> bool:
        """Whether it has ended, with its clean-up."""
        return self._future.done()

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
        """
        return self._future.result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the end of the task and return what it failed with, or ``None``.

        Raises as `result` does for a time-out and on the engine's own thread.
        """
        return self._future.exception(timeout)

    def cancel(self, reason: str = "") -> bool:
        """Ask the task to end, with its clean-up; return false if it has ended already."""
        life = self._life
        return life is not None and life.ask_cancel(reason)

    def pause(self) -> None:
        """Ask the task to rest. A plan rests at its last checkpoint, a coroutine where it awaits.

        Raises
        ------
        RuntimeError
            For a function that has no parameter ``context``: it could not be told.
        """
        life = self._life
        if life is not None:
            life.ask_pause()

    def resume(self) -> None:
        """Take back `pause`. A task that rests for other reasons too goes on when those end."""
        life = self._life
        if life is not None:
            life.ask_resume()

    def __repr__(self) -> str:
        """Name it and its status."""
        return f"<{type(self).__name__} {self._name!r}: {self._status.value}>"
