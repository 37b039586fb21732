"""How long devices say that they take."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from ._facts import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ._seen import Seen

__all__ = ["exposure_time", "move_time", "set_time_of", "trigger_time_of"]

_SECONDS: Final = {"s": 1.0, "sec": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6}


def move_time(distance: float, velocity: float, ramp: float) -> float:
    """Return the time of a move that speeds up, goes on and slows down [s].

    Parameters
    ----------
    distance : float
        How far.
    velocity : float
        How fast at most; 0 for a motor that jumps.
    ramp : float
        How long it takes to be that fast [s].
    """
    distance = abs(distance)
    if not distance or not velocity:
        return 0.0
    if velocity * ramp >= distance:
        return 2 * math.sqrt(distance * ramp / velocity)
    return distance / velocity + ramp


def exposure_time(model: Seen) -> float | None:
    """Return the exposure of a detector that has one, as the plan has set it [s]."""
    for name in ("exposure", "acquire_time", "exposure_time"):
        exposure = model.part(name)
        if exposure is not UNKNOWN:
            break
    else:
        return None
    seconds = float(exposure) * _SECONDS.get(model.facts.units.get(name, "s"), 1.0)
    period = model.part("acquire_period")
    return seconds if period is UNKNOWN else max(seconds, float(period))


def set_time_of(model: Seen) -> Callable[[Any], float | None]:
    """Return what tells how long a device takes to a new value [s], or ``None`` if it cannot."""
    device = model.device
    says = getattr(device, "expected_time", None)
    if callable(says):
        return lambda value: _number(says("set", value, model.known))
    delay = getattr(device, "delay", None)
    if isinstance(delay, (int, float)):  # ophyd's simulated axes
        return lambda _: float(delay)
    values = model.facts.values
    if "velocity" in values:
        ramps = [name for name in ("acceleration_time", "acceleration") if name in values]
        return lambda value: _travel(model, value, ramps)
    if hasattr(device, "get_value") or type(device).__module__.startswith("ophyd.signal"):
        return lambda _: 0.0
    return lambda _: None


def _travel(model: Seen, value: Any, ramps: Sequence[str]) -> float | None:
    ramp = abs(model.part(ramps[0])) if ramps else 0.0
    try:
        distance = float(value) - float(model.position)
        return move_time(distance, abs(float(model.part("velocity"))), ramp)
    except (TypeError, ValueError):
        return None


def trigger_time_of(model: Seen) -> Callable[[str], float | None]:
    """Return what tells how long a device takes for one measurement [s], first and ``again``."""
    says = getattr(model.device, "expected_time", None)
    if callable(says):
        return lambda verb: _number(says(verb, None, model.known))

    def seconds(_: str) -> float | None:
        if model.flight is not None and model.flight.seconds:
            return float(model.flight.seconds)
        exposure = exposure_time(model)
        return 0.0 if exposure is None and _has_nothing_to_trigger(model.device) else exposure

    return seconds


def _has_nothing_to_trigger(device: Any) -> bool:
    """Tell whether a device of ophyd has the method of its base class, and no signal for it."""
    trigger = getattr(type(device), "trigger", None)
    return getattr(trigger, "__module__", "") == "ophyd.device" and not getattr(
        device, "trigger_signals", ()
    )


def _number(told: Any) -> float | None:
    return None if told is None else float(told)
