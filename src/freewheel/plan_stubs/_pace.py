"""Keeping time: a plan that follows a clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluesky.utils import Msg

from freewheel.core import Pacer

if TYPE_CHECKING:
    from bluesky.utils import MsgGenerator

    from freewheel.core import Tick

__all__ = ["pace"]


def pace(period: float | Pacer) -> MsgGenerator[Tick | None]:
    """Wait for the next tick of a clock.

    At the head or the foot of a loop's body; the first call of a plan starts the clock and
    returns at once. The work of a turn does not add to the period, ticks that it takes too long
    for are skipped and counted, and never made up for in a bunch.

    Parameters
    ----------
    period : float or Pacer
        Seconds from tick to tick: the engine keeps one clock for each period that a plan names,
        until the plan ends. Or a clock of the plan's own, when two loops of one plan have the
        same period, or when the clock is to be read into events.

    Yields
    ------
    Msg
        ``pace``

    Returns
    -------
    Tick or None
        Turns, missed ticks and rate; ``None`` when nobody answers, as in ``list(plan)``.

    Raises
    ------
    ValueError
        If the period is not a positive finite number.

    Examples
    --------
    >>> def slow_scan(detectors):
    ...     for _ in range(10):
    ...         yield from pace(0.5)
    ...         yield from checkpoint()
    ...         yield from trigger_and_read(detectors)
    """
    pacer = period if isinstance(period, Pacer) else None
    # As the message's object the clock is told by the engine when the plan is paused and resumed.
    tick: Tick | None = yield Msg("pace", pacer, *(() if pacer else (period,)))
    return tick
