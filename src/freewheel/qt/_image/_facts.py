"""What documents say of a picture: its channels, the size of its pixels, its brightest value."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["affine_in", "picture_keys", "pixel_size_in", "saturation_in"]

_UM = "um"
_MOST_BITS = 64
#: So far, of the size of a pixel, may an affine transform be off that belongs to it.
_NEAR: Final = 0.1


def picture_keys(descriptor: Mapping[str, Any]) -> list[str]:
    """Return the data keys of a stream that have pictures."""
    return [
        key
        for key, about in descriptor["data_keys"].items()
        if about.get("dtype") == "array" and len(about.get("shape") or ()) >= 2
    ]


def _settings(descriptor: Mapping[str, Any], key: str) -> Iterator[tuple[str, Any, str]]:
    """Yield names, values and units of the settings of the device that a picture is of."""
    of = descriptor.get("data_keys", {}).get(key, {}).get("object_name")
    configuration = descriptor.get("configuration") or {}
    for name, about in configuration.items():
        if of is None or name == of:
            for setting, value in about.get("data", {}).items():
                unit = about.get("data_keys", {}).get(setting, {}).get("units")
                yield setting.lower().replace("-", "_"), value, str(unit or "")


def pixel_size_in(
    start: Mapping[str, Any], descriptor: Mapping[str, Any], key: str
) -> tuple[float, str] | None:
    """Return the size of a pixel and its unit, if a device or the run's metadata tell it.

    That is a setting of the detector whose name ends with ``pixel_size``, or metadata
    ``pixel_size`` of the run; with a unit of its own, or in um.
    """
    for setting, value, unit in _settings(descriptor, key):
        if setting.endswith(("pixel_size", "pixelsize", "pixel_size_um")):
            size = _number_in(value)
            if size:  # else it is not known there
                return size, unit or _UM
    told = start.get("pixel_size")
    size = _number_in(told)
    if not size:
        return None
    last = told[-1] if isinstance(told, (list, tuple)) else None
    return size, last if isinstance(last, str) else _UM


def _number_in(value: Any) -> float | None:
    """Return the number, or the first of several, if it is one and above 0.

    People and devices write what they like: it is no reason not to show their picture.
    """
    try:
        number = float(np.ravel(np.asarray(value, object))[0])
    except (IndexError, TypeError, ValueError, OverflowError):
        return None
    return number if number > 0 and math.isfinite(number) else None


def affine_in(
    start: Mapping[str, Any], descriptor: Mapping[str, Any], key: str
) -> tuple[float, float, float, float] | None:
    """Return how far the stage goes for a pixel to the right and down, if a device tells it.

    In um: x to the right, x down, y to the right, y down. That is a setting of the detector whose
    name ends with ``pixel_affine``, as Micro-Manager's six numbers; one that does not go with the
    size of a pixel was never measured, as for Micro-Manager itself.
    """
    size = pixel_size_in(start, descriptor, key)
    for setting, value, _ in _settings(descriptor, key):
        if setting.endswith("pixel_affine") and size is not None and size[1] == _UM:
            try:
                xx, xy, _, yx, yy, _ = (float(number) for number in np.ravel(value))
            except (TypeError, ValueError, OverflowError):  # as of a size
                return None
            told = abs(xx * yy - xy * yx) ** 0.5
            return (xx, xy, yx, yy) if abs(told - size[0]) <= _NEAR * size[0] else None
    return None


def saturation_in(descriptor: Mapping[str, Any], key: str, dtype: np.dtype[Any]) -> float | None:
    """Return the value at which a picture's pixels are saturated; `None` if nobody knows."""
    for setting, value, _ in _settings(descriptor, key):
        if setting.endswith(("bit_depth", "bitdepth")):
            bits = _number_in(value)
            if bits is not None and bits <= _MOST_BITS:
                return float(2 ** int(bits) - 1)
    limits = descriptor.get("data_keys", {}).get(key, {}).get("limits") or {}
    for kind in ("control", "display"):
        if (high := _number_in((limits.get(kind) or {}).get("high"))) is not None:
            return high
    if dtype.kind in "ui" and dtype.itemsize <= 2:
        return float(np.iinfo(dtype).max)
    return None
