"""Sequences that hardware runs by itself: the camera sets the pace, stages and states follow."""

from __future__ import annotations

import contextlib
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

from ophyd_async.core import AsyncStatus, StandardReadable
from pymmcore_plus.core import DeviceType, SequencedEvent, iter_sequenced_events

from ._errors import CoreError
from ._frames import SequenceStoppedError
from ._properties import limited
from ._signals import checked
from ._statuses import CallStatus, DoneStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bluesky.protocols import Status
    from useq import MDAEvent

    from ._camera import Camera
    from ._frames import CoreFrame, FrameSequence
    from ._motion import Stage, XYStage
    from ._port import Port

__all__ = ["HardwareSequencer"]


class HardwareSequencer(StandardReadable):
    """Runs events of a useq sequence in hardware, where the devices can.

    What a plan does with it: `batches` says which events go together; `prepare` takes the events
    of one batch; ``set(n)`` is done when the camera's reading is the frame of event ``n``, and the
    stages' positions are those of that event, as they were commanded. The first ``set``, and one
    after a pause, starts the hardware from that event on. A number that says which batch it is of
    (`freewheel.plans` sends such) takes that batch again if somebody else has prepared another.

    Its methods are for the thread of the loop that runs it.

    Parameters
    ----------
    port : Port
        The way to the core.
    camera : Camera
        The camera, which sets the pace.
    xy, focus : XYStage and Stage, optional
        The stages that follow.
    name : str
        Name of the device here.
    """

    def __init__(
        self,
        port: Port,
        camera: Camera,
        xy: XYStage | None,
        focus: Stage | None,
        name: str = "",
    ) -> None:
        # Kept in a tuple: as attributes they would become its children.
        self._parts = (camera, xy, focus)
        self._port = port
        self._events: tuple[MDAEvent, ...] = ()
        # What `batches` has found out, by the identity of the events that it has returned.
        self._grouped: dict[int, SequencedEvent] = {}
        self._corrections: tuple[float, ...] = ()
        self._sequence: FrameSequence | None = None
        self._stops = 0  # how often it was stopped
        self._success = True  # whether the last stop was an ordinary end
        self._next = 0  # the event whose frame comes next; the lane reads it while the loop waits
        self._armed = False  # whether devices were told, or are being told, to follow the camera
        self._loaded: list[Callable[[], object]] = []  # what stops them; of the lane
        super().__init__(name=name)

    def claimed_devices(self) -> Sequence[Any]:
        """Return the camera, the stages, and the core's other cameras."""
        return [*(part for part in self._parts if part is not None), *self._parts[0].others()]

    async def batches(self, events: Sequence[MDAEvent]) -> list[tuple[MDAEvent, ...]]:
        """Group events, in their order: those of a group can be run in hardware.

        Parameters
        ----------
        events : sequence of MDAEvent
            All events.

        Returns
        -------
        list of tuple of MDAEvent
            The groups; one event alone is for software.
        """
        camera = self._parts[0]
        # As long as it takes: there may be very many events.
        groups = await self._port.call(
            camera.label,
            "group events",
            lambda: list(self._groups(events)),
            lane=self._port.camera_lane,
            limit=lambda: 3600,
        )
        several = [group for group in groups if isinstance(group, SequencedEvent)]
        self._grouped = {id(group.events): group for group in several}
        return [group.events if isinstance(group, SequencedEvent) else (group,) for group in groups]

    @AsyncStatus.wrap
    async def prepare(self, value: tuple[Sequence[MDAEvent], Sequence[float]]) -> None:
        """Take the events of a batch, with what autofocus adds to the focus of each [um]."""
        await self._take(*value)

    async def _take(self, events: Sequence[MDAEvent], corrections: Sequence[float]) -> None:
        await self._end()
        self._events, self._corrections = tuple(events), tuple(corrections)
        self._next = 0

    def set(self, value: int) -> Status:
        """Wait for the frame of an event of the batch.

        Raises
        ------
        CoreError
            When the camera does not deliver it, or the hardware was stopped for a failure.
        """
        sequence = self._sequence if self._is_ours(value) else None
        if sequence is not None and value == self._next < len(self._events) - 1:
            frame = sequence.take()
            if frame is not None:  # the camera is ahead
                self._show(value, frame)
                return DoneStatus()
            come = partial(self._come, value, self._stops)
            return CallStatus(sequence.coming(), come, lambda error: error, self.name)
        return AsyncStatus(self._set(value, self._stops), name=self.name)

    def _is_ours(self, value: Any) -> bool:
        """Tell whether an event is of the batch that was prepared last."""
        return getattr(value, "events", self._events) is self._events

    async def _set(self, value: Any, stops: int) -> None:
        if not self._is_ours(value):
            await self._take(value.events, value.corrections)
        frame: CoreFrame | None = None
        with contextlib.suppress(SequenceStoppedError):  # also by who unstages the camera
            frame = await self._frame(value, stops)
        self._come(value, stops, frame)
        if self._stops == stops and frame is not None and self._next == len(self._events):
            await self._end()

    def _come(self, value: int, stops: int, frame: CoreFrame | None) -> None:
        """Take a frame as that of an event; `None` if the camera was stopped before it came."""
        if self._stops == stops:
            if frame is not None:
                self._show(value, frame)
        elif not self._success:
            raise CoreError(self._parts[0].label, f"take event {value}", "it was stopped")

    async def _frame(self, value: int, stops: int) -> CoreFrame | None:
        """Return the frame of an event; `None` if the hardware was stopped before."""
        if self._sequence is None or self._next != value:
            await self._start(value, stops)
        if self._stops != stops:
            return None
        assert self._sequence is not None
        return await self._sequence.next()

    def _show(self, value: int, frame: CoreFrame) -> None:
        camera, xy, focus = self._parts
        event = self._events[value]
        self._next = value + 1
        camera.show(frame)
        if xy is not None and event.x_pos is not None and event.y_pos is not None:
            xy.show(event.x_pos, event.y_pos)
        if focus is not None and event.z_pos is not None:
            focus.show(event.z_pos + self._corrections[value])

    async def stop(self, success: bool = True) -> None:
        """Stop the hardware, and forget what it was loaded with; the next `set` starts it again.

        The engine calls it in a pause too, as for all that a plan has moved.

        A `set` that waits for its frame fails, or is done without one if `success`.
        """
        self._stops += 1
        self._success = success
        await self._end()

    async def _end(self) -> None:
        self._sequence = None
        await self._parts[0].end()
        if self._armed:
            # Behind what loads them, which goes on when who waits for it is cancelled.
            await self._call("end a sequence", self._unload)
            self._armed = False

    async def _call(self, what: str, work: Callable[[], Any]) -> Any:
        camera = self._parts[0]
        return await self._port.call(camera.label, what, work, lane=self._port.camera_lane)

    async def _start(self, first: int, stops: int) -> None:
        """Start the hardware from an event on, unless it is stopped meanwhile."""
        await self._end()
        events = self._events[first:]
        if not events:
            raise IndexError(f"{self.name} has no event {first}; it has {len(self._events)}")
        corrections = self._corrections[first:]
        batch = self._grouped.get(id(events)) or await self._call(
            f"run {len(events)} events in hardware", lambda: self._combined(events)
        )
        if self._stops != stops:
            return
        self._armed = True  # those that were started stop, even if one further on can't be
        await self._call("load a sequence", lambda: self._load(batch, corrections))
        self._armed = bool(self._loaded)  # nothing has to stop where the camera alone runs
        if self._stops != stops:
            return
        sequence = await self._parts[0].begin(len(events))
        if self._stops == stops:
            self._sequence, self._next = sequence, first

    # -- on the lane of the current camera ----------------------------------------------------

    def _groups(self, events: Sequence[MDAEvent]) -> Iterator[SequencedEvent | MDAEvent]:
        """Group events as pymmcore-plus does, but those that set different things by themselves.

        It would make one group of an event without a place and one with it, and fail.
        """
        self._port.make_current(self._parts[0].label)
        if self._port.core.getNumberOfCameraChannels() > 1:
            yield from events  # a camera that is several is for snaps
            return
        for _, alike in groupby(events, _what_is_set):
            yield from iter_sequenced_events(self._port.core, alike)

    def _combined(self, events: tuple[MDAEvent, ...]) -> SequencedEvent:
        """Return events as one batch: what is left of one after a pause."""
        batch = next(iter(iter_sequenced_events(self._port.core, events)))
        if not isinstance(batch, SequencedEvent):  # the last one
            return SequencedEvent(events=(batch,), **_first(batch))
        if len(batch.events) != len(events):
            raise ValueError(f"it takes {len(batch.events)} at a time")
        return batch

    def _load(self, batch: SequencedEvent, corrections: Sequence[float]) -> None:
        """Load each device with its part of a batch, and have it wait for the camera."""
        self._check(batch, corrections)
        self._load_stages(batch, corrections)
        core, camera = self._port.core, self._parts[0].label
        channel = batch.channel
        # One that holds already is not set again, as by a `ConfigGroup`.
        if channel is not None and core.getCurrentConfigFromCache(channel.group) != channel.config:
            core.setConfig(channel.group, channel.config)
        for setting in batch.properties or ():
            self._set_property(*setting)
        if batch.exposure_sequence:
            core.loadExposureSequence(camera, batch.exposure_sequence)
            self._loaded.append(lambda: core.stopExposureSequence(camera))
            core.startExposureSequence(camera)
        elif batch.exposure is not None:
            core.setExposure(camera, batch.exposure)
        for (device, name), values in batch.property_sequences.items():
            texts = [str(value) for value in values]
            core.loadPropertySequence(device, name, texts)
            self._loaded.append(partial(self._stop_following, device, name, texts[-1]))
            core.startPropertySequence(device, name)
        core.waitForSystem()

    def _stop_following(self, device: str, name: str, last: str) -> None:
        """Have a property follow the camera no more, and the core know what it is.

        Its cache knows nothing of sequences, and by that a channel that holds is not set again.
        """
        core = self._port.core
        core.stopPropertySequence(device, name)
        if self._next == len(self._events):
            core.setProperty(device, name, last)
        else:
            core.getProperty(device, name)

    def _set_property(self, device: str, name: str, value: Any) -> None:
        """Set a property; of a stage its position, which need not be one."""
        core = self._port.core
        kind = core.getDeviceType(device) if name == "Position" else None
        if kind == DeviceType.Stage:
            core.setPosition(device, float(value))
        elif kind == DeviceType.XYStage:
            core.setXYPosition(device, *map(float, value))
        else:
            core.setProperty(device, name, value)

    def _check(self, batch: SequencedEvent, corrections: Sequence[float]) -> None:
        """Refuse what is beyond limits that the core knows: a sequence is loaded as it is."""
        camera, _, focus = self._parts
        places = [] if focus is None else _of_all(batch.z_sequence, batch.z_pos)
        heights = [z + more for z, more in zip(places, corrections, strict=False)]
        exposures = _of_all(batch.exposure_sequence, batch.exposure)
        for part, name, units, values in (
            (camera, "Exposure", "ms", exposures),
            (focus, "Position", "um", heights),
        ):
            if part is not None and values:
                known = limited(self._port.core, part.label, name, {"units": units})
                for value in {min(values), max(values)}:
                    checked(f"the {name.lower()} of {part.label!r}", value, known)

    def _unload(self) -> None:
        """Have the devices follow the camera no more."""
        while self._loaded:
            self._loaded.pop()()

    def _load_stages(self, batch: SequencedEvent, corrections: Sequence[float]) -> None:
        core = self._port.core
        _, xy, focus = self._parts
        if xy is not None and batch.x_sequence:
            core.loadXYStageSequence(xy.label, batch.x_sequence, batch.y_sequence)
            self._loaded.append(lambda: core.stopXYStageSequence(xy.label))
            core.startXYStageSequence(xy.label)
        elif xy is not None and batch.x_pos is not None and batch.y_pos is not None:
            core.setXYPosition(xy.label, batch.x_pos, batch.y_pos)
        if focus is not None and batch.z_sequence:
            places = [z + more for z, more in zip(batch.z_sequence, corrections, strict=True)]
            core.loadStageSequence(focus.label, places)
            self._loaded.append(lambda: core.stopStageSequence(focus.label))
            core.startStageSequence(focus.label)
        elif focus is not None and batch.z_pos is not None:
            core.setPosition(focus.label, batch.z_pos + corrections[0])


def _what_is_set(event: MDAEvent) -> tuple[bool, ...]:
    return tuple(value is None for value in (event.x_pos, event.y_pos, event.z_pos, event.exposure))


def _of_all(several: Sequence[float], one: float | None) -> Sequence[float]:
    """Return the values that a batch has of something: one by one, one for all, or none."""
    return several or (() if one is None else (one,))


def _first(event: MDAEvent) -> dict[str, Any]:
    """Return what a batch has of its first event."""
    return {
        name: getattr(event, name)
        for name in ("x_pos", "y_pos", "z_pos", "exposure", "channel", "properties")
    }
