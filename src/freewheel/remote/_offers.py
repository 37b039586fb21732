"""What a server offers by name: plans and devices."""

from __future__ import annotations

import enum
import inspect
from typing import TYPE_CHECKING, Any

import msgspec

from freewheel.core import PlanCall
from freewheel.core._devices import device_children, device_name
from freewheel.forms import (
    UnresolvableAnnotationError,
    collect_arguments,
    create_plan_spec,
    find_device,
    plan_schema,
    resolve_arguments,
)

from ._wire import DeviceName

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from freewheel.forms import ParamDescription, PlanSpec

__all__ = ["NamedCall", "Offers"]

#: What a device may be asked for from afar.
_ABILITIES = ("read", "set", "stop", "trigger", "locate", "stage", "kickoff", "clear_sub")
#: The types of signals that a client has, too.
_TYPES = (bool, int, float, str)


class NamedCall(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """A plan by its name, and what to call it with.

    Attributes
    ----------
    plan : str
        A plan that is on offer.
    args : list
        Its positional arguments.
    kwargs : dict
        Its keyword arguments.
    """

    plan: str
    args: list[Any] = []
    kwargs: dict[str, Any] = {}


class Offers:
    """Plans and devices by name.

    Parameters
    ----------
    plans : iterable of callable
        Plan functions.
    devices : mapping of str to device
        The devices.
    """

    def __init__(
        self, plans: Iterable[Callable[..., Any]], devices: Mapping[str, Any] | None = None
    ) -> None:
        self.devices: dict[str, Any] = dict(devices or {})
        self.plans: dict[str, Callable[..., Any]] = {}
        self.specs: dict[str, PlanSpec] = {}
        self.reasons: dict[str, str] = {}  # why a plan has no form
        for plan in plans:
            self._add(plan)

    def _add(self, plan: Callable[..., Any]) -> None:
        name = plan.__name__
        self.plans[name] = plan
        try:
            self.specs[name] = create_plan_spec(plan, self.devices)
        except (UnresolvableAnnotationError, TypeError, ValueError) as error:
            self.reasons[name] = str(error)

    # -- from a client's words ----------------------------------------------------------------

    def device(self, name: str | DeviceName) -> Any:
        """Return a device by its name, or a part of one as in ``"stage.x"``.

        Raises
        ------
        KeyError
            If there is none; with those that there are.
        """
        name = name.name if isinstance(name, DeviceName) else name
        found = find_device(self.devices, name)
        if found is None:
            names = ", ".join(self.devices) or "none"
            raise KeyError(f"There is no device {name!r} here. There are: {names}.")
        return found

    def with_devices(self, value: Any) -> Any:
        """Return a value with the devices that are named in it."""
        if isinstance(value, DeviceName):
            return self.device(value)
        if isinstance(value, (list, tuple)):
            return [self.with_devices(each) for each in value]
        if isinstance(value, dict):
            return {key: self.with_devices(each) for key, each in value.items()}
        return value

    def call(self, named: NamedCall) -> PlanCall:
        """Return the call of a plan, with its arguments checked.

        Raises
        ------
        KeyError
            If there is no such plan, or device.
        TypeError, ValueError
            If it cannot be called so.
        """
        plan = self.plans.get(named.plan)
        if plan is None:
            names = ", ".join(sorted(self.plans)) or "none"
            raise KeyError(f"There is no plan {named.plan!r} here. There are: {names}.")
        args = self.with_devices(named.args)
        kwargs = self.with_devices(named.kwargs)
        spec = self.specs.get(named.plan)
        if spec is None:
            return PlanCall(plan, tuple(args), kwargs)
        given = PlanCall(plan, tuple(args), kwargs)  # refuses what does not fit the signature
        values = inspect.signature(plan).bind(*given.args, **given.kwargs).arguments
        return PlanCall(plan, *self._checked(spec, values))

    def _checked(self, spec: PlanSpec, values: dict[str, Any]) -> tuple[Any, Any]:
        actions = {p.name for p in spec.parameters if p.actions is not None}
        hidden = {p.name for p in spec.parameters if p.hidden} | actions
        shown = {name: value for name, value in values.items() if name not in hidden}
        resolved = resolve_arguments(spec, shown, self.devices)
        # Defaults that nobody gave would only be read by whoever looks at the queue.
        resolved = {name: value for name, value in resolved.items() if name in shown}
        # What no form shows was given by who knows the plan: its metadata, for example.
        # Not its actions: what a form elsewhere gives for them is but their description.
        resolved |= {name: values[name] for name in values if name in hidden - actions}
        return collect_arguments(spec, resolved)

    # -- in a client's words ------------------------------------------------------------------

    def schemas(self) -> dict[str, Any]:
        """Return the plans' arguments as JSON schemas; of one without a form, why."""
        return {
            name: plan_schema(self.specs[name])
            if name in self.specs
            else {"title": name, "x-unavailable": self.reasons[name]}
            for name in self.plans
        }

    def plan_records(self) -> list[dict[str, Any]]:
        """Return what a client needs to call the plans, and to make their forms."""
        return [_plan_record(name, self) for name in self.plans]

    def device_records(self) -> dict[str, Any]:
        """Return the devices as trees of their parts."""
        return {name: _device_record(device) for name, device in self.devices.items()}


def _plan_record(name: str, offers: Offers) -> dict[str, Any]:
    plan, spec = offers.plans[name], offers.specs.get(name)
    signature = inspect.signature(plan)
    return {
        "name": name,
        "docs": inspect.getdoc(plan) or "",
        "source": getattr(plan, "__module__", ""),
        "signature": [
            [p.name, int(p.kind), p.default is not p.empty] for p in signature.parameters.values()
        ],
        "reason": offers.reasons.get(name, ""),
        "marks": None if spec is None else [spec.continuous, spec.togglable, spec.pausable],
        "parameters": [] if spec is None else [_parameter(p) for p in spec.parameters],
    }


def _parameter(p: ParamDescription) -> dict[str, Any]:
    b = p.bounds
    return {
        "name": p.name,
        "kind": int(p.kind),
        "field": str(p.field),
        "has_default": p.has_default,
        "default": _plain_default(p.default) if p.has_default else None,
        "choices": None if p.choices is None else [_choice(each) for each in p.choices],
        "multiselect": p.multiselect,
        "hidden": p.hidden,
        "optional": p.optional,
        "device": p.device_proto is not None,
        "container": None if p.container is None else p.container.__name__,
        "item": None if p.item is None else _parameter(p.item),
        "length": p.length,
        "columns": [_parameter(column) for column in p.columns],
        "bounds": [
            b.minimum,
            b.maximum,
            b.exclusive_minimum,
            b.exclusive_maximum,
            b.step,
        ],
        "unit": p.unit,
        "docs": p.docs,
        "actions": [
            [a.name, a.description, a.togglable, list(a.toggle_states)] for a in p.action_list
        ],
    }


def _choice(value: Any) -> Any:
    return getattr(value, "value", value) if not isinstance(value, (str, int, float)) else value


def _plain_default(value: Any) -> Any:
    if isinstance(value, (set, frozenset)):
        return list(value)
    return value


def _datatype(device: Any) -> str | list[Any] | None:
    """Return the name of a signal's type, or the values of its enumeration."""
    datatype = getattr(device, "datatype", None)
    if not isinstance(datatype, type):
        return None
    if issubclass(datatype, enum.Enum):
        return [member.value for member in datatype]
    return datatype.__name__ if datatype in _TYPES else None


def _device_record(device: Any) -> dict[str, Any]:
    return {
        "name": device_name(device),
        "kind": type(device).__name__,
        "is_signal": hasattr(device, "source"),
        "datatype": _datatype(device),
        "can": [each for each in _ABILITIES if callable(getattr(device, each, None))],
        "parts": {key: _device_record(part) for key, part in device_children(device).items()},
    }
