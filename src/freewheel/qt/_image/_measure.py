"""What is measured in a picture: a region, and along a line. No widget is touched here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Measured", "RegionStatistics", "at_limit", "measure"]

#: Pixels that are looked at at once, of those that are made into other numbers first.
_AT_ONCE: Final = 262_144


@dataclass(frozen=True)
class RegionStatistics:
    """Statistics of the pixels in a region; values that are not finite are left out.

    Attributes
    ----------
    mean, deviation, minimum, maximum, total
        Of the pixels' values; of colours, of their mean.
    count
        How many pixels.
    saturated
        How many of them are at the limit of what the detector can tell; `None` if that is not
        known.
    """

    mean: float
    deviation: float
    minimum: float
    maximum: float
    total: float
    count: int
    saturated: int | None = None


@dataclass(frozen=True)
class Measured:
    """What was measured in one frame.

    Attributes
    ----------
    time
        Of the frame's event [s].
    region
        Of the region, if there is one.
    distance, values
        Along the line, if there is one: pixels from its begin, and what is there.
    """

    time: float
    region: RegionStatistics | None = None
    distance: npt.NDArray[Any] | None = None
    values: npt.NDArray[Any] | None = None


def measure(
    pixels: npt.NDArray[Any],
    time: float,
    region: tuple[int, int, int, int] | None,
    line: tuple[tuple[float, float], tuple[float, float]] | None,
    limit: float | None,
) -> Measured:
    """Measure a frame; from any thread.

    Parameters
    ----------
    pixels
        The frame.
    time
        Of its event [s].
    region
        Left, top, width and height.
    line
        Two points, each x and y.
    limit
        The value from which on a pixel is saturated.
    """
    statistics = distance = values = None
    if region is not None:
        left, top, width, height = region
        part = pixels[top : top + height, left : left + width]
        statistics = _statistics_of(part, limit) if part.size else None
    if line is not None:
        distance, values = _profile_of(pixels, *line)
    return Measured(time, statistics, distance, values)


def at_limit(pixels: npt.NDArray[Any], limit: float) -> npt.NDArray[np.bool_]:
    """Return which pixels have reached a limit; of colours, in one of them."""
    full: Any
    whole = pixels.dtype.kind in "ui"
    if whole and not 0 <= limit <= np.iinfo(pixels.dtype).max:
        full = np.full(pixels.shape, limit < 0)
    else:
        full = pixels >= (math.ceil(limit) if whole else limit)  # of one kind: six times quicker
    colours: npt.NDArray[np.bool_] = full[..., :3].any(axis=2) if full.ndim == 3 else full
    return colours


def _statistics_of(part: npt.NDArray[Any], limit: float | None) -> RegionStatistics | None:
    if part.dtype.kind in "ui" and part.dtype.itemsize <= 2 and part.ndim == 2:
        return _statistics_of_counts(part, limit)
    rows = max(1, _AT_ONCE // max(1, part[0].size))
    count, total, squares, saturated = 0, 0.0, 0.0, 0
    low, high = math.inf, -math.inf
    shift = float(np.nan_to_num(part.flat[0]))  # else squares of large values eat the digits
    for begin in range(0, len(part), rows):
        chunk = part[begin : begin + rows]
        if limit is not None:
            saturated += int(np.count_nonzero(at_limit(chunk, limit)))
        numbers = chunk.astype(np.float64)
        if numbers.ndim == 3:
            numbers = numbers[..., :3].mean(axis=2)
        numbers = numbers.ravel()
        if part.dtype.kind == "f":
            numbers = numbers[np.isfinite(numbers)]
            if not numbers.size:
                continue
        low, high = min(low, float(numbers.min())), max(high, float(numbers.max()))
        numbers -= shift
        count += numbers.size
        total += float(numbers.sum())
        squares += float(np.einsum("i,i->", numbers, numbers))  # BLAS would take all processors
    if not count:
        return None
    offset = total / count
    deviation = math.sqrt(max(0.0, squares / count - offset * offset))
    whole = total + count * shift
    known = None if limit is None else saturated
    return RegionStatistics(whole / count, deviation, low, high, whole, count, known)


def _statistics_of_counts(part: npt.NDArray[Any], limit: float | None) -> RegionStatistics:
    """Do it in few steps, each without Python's lock, which the window's thread wants meanwhile."""
    total = int(part.sum(dtype=np.int64))
    # Of 16 bits, and so exact for a hundred million pixels.
    squares = float(np.einsum("ij,ij->", part, part, dtype=np.float64, casting="unsafe"))
    mean = total / part.size
    deviation = math.sqrt(max(0.0, squares / part.size - mean * mean))
    saturated = None if limit is None else int(np.count_nonzero(at_limit(part, limit)))
    low, high = float(part.min()), float(part.max())
    return RegionStatistics(mean, deviation, low, high, float(total), part.size, saturated)


def _profile_of(
    pixels: npt.NDArray[Any], begin: tuple[float, float], end: tuple[float, float]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return the values under a line, pixel by pixel; NaN where it lies outside of the frame."""
    length = math.dist(begin, end)
    share = np.linspace(0.0, 1.0, max(2, math.ceil(length) + 1))
    x = np.floor(begin[0] + share * (end[0] - begin[0])).astype(int)
    y = np.floor(begin[1] + share * (end[1] - begin[1])).astype(int)
    height, width = pixels.shape[:2]
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    found = pixels[y[inside], x[inside]].astype(np.float64)
    values = np.full(share.size, np.nan)
    values[inside] = found[:, :3].mean(axis=1) if found.ndim == 2 else found
    return share * length, values
