"""Devices that move, are staged or keep something; and what a test knows of it, or has in hand."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from bluesky.protocols import Reading
from ophyd_async.core import AsyncStatus

from freewheel import Status

from .statuses import Finished, finished


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


class Stage:
    """Is where it is told to be, at once."""

    parent = None

    def __init__(self, name: str = "stage") -> None:
        self.name = name
        self.position = 0.0
        self.calls: list[tuple[Any, dict[str, Any]]] = []

    def set(self, value: Any, **kwargs: Any) -> Status:
        self.calls.append((value, kwargs))
        self.position = value
        return finished()

    def read(self) -> dict[str, Any]:
        return {self.name: {"value": self.position, "timestamp": 1.0}}

    def describe(self) -> dict[str, Any]:
        return {self.name: {"source": "test", "dtype": "number", "shape": []}}


class Mover:
    """Hands out statuses that somebody else ends."""

    parent = None

    def __init__(self, name: str = "mover") -> None:
        self.name = name
        self.statuses: list[Status] = []
        self.given = threading.Semaphore(0)

    def set(self, value: Any) -> Status:
        self.statuses.append(Status())
        self.given.release()
        return self.statuses[-1]

    trigger = set

    def read(self) -> dict[str, Any]:
        return {self.name: {"value": 1, "timestamp": 1.0}}

    def describe(self) -> dict[str, Any]:
        return {self.name: {"source": "test", "dtype": "integer", "shape": []}}


class SlowCache:
    """A cache, and a device to stage, whose work the test ends by hand."""

    name = "slow"
    parent = None

    def __init__(self) -> None:
        self.status = Status()
        self.begun = 0

    def stash(self, values: Any) -> Status:
        self.begun += 1
        return self.status

    def clear(self) -> Status:
        return self.stash({})

    def stage(self) -> Status:
        return self.stash({})

    def unstage(self) -> list[Any]:
        return [self]


class SlowlyUnstaged:
    """A device whose unstage is slow, and waits for the test."""

    name = "motor"
    parent = None

    def __init__(self, engine: Any, *, fail: BaseException | None = None) -> None:
        self.engine = engine
        self.fail = fail
        self.in_pause, self.in_unstage = threading.Event(), threading.Event()
        self.unstaged = threading.Event()
        self.go_on = engine.loop.create_future()

    def let_go(self) -> None:
        def let_go() -> None:
            if not self.go_on.done():
                self.go_on.set_result(None)

        self.engine.loop.call_soon_threadsafe(let_go)

    def stage(self) -> list[Any]:
        return [self]

    @AsyncStatus.wrap
    async def unstage(self) -> None:
        self.in_unstage.set()
        await asyncio.shield(self.go_on)
        self.unstaged.set()
        if self.fail is not None:
            raise self.fail


class SlowlyPaused(SlowlyUnstaged):
    """A device whose pause is slow, too."""

    async def pause(self) -> None:
        self.in_pause.set()
        await asyncio.shield(self.go_on)

    async def resume(self) -> None:
        """Nothing to do."""
