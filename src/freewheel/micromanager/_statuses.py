"""Statuses without a task, for what is asked for some hundred times a second."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar, final

from bluesky.protocols import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["CallStatus", "DoneStatus"]

T = TypeVar("T")


@final
class DoneStatus(Status):
    """The status of what needed no time: without a task, and without a turn of the loop."""

    done = True
    success = True

    def add_callback(self, callback: Callable[[Status], None]) -> None:
        """Call a function, at once."""
        callback(self)

    def exception(self, timeout: float | None = 0.0) -> BaseException | None:
        """Return that there was no failure."""
        return None

    def __await__(self) -> Generator[Any, None, None]:
        """Wait for nothing."""
        return
        yield


@final
class CallStatus(Status, Generic[T]):
    """The status of one call to the core. On the loop.

    Parameters
    ----------
    future : asyncio.Future
        Of the call.
    then : callable
        Takes its answer.
    explained : callable
        Returns the error to fail with, given what the call raised.
    name : str
        The device's name.
    when : callable, optional
        Called when there is an answer, with what takes it and ends the status.
    """

    def __init__(
        self,
        future: asyncio.Future[T],
        then: Callable[[T], object],
        explained: Callable[[Exception], Exception],
        name: str,
        when: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        self._then = then
        self._explained = explained
        self._name = name
        self._callbacks: list[Callable[[Status], None]] = []
        self._error: Exception | None = None
        self._done = False
        self._when = when
        future.add_done_callback(self._answered)

    def __repr__(self) -> str:
        """Name the device, and say how it stands."""
        how = "pending" if not self._done else "done" if self._error is None else "errored"
        return f"<CallStatus, device: {self._name}, {how}>"

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self._done

    @property
    def success(self) -> bool:
        """Whether it has ended without an error."""
        return self._done and self._error is None

    def add_callback(self, callback: Callable[[Status], None]) -> None:
        """Call a function when it has ended; at once if it has."""
        if self._done:
            callback(self)
        else:
            self._callbacks.append(callback)

    def exception(self, timeout: float | None = 0.0) -> Exception | None:
        """Return what went wrong."""
        return self._error

    def _answered(self, future: asyncio.Future[T]) -> None:
        if self._when is None:
            self._settle(future)
        else:
            self._when(partial(self._settle, future))

    def _settle(self, future: asyncio.Future[T]) -> None:
        try:
            self._then(future.result())
        except Exception as problem:
            self._error = self._explained(problem)
            if self._error is not problem:
                self._error.__cause__ = problem
        self._done = True
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)

    def __await__(self) -> Generator[Any, None, None]:
        """Wait for the end, and raise what went wrong."""
        if not self._done:
            ended = asyncio.Event()
            self.add_callback(lambda _: ended.set())
            yield from ended.wait().__await__()
        if self._error is not None:
            raise self._error
