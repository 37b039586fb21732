"""What a plot is plotted against, curves through it, its cursor, and what is saved of it."""

import csv
from pathlib import Path
from typing import Any

import bluesky.plans as bp
import numpy as np
import pytest
from qtpy.QtWidgets import QFileDialog, QLabel, QToolButton

from freewheel.qt import LivePlot
from freewheel.qt._plot._curves import FITS, STATISTICS, fit_points, why_no_fit


class Plotted:
    """A plot, and documents of made-up runs."""

    def __init__(self, bridge: Any, qtbot: Any, **options: Any) -> None:
        self.plot = LivePlot(bridge, **options)
        self._emit = bridge.documentReceived.emit
        qtbot.addWidget(self.plot)
        self.plot.show()

    def start(self, run: str, dimensions: Any = None, hinted: Any = (), **units: str) -> None:
        hints = {} if dimensions is None else {"dimensions": dimensions}
        self._emit("start", {"uid": run, "time": 100.0, "hints": hints, "scan_id": 7})
        keys = {k: {"dtype": "number", "shape": [], "units": u} for k, u in units.items()}
        head = {"uid": f"d{run}", "run_start": run, "name": "primary", "time": 100.0}
        self._emit("descriptor", {**head, "data_keys": keys, "hints": {"d": {"fields": hinted}}})

    def event(self, run: str, time: float = 101.0, **data: float) -> None:
        self._emit("event", {"descriptor": f"d{run}", "time": time, "data": data})

    def stop(self, run: str) -> None:
        self._emit("stop", {"run_start": run})

    def text(self, name: str) -> str:
        return self.plot.findChild(QLabel, name).text()


@pytest.fixture(name="plotted")
def _plotted(bridge: Any, qtbot: Any) -> Plotted:
    return Plotted(bridge, qtbot)


def test_a_scan_of_bluesky_is_plotted_against_its_motor(
    bridge: Any, scope: Any, qtbot: Any, soon: Any
) -> None:
    plot = LivePlot(bridge)
    qtbot.addWidget(plot)
    bridge.run(bp.scan([scope.temperature], scope.stage.x, -1, 1, 3))
    soon(lambda: plot.points.shape == (2, 3))
    assert plot.shown_keys[1] == "stage-x"
    assert plot.points[0].tolist() == [-1, 0, 1]
    bridge.run(bp.grid_scan([scope.temperature], scope.stage.y, 0, 1, 2, scope.stage.x, 5, 6, 2))
    soon(lambda: plot.points.shape == (2, 4))
    assert plot.points[0].tolist() == [5, 6, 5, 6]  # the fast one
    bridge.run(bp.count([scope.temperature], 2))
    soon(lambda: plot.shown_keys[1] is None and plot.points.shape == (2, 2))


def test_time_can_be_asked_for_all_the_same(plotted: Plotted) -> None:
    plotted.start("a", [[["motor"], "primary"]], motor="mm", signal="V")
    plotted.event("a", motor=5.0, signal=1.0, time=103.0)
    assert plotted.plot.points.tolist() == [[5], [1]]
    plotted.plot.choose(None, "time")
    assert plotted.plot.points[0].tolist() == [3]
    plotted.plot.choose("motor")  # which is no x of itself
    assert plotted.plot.points.tolist() == [[3], [5]]


def test_dimensions_of_another_stream_are_not_this_one_s(plotted: Plotted) -> None:
    plotted.start("a", [[["motor"], "dark"]], motor="mm", signal="V")
    plotted.event("a", motor=5.0, signal=1.0)
    assert plotted.plot.shown_keys == (("motor",), None)


def test_what_is_hinted_at_is_plotted_together_if_it_has_one_unit(plotted: Plotted) -> None:
    hinted = ["left", "right", "room", "motor"]
    plotted.start(
        "a", [[["motor"], "primary"]], hinted, dark="V", left="V", right="V", room="C", motor="mm"
    )
    plotted.event("a", dark=0.0, left=1.0, right=2.0, room=20.0, motor=5.0)
    assert plotted.plot.shown_keys == (("left", "right"), "motor")
    plotted.plot._draw()
    assert len(plotted.plot._curves) == 2
    assert [label.text for _, label in plotted.plot._legend.items] == ["left", "right"]


def test_several_are_chosen_and_earlier_runs_are_grey(plotted: Plotted, soon: Any) -> None:
    chosen: list[Any] = []
    plotted.plot.keysChosen.connect(lambda y, x: chosen.append((y, x)))
    for run in "ab":
        plotted.start(run, one="V", two="V", three="V")
        plotted.event(run, one=1.0, two=2.0, three=3.0)
        plotted.stop(run)
    more = plotted.plot.findChild(QToolButton, "more").menu()
    plotted.plot.choose("one")
    assert [action.text() for action in more.actions()] == ["two", "three"]
    more.actions()[1].trigger()
    assert chosen == [(("one", "three"), None)]
    assert plotted.plot.shown_keys[0] == ("one", "three")
    pens = {key: curve.opts["pen"].color().name() for key, curve in plotted.plot._curves.items()}
    assert pens["a", "one"] == pens["a", "three"] == "#9a9a9a"
    assert len({pens["b", "one"], pens["b", "three"], "#9a9a9a"}) == 3
    assert len(plotted.plot._legend.items) == 2
    plotted.plot.choose("two")
    assert not plotted.plot._legend.items


