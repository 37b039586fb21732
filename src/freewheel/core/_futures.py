"""Futures that refuse to be waited for where they could never be done."""

from __future__ import annotations

import contextlib
import logging
import threading
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from ._circles import Waiting, here
from ._crossings import new_waiter, wake
from ._errors import ForkedProcessError, text_of
from ._lean_future import LEAN, Late, LeanFuture
from ._process import process

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from typing import Self

    from ._circles import Party

__all__ = ["EngineFuture", "failure_text"]

_log = logging.getLogger("freewheel")

T = TypeVar("T")

_HINT: Final = "In a callback or a plan, use add_done_callback, or await it in a coroutine."


class EngineFuture(LeanFuture[T]):
    """A `concurrent.futures.Future` that can be awaited too, from any asyncio loop.

    An ``await`` that is cancelled leaves the future as it is.

    Parameters
    ----------
    what : str
        What it stands for, for messages.
    thread : threading.Thread
        The engine's thread, on which waiting is refused: what is waited for happens there.
    hint : str, optional
        What to do instead of waiting there, for the refusal.
    tells : bool
        Whether the log has a line when it fails and nobody waits for it. Not for those whose
        failure is told elsewhere, such as a plan's.
    """

    # Whose end it is, of a plan or a task; set before the future is given away. For the engine.
    party: Party | None = None

    _hint = _HINT
    _tells = False
    _observed = False  # only ever set, by any thread
    # One entry for each who waits: appended and popped by any thread, each in one step.
    _listeners: Any = Late(lambda future: [])

    def __init__(
        self,
        what: str,
        thread: threading.Thread,
        hint: str = _HINT,
        *,
        tells: bool = False,
    ) -> None:
        if not LEAN:
            super().__init__()
        self._what = what
        self._thread = thread
        # Left to the class where they are as usual: whoever calls an engine waits for this.
        if hint is not _HINT:
            self._hint = hint
        if tells:
            self._tells = tells
        self._pid = process.number

    @classmethod
    def under_way(
        cls, what: str, thread: threading.Thread, hint: str = _HINT, *, tells: bool = False
    ) -> Self:
        """Return one that stands for something that has begun: nobody can cancel it.

        Parameters
        ----------
        what : str
            What it is the future of, in words.
        thread : threading.Thread, optional
            The one on which nobody may wait for it.
        hint : str, optional
            What to do there instead.
        tells : bool, default: False
            Whether the log has a line when it fails and nobody waits for it.
        """
        future = cls(what, thread, hint, tells=tells)
        future.set_running_or_notify_cancel()
        return future

    @property
    def what(self) -> str:
        """What it stands for, for messages."""
        return self._what

    def __reduce__(self) -> NoReturn:
        """Say what to do instead, where a program takes the future for what it stands for."""
        raise TypeError(
            f"The future of {self.what} cannot be pickled, for it belongs to this process. If a "
            "program took it for the result: wait for it, as in RE(plan).result(), or give that "
            "program RE.blocking, whose calls wait."
        )

    def result(self, timeout: float | None = None) -> T:
        """Wait for the result and return it; from any thread but the engine's own.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait at most.

        Raises
        ------
        RuntimeError
            On the engine's own thread, where waiting could never end.
        CircularWaitError
            Within a plan or task that what is waited for waits for in its turn.
        TimeoutError
            If it is not done in time.
        CancelledError
            If it was cancelled, with the reason.
        """
        __tracebackhide__ = True
        self._check_wait()
        noted = self._begin_wait(timeout)
        try:
            return super().result(timeout)
        except CancelledError as error:
            raise self._with_reason(error) from None
        finally:
            self._end_wait(noted)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the end and return the exception, or ``None``; as `result` otherwise.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait at most.
        """
        __tracebackhide__ = True
        self._check_wait()
        noted = self._begin_wait(timeout)
        try:
            return super().exception(timeout)
        except CancelledError as error:
            raise self._with_reason(error) from None
        finally:
            self._end_wait(noted)

    @property
    def observed(self) -> bool:
        """Whether somebody waits for it, or has learnt how it ended."""
        return self._observed or bool(self._listeners)

    def mark_observed(self) -> None:
        """Note that somebody has learnt how it ended, by another way; from any thread."""
        self._observed = True

    def peek(self) -> BaseException | None:
        """Return what it failed with, or ``None``, without counting as told; never waits."""
        return super().exception(0) if self.done() and not self.cancelled() else None

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Count as waited for inside of the block: whoever shows it tells of its failure."""
        self._listeners.append(None)
        try:
            yield
        finally:
            self._end_wait(None)

    def _begin_wait(self, limit: float | None) -> Waiting | None:
        """Note that somebody waits, unless that would close a circle; from any thread."""
        noted = None
        # A wait with a limit ends by itself; and one that is nobody's is in no circle.
        if limit is None and here() is not None and self.party is not None and not self.done():
            noted = Waiting((self.party,))
            noted.__enter__()
        self._listeners.append(None)
        return noted

    def _end_wait(self, noted: Waiting | None) -> None:
        if self.done():
            self._observed = True
        self._listeners.pop()
        if noted is not None:
            noted.__exit__()

    def _check_wait(self) -> None:
        if self.done():
            return
        if threading.current_thread() is self._thread:
            raise RuntimeError(
                f"Waiting for {self.what} on the run engine's own thread, such as in a document "
                "callback, would never end: it is this thread that has to carry it out. "
                f"{self._hint}"
            )
        if process.number != self._pid:
            raise ForkedProcessError(
                f"Waiting for {self.what} in a forked process would never end: the run engine's "
                "thread exists in the parent process only."
            )

    def __await__(self) -> Generator[Any, None, T]:
        __tracebackhide__ = True
        noted = self._begin_wait(None)
        try:
            waiter = new_waiter()
            self.add_done_callback(lambda _: wake(waiter))
            yield from waiter[1]
        finally:
            self._end_wait(noted)
        return self.result(0)

    #: Why it was cancelled, for who waits for it; written before that is done.
    why_cancelled = ""

    def _with_reason(self, error: CancelledError) -> CancelledError:
        """Give the bare error of a cancelled future a text; leave one that it failed with."""
        if not self.cancelled():
            return error
        why = f": {self.why_cancelled}" if self.why_cancelled else ""
        what = self.what
        return CancelledError(f"{what[:1].upper()}{what[1:]} was cancelled{why}.")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.what}: {self._how}>"

    @property
    def _how(self) -> str:
        if not self.done():
            return "pending"
        if self.cancelled():
            return "cancelled"
        error = self.peek()
        return "done" if error is None else f"failed with {failure_text(error)}"

    def settle(self, result: T | None = None, error: BaseException | None = None) -> None:
        """End it, unless it has ended; whatever a callback raises is not the engine's affair.

        Parameters
        ----------
        result : object, optional
            What it ends with.
        error : BaseException, optional
            What it fails with, instead.
        """
        if self.done():
            return
        try:
            if error is not None:
                if self._tells:
                    self._tell(error)
                self.set_exception(error)
            else:
                self.set_result(result)  # type: ignore[arg-type]
        except (SystemExit, KeyboardInterrupt, GeneratorExit):
            pass  # a callback's

    def _tell(self, error: BaseException) -> None:
        """Have the log tell of a failure that nobody waits for.

        Now, and not when the future is collected: a prompt or a window may keep it for ever, and
        an interpreter that exits collects nothing.
        """
        if not self.observed and not isinstance(error, CancelledError):
            _log.error("Failed: %s, with %s.", self.what, failure_text(error), exc_info=error)


def failure_text(error: BaseException) -> str:
    """Return the type of an exception and the first line of what it says."""
    lines = text_of(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
