"""What a plot is plotted against, curves through it, its cursor, and what is saved of it."""

import csv
import errno
from pathlib import Path
from typing import Any

import bluesky.plans as bp
import numpy as np
import pytest
from ophyd_async.core import soft_signal_rw
from ophyd_async.plan_stubs import ensure_connected
from qtpy.QtWidgets import QFileDialog, QLabel, QToolButton

from freewheel.qt import LivePlot, use_theme
from freewheel.qt._look._plots import _DARK, _LIGHT, plot_colours
from freewheel.qt._plot._cells import plane_of
from freewheel.qt._plot._curves import FITS, STATISTICS, fit_points, why_no_fit
from freewheel.qt._plot._tables import Run
from freewheel.sim import microscope


class Plotted:
    """A plot, and documents of made-up runs."""

    def __init__(self, bridge: Any, qtbot: Any, **options: Any) -> None:
        self.plot = LivePlot(bridge, **options)
        self._emit = bridge.documentReceived.emit
        qtbot.addWidget(self.plot)
        self.plot.show()

    def start(
        self,
        run: str,
        dimensions: Any = None,
        hinted: Any = (),
        gridding: str = "",
        more: Any = None,
        **units: str,
    ) -> None:
        hints = {} if dimensions is None else {"dimensions": dimensions, "gridding": gridding}
        start = {"uid": run, "time": 100.0, "hints": hints, "scan_id": 7, **(more or {})}
        self._emit("start", start)
        keys = {k: {"dtype": "number", "shape": [], "units": u} for k, u in units.items()}
        head = {"uid": f"d{run}", "run_start": run, "name": "primary", "time": 100.0}
        self._emit("descriptor", {**head, "data_keys": keys, "hints": {"d": {"fields": hinted}}})

    def event(self, run: str, time: float = 101.0, **data: float) -> None:
        self._emit("event", {"descriptor": f"d{run}", "time": time, "data": data})

    def stop(self, run: str) -> None:
        self._emit("stop", {"run_start": run})

    def pens(self) -> dict[tuple[str, str], str]:
        """Return the colours of the curves, by run and key."""
        curves = self.plot._curves._curves
        return {key: curve.opts["pen"].color().name() for key, curve in curves.items()}

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


def test_a_device_that_hints_at_nothing_is_plotted(
    bridge: Any, scope: Any, qtbot: Any, soon: Any
) -> None:
    assert scope.shutter.hints == {}
    plot = LivePlot(bridge)
    qtbot.addWidget(plot)
    bridge.run(bp.count([scope.shutter, scope.temperature], 3))
    soon(lambda: plot.points.shape == (2, 3))


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


def test_a_motor_that_hints_at_nothing_is_what_a_scan_is_plotted_against(
    bridge: Any, qtbot: Any, soon: Any
) -> None:
    x, y, detector = (soft_signal_rw(float, name=name) for name in ("x", "y", "detector"))
    bridge.run(ensure_connected(x, y, detector))
    plot = LivePlot(bridge)
    qtbot.addWidget(plot)
    bridge.run(bp.scan([detector], x, -1, 1, 5))
    soon(lambda: plot.shown_keys == (("detector",), "x") and plot.points.shape == (2, 5))
    bridge.run(bp.grid_scan([detector], y, 0, 1, 2, x, 0, 2, 3))
    soon(lambda: plot._newest().slower == ["y"])
    assert plot.shown_keys == (("detector",), "x")


