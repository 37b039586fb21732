"""Recording that is switched on and off, and elsewhere, while runs come."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from freewheel.qt._runs._recording import Recording


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
    assert switch.recording._session.target._folder == tmp_path / "b"


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
