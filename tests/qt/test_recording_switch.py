"""Recording that is switched on and off, and elsewhere, while runs come."""

import datetime
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from freewheel.qt import AcquisitionBar
from freewheel.qt._runs import _daily
from freewheel.qt._runs._recording import Recording
from freewheel.recording import read_runs


class Switch:
    """A recording, and runs that are made up; where they begin and end it is told."""

    def __init__(self, bridge: Any, qtbot: Any, soon: Any, parent: Any) -> None:
        self.held: list[Callable[[], object]] | None = None
        self.failures: list[BaseException] = []
        self.recording = Recording(bridge, parent, self._between)
        self.recording.failed.connect(self.failures.append)
        self.soon = soon

    def _between(self, act: Callable[[], object]) -> None:
        if self.held is None:
            act()
        else:
            self.held.append(act)

    def idle(self) -> None:
        self.soon(lambda: not self.recording._worker.busy)

    def sessions(self) -> list[Any]:
        return [each for each in (self.recording._session, *self.recording._left) if each]


@pytest.fixture(name="switch")
def _switch(bridge: Any, qtbot: Any, soon: Any, qapp: Any) -> Any:
    switch = Switch(bridge, qtbot, soon, qapp)
    yield switch
    switch.recording.end()
    switch.idle()
    switch.recording.deleteLater()


@pytest.mark.parametrize("undo", ["stop", "end"])
def test_what_nobody_wants_any_more_is_not_begun(switch: Switch, tmp_path: Path, undo: str) -> None:
    switch.held = []
    switch.recording.start(str(tmp_path / "a"))
    switch.soon(lambda: switch.held)
    getattr(switch.recording, undo)()
    for act in switch.held:
        act()
    switch.idle()
    assert not switch.recording.is_on
    assert not switch.sessions()


def test_the_last_of_two_wishes_counts(switch: Switch, tmp_path: Path) -> None:
    switch.recording.start(str(tmp_path / "a"))
    switch.recording.start(str(tmp_path / "b"))
    switch.soon(lambda: switch.recording.is_on)
    switch.idle()
    assert len(switch.sessions()) == 1
    assert switch.recording._session.target.sink.path == tmp_path / "b"


def test_a_run_under_way_is_recorded_where_it_began(switch: Switch, tmp_path: Path) -> None:
    switch.recording.start(str(tmp_path / "a"))
    switch.soon(lambda: switch.recording.is_on)
    gate = switch.recording._session.gate
    gate("start", {"uid": "one", "time": 1.0})
    assert switch.recording.place_of("one") == str(tmp_path / "a")
    switch.recording.stop()
    assert switch.recording.is_ending
    switch.recording.start(str(tmp_path / "b"))
    switch.soon(lambda: switch.recording.is_on)
    assert len(switch.sessions()) == 2
    end = {"uid": "end", "run_start": "one", "time": 2.0, "exit_status": "success"}
    gate("stop", {**end, "num_events": {}})
    switch.soon(lambda: len(switch.sessions()) == 1)
    switch.idle()
    assert b'"success"' in (tmp_path / "a" / "one.jsonl").read_bytes()
    assert not list((tmp_path / "b").glob("*.jsonl"))
    assert switch.recording.is_on
    assert not switch.failures
    assert switch.recording.place_of("one") == str(tmp_path / "a")


def test_a_run_that_the_window_hears_of_late_is_known_as_recorded(
    switch: Switch, tmp_path: Path, bridge: Any
) -> None:
    switch.recording.start(str(tmp_path))
    switch.soon(lambda: switch.recording.is_on)
    start = {"uid": "one", "time": time.time()}
    switch.recording._session.gate("start", start)
    switch.recording.stop()
    bridge.documentReceived.emit("start", start)
    assert switch.recording.place_of("one") == str(tmp_path)
    bridge.documentReceived.emit("start", {"uid": "two", "time": time.time()})
    assert switch.recording.place_of("two") == ""


def at(day: int, hour: int) -> float:
    return datetime.datetime(2024, 5, day, hour, 30).timestamp()


def test_each_run_goes_to_the_folder_of_the_day_on_which_it_begins(
    switch: Switch, tmp_path: Path, bridge: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_daily, "today", lambda: datetime.date(2024, 5, 1))
    switch.recording.start(str(tmp_path / "{date}" / "beads"))
    switch.soon(lambda: switch.recording.is_on)
    gate = switch.recording._session.gate
    gate("start", {"uid": "late", "time": at(1, 23)})
    early = {"uid": "early", "time": at(2, 0)}
    gate("start", early)
    keys = {"x": {"source": "sim", "dtype": "number", "shape": []}}
    for run in ("late", "early"):
        end = {"uid": f"{run}!", "run_start": run, "exit_status": "success", "reason": ""}
        about = {"uid": f"{run}?", "run_start": run, "name": "primary", "data_keys": keys}
        event = {"uid": f"{run}.", "descriptor": f"{run}?", "seq_num": 1, "time": at(2, 1)}
        gate.take_batch(
            [
                ("descriptor", {**about, "time": at(2, 1)}),
                ("event", {**event, "data": {"x": 1.0}, "timestamps": {"x": 1.0}}),
                ("stop", {**end, "time": at(2, 1), "num_events": {"primary": 1}}),
            ]
        )
    for run, day in (("late", "2024-05-01"), ("early", "2024-05-02")):
        folder = tmp_path / day / "beads"
        assert [found.uid for found in read_runs(folder)] == [run]
        assert read_runs(folder)[0].problem is None
        assert switch.recording.place_of(run) == str(folder)
    switch.recording._look()
    switch.idle()
    assert "free" in switch.recording.figures
    assert not switch.failures


def test_a_run_whose_day_has_no_folder_is_told_of_and_takes_no_other_with_it(
    switch: Switch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_daily, "today", lambda: datetime.date(2024, 5, 1))
    switch.recording.start(str(tmp_path / "{date}"))
    switch.soon(lambda: switch.recording.is_on)
    (tmp_path / "2024-05-02").write_text("no folder")
    gate = switch.recording._session.gate
    gate("start", {"uid": "late", "time": at(1, 23)})
    with pytest.raises(Exception, match="cannot record here"):
        gate("start", {"uid": "early", "time": at(2, 0)})
    switch.soon(lambda: switch.failures)
    assert switch.recording.place_of("early") == ""
    end = {"uid": "end", "run_start": "late", "time": at(2, 1), "exit_status": "success"}
    gate("stop", {**end, "reason": "", "num_events": {}})
    assert [run.uid for run in read_runs(tmp_path / "2024-05-01")] == ["late"]


def test_a_window_that_is_open_at_midnight_records_to_the_new_day(
    bridge: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_daily, "today", lambda: datetime.date(2024, 5, 1))
    bar = AcquisitionBar(bridge, {})
    qtbot.addWidget(bar)
    assert Path(bar.destination).name == "2024-05-01"
    monkeypatch.setattr(_daily, "today", lambda: datetime.date(2024, 5, 2))
    assert Path(bar.destination).name == "2024-05-02"
    button = bar._to
    assert button.text() == "to today's folder"
    bar.destination = "/lab/beads"
    assert (bar.destination, button.text()) == ("/lab/beads", "to beads")
    button.menu().actions()[2].trigger()
    assert Path(bar.destination).name == "2024-05-02"
