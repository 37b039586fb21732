"""Recording into Tiled, reading from it."""

from __future__ import annotations

import gc
import math

import bluesky.plans as bp
import numpy as np
import pytest

from freewheel.recording import (
    NotARecordingError,
    Recorder,
    RecordingError,
    TiledConnectionError,
    TiledRecorder,
    read_runs,
    read_tiled_runs,
    replay,
    replay_devices,
    tiled_server,
)

pytest.importorskip("tiled.server")
pytestmark = [
    pytest.mark.servers,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with tiled_server(tmp_path_factory.mktemp("tiled")) as running:
        yield running


@pytest.fixture(autouse=True)
def one_attempt():
    """Tiled's client tries for half a minute before it believes that a server is gone."""
    stamina = pytest.importorskip("stamina")
    stamina.set_testing(True, attempts=1)
    yield
    stamina.set_testing(False)


@pytest.fixture
def client(server):
    """Tiled's own client."""
    from tiled.client import from_uri

    made = from_uri(server.uri)
    yield made
    made.context.close()


def record_into(engine, server, plan):
    documents = []
    collector = engine.subscribe(lambda name, doc: documents.append((name, doc)))
    with TiledRecorder(server.uri, arrays=server.directory / "arrays") as recorder:
        token = engine.subscribe(recorder, delivery="queued")
        engine(plan).result(30)
        engine.unsubscribe(token)
    engine.unsubscribe(collector)
    uid = documents[0][1]["uid"]
    (run,) = [run for run in read_tiled_runs(server.uri) if run.uid == uid]
    return run, documents


def events_of(documents):
    return [doc for name, doc in documents if name == "event"]


def assert_same_events(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert one["data"].keys() == other["data"].keys()
        assert one["seq_num"] == other["seq_num"]
        for key, value in one["data"].items():
            np.testing.assert_array_equal(value, other["data"][key])
            assert np.asarray(value).dtype == np.asarray(other["data"][key]).dtype


def test_record_and_read(engine, parts, server):
    plan = bp.scan([parts["camera"], parts["temperature"]], parts["stage-x"], -1, 1, 3)
    run, documents = record_into(engine, server, plan)
    assert run.complete
    assert run.stop == documents[-1][1]
    assert run.start["plan_name"] == "scan"
    assert_same_events(events_of(run.documents()), events_of(documents))
    assert_same_events(events_of(replay(run, speed=math.inf)), events_of(documents))


@pytest.mark.parametrize("within", [True, False])
def test_a_server_that_cannot_read_the_arrays_is_told_of(
    engine, parts, server, tmp_path, caplog, within
):
    arrays = server.directory / "arrays" if within else tmp_path
    with TiledRecorder(server.uri, arrays=arrays) as recorder:
        token = engine.subscribe(recorder, delivery="queued")
        for _ in range(2):
            engine(bp.count([parts["camera"]], 2)).result(30)
        engine.unsubscribe(token)
    told = [line for line in caplog.messages if "cannot read the arrays" in line]
    assert len(told) == (0 if within else 1)  # it is asked once
    assert within or str(tmp_path) in told[0]


def test_tiled_client_reads_the_arrays(engine, parts, server, client):
    run, documents = record_into(engine, server, bp.count([parts["camera"]], 4))
    stream = client[run.uid]["primary"].base
    (key,) = events_of(documents)[0]["data"]
    frames = np.stack([event["data"][key] for event in events_of(documents)])
    read = stream[key].read()
    assert read.dtype == frames.dtype
    np.testing.assert_array_equal(read, frames)


def test_run_again_on_devices_from_tiled(engine, parts, server):
    def plan(devices):
        return bp.scan([devices["camera"]], devices["stage-x"], -1, 1, 3)

    run, documents = record_into(engine, server, plan(parts))
    again = []
    engine.subscribe(lambda name, doc: again.append((name, doc)))
    engine(plan(replay_devices(run, speed=math.inf))).result(20)
    assert_same_events(events_of(again), events_of(documents))


def test_a_start_that_is_refused_is_an_error(engine, parts, server):
    """Event-model's router would make a warning of it."""
    documents = []
    engine.subscribe(lambda name, doc: documents.append((name, doc)))
    engine(bp.count([parts["temperature"]], 1)).result(20)
    with TiledRecorder(server.uri, arrays=server.directory / "arrays") as recorder:
        for name, doc in documents:
            recorder(name, doc)
        with pytest.raises(TiledConnectionError, match=r"document \(start\).*409"):
            recorder(*documents[0])


def test_file_camera(engine, parts, server):
    def plan(devices):
        return bp.count([devices["file_camera"]], 3)

    run, _ = record_into(engine, server, plan(parts))
    names = [name for name, _ in run.documents()]
    assert "stream_resource" in names
    assert names.count("event") == 3


def test_recording_on_disk_goes_into_tiled(engine, parts, server, client):
    """What `Recorder` writes is what bluesky's own writer takes."""
    from bluesky.callbacks.tiled_writer import TiledWriter

    path = server.directory / "arrays" / "recording"
    documents = []
    engine.subscribe(lambda name, doc: documents.append((name, doc)))
    with Recorder(path) as recorder:
        engine.subscribe(recorder, delivery="queued")
        engine(bp.count([parts["camera"]], 3)).result(20)
    (run,) = read_runs(path)
    writer = TiledWriter(client)
    for name, doc in run.documents(fill=False):
        writer(name, doc)
    (key,) = events_of(documents)[0]["data"]
    read = client[run.uid]["primary"].base[key].read()
    np.testing.assert_array_equal(read, [e["data"][key] for e in events_of(documents)])


def test_nobody_there():
    with pytest.raises(TiledConnectionError, match=r"http://127\.0\.0\.1:9/api"):
        read_runs("http://127.0.0.1:9/api/v1")


def test_no_catalogue_in_its_place(tmp_path):
    (tmp_path / "catalog.db").write_text("not a database")
    with pytest.raises(RecordingError, match="did not start") as caught, tiled_server(tmp_path):
        pass
    assert caught.value.file == tmp_path


@pytest.mark.leaks("zarr keeps a thread with a loop")
def test_something_else_there(client):
    node = client.write_array(np.arange(3))
    with pytest.raises(NotARecordingError, match="neither"):
        read_tiled_runs(node)


def test_connections_are_closed_with_the_last_that_needs_them(engine, parts, server, client):
    from tiled.client.context import Context

    made = []
    with pytest.MonkeyPatch.context() as patch:
        init = Context.__init__

        def noting(self, *args, **options):
            init(self, *args, **options)
            made.append(self)

        patch.setattr(Context, "__init__", noting)
        run, _ = record_into(engine, server, bp.count([parts["temperature"]], 1))
    writing, reading = (context.http_client for context in made)
    assert writing.is_closed
    documents = run.documents()
    del run  # what is being read keeps it open
    assert next(documents)[0] == "start"
    assert not reading.is_closed
    documents.close()
    del documents
    gc.collect()
    assert reading.is_closed
    # A client that was given is its maker's.
    runs = read_tiled_runs(client)
    TiledRecorder(client, arrays=server.directory / "arrays").close()
    del runs
    gc.collect()
    assert not client.context.http_client.is_closed


def test_a_recorder_that_was_closed(server):
    recorder = TiledRecorder(server.uri, arrays=server.directory / "arrays")
    recorder("start", {"uid": "half", "time": 1.0})
    recorder.close()
    recorder.close()
    recorder("stop", {"uid": "end", "run_start": "half", "time": 2.0})  # of no run of its own
    with pytest.raises(RecordingError, match="was closed"):
        recorder("start", {"uid": "next", "time": 3.0})


def test_server_goes_away(engine, parts, server):
    """The last test, for the others need the server."""
    recorder = TiledRecorder(server.uri, arrays=server.directory / "arrays", batch_size=1)
    engine.subscribe(recorder, delivery="queued")
    engine(bp.count([parts["camera"]], 3)).result(20)
    run = read_tiled_runs(server.uri)[-1]
    documents = run.documents()
    assert next(documents)[0] == "start"
    server.close()
    with pytest.raises(TiledConnectionError) as caught:
        list(documents)
    assert caught.value.run == run.uid
    assert run.uid in str(caught.value)
    with pytest.raises(TiledConnectionError, match="cannot record a document"):
        engine(bp.count([parts["camera"]], 3)).result(30)
    recorder.close()
