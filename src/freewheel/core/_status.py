"""The status of something that takes time, without a thread of its own."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
import weakref
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from ._callbacks import helpers
from ._crossings import new_waiter, wake
from ._errors import (
    ForkedProcessError,
    InvalidState,
    StatusTimeoutError,
    UnknownStatusFailure,
    WaitTimeoutError,
)
from ._timers import timers

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["AndStatus", "Status", "StatusCallback"]

_log = logging.getLogger(__name__)

# Guards the state of every status: one lock for all, for each holds it for a microsecond at most,
# and one of its own would be a fifth of a status's memory. Re-entrant, for a finalizer or a signal
# handler may finish a status in the middle of a call that the same thread makes. May be held when
# the locks of the helpers and the timers are taken, not the other way round.
_lock = threading.RLock()

# Timers know a status weakly, so that one that nobody holds goes at once, and not at its time-out
# in an hour. Those here have somebody to tell: a callback, a hook, a waiter. Guarded by _lock.
_kept: dict[int, Status] = {}

# How many forks lie between this process and the one that imported freewheel first.
_generation = 0

# The states. A status goes through them in this order, and never back.
_PENDING = 0
_DECIDED = 1  # success or failure is known; `_settled` has not returned yet
_DONE = 2

_TOO_LONG_TO_WAIT = threading.TIMEOUT_MAX


class Status:
    """Something that was started and is not over yet: a move, an exposure.

    It is made by whoever starts the thing, who later calls `set_finished` or `set_exception`; it
    is handed to whoever wants to know, who waits for it, adds callbacks, or awaits it on any
    asyncio loop. All methods may be called from any thread.

    A status has no thread of its own. One thread watches the time-outs of all of them; callbacks
    and the hooks `_settled` and `_handle_failure` run on few shared daemon threads. There is one
    of these as long as callbacks return quickly. When a callback has waited for 2 ms, threads are
    added, so that one which blocks, even for ever, holds up no other; when 128 of them block at
    the same time, further callbacks wait until one of those returns, which is logged. Waiting for
    a status and awaiting it need none of these threads. Callbacks of one status run one after
    the other, in the order in which they were added.

    A status that has no callbacks, no hooks and no waiters and is held by nobody is simply gone.

    Parameters
    ----------
    timeout : float, optional
        Seconds from now within which `set_finished` or `set_exception` must be called, or else
        the status fails with `StatusTimeoutError`. ``settle_time`` is added to it. ``None`` or
        inf: no limit.
    settle_time : float, optional
        Seconds between `set_finished` and the moment when the status is done.

    Raises
    ------
    ValueError
        For a time that is negative or NaN.
    TypeError
        For a time that is no number.

    See Also
    --------
    bluesky.protocols.Status : The protocol that this satisfies.
    """

    # With a dictionary besides, which a status has only when something else is put on it.
    # _deadline, _generation, _settle_time and _timeout are constant after __init__; the others are
    # written with _lock held, and what is read without is one value, old or new.
    __slots__ = (
        "__dict__",
        "__weakref__",
        "_callbacks",
        "_deadline",
        "_exception",
        "_generation",
        "_initiated",
        "_settle_time",
        "_settling",
        "_state",
        "_timeout",
        "_wakeups",
    )

    def __init__(self, *, timeout: float | None = None, settle_time: float | None = 0) -> None:
        super().__init__()
        self._state = _PENDING
        self._initiated = False  # one of the setters was called
        self._settling = False
        self._exception: Reason | None = None
        self._callbacks: deque[StatusCallback] | None = None
        self._wakeups: list[Callable[[], object]] | None = None  # one for each who waits
        self._generation = _generation
        self._settle_time = _checked_time(settle_time, "settle_time") if settle_time else 0.0
        self._timeout = timeout
        self._deadline = math.inf
        if timeout is not None:
            self._timeout = timeout = _checked_time(timeout, "timeout")
            self._deadline = deadline = time.monotonic() + timeout + self._settle_time
            if deadline < math.inf:
                if type(self) is not Status and self._has_hook("_settled", "_handle_failure"):
                    self._keep()
                timers.call_at(deadline, Status._time_out, weakref.ref(self))

    # -- what it was made with, and what has become of it ---------------------------------------

    @property
    def timeout(self) -> float | None:
        """The time-out that it was made with, in seconds, or ``None``."""
        return self._timeout

    @property
    def settle_time(self) -> float:
        """How long after `set_finished` it is done, in seconds."""
        return self._settle_time

    @property
    def done(self) -> bool:
        """Whether it is over. Never goes back to ``False``."""
        return self._state == _DONE

    @property
    def success(self) -> bool:
        """Whether it is over and did not fail. Never goes back to ``False``."""
        return self._state == _DONE and self._exception is None

    @property
    def callbacks(self) -> deque[StatusCallback]:
        """The callbacks that are still to be called, in their order."""
        with _lock:
            if self._callbacks is None:
                self._callbacks = deque()
            return self._callbacks

    # -- for those who do the thing -------------------------------------------------------------

    def set_finished(self) -> None:
        """Say that the thing is over and went well.

        The status is done after the settle time. After a time-out the call is ignored, once.

        Raises
        ------
        InvalidState
            If `set_finished` or `set_exception` was called before.
        """
        with _lock:
            if self._initiated:
                self._refuse()
            self._initiated = True
            if self._state != _PENDING:
                return
            if self._settle_time:
                self._start_settling()
            else:
                self._decide(None)

    def set_exception(self, exc: Reason) -> None:
        """Say that the thing failed, and why. After a time-out the call is ignored, once.

        Parameters
        ----------
        exc : Exception or SystemExit
            The reason: an exception, or a class of exceptions.

        Raises
        ------
        InvalidState
            If `set_finished` or `set_exception` was called before.
        ValueError
            If `exc` is no exception, or one of those that mean that a status or a wait for one
            took too long: `StatusTimeoutError`, `WaitTimeoutError`.
        """
        kind = exc if isinstance(exc, type) else type(exc)
        if not issubclass(kind, (Exception, SystemExit)):
            raise ValueError(
                f"set_exception of {self!r} needs an exception that can be raised, such as "
                f'RuntimeError("why"), not {exc!r}'
            )
        if issubclass(kind, (StatusTimeoutError, WaitTimeoutError)):
            raise ValueError(
                f"{kind.__name__} has a meaning of its own and can't be the reason why {self!r} "
                "failed; use TimeoutError or another subclass of it"
            )
        with _lock:
            if self._initiated:
                self._refuse()
            self._initiated = True
            if self._state == _PENDING:
                self._decide(exc)

    def _finished(self, success: bool = True, **kwargs: Any) -> None:
        """Finish it as drivers written for ophyd's status do. `kwargs` are not used."""
        if success:
            self.set_finished()
        else:
            self.set_exception(
                UnknownStatusFailure(f"{self!r} was told that it failed, but not why")
            )

    def _settled(self) -> None:
        """Do what must be done before the status is done. A hook for subclasses.

        Runs on a shared thread after the settle time, for a failure too. An exception is logged.
        """

    def _handle_failure(self) -> None:
        """Do what must be done about a failure, before the callbacks. A hook for subclasses.

        Runs on a shared thread when the status is done. An exception is logged.
        """

    # -- for those who want to know -------------------------------------------------------------

    def add_callback(self, callback: StatusCallback) -> None:
        """Have a function called once with this status when it is done.

        On a shared thread; if the status is done already, at once in the calling thread. What
        the function raises is logged.

        Parameters
        ----------
        callback : callable
            Called with this status; at once if it is done.

        Raises
        ------
        TypeError
            If `callback` can't be called.
        """
        if not callable(callback):
            raise TypeError(f"a callback of {self!r} must be a function, not {callback!r}")
        with _lock:
            if self._state != _DONE:
                self.callbacks.append(callback)
                self._keep()
                return
        try:
            callback(self)
        except (Exception, SystemExit):
            _log_failed_callback(callback, self)

    def exception(self, timeout: float | None = None) -> Reason | None:
        """Wait until it is done; return why it failed, or ``None`` if it did not.

        Parameters
        ----------
        timeout : float, optional
            How long to wait, in seconds; ``None`` and inf are for ever, 0 does not wait.

        Raises
        ------
        WaitTimeoutError
            If it was not done in time. The status goes on.
        ValueError
            For a time that is negative or NaN.
        ForkedProcessError
            If it was made before a fork, in the parent process, which alone can finish it.
        """
        if timeout is not None and not timeout >= 0:
            raise ValueError(f"the time to wait for {self!r} must not be {timeout!r}")
        if self._state != _DONE:
            self._block(timeout)
        return self._exception

    def wait(self, timeout: float | None = None) -> None:
        """Wait until it is done; raise why it failed, if it did.

        Parameters
        ----------
        timeout : float, optional
            How long to wait, in seconds; ``None`` and inf are for ever, 0 does not wait.

        Raises
        ------
        WaitTimeoutError
            If it was not done in time. The status goes on.
        StatusTimeoutError
            If it failed because its own time-out expired.
        Exception
            The reason that `set_exception` was given.
        ValueError, ForkedProcessError
            As `exception` does.
        """
        exc = self.exception(timeout)
        if exc is not None:
            try:
                raise exc
            finally:
                # The traceback, which the exception keeps, must not lead back to the exception.
                del exc

    def __await__(self) -> Generator[Any, None, None]:
        """Wait on the running asyncio loop; raise why it failed, if it did.

        Cancelling the wait does not touch the status.
        """
        if self._state != _DONE:
            self._check_process()
            waiter = new_waiter()
            wakeup = partial(wake, waiter)
            if self._add_wakeup(wakeup):
                try:
                    yield from waiter[1]
                finally:
                    self._drop_wakeup(wakeup)
        self.wait()

    def __and__(self, other: Status) -> AndStatus:
        """Return a status that is done when both are, or when one has failed."""
        return AndStatus(self, other)

    def __repr__(self) -> str:
        """Say how far it is."""
        return f"<{type(self).__name__}: {', '.join(self._describe())}>"

    def _describe(self) -> list[str]:
        if self._state == _DONE:
            exc = self._exception
            return ["done"] if exc is None else [f"failed with {exc!r}"]
        parts = ["settling" if self._settling else "pending"]
        if self._deadline < math.inf:
            left = max(0.0, self._deadline - time.monotonic())
            parts.append(f"{left:.3g} s left of {self._deadline_text()}")
        if self._callbacks:
            parts.append(f"{len(self._callbacks)} callbacks")
        return parts

    def _deadline_text(self) -> str:
        settle = f" + {self._settle_time:g} s to settle" if self._settle_time else ""
        return f"{self._timeout:g} s{settle}"

    # -- from pending to done -------------------------------------------------------------------

    def _refuse(self) -> NoReturn:
        """Raise for a second call of a setter."""
        raise InvalidState(
            f"set_finished() or set_exception() was called before on {self!r}; "
            "call one of them, once"
        )

    def _start_settling(self) -> None:
        """Have it succeed after the settle time. With _lock held."""
        self._settling = True
        if self._is_wanted():
            self._keep()
        settled = time.monotonic() + self._settle_time
        if settled < math.inf:
            timers.call_at(settled, Status._settle, weakref.ref(self))

    def _time_out(self) -> None:
        """Fail, for the time-out has expired. On the timer thread."""
        with _lock:
            if self._state == _PENDING:
                self._decide(
                    StatusTimeoutError(f"{self!r} was not finished within {self._deadline_text()}"),
                    timed=True,
                )

    def _settle(self) -> None:
        """Succeed, for the settle time is over. On the timer thread."""
        with _lock:
            if self._state == _PENDING:
                self._decide(None, timed=True)

    def _decide(self, exc: Reason | None, timed: bool = False) -> None:
        """Go on from pending with what has become of it. With _lock held.

        It is done at once, unless the hook that comes before is to run. What the timer thread
        ends, whom nobody waits for, is ended on a shared thread if there is something to call:
        so one who waits finds mostly that the callbacks have been called, as with ophyd's.
        """
        self._exception = exc
        if type(self) is Status:
            hooks = before = False
        else:
            before = self._has_hook("_settled")
            hooks = before or (exc is not None and self._has_hook("_handle_failure"))
        if before or (timed and (hooks or self._callbacks) and not helpers.full):
            self._state = _DECIDED
            helpers.submit(Status._end, self)
            return
        self._become_done()
        if hooks or self._callbacks:
            helpers.submit(Status._tell, self)

    def _end(self) -> None:
        """Run the hook that comes before, be done, tell. On a shared thread."""
        try:
            self._settled()
        except BaseException:
            _log.exception("%r: _settled() raised", self)
        with _lock:
            self._become_done()
        self._tell()

    def _become_done(self) -> None:
        """Be done, and wake all who wait. With _lock held."""
        self._state = _DONE
        if _kept:
            _kept.pop(id(self), None)
        wakeups = self._wakeups
        if wakeups is not None:
            self._wakeups = None
            for wakeup in wakeups:
                wakeup()

    def _tell(self) -> None:
        """Run the hook for failures and the callbacks. On a shared thread, when it is done."""
        if self._exception is not None:
            try:
                self._handle_failure()
            except BaseException:
                _log.exception("%r: _handle_failure() raised", self)
        callbacks = self._callbacks
        while callbacks:
            callback = callbacks.popleft()
            try:
                callback(self)
            except BaseException:
                # SystemExit too: the thread is shared, and the others must be called.
                _log_failed_callback(callback, self)

    def _has_hook(self, *names: str) -> bool:
        """Return whether a subclass replaces one of the hooks."""
        kind = type(self)
        return any(getattr(kind, name) is not getattr(Status, name) for name in names)

    # -- waiting --------------------------------------------------------------------------------

    def _block(self, timeout: float | None) -> None:
        """Block the calling thread until it is done, or raise."""
        self._check_process()
        gate = threading.Lock()
        gate.acquire()
        if not self._add_wakeup(gate.release):
            return
        limit = -1.0 if timeout is None or timeout > _TOO_LONG_TO_WAIT else float(timeout)
        try:
            in_time = gate.acquire(timeout=limit)
        finally:
            self._drop_wakeup(gate.release)
        if not in_time and self._state != _DONE:
            raise WaitTimeoutError(f"{self!r} was not done after a wait of {timeout:g} s")

    def _check_process(self) -> None:
        if self._generation != _generation:
            raise ForkedProcessError(
                f"{self!r} was made before a fork, and only the parent process can finish it; "
                "make devices and their statuses in the process that uses them"
            )

    def _add_wakeup(self, wakeup: Callable[[], object]) -> bool:
        """Have a function called when it is done; return ``False`` if it is done already."""
        with _lock:
            if self._state == _DONE:
                return False
            if self._wakeups is None:
                self._wakeups = []
            self._wakeups.append(wakeup)
            self._keep()
            return True

    def _drop_wakeup(self, wakeup: Callable[[], object]) -> None:
        """Forget one that waits no longer."""
        with _lock:
            if self._wakeups is not None and wakeup in self._wakeups:
                self._wakeups.remove(wakeup)
                if not self._is_wanted():
                    _kept.pop(id(self), None)

    def _is_wanted(self) -> bool:
        """Return whether there is somebody to tell. With _lock held."""
        return bool(
            self._callbacks or self._wakeups or self._has_hook("_settled", "_handle_failure")
        )

    def _keep(self) -> None:
        """Stay alive until the time comes, if there is one, for there is somebody to tell."""
        if self._state == _PENDING and (self._deadline < math.inf or self._settling):
            _kept[id(self)] = self


