"""The runs of today and recorded ones: looked at again, saved, replayed."""

import csv
import json
import math
import shutil
from pathlib import Path
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import numpy as np
import pytest
import tifffile
from bluesky.preprocessors import run_decorator
from qtpy.QtWidgets import QLabel, QMessageBox, QPlainTextEdit, QSlider, QToolButton, QTreeWidget

from freewheel.core import PlanCall
from freewheel.plans import live_view
from freewheel.qt import AcquisitionWindow, LiveImage, LivePlot, RunsPanel
from freewheel.qt._runs._files import Columns, why_no_tiff, write_tables, write_tiff
from freewheel.recording import Recorder


class Desk:
    """The list of runs, with the plot and the image that it shows them in."""

    def __init__(self, bridge: Any, qtbot: Any, soon: Any, folder: Path) -> None:
        self.bridge, self.soon, self.folder = bridge, soon, folder
        self.plot, self.image = LivePlot(bridge), LiveImage(bridge)
        self.place: str = ""
        self.places: dict[str, str] = {}
        self.panel = RunsPanel(
            bridge, self.plot, self.image, lambda uid: self.places.get(uid, self.place)
        )
        for widget in (self.plot, self.image, self.panel):
            qtbot.addWidget(widget)
            widget.show()

    def run(self, plan: Any) -> str:
        count = len(self.panel.runs)
        future = self.bridge.run(plan)
        self.soon(lambda: future.outcome.done() and len(self.panel.runs) > count)
        uid = next(iter(future.outcome.result().run_start_uids))
        self.soon(lambda: not self.panel._book.is_busy)
        return uid

    def record(self, plan: Any) -> str:
        self.place = str(self.folder)
        with Recorder(self.folder) as recorder:
            undo = recorder.attach(self.bridge.engine)
            try:
                uid = self.run(plan)
            finally:
                undo()
                self.place = ""
            self.places[uid] = str(self.folder)
            return uid

    def button(self, name: str) -> QToolButton:
        return self.panel.findChild(QToolButton, f"runs:{name}")

    def rows(self) -> list[list[str]]:
        top = self.panel.findChild(QTreeWidget, "runs").topLevelItem(0)
        return [[top.child(i).text(c) for c in range(1, 5)] for i in range(top.childCount())]

    def done(self) -> None:
        self.soon(lambda: not self.panel._worker.busy)


@pytest.fixture(name="desk")
def _desk(bridge: Any, qtbot: Any, soon: Any, tmp_path: Path) -> Any:
    desk = Desk(bridge, qtbot, soon, tmp_path / "recording")
    yield desk
    desk.panel.end()


def scan(scope: Any, **options: Any) -> Any:
    return bp.scan([scope.camera, scope.temperature], scope.stage.x, 0, 4, 5, **options)


def test_runs_are_listed_with_their_metadata(desk: Desk, scope: Any) -> None:
    assert not desk.button("replot").isEnabled()
    assert desk.button("replot").toolTip() == "no run is chosen"
    desk.run(bp.count([scope.temperature], 3))
    uid = desk.run(scan(scope, md={"sample": "beads"}))
    assert desk.rows() == [
        ["scan", "success", "5", "not recorded"],
        ["count", "success", "3", "not recorded"],
    ]
    desk.panel.choose(uid)
    told = json.loads(desk.panel.findChild(QPlainTextEdit, "metadata").toPlainText())
    assert told["start"]["sample"] == "beads"
    assert told["stop"]["exit_status"] == "success"
    assert desk.button("replay").toolTip() == "it was not recorded"
    with pytest.raises(KeyError, match="no run 'other'"):
        desk.panel.choose("other")


