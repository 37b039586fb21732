"""Which devices a form may choose by itself, and which it must not take twice."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from freewheel.core import danger_of
from freewheel.forms._arguments import find_device

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from freewheel.forms._spec import ParamDescription, PlanSpec

__all__ = ["repeated_devices", "suggest_devices"]

# What a parameter is called for what it is, which tells nothing of which one is meant.
_KINDS: Final = frozenset({"axis", "det", "detector", "device", "motor", "positioner", "signal"})


def suggest_devices(spec: PlanSpec, devices: Mapping[str, Any] | None = None) -> dict[str, str]:
    """Return the devices that a form may fill in: those that can be no others.

    Parameters
    ----------
    spec
        The plan.
    devices
        The devices by name: one that is marked as dangerous is never suggested.

    Returns
    -------
    dict of str to str
        Names of devices by parameter. A device is suggested where its name, or a part of it, is
        the parameter's (``focus``, ``x`` or ``x_motor`` for ``stage.x``), or where it alone is what
        the annotation asks for; never for two parameters of one kind. Nothing is suggested where
        several would do.
    """
    asked = [p for p in spec.parameters if _is_single(p) and not p.optional and not p.has_default]
    found: dict[str, str] = {}
    for fits in (_same_name, _part_of_name, _only_one):
        for parameter in asked:
            if parameter.name in found:
                continue
            taken = {
                found[other.name]
                for other in asked
                if other.name in found and other.device_proto == parameter.device_proto
            }
            offered = [str(choice) for choice in parameter.choices or ()]
            fitting = [name for name in offered if fits(parameter.name, name, offered)]
            free = [name for name in fitting if name not in taken]
            if len(fitting) == 1 and free and not _is_dangerous(free[0], devices):
                found[parameter.name] = free[0]
    return found


def repeated_devices(
    spec: PlanSpec, values: Mapping[str, Any], devices: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """Say which parameters are given a movable device that another one has already.

    Parameters
    ----------
    spec
        The plan.
    values
        Names of devices by parameter, as a form holds them.
    devices
        The devices by name. Those that cannot be set may be chosen twice.

    Returns
    -------
    dict of str to str
        What is wrong, by parameter; empty if nothing is.
    """
    problems: dict[str, str] = {}
    first: dict[tuple[Any, str], ParamDescription] = {}
    for parameter in spec.parameters:
        value = values.get(parameter.name)
        if not _is_single(parameter) or not isinstance(value, str):
            continue
        other = first.setdefault((parameter.device_proto, value), parameter)
        if other is not parameter and _can_move(value, devices):
            problems[parameter.name] = f"{value} is chosen for {other.label!r} already"
    return problems


def _is_single(parameter: ParamDescription) -> bool:
    return parameter.device_proto is not None and not parameter.multiselect


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]


def _same_name(parameter: str, device: str, _: Iterable[str]) -> bool:
    return _words(parameter) == _words(device)


def _part_of_name(parameter: str, device: str, _: Iterable[str]) -> bool:
    asked = [word for word in _words(parameter) if word not in _KINDS]
    has = _words(device)
    return bool(asked) and (asked == has[-len(asked) :] or has == asked[: len(has)])


def _only_one(_: str, __: str, offered: list[str]) -> bool:
    return len(offered) == 1


def _can_move(name: str, devices: Mapping[str, Any] | None) -> bool:
    device = _device(name, devices)
    return device is None or callable(getattr(device, "set", None))


def _is_dangerous(name: str, devices: Mapping[str, Any] | None) -> bool:
    device = _device(name, devices)
    return device is not None and danger_of(device) is not None


def _device(name: str, devices: Mapping[str, Any] | None) -> Any:
    return None if devices is None else find_device(devices, name)
