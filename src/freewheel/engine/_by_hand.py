"""What a person moves or changes: the one verb for prompt, window and programs."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING, Any, Final, final

from bluesky.bundlers import maybe_await
from bluesky.protocols import Stoppable

from freewheel.background import HandHold, hands_here
from freewheel.core import EngineClosedError, EngineFuture
from freewheel.core._connection import told_of_connection
from freewheel.core._crossings import completion
from freewheel.core._devices import device_chain, device_name, is_device

from ._device_stop import DeviceStop

if TYPE_CHECKING:
    from collections.abc import Callable

    from freewheel.background import Background

    from ._between import BetweenMessages
    from ._bluesky import EngineCore

__all__ = ["ByHand"]

_log = logging.getLogger("freewheel")

#: Seconds that a move has to end when the engine is closed.
_CLOSE_GRACE: Final = 1.0


@final
class ByHand:
    """Moves and settings that a person makes, beside plans. ``RE.by_hand`` is one.

    Claims apply to them as to plans. All of it may be called from any thread, and does not wait.

    Parameters
    ----------
    core : EngineCore
        The engine.
    background : Background
        Where the claims are.
    between : BetweenMessages
        What makes changes between two messages of a plan.
    is_axis : callable
        Tells of the name of a device whether an open run moves it from point to point.
    check : callable
        Refuses an engine that is closed.
    """

    def __init__(
        self,
        core: EngineCore,
        background: Background,
        between: BetweenMessages,
        is_axis: Callable[[str], bool],
        check: Callable[[], None],
    ) -> None:
        self._core = core
        self._background = background
        self._between = between
        self._is_axis = is_axis
        self._check = check
        # Written on the loop's thread; copied, in one step, by others.
        self._moving: dict[HandHold, Any] = {}
        self._tasks: set[asyncio.Task[Any]] = set()  # of the loop's thread
        # Held while a move is handed to the loop. Invariant: what was handed over before _closed
        # was set is begun, or refused, before the loop ends. Nothing is taken below it.
        self._lock = threading.Lock()
        self._closed = False
        # The moves that wait for an interlock, and of what; of the loop's thread.
        self._kept: dict[asyncio.Task[Any], Any] = {}

    holder: Final = "manual move"
    """What others see as the holder, if nothing else is said."""

    def set(
        self, device: Any, value: Any, *, between: bool = False, holder: str = "manual move"
    ) -> EngineFuture[Any]:
        """Set a device, as a person would.

        The device is held until it has come to rest: a plan that needs it meanwhile gets a
        `ResourceConflictError` that names ``holder``. While a plan is paused, it lends what it
        holds; its resume waits until the move is over. While an interlock is tripped the move
        waits, until a stop of all; one between two messages of a plan, which would wait with it,
        fails.

        Parameters
        ----------
        device : Movable
            What to set.
        value : object
            Where to, in the device's own units.
        between : bool
            Whether to set it between two messages of the plan that holds it, with that plan's
            consent, as a live view's exposure time; see `RunEngine.between_messages`. Not so
            what an open run has among its ``motors``: at its next point it would stand elsewhere
            than its plan has set it.
        holder : str
            The name to show to others.

        Returns
        -------
        EngineFuture
            Done when the device has come to rest, with its status, or with what it failed with.

        Raises
        ------
        ResourceConflictError
            If a plan, a task or somebody else holds the device. Nothing was sent to it.
        InterlockError
            In the future: if an interlock is tripped that is not waited for.
        TypeError
            If it cannot be set.
        EngineClosedError, ForkedProcessError
            If the engine cannot do anything any more.
        """
        self._check()
        name = _checked_name(device)
        _log.info("%s: %s is set to %r.", holder, name, value)
        if between and not self._is_axis(name):
            return self._between.put(self._setter(device, value, name, holder))
        hand = HandHold(holder)
        for outer in hands_here():
            outer.lends_to.add(hand)
        self._background.claims.acquire(hand, [device])
        future: EngineFuture[Any] = EngineFuture.under_way(
            f"the move of {name!r} by hand", self._core.thread, tells=True
        )
        with self._lock:
            closed = self._closed
            if not closed:
                self._core.call_on_loop(self._begin, hand, device, value, future)
        if closed:  # while this call looked at the device
            self._background.claims.release_all(hand)
            raise _closed_error(name)
        return future

    def stop(self, device: Any) -> EngineFuture[None]:
        """Stop a device, whoever moves it; nothing keeps a person from that.

        It goes ahead of all messages: a device of ophyd is stopped on a thread of its own, at
        once; one of ophyd-async as soon as the engine's loop is free. A move by hand of it that
        waits for an interlock is given up: it does not begin when the interlock lets go.

        Parameters
        ----------
        device : Stoppable
            What to stop.

        Returns
        -------
        EngineFuture
            Done when the device was told, or with what that failed with.

        Raises
        ------
        TypeError
            If it cannot be stopped.
        EngineClosedError, ForkedProcessError
            If the engine cannot do anything any more.
        """
        self._check()
        if not is_device(device) or not callable(getattr(device, "stop", None)):
            raise TypeError(f"RE.by_hand.stop stops devices that can be stopped, not {device!r}.")
        name = device_name(device)
        _log.info("%s is stopped by hand.", name)
        future: EngineFuture[None] = EngineFuture.under_way(
            f"the stop of {name!r} by hand", self._core.thread, tells=True
        )
        stop = DeviceStop(device, self._core.loop, lambda error: future.settle(None, error))
        if not stop.on_loop:
            stop.begin()  # whatever the loop is busy with
        self._core.call_on_loop(self._begin_stop, stop)
        return future

    def _begin_stop(self, stop: DeviceStop) -> None:
        for task, waiting in self._kept.items():
            if id(stop.device) in device_chain(waiting):
                task.cancel(f"{stop.name!r} was stopped by hand")
        if stop.on_loop:
            task = stop.begin_on_loop()
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _begin(self, hand: HandHold, device: Any, value: Any, future: EngineFuture[Any]) -> None:
        name = device_name(device)
        if self._closed:
            self._background.conflicts.release_all(hand)
            future.settle(error=_closed_error(name))
            return
        self._moving[hand] = device
        self._core.household.touched.add([device])
        move = self._background.spawner.spawn(
            self._move(hand, device, value, future), f"move {name!r} by hand"
        )
        self._tasks.add(move)
        move.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Begin no further move, and stop what is under way. On the loop."""
        with self._lock:
            self._closed = True
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_CLOSE_GRACE)

    async def _move(
        self, hand: HandHold, device: Any, value: Any, future: EngineFuture[Any]
    ) -> None:
        status: Any = None
        error: BaseException | None = None
        try:
            await self._until_allowed(hand, device)
            status = device.set(value)
            await completion(status)
        except asyncio.CancelledError as cancelled:
            if status is None and not self._closed:
                error = _given_up_error(device_name(device), str(cancelled))
            elif not self._closed:  # the device's own way to say that it was stopped
                error = _cut_short_error(device_name(device))
            else:
                error = _closed_error(device_name(device))
                await _stop(device)
        except BaseException as raised:
            error = told_of_connection(raised, device)
        self._moving.pop(hand, None)
        self._background.conflicts.release_all(hand)
        future.settle(status, error)

    async def _until_allowed(self, hand: HandHold, device: Any) -> None:
        """Wait for the interlocks, where everything that is stopped gives that up."""
        interlocks, task = self._core.household.interlocks, asyncio.current_task()
        assert task is not None
        self._kept[task] = device
        try:
            await interlocks.until_allowed("set", (device,), hand.name, self)
        finally:
            del self._kept[task]

    def give_up_waiting(self) -> None:
        """Begin no move that waits for an interlock: everything is stopped. On the loop."""
        for task in self._kept:
            task.cancel("Everything was stopped")

    def _setter(self, device: Any, value: Any, name: str, holder: str) -> Callable[[], Any]:
        interlocks = self._core.household.interlocks

        async def set_by_hand() -> Any:
            await interlocks.until_allowed("set", (device,), holder, self, wait=False)
            status = device.set(value)
            await completion(status)
            return status

        set_by_hand.__name__ = f"set {name}"
        return set_by_hand

    @property
    def moving(self) -> tuple[Any, ...]:
        """The devices that are on their way by hand."""
        return tuple(self._moving.copy().values())


def _closed_error(name: str) -> EngineClosedError:
    return EngineClosedError(f"The engine was closed: {name!r} is not moved by hand any more.")


def _cut_short_error(name: str) -> RuntimeError:
    return RuntimeError(f"The move of {name!r} by hand was cut short: the device was stopped.")


def _given_up_error(name: str, why: str) -> RuntimeError:
    return RuntimeError(
        f"{why} while the move of {name!r} by hand waited for an interlock: it is not moved any "
        "more."
    )


async def _stop(device: Any) -> None:
    """Stop a device that nobody will wait for any more, as the end of a plan does."""
    if isinstance(device, Stoppable):
        try:
            await maybe_await(device.stop(success=False))
        except Exception:
            _log.exception("Failed to stop %r, which was moved by hand.", device_name(device))


def _checked_name(device: Any) -> str:
    if not is_device(device) or not callable(getattr(device, "set", None)):
        hint = " Pass the device itself, not its name." if isinstance(device, str) else ""
        raise TypeError(f"RE.by_hand.set sets devices that can be set, not {device!r}.{hint}")
    return device_name(device)
