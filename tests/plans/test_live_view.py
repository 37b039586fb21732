"""The live view, on an engine and in the hands of forms."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from bluesky.run_engine import RunEngineInterrupted

from doubles import Gauge
from freewheel import Action, RunEngine
from freewheel.core import ContinuousPlan
from freewheel.plans import LiveViewResult, live_view

if TYPE_CHECKING:
    pass

WAIT = 20.0


def events_of(documents: list[tuple[str, Any]], stream: str) -> list[dict[str, Any]]:
    uids = {doc["uid"] for name, doc in documents if name == "descriptor" and doc["name"] == stream}
    return [doc["data"] for name, doc in documents if name == "event" and doc["descriptor"] in uids]


@pytest.mark.parametrize("at_once", [False, True])
def test_a_view_that_ends_by_itself(engine: RunEngine, documents: list[Any], at_once: bool) -> None:
    camera = Gauge("camera")

    result = engine(live_view([camera], rate=500, frames=10, at_once=at_once)).result(WAIT)

    view = result.plan_result
    assert isinstance(view, LiveViewResult)
    assert (view.frames, view.snapshots) == (10, 0)
    assert 0 < view.rate <= 510
    live = events_of(documents, "live")
    assert [data["camera"] for data in live] == list(range(1, 11))
    assert live[0].keys() == {"camera", "pace-rate", "pace-missed"}
    assert live[-1]["pace-missed"] <= view.missed
    assert camera.staged == 0


def test_snap_records_one_frame_into_a_stream_of_its_own(
    engine: RunEngine, documents: list[Any]
) -> None:
    snap = Action(name="snap")
    camera = Gauge("camera", lambda n: engine.trigger_action("snap") if n in (3, 6) else None)

    result = engine(live_view([camera], rate=1000, snap=snap, frames=8)).result(WAIT)

    assert result.plan_result.snapshots == 2
    assert [data["camera"] for data in events_of(documents, "snapshot")] == [4, 7]
    assert len(events_of(documents, "live")) == 8
    assert not snap.latch.is_set()
    assert not engine.pending_actions


def test_snap_is_on_offer_in_every_frame(engine: RunEngine) -> None:
    offered: list[set[str]] = []

    def look(n: int) -> None:
        offered.append(set(engine.pending_actions))
        if n == 2:
            engine.trigger_action("snap")

    engine(live_view([Gauge("camera", look)], rate=1000, frames=4)).result(WAIT)

    assert offered == [{"snap"}] * 5


def test_a_snap_during_a_snapshot_gives_another_one(
    engine: RunEngine, documents: list[Any]
) -> None:
    # The second reading is the first snapshot's.
    camera = Gauge("camera", lambda n: engine.trigger_action("snap") if n in (1, 2) else None)

    result = engine(live_view([camera], rate=1000, frames=3)).result(WAIT)

    assert result.plan_result.snapshots == 2
    assert [data["camera"] for data in events_of(documents, "snapshot")] == [2, 3]


def test_stop_ends_it_with_its_clean_up(engine: RunEngine, documents: list[Any]) -> None:
    running = threading.Event()
    camera = Gauge("camera", lambda n: running.set() if n == 3 else None)
    future = engine(live_view([camera], rate=500))
    assert running.wait(WAIT)
    engine.stop().result(WAIT)

    assert future.outcome.result(WAIT).exit_status == "success"
    assert documents[-1][0] == "stop"
    assert camera.staged == 0
    assert not engine.pending_actions


def test_it_pauses_and_goes_on(engine: RunEngine, documents: list[Any]) -> None:
    camera = Gauge("camera", lambda n: engine.request_pause() if n == 3 else None)
    future = engine(live_view([camera], rate=500, frames=20))
    with pytest.raises(RunEngineInterrupted):
        future.result(WAIT)

    assert engine.resume().result(WAIT).plan_result.frames == 20
    assert documents[-1][1]["exit_status"] == "success"


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused(engine: RunEngine, rate: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        engine(live_view([Gauge("camera")], rate=rate)).result(WAIT)


def test_it_says_that_it_is_continuous() -> None:
    assert isinstance(live_view, ContinuousPlan)
    assert live_view.__togglable__
    assert live_view.__pausable__


def test_a_form_can_be_made_of_it() -> None:
    from freewheel.forms import create_plan_spec

    spec = create_plan_spec(live_view, {"camera": Gauge("camera")})

    assert {"detectors", "rate", "snap", "frames"} <= {
        parameter.name for parameter in spec.parameters
    }
