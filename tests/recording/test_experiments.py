"""Whole experiments: recorded, replayed as documents, run again on replayed devices."""

from __future__ import annotations

import math
from pathlib import Path

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
import event_model
import numpy as np
import pytest
from ophyd_async.core import TriggerInfo

from freewheel import SRLatch
from freewheel.plan_stubs import read_while_waiting, wait_for_actions
from freewheel.recording import RecordedRun, read_runs, replay, replay_devices, replay_plan


def count(d):
    yield from bp.count([d["camera"], d["temperature"]], 3)


def scan(d):
    yield from bp.scan([d["camera"]], d["stage-x"], -2, 2, 5)


def grid_scan(d):
    yield from bp.grid_scan([d["camera"]], d["stage-x"], 0, 1, 2, d["stage-y"], 0, 2, 3)


def rel_scan(d):
    yield from bp.rel_scan([d["camera"]], d["stage-x"], -1, 1, 4)


def rel_grid_scan(d):
    axes = (d["stage-x"], -1, 1, 2, d["stage-y"], -0.5, 0.5, 2)
    yield from bp.rel_grid_scan([d["camera"]], *axes, snake_axes=True)


def step_file_camera(d):
    yield from bp.scan([d["file_camera"]], d["focus"], 0, 1, 3)


def fly_scan(d):
    camera = d["file_camera"]

    @bpp.stage_decorator([camera])
    @bpp.run_decorator(md={"plan_name": "fly_scan"})
    def inner():
        yield from bps.prepare(camera, TriggerInfo(number_of_events=6, livetime=0.002), wait=True)
        yield from bps.declare_stream(camera, name="flight", collect=True)
        yield from bps.kickoff(camera, wait=True)
        yield from bps.collect_while_completing(
            [camera], [camera], flush_period=0.01, stream_name="flight"
        )

    yield from inner()


def live_view(d):
    """A live view of which snapshots are taken; the frames that are seen set off the actions."""
    camera = d["camera"]
    snap, stop = SRLatch(), SRLatch()
    seen = 0

    @bpp.stage_decorator([camera])
    @bpp.run_decorator(md={"plan_name": "live_view"})
    def inner():
        nonlocal seen
        for frames in (3, 2, 4):
            for _ in range(frames):
                yield from bps.trigger_and_read([camera], name="live")
                seen += 1
            snap.set()
            answer = yield from wait_for_actions({"snap": snap}, timeout=5)
            assert answer is not None
            snap.reset()
            yield from bps.trigger_and_read([camera], name="snapshots")
        stop.set()
        yield from read_while_waiting([camera], {"stop": stop}, "tail", refresh_period=0.001)

    yield from inner()


EXPERIMENTS = [
    count,
    scan,
    grid_scan,
    rel_scan,
    rel_grid_scan,
    step_file_camera,
    fly_scan,
    live_view,
]


def event_data(documents):
    """Return, by stream, the data of events, and which frames of which files belong to it."""
    streams, resources = {}, {}
    events, frames = {}, {}
    for name, doc in documents:
        if name == "descriptor":
            streams[doc["uid"]] = doc["name"]
        elif name == "event":
            events.setdefault(streams[doc["descriptor"]], []).append(doc["data"])
        elif name == "stream_resource":
            resources[doc["uid"]] = doc["uri"], doc["data_key"]
        elif name == "stream_datum":
            key = (streams[doc["descriptor"]], *resources[doc["stream_resource"]])
            pairs = zip(
                range(doc["seq_nums"]["start"], doc["seq_nums"]["stop"]),
                range(doc["indices"]["start"], doc["indices"]["stop"]),
                strict=True,
            )
            frames.setdefault(key, []).extend(pairs)
    return events, frames


def assert_same_data(first, second):
    (events, frames), (other_events, other_frames) = event_data(first), event_data(second)
    assert frames == other_frames
    assert events.keys() == other_events.keys()
    for stream, rows in events.items():
        assert len(rows) == len(other_events[stream])
        for one, other in zip(rows, other_events[stream], strict=True):
            assert one.keys() == other.keys()
            for key in one:
                np.testing.assert_array_equal(one[key], other[key], err_msg=f"{stream} {key}")


def described(documents):
    return [
        (doc["name"], doc["data_keys"], doc["hints"], doc["object_keys"])
        for name, doc in documents
        if name == "descriptor"
    ]


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda plan: plan.__name__)
def test_recorded_replayed_and_run_again(experiment, engine, parts, record, equal_documents):
    engine(bps.mv(parts["stage-x"], 3, parts["stage-y"], -1)).result(10)
    (run,), emitted = record(experiment(parts))
    assert isinstance(run, RecordedRun)
    assert run.complete
    equal_documents(run.documents(), emitted)
    equal_documents(replay(run, speed=math.inf), emitted)

    again = []
    token = engine.subscribe(lambda name, doc: again.append((name, doc)))
    result = engine(replay_plan(run, speed=math.inf)).result(10)
    assert result.plan_result == run.uid
    equal_documents(again, emitted)

    again.clear()
    devices = replay_devices(run, speed=math.inf)
    engine(experiment(devices)).result(20)
    engine.unsubscribe(token)
    assert_same_data(again, emitted)
    assert described(again) == described(emitted)


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda plan: plan.__name__)
def test_stored_documents_are_valid(experiment, parts, record):
    (run,), _ = record(experiment(parts))
    kinds = set()
    for name, doc in run.documents(fill=False):
        event_model.schema_validators[event_model.DocumentNames[name]].validate(doc)
        kinds.add(name)
    assert kinds >= {"start", "descriptor", "stop", "stream_resource", "stream_datum"}


def test_runs_side_by_side(engine, parts, record, equal_documents):
    """Two runs whose documents alternate are two runs again."""
    camera, temperature = parts["camera"], parts["temperature"]

    def interleaved():
        yield from bpp.set_run_key_wrapper(bps.open_run(), "a")
        yield from bpp.set_run_key_wrapper(bps.open_run(), "b")
        for _ in range(3):
            yield from bpp.set_run_key_wrapper(bps.trigger_and_read([camera]), "a")
            yield from bpp.set_run_key_wrapper(bps.trigger_and_read([temperature]), "b")
        yield from bpp.set_run_key_wrapper(bps.close_run(), "a")
        yield from bpp.set_run_key_wrapper(bps.close_run(), "b")

    runs, emitted = record(interleaved())
    assert len(runs) == 2
    assert all(run.complete for run in runs)
    for run in runs:
        descriptors = {d["uid"] for n, d in emitted if d.get("run_start") == run.uid}
        own = [
            (name, doc)
            for name, doc in emitted
            if run.uid in (doc["uid"], doc.get("run_start")) or doc.get("descriptor") in descriptors
        ]
        equal_documents(run.documents(), own)


def test_recording_of_the_repository(engine):
    """The recording that comes with the source is readable, and its scan can be run again."""
    scan_run, count_run = read_runs(Path(__file__).parent / "data" / "microscope")
    assert [run.start["plan_name"] for run in (scan_run, count_run)] == ["scan", "count"]
    assert scan_run.complete
    recorded = list(scan_run.documents())
    again = []
    engine.subscribe(lambda name, doc: again.append((name, doc)))
    devices = replay_devices(scan_run, speed=math.inf)
    detectors = [devices["camera"], devices["temperature"]]
    engine(bp.scan(detectors, devices["stage-x"], -10, 10, 5)).result(20)
    assert_same_data(again, recorded)
