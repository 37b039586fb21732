"""A signal that tells nothing by itself."""

from __future__ import annotations

from typing import Any

from ophyd_async.core import SignalDatatypeT, SoftSignalBackend


class Silent(SoftSignalBackend[SignalDatatypeT]):
    """Tells subscribers nothing, as a Tango server without events."""

    is_away = False

    def set_callback(self, callback: Any) -> None: ...

    async def get_reading(self) -> Any:
        if self.is_away:
            raise ConnectionError("nobody is there")
        return await super().get_reading()
