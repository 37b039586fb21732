"""A stage, moved by hand: steps, saved positions, and what is clicked on in the picture."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QFormLayout, QVBoxLayout, QWidget

from freewheel.qt._link._limits import Limits
from freewheel.qt._link._with_line import only_with_line
from freewheel.qt._look._inputs import ChoiceBox, wheel_needs_focus
from freewheel.qt._look._questions import ask, withdraw
from freewheel.qt._look._readback import ShortLabel
from freewheel.qt._look._slots import slot
from freewheel.qt._stage._axis import StageAxis, axes_of
from freewheel.qt._stage._click_move import ClickToMove
from freewheel.qt._stage._jog import JogButtons
from freewheel.qt._stage._map import StageMap
from freewheel.qt._stage._positions import PositionList, place_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from qtpy.QtCore import QSettings

    from freewheel.qt._image._live_image import LiveImage
    from freewheel.qt._link._bridge import EngineBridge

__all__ = ["StagePad"]

# What axes are for, and the last parts of names that tell which one is meant.
_ROLES: Final = {"x": ("x",), "y": ("y",), "focus": ("focus", "z")}
#: What they are called where there is little room.
_SHORT: Final = {"x": "x", "y": "y", "focus": "z"}
_NONE: Final = "none"
#: So many places are kept to go back to.
_HISTORY: Final = 50


class StagePad(QWidget):
    """A stage moved by hand: arrows, arrow keys, saved positions, and clicks on the picture.

    All moves are made by hand as those of `MotorRow` are: claims, interlocks and limits hold, a
    dangerous axis asks, and the log has them.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    devices
        The devices by name, among which the axes are chosen; see `set_devices`.
    image
        The picture in which places are clicked on; without one there is nothing to click on.
    settings
        Where positions, steps, axes and calibration are kept.
    parent
        The widget's parent.

    Attributes
    ----------
    positionsChanged : Signal()
        There are other positions, names or axes.
    """

    positionsChanged = Signal()  # noqa: N815 - Qt's spelling

    def __init__(
        self,
        bridge: EngineBridge,
        devices: Mapping[str, Any] | None = None,
        image: LiveImage | None = None,
        parent: QWidget | None = None,
        *,
        settings: QSettings | None = None,
    ) -> None:
        super().__init__(parent)
        self._bridge, self._settings = bridge, settings
        self._devices: dict[str, Any] = {}  # the axes on offer
        self._axes: dict[str, StageAxis] = {}  # by role
        self._chosen: dict[str, str] = _kept(settings, "stage/axes")
        self._before: list[dict[str, float]] = []
        self._problem = "", ""  # what is wrong, and of which axis
        self._jogging = False
        self._is_restoring = False  # what is kept would be written over by what is not restored yet
        self.map = StageMap()
        self._jog = JogButtons()
        self._positions = PositionList()
        self._place, self._says = ShortLabel(), ShortLabel()
        self._place.setObjectName("place")
        self._says.setObjectName("says")
        self._roles: dict[str, ChoiceBox] = {}
        self._click = None
        if image is not None:
            self._click = ClickToMove(image, self._xy, self.go, lambda: self._jog.sizes[0])
            self._click.calibrated.connect(self._keep)
        self._lay_out()
        self._connect()
        self._restore()
        self.set_devices(devices or {})
        only_with_line(self, bridge)

    # -- parts --------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        self._form = QFormLayout()
        layout.addLayout(self._form)
        layout.addWidget(self._place)
        layout.addWidget(self.map, 2)
        layout.addWidget(self._jog)
        layout.addWidget(self._says)
        if self._click is not None:
            layout.addWidget(self._click)
        layout.addWidget(self._positions, 1)

    def _connect(self) -> None:
        for source in (self.map.stepped, self._jog.stepped):
            source.connect(self.step)
        self._jog.stopped.connect(self.stop)
        self.map.chosen.connect(self._go_to_place)
        self._positions.wanted.connect(self.go)
        self._positions.saving.connect(self.save_position)
        self._positions.returning.connect(self.back)
        self._positions.changed.connect(self._positions_changed)
        for field in self._jog.fields.values():
            field.edited.connect(self._keep)
        self._bridge.allStopped.connect(self._give_up)

    def set_devices(self, devices: Mapping[str, Any]) -> None:
        """Offer other devices; the axes that are chosen stay if they are still there."""
        offered = axes_of(devices)
        if list(offered) == list(self._devices) and all(
            offered[name] is self._devices[name] for name in offered
        ):
            return
        self._devices = offered
        for role in _ROLES:
            self._offer(role)
        self._show_positions()  # also those that were kept, of which none knew the axes yet
        self._show()

    def _offer(self, role: str) -> None:
        old = self._roles.get(role)
        box = self._roles[role] = ChoiceBox([_NONE, *self._devices])
        box.setObjectName(f"axis:{role}")
        box.setAccessibleName(f"Axis of {role}")
        box.setToolTip(f"What moves {role}")
        wheel_needs_focus(box)
        kept = self._chosen.get(role, "")
        name = kept if kept in (_NONE, *self._devices) else self._suggested(role)
        box.set_value(_NONE if self._role_of(name, besides=role) else name)  # as settings may say
        box.currentIndexChanged.connect(slot(self._axis_chosen, role))
        if old is None:
            self._form.addRow(role.capitalize(), box)
        else:
            self._form.replaceWidget(old, box)
            old.hide()
            old.deleteLater()
        self._take_axis(role)

    def _suggested(self, role: str) -> str:
        """Return the axis that can be no other; none where several would do."""
        fitting = [n for n in self._devices if n.split(".")[-1].lower() in _ROLES[role]]
        return fitting[0] if len(fitting) == 1 else _NONE

    def _role_of(self, name: str, besides: str) -> str | None:
        """Return which other role an axis has already, under whichever name."""
        device = self._devices.get(name)
        if device is None:
            return None
        others = ((role, axis) for role, axis in self._axes.items() if role != besides)
        return next((role for role, axis in others if axis.device is device), None)

    def _axis_chosen(self, role: str) -> None:
        box, old = self._roles[role], self._axes.get(role)
        if (other := self._role_of(name := box.value(), besides=role)) is not None:
            with QSignalBlocker(box):
                box.set_value(_NONE if old is None else old.name)
            self._say(f"{name} is the axis of {other}: choose another one there first")
            return
        self._chosen[role] = self._roles[role].value() or _NONE
        withdraw(self, "danger")  # it was about the axis that was
        self._take_axis(role)
        self._before.clear()
        self._positions_changed()  # which are of other axes now
        self._show()

    def _take_axis(self, role: str) -> None:
        name = self._roles[role].value()
        device = self._devices.get(name)
        old = self._axes.get(role)
        if old is not None and old.device is device:
            return
        if old is not None:
            del self._axes[role]
            old.close()
            old.deleteLater()
            if self._click is not None:
                self._click.give_up(f"{old.name} is not an axis of the pad any more")
        if device is not None:
            axis = self._axes[role] = StageAxis(self._bridge, device, name, self)
            axis.changed.connect(self._show)
            axis.said.connect(self._axis_said)

    # -- moving -------------------------------------------------------------------------------

    @property
    def place(self) -> dict[str, float]:
        """Where the stage is: numbers by the names of its axes."""
        axes = self._axes.values()
        return {axis.name: axis.position for axis in axes if axis.position is not None}

    @property
    def message(self) -> str:
        """What went wrong last, or who holds the stage; empty if nothing is wrong."""
        return str(self._says.text())

    def _say(self, text: str, of: str = "") -> None:
        """Say what is wrong, and of which axis, if of one alone."""
        self._problem = text, of
        self._says.setText(text)

    def _axis_said(self, name: str, text: str) -> None:
        if text or self._problem[1] in ("", name):  # the end of one is no news of another
            self._say(text, name if text else "")

    @property
    def positions(self) -> dict[str, dict[str, float]]:
        """The saved positions: numbers by axis name, by the position's name."""
        return self._positions.positions

    @property
    def xyz(self) -> dict[str, float]:
        """Where the stage is: numbers by ``x``, ``y`` and ``z``."""
        return self._as_xyz(self.place)

    @property
    def xyz_positions(self) -> dict[str, dict[str, float]]:
        """The saved positions: numbers by ``x``, ``y`` and ``z``, by name."""
        return {name: self._as_xyz(place) for name, place in self.positions.items()}

    def _as_xyz(self, place: Mapping[str, float]) -> dict[str, float]:
        axes = {
            short: self._axes[role].name for role, short in _SHORT.items() if role in self._axes
        }
        return {short: place[name] for short, name in axes.items() if name in place}

    def step(self, x: int = 0, y: int = 0, focus: int = 0) -> None:
        """Go some steps on, or back, of the sizes that are filled in."""
        xy, z = self._jog.sizes
        wanted = {}
        for role, distance in (("x", x * xy), ("y", y * xy), ("focus", focus * z)):
            axis = self._axes.get(role)
            if distance and axis is not None and axis.target is not None:
                # Sums such as 0.1 + 0.2 are to be shown as they are meant.
                wanted[axis.name] = float(f"{axis.target + distance:.12g}")
            elif distance:
                known = f"{axis.name} has not said yet where it is" if axis else ""
                self._say(known or f"no axis is chosen for {role}")
        jogging, self._jogging = self._jogging, True
        self._move(wanted, remember=not jogging)

    def go(self, places: Mapping[str, float]) -> bool:
        """Go to places, by the names of the axes; nothing moves if one of them cannot.

        Returns
        -------
        bool
            Whether it goes there, or asks; if not, `message` says why.
        """
        self._jogging = False
        return self._move(places)

    def back(self) -> None:
        """Go back to where the stage was before the last move, or the last steps."""
        self._jogging = False
        if not self._before:
            self._say("there is no place to go back to")
            return
        self._move(self._before[-1], remember=False, begun=self._gone_back)

    def _gone_back(self) -> None:
        self._before.pop()

    def go_to(self, name: str) -> bool:
        """Go to a saved position.

        Raises
        ------
        KeyError
            If there is none of that name.
        """
        self._positions.choose(name)
        return self.go(self.positions[name])

    def save_position(self, name: str = "") -> str:
        """Save where the stage is, and return the name that it is saved by."""
        if not self.place:
            self._say("no axis has said yet where it is")
            return ""
        return self._positions.add(self.place, name)

    def stop(self) -> None:
        """Stop all axes, whoever moves them."""
        self._give_up()
        for axis in self._axes.values():
            axis.stop()

    def _give_up(self) -> None:
        withdraw(self, "danger")
        if self._click is not None:
            self._click.give_up("everything was stopped")

    def _go_to_place(self, x: float, y: float) -> None:
        x_axis, y_axis = self._xy()
        if x_axis is not None and y_axis is not None:
            self.go({x_axis.name: x, y_axis.name: y})

    def _xy(self) -> tuple[StageAxis | None, StageAxis | None]:
        return self._axes.get("x"), self._axes.get("y")

    def _move(
        self,
        places: Mapping[str, float],
        *,
        remember: bool = True,
        begun: Callable[[], object] | None = None,
    ) -> bool:
        axes = {axis.name: axis for axis in self._axes.values()}
        if not places or not self._can_go(places):
            return False

        def move() -> None:
            # Looked at anew: much may have happened before somebody answered a question.
            if not self._can_go(places):
                return
            before = {name: value for name, value in self.place.items() if name in places}
            if remember:
                self._before = [*self._before[-_HISTORY:], before]
            if begun is not None:
                begun()
            self._say("")
            for name, place in places.items():
                axes[name].go(place)
            self._show()

        dangers = [f"{name}: {why}." for name in places if (why := axes[name].danger) is not None]
        if dangers:
            ask(self, "danger", f"Go to {place_text(places)}?", "\n".join(dangers), "Go", move)
        else:
            move()
        return True

    def _can_go(self, places: Mapping[str, float]) -> bool:
        """Say what is wrong with places for all of the axes, before one of them moves."""
        axes = {axis.name: axis for axis in self._axes.values()}
        problems = (
            axes[name].problem_of(place)
            if name in axes
            else f"{name} is not among the axes that are chosen"
            for name, place in places.items()
        )
        problem = next(filter(None, problems), "")
        if any(axis.holder for axis in axes.values()):
            self._says.setText(problem)  # for as long as it is held
        elif problem:
            self._say(problem)
        return not problem

    # -- showing ------------------------------------------------------------------------------

    def _show(self) -> None:
        holders = (axis.holder for axis in self._axes.values())
        held = [f"held by {holder}" for holder in holders if holder]
        why = held[0] if held else "" if self._axes else "choose the axes first"
        self._jog.allow(not why, why)
        self._says.setText(held[0] if held else self._problem[0])
        x, y = self._xy()
        both = None
        if x is not None and y is not None and None not in (x.position, y.position):
            both = (float(x.position or 0.0), float(y.position or 0.0))
        no_limits = Limits()
        self.map.show_place(both, (x.limits if x else no_limits, y.limits if y else no_limits))
        units = {axis.name: f" {axis.unit}".rstrip() for axis in self._axes.values()}
        texts = (f"{name} {value:.6g}{units[name]}" for name, value in self.place.items())
        self._place.setText("   ".join(texts))
        self._positions.show_axes(
            {
                axis.name: (short, axis.unit)
                for role, short in _SHORT.items()
                if (axis := self._axes.get(role)) is not None
            }
        )
        self._positions.buttons["back"].setEnabled(bool(self._before))
        if self._click is not None:
            self._click.axes_changed()

    def _positions_changed(self) -> None:
        self._show_positions()
        self._keep()
        self.positionsChanged.emit()

    def _show_positions(self) -> None:
        x, y = (self._roles[role].value() if role in self._roles else None for role in ("x", "y"))
        self.map.show_positions(
            {
                name: (place[x], place[y])
                for name, place in self.positions.items()
                if x in place and y in place
            }
        )

    # -- keeping ------------------------------------------------------------------------------

    def _restore(self) -> None:
        self._is_restoring = True
        self._jog.set_sizes(_kept(self._settings, "stage/steps"))
        kept = _kept(self._settings, "stage/positions")
        places = {name: place for name, found in kept.items() if (place := _place_in(found))}
        self._positions.show_positions(places)
        if damaged := [name for name in kept if name not in places]:
            self._say(f"saved positions that cannot be read: {', '.join(damaged)}")
        if self._click is not None and self._settings is not None:
            with suppress(TypeError, ValueError):
                self._click.restore(json.loads(str(self._settings.value("stage/calibration", ""))))
        self._is_restoring = False

    def _keep(self, *_: Any) -> None:
        if self._settings is None or self._is_restoring:
            return
        xy, focus = self._jog.sizes
        kept: dict[str, Any] = {
            "axes": self._chosen,
            "steps": {"xy": xy, "focus": focus},
            "positions": self.positions,
        }
        if self._click is not None:
            kept["calibration"] = self._click.kept
        for name, value in kept.items():
            self._settings.setValue(f"stage/{name}", json.dumps(value))


def _place_in(found: Any) -> dict[str, float]:
    """Return a place that was kept; an empty one if it is damaged."""
    with suppress(TypeError, ValueError, AttributeError):
        place = {str(axis): float(value) for axis, value in found.items()}
        if all(map(math.isfinite, place.values())):
            return place
    return {}


def _kept(settings: QSettings | None, key: str) -> dict[str, Any]:
    """Return a mapping that was kept; an empty one if there is none, or it is damaged."""
    if settings is not None:
        with suppress(TypeError, ValueError):
            found = json.loads(str(settings.value(key, "") or ""))
            if isinstance(found, dict):
                return found
    return {}
