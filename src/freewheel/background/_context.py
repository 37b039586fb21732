"""What a function that runs in the background is told, and how it is told."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TaskContext"]


@dataclass(frozen=True)
class TaskContext:
    """How a function in the background hears that it is to pause or to end.

    A function that has a parameter named ``context`` gets one, and so does the method ``run`` of
    an object, whatever it is. Both events are set and cleared by the engine alone; a function looks
    at them, or waits for them, from its own thread.

    Attributes
    ----------
    cancel_event : threading.Event
        Set when the function is to return.
    resume_event : threading.Event
        Cleared while the function is to rest, and set otherwise. Set as well when the function is
        to return, so that nobody who waits for it misses that.
    devices : mapping of str to object
        Of an object with ``device_ids``: those devices, by the names that stand there.
    """

    cancel_event: threading.Event = field(default_factory=threading.Event)
    resume_event: threading.Event = field(default_factory=threading.Event)
    devices: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        self.resume_event.set()

    def end(self) -> None:
        """Say that the function is to return; for the engine."""
        self.cancel_event.set()
        self.resume_event.set()

    @property
    def cancelled(self) -> bool:
        """Whether the function is to return."""
        return self.cancel_event.is_set()

    def rest_while_paused(self) -> bool:
        """Wait while the task is paused; return whether the function is to go on."""
        self.resume_event.wait()
        return not self.cancel_event.is_set()
