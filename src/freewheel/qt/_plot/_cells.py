"""Where the events of a scan lie in the plane of its two dimensions. No widget is touched here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from freewheel.qt._plot._tables import Axis, Run, Table

__all__ = ["Cells", "plane_of"]


@dataclass(frozen=True)
class Cells:
    """The events of a run in a plane.

    Attributes
    ----------
    x, y
        What the axes are: the run's fastest dimension, and the next.
    places
        Where the events are, shape (2, n); of a run of more dimensions those of its newest plane.
    values
        By their keys, what was measured there.
    area
        Of an even grid: left, bottom, width and height, half a step beyond the outer places.
    images
        Of an even grid: by their keys what was measured, line by line from below, NaN where nothing
        was yet.
    """

    x: str
    y: str
    places: npt.NDArray[Any]
    values: dict[str, npt.NDArray[Any]]
    area: tuple[float, float, float, float] | None = None
    images: dict[str, npt.NDArray[Any]] | None = None


def plane_of(run: Run) -> Cells | None:
    """Return what is shown of a run in the plane of its two fastest dimensions.

    `None` if it has fewer, or is shown against something else.
    """
    if run.shown is None:
        return None
    table, ys, x = run.shown
    names = table.dimensions
    if len(names) < 2 or x != table.axis or not table.count:
        return None
    rows = table.rows()
    moved = rows[[table.columns[name] for name in names]]
    grid = run.grid if len(run.grid) == len(names) else ()
    seen = _newest_plane(moved, grid)
    places = moved[:2, seen]
    values = {y: rows[table.columns[y], seen] for y in ys}
    if not grid:
        return Cells(names[0], names[1], places, values)
    area, images = _fill(_placed(table, names, grid), places, values)
    return Cells(names[0], names[1], places, values, area, images)


def _newest_plane(moved: npt.NDArray[Any], grid: tuple[Axis, ...]) -> npt.NDArray[Any]:
    """Return which events are where the slower dimensions are now."""
    seen = np.ones(moved.shape[1], bool)
    for number in range(2, len(moved)):
        near = abs(grid[number].step) / 2 if grid else 0.0
        seen &= np.abs(moved[number] - moved[number, -1]) <= near
    return seen


def _placed(table: Table, names: list[str], grid: tuple[Axis, ...]) -> list[Axis]:
    """Return where the two fastest axes are: a relative scan tells of them from where it began."""
    first = table.first
    placed = []
    for name, axis in zip(names[:2], grid, strict=False):
        begun = axis.begin if first is None else float(first[table.columns[name]])
        is_far = abs(begun - axis.begin) > abs(axis.step) / 2
        shift = begun - axis.begin if is_far else 0.0
        placed.append(axis._replace(begin=axis.begin + shift, end=axis.end + shift))
    return placed


def _fill(
    axes: list[Axis], places: npt.NDArray[Any], values: dict[str, npt.NDArray[Any]]
) -> tuple[tuple[float, float, float, float], dict[str, npt.NDArray[Any]]]:
    known = np.isfinite(places).all(axis=0)
    indices = []
    for axis, where in zip(axes, places, strict=True):
        index = np.rint((np.where(known, where, axis.begin) - axis.begin) / axis.step).astype(int)
        known &= (index >= 0) & (index < axis.num)
        indices.append(index if axis.step > 0 else axis.num - 1 - index)
    across, up = (index[known] for index in indices)
    images = {}
    for y, found in values.items():
        image = images[y] = np.full((axes[1].num, axes[0].num), np.nan)
        image[up, across] = found[known]
    left, bottom = (min(axis.begin, axis.end) - abs(axis.step) / 2 for axis in axes)
    width, height = (abs(axis.step) * axis.num for axis in axes)
    return (left, bottom, width, height), images
