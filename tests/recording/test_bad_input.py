"""What is wrong is said with file, run and device; what is readable is read."""

from __future__ import annotations

import json
import math
import threading

import bluesky.plans as bp
import event_model
import pytest

from freewheel.recording import (
    DamagedRecordingError,
    FutureVersionError,
    MemoryRun,
    MissingArrayError,
    NotARecordingError,
    NotRecordedError,
    Recorder,
    RecordingError,
    read_runs,
    replay,
    replay_devices,
    replay_plan,
)


def documents(count=3):
    run = event_model.compose_run(metadata={"motors": ("x",)})
    yield "start", run.start_doc
    keys = {"x": {"dtype": "number", "shape": [], "source": "sim"}}
    stream = run.compose_descriptor(name="primary", data_keys=keys, object_keys={"x": ["x"]})
    yield "descriptor", stream.descriptor_doc
    for number in range(count):
        data = {"x": float(number)}
        yield "event", stream.compose_event(data=data, timestamps={"x": 0.5})
    yield "stop", run.compose_stop()


def write(folder, pairs):
    path = folder / "some.jsonl"
    path.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    return path


def test_suitcase_file_is_read(tmp_path):
    """Files as suitcase-jsonl writes them, with nothing beside them, are recordings."""
    pairs = list(documents())
    path = write(tmp_path, pairs)
    for source in (path, str(path), tmp_path):
        (run,) = read_runs(source)
        assert run.complete
        assert run.stop == pairs[-1][1]
        assert [doc for name, doc in run.documents() if name == "event"] == [
            doc for name, doc in pairs if name == "event"
        ]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello\n",
        b"[1, 2, 3]\n",
        b"\x89HDF\r\n\x1a\n\0\0",
        b'["event", {}]\n',
        b'["start", 3]\n',
    ],
)
def test_no_recording(tmp_path, content):
    path = tmp_path / "something.jsonl"
    path.write_bytes(content)
    for source in (path, tmp_path):
        with pytest.raises(NotARecordingError, match=path.name):
            read_runs(source)


def test_nothing_there(tmp_path):
    with pytest.raises(NotARecordingError, match="no such file"):
        read_runs(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match=r"no such file.*nothing"):
        read_runs(tmp_path / "nothing")
    with pytest.raises(NotARecordingError, match="neither a manifest"):
        read_runs(tmp_path)


def test_one_bad_file_does_not_hide_the_others(tmp_path, caplog):
    with Recorder(tmp_path) as recorder:
        for pair in documents():
            recorder(*pair)
    (tmp_path / "bad.jsonl").write_text("oh\n")
    assert len(read_runs(tmp_path)) == 1
    assert "bad.jsonl" in caplog.text


def test_version_from_the_future(tmp_path):
    with Recorder(tmp_path):
        pass
    manifest = tmp_path / "recording.json"
    manifest.write_text(json.dumps({"format": "freewheel recording", "version": 3}))
    with pytest.raises(FutureVersionError, match=r"version 3.*newer freewheel.*recording\.json"):
        read_runs(tmp_path)
    with pytest.raises(FutureVersionError, match="version 3"):
        Recorder(tmp_path)


def test_out_of_order(tmp_path):
    start, descriptor, *events, stop = documents()
    orders = {
        "has not come yet": [start, events[0], descriptor, stop],
        "follows the stop": [start, descriptor, stop, events[0]],
        "a start document already": [start, start],
        "belongs to another run": [start, ("descriptor", {**descriptor[1], "run_start": "b"})],
    }
    for reason, pairs in orders.items():
        path = write(tmp_path, pairs)
        (run,) = read_runs(path)
        read = []
        with pytest.raises(DamagedRecordingError, match=reason) as caught:
            read.extend(run.documents())
        assert caught.value.run == start[1]["uid"]
        assert str(path) in str(caught.value)
        assert read
        with pytest.raises(DamagedRecordingError):
            list(replay(run, speed=math.inf))


def test_rubbish_in_the_middle(tmp_path):
    path = write(tmp_path, documents())
    lines = path.read_text().splitlines(keepends=True)
    lines[3] = lines[3][:20] + "\n"
    path.write_text("".join(lines))
    (run,) = read_runs(path)
    read = []
    with pytest.raises(DamagedRecordingError, match=r"line 4 .* the 3 lines before it were read"):
        read.extend(run.documents())
    assert len(read) == 3


def test_run_without_stop(tmp_path, engine):
    path = write(tmp_path, list(documents())[:-1])
    (run,) = read_runs(path)
    assert run.stop is None
    assert not run.complete
    assert "not recorded to its end" in run.problem
    emitted = []
    engine.subscribe(lambda name, doc: emitted.append((name, doc)))
    engine(replay_plan(run, speed=math.inf)).result(5)
    name, stop = emitted[-1]
    assert name == "stop"
    assert stop["exit_status"] == "abort"
    assert stop["num_events"] == {"primary": 3}


