"""How each flavour of payload is run, paused and ended. On the engine's loop, unless said."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
import types
from collections.abc import Callable, Coroutine, Generator, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from freewheel.core._crossings import settle_soon

from ._context import TaskContext

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from ._child import ChildEngine, How
    from ._children import ChildPool
    from ._payloads import Payload

__all__ = [
    "CoroutineRunner",
    "KeptValue",
    "PlanRunner",
    "Runner",
    "ThreadRunner",
    "TrioRunner",
    "runner_for",
]


class KeptValue(asyncio.CancelledError):
    """A payload that was asked to end has returned ``value`` all the same."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


class Runner(Protocol):
    """Runs one payload."""

    @property
    def waits_for(self) -> str:
        """Which devices it waits for, in words, as far as that is known; from any thread."""
        ...

    @property
    def pausable(self) -> bool:
        """Whether `pause` has an effect."""
        ...

    async def run(self, task: Any) -> Any:
        """Run the payload for ``task``; raise CancelledError if it ended because of `cancel`."""
        ...

    def cancel(self, how: How, reason: str) -> None:
        """Ask the payload to end, with its clean-up."""
        ...

    def kill(self) -> None:
        """Ask again, without clean-up where that is possible."""
        ...

    def discard(self) -> None:
        """Dispose of a payload that was never run."""
        ...

    async def pause(self) -> bool:
        """Bring the payload to rest; return whether it rests (it may have ended)."""
        ...

    async def resume(self) -> None:
        """Have it go on."""
        ...

    def suspend(self, until: Callable[[], Awaitable[Any]], reason: str | None) -> bool:
        """Have a suspender hold it up; return false if it is to be paused instead."""
        ...

    async def give_way(self, device: Any) -> None:
        """Let go of ``device``, while at rest."""
        ...


class PlanRunner:
    """Runs a plan on a child engine."""

    pausable = True

    def __init__(
        self,
        plan: Any,
        metadata: dict[str, Any],
        children: ChildPool,
    ) -> None:
        self._plan = plan
        self._metadata = metadata
        self._children = children
        self._child: ChildEngine | None = None
        self._gave_way = False
        # While devices are unstaged or staged for somebody else, an end waits until they are.
        self._moves_devices = False
        self._asked_to_end: tuple[How, str] | None = None

    async def run(self, task: Any) -> Any:
        self._child = child = self._children.borrow()
        plan, self._plan = self._plan, None
        outcome = await child.run(plan, task, self._metadata)
        self._child = None
        self._children.give(child)
        if outcome.error is not None:
            raise outcome.error
        if outcome.interrupted:
            raise asyncio.CancelledError
        return outcome.value

    @property
    def waits_for(self) -> str:
        child = self._child
        return "" if child is None else child.waits_for

    def cancel(self, how: How, reason: str) -> None:
        self._asked_to_end = how, reason
        if self._child is not None and not self._moves_devices:
            self._child.end("abort" if how == "halt" else how, reason)

    @contextlib.contextmanager
    def _moving_devices(self) -> Iterator[None]:
        self._moves_devices = True
        try:
            yield
        finally:
            self._moves_devices = False
            if self._asked_to_end is not None:
                self.cancel(*self._asked_to_end)

    def kill(self) -> None:
        if self._child is not None:
            self._child.end("halt", "it did not end when it was cancelled")

    def discard(self) -> None:
        plan, self._plan = self._plan, None
        close = getattr(plan, "close", None)
        if close is not None:
            close()

    async def pause(self) -> bool:
        return self._child is not None and await self._child.pause()

    async def resume(self) -> None:
        # What ends has nothing staged again: its clean-up may have unstaged the rest already.
        if self._child is None or self._asked_to_end is not None:
            return
        if self._gave_way:
            self._gave_way = False
            try:
                with self._moving_devices():
                    await self._child.take_back()
            except Exception as error:
                # The plan is told, in its place, as if it had staged the device itself.
                self._child.fail(error)
        self._child.resume()

    def suspend(self, until: Callable[[], Awaitable[Any]], reason: str | None) -> bool:
        if self._child is not None:
            self._child.suspend(until, reason)
        return True

    async def give_way(self, device: Any) -> None:
        if self._child is not None:
            self._gave_way = True
            with self._moving_devices():
                await self._child.give_way(device)


class CoroutineRunner:
    """Runs a coroutine function on the engine's loop. It can be paused wherever it awaits."""

    pausable = True
    waits_for = ""

    def __init__(
        self, func: Callable[[], Coroutine[Any, Any, Any]], context: TaskContext | None = None
    ) -> None:
        self._func = func
        self._context = context or TaskContext()
        self._gate = asyncio.Event()
        self._gate.set()
        self._task: asyncio.Task[Any] | None = None

    async def run(self, task: Any) -> Any:
        self._task = asyncio.ensure_future(_drive(self._func, self._gate))
        self._task.set_name(f"background {task.name}")
        # Not awaited itself: whoever cancels this wait is not to cancel the payload as well.
        await asyncio.wait([self._task])
        done, self._task = self._task, None
        return done.result()

    def cancel(self, how: How, reason: str) -> None:
        self._context.end()
        if self._task is not None:
            self._task.cancel(reason)

    def kill(self) -> None:
        self.cancel("abort", "it did not end when it was cancelled")

    def discard(self) -> None:
        pass

    async def pause(self) -> bool:
        self._context.resume_event.clear()
        self._gate.clear()
        return self._task is not None

    async def resume(self) -> None:
        self._context.resume_event.set()
        self._gate.set()

    def suspend(self, until: Callable[[], Awaitable[Any]], reason: str | None) -> bool:
        return False

    async def give_way(self, device: Any) -> None:
        pass


