"""The tool bar: live view, snaps and recording with one click."""

import importlib.util
import threading
from pathlib import Path
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import pytest
from bluesky.preprocessors import run_decorator
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractButton, QFileDialog, QInputDialog, QLabel, QToolButton

from freewheel.qt import AcquisitionBar, EngineBridge
from freewheel.qt._runs._recording import why_no_tiled
from freewheel.recording import read_runs
from freewheel.sim import Slow, inject

LEFT = Qt.MouseButton.LeftButton


class Person:
    """Somebody at the tool bar, who reads documents, too."""

    def __init__(self, bridge: Any, scope: Any, qtbot: Any, soon: Any, folder: Path) -> None:
        self.bar = AcquisitionBar(bridge, dict(scope))
        self.bar.destination = str(folder)
        self._qtbot, self.soon = qtbot, soon
        self.events: list[Any] = []
        self.refused: list[str] = []
        bridge.documentReceived.connect(self._note)
        bridge.requestRefused.connect(lambda what, error: self.refused.append(f"{what}: {error}"))
        qtbot.addWidget(self.bar, before_close_func=lambda bar: bar.end())
        self.bar.show()

    def _note(self, name: str, doc: Any) -> None:
        if name == "event":
            self.events.append(doc)

    def button(self, name: str) -> QAbstractButton:
        return self.bar.findChild(QAbstractButton, name)

    def press(self, name: str) -> None:
        assert self.button(name).isEnabled(), self.button(name).toolTip()
        self._qtbot.mouseClick(self.button(name), LEFT)

    def see(self, condition: Any) -> None:
        self.soon(condition)

    def end_live(self) -> None:
        self.press("live")
        self.see(lambda: not self.button("live").isChecked())


@pytest.fixture(name="person")
def _person(bridge: Any, scope: Any, qtbot: Any, soon: Any, tmp_path: Path) -> Person:
    return Person(bridge, scope, qtbot, soon, tmp_path / "runs")


def test_buttons_have_icons_beside_their_words(person: Person) -> None:
    pytest.importorskip("fonticon_mdi7")
    for name in ("live", "recordTo"):
        button = person.button(name)
        assert not button.icon().isNull()
        assert button.toolButtonStyle() == Qt.ToolButtonStyle.ToolButtonTextBesideIcon
        assert button.text()


def test_live_is_one_click_and_another_to_end_it(person: Person, engine: Any) -> None:
    person.press("live")
    person.see(lambda: len(person.events) > 3)
    assert person.button("live").isChecked()
    assert [task.name for task in engine.background.running] == ["live_view"]
    assert engine.state == "idle"  # it gives way to whatever runs in the foreground
    person.end_live()
    assert not engine.background.running


def test_a_live_view_that_a_form_began_is_shown_and_ended(person: Person, engine: Any) -> None:
    from freewheel.core import PlanCall
    from freewheel.plans import live_view

    camera = person.bar._devices["camera"]
    engine.background.launch(PlanCall(live_view, ([camera],)))
    person.see(lambda: person.button("live").isChecked())
    person.end_live()


def test_other_cameras_are_shown_at_once(person: Person, engine: Any) -> None:
    person.press("live")
    person.see(lambda: person.events)
    with pytest.raises(KeyError, match="there are: camera"):
        person.bar.choose_cameras(["pump"])
    person.bar.choose_cameras(["camera", "file_camera"])
    assert person.button("cameras").text() == "camera, 1 more"
    person.see(lambda: any("file_camera" in e["data"] for e in person.events))
    person.bar.choose_cameras([])
    assert person.button("cameras").text() == "no camera"
    assert person.button("snap").toolTip() == "no camera is chosen"
    person.end_live()
    assert person.button("live").toolTip() == "no camera is chosen"
    assert not person.button("live").isEnabled()


