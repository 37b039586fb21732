"""Make a `PlanSpec` from a plan function."""

from __future__ import annotations

import collections.abc as cabc
import datetime
import enum
import functools
import inspect
import sys
from dataclasses import replace
from inspect import Parameter
from itertools import accumulate
from pathlib import PurePath
from typing import Any, Literal, get_args, get_origin

from freewheel.core._actions import are_actions
from freewheel.core._devices import device_parts
from freewheel.forms._annotations import (
    evaluate,
    is_device_type,
    matches_device,
    sequence_of,
    split_optional,
    unwrap,
)
from freewheel.forms._docs import parameter_docs
from freewheel.forms._errors import UnresolvableAnnotationError
from freewheel.forms._rows import Rows, needed_beside, rows_of
from freewheel.forms._spec import FieldType, ParamDescription, ParamKind, PlanSpec

__all__ = ["OfferedDevices", "create_plan_spec", "device_choices", "is_plan_function"]

# Most special first: a datetime is a date, a bool is an int.
_PLAIN: tuple[tuple[type, FieldType], ...] = (
    (bool, FieldType.BOOLEAN),
    (int, FieldType.INTEGER),
    (float, FieldType.NUMBER),
    (str, FieldType.TEXT),
    (PurePath, FieldType.PATH),
    (datetime.datetime, FieldType.DATETIME),
    (datetime.date, FieldType.DATE),
    (datetime.time, FieldType.TIME),
    (datetime.timedelta, FieldType.DURATION),
)


def create_plan_spec(
    plan: cabc.Callable[..., Any], devices: cabc.Mapping[str, Any] | None = None
) -> PlanSpec:
    """Describe a plan, so that a form can be made of it.

    Parameters
    ----------
    plan
        A plan function: a generator function, one decorated with bluesky's ``@plan``, a method,
        or a `functools.partial` of one of these. It is not called.
    devices
        The devices on offer, by name. Children of a device that does not itself fit are offered
        as ``"stage.x"``.

    Returns
    -------
    PlanSpec
        One `ParamDescription` a parameter, in the signature's order. May be made on any thread.

    Raises
    ------
    TypeError
        For something that is no plan function.
    UnresolvableAnnotationError
        A `TypeError` too: for a required parameter that no form can show. One with a default is
        ``hidden`` instead, and keeps its default.
    ValueError
        For two actions of one name.
    """
    name = plan_name(plan)
    if not is_plan_function(plan):
        msg = (
            f"{name!r} is no plan: a plan is a generator function, such as "
            "'def my_plan(detectors): yield from ...'"
        )
        raise TypeError(msg)
    function = _function_of(plan)
    hints = evaluate(function)
    docstring = inspect.getdoc(function) or ""
    texts = parameter_docs(docstring)
    available = {} if devices is None else devices
    parameters = []
    for parameter in _parameters_of(plan):
        annotation = hints.get(parameter.name, parameter.annotation)
        rows = None
        if parameter.kind is Parameter.VAR_POSITIONAL:
            rows = rows_of(function, annotation)
        if rows is not None:
            described = _describe_rows(name, parameter, rows, available)
        else:
            described = _describe(name, parameter, annotation, available)
        if needed_beside(function, parameter.name):
            described = replace(described, optional=False)
        text = texts.get(parameter.name) or described.docs
        parameters.append(replace(described, docs=text))
    spec = PlanSpec(
        name,
        docstring,
        parameters,
        togglable=bool(_mark(plan, "__togglable__")),
        pausable=bool(_mark(plan, "__pausable__")),
        plan=plan,
        continuous=_mark(plan, "__togglable__") is not None,
    )
    _refuse_repeated_actions(spec)
    return spec


def _mark(plan: Any, mark: str) -> bool | None:
    """Return what `freewheel.continuous` left on a plan function, if it did."""
    found: bool | None = getattr(_whole_of(plan), mark, getattr(_function_of(plan), mark, None))
    return found


