"""Stage and focus, made of ophyd-async's simulated motor."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ophyd_async.core import (
    DEFAULT_TIMEOUT,
    AsyncStatus,
    DeviceMock,
    MovableLogic,
    StandardReadable,
)
from ophyd_async.sim import SimMotor

from ._injection import inject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bluesky.protocols import Hints, Reading
    from event_model import DataKey

    from ._faults import Fault

_STAGE_VELOCITY = 1000.0  # um/s
_FOCUS_VELOCITY = 200.0  # um/s
_ACCELERATION_TIME = 0.05  # s


class Axis(SimMotor):
    """A motor in micrometres that knows where it is.

    Parameters
    ----------
    name : str
        Name of the device, and of its data key.
    velocity : float
        Velocity once connected [um/s]; 0 jumps.
    faults : Sequence[Fault]
        Faults from the start; see `inject`.
    """

    def __init__(
        self,
        name: str = "",
        *,
        velocity: float = _FOCUS_VELOCITY,
        faults: Sequence[Fault] = (),
    ) -> None:
        self._begin_velocity: float | None = velocity
        self._position = 0.0  # read and written on the loop that runs the device
        super().__init__(name=name, instant=velocity == 0, units="um")
        if faults:
            inject(self, *faults)

    @property
    def position(self) -> float:
        """Where it is [um], without asking its signals."""
        return self._position

    @cached_property
    def movable_logic(self) -> MovableLogic[float]:
        """How it moves: as the motor of ophyd-async, taking down where it is."""
        logic = super().movable_logic
        show = logic.readback_set

        def arrived(position: float) -> None:
            self._position = float(position)
            show(position)

        moving: MovableLogic[float] = dataclasses.replace(logic, readback_set=arrived)
        return moving

    async def connect(
        self,
        mock: bool | DeviceMock[Any] = False,
        timeout: float = DEFAULT_TIMEOUT,  # noqa: ASYNC109 (its base says so)
        force_reconnect: bool = False,
    ) -> None:
        """Connect, and the first time set the velocity."""
        await super().connect(mock, timeout, force_reconnect)
        velocity, self._begin_velocity = self._begin_velocity, None
        if velocity is not None:
            await self.velocity.set(velocity)
            await self.acceleration_time.set(_ACCELERATION_TIME)


class _Live:
    """Looks a child's methods up at each call, so that faults of the child show in its parent."""

    def __init__(self, child: StandardReadable) -> None:
        self._child = child

    @property
    def name(self) -> str:
        return self._child.name

    @property
    def parent(self) -> StandardReadable:
        return self._child

    @property
    def hints(self) -> Hints:
        return self._child.hints

    async def read(self) -> dict[str, Reading[Any]]:
        return await self._child.read()

    async def describe(self) -> dict[str, DataKey]:
        return await self._child.describe()

    async def read_configuration(self) -> dict[str, Reading[Any]]:
        return await self._child.read_configuration()

    async def describe_configuration(self) -> dict[str, DataKey]:
        return await self._child.describe_configuration()

    def stage(self) -> AsyncStatus[None]:
        return self._child.stage()

    def unstage(self) -> AsyncStatus[None]:
        return self._child.unstage()


class Stage(StandardReadable):
    """An XY stage; its axes ``x`` and ``y`` move, the stage reads both.

    Parameters
    ----------
    name : str
        Name of the device; its data keys are ``<name>-x`` and ``<name>-y``.
    velocity : float
        Velocity of the axes once connected [um/s]; 0 jumps.
    faults : Sequence[Fault]
        Faults of the whole stage from the start; see `inject`.
    """

    def __init__(
        self,
        name: str = "stage",
        *,
        velocity: float = _STAGE_VELOCITY,
        faults: Sequence[Fault] = (),
    ) -> None:
        self.x = Axis(velocity=velocity)
        self.y = Axis(velocity=velocity)
        axes: list[Any] = [_Live(self.x), _Live(self.y)]
        self.add_readables(axes)
        super().__init__(name=name)
        if faults:
            inject(self, *faults)
