"""A live plot of scalars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import QSignalBlocker, QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget
from superqt import QSearchableComboBox

from freewheel.qt._tables import Run, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from freewheel.qt._bridge import EngineBridge

__all__ = ["LivePlot"]

_PERIOD_MS = 40  # between two drawings
_SYMBOLS = 2000  # points, up to which each has a symbol
_KEPT_RUNS = 4  # besides the newest
_NEWEST, _EARLIER = "#2a7fff", "#9a9a9a"


class LivePlot(QWidget):
    """A scalar of the running plan against time, or against another scalar.

    Every point is kept (of 200,000 and more, the newer half; fewer where an event has more than
    ten scalars); drawing happens at most 25 times a second. Earlier runs with the same axes stay
    for comparison, greyed.

    Without `y`, a person chooses both axes among the scalars that the runs have: what was
    received already is shown with the new axes at once. A choice holds for the next runs too. One
    that does not have the chosen scalar is shown with its first one, against time if need be.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    y
        The data key to plot; `None` for the first scalar of each run, or what is chosen.
    x
        The data key to plot it against, such as a motor's; `None` for the time since the run
        began [s], or what is chosen.
    parent
        The widget's parent.
    chooser
        Whether to show the boxes with which a person chooses the axes; by default if `y` is not
        given.

    Attributes
    ----------
    keysChosen : Signal(object, object)
        A person has chosen y and x, each a data key or `None`.
    """

    keysChosen = Signal(object, object)  # noqa: N815 - Qt's spelling

    def __init__(
        self,
        bridge: EngineBridge,
        y: str | None = None,
        x: str | None = None,
        parent: QWidget | None = None,
        *,
        chooser: bool | None = None,
    ) -> None:
        super().__init__(parent)
        self._y, self._x = y, x
        self._strict = y is not None or x is not None  # no other keys where these are missing
        self._runs: dict[str, Run] = {}  # by uid, in the order of their starts
        self._tables: dict[str, Table] = {}  # of the runs that are kept, by descriptor
        self._curves: dict[str, pg.PlotDataItem] = {}  # by the run's uid
        self._plot = pg.PlotWidget()
        self._plot.showGrid(x=True, y=True, alpha=0.2)
        for side in ("left", "bottom"):  # units are those of the devices, such as um
            self._plot.getAxis(side).enableAutoSIPrefix(False)
        self._message = QLabel("")
        self._message.setObjectName("message")
        self._message.setStyleSheet("color: #b35900;")
        self._boxes = _AxisBoxes()
        self._boxes.setVisible(y is None if chooser is None else chooser)
        self._boxes.offer((), y, x)
        self._boxes.chosen.connect(self._chosen)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._boxes)
        layout.addWidget(self._plot, 1)
        layout.addWidget(self._message)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._draw)
        self._label_axes()
        bridge.documentReceived.connect(self._receive)

    @property
    def message(self) -> str:
        """What is said of values that can't be plotted."""
        return str(self._message.text())

    @property
    def points(self) -> npt.NDArray[Any]:
        """The points of the newest run that has some, shape (2, n): x and y."""
        newest = self._newest()
        return np.empty((2, 0)) if newest is None else newest.points()

    @property
    def keys(self) -> tuple[str | None, str | None]:
        """The keys y and x that were given or chosen; `None` for the first scalar, and for time."""
        return self._y, self._x

    @property
    def choices(self) -> tuple[str, ...]:
        """The data keys that can be chosen: the scalars of the latest runs."""
        keys = (key for run in reversed(self._runs.values()) for key in run.scalars())
        return tuple(dict.fromkeys(keys))

    def set_keys(self, y: str | None, x: str | None = None) -> None:
        """Plot something else, and only that: nothing of a run that does not have it."""
        self._strict = y is not None or x is not None
        self._show_keys(y, x)

    def choose(self, y: str | None, x: str | None = None) -> None:
        """Plot something else, as a person does who chooses it.

        Parameters
        ----------
        y
            The data key to plot; `None` for the first scalar of each run.
        x
            The data key to plot it against; `None` for time.
        """
        self._strict = False
        self._show_keys(y, x)

    def _chosen(self, y: str | None, x: str | None) -> None:
        self.choose(y, x)
        self.keysChosen.emit(y, x)

    def _show_keys(self, y: str | None, x: str | None) -> None:
        self._y, self._x = y, x
        self._message.setText("")
        for run in self._runs.values():
            run.decided = False
            run.lenient = False  # what does not have these is not what was asked for
        self._boxes.offer(self.choices, y, x)
        self._draw()

    # -- documents ----------------------------------------------------------------------------

    def _receive(self, name: str, doc: dict[str, Any]) -> None:
        if name == "start":
            self._forget_some()
            self._runs[doc["uid"]] = Run(doc["time"])
        elif name == "descriptor":
            self._add_stream(doc)
        elif name == "event":
            self._add_event(doc)
        elif name == "stop" and doc["run_start"] in self._runs:
            # Its last points, if they are in files, are read on another thread, and come later.
            self._runs[doc["run_start"]].open = False

    def _add_stream(self, doc: dict[str, Any]) -> None:
        run = self._runs.get(doc["run_start"])
        if run is None:  # it began before the plot
            run = self._runs[doc["run_start"]] = Run(doc["time"])
        wanted = [key for key in (self._y, self._x) if key is not None]
        self._tables[doc["uid"]] = run.add_stream(doc, wanted)
        self._boxes.offer(self.choices, self._y, self._x)

    def _add_event(self, doc: dict[str, Any]) -> None:
        table = self._tables.get(doc["descriptor"])
        if table is None:
            return
        shown = self._decide(table.run)
        try:
            table.add(doc["time"], doc["data"], () if shown is None else shown[1:])
        except ValueError as error:
            self._message.setText(str(error))
            return
        if shown is not None and shown[0] is table and not self._timer.isActive():
            self._timer.start(_PERIOD_MS)

    def _forget_some(self) -> None:
        over = [uid for uid, run in self._runs.items() if not run.open]
        for uid in over[: max(0, len(self._runs) - _KEPT_RUNS)]:
            run = self._runs.pop(uid)
            self._tables = {d: table for d, table in self._tables.items() if table.run is not run}
            if uid in self._curves:
                self._plot.removeItem(self._curves.pop(uid))

    # -- what is shown ------------------------------------------------------------------------

    def _decide(self, run: Run) -> tuple[Table, str, str | None] | None:
        """Return the stream, y and x that are shown of a run."""
        if not run.decided:
            run.decided = True
            lenient = run.lenient and not self._strict and not self._is_measured_by_other(run)
            run.shown = run.pick(self._y, self._x, strict=self._strict, lenient=lenient)
        return run.shown

    def _is_measured_by_other(self, run: Run) -> bool:
        """Whether another run that is under way has what was chosen."""
        others = (other for other in self._runs.values() if other is not run and other.open)
        return self._y is not None and any(self._y in other.scalars() for other in others)

    def _newest(self) -> Run | None:
        for run in reversed(self._runs.values()):
            if self._decide(run) is not None and run.count:
                return run
        return None

    def _drawn(self) -> Iterator[tuple[str, Run]]:
        """Give the runs that have the axes of the newest one."""
        newest = self._newest()
        for uid, run in self._runs.items():
            if newest is not None and run.keys == newest.keys and run.count:
                yield uid, run

    def _draw(self) -> None:
        drawn = dict(self._drawn())
        for uid in set(self._curves) - set(drawn):
            self._plot.removeItem(self._curves.pop(uid))
        for uid, run in drawn.items():
            curve, points = self._curves.get(uid), run.points()
            newest = uid == next(reversed(drawn))
            if curve is None:
                curve = self._curves[uid] = self._plot.plot(connect="finite")
                curve.setSymbolBrush(_NEWEST)
                curve.setSymbolPen(None)
                curve.setSymbolSize(4)
            curve.setPen(pg.mkPen(_NEWEST, width=2) if newest else pg.mkPen(_EARLIER))
            curve.setSymbol("o" if newest and points.shape[1] <= _SYMBOLS else None)
            curve.setData(*points)
        self._label_axes()

    def _label_axes(self) -> None:
        newest = self._newest()
        y, x = (self._y, self._x) if newest is None else newest.keys
        units = {} if newest is None else newest.units()
        self._plot.setLabel("left", _label(y, units) if y is not None else "")
        self._plot.setLabel("bottom", _label(x, units) if x is not None else "time [s]")


