"""Snapshots of an engine as JSON: written, described by a schema, and read again."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any, Final, NamedTuple

from ._devices import device_name
from ._progress import Progress

__all__ = ["SNAPSHOT_SCHEMA", "TaskPicture", "fields_from_json", "fields_to_json"]

_FORMAT: Final = "freewheel.snapshot"
#: Raised when a key changes its meaning or goes; a new key leaves it, for readers skip those.
_VERSION: Final = 1


class TaskPicture(NamedTuple):
    """What a snapshot that was read from JSON has of a background task.

    Attributes
    ----------
    name, status : str
        Its name, and where it is in its life.
    elapsed : float or None
        Seconds since it was started; of one that had ended ``None``.
    claims : tuple of str
        The names of the devices that it holds.
    """

    name: str
    status: str
    elapsed: float | None = None
    claims: tuple[str, ...] = ()


def fields_to_json(snapshot: Mapping[str, Any]) -> str:
    """Return the fields of a snapshot as JSON: names for objects, and numbers that all know."""
    plan = None
    if snapshot["plan_name"] is not None:
        plan = {
            "name": snapshot["plan_name"],
            "elapsed": snapshot["elapsed"],
            "time_left": snapshot["time_left"],
        }
    found = {
        "format": _FORMAT,
        "version": _VERSION,
        "state": str(snapshot["state"]),
        "plan": plan,
        "queue": list(snapshot["queue"]),
        "parked": list(snapshot["parked"]),
        "waiting": [each._asdict() for each in snapshot["waiting"]],
        "periodic": [each._asdict() for each in snapshot["periodic"]],
        "interlocks": [each._asdict() for each in snapshot["interlocks"]],
        "queue_held": snapshot["queue_held"],
        "service_failed": snapshot["service_failed"],
        "background": [
            {
                "name": task.name,
                "status": str(task.status),
                "elapsed": task.elapsed,
                "claims": [device_name(device) for device in task.claims],
            }
            for task in snapshot["background"]
        ],
        "claims": dict(snapshot["claims"]),
        "actions": [each._asdict() for each in snapshot["actions"]],
        "progress": [asdict(each) for each in snapshot["progress"]],
    }
    return json.dumps(_plain(found), allow_nan=False)


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: no number that is none, and text for the rest."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if hasattr(value, "tolist"):  # numpy's
        return _plain(value.tolist())
    if isinstance(value, Iterable):
        return [_plain(each) for each in value]
    return str(value)


def fields_from_json(text: str | bytes) -> dict[str, Any]:
    """Return the fields of a snapshot that was written as JSON, by this version or an older one.

    Raises
    ------
    ValueError
        For what is no such text, or was written by a newer version that this one cannot read.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"this is no snapshot of an engine, for it is no JSON: {error}") from error
    if not isinstance(found, dict) or found.get("format") != _FORMAT:
        raise ValueError(f'this is no snapshot of an engine: it does not say "format": {_FORMAT!r}')
    version = found.get("version")
    if type(version) is not int or not 1 <= version <= _VERSION:
        raise ValueError(
            f"this snapshot has version {version!r}, and this freewheel reads 1 to {_VERSION}: "
            "use a newer one"
        )
    _check_kinds(found)
    plan = found["plan"] or {"name": None, "elapsed": None}
    return {
        "state": found["state"],
        "plan_name": plan["name"],
        "elapsed": plan["elapsed"],
        "time_left": plan.get("time_left"),
        "queue": tuple(found["queue"]),
        "parked": tuple(found.get("parked", ())),
        "waiting": tuple(found.get("waiting", ())),
        "periodic": tuple(found.get("periodic", ())),
        "interlocks": tuple(found.get("interlocks", ())),
        "queue_held": found["queue_held"],
        "service_failed": found["service_failed"],
        "background": tuple(
            TaskPicture(each["name"], each["status"], each["elapsed"], tuple(each["claims"]))
            for each in found["background"]
        ),
        "claims": found["claims"],
        "actions": tuple(found["actions"]),
        "progress": tuple(_progress(each) for each in found["progress"]),
    }


def _check_kinds(found: Mapping[str, Any]) -> None:
    """Refuse a text where there should be a list of them, and the like; absent is as it may be."""
    for key, about in SNAPSHOT_SCHEMA["properties"].items():
        kind = _KINDS.get(str(about.get("type")))
        if kind is not None and key in found and not isinstance(found[key], kind):
            raise TypeError(f"{key!r} is {found[key]!r:.40}, and no {about['type']}")


def _progress(found: Mapping[str, Any]) -> Progress:
    known = {each.name for each in fields(Progress)}
    return Progress(**{key: value for key, value in found.items() if key in known})


_KINDS: Final = {"array": list, "object": dict}
_TEXT: Final = {"type": "string"}
_TEXTS: Final = {"type": "array", "items": _TEXT}
_SECONDS: Final = {"type": ["number", "null"], "minimum": 0}
_TEXT_OR_NULL: Final = {"type": ["string", "null"]}
_NUMBER_OR_NULL: Final = {"type": ["number", "null"]}  # null for what no number stands for
_PLACE: Final = {"description": "A number, several, or null; in `unit`."}


def _object(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), **more}


def _array(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": _object(properties)}


#: The JSON Schema of what `EngineSnapshot.to_json` writes.
SNAPSHOT_SCHEMA: Final[Mapping[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "A picture of a freewheel engine at one moment",
    **_object(
        {
            "format": {"const": _FORMAT},
            "version": {"const": _VERSION},
            "state": _TEXT,
            "plan": {
                "anyOf": [
                    {"type": "null"},
                    _object({"name": _TEXT, "elapsed": _SECONDS, "time_left": _SECONDS}),
                ]
            },
            "queue": _TEXTS,
            "parked": _TEXTS,
            "waiting": _array(
                {
                    "name": _TEXT,
                    "arguments": _TEXT,
                    "priority": _NUMBER_OR_NULL,
                    "duration": _SECONDS,
                    "starts_in": _SECONDS,
                }
            ),
            "periodic": _array(
                {
                    "name": _TEXT,
                    "arguments": _TEXT,
                    "seconds": {"type": "number", "exclusiveMinimum": 0},
                    "runs": {"type": "integer"},
                    "due_in": _SECONDS,
                    "waits_for": _TEXT,
                }
            ),
            "interlocks": _array(
                {"name": _TEXT, "tripped": {"type": "boolean"}, "why": _TEXT, "waiting": _TEXTS}
            ),
            "queue_held": _TEXT_OR_NULL,
            "service_failed": _TEXT_OR_NULL,
            "background": _array(
                {"name": _TEXT, "status": _TEXT, "elapsed": _SECONDS, "claims": _TEXTS}
            ),
            "claims": {"type": "object", "additionalProperties": _TEXT},
            "actions": _array(
                {
                    "plan": _TEXT,
                    "name": _TEXT,
                    "description": _TEXT,
                    "togglable": {"type": "boolean"},
                    "toggle_states": {**_TEXTS, "minItems": 2, "maxItems": 2},
                    "is_on": {"type": "boolean"},
                }
            ),
            "progress": _array(
                {
                    "name": _TEXT,
                    "owner": _TEXT,
                    "kind": {"enum": ["scope", "device", "task"]},
                    "background": {"type": "boolean"},
                    "depth": {"type": "integer"},
                    "fraction": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
                    "current": _PLACE,
                    "initial": _PLACE,
                    "target": _PLACE,
                    "unit": _TEXT,
                    "elapsed": _SECONDS,
                    "remaining": _SECONDS,
                    "done": {"type": "boolean"},
                }
            ),
        }
    ),
}
