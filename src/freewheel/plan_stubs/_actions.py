"""Waiting for what a user may do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from bluesky.utils import Msg

from freewheel.core import Action, Pacer, SRLatch
from freewheel.core._pacer import NO_PACE

from ._ahead import ShotAhead
from ._live import Shot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bluesky.protocols import Readable
    from bluesky.utils import MsgGenerator

__all__ = ["read_while_waiting", "wait_for_action", "wait_for_actions"]


def wait_for_actions(
    events: Mapping[str, SRLatch],
    timeout: float | None = 0.001,
    wait_for: Literal["set", "reset"] = "set",
    *,
    hold: bool = False,
) -> MsgGenerator[tuple[str, SRLatch] | None]:
    """Look whether one of several latches is set, or reset; with a `timeout`, wait for that.

    **Unless it is told how long to wait, it returns after a millisecond**, with ``None`` if
    nothing has happened: made for a loop that does something else in between. To wait, pass
    ``timeout=None``, or use `wait_for_action`.

    While it waits the latches are on offer as `RunEngine.pending_actions`. A set that is
    followed at once by a reset is not missed by a plan that is waiting. A good place for a pause,
    a deferred one too: after it the plan waits on.

    Parameters
    ----------
    events : mapping of str to SRLatch
        The latches by name, such as an action's ``event_map``. A latch of another library is
        taken too, if it has an `SRLatch`'s methods; it comes back as it was given.
    timeout : float, optional
        How long to wait, in seconds: a millisecond if nothing is said, for ever if ``None``.
    wait_for : {"set", "reset"}
        Which change to wait for.
    hold : bool
        Whether the latches stay on offer when the time is over: what changes until the plan's
        next wait for the same ones answers that one. A wait for none, ``wait_for_actions({},
        timeout=0)``, ends the offer.

    Yields
    ------
    Msg
        ``wait_for_actions``

    Returns
    -------
    tuple of str and SRLatch, or None
        The latch that changed first, with its name; ``None`` when the time is over.

    Raises
    ------
    ValueError
        If the time-out is negative or not a number.
    """
    kwargs = {"hold": True} if hold else {}
    changed: tuple[str, SRLatch] | None = yield Msg(
        "wait_for_actions", None, events, timeout=timeout, wait_for=wait_for, **kwargs
    )
    return changed


def wait_for_action(
    *actions: Action | SRLatch,
    timeout: float | None = None,
    wait_for: Literal["set", "reset"] = "set",
) -> MsgGenerator[tuple[str, SRLatch] | None]:
    """Wait until a user triggers one of several actions; for ever, unless a time-out is given.

    The actions are on offer meanwhile as `RunEngine.pending_actions`. A pause takes effect at
    once, a deferred one too, and after it the plan waits on; so do stop and abort.

    An action that is triggered already ends the wait at once: reset its latch before a new wait,
    ``latch.reset()``.

    Parameters
    ----------
    *actions : Action or SRLatch
        What to wait for. A bare latch is on offer as ``latch 1``, ``latch 2`` and so on, by its
        place.
    timeout : float, optional
        How long to wait, in seconds; for ever if ``None``.
    wait_for : {"set", "reset"}
        Which change to wait for: ``"reset"`` is a togglable action that is switched off.

    Yields
    ------
    Msg
        ``wait_for_actions``

    Returns
    -------
    tuple of str and SRLatch, or None
        The name of the action that was triggered first, and its latch; ``None`` when the time is
        over.

    Raises
    ------
    TypeError
        If nothing is given, or something that is neither an action nor a latch.
    ValueError
        If two of them have one name, or the time-out is negative or not a number.
    """
    return (yield from wait_for_actions(_by_name(actions), timeout, wait_for))


def _by_name(actions: Sequence[Action | SRLatch]) -> dict[str, SRLatch]:
    if not actions:
        raise TypeError("wait_for_action waits for at least one action or latch, and got none")
    latches: dict[str, SRLatch] = {}
    for place, given in enumerate(actions, 1):
        action = given.action if isinstance(given, SRLatch) else given
        if isinstance(action, Action):
            name, latch = action.name, action.latch
        elif isinstance(given, SRLatch):
            name, latch = f"latch {place}", given
        else:
            raise TypeError(
                f"wait_for_action takes actions and latches, and {given!r} is neither; for a "
                "mapping of names to latches there is wait_for_actions(mapping, timeout=None)"
            )
        if latches.setdefault(name, latch) is not latch:
            raise ValueError(f"wait_for_action was given two actions with the name {name!r}")
    return latches


def read_while_waiting(
    objs: Sequence[Readable[Any]],
    events: Mapping[str, SRLatch],
    stream_name: str = "primary",
    refresh_period: float = 1 / 60,
    wait_for: Literal["set", "reset"] = "set",
    *,
    pacer: Pacer | None = None,
    turns: int | None = None,
    at_once: bool = False,
) -> MsgGenerator[tuple[str, SRLatch] | None]:
    """Take one event after the other until a latch changes; once for each change.

    A latch that stays set ends this once: the next call goes on until it is reset and set again,
    or another one changes. One that was set before the plan was ever told of it counts as changed.

    The period is kept: neither the time of a reading nor the lateness of a wake-up adds to it,
    and turns that there was no time for are skipped, see `Pacer`. The latches are on offer all
    the time, also while the devices are read: a change meanwhile ends the wait that follows. At
    least one event is taken.

    Parameters
    ----------
    objs : sequence of Readable
        The devices; those that can be triggered are.
    events : mapping of str to SRLatch
        The latches by name.
    stream_name : str
        Name of the stream.
    refresh_period : float
        Seconds from the begin of one event to the begin of the next.
    wait_for : {"set", "reset"}
        Which change to wait for.
    pacer : Pacer, optional
        The clock to follow instead of one that is made here with `refresh_period`; so that it
        goes on from one call to the next, and can be among `objs`.
    turns : int, optional
        How many events to take at most; without limit if ``None``.
    at_once : bool
        Whether to take each event in one message, see `acquire`. With a period below 0.1 ms, which
        is no pace, devices that are `freewheel.core.TriggersAhead` are triggered for the next
        event while they expose for this one, in single messages.

    Yields
    ------
    Msg
        Each turn ``checkpoint``, those of `trigger_and_read`, and ``wait_for_actions``

    Returns
    -------
    tuple of str and SRLatch, or None
        The latch that changed first, with its name; ``None`` only after the last of `turns`.

    Raises
    ------
    ValueError
        If the period is not a positive finite number.
    """
    clock = Pacer(refresh_period) if pacer is None else pacer
    shot = Shot(objs, stream_name)
    ahead = ShotAhead(shot) if at_once and clock.period < NO_PACE else None
    # The engine tells objects that it has seen in a message when it pauses and resumes.
    yield Msg("null", clock)
    try:
        # On offer from the first reading on.
        changed: tuple[str, SRLatch] | None = yield _held(events, wait_for, 0.0)
        while turns is None or turns > 0:
            clock.begin_turn()
            if ahead is not None:
                yield Msg("checkpoint", None, *ahead.begun())
                yield from ahead.take(more=changed is None and turns != 1)
            else:
                yield Msg("checkpoint")
                yield from shot.take_at_once() if at_once else shot.take()
            if changed is None:
                changed = yield _held(events, wait_for, clock.remaining())
            if changed is not None:
                if ahead is not None:
                    yield from ahead.leave()
                return changed
            turns = None if turns is None else turns - 1
    except Exception:
        # Else the latches would stay on offer, with nobody left who waits for them.
        yield _WITHDRAW
        raise
    yield _WITHDRAW
    return None


_WITHDRAW = Msg("wait_for_actions", None, {}, timeout=0)


def _held(events: Mapping[str, SRLatch], wait_for: str, timeout: float) -> Msg:
    """Return a wait whose latches stay on offer until the next one, when the time is over."""
    return Msg(
        "wait_for_actions",
        None,
        events,
        timeout=timeout,
        wait_for=wait_for,
        hold=True,
        fresh=True,
    )
