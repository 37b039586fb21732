"""A run with a background run beside it."""

from __future__ import annotations

import math

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import numpy as np

from freewheel.plan_stubs import background, wait_for_background
from freewheel.recording import replay, replay_devices


def beside(d):
    """Count the camera, and the temperature in the background."""
    yield from background(bp.count([d["temperature"]], 4), name="log")
    yield from bp.scan([d["camera"]], d["stage-x"], 0, 2, 3)
    yield from wait_for_background("log")
    yield from bps.null()


def test_background_run_is_recorded(engine, parts, record, equal_documents):
    runs, emitted = record(beside(parts))
    assert len(runs) == 2
    for run in runs:
        assert run.complete
        refers = {doc["uid"] for _, doc in emitted if doc.get("run_start") == run.uid}
        own = [
            (name, doc)
            for name, doc in emitted
            if run.uid in (doc["uid"], doc.get("run_start")) or doc.get("descriptor") in refers
        ]
        equal_documents(run.documents(), own)
        equal_documents(replay(run, speed=math.inf), own)

    again = []
    engine.subscribe(lambda _, doc: again.append(doc["data"]), "event")
    devices = {}
    for run in runs:
        devices.update(replay_devices(run, speed=math.inf))
    engine(beside(devices)).result(20)
    first = [doc["data"] for name, doc in emitted if name == "event"]
    for key in {key for data in first for key in data}:
        columns = [[data[key] for data in side if key in data] for side in (first, again)]
        np.testing.assert_array_equal(*columns)
