"""Plots and pictures in the colours of the theme, also when that changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pyqtgraph as pg
from qtpy.QtCore import Signal
from qtpy.QtGui import QColor, QGuiApplication

from freewheel.qt._look._tones import is_dark

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

__all__ = ["PlotColours", "ThemedGraphics", "dress_axis", "plot_colours"]

#: How much of what is under a legend it hides.
_LEGEND: Final = 0.75


class PlotColours(NamedTuple):
    """What is drawn in which colour, in one theme.

    Attributes
    ----------
    background, text
        Of a plot, and of its axes and labels.
    surroundings
        What is around a picture.
    curves
        One after the other: seen apart also by those who do not tell red from green.
    earlier
        What came before the newest.
    fit
        What is fitted.
    cursor, mark
        Where the mouse is, and what it is compared with.
    """

    background: str
    text: str
    surroundings: str
    curves: tuple[str, ...]
    earlier: str
    fit: str
    cursor: str
    mark: str


_LIGHT: Final = PlotColours(
    background="#ffffff",
    text="#1b1f24",
    surroundings="#e8eaee",
    curves=("#1a66c9", "#b35900", "#00795a", "#a2397c", "#5b4fc4", "#7a5c00"),
    earlier="#8f959c",
    fit="#c62828",
    cursor="#7b8086",
    mark="#007f9e",
)
_DARK: Final = PlotColours(
    background="#1e2125",
    text="#d5d9de",
    surroundings="#16181b",
    curves=("#5aa2ff", "#f0a830", "#35c49a", "#e08fc0", "#a79cff", "#d6c04a"),
    earlier="#7d848c",
    fit="#ff7b72",
    cursor="#8d949d",
    mark="#35d0ff",
)


def plot_colours() -> PlotColours:
    """Return the colours for the theme that is shown."""
    return _DARK if is_dark() else _LIGHT


class ThemedGraphics(pg.GraphicsLayoutWidget):
    """Plots, or a picture with what belongs to it, in the colours of the theme.

    Parameters
    ----------
    parent
        The widget's parent.

    Attributes
    ----------
    coloursChanged : Signal()
        They are those of another theme.
    """

    coloursChanged = Signal()  # noqa: N815 - Qt's spelling

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._plots: list[pg.PlotItem] = []
        self.setBackground(plot_colours().background)
        QGuiApplication.instance().paletteChanged.connect(self._theme_changed)

    def add_plot(self, within: pg.GraphicsLayout | None = None, **where: Any) -> pg.PlotItem:
        """Add a plot, with a grid, and with values as they are: no thousandths of a unit."""
        self._plots.append(plot := (self if within is None else within).addPlot(**where))
        plot.showGrid(x=True, y=True, alpha=0.2)
        for side in ("left", "bottom"):  # units are those of the devices, such as um
            plot.getAxis(side).enableAutoSIPrefix(False)
        _dress(plot, plot_colours())
        return plot

    def _theme_changed(self, *_: Any) -> None:
        self.take_colours(plot_colours())
        self.coloursChanged.emit()

    def take_colours(self, colours: PlotColours) -> None:
        """Draw everything in the colours of a theme; to be extended for what is not a plot."""
        self.setBackground(colours.background)
        for plot in self._plots:
            _dress(plot, colours)


def _dress(plot: pg.PlotItem, colours: PlotColours) -> None:
    """Draw the axes of a plot, and what they say, in the colours of a theme."""
    for side in ("left", "bottom", "right", "top"):
        dress_axis(plot.getAxis(side), colours)
    if plot.legend is not None:
        ground = QColor(colours.background)
        ground.setAlphaF(_LEGEND)
        plot.legend.setBrush(ground)
        plot.legend.setLabelTextColor(colours.text)
        for _, label in plot.legend.items:
            label.setText(label.text)


def dress_axis(axis: pg.AxisItem, colours: PlotColours) -> None:
    """Draw an axis, and what it says, in the colours of a theme."""
    axis.setPen(colours.text)
    axis.setTextPen(colours.text)
