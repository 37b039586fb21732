"""Devices whose readings are images."""

from __future__ import annotations

import asyncio
import weakref
from typing import Any

import numpy as np
from bluesky.protocols import HasName
from ophyd_async.core import AsyncStatus

from freewheel import Status
from freewheel.sim import SimCamera

from .statuses import finished


class FrameCamera:
    """A new frame for each trigger, and a list of them that keeps none alive."""

    parent = None

    def __init__(self) -> None:
        self.name = "camera"
        self.frames: list[weakref.ref[Any]] = []
        self.paused = 0
        self._frame = np.zeros((8, 8), np.uint16)

    def trigger(self) -> Status:
        self._frame = np.full((8, 8), len(self.frames), np.uint16)
        self.frames.append(weakref.ref(self._frame))
        return finished()

    def read(self) -> dict[str, Any]:
        return {self.name: {"value": self._frame, "timestamp": 1.0}}

    def describe(self) -> dict[str, Any]:
        return {self.name: {"source": "test", "dtype": "array", "shape": [8, 8]}}

    def pause(self) -> None:
        self.paused += 1

    def resume(self) -> None:
        pass


class Shutter:
    """Notes where it is sent."""

    parent = None

    def __init__(self) -> None:
        self.name = "shutter"
        self.moves: list[str] = []

    def set(self, value: str) -> Status:
        self.moves.append(value)
        return finished()


class DarkCamera:
    """Shows an offset in the dark, with one wild frame, and 100 more in the light."""

    parent = None

    def __init__(self, shutter: Shutter | None, shape: tuple[int, ...] = (3, 700, 400)) -> None:
        self.name = "camera"
        self._shutter = shutter
        self._shape = shape
        self.offset = (np.arange(np.prod(shape)) % 1000).astype(np.uint16).reshape(shape)
        self._count = 0

    def read(self) -> dict[str, Any]:
        self._count += 1
        frame = self.offset.copy()
        if self._count == 2:
            frame += 1000
        if self._shutter is None or self._shutter.moves[-1:] == ["Open"]:
            frame += 100
        return {
            "image": {"value": frame, "timestamp": 1.0},
            "level": {"value": 7, "timestamp": 1.0},
        }

    def describe(self) -> dict[str, Any]:
        return {
            "image": {
                "source": "test",
                "dtype": "array",
                "dtype_numpy": "<u2",
                "shape": list(self._shape),
            },
            "level": {"source": "test", "dtype": "integer", "shape": []},
        }


class FaultyCamera(HasName):
    """Frames, or whatever else is asked for."""

    parent = None

    def __init__(
        self, name: str = "camera", shape: tuple[int, ...] = (4, 5), **faults: Any
    ) -> None:
        self._name = name
        self._shape = shape
        self._faults = faults
        self._count = 0
        self.gain = 1

    @property
    def name(self) -> str:
        return self._name

    @AsyncStatus.wrap
    async def trigger(self) -> None:
        self._count += 1
        if self._count == self._faults.get("fails_at"):
            raise RuntimeError("no light")

    async def read(self) -> Any:
        if "reading" in self._faults and self._count == 2:
            return self._faults["reading"]
        value = np.full(self._shape, self._count * self.gain, np.uint16)
        return {self.name: {"value": value, "timestamp": 1.0}}

    async def describe(self) -> Any:
        return {
            self.name: {
                "source": "test",
                "dtype": "array",
                "dtype_numpy": "<u2",
                "shape": list(self._shape),
            }
        }

    def configure(self, gain: int) -> Any:
        old = {"gain": {"value": self.gain, "timestamp": 0.0}}
        self.gain = gain
        return old, self._configuration()

    def _configuration(self) -> Any:
        return {"gain": {"value": self.gain, "timestamp": 0.0}}

    async def read_configuration(self) -> Any:
        return self._configuration()

    async def describe_configuration(self) -> Any:
        return {"gain": {"source": "test", "dtype": "integer", "shape": []}}


class CountedCamera(SimCamera):
    """A simulated camera that counts how often it is staged."""

    staged = 0

    @AsyncStatus.wrap
    async def stage(self) -> None:
        self.staged += 1
        await super().stage()

    @AsyncStatus.wrap
    async def unstage(self) -> None:
        await asyncio.sleep(0)
        self.staged -= 1
        await super().unstage()
