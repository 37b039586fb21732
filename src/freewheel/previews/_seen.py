"""A device as those see it who ask how long it takes and what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._facts import Facts

__all__ = ["Seen"]


class Seen(Protocol):
    """One device in one preview; `freewheel.previews._model.Model` is one."""

    #: What it was prepared for, if it was.
    flight: Any

    @property
    def device(self) -> Any:
        """The device."""
        ...

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def facts(self) -> Facts:
        """What it said."""
        ...

    @property
    def keys(self) -> Mapping[str, Any]:
        """Its data keys."""
        ...

    @property
    def position(self) -> Any:
        """Where it stands as far as the plan has come, or `UNKNOWN`."""
        ...

    def go(self, value: Any) -> float | None:
        """Send it somewhere; return how long that takes [s], ``None`` if it does not say."""
        ...

    def part(self, name: str) -> Any:
        """Return the value of one of its parts as the plan has set it, or `UNKNOWN`."""
        ...

    def known(self, part: Any) -> Any:
        """Return the value of a signal as the plan has set it, or ``None``."""
        ...
