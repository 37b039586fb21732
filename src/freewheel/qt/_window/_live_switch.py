"""A live view that is switched on and off, and made anew when something changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from freewheel.core import PlanCall
from freewheel.plans import live_view

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from freewheel.background import BackgroundTask
    from freewheel.qt._link._bridge import EngineBridge

__all__ = ["LiveSwitch", "plan_of"]

_NAME = "live_view"


def plan_of(engine: Any, name: str, here: Callable[..., Any]) -> Any:
    """Return a plan function: ours, or the one of that name that an engine elsewhere offers.

    Raises
    ------
    LookupError
        If that engine does not offer it; the text says so.
    """
    if not engine.is_elsewhere:
        return here
    if name not in engine.plans:
        msg = f"the engine there does not offer {name}"
        raise LookupError(msg)
    plan = engine.plans[name]
    if plan.reason:
        msg = f"{name} is not available there: {plan.reason}"
        raise LookupError(msg)
    return plan


class LiveSwitch(QObject):
    """Runs a live view in the background, and ends it.

    It gives way to plans that need one of its cameras, and comes back.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    parent
        The QObject that owns this one.

    Attributes
    ----------
    changed : Signal()
        A live view has begun, was paused, or has ended, whoever began it.
    """

    changed = Signal()

    def __init__(self, bridge: EngineBridge, parent: QObject) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._mine: BackgroundTask | None = None
        self._asked: tuple[Sequence[Any], float] = ((), 0.0)
        self._then: list[Callable[[], object]] = []  # to be done when the live view has ended
        self._again = False
        self._by_itself = False  # whether the one that runs was made anew, and by nobody's hand
        self._is_wanted = False  # nobody has switched it off; it may have yet to hear of that
        bridge.backgroundChanged.connect(self._look)
        bridge.allStopped.connect(self._stay_off)

    @property
    def tasks(self) -> list[BackgroundTask]:
        """The live views under way."""
        tasks = self._bridge.engine.background.running
        return [t for t in tasks if t.name.startswith(_NAME) and not t.status.ended]

    @property
    def is_running(self) -> bool:
        """Whether a live view takes frames now: it has not given way, and was not paused."""
        return any(str(task.status) == "running" for task in self.tasks)

    @property
    def is_beginning(self) -> bool:
        """Whether a live view was begun that takes no frames yet."""
        return any(str(task.status) == "waiting" for task in self.tasks)

    def start(self, cameras: Sequence[Any], rate: float) -> None:
        """Begin a live view; one of other cameras that was begun here ends before it."""
        self._asked = cameras, rate
        self._by_itself = False
        self._is_wanted = True
        if self._mine is not None and not self._mine.status.ended:
            self._make_anew()
            return
        try:
            plan = plan_of(self._bridge.engine, _NAME, live_view)
            call = PlanCall(plan, (list(cameras),), {"rate": rate})
        except Exception as error:
            self._bridge.requestRefused.emit("live view", error)
            return
        self._mine = self._bridge.launch(call, on_conflict="pause")

    def renew(self, cameras: Sequence[Any], rate: float) -> None:
        """Have the live view that was begun here go on otherwise, in a run of its own."""
        if self._is_on:
            self.start(cameras, rate)

    def stop(self) -> None:
        """End all live views, with their clean-up."""
        self._stay_off()
        for task in self.tasks:
            self._bridge.cancel_task(task)

    def between(self, act: Callable[[], object]) -> None:
        """Do something while the live view that was begun here is at rest.

        It is ended for that, so that its run is complete, and goes on with another run. One that
        gives way to a plan is left alone, and so is one that was switched off.
        """
        if not self._is_on:
            act()
            return
        self._then.append(act)
        self._make_anew()

    @property
    def _is_on(self) -> bool:
        """Whether the one that was begun here takes frames, and is to."""
        mine = self._mine
        return self._is_wanted and mine is not None and str(mine.status) == "running"

    def _stay_off(self) -> None:
        """Have one that is being made anew end for good: it, or everything, was stopped.

        One that has begun anew before this was heard of ends too.
        """
        self._again = self._is_wanted = False
        if self._by_itself and self._mine is not None and not self._mine.status.ended:
            self._bridge.cancel_task(self._mine)

    def _make_anew(self) -> None:
        self._again = True
        if self._mine is not None:
            self._bridge.cancel_task(self._mine)

    def _look(self, *_: Any) -> None:
        if self._mine is not None and self._mine.status.ended:
            self._mine = None
            then, self._then = self._then, []
            for act in then:
                act()
            again, self._again = self._again, False
            if again:
                self.start(*self._asked)
                self._by_itself = True
        self.changed.emit()
