"""The newest frame of files that are being written, for displays."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

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
    assert screen.some.wait(30)
    assert not future.done()
    future.result(30)
    engine.unsubscribe(token)
    # A display is not waited for, but what it was given before it was taken away is delivered.
    for thread in threading.enumerate():
        if thread.name == "freewheel-documents-NewestFrames":
            thread.join(30)
    assert [name for name, _ in screen.docs][:2] == ["start", "descriptor"]
    assert screen.docs[-1][0] == "stop"
    numbers = [event["seq_num"] for event in screen.events]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == 400
    last = screen.events[-1]["data"]
    assert last["file_camera"].shape == (32, 40)
    assert last["file_camera"].dtype == np.uint16
    assert last["file_camera"].max() > 0
    assert last["stage-recorder-x"] == pytest.approx(40, abs=1e-3)
    for event in screen.events:
        place = (event["seq_num"] - 1) * 40 / 399
        assert event["data"]["stage-recorder-x"] == pytest.approx(place, abs=1e-3)


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