def _label(key: str, units: dict[str, str]) -> str:
    return f"{key} [{units[key]}]" if units.get(key) else key


class _AxisBoxes(QWidget):
    """Two boxes, in which y and x are chosen."""

    chosen = Signal(object, object)

    def __init__(self) -> None:
        super().__init__()
        line = QHBoxLayout(self)
        line.setContentsMargins(4, 4, 4, 0)
        self._boxes: dict[str, QSearchableComboBox] = {}
        for name, text, tip in (
            ("y", "Show", "What to plot; automatic: the first scalar of each run"),
            ("x", "against", "What to plot it against, such as a motor"),
        ):
            box = self._boxes[name] = QSearchableComboBox()
            box.setObjectName(name)
            box.setAccessibleName(f"Axis {name} of the plot")
            box.setToolTip(tip)
            box.setMinimumContentsLength(16)
            box.activated.connect(self._activated)
            line.addWidget(QLabel(text))
            line.addWidget(box, 1)

    def offer(self, keys: Sequence[str], y: str | None, x: str | None) -> None:
        """Offer these keys, and show what is chosen."""
        for name, nothing, chosen in (("y", "automatic", y), ("x", "time", x)):
            box = self._boxes[name]
            wanted: list[str | None] = [None, *keys]
            if chosen not in wanted:
                wanted.append(chosen)
            with QSignalBlocker(box):
                if [box.itemData(index) for index in range(box.count())] != wanted:
                    box.clear()
                    for key in wanted:
                        box.addItem(nothing if key is None else key, key)
                box.setCurrentIndex(wanted.index(chosen))

    def _activated(self, *_: Any) -> None:
        self.chosen.emit(self._boxes["y"].currentData(), self._boxes["x"].currentData())