def test_a_snap_is_a_run_and_says_that_it_is_not_recorded(person: Person) -> None:
    seen: list[Any] = []
    person.bar.snapChosen.connect(seen.append)
    person.press("snap")
    person.see(lambda: person.bar.snaps.count == 1)
    assert person.bar.snaps.text == "1 snap, not recorded"
    assert not person.button("lastSnap").icon().isNull()
    person.press("lastSnap")
    assert seen == [person.bar.snaps.last]


def test_a_snap_of_a_live_view_is_an_event_of_its_run(person: Person, engine: Any) -> None:
    runs: list[str] = []
    engine.subscribe(lambda _, doc: runs.append(doc["uid"]), "start")
    person.press("live")
    person.see(lambda: person.events and engine.pending_actions)
    person.press("snap")
    person.see(lambda: person.bar.snaps.count == 1)
    person.end_live()
    assert len(runs) == 1


def test_fast_clicks_are_snaps_one_after_the_other(person: Person, engine: Any) -> None:
    for _ in range(12):
        person.press("snap")
    person.see(lambda: person.bar.snaps.count == 12)
    person.see(lambda: not engine.background.running)
    assert person.refused == []


def test_a_snap_at_the_begin_of_a_live_view_is_taken_by_it(person: Person, bridge: Any) -> None:
    runs: list[Any] = []
    bridge.documentReceived.connect(lambda n, doc: runs.append(doc) if n == "start" else None)
    for count in (1, 2):  # of the second live view, which has another latch, too
        person.press("live")
        person.press("snap")
        person.see(lambda count=count: person.bar.snaps.count == count)
        person.end_live()
    assert [run["plan_name"] for run in runs] == ["live_view", "live_view"]
    assert person.refused == []


def test_a_live_view_waits_for_the_snap_that_is_under_way(
    person: Person, engine: Any, scope: Any
) -> None:
    with inject(scope.camera, Slow("trigger", seconds=0.2, times=1)):
        person.press("snap")
        person.press("live")
        person.see(lambda: person.button("live").isChecked())
    tasks = {task.name: task for task in engine.background.tasks()}
    assert sorted(tasks) == ["live_view", "snap"]
    assert tasks["snap"].status.value == "completed"
    person.see(lambda: tasks["live_view"].status.value == "running")
    person.end_live()


def test_a_live_view_that_waits_for_a_snap_does_not_begin_after_stop_all(
    person: Person, engine: Any, scope: Any
) -> None:
    with inject(scope.camera, Slow("trigger", seconds=30, times=1)):
        person.press("snap")
        person.press("live")
        person.press("stop_all")
        person.see(lambda: not engine.background.running and engine.state == "idle")
        person.see(lambda: not person.bar._snapper._under_way)
    assert [task.name for task in engine.background.tasks()] == ["snap"]


def test_snaps_that_wait_are_not_taken_after_stop_all(person: Person, bridge: Any) -> None:
    for _ in range(12):
        person.press("snap")
    bridge.stop_all()
    person.see(lambda: not bridge.snapshot().background)
    assert person.bar._snapper.wanted == 0
    assert person.bar.snaps.count <= 1


def test_a_camera_that_a_plan_holds_takes_no_snap(person: Person, engine: Any) -> None:
    camera = person.bar._devices["camera"]
    with engine.claims.hold(camera, holder="alignment"):
        person.see(lambda: not person.button("snap").isEnabled())
        assert person.button("snap").toolTip() == "camera is held by alignment"
    person.see(lambda: person.button("snap").isEnabled())


