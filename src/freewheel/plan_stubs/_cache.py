"""Keeping readings in a cache while a plan runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bluesky.utils import Msg

from freewheel.core._groups import fresh_group
from freewheel.core._triggerable import is_triggerable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bluesky.protocols import Readable, Reading
    from bluesky.utils import MsgGenerator

    from freewheel.core import HasCache

__all__ = ["clear_cache", "read_and_stash", "stash"]


def stash(
    obj: HasCache,
    reading: Mapping[str, Reading[Any]],
    *,
    group: str | None = None,
    wait: bool = False,
) -> MsgGenerator[None]:
    """Hand a reading to an object that keeps readings.

    Not repeated when a pause rewinds: what is kept is kept once.

    Parameters
    ----------
    obj : HasCache
        What keeps it, such as a `freewheel.core.ReadingCache`.
    reading : mapping of str to Reading
        What to keep.
    group : str, optional
        What to wait for it by; one of its own if there is none.
    wait : bool
        Whether to wait until it is kept.

    Yields
    ------
    Msg
        ``stash``, and ``wait``

    Raises
    ------
    TypeError
        If `obj` keeps no readings.
    """
    group = group or fresh_group("stash")
    yield Msg("stash", obj, reading, group=group)
    if wait:
        yield Msg("wait", None, group=group)


def clear_cache(
    obj: HasCache, *, group: str | None = None, wait: bool = False
) -> MsgGenerator[None]:
    """Have an object forget the readings that it keeps.

    Not repeated when a pause rewinds.

    Parameters
    ----------
    obj : HasCache
        What keeps readings.
    group : str, optional
        What to wait for it by; one of its own if there is none.
    wait : bool
        Whether to wait until it has.

    Yields
    ------
    Msg
        ``clear_cache``, and ``wait``

    Raises
    ------
    TypeError
        If `obj` keeps no readings.
    """
    group = group or fresh_group("clear_cache")
    yield Msg("clear_cache", obj, group=group)
    if wait:
        yield Msg("wait", None, group=group)


def read_and_stash(
    objs: Sequence[Readable[Any]],
    cache_objs: Sequence[HasCache],
    *,
    stream: str = "primary",
    group: str | None = None,
    wait: bool = False,
) -> MsgGenerator[dict[str, Reading[Any]]]:
    """Take one event, and keep the reading of each device in a cache of its own.

    Parameters
    ----------
    objs : sequence of Readable
        The devices; those that can be triggered are.
    cache_objs : sequence of HasCache
        What keeps their readings: the first the first device's, and so on.
    stream : str
        Name of the stream.
    group : str, optional
        What to wait by until the readings are kept; one of its own if there is none.
    wait : bool
        Whether to wait for that, once the event is saved.

    Yields
    ------
    Msg
        ``trigger`` for each, ``wait``, ``create``, ``read`` and ``stash`` for each, ``save``

    Returns
    -------
    dict of str to Reading
        The readings of all.

    Raises
    ------
    ValueError
        If there are not as many caches as devices.
    """
    if len(objs) != len(cache_objs):
        msg = (
            f"read_and_stash needs one cache for each device, and got {len(objs)} devices "
            f"and {len(cache_objs)} caches"
        )
        raise ValueError(msg)
    group = group or fresh_group("stash")
    triggered = fresh_group("trigger")
    triggerables = [obj for obj in objs if is_triggerable(obj)]
    for triggerable in triggerables:
        yield Msg("trigger", triggerable, group=triggered)
    if triggerables:
        yield Msg("wait", None, group=triggered)
    yield Msg("create", name=stream)
    readings: dict[str, Reading[Any]] = {}
    try:
        for obj, cache in zip(objs, cache_objs, strict=True):
            reading = yield Msg("read", obj)
            if reading is not None:
                readings.update(reading)
                yield Msg("stash", cache, reading, group=group)
    except Exception:
        yield Msg("drop")
        raise
    yield Msg("save")
    if wait and objs:
        yield Msg("wait", None, group=group)
    return readings
