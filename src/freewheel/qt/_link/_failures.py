"""What goes wrong in an engine, as a window is told of it: once each."""

from __future__ import annotations

import re
import weakref
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import QObject, Signal

from freewheel.core._devices import device_name, is_device
from freewheel.core._errors import text_of
from freewheel.qt._link._bridge import failure_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from freewheel.background import BackgroundTask
    from freewheel.core import PlanFutureView
    from freewheel.qt._link._bridge import EngineBridge

__all__ = ["Failures", "device_of"]


class Failures(QObject):
    """Tells of plans and tasks that fail, and of what a person asks for in vain.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    parent
        The QObject that owns this one.

    Attributes
    ----------
    failed : Signal(str, object, str)
        What went wrong, in a few words, the exception, and the device's name; empty if none is
        known.
    """

    failed = Signal(str, object, str)

    def __init__(self, bridge: EngineBridge, parent: QObject) -> None:
        super().__init__(parent)
        self._told: weakref.WeakSet[BackgroundTask] = weakref.WeakSet()
        bridge.planEnded.connect(self._plan_ended)
        bridge.backgroundChanged.connect(self._task_changed)
        bridge.requestRefused.connect(self._refused)
        bridge.requestFailed.connect(self._failed_by_hand)

    def _plan_ended(self, future: PlanFutureView) -> None:
        if (error := failure_of(future.outcome)) is not None:
            self.failed.emit(f"{future.plan_name} failed", error, device_of(error))

    def _task_changed(self, task: BackgroundTask) -> None:
        if task.status.name != "FAILED" or task in self._told:
            return
        self._told.add(task)
        if (error := task.future.peek()) is not None:
            self.failed.emit(f"background {task.name} failed", error, device_of(error))

    def _refused(self, what: str, error: BaseException) -> None:
        self.failed.emit(f"{what} is not possible", error, device_of(error))

    def _failed_by_hand(self, what: str, error: BaseException, device: str) -> None:
        self.failed.emit(f"by hand: {what} failed", error, device)


# What names its device in its text alone: a status of ophyd-async, a message that was not answered,
# and what is not connected.
_NAMED: Final = re.compile(
    r"\bdevice: ([^,>\s]+)|\(\w+ of '([^']+)'\)$|^'([^']+)' (?:is not|was never|got no) "
)


def device_of(error: BaseException) -> str:
    """Return the name of the device that an exception is about; empty if it names none."""
    for cause in _causes(error):
        for thing in (getattr(cause, "device", None), *_devices_of(cause)):
            if isinstance(thing, str) or is_device(thing):
                return thing if isinstance(thing, str) else device_name(thing)
    found = _NAMED.search(text_of(error))
    return "" if found is None else next(filter(None, found.groups()))


def _devices_of(error: BaseException) -> Iterator[Any]:
    """Go through what the statuses of a failed status say that they are about."""
    for status in error.args:
        yield getattr(status, "obj", None)
        yield getattr(status, "device", None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    for _ in range(20):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__ or cause.__context__
