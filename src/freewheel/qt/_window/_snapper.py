"""Takes the snaps that are clicked for, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import bluesky.plans as bp
from qtpy.QtCore import QObject

from freewheel.core import PlanCall
from freewheel.plans import SNAP
from freewheel.qt._window._live_switch import plan_of
from freewheel.qt._window._snaps import PURPOSE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bluesky.utils import MsgGenerator

    from freewheel.background import BackgroundTask
    from freewheel.core import SRLatch
    from freewheel.qt._link._bridge import EngineBridge
    from freewheel.qt._window._live_switch import LiveSwitch

__all__ = ["Snapper", "snap"]


def snap(cameras: Sequence[Any]) -> MsgGenerator[Any]:
    """Take one frame of each of some cameras."""
    return (yield from bp.count(list(cameras)))


#: The plan of a snap, by the name that an engine elsewhere has for it, and ours.
_SNAPS: Final = ("count", snap)


class Snapper(QObject):
    """Takes snaps: each an event of the live view if there is one, else a run of its own.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    switch
        The live view.
    cameras
        Returns the cameras that are chosen.
    parent
        The QObject that owns this one.
    """

    def __init__(
        self,
        bridge: EngineBridge,
        switch: LiveSwitch,
        cameras: Callable[[], Sequence[Any]],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._bridge, self._switch, self._cameras = bridge, switch, cameras
        self._latch: SRLatch | None = None  # of a live view's snaps
        self._under_way: BackgroundTask | None = None  # the snap that was taken here
        self._wanted = 0  # how many more were clicked for
        self._then: Callable[[], object] | None = None  # to be done when the camera is free
        bridge.actionsChanged.connect(self._actions_changed)
        bridge.backgroundChanged.connect(self._take_next)
        bridge.allStopped.connect(self._forget)
        switch.changed.connect(self._live_changed)

    @property
    def wanted(self) -> int:
        """How many more were clicked for."""
        return self._wanted

    def take(self) -> None:
        """Take one, when the one before is taken."""
        if self._switch.is_running and self._latch is not None:
            self._latch.set()
            return
        self._wanted += 1
        self._take_next()

    def after(self, act: Callable[[], object] | None) -> None:
        """Do something when the snap that is under way is taken, or at once; or nothing any more.

        What was to be done before is not.
        """
        self._then = act
        self._take_next()

    def _take_next(self, *_: Any) -> None:
        mine = self._under_way
        if mine is not None and mine.status.ended:
            self._under_way = None
            if mine.status.name != "COMPLETED":
                self._wanted = 0  # the next ones would fail, too
        if self._under_way is None and self._then is not None:
            then, self._then = self._then, None
            then()
        if self._under_way is not None or not self._wanted:
            return
        if self._switch.is_running or self._switch.is_beginning:
            if self._latch is not None:
                self._wanted = 0
                self._latch.set()
            return  # else it offers one in a moment
        self._wanted -= 1
        try:
            call = PlanCall(plan_of(self._bridge.engine, *_SNAPS), (list(self._cameras()),))
        except Exception as error:  # an engine elsewhere does not offer it
            self._wanted = 0
            self._bridge.requestRefused.emit("snap", error)
            return
        self._under_way = self._bridge.launch(call, on_conflict="pause", purpose=PURPOSE)
        if self._under_way is None:
            self._wanted = 0

    def _forget(self) -> None:
        self._wanted, self._then = 0, None

    def _actions_changed(self, *_: Any) -> None:
        # Kept: between two of its waits a live view offers nothing, and takes it all the same.
        self._latch = self._bridge.pending_actions().get(SNAP.name, self._latch)
        self._take_next()

    def _live_changed(self) -> None:
        if not self._switch.tasks:
            self._latch = None  # the next live view has another one
