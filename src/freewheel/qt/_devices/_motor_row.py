"""A motor, moved by hand."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QStackedWidget

from freewheel.qt._devices._edited_row import EditedRow
from freewheel.qt._devices._editor import small_button
from freewheel.qt._devices._motor_lines import HeldBy, StepBar
from freewheel.qt._link._claims import ClaimGuard
from freewheel.qt._link._holders import pause_of

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from freewheel.qt._link._bridge import EngineBridge

__all__ = ["MotorRow"]

#: After which a stop that has not come through says what it waits for [ms].
_STOP_MS: Final = 100


class MotorRow(EditedRow):
    """A motor, moved by hand: go to a position, step, stop.

    The target follows the readback until somebody edits it, and nothing moves before *Go*, Return
    or a step. Its soft limits are shown; a target beyond them is marked, and refused in words. A
    device that is marked as dangerous asks before it moves. A move takes the claim for the
    motor, so that no plan moves it at the same time; while a plan holds the motor, what moves it
    is greyed out, and the line below names the holder and offers to pause it. *Stop* goes ahead of
    all that the engine does, and says what it waits for if that blocks it.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    motor
        Something movable.
    name
        What to call it; by default its own name.

    Attributes
    ----------
    guard : ClaimGuard
        Greys out what moves the motor.
    """

    def __init__(
        self,
        bridge: EngineBridge,
        motor: Any,
        name: str | None = None,
        parent: QWidget | None = None,
    ) -> None:
        button = ("Go", "go", "Move to the target")
        super().__init__(bridge, motor, name or motor.name, parent, self.move, button)
        self._move_when_free = False
        self._stopping: Any = None  # the future of a stop that is under way
        self._editor.widget.setObjectName("target")
        self._editor.widget.setAccessibleName(f"Target of {self._title}")
        self._button.setAccessibleName(f"Move {self._title}")
        stop = small_button("Stop", "stop", self.stop, "Stop it, whoever moves it")
        stop.setAccessibleName(f"Stop {self._title}")
        stop.setEnabled(hasattr(motor, "stop"))
        self._line.addWidget(stop)  # never greyed out
        self._steps = StepBar(self._title, self._editor.is_number)
        self._steps.stepped.connect(self.step)
        self._held = HeldBy(self.pause_and_move)
        # One in the place of the other: nothing jumps when a plan begins or ends.
        self._below = QStackedWidget()
        self._below.addWidget(self._steps)
        self._below.addWidget(self._held)
        self._column.insertWidget(1, self._below)
        self._late = QTimer(self)
        self._late.setSingleShot(True)
        self._late.setInterval(_STOP_MS)
        self._late.timeout.connect(self._stop_is_late)
        self.guard: ClaimGuard = ClaimGuard(bridge, motor, self._button)
        self.guard.changed.connect(self._holder_changed)
        self._holder_changed()
        readback = getattr(motor, "user_readback", None) or getattr(motor, "readback", motor)
        self._subscribe(readback, motor)

    # -- moving -------------------------------------------------------------------------------

    def set_target(self, target: Any) -> None:
        """Fill in where `move` goes."""
        self._editor.fill_in(target)

    def move(self, *_: Any) -> None:
        """Move to the target that is filled in."""
        self._send()

    def step(self, distance: float) -> None:
        """Move by a distance from where the motor is, in its units."""
        latest = self._editor.latest
        if latest is None:
            self.say("it has not said yet where it is")
            return
        # Sums such as 0.1 + 0.2 are to be shown as they are meant.
        place = type(latest)(float(f"{latest + distance:.12g}"))
        if problem := self._editor.problem_of(place):
            self.say(problem)
            return
        self._by_hand(place)

    def pause_and_move(self, *_: Any) -> None:
        """Pause who holds the motor, and move it to what was filled in when it is free."""
        holder = self.guard.holder
        pause = None if holder is None else pause_of(self._bridge, holder)
        if pause is None:
            self.say(f"{holder or 'nobody'} cannot be paused")
            return
        if self._editor.edited and (problem := self._editor.problem):
            self.say(problem)  # nobody is paused for a move that would be refused
            return
        self._move_when_free = self._editor.edited
        self._editor.widget.setFocus()
        pause()

    def _holder_changed(self) -> None:
        holder = self.guard.holder
        pause = None if holder is None else pause_of(self._bridge, holder)
        self._held.show_holder(holder, may_pause=pause is not None)
        self._below.setCurrentWidget(self._steps if holder is None else self._held)
        if holder is None and self._move_when_free:
            self._move_when_free = False
            # Else whoever was to be paused has ended, which nobody may have meant.
            if self._bridge.engine.claims.get(self._device) is not None:
                self.move()

    def give_up(self) -> None:
        """Do nothing of what waits: everything was stopped."""
        super().give_up()
        self._move_when_free = False
        self._editor.follow()

    # -- stopping -----------------------------------------------------------------------------

    def stop(self, *_: Any) -> None:
        """Stop the motor, whoever moves it, and give up a move that waits for an interlock."""
        self._move_when_free = False
        self._stopping = self._bridge.stop_by_hand(self._device)
        self._tell_of(self._stopping, "stopped")
        self._late.start()

    def _stop_is_late(self) -> None:
        if self._stopping is None or self._stopping.done():
            return
        self.say("Stop was not answered yet …")
        engine, feed = self._bridge.engine, self._feed
        # It asks the engine's loop, which may not answer, and waits for that.
        threading.Thread(
            target=lambda: feed.put("blocked", engine.explain()), name="explain", daemon=True
        ).start()

    def _say_blocked(self, text: str) -> None:
        if self._stopping is None or self._stopping.done():
            return
        lines = [line for line in text.splitlines() if "has not answered" in line]
        if lines:
            self.say(f"Stop waits. {lines[0]}")

    # -- showing ------------------------------------------------------------------------------

    def _mark(self) -> None:
        super()._mark()
        self._steps.show_limits(self._limits, self._editor.beyond)

    def receive(self, kind: str, arguments: tuple[Any, ...]) -> None:
        """Show what came back from the engine's loop."""
        if kind == "blocked":
            self._say_blocked(arguments[0])
            return
        super().receive(kind, arguments)
        if kind == "stopped":
            self._editor.follow()
