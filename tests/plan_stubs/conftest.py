"""An engine and simple devices for the stubs' tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from ophyd_async.core import AsyncStatus

from freewheel import RunEngine, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def engine() -> Iterator[RunEngine]:
    with RunEngine({}) as made:
        yield made


@pytest.fixture
def documents(engine: RunEngine) -> list[tuple[str, Any]]:
    """All documents that the engine emits."""
    found: list[tuple[str, Any]] = []
    engine.subscribe(lambda name, doc: found.append((name, doc)))
    return found


class Sensor:
    """Triggered and read; calls a function in the middle of each reading."""

    parent = None

    def __init__(self, name: str = "sensor", on_read: Callable[[int], None] | None = None) -> None:
        self.name = name
        self.readings = 0
        self._on_read = on_read

    @AsyncStatus.wrap
    async def trigger(self) -> None:
        pass

    async def read(self) -> dict[str, Any]:
        self.readings += 1
        if self._on_read is not None:
            self._on_read(self.readings)
        return {self.name: {"value": self.readings, "timestamp": 1.0}}

    async def describe(self) -> dict[str, Any]:
        return {self.name: {"source": "test", "dtype": "integer", "shape": []}}

    def describe_collect(self) -> dict[str, Any]:
        return {"stream": {self.name: {"source": "test", "dtype": "integer", "shape": []}}}


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
        status = Status()
        status.set_finished()
        return status

    def read(self) -> dict[str, Any]:
        return {self.name: {"value": self.position, "timestamp": 1.0}}

    def describe(self) -> dict[str, Any]:
        return {self.name: {"source": "test", "dtype": "number", "shape": []}}


@pytest.fixture
def sensor() -> Sensor:
    return Sensor()


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def make_sensor() -> type[Sensor]:
    return Sensor
