"""Whether a device would take a value: its own check, or its limits."""

from __future__ import annotations

import inspect
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from freewheel.core._devices import device_name

from ._facts import UNKNOWN
from ._look import carried_on

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._look import Looker
    from ._seen import Seen

__all__ = ["check_of"]


def check_of(model: Seen, looker: Looker) -> Callable[[Any], None] | None:
    """Return what raises the device's own error for a value that it refuses.

    ``None`` for a device that refuses nothing that is known.
    """
    own = _own_check_of(model, looker)
    kind = _kind_of(model.device)
    if kind is None:
        return own

    def check(value: Any) -> None:
        if isinstance(value, str):  # numbers each control system takes in its own way
            kind(value)
        if own is not None:
            own(value)

    return check


def _kind_of(device: Any) -> Callable[[str], Any] | None:
    """Return what makes a value of ophyd-async's out of a text, or refuses it as a device does."""
    signal = getattr(getattr(device, "movable_logic", None), "setpoint", device)
    kind = getattr(signal, "datatype", None)
    # What is derived of others takes what its own function takes.
    if not isinstance(kind, type) or str(getattr(signal, "source", "")).startswith("derived"):
        return None
    if issubclass(kind, (int, float)) and not issubclass(kind, bool):
        return float
    return kind if any(each.__name__ == "StrictEnum" for each in kind.__mro__) else None


def _own_check_of(model: Seen, looker: Looker) -> Callable[[Any], None] | None:
    if "low_limit_travel" in model.facts.values:
        return lambda value: _within_travel(model, value)
    check = getattr(model.device, "check_value", None)
    if check is None:
        return None
    if inspect.iscoroutinefunction(check):
        return _Awaited(model.device, check, looker)
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
    check : coroutine function
        Its check.
    looker : Looker
        Who asks it at first, and always if it does wait for something.
    """

    def __init__(self, device: Any, check: Callable[[Any], Any], looker: Looker) -> None:
        self._device = device
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
        at_once, _ = self._looker.ask(self._device, lambda: carried_on(self._check(value)))
        with suppress(TypeError):
            self._taken.add(value)
        if self._never_waits is None:
            self._never_waits = at_once
