"""What is plotted, against what, with which curve through it, and where it is saved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtGui import QAction, QActionGroup
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QMenu, QToolButton, QWidget
from superqt import QSearchableComboBox

from freewheel.qt._look._slots import slot
from freewheel.qt._plot._curves import FITS, STATISTICS, why_no_fit
from freewheel.qt._plot._tables import TIME

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["PlotBar"]

_NO_FIT: Final = "no fit"


class PlotBar(QWidget):
    """The boxes and menus above a plot.

    Attributes
    ----------
    chosen : Signal(object, object)
        Keys y, as a tuple, and key x or `None`.
    fitChosen : Signal(str)
        The kind of a fit, or empty.
    exportWanted : Signal(str)
        ``"csv"`` or ``"png"``.
    togetherChosen, logarithmicChosen : Signal(bool)
        Whether all signals share one axis, and whether axes are logarithmic.
    """

    chosen = Signal(object, object)
    fitChosen = Signal(str)  # noqa: N815 - Qt's spelling
    exportWanted = Signal(str)  # noqa: N815
    togetherChosen = Signal(bool)  # noqa: N815
    logarithmicChosen = Signal(bool)  # noqa: N815

    def __init__(self) -> None:
        super().__init__()
        self._keys: tuple[str, ...] = ()
        line = QHBoxLayout(self)
        line.setContentsMargins(4, 4, 4, 0)
        self._y = self._box("y", "What to plot; automatic: what the run hints at")
        self._x = self._box(
            "x", "What to plot it against; automatic: the run's dimension, or a map of two"
        )
        self._more = _menu_button("more", "+", "Further scalars in the same plot")
        self._more.menu().triggered.connect(self._activated)
        for part in (QLabel("Show"), self._y, self._more, QLabel("against"), self._x):
            line.addWidget(part, 1 if isinstance(part, QComboBox) else 0)
        self._fit = _menu_button("fit", "Fit", "A curve through the newest run")
        self._add_fits()
        export = _menu_button("export", "Export", "Save what is plotted")
        for text, kind in (("Table (CSV) …", "csv"), ("Picture (PNG) …", "png")):
            action = export.menu().addAction(text)
            action.triggered.connect(slot(self.exportWanted.emit, kind))
        self._axes = _menu_button("axes", "Axes", "How the axes are")
        self._together = self._switch("All on one axis", self.togetherChosen)
        self._logarithmic = self._switch(
            "Logarithmic, where all is above 0", self.logarithmicChosen
        )
        for part in (self._axes, self._fit, export):
            line.addWidget(part)

    def _box(self, name: str, tip: str) -> QComboBox:
        box = QSearchableComboBox()
        box.completer_object.setParent(box)  # else it stays when Qt deletes the window
        box.setObjectName(name)
        box.setToolTip(tip)
        box.setAccessibleName(tip.partition(";")[0])
        box.setMinimumContentsLength(12)
        box.activated.connect(self._activated)
        return box

    def _switch(self, text: str, chosen: Any) -> QAction:
        action = self._axes.menu().addAction(text)
        action.setCheckable(True)
        action.triggered.connect(chosen)
        return action

    def _add_fits(self) -> None:
        menu, group, why = self._fit.menu(), QActionGroup(self), why_no_fit()
        for kind in (_NO_FIT, STATISTICS, *FITS):
            action = QAction(kind, menu)
            action.setCheckable(True)
            action.setChecked(kind == _NO_FIT)
            if why and kind in FITS:
                action.setEnabled(False)
                action.setText(f"{kind} ({why})")
            text = "" if kind == _NO_FIT else kind
            action.triggered.connect(slot(self.fitChosen.emit, text))
            group.addAction(action)
            menu.addAction(action)

    def offer(self, keys: Sequence[str], ys: Sequence[str], x: str | None) -> None:
        """Offer these keys, and show what is chosen."""
        first = ys[0] if ys else None
        _fill(self._y, {None: "automatic"}, keys, first)
        _fill(self._x, {None: "automatic", TIME: "time"}, keys, x)
        menu = self._more.menu()
        others = [key for key in (*keys, *ys) if key != first]
        wanted = tuple(dict.fromkeys(others))
        if wanted != self._keys:
            self._keys = wanted
            menu.clear()
            for key in wanted:
                menu.addAction(key).setCheckable(True)
        for action in menu.actions():
            action.setChecked(action.text() in ys[1:])
        self._more.setEnabled(bool(wanted))

    def show_axes(self, together: bool, logarithmic: bool) -> None:
        """Show how the axes are."""
        self._together.setChecked(together)
        self._logarithmic.setChecked(logarithmic)

    def show_map(self, on: bool) -> None:
        """Allow what can be done with curves, or with a map."""
        for button in (self._axes, self._fit):
            button.setEnabled(not on)
            tip = button.accessibleName()
            button.setToolTip(f"{tip}; not of a map" if on else tip)

    def _activated(self, *_: Any) -> None:
        first = self._y.currentData()
        more = [a.text() for a in self._more.menu().actions() if a.isChecked()]
        if first is None and more:
            first, *more = more
        ys = () if first is None else (first, *(key for key in more if key != first))
        self.chosen.emit(ys, self._x.currentData())


def _menu_button(name: str, text: str, tip: str) -> QToolButton:
    button = QToolButton()
    button.setObjectName(name)
    button.setText(text)
    button.setToolTip(tip)
    button.setAccessibleName(tip)
    button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
    button.setMenu(QMenu(button))
    return button


def _fill(
    box: QComboBox, always: dict[str | None, str], keys: Sequence[str], chosen: str | None
) -> None:
    wanted = [*always, *(key for key in keys if key not in always)]
    if chosen not in wanted:
        wanted.append(chosen)
    with QSignalBlocker(box):
        if [box.itemData(index) for index in range(box.count())] != wanted:
            box.clear()
            for key in wanted:
                box.addItem(always.get(key) or str(key), key)
        box.setCurrentIndex(wanted.index(chosen))
