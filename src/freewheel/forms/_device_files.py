"""Find the devices of a module or file."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

from freewheel.core._dangers import danger_in, mark_dangerous
from freewheel.core._devices import device_name, is_device_instance
from freewheel.forms._catalogue import import_file, is_module_name

__all__ = ["DeviceSourceError", "find_devices", "load_module", "public_devices"]


class DeviceSourceError(ValueError):
    """A module has no devices, or its function `devices` returns something else."""


def find_devices(source: str | Path | ModuleType) -> dict[str, Any]:
    """Find the devices of a module or a file.

    Runs the code of the file, on the calling thread. Devices are not connected.

    Parameters
    ----------
    source
        A Python file, a module or its name. If it has a function ``devices``, that is called
        without arguments: it returns a mapping from names to devices, or several devices.
        Otherwise the devices are its public attributes, of ophyd-async, ophyd, or with the
        methods of bluesky's protocols. One that is annotated with `freewheel.core.Dangerous` there
        is marked as dangerous.

    Returns
    -------
    dict of str to object
        The devices by name. Those of ophyd-async that have no name yet have got it.

    Raises
    ------
    FileNotFoundError
        For a file or a module that does not exist.
    ValueError
        If there are no devices in it, or ``devices`` returns something else.
    Exception
        Whatever the code of the file raises.
    """
    module = source if isinstance(source, ModuleType) else load_module(source)
    make = getattr(module, "devices", None)
    if callable(make) and not is_device_instance(make):
        found = _named(make(), module)
    else:
        found = public_devices(module)
    if not found:
        msg = (
            f"{_where(module)} has no devices: make them attributes of the module, or write a "
            "function devices() that returns a mapping from names to devices"
        )
        raise DeviceSourceError(msg)
    for name, device in found.items():
        if getattr(device, "name", None) == "" and callable(getattr(device, "set_name", None)):
            device.set_name(name)
        if reason := danger_in(_annotations_of(module).get(name)):
            mark_dangerous(device, reason)
    return found


def _annotations_of(module: ModuleType) -> Mapping[str, Any]:
    try:
        return get_type_hints(module, include_extras=True)
    except Exception:  # evaluating somebody's annotations may raise anything
        return {}


def public_devices(names: ModuleType | Mapping[str, Any]) -> dict[str, Any]:
    """Return the devices among the public names of a module or a namespace, by these names."""
    return {
        name: value
        for name, value in (names if isinstance(names, Mapping) else vars(names)).items()
        if not name.startswith("_") and is_device_instance(value)
    }


def load_module(source: str | Path) -> ModuleType:
    """Run a file as a module, or import a module by its name; see `find_devices`."""
    path = Path(source).expanduser()
    if path.is_file():
        return import_file(path)
    name = str(source)
    if not isinstance(source, Path) and path.suffix != ".py" and is_module_name(name):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            # The module itself is not there, or one that it imports.
            if not f"{name}.".startswith(f"{error.name}."):
                raise
    msg = f"there is no file or module {name!r} to take devices from"
    raise FileNotFoundError(msg)


def _named(made: Any, module: ModuleType) -> dict[str, Any]:
    if is_device_instance(made):
        named = {str(made.name): made}
    elif isinstance(made, Mapping):
        named = {str(name): device for name, device in made.items()}
    elif isinstance(made, Iterable) and not isinstance(made, (str, bytes)):
        several = list(made)
        named = {device_name(device, ""): device for device in several}
        if "" in named or len(named) < len(several):
            msg = (
                f"devices() of {_where(module)} returns devices without names, or several of one "
                "name: return a mapping from names to devices"
            )
            raise DeviceSourceError(msg)
    else:
        named = {"": made}
    for device in named.values():
        if not is_device_instance(device):
            msg = (
                f"devices() of {_where(module)} returns {device!r}, which is no device: return a "
                "mapping from names to devices"
            )
            raise DeviceSourceError(msg)
    return named


def _where(module: ModuleType) -> str:
    return str(getattr(module, "__file__", None) or module.__name__)
