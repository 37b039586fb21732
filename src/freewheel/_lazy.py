"""Names of a package that are imported when they are first asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["attach"]


def attach(
    package: str, names: Sequence[str], homes: Sequence[str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make a package's ``__getattr__`` and ``__dir__``.

    Parameters
    ----------
    package : str
        The package's ``__name__``.
    names : sequence of str
        What it exports: its ``__all__``.
    homes : sequence of str
        The modules that have these names, as in ``from .module import``; searched in this order,
        so that what is quick to import, or is imported by the others, comes first. A public one
        can be used as an attribute of the package, too.

    Returns
    -------
    tuple of two functions
        To be assigned to ``__getattr__`` and ``__dir__`` in the package, where type checkers do
        not look; for them there are imports.
    """
    namespace = vars(import_module(package))
    modules = [home[1:] for home in homes if home.startswith(".") and not home.startswith("._")]

    def find(name: str) -> Any:
        if name in names:
            for home in homes:
                module = import_module(home, package)
                if hasattr(module, name):
                    # Kept in the package, so that each name is searched for once.
                    namespace[name] = getattr(module, name)
                    return namespace[name]
        if name in modules:
            return import_module(f".{name}", package)
        message = f"module {package!r} has no attribute {name!r}"
        raise AttributeError(message)

    def listed() -> list[str]:
        return sorted({*namespace, *names, *modules})

    return find, listed
