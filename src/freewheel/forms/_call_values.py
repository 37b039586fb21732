"""From the arguments of a plan back to what a form holds."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from freewheel.forms._arguments import find_device

if TYPE_CHECKING:
    from collections.abc import Mapping

    from freewheel.core import PlanCall
    from freewheel.forms._spec import ParamDescription, PlanSpec

__all__ = ["values_of_call"]


def values_of_call(
    spec: PlanSpec, call: PlanCall, devices: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return what a form would have to hold for a call of its plan.

    Parameters
    ----------
    spec
        The description of the plan that is called.
    call
        The call.
    devices
        The devices by name.

    Returns
    -------
    dict of str to object
        Values by parameter name, names in place of devices; without what no form shows, and
        without what is left to the plan.
    """
    bound = inspect.signature(call.function).bind(*call.args, **call.kwargs).arguments
    shown = [p for p in spec.parameters if not p.hidden and p.actions is None and p.name in bound]
    return {p.name: _shown(p, bound[p.name], devices or {}) for p in shown}


def _shown(parameter: ParamDescription, value: Any, devices: Mapping[str, Any]) -> Any:
    if parameter.device_proto is None or value is None:
        return value
    if parameter.multiselect:
        return [_name_of(parameter, each, devices) for each in value]
    return _name_of(parameter, value, devices)


def _name_of(parameter: ParamDescription, device: Any, devices: Mapping[str, Any]) -> Any:
    for choice in parameter.choices or ():
        if find_device(devices, choice) is device:
            return choice
    return device
