"""What is known of the runs of tasks, and what each of them begins and ends with."""

from __future__ import annotations

from typing import Any

import pytest
from bluesky.preprocessors import SupplementalData
from bluesky.utils import Msg

from doubles import Device, Log, collect, endless, in_a_run, run, value
from freewheel import RunEngine
from freewheel.plan_stubs import background, mv, sleep, wait_for_background

T = 10


def starts(documents: list[tuple[str, Any]]) -> list[str]:
    return [doc["uid"] for name, doc in documents if name == "start"]


def test_a_task_knows_its_runs_and_the_result_all_in_their_order(engine: RunEngine) -> None:
    documents = collect(engine)

    def inner() -> Any:
        yield from in_a_run()

    def outer() -> Any:
        yield from in_a_run()
        task = yield from background(inner(), name="inner")
        yield from wait_for_background("inner")
        yield from in_a_run()
        return task

    def plan() -> Any:
        yield from in_a_run()
        task = yield from background(outer(), name="outer")
        inner_task = yield from wait_for_background("outer")
        yield from in_a_run()
        return task, inner_task

    result = engine(plan()).result(T)
    uids = starts(documents)
    assert len(uids) == 5
    assert list(result.run_start_uids) == uids
    outer_task, inner_task = result.plan_result
    assert list(outer_task.run_start_uids) == uids[1:4]
    assert list(inner_task.run_start_uids) == uids[2:3]


@pytest.mark.parametrize("detach", [True, False])
def test_the_runs_of_a_detached_task_are_not_the_plans(engine: RunEngine, detach: bool) -> None:
    def plan() -> Any:
        return (yield from background(in_a_run(), detach=detach))

    result = engine(plan()).result(T)
    task = result.plan_result
    task.wait(T)
    assert len(task.run_start_uids) == 1
    assert result.run_start_uids == (() if detach else task.run_start_uids)


def test_the_next_plan_has_its_own_runs_alone(engine: RunEngine) -> None:
    def plan() -> Any:
        yield from background(in_a_run())

    first, second = engine(plan()).result(T), engine(plan()).result(T)
    assert len(first.run_start_uids) == len(second.run_start_uids) == 1
    assert first.run_start_uids != second.run_start_uids


def test_a_run_of_a_task_has_the_baseline(engine: RunEngine) -> None:
    documents = collect(engine)
    motor = Device("m")
    engine.preprocessors.append(SupplementalData(baseline=[motor]))
    engine.background.launch(in_a_run(), name="x").wait(T)
    descriptors = [doc for name, doc in documents if name == "descriptor"]
    assert [doc["name"] for doc in descriptors] == ["baseline"]
    assert [doc["data"] for name, doc in documents if name == "event"] == [{"m": 0}] * 2
    assert documents[-1][1]["num_events"] == {"baseline": 2}


def test_of_two_runs_that_are_open_each_has_its_own(engine: RunEngine) -> None:
    documents = collect(engine)
    engine.preprocessors.append(SupplementalData(baseline=[Device("m")]))

    def plan() -> Any:
        yield Msg("open_run", run="a")
        yield Msg("open_run", run="b")
        yield Msg("close_run", run="a")
        yield Msg("close_run", run="b")

    engine.background.launch(plan(), name="x").wait(T)
    stops = [doc for name, doc in documents if name == "stop"]
    assert [doc["num_events"] for doc in stops] == [{"baseline": 2}] * 2


def test_the_baseline_takes_no_device_from_anybody(engine: RunEngine, log: Log) -> None:
    """Not even what a scan in the foreground holds, and moves."""
    motor = Device("m")
    engine.preprocessors.append(SupplementalData(baseline=[motor]))
    live = engine.background.launch(in_a_run(endless(log)), name="live")
    log.wait_for("task begins")

    def scan() -> Any:
        yield from mv(motor, 1)
        yield from background(in_a_run(value(1)), name="beside")
        yield from wait_for_background("beside")
        yield from mv(motor, 2)

    run(engine, in_a_run(scan()))
    assert motor.did.count("trigger") == 2  # of the foreground's own baseline
    assert not live.done
    live.cancel()
    live.wait(T)


@pytest.mark.parametrize(("says", "streams"), [(True, {"baseline"}), (False, set())])
def test_a_preprocessor_that_says_so_is_for_the_background_or_not(
    engine: RunEngine, says: bool, streams: set[str]
) -> None:
    documents = collect(engine)
    motor = Device("m")
    supplemental: Any = SupplementalData(baseline=[motor])
    supplemental.in_background = says
    engine.preprocessors.append(supplemental)
    engine.background.launch(in_a_run(sleep(0)), name="x").wait(T)
    assert {doc["name"] for name, doc in documents if name == "descriptor"} == streams
    assert ("trigger" in motor.did) is says
