"""The command ``pace``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from freewheel.core import Pacer, Tick
from freewheel.engine._alarm import sleep_until

if TYPE_CHECKING:
    from bluesky.utils import Msg

    from freewheel.engine._bluesky import EngineCore

__all__ = ["Pace"]


@final
class Pace:
    """The command ``pace`` of one engine: waits for the next tick of a clock. On the loop.

    ::

        Msg("pace", None, period)
        Msg("pace", pacer)

    Parameters
    ----------
    core : EngineCore
        The engine; when one of its plans ends, the clocks that it kept for it are forgotten.
    """

    __slots__ = ("_core", "_pacers")

    def __init__(self, core: EngineCore) -> None:
        self._core = core
        # The clocks that plans know by their period. At most as many as a plan has periods.
        self._pacers: dict[float, Pacer] = {}
        core.end_callbacks.append(self._pacers.clear)
        core.parts.append(self)

    def lay_aside(self) -> dict[float, Pacer]:
        """Hand out the clocks of a plan that is parked."""
        laid = dict(self._pacers)
        self._pacers.clear()
        return laid

    def take_up(self, laid: dict[float, Pacer]) -> None:
        """Keep them again."""
        self._pacers.update(laid)

    async def __call__(self, msg: Msg) -> Tick:
        """Wait for the tick; return it."""
        pacer = msg.obj if msg.obj is not None else self._pacer_for(*msg.args)
        if not isinstance(pacer, Pacer):
            raise TypeError(f"pace follows a Pacer, or a period in seconds, not {pacer!r}")
        await sleep_until(self._core.loop, pacer.next_deadline())
        return pacer.begin_turn()

    def _pacer_for(self, period: Any) -> Pacer:
        pacer = self._pacers.get(period)
        if pacer is None:
            pacer = self._pacers[period] = Pacer(period)
            # A clock stands still while its plan is paused, as a device would.
            self._core.devices.seen.add(pacer)
        return pacer
