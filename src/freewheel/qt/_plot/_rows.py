"""Plots below each other that share their x: each signal on an axis of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from freewheel.qt._look._plots import ThemedGraphics, plot_colours

if TYPE_CHECKING:
    import pyqtgraph as pg
    from qtpy.QtWidgets import QWidget

__all__ = ["PlotRows"]

#: Of the axes of several plots, so that their x are below each other [pixels].
_AXIS: Final = 64


class PlotRows(ThemedGraphics):
    """As many plots as there are groups of signals; a group has one axis y together.

    Parameters
    ----------
    parent
        The widget's parent.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._groups: tuple[tuple[str, ...], ...] = ((),)
        self._made = [self._make_plot(0)]  # also those that are not needed now
        self.ci.layout.setVerticalSpacing(0)

    def _make_plot(self, row: int) -> pg.PlotItem:
        plot = self.add_plot(row=row, col=0)
        plot.addLegend(offset=(10, 2), labelTextSize="9pt")
        self.take_colours(plot_colours())
        if row:
            plot.setXLink(self._made[0])
        return plot

    @property
    def plots(self) -> tuple[pg.PlotItem, ...]:
        """The plots, from the top."""
        return tuple(self._made[: len(self._groups)])

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """What each of them shows."""
        return self._groups

    def plot_of(self, y: str) -> pg.PlotItem:
        """Return the plot of a signal."""
        return next(p for p, ys in zip(self._made, self._groups, strict=False) if y in ys)

    def arrange(self, groups: tuple[tuple[str, ...], ...]) -> None:
        """Have a plot for each group; what was drawn in the former ones was taken out before."""
        before, self._groups = len(self._groups), groups or ((),)
        count = len(self._groups)
        for row in range(before, count):
            if row == len(self._made):
                self._made.append(self._make_plot(row))
            else:
                self.addItem(self._made[row], row, 0)
        for plot in self._made[count:before]:
            self.removeItem(plot)
        for number, plot in enumerate(self.plots):
            is_last = number == count - 1
            plot.getAxis("left").setWidth(_AXIS if count > 1 else None)
            plot.getAxis("bottom").setStyle(showValues=is_last)
            if not is_last:
                plot.setLabel("bottom", "")

    def label(self, left: tuple[str, ...], bottom: str) -> None:
        """Say what is on the axes: y of each plot, and x."""
        for plot, text in zip(self.plots, left, strict=True):
            plot.setLabel("left", text)
        self.plots[-1].setLabel("bottom", bottom)

    def set_logarithmic(self, plot: pg.PlotItem, on: bool) -> None:
        """Have the axis y of one of them logarithmic, or not, with all that it shows in sight."""
        if plot.getAxis("left").logMode != on:
            plot.setLogMode(y=on)
            plot.enableAutoRange(axis="y")