class AndStatus(Status):
    """Two statuses as one: done when both are, or as soon as one has failed.

    Made by ``left & right``. It fails with what the first to fail failed with.

    Parameters
    ----------
    left, right : Status
        The two.
    timeout, settle_time : float, optional
        Seconds, as for `Status`.
    """

    def __init__(self, left: Status, right: Status, **kwargs: float | None) -> None:
        super().__init__(**kwargs)
        self.left = left
        self.right = right
        left.add_callback(self._one_is_done)
        right.add_callback(self._one_is_done)

    def _one_is_done(self, one: Status) -> None:
        with _lock:
            if self._initiated:
                return
            failure = one.exception(0)
            if failure is not None:
                self.set_exception(_as_reason(failure))
            elif self.left.success and self.right.success:
                self.set_finished()

    def __contains__(self, status: object) -> bool:
        """Return whether it is made of a status, however deep."""
        return any(
            part is status or (isinstance(part, AndStatus) and status in part)
            for part in (self.left, self.right)
        )


def _as_reason(failure: Reason) -> Reason:
    """Return what a status can be told that it failed with.

    The errors that mean "this one took too long" can't be handed on as they are.
    """
    if isinstance(failure, (StatusTimeoutError, WaitTimeoutError)):
        reason = TimeoutError(*failure.args)
        reason.__cause__ = failure
        return reason
    return failure


def _checked_time(value: float, name: str) -> float:
    """Return a time in seconds as a float, or refuse it."""
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number of seconds, not {value!r}") from None
    if not seconds >= 0:
        raise ValueError(f"{name} must not be negative or NaN, but is {value!r}")
    return seconds


def _log_failed_callback(callback: object, status: Status) -> None:
    _log.exception("The callback %r of %r raised", callback, status)


def _start_anew_after_fork() -> None:
    # Another thread of the parent may have held the lock; and nothing is timed here any more.
    global _lock, _generation
    _lock = threading.RLock()
    _generation += 1
    _kept.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew_after_fork)

Reason: TypeAlias = Exception | SystemExit | type[Exception] | type[SystemExit]
"""Why a status failed."""

StatusCallback: TypeAlias = "Callable[[Status], object]"
"""What `Status.add_callback` takes."""
