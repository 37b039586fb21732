"""The buttons above a picture."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtGui import QAction, QActionGroup
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QMenu, QToolButton, QWidget

from freewheel.qt._image._colours import COLOUR_MAPS, Curve
from freewheel.qt._look._inputs import wheel_needs_focus
from freewheel.qt._look._slots import slot

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Channel", "ImageTools"]

#: A data key, and the stream that it is in; `None` for whichever comes.
Channel = tuple[str | None, str | None]

_TIPS: Final = {
    "fit": ("Fit", "Have the whole picture in sight"),
    "actualSize": ("1:1", "One pixel of the picture for one of the screen"),
    "freeze": ("Freeze", "Show no newer frame; what runs goes on"),
    "region": ("ROI", "Statistics of a region, in numbers and against time"),
    "line": ("Line", "The values along a line"),
    "scale": ("Scale", "A bar that says how long something is"),
    "saturation": ("Sat.", "Mark pixels that are at the detector's limit in red"),
}
_CHECKABLE: Final = ("freeze", "region", "line", "scale", "saturation")
_GAMMAS: Final = {"gamma 1 (linear)": 1.0, "gamma 0.7": 0.7, "gamma 0.5": 0.5, "gamma 2": 2.0}


class ImageTools(QWidget):
    """The buttons above a picture; they ask, and the picture does.

    Attributes
    ----------
    channelChosen : Signal(object, object)
        A data key and a stream, or `None` for each.
    coloursChosen : Signal(str)
        The name of a colour map.
    curveChosen : Signal(object)
        How brightness follows the values.
    pixelSizeWanted, limitWanted : Signal()
        Somebody wants to say how large a pixel is, and where it is saturated.
    buttons : dict of str to QToolButton
        By name.
    """

    channelChosen = Signal(object, object)  # noqa: N815 - Qt's spelling
    coloursChosen = Signal(str)  # noqa: N815
    curveChosen = Signal(object)  # noqa: N815
    pixelSizeWanted = Signal()  # noqa: N815
    limitWanted = Signal()  # noqa: N815

    def __init__(self) -> None:
        super().__init__()
        self._curve = Curve()
        self._offered: list[Channel] = []
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(2, 2, 2, 0)
        self._row.setSpacing(2)
        self.buttons: dict[str, QToolButton] = {}
        for name, (text, tip) in _TIPS.items():
            self.add_button(name, text, tip, checkable=name in _CHECKABLE)
        for name in ("scale", "saturation"):
            self.buttons[name].setChecked(True)
        self._add_menu("scale", "Pixel size …", self.pixelSizeWanted)
        self._add_menu("saturation", "Limit …", self.limitWanted)
        self._add_colours()
        self._row.addStretch(1)
        self._channels = QComboBox()
        self._channels.setObjectName("channel")
        self._channels.setAccessibleName("Channel")
        self._channels.setToolTip("Which camera or channel is shown; automatic: whichever comes")
        self._channels.setMaximumWidth(170)
        self._channels.setMinimumContentsLength(9)
        self._channels.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        # Its place is kept: a channel more, as at the first snap, must not move what is around.
        policy = self._channels.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self._channels.setSizePolicy(policy)
        self._channels.activated.connect(self._channel_chosen)
        wheel_needs_focus(self._channels)
        self._row.addWidget(self._channels)
        self.offer((), (None, None))

    def add_button(self, name: str, text: str, tip: str, *, checkable: bool = False) -> QToolButton:
        """Add a button at the right end."""
        button = self.buttons[name] = QToolButton()
        button.setObjectName(name)
        button.setText(text)
        button.setToolTip(tip)
        button.setAccessibleName(tip.partition(";")[0])
        button.setCheckable(checkable)
        button.setAutoRaise(True)
        self._row.addWidget(button)
        return button

    def _add_menu(self, name: str, text: str, signal: Any) -> None:
        button = self.buttons[name]
        menu = QMenu(button)
        menu.addAction(text).triggered.connect(slot(signal.emit))
        button.setMenu(menu)
        button.setPopupMode(QToolButton.ToolButtonPopupMode.MenuButtonPopup)

    def _add_colours(self) -> None:
        button = self.add_button("colours", "Colours", "Colour map, gamma, logarithm")
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(button)
        button.setMenu(menu)
        _choices(menu, COLOUR_MAPS, self.coloursChosen.emit)
        menu.addSeparator()
        _choices(menu, list(_GAMMAS), self._gamma_chosen)
        menu.addSeparator()
        logarithm = menu.addAction("logarithmic")
        logarithm.setCheckable(True)
        logarithm.toggled.connect(self._logarithm_chosen)

    def _gamma_chosen(self, text: str) -> None:
        self._take_curve(replace(self._curve, gamma=_GAMMAS[text]))

    def _logarithm_chosen(self, on: bool) -> None:
        self._take_curve(replace(self._curve, logarithmic=on))

    def _take_curve(self, curve: Curve) -> None:
        self._curve = curve
        self.curveChosen.emit(curve)

    # -- channels -----------------------------------------------------------------------------

    def offer(self, channels: Sequence[Channel], chosen: Channel) -> None:
        """Offer channels beside the automatic one, and show which one is chosen."""
        wanted: list[Channel] = [(None, None), *channels]
        if chosen not in wanted:
            wanted.append(chosen)
        with QSignalBlocker(self._channels):
            if wanted != self._offered:
                self._offered = wanted
                self._channels.clear()
                self._channels.addItems([_channel_text(channel) for channel in wanted])
            self._channels.setCurrentIndex(wanted.index(chosen))
        self._channels.setVisible(len(wanted) > 2)

    def _channel_chosen(self, *_: Any) -> None:
        self.channelChosen.emit(*self._offered[self._channels.currentIndex()])


def _channel_text(channel: Channel) -> str:
    key, stream = channel
    if key is None:
        return "automatic"
    return key if stream is None else f"{key}, {stream}"


def _choices(menu: QMenu, texts: Sequence[str], chosen: Callable[[str], object]) -> None:
    """Add choices of which one is marked: the first, at the beginning."""
    group = QActionGroup(menu)
    for number, text in enumerate(texts):
        action = QAction(text, menu)
        action.setCheckable(True)
        action.setChecked(not number)
        action.triggered.connect(slot(chosen, text))
        group.addAction(action)
        menu.addAction(action)
