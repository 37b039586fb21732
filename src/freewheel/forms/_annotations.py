"""Look through annotations: what is asked for, with which limits, in which unit."""

from __future__ import annotations

import collections.abc as cabc
import types
import typing
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, get_args, get_origin

import annotated_types
import typing_extensions

from freewheel.core._devices import is_device_class
from freewheel.forms._spec import Bounds

__all__ = [
    "Metadata",
    "evaluate",
    "is_device_type",
    "listed",
    "matches_device",
    "sequence_of",
    "split_optional",
    "unwrap",
]

_UNIONS = (typing.Union, types.UnionType)
_CONTAINERS: dict[Any, type] = {
    list: list,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
    cabc.Sequence: list,
    cabc.MutableSequence: list,
    cabc.Collection: list,
    cabc.Iterable: list,
    cabc.Set: set,
    cabc.MutableSet: set,
}
_VALUE_PROTOCOL_MODULES = {"typing", "typing_extensions", "collections.abc", "os", "builtins"}


def listed(annotation: Any) -> Any:
    """Return an annotation with lists in place of what can be gone through but once.

    pydantic checks the items of an ``Iterable`` as they are asked for: it takes a text such as
    ``"0.1"`` for one, and what it hands on can be neither copied nor gone through twice, as bluesky
    does with the arguments of a plan.
    """
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is cabc.Iterable or origin is cabc.Iterator:
        return list[listed(args[0])]  # type: ignore[misc]
    if origin in _UNIONS:
        return typing.Union[tuple(listed(each) for each in args)]  # noqa: UP007
    if origin is Annotated:
        return Annotated[(listed(args[0]), *args[1:])]
    return annotation


@dataclass(frozen=True)
class Metadata:
    """What the metadata of an ``Annotated`` say: limits, unit, text."""

    bounds: Bounds = field(default_factory=Bounds)
    unit: str = ""
    docs: str = ""


def evaluate(function: Any) -> dict[str, Any]:
    """Return the annotations of a function, each evaluated if it can be.

    Parameters
    ----------
    function
        A plain function.

    Returns
    -------
    dict
        By parameter name. What can't be evaluated, such as a name that is imported for type
        checkers alone, is left as the string that it is; the others are not affected by it.
    """
    hints: dict[str, Any] = {}
    variables = {t.__name__: t for t in getattr(function, "__type_params__", ())}
    for name, annotation in getattr(function, "__annotations__", {}).items():
        holder = types.SimpleNamespace(__annotations__={name: annotation})
        try:
            resolved = typing.get_type_hints(
                holder, function.__globals__, variables, include_extras=True
            )
        except Exception:  # evaluating somebody's annotation may raise anything
            hints[name] = annotation
        else:
            hints[name] = resolved[name]
    return hints


def unwrap(annotation: Any) -> tuple[Any, Metadata]:
    """Take ``Annotated``, ``NewType``, type aliases and ``Final`` off an annotation.

    Parameters
    ----------
    annotation
        An evaluated annotation.

    Returns
    -------
    tuple
        What is inside, and what the metadata said, outer ones before inner ones.
    """
    found: list[Any] = []
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *extras = get_args(annotation)
            found.extend(extras)
        elif isinstance(annotation, typing_extensions.TypeAliasType):
            annotation = annotation.__value__
        elif hasattr(annotation, "__supertype__"):
            annotation = annotation.__supertype__
        elif isinstance(annotation, typing.TypeVar):
            bound = annotation.__bound__
            annotation = bound or (typing.Union[annotation.__constraints__ or (Any,)])  # noqa: UP007
        else:
            return annotation, _read_metadata(found)


def _read_metadata(items: cabc.Iterable[Any]) -> Metadata:
    metadata = Metadata()
    for item in items:
        if isinstance(item, annotated_types.GroupedMetadata):
            inner = _read_metadata(item)
        elif isinstance(getattr(item, "metadata", None), list):  # pydantic's Field(...)
            inner = _read_metadata(item.metadata)
            inner = replace(inner, docs=getattr(item, "description", None) or inner.docs)
        else:
            inner = _read_one(item)
        metadata = _merge(metadata, inner)
    return metadata