@pytest.mark.parametrize(
    ("end", "why"),
    [
        (lambda bridge, task: bridge.cancel_task(task), "stopped in the window"),
        (lambda bridge, task: bridge.stop_all(), "stopped: the Stop all button"),
    ],
    ids=["live", "stop all"],
)
def test_what_a_person_has_ended_looks_like_no_failure(
    desk: Desk, scope: Any, soon: Any, end: Any, why: str
) -> None:
    seen: list[Any] = []
    desk.bridge.documentReceived.connect(lambda name, doc: seen.append((name, doc)))
    task = desk.bridge.launch(PlanCall(live_view, ([scope.temperature],)), on_conflict="pause")
    soon(lambda: any(name == "event" for name, _ in seen))
    end(desk.bridge, task)
    soon(lambda: seen[-1][0] == "stop")
    assert desk.rows()[0][:2] == ["live_view", "stopped"]
    tree = desk.panel.findChild(QTreeWidget, "runs")
    assert tree.topLevelItem(0).child(0).toolTip(2) == why
    assert seen[-1][1]["exit_status"] == "abort"  # the document says what bluesky's say
    soon(lambda: task.status.ended)


@pytest.mark.parametrize(
    ("end", "word", "tip"),
    [
        ({"exit_status": "success", "reason": ""}, "success", "success"),
        ({"exit_status": "abort", "reason": ""}, "aborted", "aborted"),
        ({"exit_status": "fail", "reason": "no beam"}, "failed", "failed: no beam"),
    ],
)
def test_how_a_run_has_ended_is_said_in_a_word(
    desk: Desk, end: dict[str, str], word: str, tip: str
) -> None:
    tell = desk.bridge.documentReceived.emit
    tell("start", {"uid": "a", "time": 1.0})
    tell("stop", {"run_start": "a", **end})
    assert desk.rows()[0][1] == word
    tree = desk.panel.findChild(QTreeWidget, "runs")
    assert tree.topLevelItem(0).child(0).toolTip(2) == tip


def test_a_run_of_today_is_plotted_again_and_its_last_picture_shown(
    desk: Desk, scope: Any, qtbot: Any
) -> None:
    last: list[Any] = []
    note = last.append
    desk.bridge.engine.subscribe(lambda _, doc: note(doc["data"].get("camera-image")), "event")
    uid = desk.run(scan(scope))
    desk.run(bp.count([scope.temperature], 2))
    desk.panel.choose(uid)
    with qtbot.waitSignal(desk.panel.shown, timeout=30_000) as shown:
        desk.button("replot").click()
    assert shown.args == [desk.plot]
    assert desk.plot.points[0].tolist() == [0, 1, 2, 3, 4]
    desk.panel.reopen()
    desk.soon(lambda: desk.image.frozen and np.array_equal(desk.image.frame, last[4]))


def test_a_recorded_run_is_gone_through_picture_by_picture(
    desk: Desk, scope: Any, qtbot: Any, soon: Any
) -> None:
    frames: list[Any] = []
    desk.bridge.engine.subscribe(lambda _, doc: frames.append(doc["data"]["camera-image"]), "event")
    uid = desk.record(scan(scope))
    desk.panel.choose(uid)
    desk.button("reopen").menu().aboutToShow.emit()
    soon(lambda: desk.button("reopen").menu().actions()[0].text() == "camera-image, 5 frames")
    desk.button("reopen").menu().actions()[0].trigger()
    soon(lambda: desk.image.frozen and desk.image.findChild(QLabel, "planeText").text() == "5 of 5")
    soon(lambda: np.array_equal(desk.image.frame, frames[4]))
    desk.image.findChild(QSlider, "plane").setValue(1)
    soon(lambda: np.array_equal(desk.image.frame, frames[1]))


