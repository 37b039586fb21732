"""The newest frame of a camera, as a signal's backend."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from ophyd_async.core import SignalBackend

from ._ahead import AheadFrames

if TYPE_CHECKING:
    import numpy.typing as npt
    from bluesky.protocols import Reading
    from event_model import DataKey
    from ophyd_async.core import Callback

    from ._port import Port

__all__ = ["ImageBackend"]

_DTYPES: Final = {1: "|u1", 2: "<u2", 4: "<u4", 8: "<u8"}  # by bytes for each pixel


class ImageBackend(SignalBackend[np.ndarray]):
    """The newest frame, handed on as it is. Used on the loop.

    Attributes
    ----------
    ahead : AheadFrames
        Frames that are shown when the one before was read.
    """

    def __init__(self, port: Port, label: str) -> None:
        super().__init__(np.ndarray)
        self.ahead = AheadFrames()
        self._port = port
        self._label = label
        self._callback: Callback[Reading[np.ndarray]] | None = None
        self._newest: Reading[np.ndarray] | None = None

    def update(self, pixels: npt.NDArray[Any], timestamp: float) -> None:
        """Make a frame the signal's value."""
        self._newest = {"value": pixels, "timestamp": timestamp, "alarm_severity": 0}
        self.ahead.shown()
        if self._callback is not None:
            self._callback(self._newest)

    def source(self, name: str, read: bool) -> str:
        return f"mmcore://{self._label}/image"

    async def connect(self, timeout: float) -> None:  # noqa: ASYNC109 (its base says so)
        async with asyncio.timeout(timeout):
            await self._form()

    async def put(self, value: np.ndarray | None) -> None:
        raise TypeError(f"the image of {self._label!r} is read only")

    async def _form(self) -> tuple[list[int], str]:
        """Return shape and type of the frames that the camera would take now."""
        core, label = self._port.core, self._label

        def form() -> tuple[list[int], str]:
            self._port.make_current(label)
            shape = [core.getImageHeight(), core.getImageWidth()]
            size, components = core.getBytesPerPixel(), core.getNumberOfComponents()
            if components > 1:
                shape.append(3)
                size //= components
            channels = core.getNumberOfCameraChannels()
            if channels > 1:
                shape.insert(0, channels)
            return shape, _DTYPES.get(size, "<u2")

        return await self._port.call(
            label, "tell the shape of its frames", form, lane=self._port.camera_lane
        )

    async def get_datakey(self, source: str) -> DataKey:
        shape, dtype = await self._form()
        return {
            "source": source,
            "dtype": "array",
            "dtype_numpy": dtype,
            "shape": list(shape),
            "units": "counts",
        }

    async def get_reading(self) -> Reading[np.ndarray]:
        if self._newest is None:
            shape, dtype = await self._form()
            self.update(np.zeros(shape, np.dtype(dtype)), time.time())
            assert self._newest is not None
        newest = self._newest
        self.ahead.read()
        return newest

    async def get_value(self) -> np.ndarray:
        return (await self.get_reading())["value"]

    async def get_setpoint(self) -> np.ndarray:
        return await self.get_value()

    def set_callback(self, callback: Callback[Reading[np.ndarray]] | None) -> None:
        if callback is not None and self._callback is not None:
            raise RuntimeError("Cannot set a callback when one is already set")
        self._callback = callback
        if callback is not None:
            if self._newest is None:
                # Whoever subscribes is told at once, and the core can't be asked without waiting.
                self.update(np.zeros((1, 1), np.uint16), time.time())
            else:
                callback(self._newest)
