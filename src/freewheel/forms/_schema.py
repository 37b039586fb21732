"""A plan as JSON schema, for clients that are no Python."""

from __future__ import annotations

import datetime
import enum
import json
from inspect import Parameter
from pathlib import PurePath
from typing import Any

from freewheel.forms._spec import FieldType, ParamDescription, ParamKind, PlanSpec

__all__ = ["plan_schema"]

_TYPES: dict[FieldType, dict[str, Any]] = {
    FieldType.INTEGER: {"type": "integer"},
    FieldType.NUMBER: {"type": "number"},
    FieldType.TEXT: {"type": "string"},
    FieldType.BOOLEAN: {"type": "boolean"},
    FieldType.PATH: {"type": "string", "format": "path"},
    FieldType.DATE: {"type": "string", "format": "date"},
    FieldType.TIME: {"type": "string", "format": "time"},
    FieldType.DATETIME: {"type": "string", "format": "date-time"},
    FieldType.DURATION: {"type": ["number", "string"], "format": "duration"},
    FieldType.QUANTITY: {"type": ["number", "string"]},
}


def plan_schema(spec: PlanSpec) -> dict[str, Any]:
    """Describe a plan's arguments as JSON schema (draft 2020-12).

    Parameters
    ----------
    spec
        The plan.

    Returns
    -------
    dict
        A schema of an object with one property a parameter; what fits it is what
        `freewheel.forms.resolve_arguments` takes. Devices are strings with the names on offer,
        under ``x-device``; ``x-unit`` gives a number's unit, ``x-actions`` the plan's actions,
        ``x-continuous``, ``x-togglable`` and ``x-pausable`` the marks of a continuous plan.
    """
    shown = [p for p in spec.parameters if not p.hidden and p.actions is None]
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": spec.name,
        "description": spec.docs,
        "type": "object",
        "properties": {p.name: _property(p) for p in shown},
        "required": [p.name for p in shown if p.required],
        "additionalProperties": any(p.kind is ParamKind.VAR_KEYWORD for p in spec.parameters),
        "x-continuous": spec.continuous,
        "x-togglable": spec.togglable,
        "x-pausable": spec.pausable,
    }
    if spec.actions:
        schema["x-actions"] = [
            {
                "name": action.name,
                "description": action.description,
                "togglable": action.togglable,
                "toggle_states": list(action.toggle_states),
            }
            for action in spec.actions
        ]
    return schema


def _property(parameter: ParamDescription) -> dict[str, Any]:
    if parameter.field is FieldType.ROWS:
        schema = _rows(parameter)
    else:
        schema = _value(parameter)
    if parameter.multiselect or parameter.field is FieldType.LIST:
        schema = _array(parameter, schema)
    if parameter.optional:
        schema = {"anyOf": [schema, {"type": "null"}]}
    schema["title"] = parameter.label
    if parameter.docs:
        schema["description"] = parameter.docs
    if parameter.default is not Parameter.empty:
        default = _as_json(parameter.default)
        try:
            json.dumps(default)
        except TypeError:
            pass  # a default that JSON can't say is left out: the plan has it anyway
        else:
            schema["default"] = default
    return schema


def _rows(parameter: ParamDescription) -> dict[str, Any]:
    """Return the schema of a table: an array of rows, each with a value for each column."""
    columns = [_property(column) for column in parameter.columns]
    row = {
        "type": "array",
        "prefixItems": columns,
        "items": False,
        "minItems": len(columns),
    }
    return {"type": "array", "items": row, "minItems": 1}


def _array(parameter: ParamDescription, item: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "array", "items": item}
    if parameter.multiselect:
        schema["uniqueItems"] = True
    if parameter.length is not None:
        schema["minItems"] = schema["maxItems"] = parameter.length
    elif parameter.multiselect and parameter.required:
        schema["minItems"] = 1
    return schema


def _value(parameter: ParamDescription) -> dict[str, Any]:
    if parameter.field is FieldType.LIST and parameter.item is not None:
        return _value(parameter.item)
    if parameter.device_proto is not None:
        kind = getattr(parameter.device_proto, "__name__", str(parameter.device_proto))
        schema: dict[str, Any] = {"type": "string", "x-device": kind}
        if parameter.choices:
            schema["enum"] = list(parameter.choices)
        return schema
    if parameter.choices is not None:
        return {"enum": [_as_json(choice) for choice in parameter.choices]}
    return {**_TYPES[parameter.field], **_limits(parameter)}


def _limits(parameter: ParamDescription) -> dict[str, Any]:
    b = parameter.bounds
    limits: dict[str, Any] = {}
    if b.minimum is not None:
        limits["exclusiveMinimum" if b.exclusive_minimum else "minimum"] = b.minimum
    if b.maximum is not None:
        limits["exclusiveMaximum" if b.exclusive_maximum else "maximum"] = b.maximum
    if b.step is not None:
        limits["multipleOf"] = b.step
    if parameter.unit:
        limits["x-unit"] = parameter.unit
    return limits


def _as_json(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return _as_json(value.value)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, (set, frozenset, tuple, list)):
        return [_as_json(item) for item in value]
    if hasattr(value, "magnitude") and hasattr(value, "units"):
        return f"{value:~}"
    name = getattr(value, "name", None)  # a device as default
    return name if isinstance(name, str) and not isinstance(value, (str, type)) else value
