"""From whatever a detector reads to something that can be painted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Picture", "UnshowableFrameError", "find_frame", "prepare"]


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
    """

    pixels: npt.NDArray[Any]
    note: str = ""

    @property
    def is_colour(self) -> bool:
        """Whether there is an axis of colours."""
        return self.pixels.ndim == 3


def prepare(value: Any) -> Picture:
    """Make something that can be painted of a value; costs no copy for common frames.

    Parameters
    ----------
    value
        A frame: (height, width), colour (height, width, 3 or 4), or a stack of frames, of which
        the last is taken. Complex frames are shown by their magnitude.

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
    while pixels.ndim > 2 and not (pixels.ndim == 3 and pixels.shape[2] in (3, 4)):
        if pixels.shape[0] > 1:
            notes.append(f"the last of {pixels.shape[0]} frames")
        pixels = pixels[-1]
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
    return Picture(pixels, ", ".join(notes))


def find_frame(data: dict[str, Any], key: str | None = None) -> str | None:
    """Return the key of the frame in an event's data: ``key``, or the first that looks like one."""
    if key is not None:
        return key if key in data else None
    for name, value in data.items():
        if getattr(value, "ndim", 0) >= 2:
            return name
    return None
