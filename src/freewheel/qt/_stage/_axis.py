"""One axis of a stage, as a pad moves it: where it is, how far it may go, one move at a time."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from freewheel.core import danger_of
from freewheel.core._crossings import call_soon, run_soon
from freewheel.core._devices import device_parts
from freewheel.core._errors import typed_text_of
from freewheel.qt._devices._kinds import datatype_of, has_axes, is_signal
from freewheel.qt._link._bridge import failure_of
from freewheel.qt._link._feed import Feed
from freewheel.qt._link._holders import holder_at_work
from freewheel.qt._link._limits import Limits
from freewheel.qt._link._signal_watch import SignalWatch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from freewheel.qt._link._bridge import EngineBridge

__all__ = ["StageAxis", "axes_of"]


class StageAxis(QObject):
    """Where an axis is and how far it may go; it is moved by hand, one move after the other.

    What is asked for while it moves waits until that move is over, the newest alone: a key that
    is held down does not pile up moves.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    device
        The axis.
    name
        What it is called.
    parent
        The QObject that owns it.

    Attributes
    ----------
    changed : Signal()
        It is somewhere else, has other limits, or another one holds it.
    said : Signal(str, str)
        Its name, and what went wrong; empty when a move is done.
    """

    changed = Signal()
    said = Signal(str, str)

    def __init__(self, bridge: EngineBridge, device: Any, name: str, parent: QObject) -> None:
        super().__init__(parent)
        self.device, self.name = device, name
        self.limits, self.unit = Limits(), ""
        self.position: float | None = None
        self._bridge = bridge
        self._under_way: float | None = None
        self._next: float | None = None
        self._feed = Feed(self._receive)
        bridge.allStopped.connect(self.give_up)
        for told in (bridge.claimsChanged, bridge.stateChanged, bridge.backgroundChanged):
            told.connect(self._claims_changed)
        readback = getattr(device, "user_readback", None) or getattr(device, "readback", device)
        watch, loop = SignalWatch(readback, self._feed, device), bridge.engine.loop
        self._end = weakref.finalize(self, call_soon, loop, watch.stop)
        self._end.atexit = False
        feed = self._feed

        async def watch_it() -> None:
            try:
                await watch.start()
            except Exception as error:  # whatever the device raised
                feed.put("failed", error)

        run_soon(loop, watch_it())

    @property
    def holder(self) -> str | None:
        """Who keeps hands from it; `None` if nobody does."""
        holder = holder_at_work(self._bridge, self.device)
        return None if holder == self._bridge.engine.by_hand.holder else holder

    @property
    def danger(self) -> str | None:
        """Why it is to be asked for; `None` for an axis that is not marked as dangerous."""
        return danger_of(self.device)

    @property
    def is_moving(self) -> bool:
        """Whether a move that was asked for here is not over."""
        return self._under_way is not None

    @property
    def target(self) -> float | None:
        """Where it will be when all that was asked for is done; `None` while that is not known."""
        for place in (self._next, self._under_way, self.position):
            if place is not None:
                return place
        return None

    def problem_of(self, place: float) -> str:
        """Return why it cannot go somewhere; empty if it can."""
        if (holder := self.holder) is not None:
            return f"{self.name} is held by {holder}"
        problem = self.limits.problem_of(place)
        return f"{self.name}: {problem}" if problem else ""

    def go(self, place: float) -> None:
        """Go somewhere, when the move that is under way is over."""
        if problem := self.problem_of(place):
            self.said.emit(self.name, problem)
            return
        if self._under_way is not None:
            self._next = place
            return
        self._under_way = place
        feed = self._feed
        future = self._bridge.set_by_hand(self.device, place)
        # In the thread that ends it.
        future.add_done_callback(lambda done: feed.put("ended", failure_of(done)))

    def give_up(self) -> None:
        """Do nothing of what waits: everything was stopped."""
        self._next = None

    def stop(self) -> None:
        """Stop, whoever moves it, and do nothing of what waits."""
        self._next = None
        if callable(getattr(self.device, "stop", None)):
            self._bridge.stop_by_hand(self.device)

    def close(self) -> None:
        """Listen to the device no more, and do nothing of what waits."""
        self._next = None
        self._feed.close()
        self._end()

    def _receive(self, kind: str, arguments: tuple[Any, ...]) -> None:
        if kind == "ended":
            self._ended(arguments[0])
        elif kind == "failed":
            self.said.emit(self.name, f"{self.name}: {typed_text_of(arguments[0])}")
        elif kind == "reading" and isinstance(arguments[0], (int, float)):
            self.position = float(arguments[0])
            self.changed.emit()
        elif kind == "limits":
            self.limits = arguments[0]
            self.changed.emit()
        elif kind == "unit":
            self.unit = str(arguments[0])
            self.changed.emit()

    def _ended(self, error: BaseException | None) -> None:
        following, self._next, self._under_way = self._next, None, None
        if error is not None:
            self.said.emit(self.name, f"{self.name}: {typed_text_of(error)}")
        elif following is not None:
            self.go(following)
        else:
            self.said.emit(self.name, "")
        self.changed.emit()

    def _claims_changed(self, *_: Any) -> None:
        self.changed.emit()


def axes_of(devices: Mapping[str, Any]) -> dict[str, Any]:
    """Return what goes to numbers among devices and their parts, by name such as ``"stage.x"``."""
    found: dict[str, Any] = {}
    for name, device in devices.items():
        _add_axes(found, name, device)
    return found


def _add_axes(found: dict[str, Any], name: str, device: Any) -> None:
    if isinstance(device, BaseException) or is_signal(device):
        return
    if callable(getattr(device, "set", None)) and not has_axes(device):
        if datatype_of(device) in (int, float):
            found[name] = device
        return
    for child_name, child in device_parts(device).items():
        _add_axes(found, f"{name}.{child_name}", child)
