"""From whatever a detector reads to something that can be painted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["Picture", "UnshowableFrameError", "find_frame", "levels_of", "prepare"]

# Levels leave out this share of the pixels at each end: a hot pixel shall not darken the rest [%].
_CLIPPED: Final = 0.1


class UnshowableFrameError(ValueError):
    """A frame is nothing that a picture could be made of; the message says why."""


@dataclass(frozen=True)
class Picture:
    """A frame that can be painted.

    Attributes
    ----------
    pixels
        Shape (height, width), or (height, width, 3 or 4) for colour; real numbers.
    note
        What was done to the frame to show it; empty if nothing.
    planes
        The lengths of the axes before these, of a stack; empty for a single frame.
    plane
        Which of the frames of a stack this is, counted through all of them.
    """

    pixels: npt.NDArray[Any]
    note: str = ""
    planes: tuple[int, ...] = ()
    plane: int = 0

    @property
    def is_colour(self) -> bool:
        """Whether there is an axis of colours."""
        return self.pixels.ndim == 3


def prepare(value: Any, plane: int | None = None) -> Picture:
    """Make something that can be painted of a value; costs no copy for common frames.

    Parameters
    ----------
    value
        A frame: (height, width), colour (height, width, 3 or 4), or a stack of frames. Complex
        frames are shown by their magnitude.
    plane
        Which frame of a stack, counted through all its axes; by default the last.

    Returns
    -------
    Picture
        With a note of what was done.

    Raises
    ------
    UnshowableFrameError
        For anything else.
    """
    pixels = np.asarray(value)
    if pixels.dtype.kind not in "buifc":
        msg = f"values of dtype {pixels.dtype} are no picture"
        raise UnshowableFrameError(msg)
    if pixels.size == 0:
        msg = f"the frame is empty: its shape is {pixels.shape}"
        raise UnshowableFrameError(msg)
    notes = []
    colour = pixels.ndim >= 3 and pixels.shape[-1] in (3, 4)
    planes = pixels.shape[: max(0, pixels.ndim - (3 if colour else 2))]
    count = math.prod(planes)
    if plane is None or not 0 <= plane < count:
        plane = count - 1
        if count > 1:
            notes.append(f"the last of {count} frames")
    if planes:
        pixels = pixels[np.unravel_index(plane, planes)]
    if pixels.ndim < 2:
        msg = f"a frame has two dimensions, and this has the shape {np.shape(value)}; plot it"
        raise UnshowableFrameError(msg)
    if pixels.dtype.kind == "c":
        pixels = np.abs(pixels)
        notes.append("magnitude of complex values")
    elif pixels.dtype.kind == "b":
        pixels = pixels.view(np.uint8)
    elif pixels.dtype == np.float16 or pixels.dtype.itemsize > 8:
        pixels = pixels.astype(np.float32)
    return Picture(pixels, ", ".join(notes), planes if count > 1 else (), plane)


def find_frame(data: dict[str, Any], key: str | None = None) -> str | None:
    """Return the key of the frame in an event's data: ``key``, or the first that looks like one."""
    if key is not None:
        return key if key in data else None
    for name, value in data.items():
        if getattr(value, "ndim", 0) >= 2:
            return name
    return None


def levels_of(part: npt.NDArray[Any]) -> tuple[float, float]:
    """Return black and white for a part, from at most some ten thousand of its pixels.

    All of a constant part is grey between them.
    """
    coarse = part[:: max(1, part.shape[0] // 128), :: max(1, part.shape[1] // 128)]
    if part.ndim == 3:
        if part.dtype == np.uint8:
            return 0.0, 255.0
        coarse = coarse[..., :3]
    if coarse.dtype.kind == "f":
        coarse = coarse[np.isfinite(coarse)]
        if coarse.size == 0:
            return 0.0, 1.0
    if part.ndim == 3:
        return 0.0, float(coarse.max()) or 1.0
    low, high = (float(each) for each in np.percentile(coarse, (_CLIPPED, 100 - _CLIPPED)))
    if high > low:
        return low, high
    low, high = float(coarse.min()), float(coarse.max())  # but for a few pixels it is constant
    half = max(0.5, abs(low) * 1e-3)
    return (low, high) if high > low else (low - half, high + half)