def _read_one(item: Any) -> Metadata:
    match item:
        case annotated_types.Ge():
            return Metadata(Bounds(minimum=item.ge))  # type: ignore[arg-type]
        case annotated_types.Gt():
            return Metadata(Bounds(minimum=item.gt, exclusive_minimum=True))  # type: ignore[arg-type]
        case annotated_types.Le():
            return Metadata(Bounds(maximum=item.le))  # type: ignore[arg-type]
        case annotated_types.Lt():
            return Metadata(Bounds(maximum=item.lt, exclusive_maximum=True))  # type: ignore[arg-type]
        case annotated_types.MultipleOf():
            return Metadata(Bounds(step=item.multiple_of))  # type: ignore[arg-type]
        case annotated_types.Unit():
            return Metadata(unit=item.unit)
        case dict():  # magicgui's way
            return _read_options(item)
    text = getattr(item, "documentation", None)  # typing_extensions.Doc
    return Metadata(docs=text if isinstance(text, str) else "")


def _read_options(options: dict[str, Any]) -> Metadata:
    bounds = Bounds(options.get("min"), options.get("max"), step=options.get("step"))
    unit = options.get("unit", options.get("units", ""))
    return Metadata(bounds, str(unit), str(options.get("tooltip", "")))


def _merge(first: Metadata, second: Metadata) -> Metadata:
    a, b = first.bounds, second.bounds
    low, high = (a if a.minimum is not None else b), (a if a.maximum is not None else b)
    bounds = Bounds(
        low.minimum,
        high.maximum,
        low.exclusive_minimum,
        high.exclusive_maximum,
        a.step if a.step is not None else b.step,
    )
    return Metadata(bounds, first.unit or second.unit, first.docs or second.docs)


def split_optional(annotation: Any) -> tuple[list[Any], bool]:
    """Return the members of a union without `None`, and whether `None` was among them."""
    if get_origin(annotation) not in _UNIONS:
        return [annotation], False
    members: list[Any] = []
    optional = False
    for member in get_args(annotation):
        if member is type(None):
            optional = True
        else:
            members.append(member)
    return members, optional


def sequence_of(annotation: Any) -> tuple[type, Any, int | None] | None:
    """Return what a sequence annotation asks for.

    Parameters
    ----------
    annotation
        An annotation without ``Annotated``.

    Returns
    -------
    tuple or None
        The container that the plan gets, the annotation of the items, and the number of items of
        a tuple of fixed length; `None` if the annotation is no sequence, or one of mixed items.
    """
    container = _CONTAINERS.get(get_origin(annotation))
    arguments = get_args(annotation)
    if container is None or not arguments:
        return None
    if get_origin(annotation) is not tuple:
        return container, arguments[0], None
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple, arguments[0], None
    if all(argument == arguments[0] for argument in arguments):
        return tuple, arguments[0], len(arguments)
    return None


def is_device_type(annotation: Any) -> bool:
    """Whether an annotation is a device class, a protocol of devices, or a union of such."""
    members, _ = split_optional(annotation)
    if len(members) > 1:
        return all(is_device_type(unwrap(member)[0]) for member in members)
    kind = get_origin(annotation) or annotation
    if not isinstance(kind, type):
        return False
    if typing_extensions.is_protocol(kind):
        return kind.__module__ not in _VALUE_PROTOCOL_MODULES
    return is_device_class(kind)


def matches_device(device: object, proto: Any) -> bool:
    """Whether a device is what a device type, a protocol or a union of such asks for.

    Parameters
    ----------
    device
        Any device.
    proto
        A type for which `is_device_type` holds. A protocol need not be runtime-checkable. Of a
        generic such as ``SignalRW[float]``, the argument is compared with the device's
        ``datatype`` if it has one.
    """
    members, _ = split_optional(proto)
    if len(members) > 1:
        return any(matches_device(device, unwrap(member)[0]) for member in members)
    kind = get_origin(proto) or proto
    if typing_extensions.is_protocol(kind) and not getattr(kind, "_is_runtime_protocol", False):
        return all(hasattr(device, member) for member in _protocol_members(kind))
    if not isinstance(device, kind):
        return False
    # Any is a class, of late.
    arguments = [a for a in get_args(proto) if isinstance(a, type) and a is not Any]
    datatype = getattr(device, "datatype", None)
    return not arguments or datatype is None or datatype in arguments


def _protocol_members(kind: type) -> cabc.Iterable[str]:
    # `__class__` and the like come with every object
    return (m for m in typing_extensions.get_protocol_members(kind) if not m.startswith("__"))
