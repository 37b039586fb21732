"""Faults put between a device and whoever calls it."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections import Counter, deque
from typing import TYPE_CHECKING, Any, NamedTuple, Self, final

import numpy as np
from ophyd_async.core import AsyncStatus

from freewheel.core._crossings import Waiter, completion, new_waiter, wake
from freewheel.core._devices import device_name

from ._faults import (
    DEVICE_METHODS,
    ConnectionLostError,
    Fail,
    Fault,
    FaultError,
    FaultyCall,
    Hang,
    LoseConnection,
    ReturnNaN,
    Slow,
    WrongShape,
)
from ._spoil import with_nan, with_wrong_shape

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

_STATUS_METHODS = frozenset(
    {"trigger", "set", "stage", "unstage", "prepare", "kickoff", "complete"}
)
_REMEMBERED = 10_000
_SEAT = "_freewheel_faults"  # the attribute of a device that holds its switchboard


class Firing(NamedTuple):
    """One time that a fault struck."""

    call: FaultyCall
    fault: Fault


@final
class Injection:
    """Faults in force on one device, from `inject` until `remove`.

    A context manager: leaving the ``with`` block removes the faults. All methods may be called
    from any thread.
    """

    def __init__(
        self,
        device: Any,
        faults: tuple[Fault, ...],
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]],
    ) -> None:
        self.device = device
        self.faults = faults
        self._clock = clock
        self._sleep = sleep
        self._began = clock()
        # The lock guards all that follows: calls come from the engine's loop, questions and
        # removal from any thread.
        self._lock = threading.Lock()
        self._chances = [np.random.default_rng(fault.seed) for fault in faults]
        self._strikes = [0] * len(faults)
        self._calls: Counter[str] = Counter()
        self._fired: deque[Firing] = deque(maxlen=_REMEMBERED)
        self._lost: tuple[LoseConnection, float] | None = None  # the fault, and when it heals
        self._hanging: set[Waiter] = set()
        self._removed = False

    @property
    def fired(self) -> tuple[Firing, ...]:
        """The times that a fault struck, oldest first; the last 10,000."""
        with self._lock:
            return tuple(self._fired)

    def calls(self, method: str) -> int:
        """Return how often a method was called since the faults were injected."""
        with self._lock:
            return self._calls[method]

    def remove(self) -> None:
        """Take the faults away; calls that hang fail now. Doing it twice does no harm."""
        with self._lock:
            self._removed = True
            hanging, self._hanging = self._hanging, set()
        _switchboard(self.device).take_out(self)
        for waiter in hanging:
            wake(waiter)  # from whichever thread removes the faults

    def __enter__(self) -> Self:
        """Faults are in force already."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Take the faults away."""
        self.remove()

    def __repr__(self) -> str:
        """Show the device and its faults."""
        return f"<faults of {_name(self.device)}: {', '.join(map(repr, self.faults))}>"

    def strike(self, method: str) -> tuple[FaultyCall, list[Fault]]:
        """Count a call, and return the faults that strike it."""
        with self._lock:
            self._calls[method] += 1
            call = FaultyCall(_name(self.device), method, self._calls[method])
            now = self._clock()
            struck: list[Fault] = []
            if self._lost is not None:
                if now < self._lost[1]:
                    struck.append(self._lost[0])
                else:
                    self._lost = None
            for number, fault in enumerate(self.faults):
                if fault in struck or not self._strikes_now(number, call, now - self._began):
                    continue
                self._strikes[number] += 1
                struck.append(fault)
                if isinstance(fault, LoseConnection):
                    lasts = np.inf if fault.duration is None else fault.duration
                    self._lost = (fault, now + lasts)
            self._fired.extend(Firing(call, fault) for fault in struck)
        return call, struck

    def _strikes_now(self, number: int, call: FaultyCall, elapsed: float) -> bool:
        fault = self.faults[number]
        if call.method not in fault.methods:
            return False
        if fault.calls and call.number not in fault.calls:
            return False
        if fault.window is not None and not fault.window[0] <= elapsed < fault.window[1]:
            return False
        if fault.times is not None and self._strikes[number] >= fault.times:
            return False
        # The chance last: it draws only for calls that everything else allows.
        return fault.probability >= 1 or bool(self._chances[number].random() < fault.probability)

    async def delay(self, call: FaultyCall, fault: Fault) -> None:
        """Let a slow fault take its time, and a hanging one all of it.

        Raises
        ------
        FaultError
            When the faults are removed while it hangs.
        """
        if isinstance(fault, Slow):
            await self._sleep(fault.seconds)
        elif isinstance(fault, Hang):
            waiter = new_waiter()
            with self._lock:
                if not self._removed:
                    self._hanging.add(waiter)
                else:
                    wake(waiter)
            try:
                await waiter[1]
            finally:
                with self._lock:
                    self._hanging.discard(waiter)
            raise FaultError(call, fault, "hung until the fault was removed")


