"""All devices of a loaded configuration."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar, final

from pymmcore_plus import DeviceType

from freewheel.plans import MDADevices

from ._autofocus import Autofocus
from ._camera import Camera
from ._device import CoreDevice
from ._lanes import ClosedError
from ._motion import Stage, XYStage
from ._port import Port
from ._properties import identifier
from ._sequencer import HardwareSequencer
from ._shutters import CurrentShutter, Shutter
from ._signals import Access, CoreBackend, CoreSignalRW
from ._states import ConfigGroup, StateDevice

if TYPE_CHECKING:
    from pymmcore_plus import CMMCorePlus

__all__ = ["Core", "MicroManagerDevices", "devices"]

D = TypeVar("D", bound=CoreDevice)

_PLAIN: Final[dict[int, type[CoreDevice]]] = {
    DeviceType.Stage: Stage,
    DeviceType.XYStage: XYStage,
    DeviceType.State: StateDevice,
}


class Core(CoreDevice):
    """The core itself: its roles and time-outs are properties.

    Attributes
    ----------
    auto_shutter : SignalRW[bool]
        Whether the core opens the shutter for each frame and closes it afterwards.
    """

    def __init__(self, port: Port, name: str = "") -> None:
        core = port.core
        self.auto_shutter = CoreSignalRW(
            CoreBackend(
                bool,
                port,
                Access(
                    "Core",
                    "auto shutter",
                    get=lambda: bool(core.getAutoShutter()),
                    put=lambda value: core.setAutoShutter(bool(value)),
                    topics=[("auto_shutter",), ("property", "Core", "AutoShutter")],
                ),
            )
        )
        super().__init__(port, "Core", name)


@final
class MicroManagerDevices(Mapping[str, Any]):
    """The devices of a configuration, by name.

    A device's name is its label, in small letters and with ``_`` for what a Python name can't
    have: ``White Light Shutter`` is ``white_light_shutter``. A group's name ends in ``_group``.
    Each is an attribute, too. The attributes below are those that the core has a role for, which
    come first.

    Parameters
    ----------
    core : CMMCorePlus
        The core, with its configuration loaded.

    Attributes
    ----------
    camera, xy, focus, shutter, autofocus
        The devices of the core's roles; `None` for a role that nobody has.
    groups : dict of str to ConfigGroup
        The groups, by their names in the configuration.
    sequencer : HardwareSequencer or None
        Runs sequences in hardware; needs a camera.
    """

    def __init__(self, core: CMMCorePlus) -> None:
        self.mmcore = core
        self._port = Port(core)
        self._by_label: dict[str, Any] = {}
        self._by_name: dict[str, Any] = {}
        self._by_kind: dict[type, tuple[Any, ...]] = {}  # asked for with each claim
        for label in core.getLoadedDevices():
            device = self._make(label)
            self._by_label[label] = device
            self._add(identifier(label).lower(), device)
        self.groups: dict[str, ConfigGroup] = {
            str(group): ConfigGroup(self._port, group, self._labelled)
            for group in core.getAvailableConfigGroups()
        }
        for group, presets in self.groups.items():
            self._add(f"{identifier(group).lower()}_group", presets)
        self.camera: Camera | None = self._role(core.getCameraDevice())
        self.xy: XYStage | None = self._role(core.getXYStageDevice())
        self.focus: Stage | None = self._role(core.getFocusDevice())
        self.shutter: Shutter | None = self._role(core.getShutterDevice())
        self.autofocus: Autofocus | None = self._role(core.getAutoFocusDevice())
        self._current_shutter = CurrentShutter(
            self._shutter_now,
            lambda: self._all_of(Shutter),
            name="current_shutter",
        )
        self.sequencer: HardwareSequencer | None = None
        if self.camera is not None:
            self.sequencer = HardwareSequencer(
                self._port, self.camera, self.xy, self.focus, name="sequencer"
            )

    def _make(self, label: str) -> CoreDevice:
        core, port = self.mmcore, self._port
        kind = core.getDeviceType(label)
        if label == "Core":
            return Core(port)
        if kind == DeviceType.Camera:
            return Camera(port, label, others=lambda: self._cameras_but(label))
        if kind == DeviceType.Shutter:
            return Shutter(port, label, cameras=lambda: self._coupled(label))
        if kind == DeviceType.AutoFocus:
            return Autofocus(port, label, focus=lambda: self.focus)
        return _PLAIN.get(kind, CoreDevice)(port, label)

    def _add(self, name: str, device: Any) -> None:
        while name in self._by_name:
            name += "_"
        device.set_name(name)
        self._by_name[name] = device

    def _labelled(self) -> Mapping[str, Any]:
        return self._by_label

    def _role(self, label: str) -> Any:
        return self._by_label.get(label)

    def _coupled(self, shutter: str) -> list[Camera]:
        """Return the cameras for whose frames the core opens and closes a shutter."""
        core = self.mmcore
        with contextlib.suppress(ClosedError), self._port.gate:
            if core.getAutoShutter() and core.getShutterDevice() == shutter:
                return [*self._all_of(Camera)]
        return []

    def _shutter_now(self) -> Shutter | None:
        with self._port.gate:
            label = self.mmcore.getShutterDevice()
        shutter: Shutter | None = self._role(label)
        return shutter

    def _cameras_but(self, label: str) -> list[Camera]:
        return [camera for camera in self._all_of(Camera) if camera.label != label]

    def _all_of(self, kind: type[D]) -> tuple[D, ...]:
        known = self._by_kind.get(kind)
        if known is None:
            several = (device for device in self._by_label.values() if isinstance(device, kind))
            known = self._by_kind[kind] = tuple(several)
        return known

    def __getattr__(self, name: str) -> Any:
        """Return a device by its name, where no role has that name."""
        try:
            return self.__dict__["_by_name"][name]
        except KeyError:
            raise AttributeError(f"there is no device or role {name!r}") from None

    def __repr__(self) -> str:
        """Name the devices."""
        return f"<MicroManagerDevices: {', '.join(self._by_name)}>"

    def __getitem__(self, name: str) -> Any:
        """Return a device by its name."""
        try:
            return self._by_name[name]
        except KeyError:
            several = ", ".join(self._by_name)
            raise KeyError(f"there is no device {name!r}; there are: {several}") from None

    def __iter__(self) -> Iterator[str]:
        """Go through the names."""
        return iter(self._by_name)

    def __len__(self) -> int:
        """Count the devices."""
        return len(self._by_name)

    async def connect(self, timeout: float = 10.0) -> None:  # noqa: ASYNC109 - as of a device
        """Connect all of them; on the loop that will run them.

        Parameters
        ----------
        timeout : float
            How long each may take [s].
        """
        for device in self._by_name.values():
            await device.connect(timeout=timeout)

    def close(self) -> None:
        """Stop cameras, and call the core no more; from any thread.

        For whoever unloads the configuration of a core that `load` did not make: a core that is
        called while it unloads its devices crashes the process. Those that `load` made do it by
        themselves. What is asked of the devices afterwards fails.

        Raises
        ------
        TimeoutError
            When a call to the core does not return.
        """
        self._port.close()

    def mda_devices(self) -> MDADevices:
        """Return what a useq sequence needs: see `freewheel.plans.mda`.

        Raises
        ------
        ValueError
            When the core has no camera.
        """
        if self.camera is None:
            raise ValueError("the configuration has no camera: Core's property Camera is not set")
        core: Core | None = self._by_label.get("Core")
        autofocus = self.autofocus
        return MDADevices(
            camera=self.camera,
            exposure=self.camera.exposure,
            xy=self.xy,
            x=None if self.xy is None else self.xy.x,
            y=None if self.xy is None else self.xy.y,
            z=self.focus,
            channels=self.groups,
            properties=self._settings(),
            roi=self.camera.roi,
            shutter=None if self.shutter is None else self._current_shutter,
            auto_shutter=None if core is None else core.auto_shutter,
            autofocus=autofocus,
            autofocus_offset=None if autofocus is None else autofocus.offset,
            autofocus_continuous=None if autofocus is None else autofocus.continuous,
            sequencer=self.sequencer,
            readables=[device for device in (self.xy, self.focus) if device is not None],
            field_of_view=self._field_of_view,
        )

    def _settings(self) -> dict[tuple[str, str], Any]:
        """Return all properties by the names of device and property; of stages their position."""
        settings: dict[tuple[str, str], Any] = {
            (label, name): device.properties[name]
            for label, device in self._by_label.items()
            for name in device.properties
        }
        for stage in (*self._all_of(Stage), *self._all_of(XYStage)):
            settings[stage.label, "Position"] = stage
        return settings

    async def _field_of_view(self, region: tuple[int, int] | None) -> tuple[float, float] | None:
        """Return width and height of what the current camera sees [um]; `None` if not known."""
        core = self.mmcore

        def look() -> tuple[float, float] | None:
            size = core.getPixelSizeUm()
            width, height = region or (core.getImageWidth(), core.getImageHeight())
            return (size * width, size * height) if size else None

        lane = self._port.camera_lane
        return await self._port.call("Core", "tell the size of a pixel", look, lane=lane)


def devices(core: CMMCorePlus) -> MicroManagerDevices:
    """Make devices of all that a loaded Micro-Manager configuration has.

    Asks the core, on the calling thread: call it before a window is up. The devices belong to no
    loop, and are not connected yet: ``await devices(core).connect()`` on the engine's loop, or
    ophyd-async's ``init_devices``.

    Parameters
    ----------
    core : CMMCorePlus
        The core, with its configuration loaded; see `load`.

    Returns
    -------
    MicroManagerDevices
        A mapping from names to devices: cameras, stages, state devices, shutters, autofocus,
        groups of presets, and the core; other devices have their properties only.
    """
    return MicroManagerDevices(core)
