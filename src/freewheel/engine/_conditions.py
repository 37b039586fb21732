"""What an interlock depends on: a signal, a function or a suspender, asked all in one way."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final, Protocol, final

from bluesky.suspenders import SuspenderBase

from freewheel.core._crossings import call_soon
from freewheel.core._errors import text_of

from ._signal_conditions import OfAsyncSignal, OfSignal, State

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

__all__ = ["Condition", "State", "condition_of"]


class Condition(Protocol):
    """What is asked whether it is tripped. Any thread may ask."""

    #: Whether it tells of its changes; if not, it is asked again and again while somebody waits.
    tells: bool

    def look(self) -> State:
        """Return how it stands now. What cannot be known counts as tripped."""
        ...

    def start(self, changed: Callable[[], None]) -> None:
        """Follow it; ``changed`` is called at each change, in whichever thread tells of it."""
        ...

    def stop(self) -> None:
        """Follow it no more."""
        ...


def condition_of(thing: Any, loop: asyncio.AbstractEventLoop) -> Condition:
    """Return the condition that something stands for.

    Raises
    ------
    TypeError
        If it stands for none.
    ValueError
        For a suspender that an engine has already.
    """
    if isinstance(thing, type):
        pass  # whatever its instances are
    elif isinstance(thing, SuspenderBase):
        if thing.RE is not None:
            raise ValueError(
                f"{type(thing).__name__} is installed in an engine as a suspender: make another "
                "one for the interlock."
            )
        return _OfSuspender(thing, loop)
    elif hasattr(thing, "subscribe_reading"):
        return OfAsyncSignal(thing, loop)
    elif hasattr(thing, "subscribe") and hasattr(thing, "get"):
        return OfSignal(thing)
    elif callable(thing):
        return _OfFunction(thing)
    raise TypeError(
        f"An interlock depends on a signal, on a function without arguments or on a suspender, not "
        f"on {thing!r}."
    )


@final
class _OfFunction:
    """Tripped while a function returns true."""

    tells = False

    def __init__(self, function: Callable[[], Any]) -> None:
        if inspect.iscoroutinefunction(function):
            raise TypeError(
                f"{function!r} is a coroutine function: an interlock is asked at each message, and "
                "its function answers at once."
            )
        if not _takes_nothing(function):
            raise TypeError(
                f"{function!r} needs arguments: an interlock's function is called without any."
            )
        self._function = function
        self._name = getattr(function, "__name__", repr(function))
        # What nearly all of them answer, made once: it is asked at each message.
        self._true = State(True, f"{self._name}() is True")
        self._false = State(False, f"{self._name}() is False")

    def look(self) -> State:
        try:
            value = self._function()
            if value is False:
                return self._false
            if value is True:
                return self._true
            if inspect.isawaitable(value):
                getattr(value, "close", _nobody)()
                raise TypeError(f"{self._name}() has to be awaited, and is asked for its answer")
            return State(bool(value), f"{self._name}() is {value!r}")
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit, too: whoever asks is not to end by it
            return State(True, f"{self._name}() raised {text_of(error, repr)}", error)

    def start(self, changed: Callable[[], None]) -> None:
        """Do nothing: it is asked each time."""

    def stop(self) -> None:
        """Do nothing, as `start`."""


def _takes_nothing(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind()
    except TypeError:
        return False
    except ValueError:
        return True  # a builtin that does not tell
    return True


@final
class _OfSuspender:
    """Tripped while a suspender is, and while it sleeps afterwards.

    To the suspender this is the engine that it is installed in: it asks nothing of one but its
    state and its loop, and what it has the loop do tells when it trips and when it lets go.
    """

    tells = True

    def __init__(self, suspender: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._suspender = suspender
        self._real_loop = loop
        self._tripped = False  # written with the suspender's own lock held, or on the loop
        # The number of the latest trip: what lets go of an earlier one does not count.
        self._trip = 0
        self._lets_go = False
        self._changed: Callable[[], None] = _nobody

    def look(self) -> State:
        if not self._tripped:
            return _LETS_GO
        # Not by `get_futures`, which makes an event where it finds none: one that lets go meanwhile
        # would seem to have tripped again, and nothing would come to take that back.
        why = str(self._suspender._get_justification())  # noqa: SLF001 - bluesky has no other
        return State(True, why or "it sleeps before it lets go")

    def start(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._suspender.install(self)

    def stop(self) -> None:
        self._changed = _nobody
        self._suspender.remove()

    # -- the engine, and the loop, as the suspender sees them ---------------------------------

    @property
    def state(self) -> Any:
        """One that suspends no plan."""
        return _NOT_RUNNING

    @property
    def _loop(self) -> _OfSuspender:
        return self

    def request_suspend(self, *_: Any, **__: Any) -> None:
        """Suspend nothing; it is not called, but looked up at each trip."""

    def call_soon_threadsafe(self, callback: Callable[[], object]) -> _OfSuspender:
        """Have it prepare its event, when it trips; or let go, which it says with `call_later`."""
        self._lets_go = False
        callback()
        if not self._lets_go:
            self._trip += 1
            self._tripped = True
            self._changed()
        return self

    def call_later(self, delay: float, callback: Callable[[], object]) -> None:
        """Let go, after a time."""
        self._lets_go = True
        call_soon(self._real_loop, self._let_go_later, delay, callback, self._trip)

    def _let_go_later(self, delay: float, callback: Callable[[], object], trip: int) -> None:
        self._real_loop.call_later(delay, self._let_go, callback, trip)

    def _let_go(self, callback: Callable[[], object], trip: int) -> None:
        callback()
        if trip == self._trip:
            self._tripped = False
            self._changed()

    def cancel(self) -> None:
        """Do nothing: what was asked for was done at once."""


class _NotRunning:
    is_running = False


_NOT_RUNNING: Final = _NotRunning()
_LETS_GO: Final = State(False, "it is not tripped")


def _nobody() -> None:
    """Tell nobody."""
