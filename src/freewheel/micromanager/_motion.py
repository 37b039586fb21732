"""Stages."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, Final

from bluesky.protocols import Location, Movable, Stoppable
from ophyd_async.core import (
    SignalR,
    StandardReadableFormat,
    WatchableAsyncStatus,
    WatcherUpdate,
)

from ._device import CoreDevice, Followed
from ._errors import CoreError
from ._properties import limited
from ._signals import Access, CoreBackend, CoreSignalR, checked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from ._port import Port

__all__ = ["Stage", "XYAxis", "XYStage"]

_TELLING: Final = 0.1  # s between two looks at a stage that moves, for those who watch it


class _Mover:
    """Moves of one stage, one at a time; those that wait are made together.

    Used on the loop that runs the stage.

    Parameters
    ----------
    port : Port
        The way to the core.
    label : str
        The stage.
    go : callable
        Tells the core where to go, given the target of each axis; on the stage's lane.
    """

    def __init__(self, port: Port, label: str, go: Callable[[dict[str, float]], object]) -> None:
        self._port = port
        self._label = label
        self._go = go
        # The move that has not begun, and the targets that it will take.
        self._next: tuple[asyncio.Task[None], dict[str, float]] | None = None
        self._current: asyncio.Task[None] | None = None
        self._stops = 0  # how often it was stopped
        self._success = False  # whether the last stop was an ordinary end
        self.targets: dict[str, float] = {}  # where each axis was told to go last

    def move(self, targets: dict[str, float]) -> asyncio.Task[None]:
        """Go to some targets; the task is done on arrival."""
        if self._next is None:
            taken: dict[str, float] = {}
            run = self._run(self._current, self._stops, taken)
            task = asyncio.get_running_loop().create_task(run)
            # Whoever waits for it may be cancelled; its failure is no news then.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._next = task, taken
        self._next[1].update(targets)
        return self._next[0]

    async def _run(
        self, before: asyncio.Task[None] | None, stops: int, targets: dict[str, float]
    ) -> None:
        if before is not None and not before.done():
            await asyncio.wait([before])
        if self._next is not None and self._next[1] is targets:
            self._current, self._next = self._next[0], None
        if self._stops == stops:
            self.targets.update(targets)
            where = ", ".join(f"{axis} = {target:g} um" for axis, target in targets.items())
            await self._port.change(self._label, f"go to {where}", lambda: self._go(targets))
        if self._stops != stops and not self._success:
            raise CoreError(self._label, "arrive", "it was stopped")

    async def stop(self, success: bool) -> None:
        """Stop, and make the moves that wait fail, or end if `success`."""
        self._stops += 1
        self._success = success
        self._next = None  # what is asked for from now on is another move
        await self._port.stop(self._label)


async def _told(
    task: asyncio.Task[None], backend: CoreBackend[float], name: str, target: float
) -> AsyncIterator[WatcherUpdate[float]]:
    """Tell how far a move has come until it has arrived."""
    position = initial = await backend.get_value()
    yield WatcherUpdate(position, initial, target, name, "um", 3)
    while not (await asyncio.wait([task], timeout=_TELLING))[0]:
        position = await backend.get_value()
        yield WatcherUpdate(position, initial, target, name, "um", 3)
    task.result()
    await backend.refresh()
    yield WatcherUpdate(target, initial, target, name, "um", 3)


class _Axis(Followed, Movable[float], Stoppable):
    """One position that can be set: a stage of one axis, or one axis of a stage of two.

    Attributes
    ----------
    position : SignalR[float]
        Where it is [um]; the key of the reading is the device's name.
    """

    def _follow(self, port: Port, key: str, mover: _Mover, access: Access[float]) -> None:
        """Take what moves it, under ``key``, and what tells where it is; before it has a name."""
        self._key = key
        self._mover = mover
        self._access = access
        self._backend = CoreBackend(float, port, access)
        self.position = CoreSignalR(self._backend)
        self.add_readables([self.position], StandardReadableFormat.HINTED_SIGNAL)

    @property
    def followed(self) -> SignalR[float]:
        """The signal of the position."""
        return self.position

    @WatchableAsyncStatus.wrap
    async def set(self, value: float) -> AsyncIterator[WatcherUpdate[float]]:
        """Go to a position [um].

        Raises
        ------
        ValueError
            Outside of the limits, where the core tells them, or if it is no finite number.
        CoreError
            When the core refuses, or the stage is stopped on its way.
        """
        access, target = self._access, float(value)
        checked(f"{self.name} ({access.label!r})", value, access.metadata)
        task = self._mover.move({self._key: target})
        async for update in _told(task, self._backend, self.name, target):
            yield update

    def show(self, position: float) -> None:
        """Take it for granted that the stage is there [um], as in a sequence run by hardware."""
        self._backend.show(position)

    async def refresh(self) -> None:
        """Have those who follow the position told of it anew, after something else moved it."""
        await self._backend.refresh()

    async def stop(self, success: bool = True) -> None:
        """Stop the stage where it is: all of its axes."""
        await self._mover.stop(success)

    async def locate(self) -> Location[float]:
        """Return where it is and where it was told to go."""
        position = await self.position.get_value()
        return Location(setpoint=self._mover.targets.get(self._key, position), readback=position)


class Stage(CoreDevice, _Axis):
    """A stage of one axis, such as a focus drive.

    Parameters
    ----------
    port, label, name
        As for `CoreDevice`.

    Attributes
    ----------
    position : SignalR[float]
        Where it is [um]; the key of the reading is the stage's name.
    """

    def __init__(self, port: Port, label: str, name: str = "") -> None:
        core = port.core
        access = Access(
            label,
            "its position",
            get=lambda: float(core.getPosition(label)),
            # Got again: what the core announces may come after a move that it was before.
            topics=[("position", label)],
            metadata=limited(core, label, "Position", {"units": "um", "precision": 3}),
        )
        mover = _Mover(port, label, lambda targets: core.setPosition(label, targets["z"]))
        self._follow(port, "z", mover, access)
        super().__init__(port, label, name)


class XYAxis(_Axis):
    """One axis of an XY stage. Moving it leaves the other where it is, or on its way.

    Parameters
    ----------
    port, label
        As for `CoreDevice`; the stage's.
    axis : str
        ``"x"`` or ``"y"``.
    mover : _Mover
        What moves the stage.
    """

    def __init__(self, port: Port, label: str, axis: str, mover: _Mover) -> None:
        index = "xy".index(axis)
        core = port.core
        access = Access(
            label,
            f"its {axis} position",
            # Of an axis that is turned round the core tells -0.0, which windows would show.
            get=lambda: float((core.getXPosition, core.getYPosition)[index](label)) + 0.0,
            topics=[("xy", label)],  # got again, as of a stage of one axis
            metadata={"units": "um", "precision": 3},
        )
        self._follow(port, axis, mover, access)
        super().__init__()


class XYStage(CoreDevice, Movable["Sequence[float]"], Stoppable):
    """A stage of two axes, which moves both at a time, or one of them.

    Parameters
    ----------
    port, label, name
        As for `CoreDevice`.

    Attributes
    ----------
    x, y : XYAxis
        The axes; the keys of the readings are ``<name>-x`` and ``<name>-y`` [um].
    """

    def __init__(self, port: Port, label: str, name: str = "") -> None:
        self._mover = _Mover(port, label, self._go)
        self.x = XYAxis(port, label, "x", self._mover)
        self.y = XYAxis(port, label, "y", self._mover)
        axes: list[Any] = [self.x, self.y]
        self.add_readables(axes)
        super().__init__(port, label, name)

    def _go(self, targets: dict[str, float]) -> None:
        """Tell the core; on the lane, where the stage is at rest."""
        core = self._port.core
        x, y = targets.get("x"), targets.get("y")
        if x is None or y is None:
            here = core.getXYPosition(self.label)
            x, y = here[0] if x is None else x, here[1] if y is None else y
        core.setXYPosition(self.label, x, y)

    def expected_refusal(self, value: Any, _: Callable[[Any], Any]) -> Exception | None:
        """Say what a value is refused with, for previews; see `freewheel.core.TellsRefusals`."""
        place = _numbers(value)
        if len(place) == 2 and all(map(math.isfinite, place)):
            return None
        return ValueError(
            f"{self.name} goes to two finite numbers, x and y, not {value!r}: to move one of them "
            f"move {self.name}.x or {self.name}.y"
        )

    @WatchableAsyncStatus.wrap
    async def set(self, value: Sequence[float]) -> AsyncIterator[WatcherUpdate[float]]:
        """Go to a place, x and y [um].

        Raises
        ------
        ValueError
            If these are not two finite numbers.
        CoreError
            When the core refuses, or the stage is stopped on its way.
        """
        if (refusal := self.expected_refusal(value, lambda _: None)) is not None:
            raise refusal
        place = _numbers(value)
        task = self._mover.move({"x": place[0], "y": place[1]})
        began = await self._place()
        whole = math.dist(began, place)  # how far it has come is told as a distance
        yield WatcherUpdate(0.0, 0.0, whole, self.name, "um", 3)
        while not (await asyncio.wait([task], timeout=_TELLING))[0]:
            left = math.dist(await self._place(), place)
            yield WatcherUpdate(whole - left, 0.0, whole, self.name, "um", 3)
        task.result()
        await asyncio.gather(self.x.refresh(), self.y.refresh())
        yield WatcherUpdate(whole, 0.0, whole, self.name, "um", 3)

    async def _place(self) -> tuple[float, float]:
        x, y = await self._port.call(
            self.label, "tell its position", lambda: self._port.core.getXYPosition(self.label)
        )
        return x, y

    def show(self, x: float, y: float) -> None:
        """Take it for granted that the stage is there [um], as in a sequence run by hardware."""
        self.x.show(x)
        self.y.show(y)

    async def stop(self, success: bool = True) -> None:
        """Stop it where it is."""
        await self._mover.stop(success)

    async def locate(self) -> Location[Sequence[float]]:
        """Return where it is and where it was told to go."""
        x, y = await asyncio.gather(self.x.locate(), self.y.locate())
        return Location(
            setpoint=[x["setpoint"], y["setpoint"]], readback=[x["readback"], y["readback"]]
        )


def _numbers(value: Any) -> list[float]:
    """Return several numbers; none if there is something else among them."""
    try:
        return [float(coordinate) for coordinate in value]
    except (TypeError, ValueError):
        return []