def test_each_of_what_is_hinted_at_has_an_axis_of_its_own(plotted: Plotted, soon: Any) -> None:
    hinted = ["left", "right", "room", "motor"]
    plotted.start(
        "a", [[["motor"], "primary"]], hinted, dark="V", left="V", right="V", room="C", motor="mm"
    )
    for motor in (5.0, 6.0):
        plotted.event("a", dark=0.0, left=1e6 * motor, right=2.0, room=20.0, motor=motor)
    assert plotted.plot.shown_keys == (("left", "right", "room"), "motor")
    plotted.plot._draw()
    rows = plotted.plot._rows
    assert [plot.getAxis("left").labelText for plot in rows.plots] == ["V", "V", "C"]
    assert [plot.getAxis("bottom").labelText for plot in rows.plots] == ["", "", "motor [mm]"]
    assert [[label.text for _, label in plot.legend.items] for plot in rows.plots] == [
        ["left"],
        ["right"],
        ["room"],
    ]
    view = rows.plots[1].getViewBox()
    view.updateAutoRange()
    assert view.viewRange()[1][1] < 3  # though another one is a million times larger
    boxes = [plot.getViewBox() for plot in rows.plots]
    soon(lambda: len({box.sceneBoundingRect().left() for box in boxes}) == 1)
    assert boxes[0].sceneBoundingRect().left() > 60  # their x are below each other
    plotted.plot.set_axes(together=True)
    assert len(rows.plots) == 1
    assert [label.text for _, label in rows.plots[0].legend.items] == ["left", "right", "room"]
    plotted.plot.choose("left")
    assert rows.plots[0].getAxis("left").labelText == "left [V]"


def test_logarithmic_where_all_is_above_zero(plotted: Plotted) -> None:
    plotted.start("a", hinted=["counts", "offset"], counts="", offset="V")
    for number in range(4):
        plotted.event("a", 101.0 + number, counts=10.0**number, offset=float(number))
    axes = plotted.plot.findChild(QToolButton, "axes").menu().actions()
    axes[1].trigger()
    assert plotted.plot.logarithmic
    counts, offset = plotted.plot._rows.plots
    assert counts.getAxis("left").logMode
    assert not offset.getAxis("left").logMode
    assert plotted.plot.message == "not logarithmic, as not all values are above 0: offset"
    plotted.plot._cursor.point(3.0)
    assert plotted.text("cursor") == "x = 3, counts = 100, offset = 2"
    assert plotted.plot._cursor._lines[0].along.value() == 2  # where a hundred is drawn
    plotted.plot.set_axes(logarithmic=False)
    assert not axes[1].isChecked()
    assert plotted.plot.message == ""


def test_several_are_chosen_and_earlier_runs_are_grey(plotted: Plotted) -> None:
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
    pens, grey = plotted.pens(), plot_colours().earlier
    assert pens["a", "one"] == pens["a", "three"] == grey
    assert len({pens["b", "one"], pens["b", "three"], grey}) == 3
    plotted.plot.choose("two")
    assert not plotted.plot._rows.plots[0].legend.items


@pytest.mark.usefixtures("looks")
def test_plots_follow_the_theme_while_they_are_open(plotted: Plotted) -> None:
    plotted.start("a", hinted=["one", "two"], one="V", two="V")
    plotted.event("a", one=1.0, two=2.0)
    plotted.plot._draw()
    rows, seen = plotted.plot._rows, {}
    for theme in ("light", "dark"):
        use_theme(theme)
        colours = seen[theme] = plot_colours()
        assert rows.backgroundBrush().color().name() == colours.background
        assert rows.plots[1].getAxis("left").textPen().color().name() == colours.text
        assert rows.plots[1].legend.labelTextColor().name() == colours.text
        assert set(plotted.pens().values()) == set(colours.curves[:2])
        assert plotted.plot._fit.curve.opts["pen"].color().name() == colours.fit
    assert not set(seen["light"]).intersection(seen["dark"])


@pytest.mark.parametrize("colours", [_DARK, _LIGHT])
def test_what_is_drawn_stands_out_from_its_background(colours: Any) -> None:
    for drawn in (*colours.curves, colours.fit, colours.mark, colours.cursor):
        assert contrast(drawn, colours.background) >= 3, drawn
    assert contrast(colours.text, colours.background) >= 7
    assert contrast(colours.text, colours.surroundings) >= 7


