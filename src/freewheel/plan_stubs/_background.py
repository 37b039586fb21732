"""Running things beside a plan, and claiming devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from bluesky.utils import Msg

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    from bluesky.utils import MsgGenerator

__all__ = [
    "background",
    "background_results",
    "cancel_background",
    "claim",
    "claim_wrapper",
    "release",
    "wait_any",
    "wait_for_background",
]


def background(
    payload: Any,
    *,
    name: str | None = None,
    claims: Any = (),
    on_conflict: Literal["cancel", "pause", "error"] = "cancel",
    detach: bool = False,
    suspendable: bool = True,
    flavour: str | ModuleType | None = None,
    metadata: Mapping[str, Any] | None = None,
    check: bool = False,
) -> MsgGenerator[Any]:
    """Start something that runs beside this plan.

    The task belongs to the plan: the plan's future is done when its tasks are done, and what
    ends, pauses or suspends the plan does the same to its tasks. A rewind does not start it again.

    Parameters
    ----------
    payload : plan, PlanCall, coroutine function, function, or object with a method ``run``
        A plan has everything that a plan has: groups, checkpoints, runs, staging and clean-up of
        its own. A coroutine function runs on the engine's loop, a function on a thread; if that
        has a parameter ``context`` it gets a `TaskContext`. So does the method ``run`` of an
        object, whose ``device_ids``, names in ``RE.background.devices`` or devices, are claims.
    name : str, optional
        What the task answers to; by default the payload's name, with a number if need be.
    claims : device or iterable of devices
        What the task holds from its start. What this plan holds itself it lends to the task until
        that has ended. What the task uses without having claimed it, it holds from then on.
    on_conflict : {"cancel", "pause", "error"}
        When the foreground plan needs a device that the task holds: the task is cancelled; or is
        paused until the foreground plan releases the device, ends, or waits for the task; or the
        foreground plan gets a `ResourceConflictError`. A task that is paused also waits where
        others are refused: for a device that the foreground plan or a person holds.
    detach : bool
        Whether the task may outlive the plan.
    suspendable : bool
        Whether suspenders hold it up; not so for a watchdog.
    flavour : str or module, optional
        ``"asyncio"``, ``"threading"``, ``"trio"``; by default what the payload looks like.
    metadata : mapping, optional
        For the runs of a plan; ``task.metadata`` in any case.

    check : bool
        Whether to refuse the task at once if the plan that starts it needs one of its devices
        later on. That is known of a plan that the engine was given as a `PlanCall`: its function
        is called once more, for a preview.

    Yields
    ------
    Msg
        ``background``

    Returns
    -------
    BackgroundTask
        The task, which has begun.

    Raises
    ------
    TypeError
        For a payload that is none of these, or a claim that is no device.
    ResourceConflictError
        If somebody else holds a claimed device.
    """
    task = yield Msg(
        "background",
        None,
        payload,
        name=name,
        claims=claims,
        on_conflict=on_conflict,
        detach=detach,
        suspendable=suspendable,
        flavour=flavour,
        metadata=metadata,
        **({"check": True} if check else {}),
    )
    return task


def wait_for_background(name: str | None = None, timeout: float | None = None) -> MsgGenerator[Any]:
    """Wait until a background task has ended, or all that the plan owns.

    Parameters
    ----------
    name : str, optional
        The task's name; without one all of the plan's tasks are waited for.
    timeout : float, optional
        How long at most, in seconds.

    Yields
    ------
    Msg
        ``wait_for_background``

    Returns
    -------
    object
        The task's result, ``None`` if it was cancelled; or a mapping from name to result.

    Raises
    ------
    KeyError
        For a name that no task answers to, with the names that exist.
    WaitTimeoutError
        If that was not long enough.
    Exception
        What the task failed with; several failures come as an ``ExceptionGroup``.
    """
    result = yield Msg("wait_for_background", None, name, timeout=timeout)
    return result


def background_results() -> MsgGenerator[Mapping[str, Any]]:
    """Return the results that have arrived, without waiting.

    Those that wait in ``RE.background.pending`` are drained.

    Yields
    ------
    Msg
        ``background_results``

    Returns
    -------
    mapping of str to object
        Results by the names of their tasks. A cancelled task's is ``None``; one that failed is
        not among them.
    """
    results: Mapping[str, Any] = yield Msg("background_results")
    return results


def cancel_background(name: str) -> MsgGenerator[None]:
    """Cancel a background task, and wait until it has cleaned up.

    Parameters
    ----------
    name : str
        The task's name.

    Yields
    ------
    Msg
        ``cancel_background``

    Raises
    ------
    KeyError
        For a name that no task answers to, with the names that exist.
    """
    yield Msg("cancel_background", None, name)


def wait_any(*things: Any, timeout: float | None = None) -> MsgGenerator[Any]:
    """Wait for the first of several things.

    Parameters
    ----------
    *things : SRLatch, Status or BackgroundTask
        A latch counts when it is set, a status when it is done, a task when it has ended; the
        latter two also when they failed, which is told where their result is asked for.
    timeout : float, optional
        How long at most, in seconds.

    Yields
    ------
    Msg
        ``wait_any``

    Returns
    -------
    SRLatch, Status, BackgroundTask or None
        The first one; of several that were done already the first named, of latches the one that
        changed first. ``None`` when the time is over. A pause in between does not lose it.

    Raises
    ------
    TypeError
        For something that can't be waited for.
    """
    first = yield Msg("wait_any", None, *things, timeout=timeout)
    return first


def claim(*devices: Any) -> MsgGenerator[None]:
    """Claim devices for this plan: all of them, or none.

    Tasks that hold one of them give way as their ``on_conflict`` says; those that are paused go
    on when the devices are released, or the plan ends.

    Parameters
    ----------
    *devices : object
        Devices. A claim covers what is below a device.

    Yields
    ------
    Msg
        ``claim``

    Raises
    ------
    ResourceConflictError
        If a holder does not give way. In a background plan: if anybody holds one of them.
    """
    yield Msg("claim", None, *devices)


def release(*devices: Any) -> MsgGenerator[None]:
    """Release devices that this plan holds.

    Parameters
    ----------
    *devices : object
        Devices, each as often as it was claimed.

    Yields
    ------
    Msg
        ``release``

    Raises
    ------
    KeyError
        If the plan does not hold one of them.
    """
    yield Msg("release", None, *devices)


def claim_wrapper(plan: MsgGenerator[Any], *devices: Any) -> MsgGenerator[Any]:
    """Hold devices for as long as a plan runs.

    Parameters
    ----------
    plan : generator
        The plan.
    *devices : object
        What it is to hold.

    Yields
    ------
    Msg
        ``claim``, those of the plan, ``release``

    Returns
    -------
    object
        What the plan returns.
    """
    yield from claim(*devices)
    try:
        result = yield from plan
    except Exception:
        # Not for a halt, or a generator that is thrown away: neither lets a message through.
        yield from release(*devices)
        raise
    yield from release(*devices)
    return result