def plan_name(plan: Any) -> str:
    """Return what a plan function is called, also if it is a partial or a callable object."""
    plan = _whole_of(plan)
    return str(getattr(plan, "__name__", type(plan).__name__))


def is_plan_function(plan: Any) -> bool:
    """Whether something is a function that makes plans, as far as can be told without a call."""
    if not callable(plan) or isinstance(plan, type):
        return False
    function = _function_of(plan)
    if inspect.isgeneratorfunction(function) or getattr(plan, "_is_plan_", False):
        return True
    returned = evaluate(function).get("return")
    if isinstance(returned, str):  # a name for type checkers alone
        return "MsgGenerator" in returned
    return (get_origin(returned) or returned) is cabc.Generator


def _whole_of(plan: Any) -> Any:
    while isinstance(plan, functools.partial):
        plan = plan.func
    return plan


def _function_of(plan: Any) -> Any:
    plan = _whole_of(plan)
    if not inspect.isroutine(plan) and not hasattr(plan, "__wrapped__"):
        plan = type(plan).__call__
    return inspect.unwrap(getattr(plan, "__func__", plan))


def _parameters_of(plan: cabc.Callable[..., Any]) -> list[Parameter]:
    fixed = plan.keywords if isinstance(plan, functools.partial) else {}
    return [p for p in inspect.signature(plan).parameters.values() if p.name not in fixed]


def _refuse_repeated_actions(spec: PlanSpec) -> None:
    names = [action.name for action in spec.actions]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        msg = (
            f"plan {spec.name!r} has more than one action named {', '.join(map(repr, repeated))}; "
            "a name tells its actions apart, so give each its own"
        )
        raise ValueError(msg)


def _describe(
    plan: str, parameter: Parameter, annotation: Any, devices: cabc.Mapping[str, Any]
) -> ParamDescription:
    """Describe one parameter, or refuse it."""
    name, kind, default = parameter.name, ParamKind(parameter.kind), parameter.default
    described = ParamDescription(name, kind, annotation, default, annotated=annotation)
    if are_actions(default):
        return replace(described, field=FieldType.ACTIONS, actions=default)
    if kind is ParamKind.VAR_KEYWORD:
        return replace(described, hidden=True)
    if annotation is Parameter.empty or (isinstance(annotation, str) and default is not None):
        # nothing to go by but the default
        guess = type(default) if default is not Parameter.empty else annotation
        annotation = described.annotation if guess is Parameter.empty else guess
    filled = _fill(replace(described, annotated=annotation), annotation, devices)
    if default is None:
        filled = replace(filled, optional=True)
    if filled.field is FieldType.HIDDEN:
        if default is Parameter.empty:
            raise UnresolvableAnnotationError(plan, *_refusal(parameter, annotation))
        return replace(filled, hidden=True, annotated=Any)
    if kind is ParamKind.VAR_POSITIONAL:
        filled = _several(filled, tuple, None)
    return filled


def _describe_rows(
    plan: str, parameter: Parameter, rows: Rows, devices: cabc.Mapping[str, Any]
) -> ParamDescription:
    """Describe ``*args`` of which it is known that they come in groups."""
    columns = []
    for name, annotation in rows.columns.items():
        one = Parameter(name, Parameter.POSITIONAL_ONLY, annotation=annotation)
        described = _describe(plan, one, annotation, devices)
        if described.device_proto is not None and len(rows.columns) > 1:
            # Beside them stand numbers, which a stage that goes to pairs has no use for.
            choices = _without_whole(described.choices or ())
            described = replace(described, choices=choices)
        columns.append(described)
    return ParamDescription(
        parameter.name,
        ParamKind.VAR_POSITIONAL,
        Any,
        field=FieldType.ROWS,
        columns=tuple(columns),
        annotated=Any,
    )