def contrast(one: str, other: str) -> float:
    """Return the ratio of luminances, as the guidelines for web contents have it."""
    lights = []
    for name in (one, other):
        parts = [int(name[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        lights.append(np.dot(linear, (0.2126, 0.7152, 0.0722)))
    return float((max(lights) + 0.05) / (min(lights) + 0.05))


# -- maps ---------------------------------------------------------------------------------------


def test_a_grid_scan_is_a_map_of_its_two_motors(
    bridge: Any, scope: Any, qtbot: Any, soon: Any
) -> None:
    plotted = Plotted(bridge, qtbot)
    plot = plotted.plot
    x, y = scope.stage.x, scope.stage.y
    told: list[str] = []
    bridge.documentReceived.connect(lambda name, doc: told.append(name))
    for plan in (bp.grid_scan, bp.rel_grid_scan):
        seen: list[Any] = []
        told.clear()
        token = bridge.engine.subscribe(lambda _, doc, seen=seen: seen.append(doc["data"]), "event")
        bridge.run(plan([scope.temperature], y, 0, 1, 2, x, 5, 3, 3, snake_axes=True))
        soon(lambda: "stop" in told)  # else the points may be those of the run before
        assert plot.points.shape == (2, 6)
        bridge.engine.unsubscribe(token)
        soon(lambda: plot.is_map)
        plot._draw()
        cells = plane_of(plot._newest())
        (key,) = cells.images
        assert (cells.x, cells.y) == ("stage-x", "stage-y")
        wanted = np.array([each[key] for each in seen]).reshape(2, 3)
        assert np.array_equal(cells.images[key], [wanted[0, ::-1], wanted[1]])
        left, bottom, width, height = cells.area
        begun = seen[0]["stage-x"], seen[0]["stage-y"]  # a relative one from where they were
        assert (left, bottom) == pytest.approx((begun[0] - 2.5, begun[1] - 0.5))
        assert (width, height) == (3, 2)
    plot._maps.point(begun[0] + 1, begun[1] + 9)
    assert plotted.text("cursor").startswith(f"stage-x = {begun[0]:g}, stage-y = {begun[1] + 1:g}")
    assert not plot.findChild(QToolButton, "fit").isEnabled()
    plot.choose(None, "stage-x")
    assert not plot.is_map
    plot.choose(None)
    assert plot.is_map
    bridge.run(bp.count([scope.temperature], 2))
    soon(lambda: not plot.is_map)


def test_a_map_grows_in_its_frame_and_shows_the_newest_plane(plotted: Plotted) -> None:
    more = {"shape": [2, 2, 2], "extents": [[0, 1], [0, 1], [0, 1]]}
    dimensions = [[[key], "primary"] for key in "zyx"]
    plotted.start("a", dimensions, gridding="rectilinear", more=more, z="", y="", x="", signal="V")
    for number in range(5):
        z, y, x = np.unravel_index(number, (2, 2, 2))
        plotted.event("a", z=float(z), y=float(y), x=float(x), signal=float(number))
    cells = plane_of(plotted.plot._newest())
    assert cells.area == (-0.5, -0.5, 2, 2)
    image = cells.images["signal"]
    assert image[0, 0] == 4
    assert np.isnan(image).sum() == 3
    plotted.plot._draw()
    assert plotted.plot.is_map


def test_points_that_are_no_even_grid_are_drawn_where_they_are(plotted: Plotted) -> None:
    plotted.start(
        "a", [[["y"], "primary"], [["x"], "primary"]], ["one", "two"], y="", x="", one="", two=""
    )
    for number in range(5):
        plotted.event("a", y=number**2, x=-number, one=float(number), two=np.nan)
    plotted.plot._draw()
    one, two = plotted.plot._maps._maps
    assert one._points.getData()[0].tolist() == [0, -1, -2, -3, -4]
    assert len(two._points.getData()[0]) == 0
    assert len({brush.color().name() for brush in one._points.data["brush"]}) == 5


def test_a_table_of_a_map_has_all_of_its_dimensions(plotted: Plotted, tmp_path: Path) -> None:
    plotted.start("a", [[["y"], "primary"], [["x"], "primary"]], ["one"], y="mm", x="um", one="V")
    plotted.event("a", y=1.0, x=2.0, one=3.0)
    plotted.plot.save_csv(tmp_path / "map.csv")
    rows = list(csv.reader((tmp_path / "map.csv").read_text().splitlines()))
    assert rows == [["run", "x [um]", "y [mm]", "one [V]"], ["7", "2.0", "1.0", "3.0"]]


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
    export.actions()[1].trigger()
    dialog = plotted.plot.findChild(QFileDialog)
    dialog.fileSelected.emit(str(tmp_path / "nowhere" / "plot.png"))
    dialog.reject()
    soon(lambda: "plot.png cannot be written: " in plotted.plot.message)
    assert [path.name for path in tmp_path.iterdir()].count("plot.png") == 1


def test_a_run_that_goes_on_is_not_taken_from_the_plot(plotted: Plotted) -> None:
    for run in "ab":
        plotted.start(run, signal="V")
        plotted.event(run, signal=1.0)
    plotted.plot.show_run("a", Run({"time": 0.0}))
    plotted.event("a", signal=2.0)
    assert plotted.plot.points[1].tolist() == [1, 2]


def test_a_table_is_written_whole_or_not_at_all(
    plotted: Plotted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plotted.start("a", signal="V")
    plotted.event("a", signal=1.0)
    (tmp_path / "plot.csv").write_text("what was there before")

    def full(self: Any, target: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match=r"plot.csv cannot be written: No space left on device"):
        plotted.plot.save_csv(tmp_path / "plot.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["plot.csv"]
    assert (tmp_path / "plot.csv").read_text() == "what was there before"


def test_a_window_that_is_behind_loses_frames_and_no_numbers(
    bridge: Any, engine: Any, qtbot: Any, soon: Any
) -> None:
    scope = microscope(shape=(128, 128), instant=True)  # of which each counts as a frame
    plotted, pictures = Plotted(bridge, qtbot), []

    def note(name: str, doc: Any) -> None:
        if name == "event" and "camera-image" in doc["data"]:
            pictures.append(doc["seq_num"])

    bridge.documentReceived.connect(note)
    future = engine(bp.scan([scope.camera, scope.temperature], scope.stage.x, 0, 29, 30))
    future.result(60)  # the window's thread does nothing else meanwhile
    soon(lambda: plotted.plot.points.shape == (2, 30))
    assert plotted.plot.points[0].tolist() == list(range(30))
    assert pictures == [1, 30]  # the first that waits, and the newest


_UNLIKELY = [10**400, None, "det", 3, 1j, [], {}, [1, 2], [None], [[]], np.array([1, 2]), object()]


@pytest.mark.parametrize("where", ["hints", "dimensions", "dimension", "fields", "extents", "key"])
def test_whatever_is_hinted_at_the_numbers_are_shown(bridge: Any, qtbot: Any, where: str) -> None:
    plotted = Plotted(bridge, qtbot)
    for number, hint in enumerate(_UNLIKELY):
        told = {"dimensions": hint, "dimension": [hint], "fields": [[hint, "primary"]]}
        more: dict[str, Any] = {"hints": hint} if where == "hints" else {}
        if where == "extents":
            more = {"extents": [hint, [0, hint]], "shape": [hint, 3]}
        gridding = "rectilinear" if where == "extents" else ""
        hinted = hint if where == "key" else ["det"]
        plotted.start(f"{number}", told.get(where), hinted, gridding=gridding, more=more, det="V")
        plotted.event(f"{number}", det=1.0)
        plotted.event(f"{number}", det=2.0)
        assert plotted.plot.points.shape == (2, 2)


def test_a_number_that_is_too_large_is_told_of(bridge: Any, qtbot: Any) -> None:
    plotted = Plotted(bridge, qtbot)
    plotted.start("a", hinted=["det"], det="V", other="V")
    plotted.event("a", det=1.0, other=10**400)
    assert plotted.plot.points.shape == (2, 1)
    plotted.event("a", det=10**400, other=1.0)
    assert "too large a number" in plotted.text("message")