@types.coroutine
def _drive(
    func: Callable[[], Coroutine[Any, Any, Any]], gate: asyncio.Event
) -> Generator[Any, Any, Any]:
    """Run what ``func`` returns, but hold it at its awaits while ``gate`` is closed.

    A cancellation opens the way: the clean-up of a paused coroutine runs.
    """
    yield from _passing(gate)  # it may have been paused before its first step
    coro = func()  # not before: a task that is cancelled before it begins would never await it
    value: Any = None
    error: BaseException | None = None
    while True:
        try:
            step = coro.send(value) if error is None else coro.throw(error)
        except StopIteration as end:
            return end.value
        value = error = None
        try:
            value = yield step
            yield from _passing(gate)
        except BaseException as raised:
            error = raised
            if isinstance(raised, asyncio.CancelledError):
                gate.set()


def _passing(gate: asyncio.Event) -> Generator[Any, Any, None]:
    while not gate.is_set():
        yield from gate.wait().__await__()


class ThreadRunner:
    """Runs a plain function on a daemon thread of its own."""

    waits_for = ""

    def __init__(self, func: Callable[[], Any], context: TaskContext | None = None) -> None:
        self._func = func
        #: Whether the function has the context, through which it could be told.
        self.pausable = context is not None
        # The events may be used from any thread.
        self.context = context or TaskContext()

    async def run(self, task: Any) -> Any:
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()
        # A daemon: a function that never returns must not keep the interpreter from its exit. With
        # this context: it waits, and submits, as the task.
        thread = threading.Thread(
            target=contextvars.copy_context().run,
            args=(self._work, ended),
            name=f"background {task.name}",
            daemon=True,
        )
        thread.start()
        value, error = await ended
        thread.join()  # it has told of its end with its last statement
        if error is not None:
            raise error
        if isinstance(value, Generator):
            value.close()
            raise TypeError(
                f"the background function {task.name!r} returned a plan; to run the plan, "
                "call the function and pass what it returns"
            )
        if self.context.cancelled:
            raise KeptValue(value)
        return value

    def _work(self, ended: asyncio.Future[tuple[Any, BaseException | None]]) -> None:
        value: Any = None
        error: BaseException | None = None
        try:
            if self.pausable:
                self.context.rest_while_paused()  # it may have been paused before it began
            value = self._call()
        except BaseException as raised:
            error = raised
        settle_soon(ended, (value, error))  # from the payload's thread

    def _call(self) -> Any:
        return self._func()

    def cancel(self, how: How, reason: str) -> None:
        self.context.end()

    def kill(self) -> None:
        self.cancel("abort", "")

    def discard(self) -> None:
        pass

    async def pause(self) -> bool:
        self.context.resume_event.clear()
        return self.pausable

    async def resume(self) -> None:
        self.context.resume_event.set()

    def suspend(self, until: Callable[[], Awaitable[Any]], reason: str | None) -> bool:
        return False

    async def give_way(self, device: Any) -> None:
        pass


class TrioRunner(ThreadRunner):
    """Runs a trio coroutine function on a thread of its own, through anyio."""

    def __init__(self, func: Callable[[], Any], context: TaskContext | None = None) -> None:
        super().__init__(func, context)
        self._lock = threading.Lock()
        # With _lock held: how to cancel, once trio runs.
        self._cancel: Callable[[], None] | None = None

    def _call(self) -> Any:
        import anyio

        return anyio.run(self._main, backend="trio")

    async def _main(self) -> Any:
        import anyio
        import trio

        token = trio.lowlevel.current_trio_token()
        scope = anyio.CancelScope()
        with self._lock:
            self._cancel = lambda: token.run_sync_soon(scope.cancel)
            if self.context.cancelled:
                scope.cancel()
        try:
            with scope:
                return await super()._call()
        finally:
            with self._lock:
                self._cancel = None

    def cancel(self, how: How, reason: str) -> None:
        super().cancel(how, reason)
        with self._lock:
            if self._cancel is not None:
                self._cancel()


def runner_for(payload: Payload, metadata: dict[str, Any], children: ChildPool) -> Runner:
    """Return what runs a payload."""
    if payload.flavour == "plan":
        return PlanRunner(payload.thing, metadata, children)
    if payload.flavour == "elsewhere":
        made: Runner = payload.thing(metadata)
        return made
    if payload.flavour == "asyncio":
        return CoroutineRunner(payload.thing, payload.context)
    kind: type[ThreadRunner] = TrioRunner if payload.flavour == "trio" else ThreadRunner
    return kind(payload.thing, payload.context)
