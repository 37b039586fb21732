"""Taking events as fast as it goes: the next exposure is asked for before this one is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from bluesky.utils import Msg, all_safe_rewind

from freewheel.core import InterlockError, ResourceConflictError
from freewheel.core._groups import fresh_group

if TYPE_CHECKING:
    from bluesky.utils import MsgGenerator

    from ._live import Shot

__all__ = ["ShotAhead"]


@final
class ShotAhead:
    """Events one after the other, of devices that can be triggered ahead (`TriggersAhead`).

    While the devices expose for one event, they are triggered for the next one: so they begin it
    by themselves, and expose while the documents of the one before go out. Of other devices, and
    of those that must not be rewound, each event is taken by itself, in one message.

    Parameters
    ----------
    shot : Shot
        What is taken.
    """

    __slots__ = ("_begun", "_shot")

    def __init__(self, shot: Shot) -> None:
        self._shot = shot
        self._begun: str | None = None  # the group of the triggers for the next event

    def begun(self) -> MsgGenerator[None]:
        """Trigger for the next event, as far as it was begun: what a pause is to repeat."""
        if self._begun is not None:
            for device in self._shot.triggerables:
                yield Msg("trigger", device, group=self._begun)

    def take(self, *, more: bool) -> MsgGenerator[None]:
        """Take one event; begin another one if there is to be more."""
        shot = self._shot
        more = more and self._can_be_ahead()
        if self._begun is None:
            if not more:
                yield from shot.take_at_once()
                return
            self._begun = fresh_group("ahead")
            yield from self.begun()
        group, self._begun = self._begun, fresh_group("ahead") if more else None
        try:
            if self._begun is not None:
                for device in shot.triggerables:
                    yield Msg("trigger", device, group=self._begun, ahead=True)
        except (InterlockError, ResourceConflictError):
            self._begun = None
            yield from shot.read_when_done(group)  # its frame was allowed
            raise
        yield from shot.read_when_done(group)

    def leave(self) -> MsgGenerator[None]:
        """Wait for what was begun: the plan wants something else now."""
        if self._begun is not None:
            yield Msg("wait", None, group=self._begun)
            self._begun = None

    def _can_be_ahead(self) -> bool:
        """Tell whether it can be, and pays; asked each time, for a device may change its mind."""
        triggerables = self._shot.triggerables
        return (
            bool(triggerables)
            and all(getattr(device, "triggers_ahead", False) for device in triggerables)
            and all_safe_rewind(self._shot.devices)
        )
