"""How long devices took the last times."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, NamedTuple, final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Measured", "Times"]

#: So many measurements of one verb of one device are remembered.
_KEPT: Final = 32


class Measured(NamedTuple):
    """What was measured of one verb of one device [s]."""

    shortest: float
    typical: float
    longest: float


@final
class Times:
    """How long each verb of each device took the last times; from any thread."""

    def __init__(self) -> None:
        # Guards what follows: engines write, previews read.
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, str], list[float]] = {}

    def note(self, device: str, verb: str, seconds: float) -> None:
        """Remember one measurement."""
        with self._lock:
            several = self._seen.setdefault((device, verb), [])
            several.append(seconds)
            del several[:-_KEPT]

    def of(self, device: str, verb: str) -> Measured | None:
        """Return what was measured; ``None`` if nothing was."""
        with self._lock:
            several = sorted(self._seen.get((device, verb), ()))
        if not several:
            return None
        return Measured(several[0], several[len(several) // 2], several[-1])

    def seen(self) -> dict[tuple[str, str], list[float]]:
        """Return all measurements, by device and verb."""
        with self._lock:
            return {key: list(several) for key, several in self._seen.items()}

    def all(self) -> Mapping[tuple[str, str], Measured]:
        """Return everything, by device and verb."""
        with self._lock:
            known = list(self._seen)
        return {key: measured for key in known if (measured := self.of(*key)) is not None}
