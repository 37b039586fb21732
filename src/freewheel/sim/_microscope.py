"""The whole simulated microscope."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from ophyd_async.core import Device

from freewheel.core import MissingExtraError
from freewheel.core._devices import device_children

from ._camera import SimCamera
from ._injection import inject
from ._lights import Lamp, Shutter, ShutterState
from ._sample import View
from ._temperature import Thermometer
from ._waits import no_wait

if TYPE_CHECKING:
    from pathlib import Path

    from ._faults import Fault
    from ._file_camera import SimFileCamera
    from ._motion import Axis, Stage


@dataclass(frozen=True, eq=False)
class Microscope(Mapping[str, Device]):
    """The devices of a simulated microscope, by name and as attributes.

    Parameters
    ----------
    camera : SimCamera
        A camera whose frames come with its readings.
    stage : Stage
        Moves the sample in x and y [um]; it can fly, with ``trajectory``, ``triggers`` and
        ``recorder``.
    focus : Axis
        Moves the plane of focus [um]; in focus at 0.
    shutter : Shutter
        Lets the light of the lamp through, or not.
    lamp : Lamp
        Lights the sample, 0 to 100 %.
    temperature : Thermometer
        Temperature of the room [degC].
    file_camera : SimFileCamera
        A second camera on the same sample, which writes to files and can fly, by its own clock
        or triggered by the stage.
    """

    camera: SimCamera
    stage: Stage
    focus: Axis
    shutter: Shutter
    lamp: Lamp
    temperature: Thermometer
    file_camera: SimFileCamera

    def __getitem__(self, name: str) -> Device:
        """Return a device by its name."""
        if name not in tuple(self):
            msg = f"the microscope has no {name!r}; it has {', '.join(self)}"
            raise KeyError(msg)
        device: Device = getattr(self, name)
        return device

    def __iter__(self) -> Iterator[str]:
        """Go through the names."""
        return (part.name for part in fields(self))

    def __len__(self) -> int:
        """Count the devices."""
        return len(fields(self))


def microscope(
    *,
    shape: tuple[int, int] = (512, 512),
    exposure: float = 0.005,
    seed: int = 0,
    directory: str | Path | None = None,
    instant: bool = False,
    faults: Mapping[str, Sequence[Fault]] | None = None,
) -> Microscope:
    """Make a simulated microscope, its devices named and connected.

    What the cameras see depends on stage, focus, shutter and lamp. Works before and after
    engines are made, and from any thread; the devices belong to no event loop, so that any
    engine may run them, one at a time.

    Parameters
    ----------
    shape : tuple[int, int]
        Height and width of the cameras' sensors [pixels].
    exposure : float
        Exposure time of the cameras to begin with [s].
    seed : int
        Seed of sample, noise and drift, zero or more.
    directory : str or Path, optional
        Where ``file_camera`` and the stage's recorder write; by default temporary directories, made
        when they are needed.
    instant : bool
        Let everything happen at once: motors jump, shutter and lamp settle, exposures and read-out
        take no time.
    faults : Mapping[str, Sequence[Fault]], optional
        Faults from the start, by device, such as ``{"camera": [Fail("trigger", at=3)]}``; an axis
        of the stage is ``"stage.x"``.

    Returns
    -------
    Microscope
        A mapping of names to devices, which are attributes too.

    Raises
    ------
    freewheel.core.MissingExtraError
        If h5py is not installed.
    KeyError
        If faults are given for a device that is not there.
    """
    scope = _assembled(shape, exposure, seed, directory, instant, faults or {})
    # A loop of its own, on a thread of its own: the one that calls may run a loop already
    # (Jupyter), and must keep the loop that it has (asyncio.run would take it away).
    failure: list[BaseException] = []

    def connect() -> None:
        try:
            # Not the loop of the policy: within qasync that is Qt's, of the window's thread.
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(_connect(scope))
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=connect, name="freewheel-sim-connect")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return scope


async def microscope_async(
    *,
    shape: tuple[int, int] = (512, 512),
    exposure: float = 0.005,
    seed: int = 0,
    directory: str | Path | None = None,
    instant: bool = False,
    faults: Mapping[str, Sequence[Fault]] | None = None,
) -> Microscope:
    """Make a simulated microscope from within a running event loop, without holding it up.

    Parameters and result are those of `microscope`.
    """
    scope = _assembled(shape, exposure, seed, directory, instant, faults or {})
    await _connect(scope)
    return scope


async def _connect(scope: Microscope) -> None:
    await asyncio.gather(*(device.connect() for device in scope.values()))


def _assembled(
    shape: tuple[int, int],
    exposure: float,
    seed: int,
    directory: str | Path | None,
    instant: bool,
    faults: Mapping[str, Sequence[Fault]],
) -> Microscope:
    try:
        from ._file_camera import SimFileCamera
        from ._motion import Axis, Stage
    except ModuleNotFoundError as error:
        if error.name != "h5py":
            raise
        raise MissingExtraError("freewheel.sim.microscope", "sim") from error
    sleep: Callable[[float], Awaitable[object]] = no_wait if instant else asyncio.sleep
    pace: dict[str, Any] = {"velocity": 0.0} if instant else {}
    stage = Stage("stage", directory=directory, **pace)
    focus = Axis("focus", **pace)
    shutter = Shutter("shutter", sleep=sleep)
    lamp = Lamp("lamp", sleep=sleep)

    view = _Sight(stage, focus, shutter, lamp)
    scope = Microscope(
        camera=SimCamera(
            "camera", shape=shape, exposure=exposure, seed=seed, view=view, sleep=sleep
        ),
        stage=stage,
        focus=focus,
        shutter=shutter,
        lamp=lamp,
        temperature=Thermometer("temperature", seed=seed),
        file_camera=SimFileCamera(
            "file_camera",
            directory=directory,
            shape=shape,
            exposure=exposure,
            seed=seed,
            view=view,
            instant=instant,
            line=stage.triggers.line,
        ),
    )
    for name, some in faults.items():
        inject(_part(scope, name), *some)
    return scope


@dataclass
class _Sight:
    """What the cameras look at: where stage and focus are, in the light that there is."""

    stage: Stage
    focus: Axis
    shutter: Shutter
    lamp: Lamp

    def __call__(self) -> View:
        stage, light = self.stage, self.lamp.light * self.shutter.transmission
        return View(stage.x.position, stage.y.position, self.focus.position, light)

    def planned(self, known: Callable[[Any], Any]) -> View:
        is_open = known(self.shutter) == ShutterState.OPEN
        light = known(self.lamp) / 100 * (1.0 if is_open else 0.0)
        return View(known(self.stage.x), known(self.stage.y), known(self.focus), light)


def _part(scope: Microscope, path: str) -> Device:
    name, *rest = path.split(".")
    part: Any = scope[name]
    for child in rest:
        children = device_children(part)
        if child not in children:
            msg = f"{part.name} has no part {child!r}; it has {', '.join(children)}"
            raise KeyError(msg)
        part = children[child]
    device: Device = part
    return device
