"""Snapshots as JSON: names for objects, a schema that holds, old versions that stay readable."""

# ruff: noqa: N803

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from bluesky.utils import Msg

from doubles import quick
from freewheel import Action, PlanCall
from freewheel.core import EngineSnapshot, EngineState, OfferedAction, Progress, TaskPicture
from freewheel.plan_stubs import background, claim, declare_progress, wait_for_actions

OLD = sorted((Path(__file__).parent / "data").glob("snapshot-v*.json"))
T = 10


class Stage:
    name = "stage"
    parent = None


def checked(snapshot: EngineSnapshot) -> dict[str, Any]:
    """What a client of any language reads, after it was held against the schema."""
    found = json.loads(snapshot.to_json())
    schema = EngineSnapshot.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(found, schema)
    return found


def test_a_busy_engine_is_told_in_names(RE: Any) -> None:
    light = Action(
        name="light", description="The lamp.", togglable=True, toggle_states=("Bright", "Dark")
    )
    offered, declared = threading.Event(), threading.Event()
    RE.events.actions_changed.connect(lambda names: offered.set() if names else None)

    def beside() -> Any:
        yield from declare_progress("minutes")
        declared.set()
        yield Msg("sleep", None, 600)

    def plan() -> Any:
        yield from claim(Stage())
        yield from background(beside(), name="warmer")
        yield Msg("clear_checkpoint")  # it gives way to no other
        yield from wait_for_actions(light.event_map, timeout=None)

    RE(plan())
    RE(quick())
    RE.preempt(PlanCall(quick, (3,)))
    RE.queue.every(3600, quick, 4)
    assert offered.wait(T)
    assert declared.wait(T)
    snapshot = RE.snapshot()
    found = checked(snapshot)
    assert found["state"] == "running"
    assert found["plan"]["name"] == "plan"
    assert found["plan"]["elapsed"] >= 0
    assert found["plan"]["time_left"] is None
    assert found["queue"] == ["quick", "quick"]
    unknown = {"duration": None, "starts_in": None}
    assert found["waiting"] == [
        {"name": "quick", "arguments": "3", "priority": None, **unknown},
        {"name": "quick", "arguments": "", "priority": 0, **unknown},
    ]
    (periodic,) = found["periodic"]
    assert 3500 < periodic.pop("due_in") <= 3600
    assert periodic == {
        "name": "quick",
        "arguments": "4",
        "seconds": 3600,
        "runs": 0,
        "waits_for": "",
    }
    assert found["claims"] == {"stage": "plan"}
    (task,) = found["background"]
    assert (task["name"], task["status"], task["claims"]) == ("warmer", "running", [])
    assert task["elapsed"] >= 0  # though it has progress of its own
    assert [each["kind"] for each in found["progress"]] == ["scope"]
    assert found["actions"] == [
        {
            "plan": "plan",
            "name": "light",
            "description": "The lamp.",
            "togglable": True,
            "toggle_states": ["Bright", "Dark"],
            "is_on": False,
        }
    ]
    text = snapshot.to_json()
    back = EngineSnapshot.from_json(text)
    assert back.actions == snapshot.actions
    assert back.progress == snapshot.progress
    assert back.state is EngineState.RUNNING
    assert back.to_json() == text
    assert back.waiting == snapshot.waiting
    assert back.periodic == snapshot.periodic
    RE.stop().result(T)


def test_an_idle_engine(RE: Any) -> None:
    found = checked(RE.snapshot())
    assert found["plan"] is None
    assert EngineSnapshot.from_json(json.dumps(found)) == RE.snapshot()


def test_values_that_json_has_no_way_for() -> None:
    progress = (
        Progress("grid", current=np.array([1.0, np.nan]), target=(np.int64(2), 3), elapsed=1.5),
        Progress("move", current=float("inf"), target=object(), elapsed=0.0),
    )
    snapshot = EngineSnapshot(EngineState.IDLE, None, None, (), (), {}, (), progress)
    first, second = checked(snapshot)["progress"]
    assert (first["current"], first["target"]) == ([1.0, None], [2, 3])
    assert second["current"] is None
    assert second["target"].startswith("<object")


def test_every_old_version_is_kept_here() -> None:
    version = EngineSnapshot.json_schema()["properties"]["version"]["const"]
    assert [path.stem for path in OLD] == [f"snapshot-v{n}" for n in range(1, version + 1)]


@pytest.mark.parametrize("path", OLD, ids=lambda path: path.stem)
def test_old_versions_are_read(path: Path) -> None:
    snapshot = EngineSnapshot.from_json(path.read_bytes())
    assert snapshot.state is EngineState.PAUSED
    assert (snapshot.plan_name, snapshot.elapsed) == ("scan", 12.5)
    assert snapshot.queue == ("count", "count")
    assert snapshot.waiting == snapshot.periodic == ()
    assert (snapshot.queue_held, snapshot.service_failed) == ("lunch", "the watchdog has ended")
    assert snapshot.background == (TaskPicture("live", "running", 3.25, ("camera",)),)
    assert snapshot.claims == {"camera": "live", "stage": "scan"}
    assert snapshot.actions == (
        OfferedAction("live", "light", "The lamp.", True, ("Bright", "Dark"), True),
    )
    (progress,) = snapshot.progress
    assert progress == Progress(
        "points", owner="scan", fraction=0.5, current=[1.0, 2], target=4, elapsed=2.0
    )
    checked(snapshot)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": "png"}, "no snapshot"),
        ({"version": 99}, "reads 1 to"),
        ({"version": "1"}, "'1'"),
        ({"version": True}, "True"),
        ({"queue": "count"}, "damaged: .*'queue' is 'count', and no array"),
        ({"claims": None}, "damaged: .*'claims' is None, and no object"),
        ({"plan": {"title": "scan"}}, "damaged: KeyError: 'name'"),
        ({"actions": [{"name": "go"}]}, "damaged"),
        ({"waiting": [1]}, "damaged"),
        ({"interlocks": ["door"]}, "damaged"),
        ({"state": "flying"}, "'flying' is not a valid EngineState"),
    ],
)
def test_what_cannot_be_read_is_refused(RE: Any, change: dict[str, Any], says: str) -> None:
    found = json.loads(RE.snapshot().to_json())
    with pytest.raises(ValueError, match=says):
        EngineSnapshot.from_json(json.dumps({**found, **change}))
    with pytest.raises(ValueError, match="no snapshot"):
        EngineSnapshot.from_json("[]")


@pytest.mark.parametrize("text", ["", "half a {", b"\xff\xfe", "[" * 100_000])
def test_what_is_no_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError, match="no snapshot of an engine, for it is no JSON"):
        EngineSnapshot.from_json(text)


def test_a_snapshot_without_a_part_is_refused(RE: Any) -> None:
    found = json.loads(RE.snapshot().to_json())
    del found["state"]
    with pytest.raises(ValueError, match="damaged: KeyError: 'state'"):
        EngineSnapshot.from_json(json.dumps(found))


def test_a_key_of_a_later_freewheel_is_passed_over(RE: Any) -> None:
    found = json.loads(RE.snapshot().to_json())
    text = json.dumps({**found, "weather": "fine"})
    assert EngineSnapshot.from_json(text) == RE.snapshot()
