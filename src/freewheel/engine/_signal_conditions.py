"""Conditions that are a signal's value, of ophyd or of ophyd-async."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

from freewheel.core._crossings import call_soon
from freewheel.core._devices import device_name
from freewheel.core._errors import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["OfAsyncSignal", "OfSignal", "State"]

#: Seconds between two looks whether a signal of ophyd-async answers: nothing tells of its going.
BEAT: Final = 1.0
#: Seconds that it may take to answer.
PATIENCE: Final = 2.0


class State(NamedTuple):
    """How a condition stands.

    Attributes
    ----------
    tripped : bool
        Whether it keeps messages from being carried out.
    why : str
        What it is, in words.
    error : BaseException or None
        What it has raised when it was asked; it counts as tripped then.
    """

    tripped: bool
    why: str
    error: BaseException | None = None


class OfSignal:
    """Tripped while the value of a signal of ophyd is true, and while it is unknown."""

    tells = True

    def __init__(self, signal: Any) -> None:
        self._signal = signal
        self._name = device_name(signal)
        self._lock = threading.Lock()  # guards what "the first value" is; taken for no call
        # Replaced as a whole, by whichever thread tells.
        self._state = State(True, f"{self._name} has not told its value yet")
        self._told_any = False
        self._changed: Callable[[], None] = _nobody

    def look(self) -> State:
        """Return how it stands; see `Condition`."""
        return self._state

    def start(self, changed: Callable[[], None]) -> None:
        """Follow the signal; see `Condition`."""
        self._changed = changed
        self._signal.subscribe(self._value_told)
        meta = getattr(self._signal, "SUB_META", None)
        if meta is not None:
            self._signal.subscribe(self._meta_told, event_type=meta, run=False)
        if not self._told_any and getattr(self._signal, "connected", True):
            # One that never had a change tells nothing.
            self._ask()

    def stop(self) -> None:
        """Follow it no more; see `Condition`."""
        self._changed = _nobody
        self._signal.clear_sub(self._value_told)
        if hasattr(self._signal, "SUB_META"):
            self._signal.clear_sub(self._meta_told)

    def _ask(self) -> None:
        try:
            value = self._signal.get()
        except Exception as error:
            self._failed(error)
        else:
            self._tell(value, first=True)

    def _value_told(self, *_: Any, value: Any = None, **__: Any) -> None:
        self._tell(value)

    def _meta_told(self, *_: Any, connected: bool = True, **__: Any) -> None:
        # One that is connected again tells its value itself.
        if not connected:
            self._failed(ConnectionError(f"{self._name} is disconnected"))

    def _tell(self, value: Any, *, first: bool = False) -> None:
        state = _state_of(self._name, value)
        with self._lock:
            if first and self._told_any:
                return
            self._told_any = True
            self._state = state
        self._changed()

    def _failed(self, error: BaseException) -> None:
        state = State(True, f"{self._name} cannot be followed: {text_of(error, repr)}", error)
        with self._lock:
            known, self._state = self._state, state
        if known.why != state.why:
            self._changed()


@final
class OfAsyncSignal(OfSignal):
    """Tripped while the value of a signal of ophyd-async is true, and while it is unknown.

    Such a signal tells of no disconnection, so that it is asked every so often whether it answers.
    """

    def __init__(self, signal: Any, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(signal)
        self._loop = loop
        # Of the loop's thread, as everything about such a signal.
        self._beat: asyncio.Task[None] | None = None
        self._subscribed = False

    def start(self, changed: Callable[[], None]) -> None:
        """Follow the signal; see `Condition`."""
        self._changed = changed
        call_soon(self._loop, self._begin)

    def stop(self) -> None:
        """Follow it no more; see `Condition`."""
        self._changed = _nobody
        call_soon(self._loop, self._end)

    def _begin(self) -> None:
        self._subscribe()
        self._beat = self._loop.create_task(self._keep_asking(), name=f"interlock on {self._name}")

    def _end(self) -> None:
        if self._beat is not None:
            self._beat.cancel()
        if self._subscribed:
            self._signal.clear_sub(self._reading_told)

    def _subscribe(self) -> None:
        try:
            self._signal.subscribe_reading(self._reading_told)
        except Exception as error:  # it is not connected yet
            self._failed(error)
        else:
            self._subscribed = True

    def _reading_told(self, reading: Mapping[str, Any]) -> None:
        self._tell(next(iter(reading.values()))["value"])

    async def _keep_asking(self) -> None:
        while hasattr(self._signal, "get_value"):
            await asyncio.sleep(BEAT)
            if not self._subscribed:
                self._subscribe()
                continue
            try:
                async with asyncio.timeout(PATIENCE):
                    value = await self._signal.get_value(cached=False)
            except TimeoutError:
                self._failed(TimeoutError(f"no answer for {PATIENCE:g} s"))
            except Exception as error:
                self._failed(error)
            else:
                if self._state.error is not None:  # or else it has told a newer one itself
                    self._tell(value)


def _state_of(name: str, value: Any) -> State:
    if value is None:
        return State(True, f"{name} has no value")
    try:
        return State(bool(value), f"{name} is {value!r}")
    except Exception as error:  # an array of several values, for one
        return State(True, f"{name} is neither true nor false: {text_of(error, repr)}", error)


def _nobody() -> None:
    """Tell nobody."""
