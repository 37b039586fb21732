"""Another in the place of a class of the host's."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["replace"]


def replace(module: ModuleType, name: str, new: Any) -> Any:
    """Put ``new`` in the place of what a host's module looks up by that name; return the old.

    Raises
    ------
    RuntimeError
        If the module has no such name any more: before anything is served with another engine
        than the one that was asked for.
    """
    old = vars(module).get(name)
    if old is None:
        host = module.__name__.partition(".")[0]
        raise RuntimeError(
            f"{module.__name__} of {host} {version(host)} has no {name}, in whose place "
            f"freewheel.hosts.{host} puts its own. Install a {host} that has it: "
            f'pip install "freewheel[{host}]".'
        )
    setattr(module, name, new)
    return old
