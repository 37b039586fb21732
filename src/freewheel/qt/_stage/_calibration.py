"""From pixels of a picture to the stage below it."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Calibration"]

#: Below this sine of the angle between them, two directions are one.
_PARALLEL: Final = 0.1


@dataclass(frozen=True)
class Calibration:
    """How far the stage goes to bring what is at one pixel to the place of another.

    Attributes
    ----------
    xx, xy, yx, yy
        The stage's x moves by ``xx`` for each pixel to the right and by ``xy`` for each pixel
        down; its y by ``yx`` and ``yy``. In the stage's unit.

    Raises
    ------
    ValueError
        For numbers that bring no pixel anywhere.
    """

    xx: float
    xy: float
    yx: float
    yy: float

    def __post_init__(self) -> None:
        if not (all(map(math.isfinite, astuple(self))) and self.pixel_size > 0):
            msg = f"no calibration is made of {', '.join(map(str, astuple(self)))}"
            raise ValueError(msg)

    @classmethod
    def from_moves(
        cls,
        places: Sequence[tuple[float, float]],
        x_step: float,
        y_step: float,
    ) -> Calibration:
        """Make one of where one thing was in the picture before and after two moves.

        Parameters
        ----------
        places
            Where it was at first, after x had gone a step, and after y had gone one too [pixels].
        x_step, y_step
            The two steps, in the stage's unit.

        Raises
        ------
        ValueError
            If the thing did not move, or moved in one direction both times.
        """
        (ax, ay), (bx, by), (cx, cy) = places
        # Pixels for each unit of the stage: what x does, and what y does.
        px, py = (bx - ax) / x_step, (by - ay) / x_step
        qx, qy = (cx - bx) / y_step, (cy - by) / y_step
        determinant = px * qy - qx * py
        if abs(determinant) <= _PARALLEL * math.hypot(px, py) * math.hypot(qx, qy):
            msg = (
                "the picture did not move, or moved in one direction both times: choose the same "
                "thing each time, and a step that moves it further"
            )
            raise ValueError(msg)
        # What is at a pixel goes to the middle if the picture moves the other way: minus.
        return cls(-qy / determinant, qx / determinant, py / determinant, -px / determinant)

    @property
    def pixel_size(self) -> float:
        """How large a pixel is, in the stage's unit."""
        return math.sqrt(abs(self.xx * self.yy - self.xy * self.yx))

    def move_to(
        self, pixel: tuple[float, float], middle: tuple[float, float]
    ) -> tuple[float, float]:
        """Return how far the stage has to go to bring a pixel to the middle."""
        right, down = pixel[0] - middle[0], pixel[1] - middle[1]
        return self.xx * right + self.xy * down, self.yx * right + self.yy * down

    def as_list(self) -> list[float]:
        """Return the four numbers, to be kept."""
        return list(astuple(self))
