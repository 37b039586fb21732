"""Previews over the line."""

from __future__ import annotations

from dataclasses import fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from freewheel.previews import Preview
from freewheel.previews._preview import Move, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["preview_of", "preview_record"]

#: Those that are numbers, texts and collections of these.
_PLAIN = (
    "name duration shortest longest data_bytes runs is_endless is_complete followed messages"
).split()


def preview_record(foreseen: Preview) -> dict[str, Any]:
    """Return a preview as it is written on the line."""
    return {
        **{name: getattr(foreseen, name) for name in _PLAIN},
        "events": dict(foreseen.events),
        "moves": {name: _fields(move) for name, move in foreseen.moves.items()},
        "claims": list(foreseen.claims),
        "problems": [_fields(problem) for problem in foreseen.problems],
        "guesses": list(foreseen.guesses),
        "points": [dict(point) for point in foreseen.points],
        "rivals": list(foreseen.rivals),
    }


def _fields(thing: Any) -> dict[str, Any]:
    return {each.name: getattr(thing, each.name) for each in fields(thing)}


def preview_of(record: Mapping[str, Any], devices: Mapping[str, Any]) -> Preview:
    """Return the preview that was written; its claims are the stand-ins of the devices."""
    return Preview(
        **{name: record[name] for name in _PLAIN},
        events=MappingProxyType(record["events"]),
        moves=MappingProxyType({name: _move(each) for name, each in record["moves"].items()}),
        claims=MappingProxyType({name: devices.get(name, name) for name in record["claims"]}),
        problems=tuple(Problem(**each) for each in record["problems"]),
        guesses=tuple(record["guesses"]),
        points=tuple(record["points"]),
        rivals=tuple(record["rivals"]),
    )


def _move(record: Mapping[str, Any]) -> Move:
    return Move(**{**record, "path": tuple(record["path"])})
