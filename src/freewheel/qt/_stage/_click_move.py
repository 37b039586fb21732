"""Going to what is clicked on in a picture, and how far that is."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from freewheel.qt._image._clicks import PictureClicks
from freewheel.qt._look._icons import icon
from freewheel.qt._stage._calibration import Calibration

if TYPE_CHECKING:
    from collections.abc import Callable

    from freewheel.qt._image._live_image import LiveImage
    from freewheel.qt._stage._axis import StageAxis

__all__ = ["ClickToMove"]

_STEPS: Final = (
    "1 of 3: double click on something small in the picture",
    "2 of 3: x has gone a step; double click on the same thing",
    "3 of 3: y has gone a step, too; double click on it again",
)
_UM: Final = ("", " um", " \N{MICRO SIGN}m", " \N{GREEK SMALL LETTER MU}m", " micrometer")
_ON: Final = "A double click on the picture brings what is there to the middle"
_NOT_YET: Final = "Calibrate first: how far the stage has to go for a pixel is not known"


class _Says(QLabel):
    """Words on two lines; a place that scrolls would have all beside them as high as it likes."""

    def hasHeightForWidth(self) -> bool:  # noqa: N802 - Qt's spelling
        """Need no other height where it is narrow."""
        return False


class ClickToMove(QWidget):
    """While it is on, a double click on the picture brings what is there to the middle.

    How far that is the picture's camera may tell, as Micro-Manager's do. *Calibrate* learns it: the
    stage makes a step in x and one in y, and a person shows each time where the same thing is now.
    That goes before what the camera told by then, until it tells something else.

    Parameters
    ----------
    image
        The picture.
    axes
        Returns the axes of x and y, or `None` for one that there is not.
    move
        Moves them by hand, to places by the axes' names.
    step
        Returns how far a step of the calibration goes.

    Attributes
    ----------
    calibrated : Signal(object)
        There is another calibration.
    """

    calibrated = Signal(object)

    def __init__(
        self,
        image: LiveImage,
        axes: Callable[[], tuple[StageAxis | None, StageAxis | None]],
        move: Callable[[dict[str, float]], bool],
        step: Callable[[], float],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._axes, self._move, self._step = axes, move, step
        self._image, self._seen_unit = image, ""
        self._made: Calibration | None = None  # with a person's help
        self._made_for: Calibration | None = None  # what the camera told then
        self._told: Calibration | None = None  # by the camera
        self._shown: list[tuple[float, float]] | None = None  # while it is being calibrated
        self._stood: list[tuple[float, float]] = []  # where the stage was at each
        self._clicks = PictureClicks(image, self)
        self._clicks.clicked.connect(self._clicked)
        image.pixelSizeChanged.connect(self._look)
        self._on = QPushButton("Click to move")
        self._on.setObjectName("clickToMove")
        self._on.setCheckable(True)
        self._learn = QPushButton(icon("calibrate"), "Calibrate")
        self._learn.setObjectName("calibrate")
        self._learn.setToolTip("Learn how far the stage goes for a pixel, with two small moves")
        self._learn.clicked.connect(self._learn_or_cancel)
        self._says = _Says()
        self._says.setObjectName("calibration")
        self._lay_out()
        self._look()

    def _lay_out(self) -> None:
        # What to do next has to be read whole: there is room for two lines, whatever is said.
        self._says.setWordWrap(True)
        self._says.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._says.setMinimumHeight(2 * self._says.fontMetrics().lineSpacing())
        row = QHBoxLayout()
        row.addWidget(self._on)
        row.addWidget(self._learn)
        row.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row)
        layout.addWidget(self._says)

    @property
    def calibration(self) -> Calibration | None:
        """How far the stage goes for a pixel; `None` while that is not known."""
        return self._made if self._told in (None, self._made_for) and self._made else self._told

    @property
    def kept(self) -> list[list[float]]:
        """What was learned, and what the camera told by then: to be kept; see `restore`."""
        return [each.as_list() for each in (self._made, self._made_for) if each is not None]

    def restore(self, kept: Any) -> None:
        """Take what was kept; nothing of what is damaged."""
        made = made_for = None
        with suppress(TypeError, ValueError):
            made, made_for = ([Calibration(*map(float, each)) for each in kept] + [None, None])[:2]
        self._made, self._made_for = made, made_for
        self._look()

    @property
    def text(self) -> str:
        """What is said beside the buttons."""
        return str(self._says.text())

    def set_calibration(self, calibration: Calibration | None) -> None:
        """Take how far the stage goes for a pixel, whatever the camera has told by now."""
        self._made, self._made_for = calibration, None if calibration is None else self._told
        self._look()

    def axes_changed(self) -> None:
        """Look which unit the axes have now: a camera tells of um."""
        if self._unit() != self._seen_unit:
            self._look()

    def _look(self, *_: Any) -> None:
        self._seen_unit = self._unit()
        told = self._image.scale.affine if self._seen_unit in _UM else None
        self._told = None if told is None else Calibration(*told)
        calibration = self.calibration
        self._on.setEnabled(calibration is not None)
        self._on.setToolTip(_NOT_YET if calibration is None else _ON)
        if calibration is None:
            self._on.setChecked(False)
        if self._shown is None:
            self._say_calibration(calibration)
        if self._made is not None and self._seen_unit:
            size = self._made.pixel_size, self._seen_unit.strip()
            self._image.scale.learn(size)  # for cameras that tell none

    def _say_calibration(self, calibration: Calibration | None) -> None:
        if calibration is None:
            self._says.setText("not calibrated")
            return
        whose = ", as the camera tells" if calibration is self._told else ""
        self._says.setText(f"1 pixel is {calibration.pixel_size:.4g}{self._unit()}{whose}")

    def _unit(self) -> str:
        x, _ = self._axes()
        return "" if x is None or not x.unit else f" {x.unit}"

    def _learn_or_cancel(self, *_: Any) -> None:
        if self._shown is not None:
            self._end("the calibration was cancelled")
            return
        if None in self._axes():
            self._says.setText("choose the axes of x and y first")
            return
        if self._clicks.middle is None:
            self._says.setText("there is no picture yet: start a live view")
            return
        self._shown, self._stood = [], []
        self._learn.setText("Cancel")
        self._says.setText(_STEPS[0])

    def give_up(self, why: str) -> None:
        """Do no further step of a calibration that is under way."""
        if self._shown is not None:
            self._end(f"the calibration was given up: {why}")

    def _end(self, text: str) -> None:
        self._shown = None
        self._learn.setText("Calibrate")
        self._says.setText(text)

    def _clicked(self, x: float, y: float) -> None:
        if self._shown is not None:
            self._take(x, y)
        elif self._on.isChecked() and (calibration := self.calibration) is not None:
            self._go_to(x, y, calibration)

    def _go_to(self, x: float, y: float, calibration: Calibration) -> None:
        middle, (x_axis, y_axis) = self._clicks.middle, self._axes()
        if middle is None or x_axis is None or y_axis is None:
            self._says.setText("choose the axes of x and y first")
            return
        if self._image.frozen:
            self._says.setText("the picture is an older one: show the newest first")
            return
        if x_axis.position is None or y_axis.position is None:
            self._says.setText("the stage has not said yet where it is")
            return
        dx, dy = calibration.move_to((x, y), middle)
        self._move({x_axis.name: x_axis.position + dx, y_axis.name: y_axis.position + dy})

    def _take(self, x: float, y: float) -> None:
        """Take where the thing is now, and make the next step."""
        x_axis, y_axis = self._axes()
        if self._shown is None or x_axis is None or y_axis is None:
            return
        if x_axis.position is None or y_axis.position is None:
            self._end("the stage has not said yet where it is")
            return
        if x_axis.is_moving or y_axis.is_moving:
            self._says.setText("the stage still moves: double click when it is there")
            return
        self._shown.append((x, y))
        self._stood.append((x_axis.position, y_axis.position))
        count = len(self._shown)
        if count == len(_STEPS):
            self._learned(x_axis, y_axis)
            return
        moved = (x_axis, y_axis)[count - 1]
        place = moved.position or 0.0
        if self._move({moved.name: place + self._step()}):
            self._says.setText(_STEPS[count])
        else:
            self._end("the stage could not make its step: the calibration was given up")

    def _learned(self, x_axis: StageAxis, y_axis: StageAxis) -> None:
        shown, stood = self._shown or [], self._stood
        self._end("")
        x_step, y_step = stood[1][0] - stood[0][0], stood[2][1] - stood[1][1]
        try:
            made = Calibration.from_moves(shown, x_step, y_step)
        except (ValueError, ZeroDivisionError) as error:
            self._says.setText(str(error) if x_step and y_step else "the stage did not move")
        else:
            self.set_calibration(made)
            self.calibrated.emit(made)
        self._move({x_axis.name: stood[0][0], y_axis.name: stood[0][1]})
