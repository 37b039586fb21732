"""From what was chosen in a form to the arguments of a plan."""

from __future__ import annotations

import collections.abc as cabc
import enum
from inspect import Parameter
from typing import Any

import pydantic

from freewheel.core._devices import device_parts
from freewheel.forms._annotations import listed, matches_device
from freewheel.forms._errors import InvalidArgumentsError
from freewheel.forms._spec import FieldType, ParamDescription, ParamKind, PlanSpec

__all__ = ["check_value", "collect_arguments", "find_device", "resolve_arguments"]

_POSITIONAL = (ParamKind.POSITIONAL_ONLY, ParamKind.POSITIONAL_OR_KEYWORD)


def resolve_arguments(
    spec: PlanSpec, values: cabc.Mapping[str, Any], devices: cabc.Mapping[str, Any]
) -> dict[str, Any]:
    """Turn what a form or another client holds into what the plan takes.

    Parameters
    ----------
    spec
        The plan.
    values
        Values by parameter name. Names of devices become the devices, enum members may be given
        by value or name, and plain values also as JSON or text would have them (``"3"``,
        ``"2026-01-31"``, ``"5 mm"``).
    devices
        The devices by name.

    Returns
    -------
    dict
        Values by parameter name: those that were given, the actions of the plan, and the
        defaults of what a form does not show.

    Raises
    ------
    InvalidArgumentsError
        A `ValueError` that lists every value that does not fit, every required one that is
        missing, and every name that is no parameter.
    """
    resolved: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for parameter in spec.parameters:
        name = parameter.name
        try:
            if name in values:
                resolved[name] = _resolve(parameter, values[name], devices)
            elif parameter.has_default and (parameter.hidden or parameter.actions is not None):
                resolved[name] = parameter.default
            elif parameter.required:
                problems[name] = "is required"
        except ValueError as error:
            problems[name] = str(error)
    known = {parameter.name for parameter in spec.parameters}
    for name in values:
        if name not in known:
            problems[name] = f"is no parameter; there are: {', '.join(sorted(known)) or 'none'}"
    if problems:
        raise InvalidArgumentsError(spec.name, problems)
    return resolved


def check_value(
    parameter: ParamDescription, value: Any, devices: cabc.Mapping[str, Any] | None = None
) -> str:
    """Say what is wrong with one value, as a form marks it.

    Parameters
    ----------
    parameter
        The parameter that it is meant for.
    value
        As `resolve_arguments` takes it.
    devices
        The devices by name; without, names of devices are compared with the choices.

    Returns
    -------
    str
        Empty if the value fits.
    """
    if devices is None and parameter.field is FieldType.ROWS:
        return _check_rows(parameter, value)
    if devices is None and parameter.device_proto is not None:
        given = value if parameter.multiselect else [value]
        wrong = [v for v in given if v not in (parameter.choices or []) and v is not None]
        return _not_a_choice(parameter, wrong[0]) if wrong else ""
    try:
        _resolve(parameter, value, devices or {})
    except ValueError as error:
        return str(error)
    return ""


def _check_rows(parameter: ParamDescription, value: Any) -> str:
    """Say what is wrong with rows in which devices are but names."""
    for number, row in enumerate(value or (), 1):
        for column, each in zip(parameter.columns, row, strict=False):
            if each is None or (problem := check_value(column, each)):
                return f"row {number}, {column.label.lower()}: {problem if each else 'is required'}"
    return "" if value else "needs a row at least"


def _resolve(parameter: ParamDescription, value: Any, devices: cabc.Mapping[str, Any]) -> Any:
    if parameter.hidden or parameter.actions is not None:
        return value
    if value is None and (parameter.optional or parameter.default is None):
        return None
    if parameter.field is FieldType.ROWS:
        return _resolve_rows(parameter, value, devices)
    if parameter.multiselect:
        return _resolve_several(parameter, value, devices)
    return _resolve_one(parameter, value, devices)


def _resolve_rows(
    parameter: ParamDescription, value: Any, devices: cabc.Mapping[str, Any]
) -> tuple[Any, ...]:
    """Return rows as the arguments that they stand for; arguments that are no rows as they are."""
    if not all(isinstance(row, (list, tuple)) for row in value):
        return tuple(value)  # of who calls the plan, and knows it
    if not value:
        msg = "needs a row at least"
        raise ValueError(msg)
    found: list[Any] = []
    for number, row in enumerate(value, 1):
        if len(row) != len(parameter.columns):
            names = ", ".join(column.name for column in parameter.columns)
            msg = f"row {number} has {len(row)} values, and not one each of {names}"
            raise ValueError(msg)
        for column, each in zip(parameter.columns, row, strict=True):
            found.append(_resolve_cell(column, each, devices, number))
    _refuse_repeated(parameter, found)
    return tuple(found)


