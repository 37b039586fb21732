"""Frames of a running sequence, taken out of the core's buffer as they come."""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
import time
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, final

from freewheel.core._crossings import Waiter, new_waiter, wake

from ._errors import BufferOverflowError, CoreError, FrameTimeoutError
from ._lanes import THREAD_NAME

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from pymmcore_plus.core import Metadata

    from ._port import Port

__all__ = ["CoreFrame", "FrameLimits", "FrameSequence", "SequenceStoppedError"]

_FULL_LOOK: Final = 0.02  # s between two looks at the camera while there is no room
_LOOK: Final = 0.001  # s between two looks into an empty buffer, at least
_LATEST_LOOK: Final = 0.02  # s after the last one, however long the frames before took
_EARLY: Final = 0.75  # of the time that the last frame took, when the next one is looked for


@dataclass(frozen=True)
class CoreFrame:
    """One frame.

    Attributes
    ----------
    pixels : numpy.ndarray
        The frame, as the core gave it: no further copy.
    metadata : Metadata
        The core's metadata, as the core gave it.
    timestamp : float
        When it was taken out of the core [s since the epoch].
    """

    pixels: npt.NDArray[np.generic]
    metadata: Metadata
    timestamp: float

    @property
    def tags(self) -> dict[str, str]:
        """All of the metadata; made when it is asked for, for most frames it is not."""
        return dict(self.metadata)

    @property
    def elapsed(self) -> float:
        """The camera's time since the sequence began [ms]; NaN if it does not tell."""
        try:
            return float(self.metadata["ElapsedTime-ms"])
        except (KeyError, ValueError):
            return math.nan


@dataclass(frozen=True)
class FrameLimits:
    """How long to wait for frames of a sequence, and how many to keep.

    Attributes
    ----------
    first : float
        For the first one, which may have to wait for a trigger [s].
    next : float
        From one to the next, beside the exposure [s].
    in_hand : int
        How much of what came may wait until it is taken [bytes]: more stays in the core's buffer,
        until that overflows.
    """

    first: float = 20.0
    next: float = 5.0
    in_hand: int = 256 * 2**20


class SequenceStoppedError(CoreError):
    """The sequence was stopped by its own device: nobody wants the frame any more."""


