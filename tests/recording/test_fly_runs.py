"""What fly scans wrote, read by bluesky's consolidators, Tiled, recordings and replays."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import h5py
import numpy as np
import pytest
from bluesky.consolidators import consolidator_factory
from bluesky.utils import RunEngineInterrupted

from flying import Account, Bench, pause
from freewheel import RunEngine
from freewheel.cli import main
from freewheel.plans import fly_count
from freewheel.recording import (
    NewestFrames,
    Recorder,
    TiledRecorder,
    read_runs,
    read_tiled_runs,
    replay,
    replay_devices,
    replay_plan,
    tiled_server,
)

Story = Callable[[Bench, Any], None]

NUM = 120


def count(bench: Bench) -> Any:
    return fly_count([bench.scope.file_camera], NUM, period=0.004, collect_every=0.02)


def scan(bench: Bench) -> Any:
    return bench.scan(NUM, 0.004)


def grid(bench: Bench) -> Any:
    return bench.grid(3, 40, 0.004)


def flown(bench: Bench, plan: Any) -> None:
    assert bench.engine(plan).result(60).plan_result.points == NUM


def paused_twice(bench: Bench, plan: Any) -> None:
    future = bench.engine(plan)
    for index in (20, 60):
        bench.account.wait_for_index(index)
        if pause(bench.engine):
            bench.engine.resume()
    assert future.outcome.result(60).plan_result.points == NUM


def stopped(bench: Bench, plan: Any) -> None:
    bench.account.at_index(20, bench.engine.stop, wait=False)
    assert bench.engine(plan).outcome.result(60).interrupted


def stopped_while_paused(bench: Bench, plan: Any) -> None:
    bench.account.at_index(20, bench.engine.request_pause, wait=False)
    future = bench.engine(plan)
    with pytest.raises(RunEngineInterrupted):
        future.result(60)
    assert bench.engine.state == "paused"
    bench.engine.stop().result(30)
    future.outcome.result(30)


PLANS = [count, scan, grid]
STORIES = [flown, paused_twice, stopped, stopped_while_paused]
every_plan = pytest.mark.parametrize("make", PLANS, ids=lambda plan: plan.__name__)
every_story = pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)


@pytest.fixture
def bench(engine: RunEngine, tmp_path: Path) -> Bench:
    return Bench(engine, tmp_path / "files")


def files_of(documents: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return what is in the files, by data key."""
    found = {}
    for name, doc in documents:
        if name == "stream_resource":
            with h5py.File(urlparse(doc["uri"]).path) as file:
                found[doc["data_key"]] = file[doc["parameters"]["dataset"]][()]
    return found


def assert_same_data(read: dict[str, Any], documents: list[tuple[str, Any]]) -> None:
    written = files_of(documents)
    assert written
    assert read.keys() == written.keys()
    for key, values in written.items():
        assert len(values) >= 20
        np.testing.assert_array_equal(read[key].reshape(values.shape), values)


@every_plan
@every_story
def test_consolidators_find_in_the_files_what_the_documents_say(
    bench: Bench, make: Any, story: Story
) -> None:
    story(bench, make(bench))
    descriptors = {doc["uid"]: doc for doc in bench.account.named("descriptor")}
    (descriptor,) = descriptors.values()
    consolidators = {
        doc["uid"]: consolidator_factory(doc, descriptor)
        for doc in bench.account.named("stream_resource")
    }
    for doc in bench.account.named("stream_datum"):
        consolidators[doc["stream_resource"]].consume_stream_datum(doc)
    read = {}
    for consolidator in consolidators.values():
        assert not consolidator.has_skips
        consolidator.validate()  # shape, chunks and type as the file has them
        read[consolidator.data_key] = np.asarray(consolidator.get_adapter().read())
    assert_same_data(read, bench.account.docs)


