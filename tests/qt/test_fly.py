"""Scans that hardware runs by itself, in the window while they run."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import h5py
import numpy as np
import pytest

from freewheel.plans import fly_count, fly_scan
from freewheel.qt import EngineBridge, LiveImage, LivePlot
from freewheel.qt._link._feed import Feed
from freewheel.sim import Microscope, microscope


@pytest.fixture
def flying(tmp_path: Path) -> Microscope:
    return microscope(shape=(96, 128), exposure=0.001, directory=tmp_path)


def scan(scope: Microscope, num: int, period: float = 0.004) -> Any:
    stage = scope.stage
    return fly_scan(
        *([scope.file_camera, stage.recorder], stage.x, 0, 20),
        num=num,
        period=period,
        exposure=0.001,
        flyers=[stage.triggers, stage.trajectory],
    )


class Picture:
    """A live image on the screen, and what it has shown."""

    def __init__(self, bridge: EngineBridge, qtbot: Any) -> None:
        self.image = LiveImage(bridge)
        self.shown: list[Any] = []
        self.resources: list[Any] = []
        self.image.frameShown.connect(self.shown.append)
        bridge.documentReceived.connect(self._note)
        qtbot.addWidget(self.image)
        self.image.show()

    def _note(self, name: str, doc: Any) -> None:
        if name == "stream_resource":
            self.resources.append(doc)

    @property
    def numbers(self) -> list[int]:
        return [doc["seq_num"] for doc in self.shown]

    def last_in_file(self) -> Any:
        doc = next(each for each in self.resources if each["data_key"] == "file_camera")
        with h5py.File(urlparse(doc["uri"]).path) as file:
            return file[doc["parameters"]["dataset"]][-1]


def test_frames_are_shown_while_they_are_written(
    bridge: Any, flying: Microscope, qtbot: Any, soon: Any
) -> None:
    picture, plot = Picture(bridge, qtbot), LivePlot(bridge, "stage-recorder-x")
    qtbot.addWidget(plot)
    shown_at_the_end: list[int] = []
    bridge.planEnded.connect(lambda _: shown_at_the_end.append(len(picture.shown)))
    future = bridge.run(scan(flying, 400))
    soon(lambda: shown_at_the_end)
    future.result()
    assert shown_at_the_end[0] > 1
    assert picture.image.frame.max() > 0
    soon(lambda: picture.numbers[-1] == 400)
    assert picture.numbers == sorted(picture.numbers)
    np.testing.assert_array_equal(picture.image.frame, picture.last_in_file())
    # Pictures alone add no point, and the numbers are those of their points.
    soon(lambda: plot.points[1, -1] == pytest.approx(20, abs=1e-3))
    assert np.isfinite(plot.points).all()


def test_numbers_in_files_can_be_plotted(
    bridge: Any, flying: Microscope, qtbot: Any, soon: Any
) -> None:
    plot = LivePlot(bridge)
    qtbot.addWidget(plot)
    bridge.run(scan(flying, 50))
    # What the recorder hints at comes first, and not its clock.
    soon(lambda: plot.points.size)
    assert plot.choices == ("stage-recorder-x", "stage-recorder-y", "stage-recorder-time")
    assert plot.points[1].max() <= 20.1


def test_the_picture_goes_on_after_a_pause(
    bridge: Any, flying: Microscope, qtbot: Any, soon: Any
) -> None:
    picture = Picture(bridge, qtbot)
    asked: list[Any] = []

    def pause(name: str, doc: Any) -> None:  # on the engine's thread: the window may be too late
        if name == "stream_datum" and doc["indices"]["stop"] >= 50 and not asked:
            asked.append(bridge.engine.request_pause())

    bridge.engine.subscribe(pause)
    future = bridge.run(scan(flying, 300))
    soon(lambda: bridge.engine.state == "paused")
    taken = flying.file_camera._acquisition.file._count
    soon(lambda: picture.numbers[-1:] == [taken])  # what was taken last is on the screen
    bridge.resume()
    soon(lambda: future.outcome.done() and picture.numbers[-1] == 300)
    assert picture.numbers == sorted(picture.numbers)


def test_a_live_view_on_the_camera_s_own_clock(
    bridge: Any, flying: Microscope, qtbot: Any, soon: Any
) -> None:
    picture = Picture(bridge, qtbot)
    future = bridge.run(fly_count([flying.file_camera], 200, period=0.004))
    soon(lambda: future.done() and picture.numbers and picture.numbers[-1] == 200)
    assert len(set(picture.numbers)) > 5
    np.testing.assert_array_equal(picture.image.frame, picture.last_in_file())


def test_a_picture_alone_replaces_none_that_comes_with_numbers(qapp: Any, soon: Any) -> None:
    got: list[Any] = []
    feed = Feed(lambda kind, arguments: got.append(arguments[1]))
    frame = np.zeros((200, 200), np.uint16)
    for number, more in ((1, {"x": 1.0}), (2, {}), (3, {}), (4, {"x": 4.0}), (5, {})):
        doc = {"descriptor": "d", "seq_num": number, "data": {"image": frame, **more}}
        feed.put_document("event", doc)
    soon(lambda: got)
    assert [(doc["seq_num"], *doc["data"]) for doc in got] == [
        (1, "image", "x"),  # the first of each kind keeps its picture
        (3, "image"),
        (4, "image", "x"),
        (5, "image"),
    ]


def test_points_that_come_after_the_end_are_plotted(bridge: Any, qtbot: Any, soon: Any) -> None:
    plot = LivePlot(bridge)
    qtbot.addWidget(plot)
    tell = bridge.documentReceived.emit
    keys = {"x": {"dtype": "number", "shape": [], "source": "test"}}
    event = {"descriptor": "d", "timestamps": {}}
    tell("start", {"uid": "run", "time": 0.0})
    tell("descriptor", {"uid": "d", "run_start": "run", "name": "primary", "data_keys": keys})
    tell("event", {**event, "seq_num": 1, "time": 1.0, "data": {"x": 1.0}})
    tell("stop", {"uid": "stop", "run_start": "run", "exit_status": "success"})
    tell("event", {**event, "seq_num": 2, "time": 2.0, "data": {"x": 2.0}})
    soon(lambda: plot.points.shape[1] == 2)
    assert plot.points[1, -1] == 2.0
