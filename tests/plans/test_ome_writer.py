"""Frames of mda, written by ome-writers and read back by other programs."""

# ruff: noqa: N803

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import useq
import zarr
from bluesky.plans import count
from ophyd_async.core import soft_signal_rw

from freewheel.plans import MDADevices, OmeWriter, mda
from freewheel.sim import SimCamera
from freewheel.testing import DocumentLog

if TYPE_CHECKING:
    from pathlib import Path

    from freewheel import RunEngine

pytestmark = pytest.mark.leaks("zarr reads on a loop of its own, which it keeps")
WAIT = 60
SEQUENCE = useq.MDASequence(
    time_plan={"interval": 0, "loops": 2}, z_plan={"range": 2, "step": 1}, axis_order="tz"
)


@pytest.fixture
def scope(RE: RunEngine) -> MDADevices:
    camera = SimCamera("camera", shape=(32, 48), exposure=0, readout=0)
    z = soft_signal_rw(float, name="z")

    async def connect() -> None:
        await camera.connect()
        await z.connect()

    asyncio.run_coroutine_threadsafe(connect(), RE.loop).result(WAIT)
    return MDADevices(camera=camera, z=z, readables=[z])


@pytest.fixture
def documents(RE: RunEngine) -> DocumentLog:
    log = DocumentLog()
    RE.subscribe(log)
    return log


def test_ome_zarr(RE: RunEngine, scope, documents, tmp_path: Path):
    RE.subscribe(OmeWriter(tmp_path / "stack.ome.zarr", pixel_size=0.5), delivery="queued")
    RE(mda(SEQUENCE, scope)).result(WAIT)
    group = zarr.open_group(tmp_path / "stack.ome.zarr", mode="r")
    pixels = np.asarray(group["0"])
    frames = documents.data("camera-image")
    assert pixels.shape == (2, 3, 32, 48)
    assert (pixels == np.reshape(frames, pixels.shape)).all()
    (scales,) = group.attrs["ome"]["multiscales"]
    assert [axis["name"] for axis in scales["axes"]] == ["t", "z", "y", "x"]
    assert scales["datasets"][0]["coordinateTransformations"][0]["scale"][2:] == [0.5, 0.5]


def test_ome_tiff(RE: RunEngine, scope, documents, tmp_path: Path):
    RE.subscribe(OmeWriter(tmp_path / "stack.ome.tiff"), delivery="queued")
    RE(mda(SEQUENCE, scope)).result(WAIT)
    pixels = tifffile.imread(tmp_path / "stack.ome.tiff")
    assert (pixels == np.reshape(documents.data("camera-image"), pixels.shape)).all()
    assert pixels.shape == (2, 3, 32, 48)


def test_what_was_skipped_stays_empty(RE: RunEngine, scope, documents, tmp_path: Path):
    def skip(name: str, doc: Any) -> None:
        if name == "event" and doc["seq_num"] == 1:
            RE.trigger_action("skip")

    RE.subscribe(skip)
    RE.subscribe(OmeWriter(tmp_path / "stack.ome.zarr"))
    RE(mda(SEQUENCE, scope)).result(WAIT)
    pixels = np.asarray(zarr.open_group(tmp_path / "stack.ome.zarr", mode="r")["0"])
    frames = documents.data("camera-image")
    assert len(frames) == 4
    assert (pixels[0, 0] == frames[0]).all()
    assert not pixels[0, 1:].any()
    assert (pixels[1] == frames[1:]).all()


def test_a_sequence_that_is_no_regular_array(RE: RunEngine, scope, documents, tmp_path: Path):
    sequence = useq.MDASequence(
        stage_positions=[{"z": 0}, {"z": 5, "sequence": {"z_plan": {"range": 2, "step": 1}}}]
    )
    RE.subscribe(OmeWriter(tmp_path / "ragged.ome.zarr"))
    RE(mda(sequence, scope)).result(WAIT)
    pixels = np.asarray(zarr.open_group(tmp_path / "ragged.ome.zarr", mode="r")["0"])
    assert (pixels == documents.data("camera-image")).all()
    assert len(pixels) == 4


def test_it_leaves_other_runs_alone_and_keeps_what_is_there(RE: RunEngine, scope, tmp_path: Path):
    target = tmp_path / "stack.ome.zarr"
    token = RE.subscribe(OmeWriter(target))
    RE(count([scope.camera])).result(WAIT)
    assert not target.exists()
    RE.unsubscribe(token)
    target.mkdir()
    RE.subscribe(OmeWriter(target))
    error = RE(mda(SEQUENCE, scope)).exception(WAIT)
    assert isinstance(error, FileExistsError)
    assert "stack.ome.zarr is there already: give another path, or overwrite=True" in str(error)


def test_a_run_whose_keys_have_another_name(RE: RunEngine, scope, documents, tmp_path: Path):
    RE.subscribe(OmeWriter(tmp_path / "stack.ome.zarr"))
    RE(mda(SEQUENCE, scope, name="stack")).result(WAIT)
    pixels = np.asarray(zarr.open_group(tmp_path / "stack.ome.zarr", mode="r")["0"])
    assert (pixels == np.reshape(documents.data("camera-image"), pixels.shape)).all()


@pytest.mark.parametrize("name", ["stack", "stack.ome", "stack.h5"])
def test_a_path_of_another_kind_is_refused(name: str):
    with pytest.raises(ValueError, match=rf"{name} is to end with \.ome\.zarr or \.ome\.tiff"):
        OmeWriter(name)


def test_a_second_run_is_not_lost_in_silence(RE: RunEngine, scope, tmp_path: Path, caplog):
    RE.subscribe(OmeWriter(tmp_path / "stack.ome.zarr"))
    RE(mda(SEQUENCE, scope)).result(WAIT)
    assert not caplog.records
    RE(mda(SEQUENCE, scope)).result(WAIT)
    assert "stack.ome.zarr has one sequence in it; run" in caplog.text
