"""The newest frame of files that are being written, for displays."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from freewheel import RunEngine
from freewheel.plans import fly_count, fly_scan
from freewheel.recording import NewestFrames
from freewheel.sim import microscope


class Screen:
    """What a display is shown, and when the first frame has come."""

    def __init__(self) -> None:
        self.docs: list[tuple[str, Any]] = []
        self.some = threading.Event()

    def __call__(self, name: str, doc: Any) -> None:
        self.docs.append((name, doc))
        if name == "event":
            self.some.set()

    @property
    def events(self) -> list[Any]:
        return [doc for name, doc in self.docs if name == "event"]


def test_frames_are_shown_while_they_are_written(engine: RunEngine, tmp_path: Path) -> None:
    scope = microscope(shape=(32, 40), exposure=0.001, directory=tmp_path)
    stage, screen = scope.stage, Screen()
    in_time: list[bool] = []

    def wait_for_the_screen(name: str, doc: Any) -> None:
        """Not be over before it has shown something: it is waited for nowhere else."""
        if name == "stream_datum" and doc["indices"]["stop"] > 200 and not in_time:
            in_time.append(screen.some.wait(30))

    engine.subscribe(wait_for_the_screen)
    token = engine.subscribe(NewestFrames(screen), delivery="latest")
    future = engine(
        fly_scan(
            [scope.file_camera, stage.recorder],
            *(stage.x, 0, 40),
            num=400,
            period=0.002,
            flyers=[stage.triggers, stage.trajectory],
            collect_every=0.02,
        )
    )
    future.result(60)
    assert in_time == [True]
    engine.unsubscribe(token)
    # A display is not waited for, but what it was given before it was taken away is delivered.
    for thread in threading.enumerate():
        if thread.name == "freewheel-documents-NewestFrames":
            thread.join(30)
    assert [name for name, _ in screen.docs][:2] == ["start", "descriptor"]
    assert screen.docs[-1][0] == "stop"
    for key in ("file_camera", "stage-recorder-x"):
        numbers = [event["seq_num"] for event in screen.events if key in event["data"]]
        assert numbers == sorted(numbers)
        assert numbers[-1] == 400
    last = screen.events[-1]["data"]
    assert last["file_camera"].shape == (32, 40)
    assert last["file_camera"].dtype == np.uint16
    assert last["file_camera"].max() > 0
    assert last["stage-recorder-x"] == pytest.approx(40, abs=1e-3)
    both = [event for event in screen.events if "stage-recorder-x" in event["data"]]
    for event in both:
        place = (event["seq_num"] - 1) * 40 / 399
        assert event["data"]["stage-recorder-x"] == pytest.approx(place, abs=1e-3)


def test_a_folder_with_an_escape_in_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "a%20b"
    folder.mkdir()
    with h5py.File(folder / "x.h5", "w", libver="latest") as file:
        file["data"] = np.arange(3.0)
    resource = {
        "uid": "resource",
        "data_key": "x",
        "mimetype": "application/x-hdf5",
        "uri": (folder / "x.h5").as_uri(),
        "parameters": {"dataset": "data"},
        "run_start": "run",
    }
    datum = {
        "uid": "datum",
        "descriptor": "descriptor",
        "stream_resource": "resource",
        "indices": {"start": 0, "stop": 3},
        "seq_nums": {"start": 1, "stop": 4},
    }
    screen = Screen()
    newest = NewestFrames(screen)
    newest("stream_resource", resource)
    newest("stream_datum", datum)
    newest("stop", {"run_start": "run"})
    assert [event["data"] for event in screen.events] == [{"x": 2.0}]


def test_only_what_is_in_files(engine: RunEngine, tmp_path: Path) -> None:
    scope = microscope(shape=(8, 8), exposure=0.001, directory=tmp_path)
    screen = Screen()
    newest = NewestFrames(screen, external=True)
    engine(fly_count([scope.file_camera], 5), newest).result(30)
    assert {name for name, _ in screen.docs} == {"event"}
    assert screen.events[-1]["seq_num"] == 5


def test_what_cannot_be_read_is_not_shown(tmp_path: Path) -> None:
    screen = Screen()
    newest = NewestFrames(screen)
    resource = {
        "uid": "r",
        "data_key": "camera",
        "mimetype": "application/x-hdf5",
        "uri": f"file://localhost{tmp_path}/nowhere.h5",
        "parameters": {"dataset": "/data"},
        "run_start": "run",
    }
    datum = {
        "stream_resource": "r",
        "descriptor": "d",
        "indices": {"start": 0, "stop": 1},
        "seq_nums": {"start": 1, "stop": 2},
    }
    newest("stream_resource", resource)
    newest("stream_resource", {**resource, "uid": "t", "mimetype": "multipart/related;type=tiff"})
    newest("stream_datum", datum)
    newest("stream_datum", {**datum, "stream_resource": "t"})
    newest("stop", {"run_start": "run"})
    assert [name for name, _ in screen.docs] == ["stop"]
    with pytest.raises(ValueError, match="rate above zero"):
        NewestFrames(screen, rate=0)


class Writer:
    """A detector's file, and the documents of it: pictures and, beside them, numbers."""

    def __init__(self, path: Path, *, rows: int = 1) -> None:
        self.file = h5py.File(path, "w", libver="latest")
        picture = (0, 4, 6), (None, 4, 6), (1, 2, 6)
        self.pictures = self._make("picture", np.uint16, *picture)
        self.numbers = self._make("number", np.float64, (0,), (None,), (64,))
        self.file.swmr_mode = True
        self.rows = rows  # of an event
        self.uri = f"file://localhost{path}"

    def _make(self, name: str, dtype: Any, shape: Any, most: Any, chunks: Any) -> Any:
        return self.file.create_dataset(name, shape, dtype, maxshape=most, chunks=chunks)

    def write(self, events: int, *, room: int = 0) -> None:
        """Write events, and make room for more."""
        for data in (self.pictures, self.numbers):
            begin = len(data)
            data.resize(begin + events * self.rows + room, axis=0)
            for row in range(begin, begin + events * self.rows):
                data[row] = row + 1
            data.flush()

    def begin(self, newest: NewestFrames) -> None:
        keys = {
            "picture": {"shape": [self.rows, 4, 6], "external": "STREAM:"},
            "number": {"shape": [self.rows], "external": "STREAM:"},
        }
        newest("start", {"uid": "run"})
        newest("descriptor", {"uid": "d", "run_start": "run", "data_keys": keys})
        for key in keys:
            resource = {"uid": key, "data_key": key, "mimetype": "application/x-hdf5"}
            parameters = {"dataset": f"/{key}"}
            more = {"uri": self.uri, "parameters": parameters, "run_start": "run"}
            newest("stream_resource", {**resource, **more})

    def tell(self, newest: NewestFrames, events: int) -> None:
        """Have the documents tell of so many events."""
        for key in ("picture", "number"):
            indices = {"start": 0, "stop": events}
            numbers = {"start": 1, "stop": events + 1}
            datum = {"stream_resource": key, "descriptor": "d"}
            newest("stream_datum", {**datum, "indices": indices, "seq_nums": numbers})


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    writer = Writer(tmp_path / "file.h5")
    yield writer
    writer.file.close()