def test_what_is_recorded_is_whole_and_what_comes_before_and_after_is_not(
    person: Person, bridge: Any, engine: Any, tmp_path: Path
) -> None:
    runs: list[str] = []
    asked: list[str] = []
    bridge.requestMade.connect(asked.append)
    engine.subscribe(lambda _, doc: runs.append(doc["uid"]), "start")
    person.press("live")
    person.see(lambda: person.events)
    person.press("record")
    person.see(lambda: len(runs) == 2)  # the live view has begun a new one
    person.see(lambda: "free" in person.bar.findChild(QLabel, "recordingFigures").text())
    assert not person.button("recordTo").isEnabled()
    person.see(lambda: engine.pending_actions)
    person.press("snap")
    person.see(lambda: person.bar.snaps.count == 1)
    assert person.bar.snaps.text == f"1 snap, recorded to {tmp_path / 'runs'}"
    person.press("record")
    person.see(lambda: len(runs) == 3)
    person.end_live()
    assert not person.button("record").isChecked()
    assert [each for each in asked if "record" in each] == [
        f"record to {tmp_path / 'runs'}",
        "record no more",
    ]
    assert asked[0].startswith("record to")  # for that the live view begins anew
    person.see(lambda: [run.complete for run in read_runs(tmp_path / "runs")] == [True])
    (run,) = read_runs(tmp_path / "runs")
    assert run.uid == runs[1]
    assert run.verify() == ()


def test_the_key_of_a_server_is_not_in_the_log(person: Person, bridge: Any) -> None:
    asked: list[str] = []
    bridge.requestMade.connect(asked.append)
    person.bar.destination = "tiled://127.0.0.1:1?api_key=secret"
    person.bar.start_recording()
    assert asked == ["record to tiled://127.0.0.1:1"]
    recording = person.bar.recording
    person.see(lambda: recording.is_on)
    person.bar.stop_recording()
    person.see(lambda: not recording.is_on and not recording.is_ending)


def test_a_plan_under_way_is_recorded_to_its_end(
    person: Person, bridge: Any, scope: Any, engine: Any, tmp_path: Path
) -> None:
    latch: list[Any] = []

    @run_decorator(md={"plan_name": "long"})
    def long() -> Any:
        while not latch:
            yield from bps.trigger_and_read([scope.temperature])
            yield from bps.sleep(0.01)

    person.press("record")
    person.see(lambda: person.bar.recording.is_on)
    future = bridge.run(long())
    person.see(lambda: person.events)
    person.press("record")
    assert person.bar.recording.is_ending
    figures = person.bar.findChild(QLabel, "recordingFigures")
    assert "ends with the run that is under way" in figures.text()
    bridge.run(bp.count([]))  # begins when recording is off
    latch.append(1)
    person.see(lambda: future.outcome.done() and not person.bar.recording.is_ending)
    person.see(lambda: engine.state == "idle")
    person.see(lambda: [run.complete for run in read_runs(tmp_path / "runs")] == [True])
    assert read_runs(tmp_path / "runs")[0].start["plan_name"] == "long"


