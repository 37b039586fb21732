"""Sequences that hardware runs by itself: the camera sets the pace, stages and states follow."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ophyd_async.core import AsyncStatus, StandardReadable
from pymmcore_plus.core import SequencedEvent, iter_sequenced_events

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from useq import MDAEvent

    from ._camera import Camera
    from ._frames import FrameSequence
    from ._motion import Stage, XYStage
    from ._port import Port

__all__ = ["HardwareSequencer"]


class HardwareSequencer(StandardReadable):
    """Runs events of a useq sequence in hardware, where the devices can.

    What a plan does with it: `batches` says which events go together; `prepare` takes the events
    of one batch; ``set(n)`` is done when the camera's reading is the frame of event ``n``, and the
    stages' positions are those of that event, as they were commanded. The first ``set``, and one
    after a pause, starts the hardware from that event on.

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
        self._next = 0  # the event whose frame comes next
        self._loaded: list[Callable[[], object]] = []  # what stops the triggered devices
        super().__init__(name=name)

    def claimed_devices(self) -> Sequence[Any]:
        """Return the camera and the stages."""
        return [part for part in self._parts if part is not None]

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
            lambda: list(iter_sequenced_events(self._port.core, events)),
            lane=self._port.camera_lane,
            limit=3600,
        )
        several = [group for group in groups if isinstance(group, SequencedEvent)]
        self._grouped = {id(group.events): group for group in several}
        return [group.events if isinstance(group, SequencedEvent) else (group,) for group in groups]

    @AsyncStatus.wrap
    async def prepare(self, value: tuple[Sequence[MDAEvent], Sequence[float]]) -> None:
        """Take the events of a batch, with what autofocus adds to the focus of each [um]."""
        await self.stop()
        events, corrections = value
        self._events, self._corrections = tuple(events), tuple(corrections)

    @AsyncStatus.wrap
    async def set(self, value: int) -> None:
        """Wait for the frame of an event of the batch.

        Raises
        ------
        CoreError
            When the camera does not deliver it.
        """
        if self._sequence is None or self._next != value:
            await self._start(value)
        assert self._sequence is not None
        camera, xy, focus = self._parts
        frame = await self._sequence.next()
        event = self._events[value]
        self._next = value + 1
        camera.show(frame)
        if xy is not None and event.x_pos is not None and event.y_pos is not None:
            xy.show(event.x_pos, event.y_pos)
        if focus is not None and event.z_pos is not None:
            focus.show(event.z_pos + self._corrections[value])
        if self._next == len(self._events):
            await self.stop()

    async def pause(self) -> None:
        """Stop the hardware; the engine calls it. The next `set` starts it again."""
        await self.stop()

    async def stop(self, success: bool = True) -> None:
        """Stop the hardware, and forget what it was loaded with."""
        self._sequence = None
        await self._parts[0].end()
        loaded, self._loaded = self._loaded, []
        if loaded:
            await self._call("end a sequence", lambda: [stop() for stop in loaded])

    async def _call(self, what: str, work: Callable[[], Any]) -> Any:
        camera = self._parts[0]
        return await self._port.call(camera.label, what, work, lane=self._port.camera_lane)

    async def _start(self, first: int) -> None:
        await self.stop()
        events = self._events[first:]
        if not events:
            raise IndexError(f"{self.name} has no event {first}; it has {len(self._events)}")
        corrections = self._corrections[first:]
        batch = self._grouped.get(id(events)) or await self._call(
            f"run {len(events)} events in hardware", lambda: self._combined(events)
        )
        # Those that were started stop, even if one further on can't be.
        await self._call("load a sequence", lambda: self._load(batch, corrections))
        self._sequence = await self._parts[0].begin(len(events))
        self._next = first

    # -- on the lane of the current camera ----------------------------------------------------

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
        self._load_stages(batch, corrections)
        core, camera = self._port.core, self._parts[0].label
        if batch.channel is not None:
            core.setConfig(batch.channel.group, batch.channel.config)
        for device, name, value in batch.properties or ():
            core.setProperty(device, name, value)
        if batch.exposure_sequence:
            core.loadExposureSequence(camera, batch.exposure_sequence)
            self._loaded.append(lambda: core.stopExposureSequence(camera))
            core.startExposureSequence(camera)
        elif batch.exposure is not None:
            core.setExposure(camera, batch.exposure)
        for (device, name), values in batch.property_sequences.items():
            core.loadPropertySequence(device, name, [str(value) for value in values])
            self._loaded.append(partial(core.stopPropertySequence, device, name))
            core.startPropertySequence(device, name)
        core.waitForSystem()

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


def _first(event: MDAEvent) -> dict[str, Any]:
    """Return what a batch has of its first event."""
    return {
        name: getattr(event, name)
        for name in ("x_pos", "y_pos", "z_pos", "exposure", "channel", "properties")
    }