def _refusal(parameter: Parameter, annotation: Any) -> tuple[str, Any, str]:
    name = parameter.name
    if parameter.kind is Parameter.VAR_POSITIONAL:
        return (
            f"*{name}",
            annotation,
            "the arguments must all be of one type that a form can show; write a plan with named "
            "parameters around this one, or say what a group of them is: "
            "'*args: Annotated[Any, Rows(motor=Movable, start=float, stop=float)]', of "
            "freewheel.forms",
        )
    if isinstance(annotation, str):
        return (
            name,
            annotation,
            "the name is not known when the plan runs: import it outside of 'if TYPE_CHECKING'",
        )
    if annotation is Parameter.empty:
        return name, annotation, "annotate it, or give it a default"
    if _is_plan_type(annotation):
        return (
            name,
            annotation,
            "it takes a plan, which a form cannot make: write a plan around this one that makes "
            "it, with parameters of its own",
        )
    return name, annotation, ""


def _is_plan_type(annotation: Any) -> bool:
    """Whether an annotation is a plan's, or that of a collection of plans."""
    kinds = (annotation, *get_args(annotation))
    return any((get_origin(kind) or kind) is cabc.Generator for kind in kinds)


def _fill(
    described: ParamDescription, annotation: Any, devices: cabc.Mapping[str, Any]
) -> ParamDescription:
    """Return the description with what the annotation says; still HIDDEN if it says nothing."""
    annotation, metadata = unwrap(annotation)
    members, optional = split_optional(annotation)
    described = replace(
        described,
        optional=described.optional or optional,
        unit=metadata.unit or described.unit,
        docs=metadata.docs or described.docs,
        bounds=metadata.bounds if metadata.bounds != type(metadata.bounds)() else described.bounds,
    )
    if len(members) > 1 and not is_device_type(annotation):
        return _pick(described, members, devices)
    if optional and len(members) == 1:
        return _fill(described, members[0], devices)
    return _fill_single(replace(described, annotation=annotation), annotation, devices)


def _pick(
    described: ParamDescription, members: list[Any], devices: cabc.Mapping[str, Any]
) -> ParamDescription:
    """Of a union, take what can be shown and fits the default; a device beats a plain value."""
    if described.kind is ParamKind.VAR_POSITIONAL:
        return described  # several arguments of several types: their order can't be told
    shown = [filled for m in members if (filled := _fill(described, m, devices)).field != "hidden"]
    if not shown:
        return described
    for filled in shown:
        plain = _plain_type(filled.field)
        if plain is not None and type(described.default) is plain:
            return _widen(filled, shown)
    return _widen(shown[0], shown)


def _widen(picked: ParamDescription, shown: list[ParamDescription]) -> ParamDescription:
    # int | float takes any number
    number = next((s for s in shown if s.field is FieldType.NUMBER), None)
    return number if picked.field is FieldType.INTEGER and number is not None else picked


def _plain_type(field: FieldType) -> type | None:
    return next((kind for kind, name in _PLAIN if name is field), None)


def _fill_single(
    described: ParamDescription, annotation: Any, devices: cabc.Mapping[str, Any]
) -> ParamDescription:
    if get_origin(annotation) is Literal:
        return replace(
            described, field=FieldType.CHOICE, choices=list(dict.fromkeys(get_args(annotation)))
        )
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return replace(described, field=FieldType.CHOICE, choices=list(annotation))
    sequence = sequence_of(annotation)
    if sequence is not None:
        return _fill_sequence(described, *sequence, devices=devices)
    if _is_quantity(annotation):
        unit = described.unit or _unit_of(described.default)
        return replace(described, field=FieldType.QUANTITY, unit=unit)
    if isinstance(annotation, type):
        for kind, field in _PLAIN:
            if issubclass(annotation, kind):
                return replace(described, field=field)
    if is_device_type(annotation):
        return replace(
            described,
            field=FieldType.DEVICE,
            choices=device_choices(devices, annotation),
            device_proto=annotation,
        )
    return described