def test_a_folder_that_cannot_be_is_said(person: Person, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file is in the way")
    person.press("record")
    person.see(lambda: person.refused)
    assert "cannot record here" in person.refused[0]
    assert not person.button("record").isChecked()


def test_fast_clicks_begin_no_second_recording(
    person: Person, bridge: Any, scope: Any, tmp_path: Path
) -> None:
    figures = person.bar.findChild(QLabel, "recordingFigures")
    for _ in range(7):
        person.press("record")
    assert "nothing is recorded yet" in figures.text()
    person.see(lambda: person.bar.recording.is_on)
    future = bridge.run(bp.count([scope.temperature]))
    person.see(lambda: future.outcome.done())
    assert future.outcome.exception() is None
    person.press("record")
    person.see(lambda: [run.complete for run in read_runs(tmp_path / "runs")] == [True])
    person.press("record")
    person.press("record")  # off, before it was on
    person.see(lambda: not person.bar.recording._worker.busy)
    assert not person.bar.recording.is_on
    assert not person.button("record").isChecked()


def test_a_run_is_known_as_recorded_before_the_window_is_told_of_it(
    person: Person, engine: Any, scope: Any, tmp_path: Path
) -> None:
    person.press("record")
    person.see(lambda: person.bar.recording.is_on)
    # The window comes round to nothing meanwhile.
    (uid,) = engine(bp.count([scope.temperature])).outcome.result(30).run_start_uids
    person.press("record")
    assert person.bar.where(uid) == str(tmp_path / "runs")


def test_two_windows_do_not_write_one_run_into_one_folder(
    person: Person, bridge: Any, scope: Any, qtbot: Any, soon: Any, tmp_path: Path
) -> None:
    other = Person(bridge, scope, qtbot, soon, tmp_path / "runs")
    person.press("record")
    other.press("record")
    assert "another window records" in other.refused[-1]
    assert not other.button("record").isChecked()
    person.see(lambda: person.bar.recording.is_on)
    other.bar.destination = str(tmp_path / "elsewhere")
    other.press("record")
    person.see(lambda: other.bar.recording.is_on)
    future = bridge.run(bp.count([scope.temperature]))
    person.see(lambda: future.outcome.done())
    for folder in ("runs", "elsewhere"):
        person.see(lambda folder=folder: read_runs(tmp_path / folder)[0].complete)


def test_a_live_view_that_is_not_recorded_whole_is_told_of(
    person: Person, engine: Any, tmp_path: Path
) -> None:
    person.press("record")
    person.see(lambda: person.bar.recording.is_on)
    person.press("live")
    person.see(lambda: person.events and read_runs(tmp_path / "runs"))
    (run,) = read_runs(tmp_path / "runs")
    for file in (tmp_path / "runs").glob("*.jsonl"):
        file.unlink()  # frames are still being written beside it
    person.end_live()
    person.see(lambda: any("deleted meanwhile" in each for each in person.refused))
    figures = person.bar.findChild(QLabel, "recordingFigures")
    assert figures.text().startswith("not recorded whole: ")
    assert person.bar.recording.is_low
    assert person.bar.where(run.uid) == ""
    person.press("record")  # and it ends all the same
    person.see(lambda: not person.bar.recording.is_on and not person.bar.recording.is_ending)


def test_where_to_is_asked_without_blocking(person: Person, tmp_path: Path, qtbot: Any) -> None:
    menu = person.button("recordTo").menu()
    menu.actions()[0].trigger()
    dialog = person.bar.findChild(QFileDialog)
    assert not dialog.isModal()
    dialog.fileSelected.emit(str(tmp_path / "elsewhere"))
    dialog.reject()
    assert person.bar.destination == str(tmp_path / "elsewhere")
    assert person.button("recordTo").text() == "to elsewhere"
    menu.actions()[1].trigger()
    dialog = person.bar.findChild(QInputDialog)
    dialog.textValueSelected.emit("tiled://localhost:8000")
    dialog.reject()
    assert person.bar.destination == "tiled://localhost:8000"


def test_without_tiled_the_entry_says_what_to_install(
    bridge: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("freewheel.qt._runs._recording.find_spec", lambda _: None)
    assert "pip install 'freewheel[tiled]'" in why_no_tiled()
    bar = AcquisitionBar(bridge)
    qtbot.addWidget(bar)
    tiled = bar.findChild(QToolButton, "recordTo").menu().actions()[1]
    assert not tiled.isEnabled()
    assert "pip install" in tiled.text()


def test_stop_all_ends_the_live_view(person: Person, engine: Any) -> None:
    person.press("live")
    person.see(lambda: person.events)
    person.press("stop_all")
    person.see(lambda: not engine.background.running and engine.state == "idle")
    person.see(lambda: not person.button("live").isChecked())


@pytest.mark.parametrize("off", ["live", "stop_all"])
@pytest.mark.parametrize("then", ["record", "camera", "rate"])
def test_a_live_view_that_was_switched_off_stays_off_whatever_is_asked_for_next(
    person: Person, engine: Any, off: str, then: str
) -> None:
    if then == "record":
        person.press("record")
        person.see(lambda: person.bar.recording.is_on)
    person.press("live")
    person.see(lambda: person.events)
    (task,) = engine.background.running
    go_on = threading.Event()
    engine.loop.call_soon_threadsafe(go_on.wait, 30)  # as a device that blocks: it hears of it late
    try:
        person.press(off)
        if then == "record":
            person.press("record")
        elif then == "camera":
            person.bar.choose_cameras(["file_camera"])
        else:
            person.bar._set_rate(5.0)
    finally:
        go_on.set()
    person.see(lambda: task.status.ended and not person.button("live").isChecked())
    person.see(lambda: not person.bar.recording.is_on)
    assert not engine.background.running


@pytest.mark.parametrize("who", ["person", "program"])
def test_a_live_view_that_is_made_anew_stays_off_after_stop_all(
    person: Person, engine: Any, who: str
) -> None:
    person.press("live")
    person.see(lambda: person.events)
    person.bar._switch.between(lambda: None)  # as recording does when it begins, or ends
    if who == "person":
        person.press("stop_all")
    else:
        engine.stop_all().result(60)
    person.see(lambda: person.bar._switch._mine is None)
    person.see(lambda: not engine.background.running and engine.state == "idle")
    assert not person.button("live").isChecked()


def test_a_live_view_that_has_begun_anew_before_a_stop_of_all_was_heard_of_ends(
    person: Person, engine: Any
) -> None:
    person.press("live")
    person.see(lambda: person.events)
    # The program stops all when the old one has ended, and the new one has not begun.
    person.bar._switch.between(lambda: engine.stop_all().result(60))
    person.see(lambda: person.bar._switch._by_itself)
    person.see(lambda: not engine.background.running and person.bar._switch._mine is None)
    assert not person.button("live").isChecked()
    person.press("live")  # a person does
    person.see(lambda: person.bar._switch.is_running)
    person.bar.stop_live()
    person.see(lambda: not person.button("live").isChecked())


# -- an engine elsewhere ----------------------------------------------------------------------


@pytest.mark.skipif(not importlib.util.find_spec("uvicorn"), reason="needs the extra remote")
def test_of_an_engine_elsewhere_live_and_snap_work_and_recording_is_greyed(
    engine: Any, scope: Any, qtbot: Any, soon: Any, tmp_path: Path
) -> None:
    import freewheel.plans
    from freewheel.remote import EngineServer, TokenFile, connect

    tokens = TokenFile(tmp_path / "tokens.json")
    plans = [bp.count, freewheel.plans.live_view]
    with (
        EngineServer(engine, plans=plans, devices=scope, tokens=tokens, port=0) as server,
        connect(server.url, tokens.add("anna", "operator")) as anna,
    ):
        bridge = EngineBridge(anna)
        person = Person(bridge, anna.devices, qtbot, soon, tmp_path / "runs")
        assert not person.button("record").isEnabled()
        assert "its server records" in person.button("record").toolTip()
        person.press("live")
        person.see(lambda: len(person.events) > 2)
        person.see(lambda: "snap" in bridge.pending_actions())
        person.press("snap")
        person.see(lambda: person.bar.snaps.count == 1)
        person.end_live()
        person.see(lambda: person.button("snap").isEnabled())
        person.press("snap")
        person.see(lambda: person.bar.snaps.count == 2)
        bridge.close()


def test_long_words_move_nothing(person: Person) -> None:
    person.bar.resize(1400, 50)
    figures = person.bar.findChild(QLabel, "recordingFigures")
    place, room = person.button("record").pos(), figures.geometry()
    for name in ("snaps", "recordingFigures"):
        person.bar.findChild(QLabel, name).setText("recorded to a folder with a long name " * 5)
    person.bar.layout().activate()
    assert person.button("record").pos() == place
    assert figures.geometry() == room
    assert figures.isVisible()
