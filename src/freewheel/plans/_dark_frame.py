"""Frames without what the camera shows in the dark."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, TypeVar

import numpy as np
from annotated_types import Ge
from bluesky.preprocessors import run_wrapper, stage_wrapper
from bluesky.protocols import Descriptor, Movable, Readable, Reading
from bluesky.utils import MsgGenerator
from numpy.typing import NDArray

from freewheel.core import ReadingCache
from freewheel.plan_stubs import (
    checkpoint,
    clear_cache,
    create,
    describe,
    drop,
    mv,
    read,
    read_and_stash,
    save,
    trigger_and_read,
)
from freewheel.plan_stubs._answer import answer_of

__all__ = ["DarkFrameResult", "dark_frame"]

T = TypeVar("T")

# Bytes of the frames whose median is taken in one go.
_SORTED_AT_ONCE = 2**22


@dataclass(frozen=True)
class DarkFrameResult:
    """Dark frames, and the last frames that they were subtracted from; both by data key.

    Attributes
    ----------
    dark : mapping of str to ndarray
        For each key the median of the dark frames, ``float32``, in the shape of a frame.
    corrected : mapping of str to ndarray
        For each key the last frame less the dark frame, in the same type and shape.
    """

    dark: Mapping[str, NDArray[np.float32]]
    corrected: Mapping[str, NDArray[np.float32]]


def dark_frame(
    detectors: Sequence[Readable[Any]],
    *,
    dark_frames: Annotated[int, Ge(1)] = 16,
    frames: Annotated[int, Ge(1)] = 1,
    shutter: Movable[Any] | None = None,
    closed: str = "Closed",
    opened: str = "Open",
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[DarkFrameResult]:
    """Take the median of dark frames, then frames from which it is subtracted.

    One run of three streams: ``dark``, ``primary`` for the frames as they come, and
    ``corrected``, whose keys are the frames' with ``-corrected`` at the end.

    Parameters
    ----------
    detectors : sequence of Readable
        The cameras. Of their keys those are corrected that describe arrays of two dimensions or
        more.
    dark_frames : int
        How many dark frames; so many are kept in memory until their median is taken.
    frames : int
        How many frames are corrected.
    shutter : Movable, optional
        Closed before the dark frames, opened after them. Without one they are taken at once.
    closed, opened : str
        The shutter's two positions.
    md : mapping, optional
        Metadata of the run.

    Yields
    ------
    Msg
        Messages of one run.

    Returns
    -------
    DarkFrameResult
        The dark frames and the last corrected ones.

    Raises
    ------
    ValueError
        If there is nothing that could be corrected, or fewer than one frame is asked for.
    """
    if dark_frames < 1 or frames < 1:
        msg = f"dark_frame needs at least one frame of each kind, not {dark_frames} and {frames}"
        raise ValueError(msg)
    metadata = {
        "plan_name": "dark_frame",
        "detectors": [detector.name for detector in detectors],
        "num_dark": dark_frames,
        "num_points": frames,
        "hints": {},
        **(md or {}),
    }

    corrections: list[_Correction] = []  # the wrappers below return what is theirs

    def take() -> MsgGenerator[None]:
        for detector in detectors:
            corrections.extend(_corrections(detector, (yield from describe(detector))))
        if not corrections:
            names = ", ".join(detector.name for detector in detectors) or "no detector"
            msg = f"dark_frame finds no array of two dimensions among the keys of {names}"
            raise ValueError(msg)
        if shutter is not None:
            yield from mv(shutter, closed)
        caches = yield from _take_dark(detectors, dark_frames)
        if shutter is not None:
            yield from mv(shutter, opened)
        for correction in corrections:
            cache = caches[correction.detector_name]
            # Off the loop: the median of many large frames takes seconds.
            median_of = partial(asyncio.to_thread, correction.median_of, cache)
            correction.dark = yield from answer_of(median_of, looks_at=None)
        for cache in caches.values():
            yield from clear_cache(cache, wait=True)
        for _ in range(frames):
            yield from _take_corrected(detectors, corrections)

    yield from stage_wrapper(run_wrapper(take(), md=metadata), list(detectors))
    return DarkFrameResult(
        {c.key: c.dark for c in corrections}, {c.key: c.frame for c in corrections}
    )


def _take_dark(
    detectors: Sequence[Readable[Any]], dark_frames: int
) -> MsgGenerator[dict[str, Any]]:
    caches: dict[str, Any] = {
        detector.name: ReadingCache(maxlen=dark_frames) for detector in detectors
    }
    for _ in range(dark_frames):
        yield from checkpoint()
        yield from read_and_stash(detectors, list(caches.values()), stream="dark", wait=True)
    return caches


def _take_corrected(
    detectors: Sequence[Readable[Any]], corrections: Sequence["_Correction"]
) -> MsgGenerator[None]:
    yield from checkpoint()
    readings = yield from trigger_and_read(detectors)
    for correction in corrections:
        if correction.key in readings:  # not so in list(plan)
            correction.subtract_from(readings[correction.key])
    yield from create("corrected")
    try:
        for correction in corrections:
            yield from read(correction)
    except Exception:
        yield from drop()
        raise
    yield from save()


def _corrections(
    detector: Readable[Any], descriptors: Mapping[str, Descriptor]
) -> list["_Correction"]:
    return [
        _Correction(detector.name, key, descriptor)
        for key, descriptor in descriptors.items()
        if descriptor["dtype"] == "array" and len(descriptor["shape"]) >= 2
    ]


class _Correction:
    """One key of one detector: its dark frame, and as a device what is left of its last frame."""

    parent = None

    def __init__(self, detector_name: str, key: str, descriptor: Descriptor) -> None:
        self.detector_name = detector_name
        self.key = key
        self._name = f"{key}-corrected"
        self._shape = list(descriptor["shape"])
        self.dark: NDArray[np.float32] = np.zeros((), np.float32)
        self.frame: NDArray[np.float32] = np.zeros((), np.float32)
        self._timestamp = time.time()

    @property
    def name(self) -> str:
        return self._name

    def median_of(self, cache: ReadingCache) -> NDArray[np.float32]:
        frames = cache.stack(self.key)
        dark = np.empty(frames.shape[1:], np.float32)
        # Some lines at a time: a median sorts a copy, and one of all frames would double them.
        lines = max(1, _SORTED_AT_ONCE // max(1, frames[:, :1].nbytes))
        for first in range(0, len(dark), lines):
            part = slice(first, first + lines)
            dark[part] = np.median(frames[:, part], axis=0)
        return dark

    def subtract_from(self, reading: Reading[Any]) -> None:
        frame = np.asarray(reading["value"])
        self.frame = np.subtract(frame, self.dark, dtype=np.float32)
        self._timestamp = reading["timestamp"]

    def read(self) -> dict[str, Reading[Any]]:
        return {self._name: {"value": self.frame, "timestamp": self._timestamp}}

    def describe(self) -> dict[str, Descriptor]:
        return {
            self._name: {
                "source": "freewheel:dark_frame",
                "dtype": "array",
                "dtype_numpy": "<f4",
                "shape": self._shape,
            }
        }