def _fill_sequence(
    described: ParamDescription,
    container: type,
    item: Any,
    length: int | None,
    *,
    devices: cabc.Mapping[str, Any],
) -> ParamDescription:
    inner = ParamDescription(described.name, described.kind, item, annotated=item)
    inner = _fill(inner, item, devices)
    if inner.field in (FieldType.HIDDEN, FieldType.LIST):
        return described
    whole = replace(
        inner,
        annotation=described.annotation,
        annotated=described.annotated,
        default=described.default,
        optional=described.optional,
        unit=inner.unit or described.unit,
        docs=described.docs or inner.docs,
    )
    return _several(whole, container, length, inner)


def _several(
    described: ParamDescription,
    container: type,
    length: int | None,
    item: ParamDescription | None = None,
) -> ParamDescription:
    """Make a description of one thing one of several."""
    if described.choices is not None:
        return replace(described, multiselect=True, container=container, length=length)
    return replace(
        described,
        field=FieldType.LIST,
        container=container,
        length=length,
        item=item or replace(described, default=Parameter.empty),
    )


def _is_quantity(annotation: Any) -> bool:
    pint = sys.modules.get("pint")
    if pint is None:
        return False
    kind = get_origin(annotation) or annotation
    return isinstance(kind, type) and issubclass(kind, pint.Quantity)


def _unit_of(default: Any) -> str:
    return f"{default.units:~}" if hasattr(default, "units") else ""


def device_choices(devices: cabc.Mapping[str, Any], proto: Any) -> list[str]:
    """Return the names of the devices that are what a type or protocol asks for.

    Parameters
    ----------
    devices
        The devices on offer, by name.
    proto
        A device type, a protocol, or a union of such.

    Returns
    -------
    list of str
        Names from the mapping, in its order; where a device does not fit but parts of it do,
        theirs, as ``"stage.x"``. Of a device that is moved whole and has axes that are moved
        themselves, such as an XY stage, both are offered where something movable is asked for.
        Signals are offered where a signal class is asked for alone.
    """
    found = devices.found if isinstance(devices, OfferedDevices) else {}
    if id(proto) not in found:  # not all that may stand in an annotation can be hashed
        names = [
            each for name, device in devices.items() for each in _matching(name, device, proto)
        ]
        found[id(proto)] = proto, names
    return [*found[id(proto)][1]]


class OfferedDevices(dict[str, Any]):
    """Devices that do not change, and which of them are what a type or protocol asks for.

    Many plans ask for the same, and hundreds of devices take long to be looked through.
    """

    def __init__(self, devices: cabc.Mapping[str, Any]) -> None:
        super().__init__(devices)
        # By the id of what is asked for, which is kept so that it stays that one's.
        self.found: dict[int, tuple[Any, list[str]]] = {}


def _matching(name: str, device: Any, proto: Any) -> list[str]:
    names = [name] if matches_device(device, proto) else []
    if names and not _asks_to_move(proto):
        return names
    for part_name, part in device_parts(device).items():
        if not _is_signal(part) or (not names and _asks_for_signal(proto)):
            names += _matching(f"{name}.{part_name}", part, proto)
    return names


def _asks_to_move(proto: Any) -> bool:
    members, _ = split_optional(proto)
    kinds = (unwrap(member)[0] for member in members)
    return all(hasattr(get_origin(kind) or kind, "set") for kind in kinds)


def _without_whole(names: cabc.Sequence[Any]) -> list[Any]:
    """Return names without those of devices of which axes are among them."""
    wholes = {whole for name in names for whole in accumulate(str(name).split(".")[:-1], _dotted)}
    return [name for name in names if str(name) not in wholes]


def _dotted(whole: str, part: str) -> str:
    return f"{whole}.{part}"


def _signal_classes() -> tuple[type, ...]:
    modules = (sys.modules.get(name) for name in ("ophyd_async.core", "ophyd"))
    found = (getattr(module, "Signal", None) for module in modules)
    return tuple(kind for kind in found if kind is not None)


def _is_signal(device: Any) -> bool:
    return isinstance(device, _signal_classes())


def _asks_for_signal(proto: Any) -> bool:
    kind = get_origin(proto) or proto
    return isinstance(kind, type) and issubclass(kind, _signal_classes())
