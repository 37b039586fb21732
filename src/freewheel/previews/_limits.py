"""Whether a device would take a value: by its own check, its limits, or the kind that it takes."""

from __future__ import annotations

import inspect
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from freewheel.core._devices import device_name

from ._facts import UNKNOWN
from ._look import carried_on

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._facts import Facts
    from ._look import Looker
    from ._seen import Seen

__all__ = ["check_of"]


def check_of(model: Seen, looker: Looker) -> Callable[[Any], None] | None:
    """Return what raises the device's own error for a value that it refuses.

    ``None`` for a device that refuses nothing that is known.
    """
    found = _kind_check_of(model.device), _own_check_of(model, looker), _told_check_of(model)
    checks = [check for check in found if check is not None]
    if len(checks) < 2:
        return checks[0] if checks else None

    def check(value: Any) -> None:
        for each in checks:
            each(value)

    return check


def _kind_check_of(device: Any) -> Callable[[Any], None] | None:
    """Return what refuses what is no value of a signal of ophyd-async's."""
    signal = getattr(getattr(device, "movable_logic", None), "setpoint", device)
    kind, source = getattr(signal, "datatype", None), str(getattr(signal, "source", ""))
    # What is derived of others takes what its own function takes.
    if kind is None or source.startswith("derived"):
        return None
    if source.startswith(("soft://", "mock+")):
        return _soft_check_of(kind)
    if not isinstance(kind, type):
        return None
    if issubclass(kind, (int, float)) and not issubclass(kind, bool):
        return _check_texts(float)
    return (
        _check_texts(kind) if any(base.__name__ == "StrictEnum" for base in kind.__mro__) else None
    )


def _check_texts(taken: Callable[[str], Any]) -> Callable[[Any], None]:
    """Check texts alone: numbers each control system takes in its own way."""

    def check(value: Any) -> None:
        if isinstance(value, str):
            taken(value)

    return check


def _soft_check_of(kind: Any) -> Callable[[Any], None] | None:
    """Return what refuses a value as a signal does that lives in this process."""
    try:
        convert = _converter(kind)
    except Exception:  # a datatype that only the signal's own backend knows
        return None
    taken = (int, float) if kind is float else ()

    def check(value: Any) -> None:
        if value is not None and not isinstance(value, taken):  # ``None`` is what it began with
            convert(value)

    return check


@lru_cache(maxsize=256)
def _converter(kind: Any) -> Callable[[Any], Any]:
    from ophyd_async.core import SoftSignalBackend  # loaded: the signal is one of its

    convert: Callable[[Any], Any] = SoftSignalBackend(kind).converter.write_value
    return convert


def _told_check_of(model: Seen) -> Callable[[Any], None] | None:
    """Return what raises what a device says that it will refuse a value with."""
    says = getattr(model.device, "expected_refusal", None)
    if not callable(says):
        return None

    def check(value: Any) -> None:
        refusal = says(value, model.known)
        if refusal is not None:
            raise refusal

    return check


def _own_check_of(model: Seen, looker: Looker) -> Callable[[Any], None] | None:
    if "low_limit_travel" in model.facts.values:
        return lambda value: _within_travel(model, value)
    check = getattr(model.device, "check_value", None)
    if check is None:
        return None
    if inspect.iscoroutinefunction(check):
        return _Awaited(model.device, model.facts, check, looker)
    return lambda value: check(value)


def _within_travel(model: Seen, value: float) -> None:
    """Check as ophyd-async's motor record does: no limits where both of the dial's are 0."""
    low, high = model.part("low_limit_travel"), model.part("high_limit_travel")
    if model.part("dial_low_limit_travel") == 0 == model.part("dial_high_limit_travel"):
        return
    stands = model.position
    for place, verb in ((stands, "stands at"), (value, "cannot move to")):
        if place is not UNKNOWN and not low <= place <= high:
            raise ValueError(
                f"{device_name(model.device)} {verb} {place:g}: its limits are {low:g} and {high:g}"
            )


class _Awaited:
    """A check that is a coroutine function; run without a loop as soon as it is seen to need none.

    Parameters
    ----------
    device : object
        The device.
    facts : Facts
        What it said; here it is noted if it does not answer.
    check : coroutine function
        Its check.
    looker : Looker
        Who asks it at first, and always if it does wait for something.
    """

    def __init__(
        self, device: Any, facts: Facts, check: Callable[[Any], Any], looker: Looker
    ) -> None:
        self._device = device
        self._facts = facts
        self._check = check
        self._looker = looker
        self._never_waits: bool | None = None
        self._taken: set[Any] = set()  # values that it has taken

    def __call__(self, value: Any) -> None:
        if self._never_waits:
            started = self._check(value)
            try:
                started.send(None)
            except StopIteration:
                return
            started.close()
            self._never_waits = False
        with suppress(TypeError):  # not hashable: it is asked each time
            if value in self._taken:
                return
        if self._facts.is_late:  # it would be waited for anew with each value
            return
        try:
            at_once, _ = self._looker.ask(self._device, lambda: carried_on(self._check(value)))
        except TimeoutError:
            self._facts.be_late(self._device)
            return
        with suppress(TypeError):
            self._taken.add(value)
        if self._never_waits is None:
            self._never_waits = at_once
