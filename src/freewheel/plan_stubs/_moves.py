"""Moving devices, and asking where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bluesky.plan_stubs import mv as _bluesky_mv
from bluesky.plan_stubs import rd as _bluesky_rd
from bluesky.protocols import Locatable
from bluesky.utils import Msg, get_hinted_fields

from freewheel.core._groups import fresh_group

if TYPE_CHECKING:
    from collections.abc import Hashable

    from bluesky.protocols import Movable, Readable, Status
    from bluesky.utils import MsgGenerator

__all__ = ["mv", "rd", "set_property"]


def set_property(
    obj: Movable[Any], value: Any, /, propr: str, timeout: float | None = None
) -> MsgGenerator[Status]:
    """Set one property of a device, and wait until it has the value.

    Parameters
    ----------
    obj : Movable
        The device; its ``set`` is called as ``set(value, propr=propr)``.
    value
        What the property becomes.
    propr : str
        Name of the property.
    timeout : float, optional
        How long to wait at most, in seconds; without limit if ``None``.

    Yields
    ------
    Msg
        ``set`` and ``wait``

    Returns
    -------
    Status
        Of the device's ``set``, done.

    Raises
    ------
    TimeoutError
        If it takes longer.
    """
    group = fresh_group("set_property")
    status: Status = yield Msg("set", obj, value, group=group, propr=propr)
    yield Msg("wait", None, group=group, timeout=timeout)
    return status


def mv(
    *args: Any, group: Hashable | None = None, timeout: float | None = None, **kwargs: Any
) -> MsgGenerator[tuple[Status, ...]]:
    """Move one or more devices, at the same time, and wait until all are there.

    Parameters
    ----------
    *args
        ``device1, value1, device2, value2, ...``
    group : hashable, optional
        What the moves are waited for by.
    timeout : float, optional
        How long at most, in seconds.
    **kwargs
        Passed to each device's ``set``.

    Yields
    ------
    Msg
        ``set`` for each, and ``wait``

    Returns
    -------
    tuple of Status
        One for each move.

    Raises
    ------
    TimeoutError
        If it takes longer.
    """
    devices = args[::2]
    if (
        not args
        or len(args) % 2
        or len(set(map(id, devices))) != len(devices)
        or any(hasattr(getattr(device, "parent", None), "RealPosition") for device in devices)
    ):
        # Axes of one pseudo-positioner move as one, and what is no list of pairs is an error:
        # bluesky knows how, and its words are the ones that people look for.
        moves: tuple[Status, ...] = yield from _bluesky_mv(
            *args, group=group, timeout=timeout, **kwargs
        )
        return moves
    group = group or fresh_group("mv")
    statuses = []
    for device, value in zip(devices, args[1::2], strict=True):
        statuses.append((yield Msg("set", device, value, group=group, **kwargs)))
    yield Msg("wait", None, group=group, timeout=timeout)
    return tuple(statuses)


def rd(obj: Readable[Any], *, default_value: Any = 0) -> MsgGenerator[Any]:
    """Return the value of a device that has one, without triggering it.

    Where the device can be located that is its position; else the value of its one hinted field,
    or of its one reading.

    Parameters
    ----------
    obj : Readable
        The device.
    default_value
        What to return when nobody answers, as in ``list(plan)``.

    Yields
    ------
    Msg
        ``locate`` or ``read``

    Returns
    -------
    object
        The value.

    Raises
    ------
    ValueError
        If the device has several values, and its hints do not single one out.
    """
    if isinstance(obj, Locatable):
        location = yield Msg("locate", obj)
        return default_value if location is None else location["readback"]
    hints = get_hinted_fields(obj)
    if len(hints) != 1:
        # Which of the readings is meant, and the errors if that can't be told, are bluesky's.
        return (yield from _bluesky_rd(obj, default_value=default_value))
    reading = yield Msg("read", obj)
    return default_value if reading is None else reading[hints[0]]["value"]