def _resolve_cell(
    column: ParamDescription, value: Any, devices: cabc.Mapping[str, Any], number: int
) -> Any:
    if value is None or value == []:
        msg = f"row {number} needs a {column.label.lower()}"
        raise ValueError(msg)
    try:
        return _resolve(column, value, devices)
    except ValueError as error:
        msg = f"row {number}, {column.label.lower()}: {error}"
        raise ValueError(msg) from error


def _refuse_repeated(parameter: ParamDescription, found: cabc.Sequence[Any]) -> None:
    """Refuse a device that is moved by two rows."""
    width = len(parameter.columns)
    for place, column in enumerate(parameter.columns):
        if column.device_proto is None:
            continue
        seen: list[Any] = []
        for number, device in enumerate(found[place::width], 1):
            if any(device is other for other in seen):
                msg = f"row {number} has the {column.label.lower()} of another row"
                raise ValueError(msg)
            seen.append(device)


def _resolve_several(
    parameter: ParamDescription, value: Any, devices: cabc.Mapping[str, Any]
) -> Any:
    lone = isinstance(value, (str, bytes)) or not isinstance(value, cabc.Iterable)
    items = [_resolve_one(parameter, item, devices) for item in ([value] if lone else value)]
    if parameter.required and not items:
        msg = "choose at least one"
        raise ValueError(msg)
    if parameter.length is not None and len(items) != parameter.length:
        msg = f"choose exactly {parameter.length}, not {len(items)}"
        raise ValueError(msg)
    return (parameter.container or list)(items)


def _resolve_one(parameter: ParamDescription, value: Any, devices: cabc.Mapping[str, Any]) -> Any:
    if parameter.device_proto is not None:
        return _resolve_device(parameter, value, devices)
    if parameter.choices is not None:
        return _resolve_choice(parameter, value)
    if parameter.field is FieldType.QUANTITY:
        return _resolve_quantity(parameter, value)
    return _validate(parameter, value)


def _resolve_device(
    parameter: ParamDescription, value: Any, devices: cabc.Mapping[str, Any]
) -> Any:
    device = find_device(devices, value) if isinstance(value, str) else value
    if device is None or not matches_device(device, parameter.device_proto):
        raise ValueError(_not_a_choice(parameter, value))
    choices = parameter.choices or ()
    axes = [str(choice) for choice in choices if str(choice).startswith(f"{value}.")]
    if isinstance(value, str) and axes and value not in choices:
        msg = f"{value} goes to several numbers at a time: choose {' or '.join(axes)}"
        raise ValueError(msg)
    return device


def find_device(devices: cabc.Mapping[str, Any], name: str) -> Any:
    """Return the device of a name such as ``"camera"`` or ``"stage.x"``, or `None`."""
    if name in devices:
        return devices[name]
    first, *rest = name.split(".")
    device: Any = devices.get(first)
    for part in rest:
        device = device_parts(device).get(part)
    return device


def _not_a_choice(parameter: ParamDescription, value: Any) -> str:
    offered = ", ".join(_shown(choice) for choice in parameter.choices or ())
    return f"{value!r} is not on offer; there is: {offered or 'nothing'}"


def _shown(choice: Any) -> str:
    return choice.name if isinstance(choice, enum.Enum) else str(choice)


def _resolve_choice(parameter: ParamDescription, value: Any) -> Any:
    choices = parameter.choices or []
    for choice in choices:
        if type(choice) is type(value) and choice == value:
            return choice
    for choice in choices:
        if isinstance(choice, enum.Enum) and value in (choice.value, choice.name):
            return choice
        if isinstance(value, str) and str(choice) == value:
            return choice
    raise ValueError(_not_a_choice(parameter, value))


def _resolve_quantity(parameter: ParamDescription, value: Any) -> Any:
    import pint

    registry = _registry_of(parameter)
    try:
        if isinstance(value, (int, float)):
            quantity = registry.Quantity(value, parameter.unit)
        else:
            quantity = value if isinstance(value, pint.Quantity) else registry.Quantity(str(value))
        if parameter.unit:
            quantity = quantity.to(parameter.unit)
    except (pint.PintError, AttributeError, ValueError) as error:
        raise ValueError(str(error)) from error
    problem = _beyond(parameter, float(quantity.magnitude))
    if problem:
        raise ValueError(problem)
    return quantity


def _registry_of(parameter: ParamDescription) -> Any:
    import pint

    # a quantity of the plan's own registry can't be compared with one of another
    registry = getattr(parameter.default, "_REGISTRY", None)
    if registry is None:
        registry = pint.get_application_registry()  # type: ignore[no-untyped-call]
    return registry