def test_a_recording_is_opened_and_saved_for_other_programs(
    desk: Desk, scope: Any, tmp_path: Path
) -> None:
    uid = desk.record(scan(scope))
    desk.panel._known.clear()
    desk.panel._items.clear()
    desk.panel.open(str(desk.folder))
    desk.soon(lambda: desk.panel.runs == (uid,))
    assert desk.panel.message == f"1 run in {desk.folder}"
    desk.panel.choose(uid)
    desk.button("replot").click()
    desk.soon(lambda: desk.plot.shown_keys[1] == "stage-x")
    desk.panel.save_csv(tmp_path / "run.csv")
    desk.soon(lambda: desk.panel.message.startswith("saved:"))
    rows = list(csv.reader((tmp_path / "run.csv").read_text().splitlines()))
    assert "stage-x [um]" in rows[0]
    assert len(rows) == 6
    desk.image.pixel_size = 0.5, "um"
    desk.panel.save_tiff(tmp_path / "run.ome.tif", "camera-image")
    desk.soon(lambda: "run.ome.tif" in desk.panel.message)
    with tifffile.TiffFile(tmp_path / "run.ome.tif") as file:
        assert file.series[0].axes == "TYX"
        assert file.series[0].shape == (5, 64, 64)
        assert 'PhysicalSizeX="0.5" PhysicalSizeXUnit="µm"' in file.ome_metadata
    desk.panel.reopen()
    desk.soon(lambda: desk.image.frame is not None)
    desk.panel._export.save_png(tmp_path / "run.png")
    desk.done()
    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")
    desk.panel._export.save_png(tmp_path / "nowhere" / "run.png")
    desk.done()
    assert "not saved: " in desk.panel.message
    desk.panel.save_tiff(tmp_path / "run.tif", "other")
    desk.soon(lambda: "no pictures of other" in desk.panel.message)


def test_damaged_runs_take_no_others_from_the_list(desk: Desk, scope: Any, tmp_path: Path) -> None:
    for _ in range(4):
        desk.record(bp.count([scope.temperature], 2))
    one, two, three, _ = sorted(desk.folder.glob("*.jsonl"))

    def change(file: Path, line: int, **fields: Any) -> None:
        lines = file.read_text().splitlines()
        name, doc = json.loads(lines[line])
        lines[line] = json.dumps([name, {**doc, **fields}])
        file.write_text("\n".join([*lines, ""]))

    change(one, 0, time="yesterday")
    change(two, 0, time=1e300)
    stop = next(n for n, t in enumerate(three.read_text().splitlines()) if t.startswith('["stop'))
    change(three, stop, num_events={"primary": "many"})
    desk.panel.open(str(desk.folder))
    desk.done()
    assert desk.panel.message == f"3 runs in {desk.folder}; 1 file could not be read"
    tree = desk.panel.findChild(QTreeWidget, "runs")
    opened = tree.topLevelItem(1)
    said = [opened.child(row).text(0) for row in range(opened.childCount())]
    assert len(said) == 4
    assert said.count("?") == 1
    assert said[-1] == "1 file could not be read"
    assert one.name in opened.child(3).toolTip(0)
    tree.setCurrentItem(opened.child(3))
    assert one.name in desk.panel.findChild(QPlainTextEdit, "metadata").toPlainText()
    assert desk.button("replot").toolTip() == "no run is chosen"
    one.unlink()
    desk.panel.open(str(desk.folder))
    desk.done()
    assert desk.panel.message == f"3 runs in {desk.folder}"
    assert opened.childCount() == 3


def test_a_short_run_is_where_it_was_recorded_though_the_window_is_told_late(desk: Desk) -> None:
    start = {"uid": "a", "time": 1.0, "plan_name": "short"}
    desk.bridge.documentReceived.emit("start", start)
    assert desk.rows() == [["short", "running", "", "not recorded"]]
    desk.place = str(desk.folder)  # which is known from now on
    stop = {"uid": "b", "time": 2.0, "run_start": "a", "exit_status": "success"}
    desk.bridge.documentReceived.emit("stop", stop)
    assert desk.rows() == [["short", "success", "0", desk.place]]


