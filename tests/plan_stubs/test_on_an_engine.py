"""The stubs on a real engine."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from bluesky.run_engine import RunEngineInterrupted
from bluesky.utils import Msg

from doubles import Sensor, in_a_run, run
from freewheel import Action, ReadingCache, RunEngine, SRLatch
from freewheel.plan_stubs import (
    Pacer,
    clear_cache,
    describe,
    describe_collect,
    pace,
    rd,
    read_and_stash,
    read_while_waiting,
    set_property,
    stash,
    wait_for_actions,
)

if TYPE_CHECKING:
    pass

WAIT = 20.0


def names(documents: list[tuple[str, Any]]) -> list[str]:
    return [name for name, _ in documents]


# -- actions -------------------------------------------------------------------------------------


def test_wait_for_actions_gives_the_latch_or_nothing(engine: RunEngine) -> None:
    latch = SRLatch()

    assert run(engine, wait_for_actions({"go": latch})) is None
    latch.set()
    assert run(engine, wait_for_actions({"go": latch}, timeout=None)) == ("go", latch)
    assert run(engine, wait_for_actions({"go": latch}, wait_for="reset")) is None


def test_a_negative_time_out_is_refused(engine: RunEngine) -> None:
    with pytest.raises(ValueError, match="timeout"):
        engine(wait_for_actions({"go": SRLatch()}, timeout=-1)).result(WAIT)


def test_read_while_waiting_takes_events_until_a_latch_changes(
    engine: RunEngine, documents: list[Any]
) -> None:
    go = Action(name="go")
    sensor = Sensor(on_read=lambda n: engine.trigger_action("go") if n == 3 else None)

    answer = run(
        engine, in_a_run(read_while_waiting([sensor], go.event_map, "live", refresh_period=0.001))
    )

    assert answer == ("go", go.latch)
    assert names(documents) == ["start", "descriptor", "event", "event", "event", "stop"]
    assert documents[1][1]["name"] == "live"
    assert not engine.pending_actions


def test_a_pulse_during_a_reading_is_not_lost(engine: RunEngine) -> None:
    go = Action(name="go")

    def pulse(reading: int) -> None:
        if reading == 2:
            engine.trigger_action("go")
            engine.release_action("go")

    sensor = Sensor(on_read=pulse)
    answer = run(engine, in_a_run(read_while_waiting([sensor], go.event_map, refresh_period=0.001)))

    assert answer == ("go", go.latch)
    assert sensor.readings == 2


def test_actions_stay_on_offer_while_the_devices_are_read(engine: RunEngine) -> None:
    go = Action(name="go")
    seen: list[set[str]] = []
    sensor = Sensor(on_read=lambda n: seen.append(set(engine.pending_actions)))

    plan = read_while_waiting([sensor], go.event_map, refresh_period=1e-4, turns=4)
    run(engine, in_a_run(plan))

    assert seen == [{"go"}] * 4
    assert not engine.pending_actions


def test_a_latch_that_is_set_already_still_gets_one_event(
    engine: RunEngine, documents: list[Any], sensor: Any
) -> None:
    latch = SRLatch()
    latch.set()

    answer = run(engine, in_a_run(read_while_waiting([sensor], {"go": latch})))

    assert answer == ("go", latch)
    assert names(documents).count("event") == 1


def test_nothing_is_on_offer_after_a_failure(engine: RunEngine) -> None:
    def fail(reading: int) -> None:
        raise OSError("no light")

    go = Action(name="go")
    offered: list[Any] = []

    def plan() -> Any:
        try:
            yield from in_a_run(read_while_waiting([Sensor(on_read=fail)], go.event_map))
        except OSError:
            offered.append(dict(engine.pending_actions))
            raise

    with pytest.raises(OSError, match="no light"):
        engine(plan()).result(WAIT)
    assert offered == [{}]


@pytest.mark.parametrize("at_once", [False, True])
def test_turns_end_it_and_the_clock_is_shared(
    engine: RunEngine, documents: list[Any], sensor: Any, at_once: bool
) -> None:
    clock = Pacer(0.001)
    go = Action(name="go")

    def plan() -> Any:
        for _ in range(2):
            answer = yield from read_while_waiting(
                [sensor, clock], go.event_map, pacer=clock, turns=3, at_once=at_once
            )
            assert answer is None

    run(engine, in_a_run(plan()))

    assert clock.turns == 6
    assert names(documents).count("event") == 6
    assert set(documents[2][1]["data"]) == {"sensor", "pace-rate", "pace-missed"}


# -- caches --------------------------------------------------------------------------------------


def test_read_and_stash_keeps_each_devices_reading(engine: RunEngine, documents: list[Any]) -> None:
    sensors = [Sensor("a"), Sensor("b")]
    caches = [ReadingCache(), ReadingCache()]

    def plan() -> Any:
        for _ in range(3):
            readings = yield from read_and_stash(sensors, caches, stream="kept", wait=True)
        return readings

    readings = run(engine, in_a_run(plan()))

    assert {key: reading["value"] for key, reading in readings.items()} == {"a": 3, "b": 3}
    assert [cache.stack(key).tolist() for cache, key in zip(caches, "ab", strict=True)] == [
        [1, 2, 3],
        [1, 2, 3],
    ]
    assert names(documents).count("event") == 3


def test_as_many_caches_as_devices(engine: RunEngine, sensor: Any) -> None:
    with pytest.raises(ValueError, match="1 devices and 2 caches"):
        engine(read_and_stash([sensor], [ReadingCache(), ReadingCache()])).result(WAIT)


def test_stash_and_clear(engine: RunEngine) -> None:
    cache = ReadingCache()

    run(engine, stash(cache, {"x": {"value": 1, "timestamp": 0.0}}, wait=True))
    assert cache.stack("x").tolist() == [1]
    run(engine, clear_cache(cache, wait=True))
    assert len(cache) == 0


def test_what_keeps_no_readings_is_refused(engine: RunEngine, sensor: Any) -> None:
    with pytest.raises(TypeError, match="cache"):
        engine(stash(sensor, {})).result(WAIT)
    with pytest.raises(TypeError, match="cache"):
        engine(clear_cache(sensor)).result(WAIT)


# -- devices -------------------------------------------------------------------------------------


def test_set_property(engine: RunEngine, stage: Any) -> None:
    status = run(engine, set_property(stage, 3, propr="speed"))

    assert stage.calls == [(3, {"propr": "speed"})]
    assert status.success


def test_describe_awaits_where_it_must(engine: RunEngine, sensor: Any, stage: Any) -> None:
    assert run(engine, describe(sensor))["sensor"]["dtype"] == "integer"
    assert run(engine, describe(stage))["stage"]["dtype"] == "number"
    assert run(engine, describe_collect(sensor)).keys() == {"stream"}
    assert [message.command for message in describe(sensor)] == ["wait_for"]


def test_a_description_that_fails_fails_the_plan(engine: RunEngine, sensor: Any) -> None:
    async def fail() -> Any:
        raise OSError("not connected")

    sensor.describe = fail
    with pytest.raises(OSError, match="not connected"):
        engine(describe(sensor)).result(WAIT)


def test_a_description_that_a_pause_cuts_short_is_asked_again(
    engine: RunEngine, sensor: Any
) -> None:
    asked = threading.Semaphore(0)
    gate: list[Any] = []

    async def slow() -> Any:
        if not gate:
            gate.append(engine.loop.create_future())
            asked.release()
            await gate[0]
        return {"sensor": {}}

    sensor.describe = slow
    future = engine(describe(sensor))
    assert asked.acquire(timeout=WAIT)
    engine.request_pause().result(WAIT)
    with pytest.raises(RunEngineInterrupted):
        future.result(WAIT)

    assert engine.resume().result(WAIT).plan_result == {"sensor": {}}


def test_rd(engine: RunEngine, stage: Any) -> None:
    stage.position = 4.5

    assert run(engine, rd(stage)) == 4.5


# -- time ----------------------------------------------------------------------------------------


def test_pace_counts_turns_and_missed_ticks(engine: RunEngine) -> None:
    def plan() -> Any:
        ticks = []
        while len(ticks) < 5:
            ticks.append((yield from pace(0.001)))
        return ticks

    first, second = run(engine, plan()), run(engine, plan())

    assert [tick.turns for tick in first] == [1, 2, 3, 4, 5]
    # The clock of a period belongs to one plan: the next one has its own.
    assert [tick.turns for tick in second] == [1, 2, 3, 4, 5]


def test_two_clocks_of_one_period(engine: RunEngine) -> None:
    one, other = Pacer(0.001), Pacer(0.001)

    def plan() -> Any:
        yield from pace(one)
        yield from pace(one)
        yield from pace(other)

    run(engine, plan())

    assert (one.turns, other.turns) == (2, 1)


def test_a_clock_stands_still_in_a_pause(engine: RunEngine) -> None:
    # A deadline of now or before, for the engine waits for those of `time.monotonic`, which may
    # count from the machine's start.
    start = time.monotonic()
    now = [start]
    clock = Pacer(0.5, clock=lambda: now[0])

    def plan() -> Any:
        yield from pace(clock)
        now[0] += 0.2
        yield Msg("pause")
        now[0] += 0.1
        return clock.next_deadline()

    future = engine(plan())
    with pytest.raises(RunEngineInterrupted):
        future.result(WAIT)
    now[0] += 60

    assert engine.resume().result(WAIT).plan_result == pytest.approx(start + 60.5)
    assert clock.missed == 0


@pytest.mark.parametrize("period", [0, -1.0, float("nan")])
def test_a_period_that_is_none_fails_the_plan(engine: RunEngine, period: float) -> None:
    with pytest.raises(ValueError, match="positive number of seconds"):
        engine(pace(period)).result(WAIT)


def test_something_else_than_a_clock_is_refused(engine: RunEngine, sensor: Any) -> None:
    with pytest.raises(TypeError, match="pace follows a Pacer"):
        engine([Msg("pace", sensor)]).result(WAIT)
