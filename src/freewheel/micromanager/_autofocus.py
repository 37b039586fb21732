"""Autofocus by hardware."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluesky.protocols import Triggerable
from ophyd_async.core import AsyncStatus, StandardReadableFormat

from ._device import CoreDevice
from ._signals import Access, CoreBackend, CoreSignalRW

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from ._port import Port

__all__ = ["Autofocus"]


class Autofocus(CoreDevice, Triggerable):
    """An autofocus device; the core's current one.

    Parameters
    ----------
    port, label, name
        As for `CoreDevice`.
    focus : callable
        Returns the stage that it moves, if there is one.

    Attributes
    ----------
    offset : SignalRW[float]
        How far from what it locks on to focus, in the device's own units.
    continuous : SignalRW[bool]
        Whether it holds the focus all the time.
    """

    def __init__(
        self,
        port: Port,
        label: str,
        name: str = "",
        *,
        focus: Callable[[], Any] = lambda: None,
    ) -> None:
        core = port.core
        self._focus = focus
        self.offset = CoreSignalRW(
            CoreBackend(
                float,
                port,
                Access(
                    label,
                    "its offset",
                    get=lambda: float(core.getAutoFocusOffset()),
                    put=lambda value: core.setAutoFocusOffset(float(value)),
                ),
            )
        )
        self.continuous = CoreSignalRW(
            CoreBackend(
                bool,
                port,
                Access(
                    label,
                    "whether it holds the focus",
                    get=lambda: bool(core.isContinuousFocusEnabled()),
                    put=lambda value: core.enableContinuousFocus(bool(value)),
                ),
            )
        )
        self.add_readables([self.offset, self.continuous], StandardReadableFormat.CONFIG_SIGNAL)
        super().__init__(port, label, name)

    def claimed_devices(self) -> Sequence[Any]:
        """Return the stage that it moves."""
        focus = self._focus()
        return [] if focus is None else [focus]

    @AsyncStatus.wrap
    async def trigger(self) -> None:
        """Search the focus, once, and wait until it is found.

        Raises
        ------
        CoreError
            When the device does not find it.
        """
        core = self._port.core

        def focus() -> None:
            if core.getAutoFocusDevice() != self.label:
                core.setAutoFocusDevice(self.label)
            core.fullFocus()

        await self._port.change(self.label, "find the focus", focus)
        stage = self._focus()
        if stage is not None:
            await stage.refresh()