def test_what_is_no_recording_is_said(desk: Desk, tmp_path: Path) -> None:
    desk.panel.open(str(tmp_path / "nothing"))
    desk.soon(lambda: "no such file" in desk.panel.message)


def test_colours_and_stacks_are_saved_with_their_axes(tmp_path: Path) -> None:
    for frame, axes in (
        (np.zeros((4, 5, 3), np.uint8), "TYXS"),
        (np.zeros((2, 4, 5), np.int64), "TZYX"),
        (np.zeros((4, 5)), "TYX"),
    ):
        write_tiff(tmp_path / "a.ome.tif", [frame, frame], None)
        with tifffile.TiffFile(tmp_path / "a.ome.tif") as file:
            assert file.series[0].axes == axes
            assert file.series[0].shape == (2, *frame.shape)


def test_values_that_a_tiff_cannot_hold_are_refused(tmp_path: Path) -> None:
    for frames, why in (
        ([np.full((2, 2), 2**40)], "int32"),
        ([np.zeros((2, 2)), np.zeros((2, 3))], r"the shape \(2, 3\), and the first one \(2, 2\)"),
    ):
        with pytest.raises(ValueError, match=why):
            write_tiff(tmp_path / "a.ome.tif", frames, None)
    assert not list(tmp_path.iterdir())


def test_the_name_of_a_stream_is_no_folder(tmp_path: Path) -> None:
    tables = [Columns(name, ["time [s]"], np.zeros((1, 1))) for name in ("a", "../b c")]
    written = write_tables(tmp_path / "run.csv", tables)
    assert [path.name for path in written] == ["run.csv", "run-.._b_c.csv"]
    assert {path.name for path in tmp_path.iterdir()} == {"run.csv", "run-.._b_c.csv"}


def test_streams_of_names_that_no_file_can_have_do_not_replace_each_other(tmp_path: Path) -> None:
    tables = [Columns(name, ["time [s]"], np.zeros((1, 1))) for name in ("a", "b c", "b/c")]
    written = write_tables(tmp_path / "run.csv", tables)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in written}
    assert len(set(written)) == 3


@pytest.mark.parametrize("answer", ["replace", "keep"])
def test_files_of_further_streams_are_not_replaced_without_being_asked(
    desk: Desk, scope: Any, tmp_path: Path, answer: str
) -> None:
    @run_decorator()
    def two_streams() -> Any:
        yield from bps.trigger_and_read([scope.temperature])
        yield from bps.trigger_and_read([scope.lamp], "lamps")

    desk.panel.choose(desk.run(two_streams()))
    for name in ("run.csv", "run-lamps.csv"):
        (tmp_path / name).write_text("precious")
    desk.panel.save_csv(tmp_path / "run.csv")
    desk.soon(lambda: desk.panel.findChild(QMessageBox, "replace"))
    question = desk.panel.findChild(QMessageBox, "replace")
    assert question.text() == "Replace 1 more file?"
    assert "run-lamps.csv" in question.informativeText()
    assert {path.read_text() for path in tmp_path.glob("*.csv")} == {"precious"}
    buttons = QMessageBox.StandardButton
    question.button(buttons.Yes if answer == "replace" else buttons.Cancel).click()
    desk.done()
    said = "saved: " if answer == "replace" else "not saved: "
    desk.soon(lambda: desk.panel.message.startswith(said))
    left = [path for path in tmp_path.glob("*.csv") if path.read_text() == "precious"]
    assert len(left) == (0 if answer == "replace" else 2)


