"""What an event of a useq sequence tells of itself, and its clock."""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bluesky.protocols import Reading
    from event_model import DataKey
    from useq import MDAEvent

__all__ = ["EventView"]


@final
class EventView:
    """The event that is taken, as something to read; and the clock that events are timed by.

    The time that the plan is paused for is no time of the clock. Used on the engine's loop.

    Parameters
    ----------
    events : iterable of MDAEvent
        All events: they say which axes there are.
    name : str
        How its data keys begin.
    clock : callable
        What tells the time [s].
    """

    parent = None

    def __init__(
        self,
        events: Iterable[MDAEvent],
        name: str = "mda",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._clock = clock
        several = tuple(events)
        self.axes = tuple(dict.fromkeys(axis for event in several for axis in event.index))
        self._has_metadata = any(event.metadata for event in several)
        self._keys = {axis: self.key(axis) for axis in self.axes}
        self._began = self._zero = clock()
        self._paused_at: float | None = None
        self._event = several[0]

    # -- the clock ----------------------------------------------------------------------------

    def follow(self, clock: Callable[[], float]) -> None:
        """Take the time from another clock, before it is started: for a preview."""
        self._clock = clock

    def begin(self) -> None:
        """Start the clock."""
        self._began = self._zero = self._clock()

    def restart(self) -> None:
        """Have the times of events count from now, as ``reset_event_timer`` says."""
        self._zero = self._clock()

    def until(self, event: MDAEvent) -> float:
        """Return how long it is until an event may begin [s]; 0 if it may."""
        if event.min_start_time is None:
            return 0.0
        return max(0.0, self._zero + event.min_start_time - self._clock())

    def pause(self) -> None:
        """Stop the clock; the engine calls it."""
        self._paused_at = self._clock()

    def resume(self) -> None:
        """Let the clock go on; the engine calls it."""
        if self._paused_at is not None:
            away = self._clock() - self._paused_at
            self._began += away
            self._zero += away
            self._paused_at = None

    # -- the event ----------------------------------------------------------------------------

    def show(self, event: MDAEvent) -> None:
        """Make an event the one that is read."""
        self._event = event

    def key(self, part: str) -> str:
        """Return a data key."""
        return f"{self.name}-{part}"

    @property
    def hints(self) -> dict[str, Any]:
        """What to show by default: nothing."""
        return {"fields": []}

    def read(self) -> dict[str, Reading[Any]]:
        """Return index, channel, exposure and time of the event."""
        now = time.time()
        event = self._event
        index = event.index
        values: dict[str, Any] = {key: index.get(axis, -1) for axis, key in self._keys.items()}
        values[self.key("channel")] = "" if event.channel is None else event.channel.config
        values[self.key("exposure")] = math.nan if event.exposure is None else event.exposure
        values[self.key("position")] = event.pos_name or ""
        values[self.key("elapsed")] = self._clock() - self._began
        if self._has_metadata:
            values[self.key("metadata")] = json.dumps(event.metadata, default=str)
        return {key: {"value": value, "timestamp": now} for key, value in values.items()}

    def describe(self) -> dict[str, DataKey]:
        """Describe the reading."""
        whole: DataKey = {"source": "useq", "dtype": "integer", "shape": []}
        text: DataKey = {"source": "useq", "dtype": "string", "shape": []}
        keys = {self.key(axis): whole.copy() for axis in self.axes}
        keys[self.key("channel")] = text.copy()
        keys[self.key("exposure")] = {
            "source": "useq",
            "dtype": "number",
            "shape": [],
            "units": "ms",
        }
        keys[self.key("position")] = text.copy()
        keys[self.key("elapsed")] = {
            "source": "freewheel.plans.mda",
            "dtype": "number",
            "shape": [],
            "units": "s",
        }
        if self._has_metadata:
            keys[self.key("metadata")] = text.copy()
        return keys

    def read_configuration(self) -> dict[str, Reading[Any]]:
        """Return nothing: it has no settings."""
        return {}

    def describe_configuration(self) -> dict[str, DataKey]:
        """Describe nothing."""
        return {}