def test_the_same_run_twice(tmp_path):
    pairs = list(documents())
    recorder = Recorder(tmp_path)
    for pair in pairs:
        recorder(*pair)
    with pytest.raises(RecordingError, match="in the recording already"):
        recorder(*pairs[0])
    (run,) = read_runs(tmp_path)
    assert run.complete


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"compression": "zip"}, "gzip, lzf"), ({"inline_limit": -1}, "0 or more, not -1")],
)
def test_what_a_recorder_cannot_be_given_leaves_no_folder(tmp_path, wrong, said):
    with pytest.raises(ValueError, match=said):
        Recorder(tmp_path / "recording", **wrong)
    assert not (tmp_path / "recording").exists()


def test_subscribed_in_the_middle(tmp_path, caplog):
    recorder = Recorder(tmp_path)
    for pair in list(documents())[1:]:
        recorder(*pair)
    assert read_runs(tmp_path) == []
    assert "whose start was not seen" in caplog.text


class WatchedLock:
    """A lock that tells when somebody is about to take it."""

    def __init__(self, lock):
        self.lock = lock
        self.asked = threading.Event()

    def __enter__(self):
        self.asked.set()
        self.lock.acquire()

    def __exit__(self, *_):
        self.lock.release()


def test_a_run_that_begins_while_another_threads_batch_is_finished(tmp_path):
    recorder = Recorder(tmp_path)
    one, other = event_model.compose_run(), event_model.compose_run()
    wait = recorder.begin_batch([("start", one.start_doc)])
    recorder._lock = watched = WatchedLock(recorder._lock)
    failures = []

    def finish():
        try:
            wait()()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=finish)
    with watched.lock:
        thread.start()
        assert watched.asked.wait(10)
        recorder._start(other.start_doc)  # what another engine's documents do under the lock
    thread.join(10)
    assert not failures
    recorder.close()
    assert len(read_runs(tmp_path)) == 2


@pytest.mark.parametrize("speed", [0, -1, math.nan])
def test_speeds_that_are_none(speed):
    run = MemoryRun(documents())
    for function in (replay, replay_plan, replay_devices):
        with pytest.raises(ValueError, match="speed must be a positive number"):
            function(run, speed=speed)


def test_device_that_was_never_recorded():
    devices = replay_devices(MemoryRun(documents()))
    with pytest.raises(NotRecordedError, match=r"'camera' was never recorded.*: x"):
        devices["camera"]
    with pytest.raises(NotRecordedError, match="'y' was never recorded"):
        replay_devices(MemoryRun(documents()), motors=["y"])


def test_missing_must_be_known():
    with pytest.raises(ValueError, match='"error", "nearest" or "last"'):
        replay_devices(MemoryRun(documents()), missing="guess")


def failure_of(engine, plan):
    exception = engine(plan).exception(10)
    while exception is not None and not isinstance(exception, RecordingError):
        exception = exception.__cause__
    return exception


def test_more_points_than_were_recorded(engine, parts, record):
    (run,), _ = record(bp.count([parts["camera"]], 3))
    devices = replay_devices(run, speed=math.inf)
    error = failure_of(engine, bp.count([devices["camera"]], 4))
    assert isinstance(error, NotRecordedError)
    assert "more points than were recorded" in str(error)
    assert run.uid in str(error)
    assert "camera" in str(error)


def test_positions_that_were_not_recorded(engine, parts, record):
    (run,), emitted = record(bp.scan([parts["camera"]], parts["stage-x"], 0, 4, 5))
    frames = [doc["data"]["camera-image"] for name, doc in emitted if name == "event"]

    def scan(missing, *args):
        devices = replay_devices(run, speed=math.inf, missing=missing)
        data = []
        token = engine.subscribe(lambda _, doc: data.append(doc["data"]), "event")
        error = failure_of(engine, bp.scan([devices["camera"]], devices["stage-x"], *args))
        engine.unsubscribe(token)
        return data, error

    data, error = scan("error", 0, 4, 9)
    assert "was not recorded at stage-x = 0.5 (the closest is stage-x = " in str(error)
    assert len(data) == 1
    data, error = scan("nearest", 0.1, 4.1, 5)
    assert error is None
    for event, frame in zip(data, frames, strict=True):
        assert (event["camera-image"] == frame).all()
    data, error = scan("last", 0, 8, 3)
    assert error is None
    assert (data[2]["camera-image"] == frames[4]).all()
    # In another order each position gives what was recorded there.
    data, error = scan("error", 4, 0, 5)
    assert error is None
    for event, frame in zip(data, reversed(frames), strict=True):
        assert (event["camera-image"] == frame).all()


def test_missing_array_in_replayed_devices(parts, record):
    (run,), _ = record(bp.count([parts["camera"]], 3))
    (arrays,) = run.path.parent.rglob("*camera*.h5")
    arrays.unlink()
    with pytest.raises(MissingArrayError, match=arrays.name):
        replay_devices(run)
