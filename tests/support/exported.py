"""What freewheel's public modules export, and what of it has code of ours."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import TYPE_CHECKING, Any

import freewheel
from freewheel.core import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator

ENGINE = "freewheel.hosts.queueserver.RE"  # looking at it makes an engine


def public_modules() -> list[Any]:
    """Return the modules without an underscore, but for those whose extra is not installed."""
    modules = [freewheel]
    for found in pkgutil.walk_packages(freewheel.__path__, "freewheel."):
        if "._" not in found.name:
            try:
                modules.append(importlib.import_module(found.name))
            except MissingExtraError:  # blueapi's has an environment of its own
                continue
    return [module for module in modules if getattr(module, "__all__", ())]


def exported(module: Any) -> list[str]:
    """Return the names that a module exports."""
    return [name for name in module.__all__ if f"{module.__name__}.{name}" != ENGINE]


def functions() -> Iterator[tuple[str, Any, str]]:
    """Yield each public function and method once: its name, itself and its docstring.

    What a class does when it is made is told by the docstring of the class.
    """
    seen = set()
    for module in public_modules():
        for name in exported(module):
            for full, function, text in _of(name, getattr(module, name)):
                if function not in seen:
                    seen.add(function)
                    yield full, function, text


def _of(name: str, value: Any) -> Iterator[tuple[str, Any, str]]:
    if inspect.isfunction(value):
        yield name, inspect.unwrap(value), inspect.getdoc(value) or ""
    elif inspect.isclass(value):
        for cls in value.__mro__:
            for attribute, member in vars(cls).items():
                if function := _function(member):
                    made = attribute in ("__init__", "__post_init__")
                    if made or not attribute.startswith("_") or attribute == "__call__":
                        text = _docstrings(value) if made else inspect.getdoc(function) or ""
                        yield f"{name}.{attribute}", function, text


def _docstrings(cls: type) -> str:
    ours = [base for base in cls.__mro__ if base.__module__.startswith("freewheel")]
    return "\n\n".join(inspect.cleandoc(base.__doc__ or "") for base in ours)


def _function(member: Any) -> Any:
    inside = member.__func__ if isinstance(member, classmethod | staticmethod) else member
    inside = inside.fget if isinstance(inside, property) else inspect.unwrap(inside)
    if inspect.isfunction(inside) and inside.__module__.startswith("freewheel"):
        return inside
    return None
