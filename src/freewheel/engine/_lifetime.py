"""The end of engines: by hand, at interpreter exit, on collection, in a forked child."""

from __future__ import annotations

import atexit
import logging
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Final, final

import bluesky.run_engine

from freewheel.core import EngineClosedError, EngineState, ForkedProcessError
from freewheel.core._crossings import call_soon, run_soon
from freewheel.core._process import process

from ._loop_thread import LoopThread, new_event_loop

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from freewheel.background import ServiceKeeper
    from freewheel.core import EngineFuture

    from ._between import BetweenMessages
    from ._bluesky import EngineCore
    from ._by_hand import ByHand
    from ._delivery import Delivery
    from ._documents import DocumentStream
    from ._foreground import Foreground

__all__ = ["EngineLife", "LoopHold", "after_engines", "close_all_engines", "hold_loop"]

_log = logging.getLogger("freewheel")

#: Seconds that all engines together have for their clean-up when the interpreter exits.
EXIT_GRACE: Final = 10.0

# Added to by any thread; WeakSet's own operations are atomic enough for add and a copy, and the
# copy is made when no other thread of the program's own is left to add.
_lives: weakref.WeakSet[EngineLife] = weakref.WeakSet()
_afterwards: list[Callable[[], None]] = []
_registered = False
_lock = threading.Lock()  # guards _registered and _afterwards


@final
class LoopHold:
    """An engine's hold on the loop that it runs on, given back by `release`.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        The loop.
    thread : threading.Thread
        The thread that runs it.
    started : LoopThread or None
        That thread, if it was started for this engine.
    own : bool
        Whether the loop was made for this engine, and is closed with it.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        thread: threading.Thread,
        started: LoopThread | None,
        *,
        own: bool,
    ) -> None:
        self.loop = loop
        self.thread = thread
        self._started = started
        self._own = own
        self._forget: Callable[[], object] | None = None  # of the finalizer below

    def release_with(self, engine: object, deliveries: dict[int, Delivery]) -> None:
        """Have all given back when ``engine`` is collected without having been closed."""
        if self._started is None:
            return
        finalizer = weakref.finalize(
            engine, _release_loop, self._started, deliveries, close=self._own
        )
        finalizer.atexit = False
        self._forget = finalizer.detach

    def wait_until_it_runs(self) -> None:
        """Wait until the thread has come to run the loop; from any thread.

        bluesky and ophyd-async refuse, rather than wait for, a loop that does not run yet.
        """
        if not self.loop.is_running():
            runs = threading.Event()
            call_soon(self.loop, runs.set)
            runs.wait()

    def release(self, timeout: float) -> None:
        """End the thread, if it is the engine's, and close the loop, if it is."""
        forget, self._forget = self._forget, None
        if forget is None:
            return
        forget()  # the finalizer has nothing left to do
        if bluesky.run_engine.get_bluesky_event_loop() is self.loop:
            bluesky.run_engine.set_bluesky_event_loop(None)
        assert self._started is not None
        if not self._started.stop(timeout, close=self._own):
            _log.error("The run engine's thread did not end within %g s.", timeout)


def hold_loop(
    loop: asyncio.AbstractEventLoop | None,
    known: Callable[[asyncio.AbstractEventLoop], threading.Thread | None],
) -> LoopHold:
    """Return a hold on ``loop``, or on a new one; on a thread that is started if need be.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop or None
        What the user gave.
    known : callable
        Returns the thread of a loop that another engine runs on.
    """
    own = loop is None
    loop = new_event_loop() if loop is None else loop
    if loop.is_closed():
        raise ValueError("RunEngine(loop=…): the loop is closed. Leave `loop` out.")
    thread = known(loop)
    if thread is not None and thread.is_alive():  # it may not have come to run the loop yet
        return LoopHold(loop, thread, None, own=False)
    if loop.is_running():
        raise RuntimeError(
            "RunEngine(loop=…): the loop runs already, and a run engine needs one on a thread of "
            "its own. Leave `loop` out; its futures can be awaited from any loop."
        )
    started = LoopThread(loop)
    return LoopHold(loop, started.thread, started, own=own)


def _release_loop(thread: LoopThread, deliveries: dict[int, Delivery], *, close: bool) -> None:
    """Give back the threads, and the loop, of an engine that was collected."""
    for delivery in list(deliveries.values()):
        delivery.close()
    thread.stop(0, close=close)