def _beyond(parameter: ParamDescription, number: float) -> str:
    b, unit = parameter.bounds, f" {parameter.unit}" if parameter.unit else ""
    if b.minimum is not None and (
        number < b.minimum or (b.exclusive_minimum and number == b.minimum)
    ):
        return f"must be {'above' if b.exclusive_minimum else 'at least'} {b.minimum:g}{unit}"
    if b.maximum is not None and (
        number > b.maximum or (b.exclusive_maximum and number == b.maximum)
    ):
        return f"must be {'below' if b.exclusive_maximum else 'at most'} {b.maximum:g}{unit}"
    return ""


def _validate(parameter: ParamDescription, value: Any) -> Any:
    # A list of *args is annotated with one item; a plain "x = 3" with nothing.
    annotated = listed(parameter.annotated)
    if parameter.kind is ParamKind.VAR_POSITIONAL:
        annotated = tuple[annotated, ...]  # type: ignore[valid-type]
    config = pydantic.ConfigDict(arbitrary_types_allowed=True)
    try:
        adapter = pydantic.TypeAdapter(annotated, config=config)
    except pydantic.PydanticUserError:  # the config is refused where a type brings its own
        adapter = pydantic.TypeAdapter(annotated)
    try:
        checked = adapter.validate_python(value)
    except pydantic.ValidationError as error:
        raise ValueError(_say(error)) from error
    problem = _beyond_options(parameter, checked)
    if problem:
        raise ValueError(problem)
    return checked


def _beyond_options(parameter: ParamDescription, value: Any) -> str:
    # Limits that came in a form that pydantic does not know (magicgui's mapping).
    numbers = value if isinstance(value, (list, tuple, set, frozenset)) else [value]
    for number in numbers:
        if isinstance(number, (int, float)) and not isinstance(number, bool):
            problem = _beyond(parameter, number)
            if problem:
                return problem
    return ""


def _say(error: pydantic.ValidationError) -> str:
    """Return the first complaint in one line: a union complains once for each member."""
    first = error.errors(include_url=False, include_context=False)[0]
    place = "".join(f"[{part}]" for part in first["loc"] if isinstance(part, int))
    text = first["msg"].removeprefix("Input ").removeprefix("Value error, ")
    return f"{place} {text}".strip()


def collect_arguments(
    spec: PlanSpec, resolved: cabc.Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments to call a plan with.

    Parameters
    ----------
    spec
        The plan.
    resolved
        Values by parameter name, as `resolve_arguments` returns them.

    Returns
    -------
    tuple
        ``(args, kwargs)``. Parameters that may be passed either way go by position as long as
        none before them was left out, and by name after that.

    Raises
    ------
    TypeError
        For a ``*args`` that is no sequence, a ``**kwargs`` that is no mapping, or a value that
        can only go by position behind one that was left out and has no default.
    """
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    last = _last_positional(spec, resolved)
    left_out = False
    for index, parameter in enumerate(spec.parameters):
        name, kind = parameter.name, parameter.kind
        if name not in resolved:
            if kind in _POSITIONAL and index < last:
                args.append(_default_of(spec, parameter))
            elif kind in _POSITIONAL:
                left_out = True
        elif kind is ParamKind.VAR_POSITIONAL:
            args += _expanded(spec, parameter, resolved[name])
        elif kind is ParamKind.VAR_KEYWORD:
            kwargs.update(_mapping(spec, parameter, resolved[name]))
        elif kind in _POSITIONAL and not left_out:
            args.append(resolved[name])
        else:
            kwargs[name] = resolved[name]
    return tuple(args), kwargs


def _last_positional(spec: PlanSpec, resolved: cabc.Mapping[str, Any]) -> int:
    """Return the place of the last parameter that must go by position."""
    by_position = (ParamKind.POSITIONAL_ONLY, ParamKind.VAR_POSITIONAL)
    places = [
        index
        for index, parameter in enumerate(spec.parameters)
        if parameter.kind in by_position
        and parameter.name in resolved
        and (parameter.kind is ParamKind.POSITIONAL_ONLY or len(resolved[parameter.name]))
    ]
    return max(places, default=-1)


def _default_of(spec: PlanSpec, parameter: ParamDescription) -> Any:
    if parameter.default is Parameter.empty:
        msg = (
            f"plan {spec.name!r}: {parameter.name!r} has no value and no default, but one behind "
            "it is passed by position"
        )
        raise TypeError(msg)
    return parameter.default


def _expanded(spec: PlanSpec, parameter: ParamDescription, value: Any) -> cabc.Iterable[Any]:
    if isinstance(value, (str, bytes)) or not isinstance(value, cabc.Iterable):
        msg = f"plan {spec.name!r}: *{parameter.name} takes a sequence, not {value!r}"
        raise TypeError(msg)
    return value


def _mapping(spec: PlanSpec, parameter: ParamDescription, value: Any) -> cabc.Mapping[str, Any]:
    if not isinstance(value, cabc.Mapping):
        msg = f"plan {spec.name!r}: **{parameter.name} takes a mapping, not {value!r}"
        raise TypeError(msg)
    return value
