"""Detectors that write files, lent by a plan that is parked: its run goes on in further files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bluesky.consolidators import consolidator_factory
from bluesky.plans import count

from flying import Bench
from freewheel import RunEngine
from freewheel.plans import fly_count, fly_scan

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def bench(engine: RunEngine, tmp_path: Path) -> Bench:
    return Bench(engine, tmp_path)


def test_a_plan_of_points_has_all_of_them_in_two_files(bench: Bench) -> None:
    engine, account, camera = bench.engine, bench.account, bench.scope.file_camera
    future = engine(count([camera], 200))
    lent: list[Any] = []
    account.at_index(10, lambda: lent.append(engine.preempt(count([camera], 3))))
    inside = lent[0].result(30)
    (run,) = future.outcome.result(30).run_start_uids
    assert len(account.joined(run)["file_camera"]) == 200
    assert len(account.joined(inside.run_start_uids[0])["file_camera"]) == 3
    # As Tiled does it.
    (descriptor,) = (doc for doc in account.named("descriptor") if doc["run_start"] == run)
    first, second = (doc for doc in account.named("stream_resource") if doc["run_start"] == run)
    consolidator = consolidator_factory(first, descriptor)
    consolidator.update_from_stream_resource(second)
    for doc in account.named("stream_datum"):
        if doc["descriptor"] == descriptor["uid"]:
            consolidator.consume_stream_datum(doc)
    np.testing.assert_array_equal(
        consolidator.get_adapter().read(), account.joined(run)["file_camera"]
    )


@pytest.mark.parametrize("both", [False, True], ids=["one detector", "both detectors"])
def test_its_detectors_are_lent_to_a_plan_that_steps_in(bench: Bench, both: bool) -> None:
    engine, account = bench.engine, bench.account
    detectors = bench.detectors if both else [bench.scope.file_camera]
    inside = (
        fly_scan(detectors, bench.scope.stage.x, 0, 5, num=20, period=0.002, flyers=bench.flyers)
        if both
        else count(detectors, 2)
    )
    future = engine(bench.scan())
    lent: list[Any] = []
    account.at_index(40, lambda: lent.append(engine.preempt(inside)))
    assert lent[0].result(30).exit_status == "success"
    result = future.outcome.result(30)
    assert result.plan_result.points == 300
    frames, *others = (len(each) for each in account.joined(result.run_start_uids[0]).values())
    assert [frames, *others] == [300] * 4
    places = account.joined(result.run_start_uids[0])["stage-recorder-x"]
    np.testing.assert_allclose(places, np.linspace(0, 30, 300), atol=1e-3)
    files = [
        doc
        for doc in account.named("stream_resource")
        if doc["run_start"] == result.run_start_uids[0] and doc["data_key"] == "file_camera"
    ]
    assert len(files) == 2


def test_a_camera_on_its_own_clock_is_lent_several_times(bench: Bench) -> None:
    engine, account, camera = bench.engine, bench.account, bench.scope.file_camera
    lent: list[Any] = []

    def lend(name: str, doc: Any) -> None:  # each file has indices of its own
        if name == "stream_datum" and doc["indices"]["stop"] >= 10 and len(lent) < 3:
            lent.append(engine.preempt(count([camera], 1)))

    engine.subscribe(lend)
    future = engine(fly_count([camera], 300, period=0.004, collect_every=0.02))
    result = future.outcome.result(30)
    assert [each.result(30).exit_status for each in lent] == ["success"] * 3
    assert result.plan_result.points == 300
    assert len(account.joined(result.run_start_uids[0])["file_camera"]) == 300