@final
class EngineLife:
    """Whether an engine may be used, and its end. Any thread may call.

    Parameters
    ----------
    core, foreground, services, between, by_hand, documents
        The parts that end with it.
    loop : LoopHold
        What is given back last.

    Attributes
    ----------
    process_number : int
        Of the process that made the engine.
    services : ServiceKeeper
        The services.
    """

    def __init__(
        self,
        core: EngineCore,
        foreground: Foreground,
        services: ServiceKeeper,
        between: BetweenMessages,
        by_hand: ByHand,
        documents: DocumentStream,
        loop: LoopHold,
    ) -> None:
        self.process_number = process.number
        self._core = core
        self._states = core.states
        self._foreground = foreground
        self.services = services
        self._between = between
        self._by_hand = by_hand
        self._documents = documents
        self._loop = loop
        self._closed = False  # only ever set, by any thread
        # Held while the tasks are closed: one of two threads that close the engine would end the
        # loop meanwhile, and nobody would answer the other one. A signal's handler may close, too.
        self._tasks_lock = threading.RLock()
        self._tasks_closed = False  # under that lock
        _remember(self)

    @property
    def closed(self) -> bool:
        """Whether the engine was closed."""
        return self._closed or self._foreground.closing

    @property
    def forked(self) -> bool:
        """Whether this is a forked child of the process that made the engine."""
        return process.number != self.process_number

    def check_process(self) -> None:
        """Refuse a forked child of the process that made the engine.

        Raises
        ------
        ForkedProcessError
            With the remedy.
        """
        if self.forked:
            raise ForkedProcessError(
                "This run engine belongs to the parent process; its thread does not exist here. "
                "Make an engine of its own in the child."
            )

    def check_usable(self) -> None:
        """Refuse what the engine cannot do any more.

        Raises
        ------
        EngineClosedError, ForkedProcessError, RuntimeError
            With the remedy.
        """
        self.check_process()
        if self.closed:
            raise EngineClosedError("This run engine is closed. Make a new one: RE = RunEngine().")
        if self._core.states.now is EngineState.PANICKED:
            raise RuntimeError(
                "The RunEngine is panicked and cannot be recovered. You must restart bluesky."
            )

    def check_ready(self) -> None:
        """Refuse what a plan could not be run for: the engine is closed, or a service has ended.

        Raises
        ------
        EngineClosedError, ForkedProcessError, ServiceFailedError
            With the remedy.
        """
        self.check_usable()
        self.services.check()

    def begin_close(self, why: str) -> EngineFuture[Any] | None:
        """Refuse further plans, and abort what runs: the first half of `close`."""
        return self._foreground.begin_close(why)

    def close(self, timeout: float) -> None:
        """Abort what runs, wait for its clean-up, give back threads and loop; see `RunEngine`."""
        if self.forked:
            self._closed = True
            return
        # A thread that has ended leaves its number to another one.
        if self._core.thread.is_alive() and self._core.on_loop_thread():
            raise RuntimeError(
                "close() waits for the run engine's thread, so it cannot be called on it. Call it "
                "from another thread, or RE.abort() here."
            )
        if self._foreground.current is not None and any(
            delivery.is_caller() for delivery in self._documents.awaited()
        ):
            raise RuntimeError(
                "close() waits for the plan's end, and that for this subscriber, so that it cannot "
                "be called by it while a plan runs. Call it from another thread, or RE.abort() "
                "here."
            )
        deadline = time.monotonic() + timeout
        future = self.begin_close("the engine is closed")
        if future is not None and not _wait(future, timeout):
            name = self._core.plan_name
            _log.error("Plan %r did not clean up within %g s: it is halted.", name, timeout)
            self._foreground.halt_if_running()
            if not _wait(future, 2.0):
                _log.error("Plan %r could not be halted; its thread is left.", name)
        self._close_background(max(0.1, deadline - time.monotonic()))
        for delivery in self._documents.unsubscribe_deliveries():
            delivery.join(max(0.1, deadline - time.monotonic()))
        self._loop.release(max(0.5, deadline - time.monotonic()))

    def _close_background(self, timeout: float) -> None:
        self.services.begin_close()
        with self._tasks_lock:
            # The loop may have been ended by the hand of who gave it.
            if not self._tasks_closed and self._core.thread.is_alive():
                self._close_tasks(timeout)
                self._tasks_closed = True

    def _close_tasks(self, timeout: float) -> None:
        core = self._core
        core.call_on_loop(self._between.close)

        async def close() -> None:
            await self._by_hand.close()
            await core.household.background.close(self.services.lives, timeout)
            core.household.interlocks.close()

        try:
            run_soon(core.loop, close()).result(timeout + 2)
        except TimeoutError:
            _log.error("The background tasks did not end within %g s.", timeout)


def _wait(future: EngineFuture[Any], timeout: float) -> bool:
    try:
        future.exception(timeout)
    except TimeoutError:
        return False
    return True


def _remember(life: EngineLife) -> None:
    """Have an engine closed when the interpreter exits, if it is not closed by then."""
    with _lock:
        _register()
    _lives.add(life)


def after_engines(function: Callable[[], None]) -> None:
    """Have a function called when the interpreter exits, after the engines are closed."""
    with _lock:
        _register()
        if function not in _afterwards:
            _afterwards.append(function)


def _register() -> None:
    global _registered
    if not _registered:
        _registered = True
        # Before the interpreter shuts down the thread pools that a device's clean-up may
        # need, which is before `atexit`. There is no public name for that moment.
        register = getattr(threading, "_register_atexit", atexit.register)
        register(_close_all)


def _close_all() -> None:
    close_all_engines(EXIT_GRACE)
    for function in _afterwards:
        function()


def close_all_engines(grace: float) -> None:
    """Close all engines of the process, with the clean-up of what they run.

    Parameters
    ----------
    grace : float
        Seconds for all of them together; what has not cleaned up by then is halted.
    """
    deadline = time.monotonic() + grace
    lives = [life for life in _lives if not life.closed and not life.forked]
    for life in lives:
        life.begin_close("the interpreter exits")
    for life in lives:
        life.close(timeout=max(0.0, deadline - time.monotonic()))