def test_several_of_the_program(bridge: Any, qtbot: Any) -> None:
    plotted = Plotted(bridge, qtbot, y=["one", "two"])
    plotted.start("a", one="V", two="C")
    plotted.event("a", one=1.0, two=2.0)
    assert plotted.plot.shown_keys == (("one", "two"), None)
    plotted.start("b", one="V")  # one of them is there
    plotted.event("b", one=3.0)
    assert plotted.plot.shown_keys == (("one",), None)


# -- curves -------------------------------------------------------------------------------------

X = np.linspace(-5, 5, 41)
SHAPES = {
    "gaussian": (3.0, 1.0, 0.7, 2.0),
    "lorentzian": (-3.0, 1.0, 0.7, 2.0),
    "edge": (3.0, 1.0, 0.7, 2.0),
    "line": (0.5, 2.0),
}


@pytest.mark.parametrize("kind", FITS)
def test_a_curve_finds_the_parameters_of_its_points(kind: str) -> None:
    function, names = FITS[kind]
    points = np.array([X, function(X, *SHAPES[kind])])
    points[1, 3] = np.nan  # one is missing
    found = fit_points(points, kind)
    assert list(found.values) == list(names)
    assert list(found.values.values()) == pytest.approx(SHAPES[kind], abs=1e-3)
    assert found.curve.shape == (2, 400)
    with pytest.raises(ValueError, match=f"{kind}: {len(names)} points"):
        fit_points(np.zeros((2, 1)), kind)


def test_statistics_of_a_peak() -> None:
    found = fit_points(np.array([[3.0, 0, 1, 2, 4], [2.0, 0, 0, 2, 0]]), STATISTICS).values
    assert (found["maximum"], found["at"], found["minimum"]) == (2, 2, 0)
    assert (found["centre of mass"], found["centre"], found["width"]) == (2.5, 2.5, 2.0)
    flat = fit_points(np.array([[0.0, 1], [1.0, 1]]), STATISTICS).values
    assert set(flat) == {"maximum", "at", "minimum"}


def test_the_newest_run_is_fitted_as_it_grows(plotted: Plotted, soon: Any) -> None:
    function, _ = FITS["gaussian"]
    plotted.start("a", [[["motor"], "primary"]], motor="mm", signal="V")
    plotted.event("a", motor=0.0, signal=1.0)
    actions = {a.text(): a for a in plotted.plot.findChild(QToolButton, "fit").menu().actions()}
    actions["gaussian"].trigger()
    soon(lambda: "4 points are needed" in plotted.text("fitted"))
    for x in X:
        plotted.event("a", motor=float(x), signal=float(function(x, *SHAPES["gaussian"])))
    soon(lambda: plotted.plot.fit_result is not None)
    soon(lambda: plotted.plot.fit_result.values["sigma"] == pytest.approx(0.7, abs=0.1))
    assert plotted.text("fitted").startswith("gaussian: height 3")
    assert len(plotted.plot._fit.curve.getData()[0]) == 400
    actions["no fit"].trigger()
    assert plotted.plot.fit_result is None
    assert plotted.text("fitted") == ""
    with pytest.raises(ValueError, match="there is no fit 'cubic'"):
        plotted.plot.fit = "cubic"


def test_without_scipy_the_curves_say_what_to_install(
    bridge: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("freewheel.qt._plot._curves.find_spec", lambda _: None)
    assert "pip install scipy" in why_no_fit()
    plot = LivePlot(bridge)
    qtbot.addWidget(plot)
    actions = plot.findChild(QToolButton, "fit").menu().actions()
    assert [action.isEnabled() for action in actions] == [True, True, False, False, False, False]


# -- cursor and export --------------------------------------------------------------------------


def test_the_cursor_reads_points_and_differences(plotted: Plotted) -> None:
    plotted.plot._cursor.point(3.0)
    assert plotted.text("cursor") == ""
    plotted.start("a", [[["motor"], "primary"]], motor="mm", signal="V")
    for x in (0.0, 1.0, 2.0):
        plotted.event("a", motor=x, signal=10 * x)
    cursor = plotted.plot._cursor
    cursor.point(1.2)
    assert plotted.text("cursor") == "x = 1, y = 10"
    cursor.set_mark(cursor.nearest(0.1))
    cursor.point(5.0)
    assert plotted.text("cursor") == "x = 2, y = 20   Δx = 2, Δy = 20"


def test_what_is_plotted_is_saved(plotted: Plotted, soon: Any, tmp_path: Path) -> None:
    for run in "ab":
        plotted.start(run, [[["motor"], "primary"]], ["one", "two"], motor="mm", one="V", two="V")
        for x in (0.0, 1.0):
            plotted.event(run, motor=x, one=x + 10, two=x + 20)
        plotted.stop(run)
    export = plotted.plot.findChild(QToolButton, "export").menu()
    export.actions()[0].trigger()
    dialog = plotted.plot.findChild(QFileDialog)
    assert not dialog.isModal()
    dialog.fileSelected.emit(str(tmp_path / "plot.csv"))
    dialog.reject()
    soon(lambda: not plotted.plot._export.worker.busy)
    rows = list(csv.reader((tmp_path / "plot.csv").read_text().splitlines()))
    assert rows[0] == ["run", "motor [mm]", "one [V]", "two [V]"]
    assert rows[1:] == 2 * [["7", "0.0", "10.0", "20.0"], ["7", "1.0", "11.0", "21.0"]]
    plotted.plot.save_picture(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    plotted.plot._export.try_picture(tmp_path / "nowhere" / "plot.png")
    assert "not saved" in plotted.plot.message
