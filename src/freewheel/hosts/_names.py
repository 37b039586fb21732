"""What a client names: plans and devices of a start-up script's namespace."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from freewheel.core import PlanCall
from freewheel.core._devices import is_device_instance

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["device_named", "plan_named"]


def device_named(namespace: Mapping[str, Any], name: str) -> Any:
    """Return a device, or a part of one as in ``"stage.x"``.

    Raises
    ------
    KeyError
        If there is none of that name; with those that there are.
    """
    # A client's JSON may have anything where a name is to be.
    found = _device_or_none(namespace, name) if isinstance(name, str) else None
    if found is None:
        names = sorted(key for key, value in namespace.items() if is_device_instance(value))
        raise KeyError(f"There is no device {name!r}. There are: {', '.join(names) or 'none'}.")
    return found


def plan_named(
    namespace: Mapping[str, Any], name: str, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> PlanCall:
    """Return a call of a plan function, with devices for the texts that name one.

    Nothing is evaluated: a name is looked up, and a text that names no device stays a text.

    Raises
    ------
    KeyError
        If there is no plan function of that name; with those that there are.
    TypeError
        If it cannot be called so.
    """
    function = namespace.get(name)
    if function is None or name[0] == "_" or not inspect.isgeneratorfunction(_inside(function)):
        names = sorted(
            key
            for key, value in namespace.items()
            if key[0] != "_" and inspect.isgeneratorfunction(_inside(value))
        )
        raise KeyError(f"There is no plan {name!r}. There are: {', '.join(names) or 'none'}.")
    given = [_with_devices(namespace, each) for each in args]
    named = {key: _with_devices(namespace, each) for key, each in kwargs.items()}
    return PlanCall(function, tuple(given), named)


def _inside(function: Any) -> Any:
    """Return the function behind decorators, such as bluesky's ``@plan``."""
    return inspect.unwrap(function) if callable(function) else function


def _with_devices(namespace: Mapping[str, Any], value: Any) -> Any:
    if isinstance(value, str):
        found = _device_or_none(namespace, value)
        return value if found is None else found
    if isinstance(value, (list, tuple)):
        return [_with_devices(namespace, each) for each in value]
    if isinstance(value, dict):
        return {key: _with_devices(namespace, each) for key, each in value.items()}
    return value


def _device_or_none(namespace: Mapping[str, Any], name: str) -> Any:
    first, *parts = name.split(".")
    found = None if first.startswith("_") else namespace.get(first)
    for part in parts:
        if part.startswith("_") or not is_device_instance(found):
            return None
        found = getattr(found, part, None)
    return found if is_device_instance(found) else None