@final
class FrameSequence:
    """A sequence that a camera takes by itself.

    A thread takes frames out of the core's buffer.

    Parameters
    ----------
    port : Port
        The way to the core.
    label : str
        The camera, which is the core's current one.
    count : int
        How many frames; 0 goes on until it is stopped.
    exposure : float
        Time from frame to frame at least [s].
    limits : FrameLimits
        How long to wait, and how many to keep.
    """

    def __init__(
        self, port: Port, label: str, count: int, exposure: float, limits: FrameLimits
    ) -> None:
        self._port = port
        self._label = label
        self._limits = limits
        self._exposure = exposure
        self.count = count
        self.taken = 0  # by whoever calls `next` and `newest`; on the loop
        # Guards those below, which the thread and the loop touch.
        self._lock = threading.Lock()
        self._frames: deque[CoreFrame] = deque()
        self._bytes = 0
        self._came = 0
        self._error: CoreError | None = None
        self._begun = False  # the camera was told to start
        self._delivered = False  # the camera has stopped; frames may be left in the core's buffer
        self._ended = False  # and none are left there
        self._waiters: list[Waiter] = []
        self._room = threading.Event()  # set when frames were taken, or it is to end
        self._stop = threading.Event()

    @property
    def came(self) -> int:
        """How many frames the camera has delivered."""
        return self._came

    @property
    def waiting(self) -> int:
        """How many frames can be taken without waiting."""
        return len(self._frames)

    @property
    def delivered(self) -> bool:
        """Whether the camera has stopped; frames may be left to be taken."""
        return self._delivered

    @property
    def ended(self) -> bool:
        """Whether no further frames will come."""
        return self._ended

    def start(self) -> None:
        """Start the camera, and the thread; on the lane of the current camera."""
        core = self._port.core
        self._port.sequences.add(self)
        with self._lock:
            if self._stop.is_set():
                return
            self._begun = True
        try:
            self._port.make_current(self._label)
            channels = core.getNumberOfCameraChannels()
            if channels > 1:
                raise RuntimeError(f"it has {channels} channels, and is for snaps alone here")
            if self.count:
                core.startSequenceAcquisition(self.count, 0.0, True)
            else:
                core.startContinuousSequenceAcquisition(0.0)
            # What stopped it may have come before the camera had started. Ahead of the thread,
            # which tells of the end: by then the camera is to have stopped.
            if self._stop.is_set() or self._port.gate.closed:
                core.stopSequenceAcquisition(self._label)
        except Exception as problem:
            self._end(CoreError(self._label, self._goal(), str(problem)))
            raise
        name = f"{THREAD_NAME} frames of {self._label}"
        threading.Thread(target=self._take_out, name=name, daemon=True).start()

    def stop(self) -> None:
        """Stop the camera, and end; what came before can still be taken.

        On a lane, or by whoever closes the port's gate.
        """
        with self._lock:
            self._stop.set()
            begun = self._begun
        self._room.set()
        if begun:
            self._port.core.stopSequenceAcquisition(self._label)
        else:
            self._end(None)

    async def next(self) -> CoreFrame:
        """Return the next frame, when it is there.

        Raises
        ------
        CoreError
            When there will be none: the camera stopped, or its buffer overflowed.
        SequenceStoppedError
            When it was stopped with `stop`.
        """
        while (frame := self.take()) is None:
            with self._lock:
                if self._frames:
                    continue
                if self._ended:
                    raise self._error or self._over()
                waiter = self._new_waiter()
            await waiter
        return frame

    def coming(self) -> asyncio.Future[CoreFrame | None]:
        """Return a future of the next frame, or of `None` if the sequence is stopped before.

        What `next` does, without a task.
        """
        answer: asyncio.Future[CoreFrame | None] = asyncio.get_running_loop().create_future()
        self._give_next(answer)
        return answer

    def _give_next(self, answer: asyncio.Future[CoreFrame | None], _: object = None) -> None:
        if answer.done():
            return
        with self._lock:
            if not self._frames and not self._ended:
                self._new_waiter().add_done_callback(partial(self._give_next, answer))
                return
        frame = self.take()
        error = None if frame is not None else self._error or self._over()
        if error is None or isinstance(error, SequenceStoppedError):
            answer.set_result(frame)
        else:
            answer.set_exception(error)

    def take(self) -> CoreFrame | None:
        """Return the next frame if it is there; on the loop."""
        with self._lock:
            if not self._frames:
                return None
            frame = self._frames.popleft()
            self._bytes -= frame.pixels.nbytes
        self._room.set()
        self.taken += 1
        return frame

    async def newest(self) -> CoreFrame:
        """Return the newest frame, when there is one that was not returned before."""
        frame = await self.next()
        return self.take_newest() or frame

    def take_newest(self) -> CoreFrame | None:
        """Return the newest frame if there is one that was not returned; on the loop."""
        newest = None
        while (frame := self.take()) is not None:
            newest = frame
        return newest

    async def finished(self) -> None:
        """Wait until the camera has delivered all frames; they need not have been taken.

        Raises
        ------
        CoreError
            When it has not.
        """
        while True:
            with self._lock:
                if self._delivered:
                    if self._error is not None:
                        raise self._error
                    return
                waiter = self._new_waiter()
            await waiter

    async def over(self) -> None:
        """Wait until no further frames will come, for whatever reason."""
        with contextlib.suppress(CoreError):
            while not self._ended:
                await self.next()

    def _new_waiter(self) -> asyncio.Future[None]:
        """Return what is done at the next change; nobody else's. With the lock held."""
        waiter = new_waiter()
        self._waiters.append(waiter)
        return waiter[1]

    def _over(self) -> CoreError:
        what = f"deliver frame {self.taken + 1}"
        kind = SequenceStoppedError if self._stop.is_set() else CoreError
        reason = f"the sequence of {self.count} frames has ended"
        if not self.count:
            reason = "it ran freely, and was stopped, or given another region, past its device here"
        return kind(self._label, what, reason)

    # -- on the thread ------------------------------------------------------------------------

    def _take_out(self) -> None:
        error: CoreError | None = None
        try:
            error = self._follow()
        except Exception as problem:
            error = CoreError(self._label, self._goal(), str(problem))
        self._end(error)

    def _end(self, error: CoreError | None) -> None:
        with self._lock:
            self._error = error
            self._delivered = self._ended = True
        self._wake()

    def _goal(self) -> str:
        return f"deliver {self.count} frames" if self.count else "deliver frames"

    def _follow(self) -> CoreError | None:
        """Take frames out until there are no more; return what went wrong."""
        core = self._port.core
        patience = self._limits.first + self._exposure
        newest = time.monotonic()
        due = 0.0  # when the next frame is to be looked for
        while True:
            running, is_there = self._look()
            if is_there:
                self._take_one()
                patience = self._limits.next + self._exposure
                before, newest = newest, time.monotonic()
                due = newest + _EARLY * (newest - before)
            elif not running or self._stop.is_set():
                return self._ending()
            elif time.monotonic() > newest + patience:
                with self._port.gate:
                    core.stopSequenceAcquisition(self._label)
                reason = f"{self._so_far(self._came)}, and then none for {patience:g} s"
                return FrameTimeoutError(self._label, self._goal(), reason)
            else:
                # The core does not tell that a frame has come, and offers nothing to wait for.
                self._stop.wait(min(max(due - time.monotonic(), _LOOK), _LATEST_LOOK))

    def _look(self) -> tuple[bool, bool]:
        """Return whether the camera runs, and whether a frame is there."""
        core = self._port.core
        with self._port.gate:
            running = core.isSequenceRunning(self._label)  # asked before, so that no frame is lost
            return running, bool(core.getRemainingImageCount())

    def _take_one(self) -> None:
        with self._port.gate:
            pixels, metadata = self._port.core.popNextImageAndMD()
        frame = CoreFrame(pixels, metadata, time.time())
        with self._lock:
            if not self.count:  # of one that runs freely the newest is wanted, and no other
                self._frames.clear()
                self._bytes = 0
            self._frames.append(frame)
            self._bytes += pixels.nbytes
            self._came += 1
            full = self._bytes > self._limits.in_hand
            if full:
                self._room.clear()
        self._wake()
        if full:
            self._wait_for_room()

    def _wait_for_room(self) -> None:
        """Wait until frames were taken; what comes meanwhile stays in the core's buffer."""
        while not self._room.wait(_FULL_LOOK):
            if not self._delivered and not self._look()[0]:
                error = self._overflow()
                with self._lock:
                    self._error = error
                    self._delivered = True
                self._wake()

    def _so_far(self, came: int) -> str:
        return f"{came} of {self.count} came" if self.count else f"{came} came"

    def _overflow(self) -> CoreError | None:
        core = self._port.core
        with self._port.gate:
            if not core.isBufferOverflowed():
                return None
            size = core.getCircularBufferMemoryFootprint()
            came = self._came + core.getRemainingImageCount()
        reason = (
            f"{self._so_far(came)} before the core's buffer of {size} MB overflowed. Take them "
            "sooner, expose longer, or enlarge it (core.setCircularBufferMemoryFootprint)"
        )
        return BufferOverflowError(self._label, self._goal(), reason)

    def _ending(self) -> CoreError | None:
        overflow = self._overflow()
        if overflow is not None:
            return overflow
        if self.count and self._came < self.count and not self._stop.is_set():
            return CoreError(
                self._label, self._goal(), f"{self._so_far(self._came)}, then it was stopped"
            )
        return None

    def _wake(self) -> None:
        with self._lock:
            waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            wake(waiter)
