"""From the arguments of a plan back to what a form holds."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from freewheel.forms._arguments import find_device
from freewheel.forms._spec import FieldType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
    bound = {**_left_over(spec, bound), **bound}
    shown = [p for p in spec.parameters if not p.hidden and p.actions is None and p.name in bound]
    return {p.name: _shown(p, bound[p.name], devices or {}) for p in shown}


def _left_over(spec: PlanSpec, bound: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``num`` where it stands behind the rows, as bluesky's scans take it."""
    for parameter in spec.parameters:
        if parameter.field is FieldType.ROWS and "num" in {p.name for p in spec.parameters}:
            values = bound.get(parameter.name, ())
            if len(values) % len(parameter.columns) == 1:
                return {"num": values[-1]}
    return {}


def _shown(parameter: ParamDescription, value: Any, devices: Mapping[str, Any]) -> Any:
    if parameter.field is FieldType.ROWS:
        return _rows(parameter, value, devices)
    if parameter.device_proto is None or value is None:
        return value
    if parameter.multiselect:
        return [_name_of(parameter, each, devices) for each in value]
    return _name_of(parameter, value, devices)


def _rows(
    parameter: ParamDescription, values: Sequence[Any], devices: Mapping[str, Any]
) -> list[list[Any]]:
    """Return arguments as rows; what is left of them, as bluesky's scans allow, is left out."""
    columns = parameter.columns
    whole = len(values) - len(values) % len(columns)
    cells = [_shown(columns[i % len(columns)], values[i], devices) for i in range(whole)]
    return [cells[i : i + len(columns)] for i in range(0, whole, len(columns))]


def _name_of(parameter: ParamDescription, device: Any, devices: Mapping[str, Any]) -> Any:
    for choice in parameter.choices or ():
        if find_device(devices, choice) is device:
            return choice
    return device
