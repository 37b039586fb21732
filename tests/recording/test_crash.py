"""A recorder that is killed, or whose disk is full, keeps what was complete."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import bluesky.plans as bp
import event_model
import numpy as np
import pytest

from freewheel.recording import (
    MissingArrayError,
    Recorder,
    RecordingError,
    _row_writer,
    read_runs,
)
from small_disk import largest_file

WRITER = Path(__file__).with_name("_crashing.py")


def _frame(number):
    spec = importlib.util.spec_from_file_location("crashing", WRITER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.frame(number)


def kill_at_random(path, rng):
    """Record in a process, kill it at a random moment, return how many events were complete."""
    process = subprocess.Popen([sys.executable, WRITER, path], stdout=subprocess.PIPE, bufsize=0)
    lines = rng.randrange(1, 200)
    with process:
        for _ in range(lines):
            process.stdout.readline()
        # Somewhere within the next event.
        spins = rng.randrange(20000)
        while spins:
            spins -= 1
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read()
    return lines + rest.count(b"\n")


@pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL")
def test_killed_at_random_moments(tmp_path):
    """Few times here; ``benchmarks/_recording.py`` has the hundred."""
    rng = random.Random(6)
    for number in range(int(os.environ.get("FREEWHEEL_KILLS", "6"))):
        path = tmp_path / str(number)
        complete = kill_at_random(path, rng)
        (run,) = read_runs(path)
        assert not run.complete
        events = [doc for name, doc in run.documents() if name == "event"]
        assert complete <= len(events) <= complete + 1
        for i, event in enumerate(events):
            assert event["data"]["x"] == i / 7
            np.testing.assert_array_equal(event["data"]["camera"], _frame(i))


@pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL")
@pytest.mark.parametrize("events", [1, 700, 3000])
def test_killed_with_batches_in_hand(tmp_path, events):
    """A run whose future was done is whole; of the one under way, all until a moment is."""
    writer = WRITER.with_name("_crashing_engine.py")
    process = subprocess.Popen([sys.executable, writer, tmp_path], stdout=subprocess.PIPE)
    with process:
        safe = [process.stdout.readline().decode().strip() for _ in range(2)]
        for _ in range(events):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.stdout.read()
    runs = {run.uid: run for run in read_runs(tmp_path)}
    for uid in safe:
        run = runs.pop(uid)
        assert run.verify() == ()
        assert run.complete
        assert sum(1 for name, _ in run.documents() if name == "event") == 300
    for run in runs.values():  # that one may not have come to the disk
        (problem,) = run.verify()
        assert "not recorded to its end" in problem or "cut short" in problem
        numbers = []
        for name, doc in run.documents():
            if name == "event":
                numbers.append(doc["seq_num"])
                assert (doc["data"]["camera"] == doc["seq_num"] % 60000).all()
        assert numbers == list(range(1, len(numbers) + 1))


def images(count=6, shape=(256, 256)):
    """Yield the documents of a run of images of 128 kB each."""
    run = event_model.compose_run()
    yield "start", run.start_doc
    about = {"dtype": "array", "shape": list(shape), "dtype_numpy": "<u2", "source": "sim"}
    stream = run.compose_descriptor(name="primary", data_keys={"camera": about})
    yield "descriptor", stream.descriptor_doc
    for number in range(count):
        data = {"camera": np.full(shape, number, "u2")}
        yield "event", stream.compose_event(data=data, timestamps={"camera": 1.5})
    yield "stop", run.compose_stop()


def _recorded(recorder, documents):
    for pair in documents:
        recorder(*pair)
        yield pair


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_full_disk(tmp_path, compression):
    documents = list(images(20))
    uid = documents[0][1]["uid"]
    if compression:  # incompressible, so that it fills the disk all the same
        rng = np.random.default_rng(0)
        for name, doc in documents:
            if name == "event":
                doc["data"]["camera"] = rng.integers(0, 2**16, (256, 256), "u2")
    recorder = Recorder(tmp_path, compression=compression)
    written = []
    with largest_file(700_000), pytest.raises(RecordingError) as caught:
        written.extend(_recorded(recorder, documents))
    text = str(caught.value)
    assert "File too large" in text
    assert uid in text
    assert str(tmp_path / f"{uid}.jsonl") in text
    assert "intact" in text
    recorder("stop", documents[-1][1])  # what follows is refused quietly: it was said once
    recorder.close()
    (run,) = read_runs(tmp_path)
    assert not run.complete
    back = list(run.documents())
    assert len(back) == len(written) > 4
    for (_, one), (_, other) in zip(back, documents, strict=False):
        np.testing.assert_equal(one, other)


def test_full_disk_in_a_document(tmp_path):
    """A line that does not fit is taken out again, and the file ends with a whole one."""
    recorder = Recorder(tmp_path)
    run = event_model.compose_run()
    recorder("start", run.start_doc)
    keys = {"text": {"dtype": "string", "shape": [], "source": "sim"}}
    stream = run.compose_descriptor(name="primary", data_keys=keys)
    recorder("descriptor", stream.descriptor_doc)
    text = {"text": "x" * 10_000}
    event = stream.compose_event(data=text, timestamps={"text": 0.0})
    with largest_file(5000), pytest.raises(RecordingError, match="File too large"):
        recorder("event", event)
    recorder.close()
    (recorded,) = read_runs(tmp_path)
    assert [name for name, _ in recorded.documents()] == ["start", "descriptor"]
    assert recorded.path.read_bytes().endswith(b"\n")


def test_full_disk_in_a_batch(tmp_path):
    """What fits of a batch is kept, in whole lines."""
    recorder = Recorder(tmp_path)
    run = event_model.compose_run()
    keys = {"text": {"dtype": "string", "shape": [], "source": "sim"}}
    stream = run.compose_descriptor(name="primary", data_keys=keys)
    pairs = [("start", run.start_doc), ("descriptor", stream.descriptor_doc)]
    for _ in range(20):
        event = stream.compose_event(data={"text": "x" * 1000}, timestamps={"text": 0.0})
        pairs.append(("event", event))
    with largest_file(9000), pytest.raises(RecordingError, match="File too large"):
        recorder.take_batch(pairs)
    recorder.take_batch([("stop", run.compose_stop())])
    recorder.close()
    (recorded,) = read_runs(tmp_path)
    assert not recorded.complete
    back = list(recorded.documents())
    assert back == pairs[: len(back)]
    assert 6 <= len(back) < 10
    assert recorded.path.read_bytes().endswith(b"\n")


@pytest.mark.parametrize("hand_over", [1, 200_000, 1 << 22])
def test_full_disk_in_a_batch_of_arrays(tmp_path, monkeypatch, hand_over):
    """The documents of the arrays that fit are written, though they come after all of them."""
    monkeypatch.setattr(_row_writer, "HAND_OVER", hand_over)  # to the thread beside
    pairs = list(images(20))
    recorder = Recorder(tmp_path)
    recorder.take_batch(pairs[:2])
    (reserve,) = tmp_path.glob("*/reserve")
    assert reserve.stat().st_size == 1 << 20
    with largest_file(1_000_000), pytest.raises(RecordingError, match="File too large"):
        recorder.take_batch(pairs[2:])
    assert not reserve.exists()
    recorder.close()
    (run,) = read_runs(tmp_path)
    back = list(run.documents())
    assert len(back) > 6
    for (_, one), (_, other) in zip(back, pairs, strict=False):
        np.testing.assert_equal(one, other)
    assert run.verify() == ("the run was not recorded to its end",)


def test_full_disk_for_one_of_two_arrays_of_an_event(tmp_path):
    """An event is there with all its arrays, or not at all."""
    shapes = {"large": (300, 400), "small": (40, 60)}
    run = event_model.compose_run()
    keys = {
        key: {"dtype": "array", "shape": list(shape), "dtype_numpy": "<u2", "source": "sim"}
        for key, shape in shapes.items()
    }
    stream = run.compose_descriptor(name="primary", data_keys=keys)
    pairs = [("start", run.start_doc), ("descriptor", stream.descriptor_doc)]
    for number in range(20):
        data = {key: np.full(shape, number, "u2") for key, shape in shapes.items()}
        event = stream.compose_event(data=data, timestamps=dict.fromkeys(data, 1.0))
        pairs.append(("event", event))
    with Recorder(tmp_path) as recorder, largest_file(1_000_000):
        with pytest.raises(RecordingError, match="File too large"):
            recorder.take_batch([*pairs, ("stop", run.compose_stop())])
    (recorded,) = read_runs(tmp_path)
    lines = [json.loads(line)[0] for line in recorded.path.read_text().splitlines()]
    assert lines[-3:] == ["stream_datum", "stream_datum", "event"]
    back = list(recorded.documents())
    assert 2 < len(back) < 20
    for (_, one), (_, other) in zip(back, pairs, strict=False):
        np.testing.assert_equal(one, other)
    assert recorded.verify() == ("the run was not recorded to its end",)


def test_full_disk_fails_the_plan(engine, parts, tmp_path):
    recorder = Recorder(tmp_path)
    engine.subscribe(recorder, delivery="queued")
    with largest_file(60_000):
        future = engine(bp.count([parts["camera"]], 200))
        with pytest.raises(RecordingError, match="File too large"):
            future.result(30)
    recorder.close()
    (run,) = read_runs(tmp_path)
    events = [doc for name, doc in run.documents() if name == "event"]
    assert events
    assert all(value.any() for event in events for value in event["data"].values())


@pytest.mark.parametrize(
    ("gone", "named"),
    [
        (".", "jsonl"),
        ("{uid}", "notes"),
        ("{uid}/primary-camera.h5", "primary-camera.h5"),
        ("{uid}/notes", "notes"),
    ],
)
@pytest.mark.parametrize("compression", [None, "gzip"])
@pytest.mark.parametrize("left", [1, 2])
def test_a_recording_that_is_deleted_while_it_is_written_is_told_of(
    tmp_path, gone, named, compression, left
):
    pairs = list(images())
    folder = tmp_path / "recorded"
    told = rf"deleted meanwhile. This run is not recorded.*{named}\)$"
    with Recorder(folder, compression=compression) as recorder:
        recorder.take_batch(pairs[:-left])
        path = folder / gone.format(uid=pairs[0][1]["uid"])
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        with pytest.raises(RecordingError, match=told):
            recorder.take_batch([pairs[-left]])
        recorder.take_batch(pairs[len(pairs) - left + 1 :])  # told once
    if folder.exists():
        (run,) = read_runs(folder)
        assert not run.complete


def test_disk_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordingError, match="cannot record here"):
        Recorder(tmp_path / "file" / "below")


def record_images(path, count=6):
    documents = list(images(count))
    with Recorder(path) as recorder:
        for name, doc in documents:
            recorder(name, doc)
    return documents


def test_cut_at_every_byte_of_the_last_lines(tmp_path):
    documents = record_images(tmp_path, 2)
    (path,) = tmp_path.glob("*.jsonl")
    whole = path.read_bytes()
    *_, second_last, last = whole.splitlines(keepends=True)
    for missing in range(1, len(last) + len(second_last)):
        path.write_bytes(whole[:-missing])
        (run,) = read_runs(tmp_path)
        assert not run.complete
        assert run.problem
        assert [name for name, _ in run.documents()] == ["start", "descriptor", "event"] + (
            ["event"] if missing <= len(last) else []
        )
    path.write_bytes(whole)
    assert len(list(read_runs(path)[0].documents())) == len(documents)


def test_missing_array_file(tmp_path):
    documents = record_images(tmp_path)
    uid = documents[0][1]["uid"]
    (arrays,) = tmp_path.rglob("*.h5")
    arrays.unlink()
    (run,) = read_runs(tmp_path)
    read = []
    with pytest.raises(MissingArrayError) as caught:
        read.extend(run.documents())
    assert [str(arrays), uid, "camera"] == [str(caught.value.file), caught.value.run, "camera"]
    assert str(arrays) in str(caught.value)
    assert len(list(run.documents(fill=False))) > 6


@pytest.mark.parametrize("keep", [0, 100, 3000, 300_000])
def test_truncated_array_file(tmp_path, keep):
    record_images(tmp_path)
    (arrays,) = tmp_path.rglob("*.h5")
    os.truncate(arrays, keep)
    (run,) = read_runs(tmp_path)
    read = []
    with pytest.raises(MissingArrayError, match=arrays.name):
        read.extend(run.documents())
    assert [name for name, _ in read[:2]] == ["start", "descriptor"]


def test_moved_recording(tmp_path):
    record_images(tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "there")
    (run,) = read_runs(tmp_path / "there")
    last = [doc for name, doc in run.documents() if name == "event"][-1]
    np.testing.assert_array_equal(last["data"]["camera"], np.full((256, 256), 5, "u2"))


def test_documents_alone_were_moved(tmp_path):
    """The arrays are where the documents say; an escape in a folder's name is one of its own."""
    record_images(tmp_path / "a%20b")
    (path,) = (tmp_path / "a%20b").glob("*.jsonl")
    path.rename(tmp_path / path.name)
    (run,) = read_runs(tmp_path / path.name)
    assert len([doc["data"]["camera"] for name, doc in run.documents() if name == "event"]) == 6


def test_read_while_it_is_written(tmp_path):
    recorder = Recorder(tmp_path)
    for count, (name, doc) in enumerate(images()):
        recorder(name, doc)
        (run,) = read_runs(tmp_path)
        assert len(list(run.documents())) == count + 1
    assert run.complete
