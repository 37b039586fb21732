"""A camera's region of interest."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np
from ophyd_async.core import Array1D

from ._signals import Access, CoreBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from ._port import Port

__all__ = ["RegionBackend"]


@final
class RegionBackend(CoreBackend[Array1D[np.int32]]):
    """The region of interest: left, top, width and height [pixels]; all zeros is the whole sensor.

    Parameters
    ----------
    port : Port
        The way to the core.
    label : str
        The camera.
    make_way : callable
        Ends what must not run while the region changes, or refuses.
    """

    def __init__(
        self, port: Port, label: str, make_way: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        self._make_way = make_way
        access = Access(
            label,
            "its region of interest",
            get=lambda: np.array(port.core.getROI(label), dtype=np.int32),
            put=self._set,
            topics=[("roi", label)],
            lane=port.camera_lane,
        )
        super().__init__(Array1D[np.int32], port, access)

    async def put(self, value: Array1D[np.int32] | None) -> None:
        """Set the region.

        Raises
        ------
        ValueError
            When it is no region, or beyond the sensor; with the sensor's size. Or when frames of
            a sequence are still to come.
        """
        if value is not None:
            _checked(self._access.label, value)
        await self._make_way()
        await super().put(value)

    def _set(self, value: Array1D[np.int32]) -> None:
        """Set it at the core; on the lane of the current camera."""
        core, label = self._port.core, self._access.label
        before = core.getROI(label)
        region = [int(edge) for edge in value]
        if region == list(before):
            return
        self._port.make_current(label)
        # What a camera does with a region beyond its sensor is its own affair; some take it. And
        # only a camera without a region tells how large its sensor is.
        core.clearROI()
        if not any(region):
            return
        left, top, width, height = region
        _, _, columns, rows = core.getROI(label)
        if left + width > columns or top + height > rows:
            core.setROI(label, *before)
            raise ValueError(
                f"the sensor has {columns} x {rows} pixels, as it is binned now, and the region "
                f"goes to {left + width} x {top + height}"
            )
        try:
            core.setROI(label, *region)
        except RuntimeError:
            core.setROI(label, *before)
            raise


def _checked(label: str, value: Array1D[np.int32]) -> None:
    region = [int(edge) for edge in value]
    if len(region) != 4:
        raise ValueError(f"the region of {label!r} is left, top, width and height, not {region}")
    left, top, width, height = region
    if any(region) and (left < 0 or top < 0 or width < 1 or height < 1):
        raise ValueError(
            f"the region of {label!r} begins at 0 or more and has a pixel or more, in both "
            f"directions (left, top, width, height), or is all zeros, the sensor; not {region}"
        )
