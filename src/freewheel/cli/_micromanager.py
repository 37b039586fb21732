"""The devices of a Micro-Manager configuration, for window and prompt."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - forms read the annotations
from typing import TYPE_CHECKING, Any, Final

import typer

from freewheel.core import Action  # noqa: TC001 - forms read the annotations

if TYPE_CHECKING:
    from collections.abc import Callable

    from bluesky.utils import MsgGenerator

    from freewheel.micromanager import MicroManagerDevices

__all__ = ["load_microscope", "sequence_plan", "what_is_moved_first"]

_DEMO: Final = "demo"


def load_microscope(configuration: str) -> MicroManagerDevices:
    """Load a configuration, and make its devices; before a window is up.

    Raises
    ------
    typer.BadParameter
        When it is not there, or does not load; with the line that failed.
    """
    from freewheel.micromanager import ConfigurationFileError, devices, load

    try:
        return devices(load(None if configuration == _DEMO else configuration))
    except (FileNotFoundError, ConfigurationFileError) as error:
        raise typer.BadParameter(str(error), param_hint="--micromanager") from error


def what_is_moved_first(scope: MicroManagerDevices) -> dict[str, Any]:
    """Return the devices in the order in which a person looks for them in a window."""
    from freewheel import micromanager as mm

    moved = (mm.ConfigGroup, mm.XYStage, mm.Stage, mm.StateDevice, mm.Shutter)
    order = (*moved, mm.Camera, mm.Autofocus)

    def place(name: str) -> int:
        kinds = [number for number, kind in enumerate(order) if isinstance(scope[name], kind)]
        return kinds[0] if kinds else len(order)  # what has but settings

    return {name: scope[name] for name in sorted(scope, key=place)}


def sequence_plan(scope: MicroManagerDevices) -> Callable[..., MsgGenerator[Any]]:
    """Return a plan that runs a sequence from a file on these devices, for forms."""
    from bluesky.preprocessors import subs_wrapper

    from freewheel.plans import FINISH, SKIP, OmeWriter, mda

    def microscopy(
        file: Path,
        *,
        hardware: bool = True,
        output: str = "",
        skip: Action = SKIP,
        finish: Action = FINISH,
    ) -> MsgGenerator[Any]:
        """Run a useq sequence: times, positions, grids, channels and z.

        Parameters
        ----------
        file : Path
            The sequence, as JSON or YAML.
        hardware : bool
            Whether what hardware can run by itself is run by it.
        output : str
            Where to write the frames, such as stack.ome.zarr; nowhere if it is empty.
        skip : Action
            Leave out what is left of this position.
        finish : Action
            Stop after this position.
        """
        plan = mda(file, scope, hardware=hardware, skip=skip, finish=finish)
        return (yield from subs_wrapper(plan, OmeWriter(output)) if output else plan)

    return microscopy
