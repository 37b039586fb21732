"""What documents say of a picture: its channels, the size of its pixels, its brightest value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["picture_keys", "pixel_size_in", "saturation_in"]

_UM = "um"


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
            size = float(np.ravel(value)[0])
            return (size, unit or _UM) if size > 0 else None
    if (told := start.get("pixel_size")) is not None:
        number, unit = told if isinstance(told, (list, tuple)) else (told, _UM)
        return float(number), str(unit)
    return None


def saturation_in(descriptor: Mapping[str, Any], key: str, dtype: np.dtype[Any]) -> float | None:
    """Return the value at which a picture's pixels are saturated; `None` if nobody knows."""
    for setting, value, _ in _settings(descriptor, key):
        if setting.endswith(("bit_depth", "bitdepth")):
            return float(2 ** int(value) - 1)
    limits = descriptor.get("data_keys", {}).get(key, {}).get("limits") or {}
    for kind in ("control", "display"):
        if (high := (limits.get(kind) or {}).get("high")) is not None:
            return float(high)
    if dtype.kind in "ui" and dtype.itemsize <= 2:
        return float(np.iinfo(dtype).max)
    return None
