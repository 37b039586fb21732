"""Plans for the window: bluesky's own, with parameters that a form can show."""

from __future__ import annotations

from collections.abc import Sequence  # noqa: TC003 - a form reads the annotations
from typing import Annotated, Any

import bluesky.plans as bp
from annotated_types import Ge
from bluesky.protocols import Movable, Readable  # noqa: TC002
from bluesky.utils import MsgGenerator  # noqa: TC002

__all__ = ["count", "grid_scan", "scan"]


def scan(
    detectors: Sequence[Readable[Any]],
    motor: Movable[Any],
    start: float = -10.0,
    stop: float = 10.0,
    num: Annotated[int, Ge(1)] = 11,
) -> MsgGenerator[str]:
    """Read detectors at equally spaced positions of a motor.

    Parameters
    ----------
    detectors
        What is read at each position.
    motor
        What is moved.
    start, stop
        First and last position, in the motor's unit.
    num
        Number of positions.
    """
    return (yield from bp.scan(detectors, motor, start, stop, num))


def grid_scan(
    detectors: Sequence[Readable[Any]],
    slow_motor: Movable[Any],
    fast_motor: Movable[Any],
    slow_start: float = -10.0,
    slow_stop: float = 10.0,
    slow_num: Annotated[int, Ge(1)] = 5,
    fast_start: float = -10.0,
    fast_stop: float = 10.0,
    fast_num: Annotated[int, Ge(1)] = 5,
    snake: bool = True,
) -> MsgGenerator[str]:
    """Read detectors on a grid of positions of two motors.

    Parameters
    ----------
    detectors
        What is read at each position.
    slow_motor, fast_motor
        What is moved; the fast one at each step of the slow one.
    slow_start, slow_stop, fast_start, fast_stop
        The corners of the grid, in the motors' units.
    slow_num, fast_num
        Numbers of positions.
    snake
        Whether every other line goes backwards.
    """
    axes = (
        slow_motor,
        slow_start,
        slow_stop,
        slow_num,
        fast_motor,
        fast_start,
        fast_stop,
        fast_num,
    )
    return (yield from bp.grid_scan(detectors, *axes, snake_axes=snake))


def count(
    detectors: Sequence[Readable[Any]],
    num: Annotated[int, Ge(1)] = 10,
    delay: Annotated[float, Ge(0)] = 0.0,
) -> MsgGenerator[str]:
    """Read detectors a number of times.

    Parameters
    ----------
    detectors
        What is read.
    num
        Number of readings.
    delay
        Time between readings [s].
    """
    return (yield from bp.count(detectors, num, delay))
