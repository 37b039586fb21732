"""What a microscope has, for plans that run a useq sequence on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from freewheel.core._devices import device_chain

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Coroutine, Mapping, Sequence
    from typing import Self

    from useq import MDAEvent

FieldOfView: TypeAlias = (
    "Callable[[tuple[int, int] | None], Coroutine[Any, Any, tuple[float, float] | None]]"
)

__all__ = ["HasMDADevices", "MDADevices", "SequenceStep", "Sequencer"]


class Sequencer(Protocol):
    """What runs events in hardware; `freewheel.micromanager.HardwareSequencer` is one."""

    @property
    def name(self) -> str:
        """Name as a device."""
        ...

    async def batches(self, events: Sequence[MDAEvent]) -> list[tuple[MDAEvent, ...]]:
        """Group events, in their order: those of a group of several can be run in hardware."""
        ...

    def prepare(self, value: tuple[Sequence[MDAEvent], Sequence[float]], /) -> Any:
        """Take the events of a group, and what autofocus adds to the focus of each [um]."""
        ...

    def set(self, value: int, /) -> Any:
        """Have the camera's reading be that of one event of the group; begin there if need be.

        A `SequenceStep` says which group, for another plan may have prepared its own meanwhile.
        """
        ...


class SequenceStep(int):
    """The number of an event in its group, which knows the group.

    Attributes
    ----------
    events, corrections
        What the group was prepared with.
    """

    events: tuple[MDAEvent, ...]
    corrections: Sequence[float]

    def __new__(
        cls, number: int, events: tuple[MDAEvent, ...], corrections: Sequence[float]
    ) -> Self:
        """Return the step; the arguments are its attributes."""
        step = super().__new__(cls, number)
        step.events, step.corrections = events, corrections
        return step


@dataclass(frozen=True)
class MDADevices:
    """The devices of a microscope by what they do in a useq sequence.

    Those that are missing make sequences that need them an error, before anything moves.

    Attributes
    ----------
    camera : Readable and Triggerable
        Takes a frame when it is triggered.
    exposure : Movable of float, optional
        The camera's exposure time [ms], or in the unit that `exposure_unit` says.
    exposure_unit : float
        The unit of `exposure` [s].
    xy : Movable of (float, float), optional
        Moves both axes at a time [um].
    x, y : Movable of float, optional
        The axes [um]: used for events that give but one, and if there is no `xy`.
    z : Movable of float, optional
        The focus [um].
    channels : mapping of str to Movable of str
        By the name of a group of channels, what sets one of the group.
    properties : mapping of (str, str) to Movable
        By the names of device and property, what sets it.
    roi : Movable of sequence of int, optional
        The camera's region of interest: left, top, width, height [pixels].
    shutter : Movable, optional
        Takes ``"Open"`` and ``"Closed"``.
    auto_shutter : Movable of bool, optional
        Whether shutter and camera are coupled.
    autofocus : Triggerable, optional
        Finds the focus when it is triggered.
    autofocus_offset, autofocus_continuous : Movable, optional
        The offset of the autofocus, and whether it holds the focus all the time.
    sequencer : Sequencer, optional
        Runs events in hardware.
    readables : sequence of Readable
        What each event reads besides the camera.
    field_of_view : coroutine function, optional
        Returns width and height of what the camera sees [um], or `None` if it is not known: for
        grids that are not told it. It is given width and height of the region of interest
        [pixels], or `None` for the one that is set.
    """

    camera: Any
    exposure: Any = None
    exposure_unit: float = 0.001
    xy: Any = None
    x: Any = None
    y: Any = None
    z: Any = None
    channels: Mapping[str, Any] = field(default_factory=dict)
    properties: Mapping[tuple[str, str], Any] = field(default_factory=dict)
    roi: Any = None
    shutter: Any = None
    auto_shutter: Any = None
    autofocus: Any = None
    autofocus_offset: Any = None
    autofocus_continuous: Any = None
    sequencer: Sequencer | None = None
    readables: Sequence[Any] = ()
    field_of_view: FieldOfView | None = None

    def moved(
        self, groups: Container[str] = (), properties: Container[tuple[str, str]] = ()
    ) -> list[Any]:
        """Return the devices that a sequence moves, triggers or sets, each once.

        What is a part of another one that is returned is left out.

        Parameters
        ----------
        groups : container of str
            The groups of channels that it uses.
        properties : container of (str, str)
            The properties that it sets, by the names of device and property.
        """
        several = [
            self.camera,
            self.exposure,
            self.roi,
            self.xy,
            self.x,
            self.y,
            self.z,
            *(device for group, device in self.channels.items() if group in groups),
            *(device for key, device in self.properties.items() if key in properties),
            self.shutter,
            self.auto_shutter,
            self.autofocus,
            self.autofocus_offset,
            self.autofocus_continuous,
            self.sequencer,
        ]
        given = {id(device): device for device in several if device is not None}
        return [
            device
            for device in given.values()
            if not any(whole in given for whole in device_chain(device)[1:])
        ]


class HasMDADevices(Protocol):
    """Something that says which of its devices a useq sequence uses."""

    def mda_devices(self) -> MDADevices:
        """Return them."""
        ...
