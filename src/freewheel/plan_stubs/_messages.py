"""bluesky's elementary stubs as plain generators.

bluesky wraps each of its own in an object that formats the whole call stack when it is made, to
be able to say where a plan was made that nobody iterated. In a loop that runs a thousand times a
second that is most of the work. These are generators and nothing else, and yield the same
messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bluesky.utils import Msg

from freewheel.core._groups import fresh_group

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from bluesky.protocols import Movable, Readable, Reading, Status, Triggerable
    from bluesky.utils import MsgGenerator

__all__ = [
    "abs_set",
    "checkpoint",
    "create",
    "drop",
    "null",
    "read",
    "save",
    "sleep",
    "trigger",
    "wait",
]


def checkpoint() -> MsgGenerator[None]:
    """Mark the place that a pause rewinds to.

    Yields
    ------
    Msg
        ``checkpoint``
    """
    yield Msg("checkpoint")


def create(name: str = "primary") -> MsgGenerator[None]:
    """Open an event: the readings that follow belong to it.

    Parameters
    ----------
    name : str
        Name of the event's stream.

    Yields
    ------
    Msg
        ``create``
    """
    yield Msg("create", name=name)


def save() -> MsgGenerator[None]:
    """Close the open event and emit it.

    Yields
    ------
    Msg
        ``save``
    """
    yield Msg("save")


def drop() -> MsgGenerator[None]:
    """Close the open event without emitting it.

    Yields
    ------
    Msg
        ``drop``
    """
    yield Msg("drop")


def null() -> MsgGenerator[None]:
    """Do nothing, and let others have their turn.

    Yields
    ------
    Msg
        ``null``
    """
    yield Msg("null")


def sleep(time: float) -> MsgGenerator[None]:
    """Wait some time, while the engine does other things.

    Parameters
    ----------
    time : float
        In seconds.

    Yields
    ------
    Msg
        ``sleep``

    See Also
    --------
    freewheel.plan_stubs.pace : waits for the next tick of a clock, without drift.
    """
    yield Msg("sleep", None, time)


def read(obj: Readable[Any]) -> MsgGenerator[Mapping[str, Reading[Any]]]:
    """Read a device, into the event that is open if there is one.

    Parameters
    ----------
    obj : Readable
        The device.

    Yields
    ------
    Msg
        ``read``

    Returns
    -------
    mapping of str to Reading
        What the device's `read` returned.
    """
    reading: Mapping[str, Reading[Any]] = yield Msg("read", obj)
    return reading


def trigger(
    obj: Triggerable, *, group: Hashable | None = None, wait: bool = False
) -> MsgGenerator[Status]:
    """Trigger a device.

    Parameters
    ----------
    obj : Triggerable
        The device.
    group : hashable, optional
        What to wait for it by.
    wait : bool
        Whether to wait until the acquisition is over. Without a group this takes one of its own;
        bluesky's stub would wait for everything that was started without a group.

    Yields
    ------
    Msg
        ``trigger``, and ``wait``

    Returns
    -------
    Status
        Of the acquisition.
    """
    if wait and group is None:
        group = fresh_group("trigger")
    status: Status = yield Msg("trigger", obj, group=group)
    if wait:
        yield Msg("wait", None, group=group)
    return status


def abs_set(
    obj: Movable[Any],
    *args: Any,
    group: Hashable | None = None,
    wait: bool = False,
    **kwargs: Any,
) -> MsgGenerator[Status]:
    """Set a device.

    Parameters
    ----------
    obj : Movable
        The device.
    *args, **kwargs
        Passed to its `set`.
    group : hashable, optional
        What to wait for it by.
    wait : bool
        Whether to wait until it is there.

    Yields
    ------
    Msg
        ``set``, and ``wait``

    Returns
    -------
    Status
        Of the move.
    """
    if wait and group is None:
        group = fresh_group("set")
    status: Status = yield Msg("set", obj, *args, group=group, **kwargs)
    if wait:
        yield Msg("wait", None, group=group)
    return status


def wait(
    group: Hashable | None = None,
    *,
    timeout: float | None = None,
    error_on_timeout: bool = True,
    watch: Sequence[str] = (),
) -> MsgGenerator[bool]:
    """Wait until all that was started in a group is done.

    Parameters
    ----------
    group : hashable, optional
        The group.
    timeout : float, optional
        How long at most, in seconds.
    error_on_timeout : bool
        Whether it is an error when that was not long enough.
    watch : sequence of str
        Other groups, whose failures end the wait.

    Yields
    ------
    Msg
        ``wait``

    Returns
    -------
    bool
        Whether all is done.
    """
    done: bool = yield Msg(
        "wait",
        None,
        group=group,
        error_on_timeout=error_on_timeout,
        timeout=timeout,
        watch=watch,
    )
    return done
