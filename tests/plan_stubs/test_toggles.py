"""A latch that stays set ends `read_while_waiting` once for each change."""

from __future__ import annotations

from typing import Any

from bluesky.utils import Msg

from doubles import Sensor, in_a_run, run
from freewheel import Action, RunEngine, SRLatch
from freewheel.plan_stubs import background, read_while_waiting, wait_for_actions

PERIOD = 1e-4


def view(sensor: Sensor, *actions: Action, turns: int | None = None, **kwargs: Any) -> Any:
    events = {name: latch for action in actions for name, latch in action.event_map.items()}
    return read_while_waiting([sensor], events, refresh_period=PERIOD, turns=turns, **kwargs)


def test_a_toggle_that_stays_on_ends_the_view_once(engine: RunEngine) -> None:
    light = Action(name="light", togglable=True)
    light.latch.set()
    sensor = Sensor()

    def plan() -> Any:
        first = yield from view(sensor, light)
        at_first = sensor.readings
        second = yield from view(sensor, light, turns=5)
        return first, at_first, second, sensor.readings

    assert run(engine, in_a_run(plan())) == (("light", light.latch), 1, None, 6)


def test_the_next_change_ends_it_again(engine: RunEngine) -> None:
    light = Action(name="light", togglable=True)

    def press(reading: int) -> None:
        if reading == 3:
            engine.trigger_action("light")
        elif reading == 6:
            engine.release_action("light")
        elif reading == 9:
            engine.trigger_action("light")

    sensor = Sensor(on_read=press)

    def plan() -> Any:
        ends = []
        for _ in range(2):
            yield from view(sensor, light)
            ends.append(sensor.readings)
        return ends

    assert run(engine, in_a_run(plan())) == [3, 9]


def test_another_action_ends_it_while_the_toggle_stays_on(engine: RunEngine) -> None:
    light, snap = Action(name="light", togglable=True), Action(name="snap")
    light.latch.set()
    sensor = Sensor(on_read=lambda n: engine.trigger_action("snap") if n == 4 else None)

    def plan() -> Any:
        first = yield from view(sensor, light, snap)
        second = yield from view(sensor, light, snap)
        return first, second, sensor.readings

    answers = ("light", light.latch), ("snap", snap.latch), 4
    assert run(engine, in_a_run(plan())) == answers


def test_both_ways_of_a_toggle_end_it_once(engine: RunEngine) -> None:
    light = Action(name="light", togglable=True)

    def press(reading: int) -> None:
        if reading in (2, 6):
            engine.trigger_action("light")
        elif reading == 4:
            engine.release_action("light")

    sensor = Sensor(on_read=press)

    def plan() -> Any:
        ends = []
        for wanted in ("set", "reset", "set"):
            yield from view(sensor, light, wait_for=wanted)
            ends.append(sensor.readings)
        return ends

    assert run(engine, in_a_run(plan())) == [2, 4, 6]


def test_a_toggle_that_was_switched_over_and_back_meanwhile_has_changed(
    engine: RunEngine,
) -> None:
    light = Action(name="light", togglable=True)
    light.latch.set()
    sensor = Sensor()

    def plan() -> Any:
        yield from view(sensor, light)
        light.latch.reset()
        light.latch.set()
        return (yield from view(sensor, light))

    assert run(engine, in_a_run(plan())) == ("light", light.latch)
    assert sensor.readings == 2


def test_a_change_that_the_plan_was_told_of_by_another_wait_does_not_count(
    engine: RunEngine,
) -> None:
    light = Action(name="light", togglable=True)
    light.latch.set()

    def plan() -> Any:
        told = yield from wait_for_actions(light.event_map)
        return told, (yield from view(Sensor(), light, turns=3))

    assert run(engine, in_a_run(plan())) == (("light", light.latch), None)


def test_looking_goes_by_the_state_whatever_was_told(engine: RunEngine) -> None:
    light = Action(name="light", togglable=True)
    light.latch.set()

    def plan() -> Any:
        sensor = Sensor()
        yield from view(sensor, light)
        yield from view(sensor, light, turns=2)
        first = yield from wait_for_actions(light.event_map)
        return first, (yield from wait_for_actions(light.event_map))

    assert run(engine, in_a_run(plan())) == (("light", light.latch), ("light", light.latch))


def test_a_look_does_not_take_over_an_offer_that_was_for_changes_alone(engine: RunEngine) -> None:
    latch = SRLatch()
    latch.set()
    events = {"go": latch}

    def plan() -> Any:
        yield from wait_for_actions(events)
        held = Msg("wait_for_actions", None, events, timeout=0, hold=True, fresh=True)
        nothing = yield held
        return nothing, (yield from wait_for_actions(events))

    assert run(engine, plan()) == (None, ("go", latch))


def test_each_plan_is_told_for_itself(engine: RunEngine) -> None:
    light = Action(name="light", togglable=True)
    light.latch.set()

    def task() -> Any:
        return (yield from in_a_run(view(Sensor("theirs"), light)))

    def plan() -> Any:
        mine = yield from view(Sensor("mine"), light)
        other = yield from background(task(), name="other")
        while not other.done:
            yield from wait_for_actions({})
        return mine, other.result()

    assert run(engine, in_a_run(plan())) == (("light", light.latch), ("light", light.latch))
    # So is the next plan on the same engine.
    assert run(engine, in_a_run(view(Sensor(), light))) == ("light", light.latch)
