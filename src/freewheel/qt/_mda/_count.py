"""How many frames a sequence of useq has, without going through them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from useq import MDASequence

__all__ = ["count", "frames_of", "problem_of", "with_field"]

#: `freewheel.plans.mda` looks at all events before the first: so many fit into the memory.
_MOST: Final = 1_000_000


def count(sequence: MDASequence, field: tuple[float, float] | None = None) -> dict[str, int]:
    """Return how many there are of each axis.

    useq's own ``sizes`` lists all of them, which takes for ever where a step is too small.

    Parameters
    ----------
    sequence
        The sequence.
    field
        Width and height of what the camera sees, for grids that go by it.

    Raises
    ------
    ValueError, ArithmeticError
        For a range that has no end, and steps of nothing.
    """
    grid, z = sequence.grid_plan, sequence.z_plan
    known = {
        "t": 0 if sequence.time_plan is None else _times(sequence.time_plan),
        "p": len(sequence.stage_positions),
        "g": 0 if grid is None else with_field(grid, field or (1.0, 1.0)).num_positions(),
        "c": len(sequence.channels),
        "z": 0 if z is None else z.num_positions(),
    }
    return {axis: max(0, known[axis]) for axis in sequence.axis_order}


def with_field(grid: Any, field: tuple[float, float] | None) -> Any:
    """Return a grid that knows what the camera sees, if that is known."""
    if field is None or grid.fov_width is not None:
        return grid
    return grid.replace(fov_width=field[0], fov_height=field[1])


def problem_of(sequence: MDASequence, field: tuple[float, float] | None = None) -> str:
    """Return why a sequence cannot be run, as far as numbers tell; empty if it can."""
    try:
        frames = frames_of(count(sequence, field))
    except (ValueError, ArithmeticError) as error:
        return f"its frames cannot be counted: {error}"
    if frames > _MOST:
        return f"{frames:.3g} frames are too many to be run at once: at most {_MOST} are"
    inner = (place.sequence for place in sequence.stage_positions if place.sequence is not None)
    return next(filter(None, (problem_of(each, field) for each in inner)), "")


def frames_of(sizes: dict[str, int]) -> int:
    """Return how many frames there are in all."""
    frames = 1
    for size in sizes.values():
        frames *= max(1, size)
    return frames


def _times(plan: Any) -> int:
    phases = getattr(plan, "phases", None)
    if phases is None:
        return int(plan.num_timepoints())
    return 1 + sum(max(0, int(phase.num_timepoints()) - 1) for phase in phases)
