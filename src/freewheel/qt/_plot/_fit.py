"""The curve that is fitted to the newest run of a plot."""

from __future__ import annotations

import weakref
from functools import partial
from typing import TYPE_CHECKING

import pyqtgraph as pg
from qtpy.QtCore import QObject, Signal

from freewheel.qt._link._worker import Worker
from freewheel.qt._look._plots import plot_colours
from freewheel.qt._look._readback import ShortLabel
from freewheel.qt._plot._curves import FITS, STATISTICS, FitResult, fit_points

if TYPE_CHECKING:
    from collections.abc import Callable

    from freewheel.qt._plot._rows import PlotRows
    from freewheel.qt._plot._tables import Run

__all__ = ["PlotFit"]


class PlotFit(QObject):
    """Fits a curve to the newest run, draws it, and says what was found.

    Parameters
    ----------
    rows
        What it is drawn in: the first of the plots, which has the first signal.
    newest
        Returns the newest run, if there is one with points.

    Attributes
    ----------
    fitted : Signal(object)
        A curve was fitted: what was found.
    label
        Says what was found, or why nothing was.
    """

    fitted = Signal(object)

    def __init__(self, rows: PlotRows, newest: Callable[[], Run | None]) -> None:
        super().__init__(rows)
        # Weakly: it would keep its own parent alive in a circle.
        self._newest = weakref.WeakMethod(newest)
        self.kind = ""
        self.result: FitResult | None = None
        self.curve = pg.PlotDataItem()
        rows.plots[0].addItem(self.curve)
        rows.coloursChanged.connect(self._take_colours)
        self._take_colours()
        self.label = ShortLabel()
        self.label.setObjectName("fitted")
        self._worker = Worker(self)

    def _take_colours(self) -> None:
        self.curve.setPen(pg.mkPen(plot_colours().fit, width=2))

    def choose(self, kind: str) -> None:
        """Fit a curve, have ``"peak statistics"``, or nothing.

        Raises
        ------
        ValueError
            If there is no such fit.
        """
        if kind and kind != STATISTICS and kind not in FITS:
            msg = f"there is no fit {kind!r}; there are: {', '.join((STATISTICS, *FITS))}"
            raise ValueError(msg)
        self.kind, self.result = kind, None
        self.label.setText("")
        self.curve.setData([], [])
        self.look()

    def look(self) -> None:
        """Fit once more: there may be other points."""
        find = self._newest() if self.kind else None
        newest = None if find is None else find()
        if newest is not None:
            self._worker.ask(partial(fit_points, newest.points().copy(), self.kind), self._found)

    def _found(self, found: FitResult | None, error: BaseException | None) -> None:
        if found is None or found.kind != self.kind:
            self.result = None
            self.curve.setData([], [])
            self.label.setText(str(error) if self.kind and error is not None else "")
            return
        self.result = found
        self.label.setText(str(found))
        self.curve.setData(*([], []) if found.curve is None else found.curve)
        self.fitted.emit(found)
