"""What the background's tests share."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from bluesky.protocols import Reading

from freewheel import RunEngine
from freewheel.plan_stubs import checkpoint, sleep


class Finished:
    """A status that a test ends by hand, or that is done from the start."""

    def __init__(self, done: bool = True) -> None:
        self.done = done
        self.success = done
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[Any], None]] = []
        self._lock = threading.Lock()

    def add_callback(self, callback: Callable[[Any], None]) -> None:
        with self._lock:
            if not self.done:
                self._callbacks.append(callback)
                return
        callback(self)

    def finish(self, error: BaseException | None = None) -> None:
        with self._lock:
            if self.done:
                return
            self.done, self.success, self._error = True, error is None, error
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)

    def exception(self, timeout: float | None = 0.0) -> BaseException | None:
        return self._error

    def wait(self, timeout: float | None = None) -> None:
        pass


class Device:
    """A device that keeps an account of what was done with it, and by hand ends its moves."""

    def __init__(self, name: str, parent: Any = None, *, by_hand: bool = False) -> None:
        self.name = name
        self.parent = parent
        self.by_hand = by_hand
        self.did: list[Any] = []
        self.moves: list[Finished] = []
        self.position: Any = 0
        self.staged = 0
        self.acted = threading.Event()

    def __repr__(self) -> str:
        return f"Device({self.name!r})"

    def _act(self, what: Any) -> Finished:
        self.did.append(what)
        status = Finished(not self.by_hand)
        if self.by_hand:
            self.moves.append(status)
        self.acted.set()
        return status

    def set(self, value: Any) -> Finished:
        self.position = value
        return self._act(("set", value))

    def trigger(self) -> Finished:
        return self._act("trigger")

    def read(self) -> dict[str, Reading[Any]]:
        return {self.name: {"value": self.position, "timestamp": 1.0}}

    def describe(self) -> dict[str, Any]:
        return {self.name: {"source": "test", "dtype": "number", "shape": []}}

    def read_configuration(self) -> dict[str, Any]:
        return {}

    def describe_configuration(self) -> dict[str, Any]:
        return {}

    def stage(self) -> list[Any]:
        self.staged += 1
        self.did.append("stage")
        return [self]

    def unstage(self) -> list[Any]:
        self.staged -= 1
        self.did.append("unstage")
        return [self]

    def stop(self, success: bool = True) -> None:
        self.did.append("stop")
        for move in self.moves:
            move.finish()

    def configure(self, values: Any) -> tuple[Any, Any]:
        self.did.append("configure")
        return {}, {}


class Log:
    """Messages from plans to the test, that may be waited for."""

    def __init__(self) -> None:
        self.entries: list[Any] = []
        self._changed = threading.Condition()

    def add(self, entry: Any) -> None:
        with self._changed:
            self.entries.append(entry)
            self._changed.notify_all()

    def wait_for(self, entry: Any, count: int = 1) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.entries.count(entry) >= count, 10), (
                f"{entry!r} did not come; came: {self.entries}"
            )


def endless(log: Log | None = None, name: str = "task") -> Any:
    """A plan that runs until it is ended."""
    if log is not None:
        log.add(f"{name} begins")
    try:
        while True:
            yield from checkpoint()
            yield from sleep(0.001)
    finally:
        if log is not None:
            log.add(f"{name} ends")


def value(result: Any) -> Any:
    """A plan that returns at once."""
    yield from checkpoint()
    return result


def failing(error: Exception) -> Any:
    """A plan that fails."""
    yield from checkpoint()
    raise error


def on_loop(engine: RunEngine, func: Callable[[], Any]) -> Any:
    """Call a function on the engine's thread and return its value."""

    async def call() -> Any:
        return func()

    return asyncio.run_coroutine_threadsafe(call(), engine.loop).result(10)
