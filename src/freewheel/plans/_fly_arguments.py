"""What a fly scan is given, looked at before anything is asked of a device."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from bluesky.protocols import Collectable, Flyable, Preparable, WritesStreamAssets

from freewheel.core._devices import device_name

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["check_devices", "check_ends", "check_times", "whole_number"]

_DETECTOR: Final = (Preparable, Flyable, Collectable, WritesStreamAssets)
_FLYER: Final = (Preparable, Flyable)


def whole_number(plan: str, what: str, number: float, *, least: int = 1) -> int:
    """Return a number of points as what it is, or raise ``ValueError``."""
    if not least <= number < math.inf or number != int(number):
        msg = f"{what} of {plan} must be a whole number, {least} or more, not {number!r}"
        raise ValueError(msg)
    return int(number)


def check_times(plan: str, exposure: float | None, collect_every: float, patience: float) -> None:
    """Refuse times that are none."""
    times = {"exposure": exposure, "collect_every": collect_every, "patience": patience}
    for name, time in times.items():
        if time is not None and not time > 0:
            msg = f"{name} of {plan} must be a time in seconds above zero, not {time!r}"
            raise ValueError(msg)


def check_ends(plan: str, axis: Any, start: float, stop: float) -> None:
    """Refuse places where no axis can be."""
    if not (math.isfinite(start) and math.isfinite(stop)):
        along = f"{plan} along {device_name(axis)}"
        msg = f"start and stop of {along} must be finite, not {start} to {stop}"
        raise ValueError(msg)


def check_devices(
    plan: str, detectors: Sequence[Any], flyers: Sequence[Any], axes: Sequence[Any]
) -> None:
    """Refuse devices that cannot do their part, and those that are given twice."""
    if not detectors:
        msg = f"{plan} needs a detector: nothing else says which points were taken"
        raise ValueError(msg)
    if axes and not flyers:
        msg = f"{plan} needs flyers: without them nothing moves, and nothing sends triggers"
        raise ValueError(msg)
    for device in detectors:
        if not _has(device, _DETECTOR):
            raise TypeError(
                f"{device_name(device)} cannot fly: that takes a detector that writes its own "
                "files, such as a StandardDetector of ophyd-async."
            )
    for device in flyers:
        if not _has(device, _FLYER):
            raise TypeError(
                f"{device_name(device)} is no flyer: that takes `prepare`, `kickoff` and "
                "`complete`, such as a StandardFlyable of ophyd-async has them."
            )
    _refuse_twice(plan, "detectors and flyers", [*detectors, *flyers])
    _refuse_twice(plan, "axes", axes)


def _has(device: Any, protocols: tuple[type, ...]) -> bool:
    return all(isinstance(device, protocol) for protocol in protocols)


def _refuse_twice(plan: str, what: str, devices: Sequence[Any]) -> None:
    for place, device in enumerate(devices):
        if any(device is other for other in devices[:place]):
            msg = f"{plan} was given {device_name(device)} twice among its {what}"
            raise ValueError(msg)