class _Strike(NamedTuple):
    """One fault that strikes the call at hand."""

    injection: Injection
    call: FaultyCall
    fault: Fault

    def fail(self) -> None:
        if isinstance(self.fault, Fail):
            error = self.fault.error or FaultError(self.call, self.fault)
            # The same error may be raised many times, and must not pile up tracebacks.
            raise error.with_traceback(None)
        if isinstance(self.fault, LoseConnection):
            raise ConnectionLostError(self.call, self.fault, "found no connection, on purpose")

    async def begin(self) -> None:
        self.fail()
        await self.injection.delay(self.call, self.fault)

    def spoil(self, answer: Any) -> Any:
        if isinstance(self.fault, ReturnNaN):
            return with_nan(answer)
        if isinstance(self.fault, WrongShape):
            return with_wrong_shape(answer, self.fault.shape)
        return answer


class _Switchboard:
    """Sits in a device's place for the methods that faults act on.

    Methods are shadowed by attributes of the instance, so that other devices of the class go on
    untouched, and taken away when the last fault has gone.
    """

    def __init__(self, device: Any) -> None:
        self._device = device
        # The lock guards what is shadowed; the tuple of injections is replaced, never changed,
        # so that calls read it without the lock.
        self._lock = threading.Lock()
        self._injections: tuple[Injection, ...] = ()
        self._shadowed: dict[str, Any] = {}  # what the instance held before under that name

    def put_in(self, injection: Injection, methods: set[str]) -> None:
        with self._lock:
            for method in methods - self._shadowed.keys():
                self._shadowed[method] = vars(self._device).get(method)
                shadow = self._shadow(method, getattr(self._device, method))
                # A device of ophyd-async refuses plain assignment to these names.
                object.__setattr__(self._device, method, shadow)
            self._injections = (*self._injections, injection)

    def take_out(self, injection: Injection) -> None:
        with self._lock:
            self._injections = tuple(one for one in self._injections if one is not injection)
            if self._injections:
                return
            for method, before in self._shadowed.items():
                if before is None:
                    object.__delattr__(self._device, method)
                else:
                    object.__setattr__(self._device, method, before)
            self._shadowed = {}

    def _strikes(self, method: str) -> list[_Strike]:
        strikes = []
        for injection in self._injections:
            call, faults = injection.strike(method)
            strikes += [_Strike(injection, call, fault) for fault in faults]
        return strikes

    def _shadow(self, method: str, real: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.iscoroutinefunction(real):
            return self._coroutine_shadow(method, real)
        if inspect.isasyncgenfunction(real):
            return self._generator_shadow(method, real)
        if method in _STATUS_METHODS:
            return self._status_shadow(method, real)
        return self._plain_shadow(method, real)

    def _coroutine_shadow(self, method: str, real: Callable[..., Any]) -> Callable[..., Any]:
        async def shadow(*args: Any, **kwargs: Any) -> Any:
            strikes = self._strikes(method)
            for strike in strikes:
                await strike.begin()
            answer = await real(*args, **kwargs)
            for strike in strikes:
                answer = strike.spoil(answer)
            return answer

        return shadow

    def _generator_shadow(self, method: str, real: Callable[..., Any]) -> Callable[..., Any]:
        async def shadow(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            for strike in self._strikes(method):
                await strike.begin()
            async for item in real(*args, **kwargs):
                yield item

        return shadow

    def _status_shadow(self, method: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def shadow(*args: Any, **kwargs: Any) -> Any:
            strikes = self._strikes(method)
            if not strikes:
                return real(*args, **kwargs)

            async def late() -> None:
                for strike in strikes:
                    await strike.begin()
                await _ended(real(*args, **kwargs))

            return AsyncStatus(late(), name=_name(self._device))

        return shadow

    def _plain_shadow(self, method: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def shadow(*args: Any, **kwargs: Any) -> Any:
            strikes = self._strikes(method)
            for strike in strikes:
                strike.fail()
            answer = real(*args, **kwargs)
            for strike in strikes:
                answer = strike.spoil(answer)
            return answer

        return shadow


def inject(
    device: Any,
    *faults: Fault,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> Injection:
    """Make a device faulty, at once, until the returned injection is removed.

    Faults act on calls through the device itself: on what the engine does with it. A parent that
    reads its children with their own methods, as those of ophyd-async do with signals, does
    not notice a fault of a child. A call that a fault delays reports no progress.

    May be called from any thread, also while a plan uses the device.

    Parameters
    ----------
    device : object
        Any device that lets its methods be replaced: those of `freewheel.sim`, and most others.
    *faults : Fault
        What goes wrong. Those that strike the same call act in this order.
    clock : Callable
        Seconds, for time windows.
    sleep : Callable
        Coroutine function that waits for a number of seconds.

    Returns
    -------
    Injection
        To be used as a context manager, or removed.

    Raises
    ------
    TypeError
        If something else than faults is given, or a method cannot be slowed down because it
        neither is a coroutine function nor returns a status.
    ValueError
        If the device has no such method.

    Examples
    --------
    >>> with inject(camera, Fail("trigger", at=3)):  # doctest: +SKIP
    ...     RE(count([camera], 5)).result()
    """
    if not faults:
        msg = f"no fault to inject into {_name(device)}: give at least one, such as Fail('read')"
        raise TypeError(msg)
    for fault in faults:
        _check_fits(device, fault)
    methods = {method for fault in faults for method in fault.methods}
    if any(isinstance(fault, LoseConnection) for fault in faults):
        methods |= set(_methods_of(device))
    injection = Injection(device, faults, clock, sleep)
    _switchboard(device).put_in(injection, methods)
    return injection


def _check_fits(device: Any, fault: Fault) -> None:
    if not isinstance(fault, Fault):
        msg = f"only faults can be injected into {_name(device)}, not {fault!r}"
        raise TypeError(msg)
    for method in fault.methods:
        real = getattr(device, method, None)
        if not callable(real):
            msg = (
                f"{_name(device)} has no method {method!r} for {fault!r} to act on; "
                f"it has {', '.join(_methods_of(device))}"
            )
            raise ValueError(msg)
        waits = method in _STATUS_METHODS or inspect.iscoroutinefunction(real)
        if isinstance(fault, Hang | Slow) and not (waits or inspect.isasyncgenfunction(real)):
            msg = (
                f"{_name(device)}.{method}() returns at once, so that {fault!r} would hold up the "
                "whole event loop"
            )
            raise TypeError(msg)


def _methods_of(device: Any) -> list[str]:
    return [method for method in DEVICE_METHODS if callable(getattr(device, method, None))]


_seating = threading.Lock()  # so that a device gets one switchboard only


def _switchboard(device: Any) -> _Switchboard:
    with _seating:
        board: _Switchboard | None = vars(device).get(_SEAT)
        if board is None:
            board = _Switchboard(device)
            object.__setattr__(device, _SEAT, board)
        return board


def _name(device: Any) -> str:
    return device_name(device, type(device).__name__)


async def _ended(status: Any) -> None:
    """Wait for a status, also for one that can't be awaited."""
    if inspect.isawaitable(status):
        await status  # so that to cancel the call is to cancel what it has begun
    else:
        await completion(status)
