"""A run with a gap does not look whole, and what stands behind damage stays readable."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import event_model
import h5py
import numpy as np
import pytest
import xxhash

from freewheel.recording import (
    DamagedArrayError,
    DamagedRecordingError,
    MissingArrayError,
    Recorder,
    RecordingError,
    read_runs,
    replay,
)
from freewheel.recording._array_file import ArrayFile

SHAPE = (64, 64)
OLD = Path(__file__).with_name("data") / "microscope"


def documents(count=6, metadata=None):
    """Yield a run of a number and an image, which goes into a file."""
    run = event_model.compose_run(metadata=metadata)
    yield "start", run.start_doc
    keys = {
        "x": {"dtype": "number", "shape": [], "source": "sim"},
        "camera": {
            "dtype": "array",
            "shape": list(SHAPE),
            "dtype_numpy": "<u2",
            "source": "sim",
        },
    }
    stream = run.compose_descriptor(name="primary", data_keys=keys)
    yield "descriptor", stream.descriptor_doc
    for number in range(count):
        data = {"x": number / 3, "camera": np.full(SHAPE, number, "u2")}
        yield "event", stream.compose_event(data=data, timestamps=dict.fromkeys(data, 5.0 + number))
    yield "stop", run.compose_stop()


def scalars(count):
    """Yield a run of a number."""
    run = event_model.compose_run()
    yield "start", run.start_doc
    keys = {"x": {"dtype": "number", "shape": [], "source": "sim"}}
    stream = run.compose_descriptor(name="primary", data_keys=keys)
    yield "descriptor", stream.descriptor_doc
    for number in range(count):
        yield "event", stream.compose_event(data={"x": number / 3}, timestamps={"x": 5.0 + number})
    yield "stop", run.compose_stop()


@pytest.fixture
def recorded(tmp_path):
    """A recording on disk, and the documents that were recorded."""
    pairs = list(documents())
    with Recorder(tmp_path) as recorder:
        recorder.take_batch(pairs)
    (run,) = read_runs(tmp_path)
    assert run.complete
    assert run.problem is None
    assert run.verify() == ()
    return run.path, pairs


def change_lines(path, change):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(change(lines)))
    (run,) = read_runs(path)
    return run


def numbers(pairs):
    return [doc["seq_num"] for name, doc in pairs if name == "event"]


def index_of_event(lines, number):
    return next(i for i, line in enumerate(lines) if f'"seq_num":{number}'.encode() in line)


def test_an_event_that_was_cut_out_is_missed(recorded):
    path, _ = recorded

    def cut(lines):
        del lines[index_of_event(lines, 3)]
        return lines

    run = change_lines(path, cut)
    assert run.stop is not None
    assert not run.complete
    assert "5 of the 6 events of stream 'primary' are there" in run.problem
    assert str(path) in run.problem
    assert run.uid in run.problem
    assert run.verify() == (run.problem,)
    assert numbers(run.documents()) == [1, 2, 4, 5, 6]


def test_a_value_that_was_changed_is_noticed(recorded):
    path, _ = recorded
    data = path.read_bytes()
    assert data.count(b'"x":1.0,') + data.count(b'"x":1.0}') == 1
    path.write_bytes(data.replace(b'"x":1.0', b'"x":7.0'))
    (run,) = read_runs(path)
    assert not run.complete
    assert "checksum" in run.problem


def test_a_line_that_was_added_is_noticed(recorded):
    path, _ = recorded
    run = change_lines(path, lambda lines: [*lines[:3], *lines[2:]])
    assert not run.complete
    assert "lines, and " in run.problem


def test_what_stands_behind_damage_is_readable(recorded, caplog):
    path, pairs = recorded

    def damage(lines):
        place = index_of_event(lines, 3)
        lines[place] = b'{"rubbish\xff' + lines[place][12:]
        return lines

    run = change_lines(path, damage)
    assert not run.complete
    assert "unreadable" in run.problem
    read = []
    with pytest.raises(DamagedRecordingError, match="skip_damaged=True"):
        read.extend(run.documents())
    assert numbers(read) == [1, 2]
    rest = list(run.documents(skip_damaged=True))
    assert numbers(rest) == [1, 2, 4, 5, 6]
    assert rest[-1] == pairs[-1]
    assert "Left out: line" in caplog.text
    for name, doc in rest:
        if name == "event":
            assert (doc["data"]["camera"] == doc["seq_num"] - 1).all()
    assert [name for _, name, _ in run.timed_documents(skip_damaged=True)][-1] == "stop"
    with pytest.raises(DamagedRecordingError):
        list(replay(run, speed=float("inf")))


def test_an_array_that_was_overwritten_is_not_given(recorded):
    path, pairs = recorded
    (arrays,) = path.parent.rglob("*.h5")
    data = bytearray(arrays.read_bytes())
    place = data.index(pairs[4][1]["data"]["camera"].tobytes())
    data[place + 1000 : place + 1004] = b"ouch"
    arrays.write_bytes(data)
    (run,) = read_runs(path)
    assert run.complete  # the documents are; arrays take longer to look at
    read = []
    with pytest.raises(DamagedArrayError, match=r"array 2 of 'camera'.*checksum") as caught:
        read.extend(run.documents())
    assert [caught.value.file, caught.value.run, caught.value.device] == [
        arrays,
        run.uid,
        "camera",
    ]
    assert numbers(read) == [1, 2]
    assert numbers(run.documents(skip_damaged=True)) == [1, 2, 4, 5, 6]
    (problem,) = run.verify()
    assert "array 2 of 'camera'" in problem


def test_a_timestamp_that_was_overwritten_is_noticed(recorded):
    path, _ = recorded
    (arrays,) = path.parent.rglob("*.h5")
    with h5py.File(arrays, "r+") as file:
        file["/entry/recorded/timestamps"][4] = 1.0
    (run,) = read_runs(path)
    (problem,) = run.verify()
    assert "array 4 of 'camera'" in problem


def test_an_event_whose_array_is_nowhere_is_not_given(recorded):
    path, _ = recorded

    def cut(lines):
        place = index_of_event(lines, 3)
        assert lines[place - 1].startswith(b'["stream_datum"')
        del lines[place - 1]
        return lines

    run = change_lines(path, cut)
    assert not run.complete
    with pytest.raises(MissingArrayError, match="the line that says where"):
        list(run.documents())
    assert numbers(run.documents(skip_damaged=True)) == [1, 2, 4, 5, 6]


def test_damage_in_the_notes_does_not_change_values(tmp_path):
    """Where a line is lost, the types that hold from a document on still do from that one on."""
    run = event_model.compose_run()
    keys = {"x": {"dtype": "number", "shape": [], "source": "sim"}}
    stream = run.compose_descriptor(name="primary", data_keys=keys)
    values = [1, 2, 3, np.float32(4), np.float32(5), 6, 7]
    pairs = [("start", run.start_doc), ("descriptor", stream.descriptor_doc)]
    for value in values:
        event = stream.compose_event(data={"x": value}, timestamps={"x": 0.0}, validate=False)
        pairs.append(("event", event))
    pairs.append(("stop", run.compose_stop()))
    with Recorder(tmp_path) as recorder:
        recorder.take_batch(pairs)
    (path,) = tmp_path.glob("*.jsonl")
    whole = path.read_bytes()
    for lost in range(2, 9):
        run = change_lines(path, lambda lines, lost=lost: lines[:lost] + lines[lost + 1 :])
        read = [doc["data"]["x"] for name, doc in run.documents() if name == "event"]
        expected = values[: lost - 2] + values[lost - 1 :]
        assert [(type(v), v) for v in read] == [(type(v), v) for v in expected]
        path.write_bytes(whole)


def with_types(tmp_path):
    """Record a run with types that JSON does not have, and return the file of its notes."""
    run = event_model.compose_run(metadata={"limits": (0, 1), "raw": b"01", "set": {1, 2}})
    with Recorder(tmp_path) as recorder:
        recorder.take_batch([("start", run.start_doc), ("stop", run.compose_stop())])
    (path,) = tmp_path.glob("*/notes")
    return path


def test_notes_that_were_changed_anywhere_are_noticed(tmp_path):
    path = with_types(tmp_path)
    (run,) = read_runs(tmp_path)
    assert run.verify() == ()
    expected = list(run.documents())
    whole = path.read_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 4
        path.write_bytes(damaged)
        (run,) = read_runs(tmp_path)
        found = run.verify()
        try:
            same = list(run.documents()) == expected
        except DamagedRecordingError:
            same = False
        assert found or same
        assert run.complete or run.problem in found


def test_notes_that_were_cut_anywhere_are_noticed(tmp_path):
    path = with_types(tmp_path)
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place])
        (run,) = read_runs(tmp_path)
        (problem,) = run.verify()
        assert "the end of its notes is not there" in problem


def test_a_changed_name_of_a_field_is_told_of(recorded):
    path, pairs = recorded
    whole = path.read_bytes()
    for field in b'"uid"', b'"descriptor"', b'"timestamps"', b'"stream_resource"', b'"indices"':
        last = whole.rindex(field, 0, whole.index(b'["stop"'))
        path.write_bytes(whole[:last] + whole[last:].replace(field, b'"x' + field[2:], 1))
        (run,) = read_runs(path)
        assert any("in line " in problem for problem in run.verify())
        assert len(list(run.documents(skip_damaged=True))) in (len(pairs) - 1, len(pairs))


def test_notes_that_do_not_fit_their_document_are_told_of(tmp_path, caplog):
    path = with_types(tmp_path)
    path.write_bytes(path.read_bytes().replace(b'"limits"', b'"limots"'))
    (run,) = read_runs(tmp_path)
    assert run.start["limits"] == [0, 1]
    assert "the checksum of its notes is another one" in run.problem
    with pytest.raises(DamagedRecordingError, match="notes on the document in line 1 do not fit"):
        list(run.documents())
    assert [name for name, _ in run.documents(skip_damaged=True)] == ["stop"]


def test_notes_that_are_gone_are_missed_beside_arrays(recorded):
    path, _ = recorded
    (path.with_suffix("") / "notes").unlink()
    (run,) = read_runs(path)
    assert not run.complete
    assert "its notes are gone" in run.problem


def test_the_end_of_a_run_says_what_its_notes_consist_of(recorded):
    path, _ = recorded
    notes = (path.with_suffix("") / "notes").read_bytes()
    *before, last = notes.splitlines(keepends=True)
    said = json.loads(last)["end"]["notes"]
    assert said["bytes"] == len(b"".join(before))
    assert said["xxh3_64"] == xxhash.xxh3_64_hexdigest(b"".join(before))


def test_recordings_whose_end_does_not_tell_of_notes_are_whole(recorded):
    path, _ = recorded
    notes = path.with_suffix("") / "notes"
    *before, last = notes.read_bytes().splitlines(keepends=True)
    end = json.loads(last)
    del end["end"]["notes"]
    notes.write_bytes(b"".join(before) + json.dumps(end).encode() + b"\n")
    (run,) = read_runs(path)
    assert run.verify() == ()


def test_an_array_file_that_is_gone_is_told_of_once(recorded, caplog):
    path, _ = recorded
    (path.with_suffix("") / "primary-camera.h5").unlink()
    (run,) = read_runs(path)
    (problem,) = run.verify()
    assert "the array of 'camera' is gone" in problem
    assert numbers(run.documents(skip_damaged=True)) == []
    assert len([each for each in caplog.messages if "Left out" in each]) == 1


def test_files_of_others_are_counted(tmp_path):
    pairs = [(name, doc) for name, doc in documents(5) if name != "event"]
    descriptor = pairs[1][1]
    for number in range(1, 5):
        event = {
            "uid": str(number),
            "time": 1.0,
            "seq_num": number,
            "descriptor": descriptor["uid"],
            "data": {},
            "timestamps": {},
        }
        pairs.insert(-1, ("event", event))
    path = tmp_path / "some.jsonl"
    path.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    (run,) = read_runs(path)
    assert pairs[-1][1]["num_events"] == {"primary": 5}
    assert not run.complete
    assert "4 of the 5 events of stream 'primary' are there" in run.problem
    # A rewind repeats points; the stop document counts each once.
    pairs[-1][1]["num_events"] = {"primary": 4}
    pairs.insert(-1, pairs[-2])
    path.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    (run,) = read_runs(path)
    assert run.complete


def test_recordings_of_the_first_version_are_read_and_added_to(tmp_path, equal_documents):
    shutil.copytree(OLD, tmp_path / "old")
    assert json.loads((OLD / "recording.json").read_text())["version"] == 1
    old = read_runs(tmp_path / "old")
    before = {run.uid: list(run.documents()) for run in old}
    assert all(run.complete and run.verify() == () for run in old)
    assert all(len(pairs) > 3 for pairs in before.values())
    pairs = list(documents())
    with Recorder(tmp_path / "old") as recorder:
        recorder.take_batch(pairs)
    assert json.loads((tmp_path / "old" / "recording.json").read_text())["version"] == 2
    runs = {run.uid: run for run in read_runs(tmp_path / "old")}
    assert len(runs) == len(old) + 1
    for uid, expected in before.items():
        equal_documents(runs[uid].documents(), expected)
    equal_documents(runs[pairs[0][1]["uid"]].documents(), pairs)
    # A line cut out of an old run is missed by the numbers in its stop document.
    path = runs[old[0].uid].path
    run = change_lines(path, lambda lines: [*lines[:-2], lines[-1]])
    assert not run.complete


def test_numbers_that_json_has_no_words_for(tmp_path, equal_documents):
    run = event_model.compose_run(metadata={"limit": float("inf"), "none": None, "text": "null"})
    keys = {
        name: {"dtype": "number", "shape": [], "source": "sim"}
        for name in ("a", "b", "c", "d", "e", "f")
    }
    stream = run.compose_descriptor(name="primary", data_keys=keys)
    pairs = [("start", run.start_doc), ("descriptor", stream.descriptor_doc)]
    rows = [
        [float("nan"), float("inf"), float("-inf"), -0.0, 5e-324, 1e308],
        [None, "null", "\udc80 half a pair", 10**30, -(2**63), True],
        [1.0, 0.1 + 0.2, 1e22, 2**64, "ä€😀", False],
    ]
    for row in rows:
        data = dict(zip(keys, row, strict=True))
        times = dict.fromkeys(keys, 1.5)
        pairs.append(("event", stream.compose_event(data=data, timestamps=times, validate=False)))
    pairs.append(("stop", run.compose_stop()))
    with Recorder(tmp_path) as recorder:
        recorder.take_batch(pairs)
    (recorded,) = read_runs(tmp_path)
    equal_documents(recorded.documents(), pairs)
    # As Python's json, suitcase and databroker read it.
    lines = [json.loads(line) for line in recorded.path.read_text().splitlines()]
    assert [name for name, _ in lines] == [name for name, _ in pairs]
    assert str(lines[2][1]["data"]["a"]) == "nan"
    assert recorded.verify() == ()


def test_values_that_no_encoder_knows_are_recorded_as_text(tmp_path, caplog):
    class Odd:
        def __repr__(self):
            return "an odd thing"

    run = event_model.compose_run()
    keys = {"x": {"dtype": "string", "shape": [], "source": "sim"}}
    stream = run.compose_descriptor(name="primary", data_keys=keys)
    data = {"x": Odd(), 7: 1.0}
    event = stream.compose_event(data=data, timestamps={"x": 0.0, 7: 0.0}, validate=False)
    with Recorder(tmp_path) as recorder:
        pairs = [("start", run.start_doc), ("descriptor", stream.descriptor_doc)]
        recorder.take_batch([*pairs, ("event", event), ("stop", run.compose_stop())])
    (recorded,) = read_runs(tmp_path)
    (read,) = [doc for name, doc in recorded.documents() if name == "event"]
    assert read["data"] == {"x": "an odd thing", 7: 1.0}
    assert "Odd" in caplog.text
    assert recorded.complete


class _HasNoText:
    def __repr__(self):
        raise RuntimeError("no text")

    def __eq__(self, other):
        raise RuntimeError("equal to nothing")

    __hash__ = object.__hash__


def _objects(*items, shape):
    array = np.empty(shape, object)
    for index, item in zip(np.ndindex(*shape), items, strict=True):
        array[index] = item
    return array


def _nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


def _endless():
    value = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({1: "number", "1": "text", "1'": "another"}, ...),
        ({(1, 2), ("a", (3,))}, ...),
        ({np.float64(1.5), 2}, {1.5, 2}),
        ({b"x": 1, "x": 2}, {"b'x'": 1, "x": 2}),
        ({1j: 1}, {"1j": 1}),
        ({frozenset({1})}, {"frozenset({1})"}),
        (np.ma.masked_array([1, 2, 3], [0, 1, 0]), _objects(1, None, 3, shape=(3,))),
        (np.ma.masked_array([1.0, 2.0]), np.array([1.0, 2.0])),
        (np.ma.masked_array(np.arange(9999), 9998 * [0] + [1]), ...),
        (_objects([1, 2], [3, 4], shape=(2,)), ...),
        (_objects((1,), None, "a", b"b", shape=(2, 2)), ...),
        (np.array({"a": 1}, object), ...),
        (_nested(90), ...),
    ],
    ids=[
        "keys alike as text",
        "set of tuples",
        "set of numbers",
        "keys alike as bytes",
        "complex key",
        "set of sets",
        "masked integers",
        "masked without a mask",
        "long masked",
        "lists",
        "objects",
        "one object",
        "deep",
    ],
)
@pytest.mark.parametrize("in_batches", [True, False])
def test_odd_values_come_back(tmp_path, value, expected, in_batches):
    if expected is ...:
        expected = np.array(value.tolist(), object) if np.ma.is_masked(value) else value
    run, back = _recorded_with(tmp_path, value, in_batches)
    assert type(back) is type(expected)
    np.testing.assert_equal(back, expected)
    assert run.verify() == ()


@pytest.mark.parametrize(
    "value",
    [_HasNoText(), {_HasNoText(): 1}, {_HasNoText()}, _nested(5000), _endless()],
    ids=["no text", "key without text", "item without text", "deep", "endless"],
)
@pytest.mark.parametrize("in_batches", [True, False])
def test_a_value_without_a_text_or_an_end_loses_nothing_else(tmp_path, value, in_batches):
    run, _ = _recorded_with(tmp_path, value, in_batches)
    assert run.complete
    assert run.verify() == ()


def _recorded_with(folder, value, in_batches):
    """Record a value between others, and return the run and the value as it is read."""
    run = event_model.compose_run()
    about = {"dtype": "array", "shape": [9999], "source": "sim"}  # one for a file, if it can be
    stream = run.compose_descriptor(name="primary", data_keys={"x": about})
    pairs = [("start", run.start_doc), ("descriptor", stream.descriptor_doc)]
    for each in (1.5, value, 2.5):
        event = stream.compose_event(data={"x": each}, timestamps={"x": 0.0}, validate=False)
        pairs.append(("event", event))
    pairs.append(("stop", run.compose_stop()))
    with Recorder(folder) as recorder:
        if in_batches:
            recorder.take_batch(pairs)
        else:
            for pair in pairs:
                recorder(*pair)
    (recorded,) = read_runs(folder)
    first, read, last = (doc["data"]["x"] for name, doc in recorded.documents() if name == "event")
    assert (first, last) == (1.5, 2.5)
    return recorded, read


def test_a_value_that_no_encoder_knows_is_told_of_once(tmp_path, caplog):
    class Told:
        pass

    values = [Told() for _ in range(50)]
    run = event_model.compose_run()
    about = {"dtype": "string", "shape": [], "source": "sim"}
    stream = run.compose_descriptor(name="primary", data_keys={"told": about})
    with Recorder(tmp_path) as recorder:
        recorder("start", run.start_doc)
        recorder("descriptor", stream.descriptor_doc)
        for value in values:
            data, times = {"told": value}, {"told": 0.0}
            recorder("event", stream.compose_event(data=data, timestamps=times, validate=False))
    assert caplog.text.count("which no file format of documents can hold") == 1


@pytest.mark.parametrize(
    "odd",
    [
        {"data": {7: 1.0}},
        {"data": {"x": np.float64(1.5)}},
        {"data": {"x": (1.0, 2.0)}},
        {"data": {"x": b"bytes"}},
        {"data": {"x": 10**30}},
        {"timestamps": {"x": np.float64(1.5)}},
        {"timestamps": {(1, 2): 1.5}},
        {"filled": {"x": True}},
        {"time": np.float64(1.5)},
        {"seq_num": np.int64(2)},
        {"more": (1, 2)},
    ],
    ids=str,
)
def test_one_odd_event_among_plain_ones_keeps_its_types(tmp_path, equal_documents, odd):
    """Plain events are encoded many at once; what is odd in one of them must not be overlooked."""
    pairs = list(scalars(6))
    place = 5
    assert pairs[place][0] == "event"
    pairs[place] = ("event", {**pairs[place][1], **odd})
    with Recorder(tmp_path) as recorder:
        recorder.take_batch(pairs)
    (run,) = read_runs(tmp_path)
    assert run.verify() == ()
    equal_documents(run.documents(), pairs)


def test_events_of_several_runs_in_one_batch_go_each_to_its_own(tmp_path, equal_documents):
    sides = [list(make(20)) for make in (scalars, documents, scalars)]
    mixed = [pair for pairs in zip(*sides, strict=True) for pair in pairs]
    with Recorder(tmp_path) as recorder:
        recorder.take_batch(mixed)
    runs = {run.uid: run for run in read_runs(tmp_path)}
    for pairs in sides:
        equal_documents(runs[pairs[0][1]["uid"]].documents(), pairs)


def test_an_event_that_cannot_be_written_keeps_those_before_it(tmp_path):
    pairs = list(scalars(6))
    too_long = 10**5000  # Python refuses to make text of it
    pairs[5] = ("event", {**pairs[5][1], "data": {"x": too_long}})
    with Recorder(tmp_path) as recorder, pytest.raises(ValueError, match="digits"):
        recorder.take_batch(pairs)
    (run,) = read_runs(tmp_path)
    assert numbers(run.documents()) == [1, 2, 3]
    assert not run.complete


OTHER = np.full((2, *SHAPE), 7, "u2")


@pytest.mark.parametrize(
    "odd",
    [
        {"data": {"x": 1.0}, "timestamps": {"x": 2.0}},
        {"data": {"x": np.float64(1.5), "camera": OTHER[0]}},
        {"data": {"x": 1.0, "camera": OTHER}},
        {"data": {"x": 1.0, "camera": OTHER[0].astype("f4")}},
        {"data": {"x": 1.0, "camera": OTHER[0].tolist()}},
        {"data": {"x": 1.0, "camera": OTHER[0], "y": (1, 2)}, "timestamps": {"x": 1, "camera": 2}},
        {"timestamps": {"x": 2.0, "camera": np.float64(2.0)}},
        {"filled": {"camera": True}},
        {"more": OTHER},
    ],
    ids=lambda odd: "-".join([*odd, *odd.get("data", ())]),
)
def test_one_odd_event_among_those_with_arrays_is_as_if_it_came_alone(
    tmp_path, equal_documents, odd
):
    pairs = list(documents(8))
    place = 5
    assert pairs[place][0] == "event"
    pairs[place] = ("event", {**pairs[place][1], **odd})
    written = []
    for size in (1, 3, len(pairs)):
        with Recorder(tmp_path / str(size)) as recorder:
            for first in range(0, len(pairs), size):
                recorder.take_batch(pairs[first : first + size])
        (run,) = read_runs(tmp_path / str(size))
        written.append((run.verify(), list(run.documents(skip_damaged=True))))
    (problems, alone), *batches = written
    assert len(alone) >= len(pairs) - 1
    for others, back in batches:
        assert len(others) == len(problems)
        equal_documents(back, alone)


@pytest.mark.parametrize("in_pages", [False, True])
@pytest.mark.parametrize("without_timestamp", [False, True])
def test_an_event_from_which_the_array_was_taken_is_read_as_it_was(
    tmp_path, equal_documents, without_timestamp, in_pages
):
    """Another subscriber may take large arrays out of the events, which all of them share."""
    pairs = list(documents(8))
    event = pairs[5][1]
    event["data"].pop("camera")
    if without_timestamp:
        event["timestamps"].pop("camera")
    if in_pages:
        pairs[5] = "event_page", event_model.pack_event_page(event)
    with Recorder(tmp_path) as recorder:
        recorder.take_batch(pairs)
    (run,) = read_runs(tmp_path)
    assert run.verify() == ()
    equal_documents(list(run.documents()), pairs)


@pytest.mark.parametrize("dtype", ["f8", ">f8", "?"])
def test_an_array_without_dimensions_stays_one_where_frames_were_promised(tmp_path, dtype):
    pairs = list(documents(3))
    for place in (3, 4):
        event = pairs[place][1]
        data = {**event["data"], "camera": np.array(1, dtype)}
        pairs[place] = ("event", {**event, "data": data})
    with Recorder(tmp_path) as recorder:
        recorder.take_batch(pairs)
    (run,) = read_runs(tmp_path)
    back = [doc["data"]["camera"] for name, doc in run.documents() if name == "event"][1:]
    assert [(type(one), one.dtype, one.shape) for one in back] == [
        (np.ndarray, np.dtype(dtype), ())
    ] * 2
    assert [one.tolist() for one in back] == [1, 1]
    assert run.verify() == ()


def test_documents_are_the_same_whether_they_come_in_batches_or_not(tmp_path):
    pairs = list(documents(30))
    lines = {}
    for size in (1, 7, len(pairs)):
        with Recorder(tmp_path / str(size)) as recorder:
            for first in range(0, len(pairs), size):
                recorder.take_batch(pairs[first : first + size])
        (run,) = read_runs(tmp_path / str(size))
        text = run.path.read_text()
        (resource,) = (
            json.loads(line)[1] for line in text.splitlines() if '"stream_resource",{' in line
        )
        lines[size] = text.replace(resource["uid"], "").replace(resource["uri"], "")
    assert lines[1] == lines[7] == lines[len(pairs)]


@pytest.mark.parametrize(("shape", "size"), [((3, 5), 1), ((70, 90), 100), ((70, 90), 1)])
def test_arrays_are_where_hdf5_says_however_the_file_grew(tmp_path, shape, size):
    """It is asked for few of the places, and the others are taken to lie between these."""
    file = ArrayFile(tmp_path / "arrays.h5", shape, np.dtype("u2"), {})
    for number in range(0, 3000, size):
        file.make_room(size)
        file.extend([np.full(shape, n, "u2") for n in range(number, number + size)], [0.5] * size)
        file.flush()
    file.close()
    with h5py.File(tmp_path / "arrays.h5") as written:
        data = written["/entry/recorded/data"][...]
        assert (data == np.arange(3000).reshape(-1, 1, 1)).all()
        assert (written["/entry/recorded/timestamps"][...] == 0.5).all()
        sums = written["/entry/recorded/checksums"]
        assert sums[2999] == xxhash.xxh3_64_intdigest(
            data[2999].tobytes(), int.from_bytes(np.float64(0.5).tobytes(), "little")
        )


@pytest.mark.parametrize("count", [1, 2, 3, 40, 600])
@pytest.mark.parametrize("dtype", ["?", "i1", "<u2", ">u2", ">f8", "f2", "f4", "c8", "<c16"])
def test_arrays_of_all_types_are_kept_bit_for_bit(tmp_path, dtype, count):
    rng = np.random.default_rng(7)
    shape = (9, 5, 3)
    frames = [
        np.frombuffer(rng.bytes(np.dtype(dtype).itemsize * 135), dtype).reshape(shape)
        if dtype != "?"
        else rng.integers(0, 2, shape).astype("?")
        for _ in range(min(count, 8))
    ]
    run = event_model.compose_run()
    text = np.dtype(dtype).str
    about = {"dtype": "array", "shape": list(shape), "dtype_numpy": text, "source": "sim"}
    stream = run.compose_descriptor(name="primary", data_keys={"camera": about})
    with Recorder(tmp_path, inline_limit=0) as recorder:
        recorder("start", run.start_doc)
        recorder("descriptor", stream.descriptor_doc)
        for i in range(count):
            data = {"camera": np.asfortranarray(frames[i % 8])}
            event = stream.compose_event(data=data, timestamps={"camera": float(i)}, validate=False)
            recorder("event", event)
        recorder("stop", run.compose_stop())
    (recorded,) = read_runs(tmp_path)
    events = [doc for name, doc in recorded.documents() if name == "event"]
    assert len(events) == count
    for i, event in enumerate(events):
        assert event["data"]["camera"].dtype == np.dtype(dtype)
        assert event["data"]["camera"].tobytes() == frames[i % 8].tobytes()
        assert event["timestamps"]["camera"] == i


def test_other_tools_read_the_arrays_and_can_check_them(recorded):
    """With h5py and xxhash alone, as the documentation says."""
    path, pairs = recorded
    (arrays,) = path.parent.rglob("*.h5")
    with h5py.File(arrays) as file:
        data = file["/entry/recorded/data"]
        times = file["/entry/recorded/timestamps"]
        sums = file["/entry/recorded/checksums"]
        assert (data.shape, times.shape, sums.shape) == ((6, *SHAPE), (6,), (6,))
        for i, frame in enumerate(data):
            assert (frame == pairs[2 + i][1]["data"]["camera"]).all()
            seed = int.from_bytes(times[i].tobytes(), "little")
            assert xxhash.xxh3_64_intdigest(frame.tobytes(), seed) == sums[i]
    end = json.loads((path.with_suffix("") / "notes").read_text().splitlines()[-1])["end"]
    text = path.read_bytes()
    assert end["bytes"] == len(text)
    assert end["lines"] == len(text.splitlines())
    assert end["xxh3_64"] == xxhash.xxh3_64_hexdigest(text)
    assert end["events"] == {"primary": 6}


def test_a_batch_with_a_document_that_cannot_be_written_keeps_the_others(tmp_path):
    first, second = list(documents(2)), list(documents(2))
    with Recorder(tmp_path) as recorder:
        recorder.take_batch(first[:2])
        with pytest.raises(RecordingError, match="in the recording already"):
            recorder.take_batch([first[2], first[0], *second])
    runs = {run.uid: run for run in read_runs(tmp_path)}
    assert runs[second[0][1]["uid"]].complete
    assert numbers(runs[first[0][1]["uid"]].documents()) == [1]


def test_a_growing_file_is_read_as_it_is_now(tmp_path):
    """A reader that was there before the last array was written gives that one as well."""
    pairs = list(documents(400))
    recorder = Recorder(tmp_path)
    recorder.take_batch(pairs[:5])
    (run,) = read_runs(tmp_path)
    reading = run.documents()
    read = [next(reading) for _ in range(4)]
    for pair in pairs[5:-1]:
        recorder(*pair)
    read.extend(reading)
    assert numbers(read) == list(range(1, 401))
    assert all((doc["data"]["camera"] == doc["seq_num"] - 1).all() for _, doc in read[2:])
    recorder.close()
