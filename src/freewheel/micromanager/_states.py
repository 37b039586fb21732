"""Devices and settings that are one of a few: turrets, wheels, groups of presets."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from bluesky.protocols import Location, Movable
from ophyd_async.core import (
    AsyncStatus,
    SignalRW,
    StandardReadableFormat,
)
from pymmcore_plus import DeviceType

from ._device import CoreDevice, Followed
from ._signals import Access, CoreBackend, CoreSignalRW, enumeration
from ._statuses import DoneStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ._port import Port

__all__ = ["ConfigGroup", "StateDevice"]


class StateDevice(CoreDevice, Followed, Movable["str | int"]):
    """A device of a few positions with labels: an objective turret, a filter wheel.

    Parameters
    ----------
    port, label, name
        As for `CoreDevice`.

    Attributes
    ----------
    state : SignalRW[str]
        The label of the position; the key of the reading is the device's name.
    labels : tuple of str
        What the positions are called.
    """

    def __init__(self, port: Port, label: str, name: str = "") -> None:
        core = port.core
        self.labels: tuple[str, ...] = tuple(core.getStateLabels(label))
        choice = enumeration(f"{label}Label", self.labels)
        access: Access[Any] = Access(
            label,
            "its position",
            get=lambda: choice(core.getStateLabel(label)),
            put=lambda value: core.setStateLabel(label, str(value)),
            topics=[("property", label, "Label"), ("property", label, "State")],
            metadata={"choices": list(self.labels)},
            choices=self.labels,
        )
        self.state: SignalRW[Any] = CoreSignalRW(CoreBackend(choice, port, access))
        self.add_readables([self.state], StandardReadableFormat.HINTED_SIGNAL)
        super().__init__(port, label, name)

    @property
    def followed(self) -> SignalRW[Any]:
        """The signal of the position."""
        return self.state

    def set(self, value: str | int) -> AsyncStatus[None]:
        """Go to a position, by its label or its number, which begins at 0.

        Raises
        ------
        ValueError
            If there is none; with those that there are.
        """
        if isinstance(value, int):
            if not 0 <= value < len(self.labels):
                last = len(self.labels) - 1
                raise ValueError(f"{self.name} has positions 0 to {last}, not {value}")
            value = self.labels[value]
        return self.state.set(value, timeout=None)

    async def locate(self) -> Location[str | int]:
        """Return the label of the position."""
        state = str(await self.state.get_value())
        return Location(setpoint=state, readback=state)


class ConfigGroup(Followed, Movable[str]):
    """A group of a configuration: presets, each of which sets several properties.

    Its reading is the preset that holds now, or ``""`` when none does.

    Parameters
    ----------
    port : Port
        The way to the core.
    group : str
        The group.
    devices : callable
        Returns the devices by their labels: those whose properties the group sets are claimed
        with it.
    name : str
        Name of the device here.

    Attributes
    ----------
    group : str
        The group's name in the configuration.
    presets : tuple of str
        What it can be set to.
    preset : SignalRW[str]
        The preset; the key of the reading is the group's name here.
    """

    def __init__(
        self, port: Port, group: str, devices: Callable[[], Mapping[str, Any]], name: str = ""
    ) -> None:
        self.group = group
        self._port = port
        self._devices = devices
        core = port.core
        self.presets: tuple[str, ...] = tuple(core.getAvailableConfigs(group))
        self._settings: tuple[tuple[str, str], ...] = _settings(port, group, self.presets)
        # As a camera's settings are set by themselves: behind the frames that were asked for.
        kinds = {core.getDeviceType(label) for label, _ in self._settings}
        self._lane = port.camera_lane if DeviceType.Camera in kinds else None
        choice = enumeration(f"{group}Preset", self.presets)
        access: Access[Any] = Access(
            group,
            "its preset",
            get=lambda: choice(core.getCurrentConfigFromCache(group)),
            topics=[("property", *setting) for setting in self._settings],
            metadata={"choices": list(self.presets)},
        )
        self._under_way = 0  # how many presets are being set; on the loop
        self._backend: CoreBackend[Any] = CoreBackend(choice, port, access)
        self.preset: SignalRW[Any] = CoreSignalRW(self._backend)
        self.add_readables([self.preset], StandardReadableFormat.HINTED_SIGNAL)
        super().__init__(name=name)

    @property
    def followed(self) -> SignalRW[Any]:
        """The signal of the preset."""
        return self.preset

    def claimed_devices(self) -> Sequence[Any]:
        """Return the devices whose properties the presets set."""
        devices = self._devices()
        labels = dict.fromkeys(label for label, _ in self._settings)
        return [devices[label] for label in labels if label in devices]

    def set(self, value: str) -> AsyncStatus[None] | DoneStatus:
        """Set a preset's properties, and wait until its devices are ready.

        A preset that holds already, as far as the core knows, is not set again.

        Raises
        ------
        ValueError
            If there is no such preset; with those that there are.
        CoreError
            When a device refuses; with the setting.
        """
        preset = str(value)
        if not self._under_way and self._holds(preset):
            return DoneStatus()
        task = asyncio.get_running_loop().create_task(self._set(preset))
        self._under_way += 1  # at once: what is asked for next comes after it
        task.add_done_callback(self._is_over)
        return AsyncStatus(task, name=self.name)

    def _is_over(self, _: object) -> None:
        self._under_way -= 1

    def _holds(self, preset: str) -> bool:
        """Tell whether a preset holds: asked of the core's cache, which makes nobody wait."""
        try:
            with self._port.gate:
                return bool(self._port.core.getCurrentConfigFromCache(self.group) == preset)
        except RuntimeError:
            return False  # it is closed, or has no such group any more

    async def _set(self, preset: str) -> None:
        if preset not in self.presets:
            several = ", ".join(self.presets)
            raise ValueError(f"the group {self.group!r} has no preset {preset!r}; it has {several}")
        core, group = self._port.core, self.group

        def change() -> list[str]:
            if core.getCurrentConfigFromCache(group) == preset:
                return []
            core.setConfig(group, preset)
            labels = dict.fromkeys(label for label, _ in self._settings)
            return [label for label in labels if label != "Core" and core.deviceBusy(label)]

        what = f"set the preset {preset!r}"
        for label in await self._port.call(group, what, change, lane=self._lane):
            await self._port.settle(label, what)
        await self._backend.refresh()

    async def locate(self) -> Location[str]:
        """Return the preset that holds."""
        preset = str(await self.preset.get_value())
        return Location(setpoint=preset, readback=preset)


def _settings(port: Port, group: str, presets: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return device and property of each setting that a preset of the group makes."""
    found: dict[tuple[str, str], None] = {}
    for preset in presets:
        for setting in port.core.getConfigData(group, preset):
            found[setting[0], setting[1]] = None
    return tuple(found)
