"""A live plot of scalars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

if TYPE_CHECKING:
    import numpy.typing as npt

    from freewheel.qt._bridge import EngineBridge

__all__ = ["LivePlot"]

_PERIOD_MS = 40  # between two drawings
_POINTS = 200_000  # of one curve; older ones are forgotten
_KEPT_RUNS = 4


class _Curve:
    """One run's points, in arrays that grow; the window's thread alone."""

    def __init__(self, item: pg.PlotDataItem) -> None:
        self.item = item
        self._values = np.empty((2, 256))
        self.count = 0

    def add(self, x: float, y: float) -> None:
        if self.count == self._values.shape[1]:
            kept = self._values
            if self.count >= _POINTS:
                kept = kept[:, self.count // 2 :]
                self.count = kept.shape[1]
            self._values = np.empty((2, 2 * self.count))
            self._values[:, : self.count] = kept
        self._values[:, self.count] = x, y
        self.count += 1

    @property
    def points(self) -> npt.NDArray[Any]:
        return self._values[:, : self.count]

    def draw(self) -> None:
        self.item.setData(*self.points.copy())


class LivePlot(QWidget):
    """A scalar of the running plan against time, or against another scalar.

    Every point is kept (of 200,000 and more, the newer half); drawing happens at most 25 times a
    second. Earlier runs stay for comparison, greyed.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    y
        The data key to plot; `None` for the first scalar of each run.
    x
        The data key to plot it against, such as a motor's; `None` for the time since the run
        began [s].
    parent
        The widget's parent.
    """

    def __init__(
        self,
        bridge: EngineBridge,
        y: str | None = None,
        x: str | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._y, self._x = y, x
        self._curves: dict[str, _Curve] = {}  # by the run's uid, in order
        self._starts: dict[str, float] = {}
        self._runs: dict[str, str] = {}  # descriptor -> run
        self._plot = pg.PlotWidget()
        self._plot.showGrid(x=True, y=True, alpha=0.2)
        self._message = QLabel("")
        self._message.setObjectName("message")
        self._message.setStyleSheet("color: #b35900;")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._plot, 1)
        layout.addWidget(self._message)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._draw)
        self._label_axes({})
        bridge.documentReceived.connect(self._receive)

    @property
    def message(self) -> str:
        """What is said of values that can't be plotted."""
        return str(self._message.text())

    @property
    def points(self) -> npt.NDArray[Any]:
        """The points of the newest run that has some, shape (2, n): x and y."""
        for curve in reversed(self._curves.values()):
            return curve.points.copy()
        return np.empty((2, 0))

    def set_keys(self, y: str | None, x: str | None = None) -> None:
        """Plot something else from the next event on, and forget what was plotted."""
        self._y, self._x = y, x
        for curve in self._curves.values():
            self._plot.removeItem(curve.item)
        self._curves.clear()
        self._message.setText("")
        self._label_axes({})

    def _receive(self, name: str, doc: dict[str, Any]) -> None:
        if name == "start":
            self._starts[doc["uid"]] = doc["time"]
        elif name == "descriptor":
            self._runs[doc["uid"]] = doc["run_start"]
            self._label_axes(doc["data_keys"])
        elif name == "event":
            self._add(doc)
        elif name == "stop":
            run = doc["run_start"]
            self._starts.pop(run, None)
            self._runs = {d: r for d, r in self._runs.items() if r != run}

    def _add(self, doc: dict[str, Any]) -> None:
        data, run = doc["data"], self._runs.get(doc["descriptor"])
        y_key = self._y or next((k for k, v in data.items() if np.ndim(v) == 0), None)
        if (
            run is None
            or y_key is None
            or y_key not in data
            or (self._x is not None and self._x not in data)
        ):
            return
        x = data[self._x] if self._x else doc["time"] - self._starts.get(run, doc["time"])
        try:
            point = _number(self._x or "time", x), _number(y_key, data[y_key])
        except ValueError as error:
            self._message.setText(str(error))
            return
        self._curve_of(run).add(*point)
        if not self._timer.isActive():
            self._timer.start(_PERIOD_MS)

    def _curve_of(self, run: str) -> _Curve:
        if run not in self._curves:
            for old in self._curves.values():
                old.item.setPen(pg.mkPen("#9a9a9a"))
                old.item.setSymbol(None)
            while len(self._curves) > _KEPT_RUNS:
                oldest = next(iter(self._curves))
                self._plot.removeItem(self._curves.pop(oldest).item)
            item = self._plot.plot(
                pen=pg.mkPen("#2a7fff", width=2),
                symbol="o",
                symbolSize=4,
                symbolPen=None,
                symbolBrush="#2a7fff",
                connect="finite",
            )
            self._curves[run] = _Curve(item)
        return self._curves[run]

    def _draw(self) -> None:
        for curve in reversed(self._curves.values()):
            if curve.count > 2000:
                curve.item.setSymbol(None)
            curve.draw()
            break  # earlier runs don't change

    def _label_axes(self, keys: dict[str, Any]) -> None:
        for side, key in (("left", self._y), ("bottom", self._x)):
            units = keys.get(key, {}).get("units") if key else None
            text = key or ("time" if side == "bottom" else "")
            self._plot.setLabel(side, f"{text} [{units or 's'}]" if units or not key else text)


def _number(key: str, value: Any) -> float:
    if np.ndim(value) != 0:
        msg = f"{key} has the shape {np.shape(value)}: it can be shown as an image, not plotted"
        raise ValueError(msg)
    try:
        return float(value)
    except (TypeError, ValueError):
        msg = f"{key} is {value!r}, which is no number"
        raise ValueError(msg) from None
