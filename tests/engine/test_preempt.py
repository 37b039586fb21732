# ruff: noqa: N803
"""``RE.preempt``: a plan runs in another's place, which goes on by itself, and every way out."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from typing import Any

import bluesky.plan_stubs as bps
import pytest
from bluesky.suspenders import SuspendBoolHigh
from bluesky.utils import Msg, RunEngineInterrupted
from ophyd import Signal

from doubles import Blocked, Device, Finished, at_message, quick
from freewheel import (
    Action,
    BlockingRunEngine,
    CircularWaitError,
    EngineClosedError,
    PlanCall,
    PlanStatus,
    ResourceConflictError,
)
from freewheel.core import EngineSnapshot, EngineState
from freewheel.plan_stubs import (
    background,
    claim,
    declare_progress,
    mv,
    pace,
    read_while_waiting,
    uninterrupted,
    wait_for_action,
)

T = 10


class Map:
    """A plan of many points in a run, which goes on until it is told to end."""

    def __init__(self, engine: Any, name: str = "map") -> None:
        self.engine = engine
        self.name = name
        self.over = threading.Event()
        self.points = 0
        self.told = threading.Condition()
        self.cleaned = 0
        self.sensor = Device(f"sensor of {name}")

    def plan(self, point: Any = None) -> Any:
        yield Msg("open_run", plan=self.name)
        try:
            while not self.over.is_set():
                yield Msg("checkpoint")
                if point is not None:
                    yield from point()
                yield Msg("create", name="primary")
                yield Msg("read", self.sensor)
                yield Msg("save")
                with self.told:
                    self.points += 1
                    self.told.notify_all()
                yield Msg("sleep", None, 0)
        finally:
            self.cleaned += 1
        yield Msg("close_run")
        return self.name

    def begin(self, point: Any = None, **metadata: Any) -> Any:
        future = self.engine(self.plan(point), **metadata)
        self.go_on()
        return future

    def go_on(self, points: int = 2) -> None:
        """Wait until it has taken more points."""
        with self.told:
            wanted = self.points + points
            assert self.told.wait_for(lambda: self.points >= wanted, T), "it does not go on"

    def end(self, future: Any) -> Any:
        self.over.set()
        return future.outcome.result(T)


class Held:
    """A plan in a run that is where it says, and waits for the test."""

    def __init__(self, engine: Any, name: str = "align") -> None:
        self.engine, self.name = engine, name
        self.there, self.cleaned = threading.Event(), threading.Event()
        self._go = engine.loop.create_future()

    def plan(self, first: Any = ()) -> Any:
        yield Msg("open_run", plan=self.name)
        try:
            yield from first
            yield Msg("checkpoint")
            self.there.set()
            yield Msg("wait_for", None, [lambda: asyncio.shield(self._go)])
            yield Msg("checkpoint")
        finally:
            self.cleaned.set()
        yield Msg("close_run")
        return self.name

    def wait(self) -> None:
        assert self.there.wait(T), f"{self.name} was never begun"

    def go(self) -> None:
        def go() -> None:
            if not self._go.done():
                self._go.set_result(None)

        self.engine.loop.call_soon_threadsafe(go)


@pytest.fixture
def map_(RE: Any) -> Map:
    return Map(RE)


@pytest.fixture
def align(RE: Any) -> Held:
    return Held(RE)


def runs(documents: Any) -> list[str]:
    """The starts and stops, in their order, by the names of the plans."""
    names: dict[str, str] = {}
    told = []
    for name, doc in documents:
        if name == "start":
            names[doc["uid"]] = doc["plan"]
            told.append(f"{doc['plan']} starts")
        elif name == "stop":
            told.append(f"{names[doc['run_start']]} stops")
    return told


def test_a_plan_runs_in_anothers_place_which_goes_on_by_itself(
    RE: Any, map_: Map, align: Held, documents: Any
) -> None:
    first = map_.begin(sample="gold")
    second = RE.preempt(align.plan(), metadata={"why": "drift"})
    align.wait()
    assert RE.current is second
    assert RE.state == "running"
    assert first.status is PlanStatus.PARKED
    assert "parked" in repr(first)
    assert not first.done()
    picture = RE.snapshot()
    assert (picture.plan_name, picture.parked) == ("plan", ("plan",))
    assert EngineSnapshot.from_json(picture.to_json()).parked == ("plan",)
    assert "Parked, to go on by itself when it has ended: 'plan'" in RE.explain()
    points = map_.points
    align.go()
    assert second.result(T).plan_result == "align"
    map_.go_on()
    assert map_.points > points
    assert RE.snapshot().parked == ()
    result = map_.end(first)
    assert result.plan_result == "map"
    assert runs(documents) == ["map starts", "align starts", "align stops", "map stops"]
    starts = [doc for name, doc in documents if name == "start"]
    assert starts[0]["sample"] == "gold"
    assert "why" not in starts[0]
    assert starts[1]["why"] == "drift"
    assert "sample" not in starts[1]
    assert result.run_start_uids == (starts[0]["uid"],)
    assert second.result(0).run_start_uids == (starts[1]["uid"],)
    stops = [doc for name, doc in documents if name == "stop"]
    assert stops[1]["num_events"] == {"primary": map_.points}
    numbers = [doc["seq_num"] for name, doc in documents if name == "event"]
    assert numbers == list(range(1, map_.points + 1))


def test_with_nothing_running_it_is_the_next_plan(RE: Any, gate: Any) -> None:
    assert RE.preempt(quick(1)).result(T).plan_result == 1
    RE.queue.hold("lunch")
    ordinary = RE.queue.submit(quick(2), priority=1000)
    first, second = RE.preempt(quick(3)), RE.preempt(PlanCall(quick, (4,)), name="mine")
    assert list(RE.queue) == [first, second, ordinary]
    assert second.plan_name == "mine"
    assert "held (lunch)" in repr(first)
    assert RE.state == "idle"
    RE.queue.release()
    assert ordinary.result(T).plan_result == 2
    assert [first.result(0).plan_result, second.result(0).plan_result] == [3, 4]


def test_a_held_queue_does_not_keep_it_from_the_plan_that_runs(
    RE: Any, map_: Map, align: Held
) -> None:
    first = map_.begin()
    RE.queue.hold("finish this, then stop")
    second = RE.preempt(align.plan())
    align.wait()
    align.go()
    second.result(T)
    map_.go_on()
    map_.end(first)


def test_one_that_was_moved_to_the_front_keeps_no_later_one_from_stepping_in(
    RE: Any, map_: Map, gate: Any
) -> None:
    map_.begin()
    RE.preempt(gate.plan())
    gate.wait()  # it has no checkpoint, so that what comes now waits
    following, first = RE(quick()), RE.preempt(quick())
    RE.queue.move(following, 0)
    assert "behind 'plan'" in repr(first)  # the order is what the list shows
    second = RE.preempt(quick())
    assert list(RE.queue) == [second, following, first]
    assert "for the next checkpoint of 'plan'" in repr(second)
    gate.open()
    second.result(T)
    map_.go_on()
    assert list(RE.queue) == [following, first]
    map_.over.set()
    first.result(T)


def test_it_waits_for_a_checkpoint_and_may_be_taken_back(RE: Any, gate: Any) -> None:
    first = RE(gate.plan(messages=1))
    gate.wait()
    waiting = RE.preempt(quick(2))
    ordinary = RE(quick(3))
    assert list(RE.queue) == [waiting, ordinary]
    assert "for the next checkpoint of 'plan', which is running" in repr(waiting)
    taken_back = RE.preempt(quick(4))
    assert taken_back.cancel()
    gate.open()  # there is no other checkpoint: it runs next
    assert waiting.result(T).plan_result == 2
    assert first.result(0).plan_result == "through"
    assert ordinary.result(T).plan_result == 3


def test_a_plan_that_waits_for_an_action_gives_way_at_once_and_waits_again(
    RE: Any, align: Held
) -> None:
    go = Action(name="go")
    offered, withdrawn = threading.Event(), threading.Event()
    RE.events.actions_changed.connect(lambda names: (offered if "go" in names else withdrawn).set())

    def plan() -> Any:
        yield Msg("checkpoint")
        return (yield from wait_for_action(go))[0]

    first = RE(plan())
    assert offered.wait(T)
    offered.clear()
    second = RE.preempt(align.plan())
    align.wait()
    assert withdrawn.wait(T)
    with pytest.raises(KeyError):
        RE.trigger_action("go")
    align.go()
    second.result(T)
    assert offered.wait(T)
    RE.trigger_action("go")
    assert first.result(T).plan_result == "go"


def test_one_that_begins_to_wait_for_an_action_gives_way_first(
    RE: Any, align: Held, gate: Any
) -> None:
    go = Action(name="go")

    def plan() -> Any:
        yield from gate.plan()
        return (yield from wait_for_action(go))[0]

    first = RE(plan())
    gate.wait()
    second = RE.preempt(align.plan())
    gate.open()
    align.wait()
    go.latch.set()  # meanwhile, by whoever has it
    align.go()
    second.result(T)
    assert first.result(T).plan_result == "go"


def test_an_action_that_stays_on_offer_between_two_waits(RE: Any, align: Held) -> None:
    """What a live view holds on offer is not on offer meanwhile, and comes back."""
    stop, seen, sensor = Action(name="stop"), threading.Event(), Device("sensor")
    sensor.read = lambda: (seen.set(), {"sensor": {"value": 1, "timestamp": 0.0}})[1]  # type: ignore[method-assign]

    def plan() -> Any:
        yield Msg("open_run")
        changed = yield from read_while_waiting([sensor], stop.event_map)
        yield Msg("close_run")
        return changed[0]

    first = RE(plan())
    assert seen.wait(T)
    second = RE.preempt(align.plan())
    align.wait()
    assert "stop" not in RE.pending_actions
    align.go()
    second.result(T)
    seen.clear()
    assert seen.wait(T)
    stop.latch.set()
    assert first.result(T).plan_result == "stop"


def test_what_is_triggered_while_an_offer_is_put_aside_answers_it(
    RE: Any, gate: Any, align: Held
) -> None:
    stop = Action(name="stop")

    def look() -> Any:
        options = {"timeout": 0, "hold": True, "fresh": True}
        return (yield Msg("wait_for_actions", None, stop.event_map, **options))

    def plan() -> Any:
        assert (yield from look()) is None
        yield from gate.plan()
        yield Msg("checkpoint")
        return (yield from look())[0]

    first = RE(plan())
    gate.wait()
    second = RE.preempt(align.plan())
    gate.open()
    align.wait()
    assert "stop" not in RE.pending_actions
    stop.latch.set()
    stop.latch.reset()
    align.go()
    second.result(T)
    assert first.result(T).plan_result == "stop"


def test_a_plan_that_has_cleared_its_checkpoint_is_not_parked(
    RE: Any, gate: Any, align: Held
) -> None:
    def plan() -> Any:
        yield Msg("clear_checkpoint")
        yield from gate.plan(messages=1)
        yield Msg("checkpoint")
        assert not align.there.is_set()

    first = RE(plan())
    gate.wait()
    second = RE.preempt(align.plan())
    gate.open()
    align.wait()
    assert first.result(T).exit_status == "success"
    align.go()
    second.result(T)


# -- ways out of the other one -------------------------------------------------------------------


@pytest.mark.parametrize("end", ["stop", "abort", "halt"])
def test_an_end_of_the_other_leaves_the_first_paused(
    RE: Any, map_: Map, align: Held, documents: Any, end: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = map_.begin()
    second = RE.preempt(align.plan())
    align.wait()
    assert "; parked for it: plan" in repr(RE)
    behind = RE(quick(5))
    getattr(RE, end)().result(T)
    assert isinstance(second.exception(T), RunEngineInterrupted)
    assert second.status.ended
    interrupted = first.exception(T)
    (told,) = [r.getMessage() for r in caplog.records if "is paused, for" in r.getMessage()]
    assert "RE.resume() has it go on" in told
    assert isinstance(interrupted, RunEngineInterrupted)
    assert "'plan' was paused, for 'plan', which had taken its place" in str(interrupted)
    assert "RE.resume()" in str(interrupted)
    assert RE.state == EngineState.PAUSED
    assert first.status is PlanStatus.PAUSED
    assert list(RE.queue) == [behind]
    resumed = RE.resume()
    assert RE.current is resumed
    map_.go_on()
    assert map_.end(resumed).plan_result == "map"
    assert behind.result(T).plan_result == 5
    assert runs(documents) == ["map starts", "align starts", "align stops", "map stops"]


@pytest.mark.parametrize("mode", ["cancel", "hold"])
def test_a_failure_of_the_other_leaves_the_first_paused(RE: Any, map_: Map, mode: str) -> None:
    RE.queue.on_interruption = mode

    def failing() -> Any:
        yield Msg("open_run", plan="failing")
        raise ValueError("on purpose")

    first = map_.begin()
    behind = RE(quick(5))
    second = RE.preempt(failing())
    assert isinstance(second.exception(T), ValueError)
    assert "failed with ValueError" in str(first.exception(T))
    assert RE.state == EngineState.PAUSED
    assert RE.queue.held is None
    assert RE.stop().exception(T) is None or True
    assert first.outcome.result(T).exit_status == "success"
    assert map_.cleaned == 1
    if mode == "cancel":
        assert behind.cancelled()
    else:
        assert RE.queue.held is not None
        behind.cancel()


def test_what_cannot_be_begun_leaves_the_first_paused(RE: Any, map_: Map) -> None:
    plan = quick()
    first = map_.begin()
    with Blocked(RE):  # it is not to begin before
        second = RE.preempt(plan)
        plan.close()
    assert isinstance(second.exception(T), (ValueError, TypeError)) or second.done()
    first.exception(T)
    if RE.state == "paused":
        first = RE.resume()
    map_.end(first)


def test_the_first_is_ended_after_the_other(RE: Any, map_: Map, align: Held) -> None:
    first = map_.begin()
    RE.preempt(align.plan())
    align.wait()
    RE.stop().result(T)
    RE.abort("enough").result(T)
    assert first.outcome.result(T).reason == "enough"
    assert map_.cleaned == 1
    assert RE.state == "idle"


def test_the_other_is_paused_and_resumed(RE: Any, map_: Map, align: Held) -> None:
    first = map_.begin()
    second = RE.preempt(align.plan())
    align.wait()
    RE.request_pause().result(T)
    assert RE.state == "paused"
    assert isinstance(second.exception(T), RunEngineInterrupted)
    assert first.status is PlanStatus.PARKED
    assert RE.snapshot().parked == ("plan",)
    second = RE.resume()
    align.go()
    assert second.result(T).plan_result == "align"
    map_.go_on()
    map_.end(first)


@pytest.mark.parametrize("end", ["stop", "abort", "halt"])
def test_a_paused_other_is_ended(RE: Any, map_: Map, align: Held, end: str) -> None:
    first = map_.begin()
    RE.preempt(align.plan())
    align.wait()
    RE.request_pause().result(T)
    getattr(RE, end)().result(T)
    assert isinstance(first.exception(T), RunEngineInterrupted)
    resumed = RE.resume()
    map_.go_on()
    map_.end(resumed)


def test_an_end_before_the_others_first_message(RE: Any, map_: Map) -> None:
    began: list[Any] = []

    def never() -> Any:
        began.append(1)
        yield Msg("null")

    first = map_.begin()
    second = RE.preempt(never())
    RE.events.plan_started.connect(lambda future: RE.stop() if future is second else None)
    assert isinstance(second.exception(T), (RunEngineInterrupted, type(None)))
    if began:
        return map_.end(first) and None  # it was too late
    assert isinstance(first.exception(T), RunEngineInterrupted)
    map_.end(RE.resume())
    return None


@pytest.mark.parametrize("defer", [False, True])
def test_a_pause_while_the_first_comes_to_rest_comes_first(
    RE: Any, map_: Map, align: Held, defer: bool
) -> None:
    slow = Device("slow")
    stopping, stopped = threading.Event(), RE.loop.create_future()

    async def stop(success: bool = True) -> None:
        stopping.set()
        await asyncio.shield(stopped)

    def point() -> Any:
        yield Msg("set", slow, 1, group="a")
        yield Msg("wait", None, group="a")

    first = map_.begin(point)
    slow.stop = stop  # type: ignore[assignment,method-assign]
    second = RE.preempt(align.plan())
    assert stopping.wait(T)
    paused = RE.request_pause(defer=defer)
    RE.loop.call_soon_threadsafe(stopped.set_result, None)
    paused.result(T)
    assert isinstance(first.exception(T), RunEngineInterrupted)
    assert second.status is PlanStatus.QUEUED
    del slow.stop
    first = RE.resume()
    align.wait()
    align.go()
    second.result(T)
    map_.go_on()
    map_.end(first)


@pytest.mark.parametrize("mode", ["cancel", "hold"])
def test_a_stop_of_the_first_before_its_checkpoint_deals_with_what_waits(
    RE: Any, gate: Any, mode: str
) -> None:
    RE.queue.on_interruption = mode
    RE(gate.plan())
    gate.wait()
    waiting = RE.preempt(quick(1))
    RE.stop().result(T)
    if mode == "cancel":
        assert waiting.cancelled()
        return
    assert RE.queue.held is not None
    RE.queue.release()
    assert waiting.result(T).plan_result == 1


def test_a_deferred_pause_goes_first(RE: Any, gate: Any, align: Held) -> None:
    def plan() -> Any:
        yield from gate.plan()
        yield Msg("checkpoint")
        yield Msg("checkpoint")
        return "first"

    first = RE(plan())
    gate.wait()
    second = RE.preempt(align.plan())
    RE.request_pause(defer=True)
    gate.open()
    assert isinstance(first.exception(T), RunEngineInterrupted)
    assert not align.there.is_set()
    first = RE.resume()
    align.wait()
    align.go()
    second.result(T)
    assert first.result(T).plan_result == "first"


@pytest.mark.parametrize("how", ["stop_all", "close"])
@pytest.mark.parametrize("paused", [False, True])
def test_everything_is_ended(
    RE: Any, map_: Map, align: Held, documents: Any, how: str, paused: bool
) -> None:
    first = map_.begin()
    second = RE.preempt(align.plan())
    align.wait()
    third = RE.preempt(Held(RE, "third").plan())
    if paused:
        RE.request_pause().result(T)
    if how == "stop_all":
        RE.stop_all("smoke").result(T)
        assert RE.state == "idle"
        assert "smoke" in first.outcome.result(T).reason
    else:
        RE.close()
    for future in (first, second):
        assert future.outcome.result(T).exit_status == "abort"
    third.outcome.cancelled()
    assert map_.cleaned == 1
    assert align.cleaned.is_set()
    assert sorted(runs(documents)) == ["align starts", "align stops", "map starts", "map stops"]


def test_reset_halts_both(RE: Any, map_: Map, align: Held) -> None:
    first = map_.begin()
    RE.preempt(align.plan())
    align.wait()
    RE.reset()
    assert RE.state == "idle"
    assert first.outcome.result(T).exit_status == "abort"


# -- a preemption of a preemption ----------------------------------------------------------------


def test_a_preemption_of_a_preemption(RE: Any, map_: Map, documents: Any) -> None:
    first = map_.begin()
    middle = Map(RE, "middle")
    second = RE.preempt(middle.plan(), name="middle")
    middle.go_on()
    inner = Held(RE, "inner")
    third = RE.preempt(inner.plan(), name="inner")
    inner.wait()
    assert RE.snapshot().parked == ("plan", "middle")
    assert (first.status, second.status) == (PlanStatus.PARKED, PlanStatus.PARKED)
    inner.go()
    third.result(T)
    middle.go_on()
    assert first.status is PlanStatus.PARKED
    middle.end(second)
    map_.go_on()
    map_.end(first)
    assert runs(documents) == [
        *("map starts", "middle starts", "inner starts"),
        *("inner stops", "middle stops", "map stops"),
    ]


def test_a_stop_of_the_innermost_pauses_the_one_below_alone(RE: Any, map_: Map) -> None:
    first = map_.begin()
    middle = Map(RE, "middle")
    second = RE.preempt(middle.plan(), name="middle")
    middle.go_on()
    inner = Held(RE, "inner")
    RE.preempt(inner.plan(), name="inner")
    inner.wait()
    RE.stop().result(T)
    assert isinstance(second.exception(T), RunEngineInterrupted)
    assert first.status is PlanStatus.PARKED
    second = RE.resume()
    middle.go_on()
    middle.end(second)
    map_.go_on()
    map_.end(first)


def test_two_that_wait_run_one_after_the_other(RE: Any, map_: Map, documents: Any) -> None:
    first = map_.begin()
    others = [RE.preempt(in_a_run_named(n)) for n in "ab"]
    for other in others:
        other.result(T)
    map_.go_on()
    map_.end(first)
    told = [each for each in runs(documents) if not each.startswith("map")]
    assert told == ["a starts", "a stops", "b starts", "b stops"]


def in_a_run_named(name: str) -> Any:
    yield Msg("open_run", plan=name)
    yield Msg("close_run")


# -- devices -------------------------------------------------------------------------------------


def test_devices_are_lent_and_given_back(RE: Any, map_: Map, align: Held) -> None:
    motor = Device("motor")

    def point() -> Any:
        yield from mv(motor, 1)

    first = map_.begin(point)
    second = RE.preempt(align.plan(mv(motor, 7)))
    align.wait()
    assert motor.position == 7
    assert RE.claims[motor] == "plan"
    with pytest.raises(ResourceConflictError):
        RE.by_hand.set(motor, 3)
    task = RE.background.launch(mv(motor, 4))
    assert isinstance(task.exception(T), ResourceConflictError)
    align.go()
    second.result(T)
    map_.go_on()
    assert motor.position == 1
    map_.end(first)
    assert not RE.claims


def test_what_is_parked_is_kept_from_others_too(RE: Any, map_: Map, align: Held) -> None:
    """What the first holds and the other has no need of: nobody else may take it."""
    motor = Device("motor")
    first = map_.begin(lambda: mv(motor, 1))
    second = RE.preempt(align.plan())
    align.wait()
    with pytest.raises(ResourceConflictError):
        RE.by_hand.set(motor, 3)
    RE.request_pause().result(T)  # of the other: now people may
    move = RE.by_hand.set(motor, 3)
    move.result(T)
    second = RE.resume()
    align.go()
    second.result(T)
    map_.go_on()
    assert motor.position == 1
    map_.end(first)


def test_a_device_that_both_stage(RE: Any, map_: Map, align: Held) -> None:
    camera, other = Device("camera"), Device("other")

    def whole() -> Any:
        yield Msg("stage", camera)
        yield Msg("stage", other)
        yield from map_.plan()
        yield Msg("unstage", other)
        yield Msg("unstage", camera)

    def inside() -> Any:
        yield Msg("stage", camera)
        yield Msg("trigger", camera, group="a")
        yield Msg("wait", None, group="a")
        yield Msg("unstage", camera)

    first = RE(whole())
    map_.go_on()
    second = RE.preempt(align.plan(inside()))
    align.wait()
    assert (camera.staged, other.staged) == (0, 1)
    align.go()
    second.result(T)
    map_.go_on()
    assert (camera.staged, other.staged) == (1, 1)
    map_.end(first)
    assert (camera.staged, other.staged) == (0, 0)
    assert camera.did == [
        *("stage", "unstage"),
        *("stage", "trigger", "unstage"),
        *("stage", "unstage"),
    ]
    assert other.did == ["stage", "unstage"]


def test_what_was_unstaged_for_the_other_is_not_unstaged_again(
    RE: Any, map_: Map, align: Held
) -> None:
    camera = Device("camera")

    def whole() -> Any:
        yield Msg("stage", camera)
        yield from map_.plan()

    RE(whole())
    map_.go_on()
    RE.preempt(align.plan(bps.stage(camera)))
    align.wait()
    RE.stop_all().result(T)
    assert camera.staged == 0
    assert not RE.claims


def test_what_was_moved_is_put_back_in_the_order_of_the_last_moves(
    RE: Any, map_: Map, align: Held
) -> None:
    order: list[Any] = []

    class Recorded(Device):
        def set(self, value: Any) -> Any:
            order.append((self.name, value))
            return super().set(value)

        def locate(self) -> dict[str, Any]:
            return {"setpoint": self.position, "readback": -1}

    a, b, c = Recorded("a"), Device("b"), Recorded("c")

    def whole() -> Any:
        yield from mv(a, 1)
        yield from mv(b, 2)
        yield from mv(c, 3)
        yield from mv(a, 4)  # c was moved before it
        yield from map_.plan()

    def away() -> Any:
        for device in (a, b, c):
            yield from mv(device, 9)

    first = RE(whole())
    map_.go_on()
    second = RE.preempt(align.plan(away()), restore=True)
    align.wait()
    order.clear()
    align.go()
    second.result(T)
    map_.go_on()
    assert [device.position for device in (a, b, c)] == [4, 2, 3]
    assert order == [("c", 3), ("a", 4)]
    map_.end(first)


def test_what_has_no_position_goes_back_to_its_one_value(
    RE: Any, map_: Map, caplog: pytest.LogCaptureFixture
) -> None:
    gain = Signal(name="gain", value=1)

    class Starter:
        """Is set to start something, and is nowhere."""

        name, parent = "starter", None

        def set(self, value: Any) -> Finished:
            return Finished()

        def read(self) -> dict[str, Any]:
            return {}

        describe = read

    def whole() -> Any:
        yield from mv(gain, 2)
        yield from mv(Starter(), 3)
        yield from map_.plan()

    first = RE(whole())
    map_.go_on()
    RE.preempt(mv(gain, 9), restore=True).result(T)
    map_.go_on()
    assert gain.get() == 2
    assert "does not say where it is" not in caplog.text
    map_.end(first)


def test_without_restore_it_stays_where_it_is(RE: Any, map_: Map) -> None:
    motor = Device("motor")

    def whole() -> Any:
        yield from mv(motor, 1)
        yield from map_.plan()

    first = RE(whole())
    map_.go_on()
    RE.preempt(mv(motor, 9)).result(T)
    map_.go_on()
    assert motor.position == 9
    map_.end(first)


def test_a_failure_to_put_back_is_the_first_ones(RE: Any, map_: Map, align: Held) -> None:
    class Stuck(Device):
        def set(self, value: Any) -> Any:
            if self.did:
                raise RuntimeError("it is stuck")
            return super().set(value)

    motor = Stuck("motor")

    def whole() -> Any:
        yield from mv(motor, 1)
        yield from map_.plan()

    first = RE(whole())
    map_.go_on()
    RE.preempt(quick(), restore=True).result(T)
    assert "it is stuck" in str(first.exception(T))
    assert map_.cleaned == 1


def test_one_that_does_not_say_where_it_is_is_told_of(
    RE: Any, map_: Map, caplog: pytest.LogCaptureFixture
) -> None:
    class Silent(Device):
        def locate(self) -> dict[str, Any]:
            raise TimeoutError("no answer")

    motor, other = Silent("motor"), Device("other")

    def whole() -> Any:
        yield from mv(motor, 1)
        yield from mv(other, 1)
        yield from map_.plan()

    first = RE(whole())
    map_.go_on()
    RE.preempt(mv(other, 9), restore=True).result(T)
    map_.go_on()
    assert other.position == 1
    assert "'motor' does not say where it is" in caplog.text
    map_.end(first)


# -- tasks, subscribers, suspenders --------------------------------------------------------------


def test_tasks_pause_with_it_unless_they_are_exempt(RE: Any, map_: Map, align: Held) -> None:
    live, watchdog = Map(RE, "live"), Map(RE, "watchdog")

    def whole() -> Any:
        yield from background(live.plan(), name="live")
        yield from background(watchdog.plan(), name="watchdog", suspendable=False)
        return (yield from map_.plan())

    first = RE(whole())
    for each in (map_, live, watchdog):
        each.go_on()
    second = RE.preempt(align.plan())
    align.wait()
    points = live.points
    watchdog.go_on(5)
    assert live.points == points
    assert str(RE.background["live"].status) == "paused"
    assert str(RE.background["watchdog"].status) == "running"
    align.go()
    second.result(T)
    live.go_on()
    for each in (live, watchdog):
        each.over.set()
    assert len(map_.end(first).run_start_uids) == 3


def test_a_run_that_a_task_opens_meanwhile_is_of_its_own_plan(
    RE: Any, map_: Map, align: Held
) -> None:
    go, opened = RE.loop.create_future(), threading.Event()

    def late() -> Any:
        yield Msg("wait_for", None, [lambda: go])
        yield Msg("open_run", plan="late")
        opened.set()
        yield Msg("close_run")

    def whole() -> Any:
        yield from background(late(), suspendable=False)
        yield from map_.plan()

    first = RE(whole())
    map_.go_on()
    second = RE.preempt(align.plan())
    align.wait()
    RE.loop.call_soon_threadsafe(go.set_result, None)
    assert opened.wait(T)
    align.go()
    assert len(second.result(T).run_start_uids) == 1
    assert len(map_.end(first).run_start_uids) == 2


def test_the_others_tasks_are_its_own(RE: Any, map_: Map) -> None:
    motor = Device("motor")

    def other() -> Any:
        yield from claim(motor)
        task = yield from background(mv(motor, 3), claims=motor)
        yield Msg("wait_for_background", None, task.name)

    first = map_.begin(lambda: mv(motor, 1))
    RE.preempt(other()).result(T)
    map_.go_on()
    assert motor.position == 1
    map_.end(first)


def test_subscribers_of_one_plan_alone_get_its_documents_alone(
    RE: Any, map_: Map, align: Held
) -> None:
    told: dict[str, list[str]] = {"map": [], "align": [], "both": [], "always": []}

    def to(where: str) -> Any:
        return lambda name, doc: told[where].append(doc.get("plan", name))

    both, always = to("both"), to("always")
    RE.subscribe(always)
    first = RE(map_.plan(), [to("map"), both, always])
    map_.go_on()
    second = RE.queue.submit  # nothing of the queue is in the way
    assert second is not None

    def other() -> Any:
        yield Msg("subscribe", None, both, "all")
        yield Msg("subscribe", None, to("align"), "all")
        yield from align.plan()

    second = RE.preempt(other())
    align.wait()
    align.go()
    second.result(T)
    map_.go_on()
    map_.end(first)
    assert "align" not in told["map"]
    assert told["map"][-1] == "stop"
    assert told["align"] == ["align", "stop"]
    assert [each for each in told["both"] if each in ("map", "align", "stop")] == [
        *("map", "align"),
        *("stop", "stop"),
    ]
    assert told["always"].count("stop") == 2


def test_a_subscriber_that_takes_one_run_at_a_time_has_the_first_ones(
    RE: Any, map_: Map, align: Held
) -> None:
    told: list[tuple[str, Any]] = []
    RE.subscribe(lambda name, doc: told.append((name, doc)), runs="one")
    first = map_.begin()
    second = RE.preempt(align.plan())
    align.wait()
    align.go()
    second.result(T)
    map_.go_on()
    map_.end(first)
    assert runs(told) == ["map starts", "map stops"]
    told.clear()
    RE(in_a_run_named("next")).result(T)
    assert runs(told) == ["next starts", "next stops"]


def test_monitors_rest_meanwhile(RE: Any, align: Held) -> None:
    beam = Signal(name="beam", value=0)
    seen: list[Any] = []
    RE.subscribe(lambda name, doc: seen.append(doc["data"]["beam"]), "event")
    go = Action(name="go")
    offered = threading.Event()
    RE.events.actions_changed.connect(lambda names: offered.set() if names else None)

    def plan() -> Any:
        yield Msg("open_run", plan="map")
        yield Msg("monitor", beam, name="beam")
        yield Msg("checkpoint")
        yield from wait_for_action(go)
        yield Msg("unmonitor", beam)
        yield Msg("close_run")

    first = RE(plan())
    assert offered.wait(T)
    beam.put(1)
    offered.clear()
    second = RE.preempt(align.plan())
    align.wait()
    beam.put(2)
    align.go()
    second.result(T)
    assert offered.wait(T)
    beam.put(3)
    RE.trigger_action("go")
    first.result(T)
    assert 2 not in seen[:-2]
    assert seen[-1] == 3
    assert 1 in seen


def test_a_suspender_that_trips_meanwhile_holds_up_both(RE: Any, map_: Map, align: Held) -> None:
    beam = Signal(name="beam", value=0)
    RE.install_suspender(SuspendBoolHigh(beam))
    first = map_.begin()
    second = RE.preempt(align.plan())
    align.wait()
    suspended = threading.Event()
    RE.events.state_changed.connect(
        lambda new, old: suspended.set() if old == "suspending" else None
    )
    beam.put(1)
    assert suspended.wait(T)
    RE.stop().result(T)
    assert second.status.ended
    assert isinstance(first.exception(T), RunEngineInterrupted)
    commands, waits = [], threading.Event()

    def hook(msg: Any) -> None:
        commands.append(msg.command)
        if msg.command == "wait_for":
            waits.set()

    RE.msg_hook = hook
    resumed = RE.resume()
    assert waits.wait(T)
    assert "_start_suspender" in commands
    assert "save" not in commands
    beam.put(0)
    map_.go_on()
    map_.end(resumed)


def test_the_other_cannot_wait_for_the_first(RE: Any, map_: Map) -> None:
    first = map_.begin()

    async def wait() -> None:
        await first.outcome

    def other() -> Any:
        yield Msg("wait_for", None, [wait])

    second = RE.preempt(other())
    error = second.exception(T)
    assert isinstance(error, CircularWaitError)
    map_.end(RE.resume())


def test_a_section_is_told_that_it_holds_up_another_plan(RE: Any, align: Held) -> None:
    begun, told = threading.Event(), RE.loop.create_future()

    def tell(state: EngineState) -> None:
        if not told.done():
            told.set_result(state)

    def section() -> Any:
        begun.set()
        while not told.done():
            yield Msg("sleep", None, 0.001)

    def plan() -> Any:
        yield from uninterrupted(section(), tell)
        yield Msg("checkpoint")
        return "first"

    first = RE(plan())
    assert begun.wait(T)
    second = RE.preempt(align.plan())
    align.wait()
    align.go()
    second.result(T)
    assert first.result(T).plan_result == "first"
    assert told.result() is EngineState.PAUSING


def test_from_inside_of_the_plan_itself(RE: Any, map_: Map, documents: Any) -> None:
    made: list[Any] = []
    at_message(RE, 5, lambda: made.append(RE.preempt(in_a_run_named("inner"))))
    first = map_.begin()
    made[0].result(T)
    map_.go_on()
    map_.end(first)
    assert runs(documents) == ["map starts", "inner starts", "inner stops", "map stops"]


def test_what_the_first_has_under_way_is_its_own(RE: Any, map_: Map, align: Held) -> None:
    """A group that is not waited for yet is waited for, and fails the plan that began it."""
    slow = Device("slow", by_hand=True)
    slow.stop = None  # type: ignore[assignment,method-assign]

    def whole() -> Any:
        yield Msg("trigger", slow, group="slow")
        yield from map_.plan()
        yield Msg("wait", None, group="slow")

    first = RE(whole())
    map_.go_on()
    second = RE.preempt(align.plan())
    align.wait()
    slow.moves[0].finish(RuntimeError("it failed meanwhile"))
    align.go()
    assert second.result(T).exit_status == "success"
    assert "it failed meanwhile" in str(first.exception(T))


def test_what_is_no_plan_is_refused(RE: Any) -> None:
    with pytest.raises(TypeError, match="is a function, not a plan"):
        RE.preempt(quick)
    with pytest.raises(TypeError, match="name of a plan"):
        RE.preempt(quick(), name=3)
    RE.close()
    with pytest.raises(EngineClosedError):
        RE.preempt(quick())


def test_a_blocking_engine_waits_for_it() -> None:
    engine = BlockingRunEngine(call_returns_result=True, context_managers=[])
    map_ = Map(engine)
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(engine(map_.plan())))
    try:
        thread.start()
        map_.go_on()
        assert engine.preempt(quick(3)).plan_result == 3
        map_.go_on()
        map_.over.set()
        thread.join(T)
        assert results[0].plan_result == "map"
        engine.queue.hold("lunch")
        with pytest.raises(RuntimeError, match="lunch"):
            engine.preempt(quick())
    finally:
        map_.over.set()
        engine.close()


# -- what an engine keeps for a plan -------------------------------------------------------------


def test_clocks_scopes_and_whether_it_may_be_rewound_are_each_plans_own(
    RE: Any, map_: Map, align: Held
) -> None:
    ticks: dict[str, list[int]] = {"map": [], "align": []}

    def tick(name: str) -> Any:
        ticks[name].append((yield from pace(0.001)).turns)

    def whole() -> Any:
        yield Msg("rewindable", None, False)
        yield from declare_progress("whole")
        yield from map_.plan(lambda: tick("map"))

    def inside() -> Any:
        assert RE.rewindable
        yield from tick("align")
        yield from declare_progress("inside")
        assert [each.name for each in RE.snapshot().progress] == ["inside"]

    first = RE(whole())
    map_.go_on()
    second = RE.preempt(align.plan(inside()))
    align.wait()
    before = len(ticks["map"])
    align.go()
    second.result(T)
    map_.go_on()
    assert ticks["align"] == [1]
    assert ticks["map"][: before + 2] == sorted(ticks["map"][: before + 2])
    assert ticks["map"][before] > 1
    assert not RE.rewindable
    assert [each.name for each in RE.snapshot().progress] == ["whole"]
    map_.end(first)


def test_a_failure_that_was_to_be_thrown_into_the_first_is(RE: Any, map_: Map, align: Held) -> None:
    first = map_.begin()
    second = RE.preempt(align.plan())
    align.wait()

    def raising(name: str, doc: Any) -> None:
        raise RuntimeError("a subscriber of the other")

    token = RE.subscribe(raising, "stop")
    align.go()
    assert "a subscriber of the other" in str(second.exception(T))
    RE.unsubscribe(token)
    assert isinstance(first.exception(T), RunEngineInterrupted)
    first = RE.resume()
    map_.go_on()
    assert map_.end(first).exit_status == "success"


def test_a_change_between_messages_is_made_while_one_is_parked(
    RE: Any, map_: Map, align: Held
) -> None:
    first = map_.begin()
    second = RE.preempt(align.plan())
    align.wait()
    change = RE.between_messages(lambda: "changed")
    align.go()
    assert change.result(T) == "changed"
    second.result(T)
    map_.go_on()
    map_.end(first)


def test_the_engine_is_not_kept_from_being_collected(make_engine: Any) -> None:
    """What was parked is forgotten when it has come back."""
    engine = make_engine()
    map_ = Map(engine)
    sensor = weakref.ref(map_.sensor)
    first = map_.begin()
    engine.preempt(quick()).result(T)
    map_.go_on()
    map_.end(first)
    engine(quick()).result(T)
    del map_, first
    gc.collect()
    assert sensor() is None


def test_a_suspender_that_trips_as_the_other_ends_holds_up_the_first(RE: Any, map_: Map) -> None:
    beam = Signal(name="beam", value=0)
    RE.install_suspender(SuspendBoolHigh(beam))
    first = map_.begin()
    suspended = threading.Event()
    RE.events.state_changed.connect(
        lambda new, old: suspended.set() if old == "suspending" else None
    )

    def other() -> Any:
        yield Msg("null")
        beam.put(1)  # its last word, in the engine's own thread

    RE.preempt(other()).outcome.result(T)
    assert suspended.wait(T)
    points = map_.points
    beam.put(0)
    map_.go_on()
    assert map_.points > points
    map_.end(first)
