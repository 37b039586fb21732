"""What an interlock depends on: a signal, a function or a suspender, asked all in one way."""

from __future__ import annotations

import inspect
import threading
from typing import TYPE_CHECKING, Any, Final, Protocol, final

from bluesky.suspenders import SuspenderBase

from freewheel.core._crossings import call_soon
from freewheel.core._devices import device_name

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

__all__ = ["Condition", "condition_of"]


class Condition(Protocol):
    """What is asked whether it is tripped. Any thread may ask."""

    #: Whether it tells of its changes; if not, it is asked again and again while somebody waits.
    tells: bool

    @property
    def tripped(self) -> bool:
        """Whether it is tripped now. What cannot be known counts as tripped."""
        ...

    @property
    def why(self) -> str:
        """What it is now, in words."""
        ...

    @property
    def error(self) -> BaseException | None:
        """What it has raised when it was asked last; it counts as tripped then."""
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
    elif hasattr(thing, "subscribe_reading") or (
        hasattr(thing, "subscribe") and hasattr(thing, "get")
    ):
        return _OfSignal(thing, loop)
    elif callable(thing):
        if inspect.iscoroutinefunction(thing):
            raise TypeError(
                f"{thing!r} is a coroutine function: an interlock is asked at each message, and "
                "its function answers at once."
            )
        return _OfFunction(thing)
    raise TypeError(
        f"An interlock depends on a signal, on a function without arguments or on a suspender, not "
        f"on {thing!r}."
    )


#: Tripped, in words, and what was raised.
_State = tuple[bool, str, BaseException | None]


@final
class _OfFunction:
    """Tripped while a function returns true."""

    tells = False

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._name = getattr(function, "__name__", repr(function))
        self.error: BaseException | None = None  # written by whoever asks, each time in one step

    @property
    def tripped(self) -> bool:
        return self._ask()[0]

    @property
    def why(self) -> str:
        return self._ask()[1]

    def _ask(self) -> _State:
        try:
            value = self._function()
            state: _State = bool(value), f"{self._name}() is {value!r}", None
        except Exception as error:
            state = True, f"{self._name}() raised {error!r}", error
        self.error = state[2]
        return state

    def start(self, changed: Callable[[], None]) -> None:
        """Do nothing: it is asked each time."""

    def stop(self) -> None:
        """Do nothing, as `start`."""


@final
class _OfSignal:
    """Tripped while the value of a signal, of ophyd or of ophyd-async, is true."""

    tells = True

    def __init__(self, signal: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._signal = signal
        self._loop = loop
        self._name = device_name(signal)
        self._lock = threading.Lock()  # guards what "the first value" is; taken for no call
        # Replaced as a whole, by whichever thread tells.
        self._state: _State = (True, f"{self._name} has not told its value yet", None)
        self._told_any = False
        self._changed: Callable[[], None] = _nobody

    @property
    def tripped(self) -> bool:
        return self._state[0]

    @property
    def why(self) -> str:
        return self._state[1]

    @property
    def error(self) -> BaseException | None:
        return self._state[2]

    def start(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        if hasattr(self._signal, "subscribe_reading"):  # of ophyd-async: on its loop alone
            call_soon(self._loop, self._subscribe_on_loop)
            return
        self._signal.subscribe(self._ophyd_told)
        if not self._told_any and getattr(self._signal, "connected", True):
            # One that never had a change tells nothing.
            self._ask()

    def _ask(self) -> None:
        try:
            value = self._signal.get()
        except Exception as error:
            self._failed(error)
        else:
            self._tell(value, first=True)

    def _subscribe_on_loop(self) -> None:
        try:
            self._signal.subscribe_reading(self._async_told)
        except Exception as error:
            self._failed(error)

    def _async_told(self, reading: Mapping[str, Any]) -> None:
        self._tell(next(iter(reading.values()))["value"])

    def _ophyd_told(self, *_: Any, value: Any = None, **__: Any) -> None:
        self._tell(value)

    def _tell(self, value: Any, *, first: bool = False) -> None:
        try:
            state: _State = bool(value), f"{self._name} is {value!r}", None
        except Exception as error:  # an array of several values, for one
            state = True, f"{self._name} is neither true nor false: {error!r}", error
        with self._lock:
            if first and self._told_any:
                return
            self._told_any = True
            self._state = state
        self._changed()

    def _failed(self, error: BaseException) -> None:
        with self._lock:
            self._state = True, f"{self._name} cannot be followed: {error!r}", error
        self._changed()

    def stop(self) -> None:
        self._changed = _nobody
        if hasattr(self._signal, "subscribe_reading"):
            call_soon(self._loop, self._signal.clear_sub, self._async_told)
        else:
            self._signal.clear_sub(self._ophyd_told)


@final
class _OfSuspender:
    """Tripped while a suspender is, and while it sleeps afterwards.

    To the suspender this is the engine that it is installed in: it asks nothing of one but its
    state and its loop, and what it has the loop do tells when it trips and when it lets go.
    """

    tells = True
    error: BaseException | None = None

    def __init__(self, suspender: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._suspender = suspender
        self._real_loop = loop
        self.tripped = False  # written with the suspender's own lock held, or on the loop
        # The number of the latest trip: what lets go of an earlier one does not count.
        self._trip = 0
        self._lets_go = False
        self._changed: Callable[[], None] = _nobody

    @property
    def why(self) -> str:
        return str(self._suspender.get_futures()[1]) or "it sleeps before it lets go"

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

    def call_soon_threadsafe(self, callback: Callable[[], object]) -> _OfSuspender:
        """Have it prepare its event, when it trips; or let go, which it says with `call_later`."""
        self._lets_go = False
        callback()
        if not self._lets_go:
            self._trip += 1
            self.tripped = True
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
            self.tripped = False
            self._changed()

    def cancel(self) -> None:
        """Do nothing: what was asked for was done at once."""


class _NotRunning:
    is_running = False


_NOT_RUNNING: Final = _NotRunning()


def _nobody() -> None:
    """Tell nobody."""
