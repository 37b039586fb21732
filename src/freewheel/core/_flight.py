"""What hardware is told of a scan that it runs by itself, and where it may be interrupted."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scanspec.specs import Spec

__all__ = ["FlyPath", "FlyRow", "HasSafePoint"]


@runtime_checkable
class HasSafePoint(Protocol):
    """A flyer or detector that can end a flight early, between two of its points.

    The device has it, or, of an ophyd-async flyer, its ``flyable_logic``. A device without it
    flies to the end of what it was given.
    """

    async def stop_at_safe_point(self) -> int | None:
        """Begin no further point, and return when those that were begun are over.

        What a flyer's ``complete`` returned ends well. When nothing flies it does nothing.

        Returns
        -------
        int or None
            How many points were done since the last ``prepare``; ``None`` if the device
            does not count them.
        """
        ...


@dataclass(frozen=True)
class FlyRow:
    """Points in a straight line, at the same distance in space and in time.

    Attributes
    ----------
    num : int
        How many points, one or more.
    start : mapping
        For each axis (a device) its position in the middle of the first point.
    step : mapping
        For each axis how far it moves from one point to the next; 0 for one that stands.
    """

    num: int
    start: Mapping[Any, float] = field(default_factory=dict)
    step: Mapping[Any, float] = field(default_factory=dict)

    def lower(self, axis: Any) -> float:
        """Return where an axis is when the first point begins."""
        return self.start[axis] - self.step[axis] / 2

    def upper(self, axis: Any) -> float:
        """Return where an axis is when the last point ends."""
        return self.start[axis] + self.step[axis] * (self.num - 0.5)

    def after(self, points: int) -> FlyRow:
        """Return the row without its first points."""
        start = {axis: where + points * self.step[axis] for axis, where in self.start.items()}
        return replace(self, num=self.num - points, start=start)

    def cut(self, points: int) -> FlyRow:
        """Return the first points of the row."""
        return replace(self, num=points)


@dataclass(frozen=True)
class FlyPath:
    """What a flyer is prepared with: the points of one flight.

    Attributes
    ----------
    rows : sequence of FlyRow
        The points, row by row. Between two rows the axes turn round, and nothing is triggered.
    period : float
        Time from one point of a row to the next [s].
    deadtime : float
        The part of it at the end of each point in which detectors are busy reading out [s].
    first : int
        Index of the flight's first point in the whole scan.
    """

    rows: Sequence[FlyRow]
    period: float
    deadtime: float = 0.0
    first: int = 0

    @property
    def num(self) -> int:
        """How many points there are."""
        return sum(row.num for row in self.rows)

    @property
    def axes(self) -> tuple[Any, ...]:
        """The axes, of which each row has a position."""
        return tuple(self.rows[0].start) if self.rows else ()

    @property
    def spec(self) -> Spec[Any]:
        """The same points for hardware that takes a ``scanspec.specs.Spec``.

        Raises
        ------
        ValueError
            If no axis moves.
        """
        from scanspec.specs import Concat, Fly

        if not self.axes:
            msg = "a path without axes is no scanspec; use num, period and deadtime"
            raise ValueError(msg)
        specs = [_spec_of(row) for row in self.rows]
        while len(specs) > 1:  # in pairs: a chain of many rows would nest too deep
            pairs = zip(specs[::2], specs[1::2], strict=False)
            specs = [Concat(*pair) for pair in pairs] + specs[len(specs) & ~1 :]
        return Fly(self.period @ specs[0])

    def after(self, points: int) -> Self:
        """Return the path without its first points."""
        left, rows = points, []
        for row in self.rows:
            if left < row.num:
                rows.append(row.after(left) if left else row)
            left = max(0, left - row.num)
        return replace(self, rows=tuple(rows), first=self.first + points)

    def cut(self, points: int) -> Self:
        """Return the first points of the path, or all if there are no more."""
        rows = []
        for row in self.rows:
            if points <= 0:
                break
            rows.append(row.cut(min(points, row.num)))
            points -= row.num
        return replace(self, rows=tuple(rows))


def _spec_of(row: FlyRow) -> Spec[Any]:
    from scanspec.specs import Linspace

    specs = []
    for axis, start in row.start.items():
        # Of a single point scanspec takes start and stop for its step.
        stop = start + row.step[axis] * max(1, row.num - 1)
        specs.append(Linspace(axis, start, stop, row.num))
    spec: Spec[Any] = specs[0]
    for other in specs[1:]:
        spec = spec.zip(other)
    return spec


def check_period(period: float) -> float:
    """Return a period [s], or raise ``ValueError``."""
    if not 0 < period < math.inf:
        msg = f"the period of a fly scan must be a time in seconds above zero, not {period!r}"
        raise ValueError(msg)
    return float(period)