def test_what_is_left_of_a_damaged_recording_is_shown(desk: Desk, scope: Any, soon: Any) -> None:
    cut, gone = desk.record(scan(scope)), desk.record(scan(scope))
    file = desk.folder / f"{cut}.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:-1])[:-20])  # an event is cut short, and there is no end
    shutil.rmtree(desk.folder / gone)
    (desk.folder / "empty.jsonl").touch()
    desk.panel._known.clear()
    desk.panel._items.clear()
    desk.panel.open(str(desk.folder))
    soon(lambda: desk.panel.message.startswith("2 runs in"))
    desk.panel.choose(cut)
    assert "cut short" in desk.panel.findChild(QPlainTextEdit, "metadata").toPlainText()
    assert desk.panel._chosen().status == "incomplete"
    desk.panel.replot()
    soon(lambda: desk.plot.points.shape == (2, 4))
    desk.panel.reopen()
    soon(lambda: desk.image.frame is not None)
    desk.panel.choose(gone)
    desk.panel.reopen()
    soon(lambda: "the array of 'camera-image' is gone" in desk.panel.message)
    desk.button("reopen").menu().aboutToShow.emit()
    action = desk.button("reopen").menu().actions
    soon(lambda: "is gone" in action()[0].text())
    desk.panel.replay(math.inf)
    soon(lambda: desk.panel.message.startswith("the replay has ended: the array"))


def test_a_run_that_goes_on_says_so_whatever_is_looked_at(desk: Desk, soon: Any) -> None:
    tell = desk.bridge.documentReceived.emit
    desk.place = str(desk.folder)
    start = {"uid": "a", "time": 1.0, "plan_name": "count"}
    with Recorder(desk.folder) as recorder:
        recorder("start", start)
        tell("start", start)
        desk.panel.choose("a")
        desk.panel.reopen()
        soon(lambda: "no pictures" in desk.panel.message)
        assert desk.panel._chosen().status == "running"
    tell("stop", {"run_start": "a", "exit_status": "success"})
    assert desk.rows()[0][1] == "success"


def test_a_table_has_what_the_recording_knows_and_the_window_does_not_yet(
    desk: Desk, scope: Any, tmp_path: Path
) -> None:
    uid = desk.record(bp.count([scope.temperature], 3))
    desk.panel.choose(uid)
    desk.panel._chosen().scalars.tables[0].count = 1  # as if the others were on their way
    desk.panel.save_csv(tmp_path / "run.csv")
    desk.done()
    assert len((tmp_path / "run.csv").read_text().splitlines()) == 4
    (desk.folder / f"{uid}.jsonl").unlink()
    desk.panel._chosen().recorded = None
    desk.panel.save_csv(tmp_path / "run.csv")
    desk.done()
    assert len((tmp_path / "run.csv").read_text().splitlines()) == 2