class Wall:
    """What is shown, by number of event and keys; waited for."""

    def __init__(self) -> None:
        self.condition = threading.Condition()
        self.shown: list[tuple[int, dict[str, float]]] = []

    def __call__(self, name: str, doc: Any) -> None:
        if name == "event":
            values = {key: float(np.max(value)) for key, value in doc["data"].items()}
            with self.condition:
                self.shown.append((doc["seq_num"], values))
                self.condition.notify_all()

    def wait_for(self, number: int, values: dict[str, float]) -> None:
        with self.condition:
            assert self.condition.wait_for(lambda: (number, values) in self.shown, timeout=30), (
                self.shown
            )


def wait_for_no_reader() -> None:
    for thread in threading.enumerate():
        if thread.name == "freewheel-newest-frames":
            thread.join(30)
            assert not thread.is_alive()


def test_pictures_come_between_documents(writer: Writer) -> None:
    wall = Wall()
    newest = NewestFrames(wall, rate=10_000)
    writer.begin(newest)
    writer.write(3)
    writer.tell(newest, 3)
    assert wall.shown == [(3, {"picture": 3.0, "number": 3.0})]
    writer.write(4)
    wall.wait_for(7, {"picture": 7.0})
    # A picture never goes back; numbers are as the documents have them.
    writer.tell(newest, 5)
    wall.wait_for(5, {"number": 5.0})
    newest("stop", {"run_start": "run"})
    wait_for_no_reader()
    writer.write(1)
    assert max(number for number, _ in wall.shown) == 7


