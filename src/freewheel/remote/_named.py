"""What an engine elsewhere offers, by name and as attributes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, TypeVar

__all__ = ["Named"]

T = TypeVar("T")


class Named(Mapping[str, T]):
    """A mapping whose items are its attributes, too.

    Attributes
    ----------
    kind : str
        What they are, for errors.
    """

    kind: ClassVar[str]

    def __init__(self) -> None:
        self._known: dict[str, T] = {}  # replaced as a whole, on the line's thread

    def __getitem__(self, name: str) -> T:
        found = self._find(name)
        if found is None:
            names = ", ".join(self._known) or "none"
            raise KeyError(f"There is no {self.kind} {name!r} there. There are: {names}.")
        return found

    def _find(self, name: str) -> T | None:
        return self._known.get(name)

    def __getattr__(self, name: str) -> T:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(error.args[0]) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._known]

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {', '.join(self._known) or 'none'}>"