def test_the_last_pictures_of_all_cameras_are_kept_as_long_as_there_is_room(
    desk: Desk, soon: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("freewheel.qt._runs._book._BYTES", 100)
    tell = desk.bridge.documentReceived.emit
    frame = np.zeros((4, 10), np.uint8)
    for run in "abc":
        tell("start", {"uid": run, "time": 1.0})
        head = {"uid": f"d{run}", "run_start": run, "name": "primary", "hints": {}}
        tell("descriptor", {**head, "data_keys": {}})
        data = {"left": frame, "right": frame}
        tell("event", {"descriptor": f"d{run}", "time": 1.0, "seq_num": 1, "data": data})
        tell("stop", {"run_start": run})
    assert [len(desk.panel._book.runs[run].newest) for run in "abc"] == [0, 0, 2]
    desk.panel.choose("c")
    desk.button("reopen").menu().aboutToShow.emit()
    actions = desk.button("reopen").menu().actions
    soon(lambda: [a.text() for a in actions()] == ["left, 1 frame", "right, 1 frame"])


def test_metadata_stay_where_they_are_read(desk: Desk) -> None:
    tell = desk.bridge.documentReceived.emit
    tell("start", {"uid": "a", "time": 1.0, "lines": list(range(200))})
    desk.panel.choose("a")
    bar = desk.panel.findChild(QPlainTextEdit, "metadata").verticalScrollBar()
    bar.setValue(50)
    tell("start", {"uid": "b", "time": 2.0})
    assert bar.value() == 50


def test_a_replay_that_is_cut_short_leaves_no_run_open(desk: Desk, scope: Any, soon: Any) -> None:
    uid = desk.record(bp.count([scope.temperature], 3, delay=0.01))
    told: list[tuple[str, str]] = []
    desk.panel._replayer.document.connect(
        lambda name, doc: told.append((name, doc.get("exit_status", "")))
    )
    desk.panel.choose(uid)
    desk.panel.replay(1e-6)
    soon(lambda: ("start", "") in told)
    desk.button("stopReplay").click()
    assert told[-1] == ("stop", "abort")
    assert not any(run.open for run in desk.plot._runs.values())
    del told[:]
    desk.panel.replay(math.inf)  # of the former one nothing comes any more
    soon(lambda: ("stop", "success") in told)
    assert [name for name, _ in told].count("start") == 1


def test_a_run_is_replayed_in_plot_and_image_alone(desk: Desk, scope: Any, soon: Any) -> None:
    uid = desk.record(scan(scope))
    count = len(desk.panel.runs)
    desk.run(bp.count([scope.temperature], 2))
    desk.panel.choose(uid)
    documents: list[str] = []
    desk.panel._replayer.document.connect(lambda name, _: documents.append(name))
    assert desk.button("replay").isEnabled()
    desk.panel.replay(math.inf)
    soon(lambda: "stop" in documents and not desk.panel._replayer.is_on)
    assert documents.count("start") == 1
    assert desk.plot.points[0].tolist() == [0, 1, 2, 3, 4]
    assert len(desk.panel.runs) == count + 1  # it is no run of the engine


def test_a_replay_ends_when_somebody_says_so_or_a_run_begins(
    desk: Desk, scope: Any, soon: Any
) -> None:
    uid = desk.record(bp.count([scope.temperature], 3, delay=0.01))
    desk.panel.choose(uid)
    for end in (lambda: desk.button("stopReplay").click(), lambda: desk.run(bp.count([]))):
        desk.panel.replay(1e-6)
        soon(lambda: desk.panel._replayer.is_on)
        end()
        soon(lambda: not desk.panel._replayer.is_on)
    assert not desk.button("stopReplay").isEnabled()


def test_without_tifffile_the_entry_says_what_to_install(
    bridge: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("freewheel.qt._runs._files.find_spec", lambda _: None)
    assert "pip install tifffile" in why_no_tiff()
    panel = RunsPanel(bridge, LivePlot(bridge), LiveImage(bridge))
    qtbot.addWidget(panel)
    assert not panel._export.tiff.isEnabled()
    assert "pip install tifffile" in panel._export.tiff.text()


def test_of_long_ago_the_names_are_kept_alone(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("freewheel.qt._runs._book._KEPT", 2)
    monkeypatch.setattr("freewheel.qt._runs._book._RUNS", 4)
    tell = desk.bridge.documentReceived.emit
    for number in range(8):
        tell("start", {"uid": str(number), "time": float(number)})
        tell("stop", {"run_start": str(number), "exit_status": "success", "num_events": {}})
    assert desk.panel.runs == ("4", "5", "6", "7")
    desk.panel.choose("4")
    desk.panel.replot()
    desk.soon(lambda: "too long ago" in desk.panel.message)


def test_a_window_has_the_runs_of_its_engine_and_no_more_than_its_width(
    engine: Any, scope: Any, qtbot: Any, soon: Any
) -> None:
    window = AcquisitionWindow(engine, dict(scope), [])
    qtbot.addWidget(window)
    assert window.width() <= 1400  # docks that are beside each other for a moment made it wider
    future = window.bridge.run(bp.count([scope.temperature]))
    soon(lambda: future.outcome.done() and window.runs.runs)
    window.runs.choose(window.runs.runs[0])
    window.runs.replot()
    soon(lambda: window.tabs.currentWidget() is window.plot)