def test_what_a_document_told_of_too_early_is_shown_at_the_end(writer: Writer) -> None:
    wall = Wall()
    newest = NewestFrames(wall, rate=10_000)
    writer.begin(newest)
    writer.write(3)
    writer.tell(newest, 5)  # the file's reader does not see them yet
    assert wall.shown == []
    writer.write(2)
    newest("stop", {"run_start": "run"})
    assert {"number": 5.0}.items() <= wall.shown[-1][1].items()


def test_no_picture_is_shown_that_was_not_written(writer: Writer) -> None:
    newest = NewestFrames(Wall())
    writer.begin(newest)
    writer.write(3, room=20)
    picture, number = (newest._sources[key] for key in ("picture", "number"))
    assert picture.written() == 0  # it has not grown yet: it may be that of a replay
    writer.pictures[3] = 4
    writer.pictures.flush()
    assert picture.written() == 4
    assert number.written() == 0  # cannot be told
    assert picture.tells
    assert not number.tells
    newest("stop", {"run_start": "run"})


def test_a_replay_shows_frame_by_frame(writer: Writer) -> None:
    wall = Wall()
    newest = NewestFrames(wall, rate=10_000)
    writer.write(50)
    writer.begin(newest)
    looked = threading.Event()
    look = newest.look
    newest.look = lambda reader: (look(reader), looked.set())[0]
    for events in (1, 2, 3):
        writer.tell(newest, events)
        looked.clear()
        assert looked.wait(30)
        wall.wait_for(events, {"picture": events, "number": events})
    newest("stop", {"run_start": "run"})
    assert [number for number, _ in wall.shown] == [1, 2, 3]


def test_an_event_may_have_several_pictures(tmp_path: Path) -> None:
    writer, wall = Writer(tmp_path / "file.h5", rows=3), Wall()
    newest = NewestFrames(wall, rate=10_000)
    writer.begin(newest)
    writer.write(2)
    writer.tell(newest, 2)
    assert wall.shown == [(2, {"picture": 6.0, "number": 6.0})]
    writer.write(2)
    wall.wait_for(4, {"picture": 12.0})
    newest("stop", {"run_start": "run"})
    writer.file.close()


def test_a_file_in_which_nothing_comes_is_left_alone(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("freewheel.recording._newest._PATIENCE", 0.0)
    wall = Wall()
    newest = NewestFrames(wall, rate=10_000)
    writer.begin(newest)
    writer.write(1)
    writer.tell(newest, 1)
    wait_for_no_reader()  # a scan that is paused costs nothing
    monkeypatch.undo()
    writer.write(1)
    writer.tell(newest, 2)
    writer.write(1)
    wall.wait_for(3, {"picture": 3.0})
    del newest  # whoever is not subscribed any more
    wait_for_no_reader()


def test_a_display_that_raises_is_told_of(writer: Writer, caplog: pytest.LogCaptureFixture) -> None:
    def show(name: str, doc: Any) -> None:
        if name == "event" and doc["seq_num"] > 1:
            raise ZeroDivisionError

    newest = NewestFrames(show, rate=10_000)
    writer.begin(newest)
    writer.write(1)
    writer.tell(newest, 1)
    writer.write(1)
    wait_for_no_reader()
    assert "A display of frames raised" in caplog.text
    newest("stop", {"run_start": "run"})
