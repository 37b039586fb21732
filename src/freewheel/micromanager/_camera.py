"""Cameras."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from bluesky.protocols import EventCollectable, Flyable, Preparable, Triggerable
from ophyd_async.core import (
    AsyncStatus,
    DetectorTrigger,
    SignalRW,
    SoftSignalBackend,
    StandardReadableFormat,
    TriggerInfo,
    WatchableAsyncStatus,
    WatcherUpdate,
)

from ._device import CoreDevice
from ._errors import CoreError
from ._frames import FrameLimits, FrameSequence, SequenceStoppedError
from ._image import ImageBackend
from ._pixel_size import affine_signal, size_signal
from ._properties import limited
from ._region import RegionBackend
from ._signals import Access, CoreBackend, CoreSignalR, CoreSignalRW
from ._statuses import CallStatus, DoneStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    import numpy.typing as npt
    from bluesky.protocols import PartialEvent, Status
    from event_model import DataKey

    from ._frames import CoreFrame
    from ._port import Port

__all__ = ["Camera"]

_SETTINGS: Final = ("Binning", "PixelType", "BitDepth", "Gain")  # that tell what a frame is
_LONG: Final = 0.1  # s; frames that are exposed for longer are not asked for ahead
_TELLING: Final = 0.1  # s between two looks at how far a sequence has come


class Camera(CoreDevice, Triggerable, Preparable, Flyable, EventCollectable):
    """A camera.

    - **Snap**: each `trigger` takes one frame, and `read` returns it under ``<name>-image``.
    - **Fly**: `prepare` with a number of frames, `kickoff`, and the camera takes them by itself, as
      fast as it can; `collect` gives those that have come as events, with the core's metadata.
    - **Free running**: with `free_running` set, `trigger` gives the newest frame of a sequence
      without end. For live views at the camera's own rate; the frame may have been exposed
      before the trigger.

    Frames are the arrays that the core gives, without a further copy. Those of several cameras that
    are one (the adapter ``Multi Camera``) are stacked, and taken by snaps alone.

    Parameters
    ----------
    port, label, name
        As for `CoreDevice`.
    others : callable
        Returns the core's other cameras.

    Attributes
    ----------
    exposure : SignalRW[float]
        Exposure time [ms].
    roi : SignalRW[Array1D[int32]]
        Region of interest: left, top, width, height [pixels]. All zeros is the whole sensor.
    free_running : SignalRW[bool]
        See above.
    pixel_size : SignalR[float]
        How large a pixel is in the sample [um], binned as it is; 0 if the core does not know.
    pixel_affine : SignalR[Array1D[float64]]
        How the camera is turned on the stage: Micro-Manager's six numbers [um].
    image : SignalR[numpy.ndarray]
        The newest frame.
    frame_limits : FrameLimits
        How long to wait for the frames of a sequence, and how many to keep.
    """

    def __init__(
        self,
        port: Port,
        label: str,
        name: str = "",
        *,
        others: Callable[[], Sequence[Any]] = tuple,
    ) -> None:
        self._others = others
        self._is_several = port.core.getDeviceName(label) == "Multi Camera"
        self.frame_limits = FrameLimits()
        self._sequence: FrameSequence | None = None  # that runs, or whose frames are not taken
        self._count = 0  # of frames, for the next sequence
        self._collected = 0
        self._unstaged = 0  # how often: what was asked for before is not begun after it
        # Set from whichever thread announces it, in one step.
        self._exposure_time = float(port.core.getExposure(label)) / 1000
        port.changes.watch(("exposure", label), self._exposure_changed)
        port.changes.watch(("property", label, "Exposure"), self._exposure_changed)
        # Settings wait for the frames that were asked for before them, or else one would be read
        # out with other settings than it was taken with.
        super().__init__(port, label, lane=port.camera_lane)
        self.exposure = _exposure(port, label)
        self.roi = CoreSignalRW(RegionBackend(port, label, self._end_free_running))
        self._runs_freely = SoftSignalBackend(bool, False)
        self.free_running = CoreSignalRW(self._runs_freely)
        self.pixel_size = size_signal(port, label)
        self.pixel_affine = affine_signal(port, label)
        self._image = ImageBackend(port, label)
        self.image = CoreSignalR(self._image)
        named = [self.properties[known] for known in _SETTINGS if known in self.properties]
        self.add_readables(
            [
                *(self.exposure, self.roi, self.free_running),
                *(self.pixel_size, self.pixel_affine),
                *named,
            ],
            StandardReadableFormat.CONFIG_SIGNAL,
        )
        # Not cached: a subscription would make ophyd-async format every frame for its log.
        self.add_readables([self.image], StandardReadableFormat.HINTED_UNCACHED_SIGNAL)
        self.set_name(name)

    def _exposure_changed(self, milliseconds: float | str) -> None:
        self._exposure_time = float(milliseconds) / 1000

    @property
    def binning(self) -> SignalRW[int]:
        """The property ``Binning``, which almost every camera has."""
        signal: SignalRW[int] = self.properties["Binning"]  # type: ignore[assignment]
        return signal

    def claimed_devices(self) -> Sequence[Any]:
        """Return the core's other cameras if this one takes frames by itself, or is made of them.

        The core has one place for that. Snaps take turns. A shutter that the core moves for each
        frame claims the cameras (`Shutter`), and not they it: they share it.
        """
        flies = self._count or self._sequence is not None
        if flies or self._runs_freely.reading["value"] or self._is_several:
            return self.others()
        return ()

    def others(self) -> Sequence[Any]:
        """Return the core's other cameras, none of which can be used while this one runs."""
        return self._others()

    # -- single frames ------------------------------------------------------------------------

    @property
    def triggers_ahead(self) -> bool:
        """Whether a frame can be asked for ahead, and it pays: snaps with short exposures."""
        return (
            self._sequence is None
            and not self._runs_freely.reading["value"]
            and self._exposure_time < _LONG
        )

    def trigger(self, *, ahead: bool = False) -> Status:
        """Take a frame; when free running, wait for a new one.

        Parameters
        ----------
        ahead : bool
            Whether it is the one after the frame that is being taken now: it is begun as soon as
            that is over, and is there when that was read. See `freewheel.core.TriggersAhead`.

        Returns
        -------
        Status
            Done when it can be read.

        Raises
        ------
        CoreError
            When the camera does not deliver it, or a sequence runs that somebody else started.
        """
        if not ahead:
            self._image.ahead.anew()
        if self._sequence is None:
            if not self._runs_freely.reading["value"]:
                return self._snap(ahead=ahead)
        elif self._runs_freely.reading["value"]:
            frame = self._sequence.take_newest()
            if frame is not None:  # the camera is ahead
                self.show(frame)
                return DoneStatus()
        task = asyncio.get_running_loop().create_task(self._trigger(self._unstaged))
        return AsyncStatus(task, name=self.name)

    async def _trigger(self, unstaged: int) -> None:
        if self._runs_freely.reading["value"]:
            if self._unstaged == unstaged:
                await self._show_newest()
            return
        await self.end()
        await self._snap()

    async def _show_newest(self) -> None:
        with contextlib.suppress(SequenceStoppedError):  # its plan has unstaged the camera
            sequence = self._sequence
            if sequence is None or sequence.ended:
                sequence = await self.begin(0)
            self.show(await sequence.newest())

    def pause(self) -> None:
        """Have frames that were asked for ahead wait for no reading; the engine calls it."""
        self._image.ahead.anew()

    def resume(self) -> None:
        """Do nothing: a plan that goes on asks for its frames anew."""

    def _snap(self, *, ahead: bool = False) -> CallStatus[npt.NDArray[Any] | None]:
        core, label, port, unstaged = self._port.core, self.label, self._port, self._unstaged
        asked = self._image.ahead.ask() if ahead else None

        def snap() -> npt.NDArray[Any] | None:
            if asked is not None:
                if self._unstaged != unstaged:
                    return None  # nobody wants it any more
                asked.begun = True
            port.make_current(label)
            core.snapImage()
            channels = core.getNumberOfCameraChannels()
            if channels > 1:
                if not core.getBytesPerPixel():
                    raise RuntimeError("its cameras differ in the size or the type of their frames")
                return np.stack([core.getImage(channel) for channel in range(channels)])
            return core.getImage()

        return CallStatus(
            port.camera_lane.begin(snap, self._patience),
            self._show_snap,
            lambda error: port.explained(label, "take a frame", error, self._patience),
            self.name,
            None if asked is None else asked.when_read,
        )

    def _show_snap(self, pixels: npt.NDArray[Any] | None) -> None:
        if pixels is not None:
            self._image.update(pixels, time.time())

    def _patience(self) -> float:
        """Return how long a frame may take [s]."""
        return self._exposure_time + self._port.timeout + 5.0

    def show(self, frame: CoreFrame) -> None:
        """Make a frame of a sequence the one that is read. On the loop."""
        self._image.update(frame.pixels, frame.timestamp)

    # -- sequences ----------------------------------------------------------------------------

    async def begin(self, count: int) -> FrameSequence:
        """Have the camera take frames by itself.

        Parameters
        ----------
        count : int
            How many; 0 goes on until `end`.

        Returns
        -------
        FrameSequence
            Whose frames are to be taken.

        Raises
        ------
        CoreError
            When the core does not start it.
        SequenceStoppedError
            When the camera is unstaged before it could begin.
        """
        what = f"start a sequence of {count} frames" if count else "start to run freely"
        unstaged = self._unstaged
        await self.end()
        if self._unstaged != unstaged:
            raise SequenceStoppedError(self.label, what, "it was unstaged before that")
        sequence = FrameSequence(
            self._port, self.label, count, self._exposure_time, self.frame_limits
        )
        self._sequence = sequence  # to be ended even if who waits for its begin is cancelled
        await self._port.call(self.label, what, sequence.start, lane=self._port.camera_lane)
        return sequence

    async def _end_free_running(self) -> None:
        """Make way for another region; the next `trigger` begins anew.

        Raises
        ------
        ValueError
            When a sequence runs whose frames are counted: it would end before its time.
        """
        sequence = self._sequence
        if sequence is None or not sequence.count:
            await self.end()
        elif not sequence.delivered:
            raise ValueError(
                f"{self.name} takes a sequence, of which {sequence.came} of {sequence.count} "
                "frames have come: its region can be set when it is complete, or unstaged"
            )

    async def end(self) -> None:
        """End the sequence that runs, if one does; frames that were not taken are dropped."""
        sequence = self._sequence
        if sequence is None:
            return
        # Beside the lane, for what is there may wait for the camera.
        lane = self._port.lane(f"{self.label} (stop)")
        await self._port.call(self.label, "end a sequence", sequence.stop, lane=lane)
        await sequence.over()
        if self._sequence is sequence:  # not before: who waits here may be cancelled
            self._sequence = None

    @AsyncStatus.wrap
    async def prepare(self, value: int | TriggerInfo) -> None:
        """Set how many frames the next `kickoff` takes, and with a `TriggerInfo` the exposure.

        Raises
        ------
        ValueError
            For a number below 1, or what the camera can't do by itself.
        """
        if isinstance(value, TriggerInfo):
            if value.trigger is not DetectorTrigger.INTERNAL or value.deadtime:
                raise ValueError(
                    f"{self.name} takes frames by itself, one right after the other: its trigger "
                    "must be INTERNAL and its dead time 0"
                )
            if value.livetime:
                await self.exposure.set(value.livetime * 1000)
            value = value.number_of_events
        if value < 1:
            raise ValueError(f"{self.name} takes 1 frame or more, not {value}")
        self._count = int(value)

    def kickoff(self) -> AsyncStatus[None]:
        """Begin to take the frames that were prepared.

        Raises
        ------
        RuntimeError
            When none were.
        """
        return AsyncStatus(self._kickoff(self._unstaged), name=self.name)

    async def _kickoff(self, unstaged: int) -> None:
        if self._unstaged != unstaged:
            return  # its plan has ended before it could begin
        if not self._count:
            raise RuntimeError(f"{self.name} was not prepared: prepare it with a number of frames")
        count, self._count = self._count, 0
        self._collected = 0
        with contextlib.suppress(SequenceStoppedError):
            await self.begin(count)

    @WatchableAsyncStatus.wrap
    async def complete(self) -> AsyncIterator[WatcherUpdate[int]]:
        """Wait until the camera has delivered all frames.

        Raises
        ------
        CoreError
            When it does not; those that came can be collected.
        RuntimeError
            When it takes none: there was no kickoff.
        """
        sequence = self._sequence
        if sequence is None:
            raise RuntimeError(f"{self.name} takes no frames: kickoff comes before complete")
        finished = asyncio.ensure_future(sequence.finished())
        try:
            while not (await asyncio.wait([finished], timeout=_TELLING))[0]:
                yield WatcherUpdate(sequence.came, 0, sequence.count, self.name, "frames", 0)
            finished.result()
        finally:
            finished.cancel()
        yield WatcherUpdate(sequence.count, 0, sequence.count, self.name, "frames", 0)

    async def describe_collect(self) -> dict[str, DataKey]:
        """Describe what `collect` gives: the frame, its number, time, and the core's metadata."""
        source = f"mmcore://{self.label}/sequence"
        image = await self.image.describe()
        return {
            **image,
            self._key("frame"): {"source": source, "dtype": "integer", "shape": []},
            self._key("elapsed"): {
                "source": source,
                "dtype": "number",
                "shape": [],
                "units": "ms",
            },
            self._key("metadata"): {"source": source, "dtype": "string", "shape": []},
        }

    def _key(self, part: str) -> str:
        return f"{self.name}-{part}"

    async def collect(self) -> AsyncIterator[PartialEvent]:
        """Give the frames that have come since the last time, each as an event.

        ``<name>-frame`` counts from 1; ``<name>-elapsed`` is the camera's time since the begin
        of the sequence [ms], NaN if it does not tell; ``<name>-metadata`` is all that the core
        says of the frame, as JSON.
        """
        sequence = self._sequence
        while sequence is not None and (sequence.waiting or sequence.delivered):
            try:
                frame = await sequence.next()
            except CoreError:
                break  # all were taken; `complete` tells what went wrong
            self._collected += 1
            self.show(frame)
            data = {
                self.image.name: frame.pixels,
                self._key("frame"): self._collected,
                self._key("elapsed"): frame.elapsed,
                self._key("metadata"): json.dumps(frame.tags),
            }
            yield {
                "data": data,
                "timestamps": dict.fromkeys(data, frame.timestamp),
                "time": frame.timestamp,
            }

    @AsyncStatus.wrap
    async def unstage(self) -> None:
        """End a sequence that runs; wait for an exposure that was asked for ahead and has begun."""
        self._unstaged += 1
        self._image.ahead.anew()
        await self.end()
        await self._image.ahead.over()
        await super().unstage()


def _exposure(port: Port, label: str) -> SignalRW[float]:
    core = port.core
    access = Access(
        label,
        "its exposure",
        get=lambda: float(core.getExposure(label)),
        put=lambda value: core.setExposure(label, float(value)),
        topics=[("exposure", label), ("property", label, "Exposure")],
        convert=float,
        metadata=limited(core, label, "Exposure", {"units": "ms", "precision": 3}),
        lane=port.camera_lane,
    )
    return CoreSignalRW(CoreBackend(float, port, access))