@every_plan
@every_story
def test_recorded_and_replayed(
    bench: Bench, make: Any, story: Story, tmp_path: Path, equal_documents: Any
) -> None:
    engine = bench.engine
    with Recorder(tmp_path / "recording") as recorder:
        token = engine.subscribe(recorder, delivery="queued")
        story(bench, make(bench))
        engine.unsubscribe(token)
    emitted = list(bench.account.docs)
    (run,) = read_runs(tmp_path / "recording")
    assert run.complete
    assert run.verify() == ()
    equal_documents(run.documents(), emitted)
    equal_documents(replay(run, speed=math.inf), emitted)
    bench.fresh()
    engine(replay_plan(run, speed=math.inf)).result(30)
    equal_documents(bench.account.docs, emitted)


@every_plan
def test_flown_again_on_replayed_devices(bench: Bench, make: Any, tmp_path: Path) -> None:
    engine = bench.engine
    with Recorder(tmp_path / "recording") as recorder:
        token = engine.subscribe(recorder, delivery="queued")
        paused_twice(bench, make(bench))
        engine.unsubscribe(token)
    recorded = bench.account.covered()
    (run,) = read_runs(tmp_path / "recording")
    bench.fresh()
    devices = replay_devices(run, speed=math.inf)
    engine(fly_count([*devices.values()], NUM)).result(30)
    assert bench.account.covered() == recorded


def test_replayed_by_the_command(
    bench: Bench,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    path = tmp_path / "recording"
    with Recorder(path) as recorder:
        token = bench.engine.subscribe(recorder, delivery="queued")
        paused_twice(bench, scan(bench))
        bench.engine.unsubscribe(token)
    assert main(["replay", str(path), "--speed", "inf"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[14:].split()[0] for line in lines] == [name for name, _ in bench.account.docs]
    assert "stop" in lines[-1]


def test_the_newest_frames_of_a_replay(bench: Bench, tmp_path: Path) -> None:
    shown: list[Any] = []

    def show(name: str, doc: Any) -> None:
        if name == "event":
            shown.append((doc["seq_num"], doc["data"]))

    with Recorder(tmp_path / "recording") as recorder:
        token = bench.engine.subscribe(recorder, delivery="queued")
        flown(bench, scan(bench))
        bench.engine.unsubscribe(token)
    frames = bench.account.read("file_camera")
    (run,) = read_runs(tmp_path / "recording")
    newest = NewestFrames(show, external=True, rate=10_000)
    bench.engine(replay_plan(run), newest).result(30)
    assert len(shown) > 3
    for number, data in shown:
        np.testing.assert_array_equal(data["file_camera"], frames[number - 1])
        assert data["stage-recorder-x"] == pytest.approx((number - 1) * 30 / (NUM - 1), abs=1e-3)


# -- Tiled ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    pytest.importorskip("tiled.server")
    with tiled_server(tmp_path_factory.mktemp("tiled")) as running:
        yield running


@pytest.mark.servers
@every_plan
@every_story
def test_tiled_reads_what_was_flown(
    engine: RunEngine, server: Any, make: Any, story: Story, tmp_path_factory: Any
) -> None:
    from tiled.client import from_uri

    bench = Bench(engine, server.directory / "files")
    with TiledRecorder(server.uri, arrays=server.directory / "arrays") as recorder:
        token = engine.subscribe(recorder, delivery="queued")
        story(bench, make(bench))
        engine.unsubscribe(token)
    documents = list(bench.account.docs)
    uid = documents[0][1]["uid"]
    client = from_uri(server.uri)
    stream = client[uid]["primary"].base
    read = {key: np.asarray(stream[key].read()) for key in files_of(documents)}
    client.context.close()
    assert_same_data(read, documents)
    (run,) = [run for run in read_tiled_runs(server.uri) if run.uid == uid]
    assert run.complete
    bench.fresh()
    engine(replay_plan(run, speed=math.inf)).result(30)
    assert bench.account.covered() == covered(documents)


def covered(documents: list[tuple[str, Any]]) -> dict[str, int]:
    account = Account()
    account.docs = documents
    return account.covered()
