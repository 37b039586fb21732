"""A plan after which devices go back to where they were."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from bluesky.protocols import Locatable
from bluesky.utils import Msg, RunEngineControlException, ensure_generator

from freewheel.core._devices import device_name, is_device
from freewheel.core._groups import fresh_group

from ._moves import rd

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from bluesky.protocols import Movable
    from bluesky.utils import MsgGenerator

__all__ = ["restoring"]


def restoring(plan: Iterable[Msg], *devices: Movable[Any]) -> MsgGenerator[Any]:
    """Carry out a plan; afterwards the devices go back to where they were, all at the same time.

    They do so however the plan has ended: when it has completed, failed, or was stopped or
    aborted, and also when it is stopped on their way back. They stay where they are after
    ``RE.halt()`` and ``RE.stop_all()``, after which nothing is to move. That one of them fails
    keeps no other from going back.

    Parameters
    ----------
    plan : generator or iterable of Msg
        The plan.
    *devices : Movable
        What goes back: to the setpoint, where it can be located; else to its ``position``, or to
        the value of its one hinted field.

    Yields
    ------
    Msg
        Those of the plan; before and after it ``locate``, ``set`` and ``wait``

    Returns
    -------
    object
        What the plan returns.

    Raises
    ------
    TypeError
        If one of them is no device that can be set, or the plan is none.
    Exception
        What the plan has failed with, with a note of what did not go back; else what that has
        failed with, several as an ``ExceptionGroup``.
    """
    if not isinstance(plan, Iterable) or isinstance(plan, (str, bytes)):
        raise TypeError(
            "restoring() takes a plan, such as the generator that a plan function returns, and "
            f"devices, not {plan!r}."
        )
    places: list[tuple[Any, Any]] = []
    for device in devices:
        place = yield from _place_of(device)
        places += [(device, place)]
    stops = yield _stops()
    try:
        result = yield from ensure_generator(plan)
    except GeneratorExit:
        raise  # halted, or closed: nothing can be asked for any more
    except BaseException as error:
        for name, failure in (yield from _go_back(places, stops)):
            if not isinstance(failure, RunEngineControlException):
                error.add_note(f"Besides, {name!r} did not go back to where it was: {failure!r}")
        raise
    failures = yield from _go_back(places, stops)
    if failures:
        raise _joined([failure for _, failure in failures])
    return result


def _stops() -> Msg:
    """Ask how often everything was stopped: then nothing is to move any more."""
    return Msg("_count_stops_of_all")


def _place_of(device: Any) -> MsgGenerator[Any]:
    if not is_device(device) or not callable(getattr(device, "set", None)):
        raise TypeError(f"restoring() takes a plan, and devices that can be set, not {device!r}.")
    if isinstance(device, Locatable):
        location = yield Msg("locate", device)
        return None if location is None else location["setpoint"]
    if hasattr(device, "position"):
        return device.position
    return (yield from rd(device))


def _go_back(
    places: Sequence[tuple[Any, Any]], stops: Any
) -> MsgGenerator[list[tuple[str, BaseException]]]:
    """Set all devices, then wait for each; return what has failed, with the devices' names."""
    failures: list[tuple[str, BaseException]] = []
    left = list(places)
    while left:
        moves = []
        for device, place in left:
            name, group = device_name(device), fresh_group("restoring")
            # Asked each time: a stop of all may come while they are on their way.
            if (yield from _everything_is_stopped(stops, name, failures)):
                return failures
            moves.append((name, group, device, place))
            yield from _try(Msg("set", device, place, group=group), name, failures)
        left = []
        for name, group, device, place in moves:
            error = yield from _try(Msg("wait", None, group=group), name, failures)
            if isinstance(error, RunEngineControlException):
                # A request has cut short the wait, and the engine stops what has not arrived when
                # the plan ends: it is sent once more.
                left.append((device, place))
    return failures


def _everything_is_stopped(
    stops: Any, name: str, failures: list[tuple[str, BaseException]]
) -> MsgGenerator[bool]:
    while True:
        try:
            return bool((yield _stops()) != stops)
        except Exception as error:  # of a move that is under way, or a request: as in `_try`
            failures.append((name, error))


def _try(
    msg: Msg, name: str, failures: list[tuple[str, BaseException]]
) -> Generator[Msg, Any, BaseException | None]:
    try:
        yield msg
    except Exception as error:  # also a request to stop, which comes after that
        failures.append((name, error))
        return error
    return None


def _joined(failures: list[BaseException]) -> BaseException:
    """Return one exception for several; a request to end goes before what has failed."""
    for failure in failures:
        if isinstance(failure, RunEngineControlException):
            return failure
    if len(failures) == 1:
        return failures[0]
    return BaseExceptionGroup("several devices did not go back to where they were", failures)
