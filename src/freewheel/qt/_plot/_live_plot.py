"""A live plot of scalars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from freewheel.qt._look._readback import ShortLabel
from freewheel.qt._look._tones import Tone, tint
from freewheel.qt._plot._bar import PlotBar
from freewheel.qt._plot._cells import plane_of
from freewheel.qt._plot._cursor import PlotCursor
from freewheel.qt._plot._drawing import PlotCurves
from freewheel.qt._plot._export import PlotExport
from freewheel.qt._plot._fit import PlotFit
from freewheel.qt._plot._maps import PlotMaps
from freewheel.qt._plot._rows import PlotRows
from freewheel.qt._plot._tables import Run, Shown, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from freewheel.qt._link._bridge import EngineBridge
    from freewheel.qt._plot._curves import FitResult

__all__ = ["LivePlot"]

_PERIOD_MS: Final = 100  # between two drawings, for each plot: each takes about as long
_KEPT_RUNS: Final = 4  # besides the newest


class LivePlot(QWidget):
    """Scalars of the running plan against its motor, time, or another scalar.

    Every point is kept (of 200,000 and more, the newer half; fewer where an event has more than
    ten scalars); drawing happens at most 25 times a second, less often where several plots are
    below each other. Earlier runs with the same axes stay for comparison, greyed.

    Without `x` a run is plotted against what its dimensions say, as bluesky's plans do: a scan
    against its motor; one of two dimensions, such as a ``grid_scan``, as a map of them; and against
    time if they say nothing. Without `y` what the devices hint at is plotted; else the first
    scalar. Each of several has an axis of its own, below each other. A person chooses both among
    the scalars that the runs have: what was received already is shown with the new axes at once. A
    choice holds for the next runs too. One that does not have the chosen scalar is shown with its
    own.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    y
        The data key to plot, or several; `None` for what each run hints at, or what is chosen.
    x
        The data key to plot it against, such as a motor's; ``"time"`` for the time since the run
        began [s]; `None` for what each run says, or what is chosen.
    parent
        The widget's parent.
    chooser
        Whether to show the boxes with which a person chooses the axes; by default if `y` is not
        given.

    Attributes
    ----------
    keysChosen : Signal(object, object)
        A person has chosen y and x, each a data key or `None`; of several y a tuple.
    fitted : Signal(object)
        A curve was fitted to the newest run; see `fit_result`.
    """

    keysChosen = Signal(object, object)  # noqa: N815 - Qt's spelling
    fitted = Signal(object)

    def __init__(
        self,
        bridge: EngineBridge,
        y: str | Sequence[str] | None = None,
        x: str | None = None,
        parent: QWidget | None = None,
        *,
        chooser: bool | None = None,
    ) -> None:
        super().__init__(parent)
        self._ys, self._x = _several(y), x
        self._strict = y is not None or x is not None  # no other keys where these are missing
        self._runs: dict[str, Run] = {}  # by uid, in the order of their starts
        self._tables: dict[str, Table] = {}  # of the runs that are kept, by descriptor
        self._scale = ""  # what was said of logarithmic axes
        self._build(y is None if chooser is None else chooser)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._draw)
        bridge.documentReceived.connect(self.receive)

    def _build(self, chooser: bool) -> None:
        self._rows, self._maps = PlotRows(), PlotMaps()
        self._curves = PlotCurves(self._rows)
        self._rows.coloursChanged.connect(self._draw)
        self._views = QStackedWidget()
        self._views.addWidget(self._rows)
        self._views.addWidget(self._maps)
        self._fit = PlotFit(self._rows, self._newest_curve)
        self._fit.fitted.connect(self.fitted)
        self._message = ShortLabel()
        self._message.setObjectName("message")
        tint(self._message, Tone.WARNING)
        read = ShortLabel()
        read.setObjectName("cursor")
        self._cursor = PlotCursor(self._rows, self._columns)
        self._cursor.said.connect(read.setText)
        self._maps.said.connect(read.setText)
        self._export = PlotExport(self._views, self._drawn)
        self._export.said.connect(self._message.setText)
        self._bar = PlotBar()
        self._bar.setVisible(chooser)
        self._bar.offer((), self._ys, self._x)
        self._bar.chosen.connect(self._chosen)
        self._bar.fitChosen.connect(self._fit.choose)
        self._bar.togetherChosen.connect(self._set_together)
        self._bar.logarithmicChosen.connect(self._set_logarithmic)
        self._bar.exportWanted.connect(self._export.ask)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self._bar)
        layout.addWidget(self._views, 1)
        for part in (self._fit.label, read, self._message):
            layout.addWidget(part)

    def _set_together(self, on: bool) -> None:
        self.set_axes(together=on)

    def _set_logarithmic(self, on: bool) -> None:
        self.set_axes(logarithmic=on)

    @property
    def message(self) -> str:
        """What is said of values that can't be plotted."""
        return str(self._message.text())

    @property
    def points(self) -> npt.NDArray[Any]:
        """The points of the newest run that has some, shape (2, n): x and the first y."""
        newest = self._newest()
        return np.empty((2, 0)) if newest is None else newest.points()

    def _columns(self) -> dict[str, npt.NDArray[Any]]:
        newest = self._newest()
        return {} if newest is None else {y: newest.points(y) for y in newest.keys[0]}

    @property
    def keys(self) -> tuple[str | None, str | None]:
        """The keys y (the first of several) and x that were given or chosen; `None` for neither."""
        return (self._ys[0] if self._ys else None), self._x

    @property
    def shown_keys(self) -> tuple[tuple[str, ...], str | None]:
        """The keys y and x of the newest run that are plotted; x is `None` for time."""
        newest = self._newest()
        return ((), None) if newest is None else newest.keys

    @property
    def choices(self) -> tuple[str, ...]:
        """The data keys that can be chosen: the scalars of the latest runs."""
        keys = (key for run in reversed(self._runs.values()) for key in run.scalars())
        return tuple(dict.fromkeys(keys))

    def set_keys(self, y: str | Sequence[str] | None, x: str | None = None) -> None:
        """Plot something else, and only that: nothing of a run that does not have it."""
        self._strict = y is not None or x is not None
        self._show_keys(_several(y), x)

    def choose(self, y: str | Sequence[str] | None, x: str | None = None) -> None:
        """Plot something else, as a person does who chooses it.

        Parameters
        ----------
        y
            The data key to plot, or several; `None` for what each run hints at.
        x
            The data key to plot it against; ``"time"``; `None` for what each run says.
        """
        self._strict = False
        self._show_keys(_several(y), x)

    def _chosen(self, ys: tuple[str, ...], x: str | None) -> None:
        self.choose(ys, x)
        self.keysChosen.emit(ys if len(ys) > 1 else self.keys[0], x)

    def _show_keys(self, ys: tuple[str, ...], x: str | None) -> None:
        self._ys, self._x = ys, x
        self._message.setText("")
        self._cursor.set_mark(None)
        for run in self._runs.values():
            run.decided = False
            run.lenient = False  # what does not have these is not what was asked for
        self._bar.offer(self.choices, ys, x)
        self._draw()

    # -- documents ----------------------------------------------------------------------------

    def receive(self, name: str, doc: dict[str, Any]) -> None:
        """Take a document: one of the engine's, which come by themselves, or of a replay."""
        if name == "start":
            self._forget_some()
            self._runs.pop(doc["uid"], None)  # it is replayed
            self._runs[doc["uid"]] = Run(doc)
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
            run = self._runs[doc["run_start"]] = Run(doc)
        wanted = [key for key in (*self._ys, self._x) if key is not None]
        self._tables[doc["uid"]] = run.add_stream(doc, wanted)
        self._bar.offer(self.choices, self._ys, self._x)

    def _add_event(self, doc: dict[str, Any]) -> None:
        table = self._tables.get(doc["descriptor"])
        if table is None:
            return
        shown = self._decide(table.run)
        wanted = () if shown is None else (*shown.ys, shown.x)
        try:
            table.add(doc, wanted)
        except ValueError as error:
            self._message.setText(str(error))
            return
        if shown is not None and shown.table is table and not self._timer.isActive():
            self._timer.start(_PERIOD_MS * len(self._rows.plots))

    def _forget_some(self) -> None:
        over = [uid for uid, run in self._runs.items() if not run.open]
        for uid in over[: max(0, len(self._runs) - _KEPT_RUNS)]:
            run = self._runs.pop(uid)
            self._tables = {d: table for d, table in self._tables.items() if table.run is not run}

    def show_run(self, uid: str, run: Run) -> None:
        """Plot a run that came before, as the newest one.

        Parameters
        ----------
        uid
            Its uid.
        run
            Its scalars; see `freewheel.qt.RunsPanel`.
        """
        present = self._runs.pop(uid, None)
        if present is not None and present.open:  # it is under way, and is drawn as it grows
            self._runs[uid] = present
            self._draw()
            return
        self._forget_some()
        run.open = run.decided = False
        self._runs[uid] = run
        self._bar.offer(self.choices, self._ys, self._x)
        self._draw()

    # -- what is shown ------------------------------------------------------------------------

    def _decide(self, run: Run) -> Shown | None:
        """Return the stream, y and x that are shown of a run."""
        if not run.decided:
            run.decided = True
            lenient = run.lenient and not self._strict and not self._is_measured_by_other(run)
            run.shown = run.pick(self._ys, self._x, strict=self._strict, lenient=lenient)
        return run.shown

    def _is_measured_by_other(self, run: Run) -> bool:
        """Whether another run that is under way has what was chosen."""
        others = (other for other in self._runs.values() if other is not run and other.open)
        return any(y in other.scalars() for other in others for y in self._ys)

    def _newest(self) -> Run | None:
        for run in reversed(self._runs.values()):
            if self._decide(run) is not None and run.count:
                return run
        return None

    def _drawn(self) -> Iterator[tuple[str, Run]]:
        """Give the runs that have the axes of the newest one, which is the last."""
        newest = self._newest()
        for uid, run in self._runs.items():
            if newest is not None and self._decide(run) and run.keys == newest.keys and run.count:
                yield uid, run

    def _newest_curve(self) -> Run | None:
        """Return the newest run; `None` if it is a map, through which no curve is fitted."""
        return None if self.is_map else self._newest()

    def _draw(self) -> None:
        newest = self._newest()
        cells = plane_of(newest) if newest is not None and self._x is None else None
        self._views.setCurrentWidget(self._rows if cells is None else self._maps)
        self._bar.show_map(cells is not None)
        if cells is not None and newest is not None:
            self._maps.draw(cells, newest.units())
            return
        self._say_scale(self._curves.draw(dict(self._drawn())))
        self._fit.look()

    # -- how it is shown ----------------------------------------------------------------------

    @property
    def is_map(self) -> bool:
        """Whether the newest run is shown as a map of its two dimensions."""
        return self._views.currentWidget() is self._maps

    @property
    def together(self) -> bool:
        """Whether several signals share one axis, and not each has its own."""
        return self._curves.together

    @property
    def logarithmic(self) -> bool:
        """Whether the axes y are logarithmic, where all values are above 0."""
        return self._curves.logarithmic

    def set_axes(self, *, together: bool | None = None, logarithmic: bool | None = None) -> None:
        """Set how the axes of curves are; what is not given stays.

        Parameters
        ----------
        together : bool, optional
            Whether several signals share one axis, and not each has its own.
        logarithmic : bool, optional
            Whether the axes y are logarithmic; that of a signal stays linear while not all of its
            values are above 0.
        """
        if together is not None:
            self._curves.together = together
        if logarithmic is not None:
            self._curves.logarithmic = logarithmic
        self._bar.show_axes(self.together, self.logarithmic)
        self._draw()

    def _say_scale(self, said: str) -> None:
        if said != self._scale:
            if self._message.text() in ("", self._scale):
                self._message.setText(said)
            self._scale = said

    # -- curves that are fitted -----------------------------------------------------------------

    @property
    def fit(self) -> str:
        """What is fitted to the newest run: a curve, ``"peak statistics"``, or nothing."""
        return self._fit.kind

    @fit.setter
    def fit(self, kind: str) -> None:
        self._fit.choose(kind)

    @property
    def fit_result(self) -> FitResult | None:
        """What was found last: ``kind``, ``values`` and ``errors`` by name, ``curve``."""
        return self._fit.result

    # -- saving -------------------------------------------------------------------------------

    def save_csv(self, path: str | Path) -> None:
        """Write the runs that are plotted into a table: of each its x and y, with their units."""
        self._export.save_csv(path)

    def save_picture(self, path: str | Path) -> None:
        """Write what is plotted into a picture, as it looks on the screen.

        Raises
        ------
        OSError
            When it cannot be written there.
        """
        self._export.save_picture(path)


def _several(y: str | Sequence[str] | None) -> tuple[str, ...]:
    if y is None:
        return ()
    return (y,) if isinstance(y, str) else tuple(y)
