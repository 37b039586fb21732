"""Stage and focus, made of ophyd-async's simulated motor."""

from __future__ import annotations

import math
from dataclasses import dataclass
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

from ._flyers import Encoders, Trajectory, TriggerBox
from ._injection import inject
from ._recorder import PositionRecorder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bluesky.protocols import Hints, Reading
    from event_model import DataKey
    from ophyd_async.core import TimeoutCalculator

    from ._faults import Fault

_STAGE_VELOCITY = 1000.0  # um/s
_FOCUS_VELOCITY = 200.0  # um/s
_ACCELERATION_TIME = 0.05  # s


@dataclass
class _AxisLogic(MovableLogic[float]):
    """Moves as the motor of ophyd-async does, within limits, and takes down where it is."""

    axis: Axis
    moves: MovableLogic[float]

    def readback_set(self, position: float) -> None:
        self.axis.pass_by(position)
        self.axis.show_readback(position)

    async def move(
        self,
        new_position: float,
        timeout: TimeoutCalculator,  # noqa: ASYNC109 (its base says so)
    ) -> None:
        await self.moves.move(new_position, timeout)

    async def check_move(self, new_position: float) -> None:
        low, high = self.axis.limits
        if not low <= new_position <= high:
            msg = (
                f"{self.axis.name} can move from {low:g} to {high:g} um, not to {new_position:g} um"
            )
            raise ValueError(msg)

    async def stop(self) -> None:
        if self.axis.when_stopped is not None:
            self.axis.when_stopped()
        await self.moves.stop()


class Axis(SimMotor):
    """A motor in micrometres that knows where it is.

    Parameters
    ----------
    name : str
        Name of the device, and of its data key.
    velocity : float
        Velocity once connected [um/s]; 0 jumps.
    limits : tuple[float, float]
        Where it can be [um]; by default anywhere.
    faults : Sequence[Fault]
        Faults from the start; see `inject`.

    Raises
    ------
    ValueError
        If the limits are not a lower and a higher position.
    """

    def __init__(
        self,
        name: str = "",
        *,
        velocity: float = _FOCUS_VELOCITY,
        limits: tuple[float, float] = (-math.inf, math.inf),
        faults: Sequence[Fault] = (),
    ) -> None:
        if not limits[0] < limits[1]:
            msg = f"the limits of an axis are a lower and a higher position [um], not {limits!r}"
            raise ValueError(msg)
        self._begin_velocity: float | None = velocity
        self.limits = limits
        # Written by whatever moves it: the loop that runs the device, or the thread of a flight.
        self._position = 0.0
        #: What a stop stops beside the axis' own move: its flight. On the loop.
        self.when_stopped: Callable[[], None] | None = None
        super().__init__(name=name, instant=velocity == 0, units="um")
        if faults:
            inject(self, *faults)

    @property
    def position(self) -> float:
        """Where it is [um], without asking its signals."""
        return self._position

    def pass_by(self, position: float) -> None:
        """Be somewhere [um]; from the thread that moves it. Its signals are not told."""
        self._position = float(position)

    def show_readback(self, position: float) -> None:
        """Tell the readback signal [um]; on the loop that runs the device."""
        self._user_readback_set(position)

    async def describe(self) -> dict[str, DataKey]:
        """Describe its position, with the limits that it has: a client elsewhere sees no more."""
        keys = await super().describe()
        low, high = (None if math.isinf(end) else end for end in self.limits)
        if self.name in keys and (low, high) != (None, None):
            keys[self.name]["limits"] = {"control": {"low": low, "high": high}}
        return keys

    @cached_property
    def movable_logic(self) -> MovableLogic[float]:
        """How it moves: as the motor of ophyd-async, within limits, taking down where it is."""
        moves = super().movable_logic
        logic = _AxisLogic(moves.setpoint, moves.readback, self, moves)
        moves.readback_set = logic.readback_set
        return logic

    async def connect(
        self,
        mock: bool | DeviceMock[Any] = False,
        timeout: float = DEFAULT_TIMEOUT,  # noqa: ASYNC109 (its base says so)
        force_reconnect: bool = False,
    ) -> None:
        """Connect within `timeout` seconds, and the first time set the velocity."""
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

    It can fly: ``trajectory`` drives the axes along a path at constant speed, ``triggers`` sends
    a pulse for each point when they are there, and ``recorder`` writes down where they were.

    Parameters
    ----------
    name : str
        Name of the device; its data keys are ``<name>-x`` and ``<name>-y``.
    velocity : float
        Velocity of the axes once connected [um/s]; 0 jumps.
    limits : tuple[float, float]
        Where the axes can be [um]; by default anywhere.
    directory : str or Path, optional
        Where ``recorder`` writes; by default a temporary directory, made when it is needed.
    faults : Sequence[Fault]
        Faults of the whole stage from the start; see `inject`.

    Attributes
    ----------
    x, y : Axis
        The axes.
    trajectory : Trajectory
        The motion controller, a flyer.
    triggers : TriggerBox
        The trigger box, a flyer.
    recorder : PositionRecorder
        A detector that records the positions at each pulse.
    """

    def __init__(
        self,
        name: str = "stage",
        *,
        velocity: float = _STAGE_VELOCITY,
        limits: tuple[float, float] = (-math.inf, math.inf),
        directory: str | Path | None = None,
        faults: Sequence[Fault] = (),
    ) -> None:
        self.x = Axis(velocity=velocity, limits=limits)
        self.y = Axis(velocity=velocity, limits=limits)
        encoders = Encoders()
        self.trajectory = Trajectory((self.x, self.y), encoders)
        self.triggers = TriggerBox(encoders=encoders)
        self.recorder = PositionRecorder(
            axes=(self.x, self.y), line=self.triggers.line, directory=directory
        )
        axes: list[Any] = [_Live(self.x), _Live(self.y)]
        self.add_readables(axes)
        super().__init__(name=name)
        if faults:
            inject(self, *faults)
