"""Devices that are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ophyd_async.core import AsyncStatus

from freewheel import Status

from .statuses import finished


def no_call(_: int) -> None:
    """Nothing is to happen at a reading."""


class Gauge:
    """Is read, not triggered; calls a function in the middle of each reading, with its number."""

    parent = None

    def __init__(self, name: str = "gauge", on_read: Callable[[int], None] = no_call) -> None:
        self.name = name
        self.readings = 0
        self.staged = 0
        self._on_read = on_read

    def stage(self) -> list[Any]:
        self.staged += 1
        return [self]

    def unstage(self) -> list[Any]:
        self.staged -= 1
        return [self]

    def read(self) -> dict[str, Any]:
        self.readings += 1
        self._on_read(self.readings)
        return {self.name: {"value": self.readings, "timestamp": 1.0}}

    def describe(self) -> dict[str, Any]:
        return {self.name: {"source": "test", "dtype": "integer", "shape": []}}

    def read_configuration(self) -> dict[str, Any]:
        return {}

    def describe_configuration(self) -> dict[str, Any]:
        return {}


class Detector(Gauge):
    """Is triggered and read, and counts both."""

    def __init__(self, name: str = "detector", on_read: Callable[[int], None] = no_call) -> None:
        super().__init__(name, on_read)
        self.triggered = 0

    def trigger(self) -> Status:
        self.triggered += 1
        return finished()


class Sensor:
    """Triggered and read, as ophyd-async's devices are: by coroutines. Calls as `Gauge` does."""

    parent = None

    def __init__(self, name: str = "sensor", on_read: Callable[[int], None] = no_call) -> None:
        self.name = name
        self.readings = 0
        self._on_read = on_read

    @AsyncStatus.wrap
    async def trigger(self) -> None:
        pass

    async def read(self) -> dict[str, Any]:
        self.readings += 1
        self._on_read(self.readings)
        return {self.name: {"value": self.readings, "timestamp": 1.0}}

    async def describe(self) -> dict[str, Any]:
        return {self.name: {"source": "test", "dtype": "integer", "shape": []}}

    def describe_collect(self) -> dict[str, Any]:
        return {"stream": {self.name: {"source": "test", "dtype": "integer", "shape": []}}}


class PlainSensor:
    """Members of its own where others have them by their class."""

    parent = None

    def __init__(self, name: str, keys: list[str] | None = None) -> None:
        self.name = name
        self._keys = keys or [name]
        self.hints = {"fields": self._keys[:1]}
        self.read = lambda: {key: {"value": 1.5, "timestamp": 2.0} for key in self._keys}
        self.describe = lambda: {
            key: {"source": "test", "dtype": "number", "shape": []} for key in self._keys
        }
