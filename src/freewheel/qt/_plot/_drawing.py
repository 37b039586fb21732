"""Draws runs as curves: the newest in colours, earlier ones in grey."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyqtgraph as pg

from freewheel.qt._look._plots import plot_colours
from freewheel.qt._plot._tables import TIME, with_unit

if TYPE_CHECKING:
    from freewheel.qt._plot._rows import PlotRows
    from freewheel.qt._plot._tables import Run

__all__ = ["PlotCurves"]

_SYMBOLS: Final = 200  # points, up to which each has a symbol
_WIDE: Final = 200  # points, up to which lines are wide


class PlotCurves:
    """The curves of the runs that are plotted; the window's thread alone.

    Parameters
    ----------
    rows
        What they are drawn in.

    Attributes
    ----------
    together
        Whether all signals share one axis, and not each has its own.
    logarithmic
        Whether the axes y are logarithmic; that of a signal which is not positive stays as it is.
    """

    def __init__(self, rows: PlotRows) -> None:
        self._rows = rows
        self._curves: dict[tuple[str, str], pg.PlotDataItem] = {}  # by the run's uid, and y
        self._labels: tuple[tuple[str, ...], str] = ((), "")  # that the axes have
        self.together = self.logarithmic = False

    def draw(self, drawn: dict[str, Run]) -> str:
        """Draw runs, by uid, the last of which is the newest; say what is not as it was wanted."""
        newest = next(reversed(drawn.values())) if drawn else None
        ys = () if newest is None else newest.keys[0]
        self._arrange((ys,) if self.together else tuple((y,) for y in ys))
        wanted = {(uid, y) for uid in drawn for y in ys}
        self._remove(set(self._curves) - wanted)
        for uid, run in drawn.items():
            for number, y in enumerate(ys):
                self._draw_curve(uid, run, y, number, is_newest=run is newest)
        if newest is not None:
            self._label(newest)
        return self._scale(drawn)

    def _arrange(self, groups: tuple[tuple[str, ...], ...]) -> None:
        if (groups or ((),)) != self._rows.groups:
            self._remove(set(self._curves))
            self._rows.arrange(groups)

    def _remove(self, keys: set[tuple[str, str]]) -> None:
        for key in keys:
            curve = self._curves.pop(key)
            plot = self._rows.plot_of(key[1])
            plot.legend.removeItem(curve)
            plot.removeItem(curve)

    def _draw_curve(self, uid: str, run: Run, y: str, number: int, *, is_newest: bool) -> None:
        plot, curve, points = self._rows.plot_of(y), self._curves.get((uid, y)), run.points(y)
        colours = plot_colours()
        if curve is None:
            curve = self._curves[uid, y] = pg.PlotDataItem(connect="finite")
            curve.setSymbolPen(None)
            curve.setSymbolSize(4)
            plot.addItem(curve)
        colour = colours.curves[number % len(colours.curves)] if is_newest else colours.earlier
        curve.setZValue(1 if is_newest else 0)
        # Qt draws narrow lines many times quicker.
        curve.setPen(pg.mkPen(colour, width=2 if points.shape[1] <= _WIDE and is_newest else 1))
        curve.setSymbolBrush(colour)
        curve.setSymbol("o" if is_newest and points.shape[1] <= _SYMBOLS else None)
        curve.setData(*points)
        self._name(plot, curve, y, is_newest and len(run.keys[0]) > 1)

    @staticmethod
    def _name(plot: pg.PlotItem, curve: pg.PlotDataItem, y: str, wanted: bool) -> None:
        """Name a curve in the legend, or don't."""
        named = any(sample.item is curve for sample, _ in plot.legend.items)
        if named and not wanted:
            plot.legend.removeItem(curve)
        elif wanted and not named:
            plot.legend.addItem(curve, y)

    def _label(self, newest: Run) -> None:
        (ys, x), units = newest.keys, newest.units()
        is_time = x is None or (x == TIME and x not in units)
        if len(self._rows.groups) > 1:  # there is a legend, and little room along an axis
            left = tuple(units.get(y, "") for y in ys)
        else:
            left = (", ".join(with_unit(y, units) for y in ys[:3]),)
        labels = left, "time [s]" if is_time else with_unit(str(x), units)
        if labels != self._labels:  # which lays out all of the plots
            self._labels = labels
            self._rows.label(*labels)

    def _scale(self, drawn: dict[str, Run]) -> str:
        linear: list[str] = []
        for plot, ys in zip(self._rows.plots, self._rows.groups, strict=True):
            wrong = [y for y in ys if not self._may_be_logarithmic(y, drawn)]
            self._rows.set_logarithmic(plot, self.logarithmic and bool(ys) and not wrong)
            linear += wrong
        if not linear:
            return ""
        return f"not logarithmic, as not all values are above 0: {', '.join(linear)}"

    def _may_be_logarithmic(self, y: str, drawn: dict[str, Run]) -> bool:
        return not self.logarithmic or all(_is_positive(run, y) for run in drawn.values())


def _is_positive(run: Run, y: str) -> bool:
    values = run.points(y)[1]
    values = values[np.isfinite(values)]
    return bool(values.size) and bool(values.min() > 0)
