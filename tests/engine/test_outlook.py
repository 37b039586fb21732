"""The time that is left of a plan, and when those behind it will start."""

# ruff: noqa: N803

from __future__ import annotations

import dataclasses
import math
import threading
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import numpy as np
import pytest
from event_model import DocumentNames

from freewheel import EngineSnapshot, PlanCall, RunEngine, preview
from freewheel.engine._outlook import Outlook
from freewheel.plans import live_view
from freewheel.sim import Microscope, microscope

T = 10


@pytest.fixture(scope="module")
def scope() -> Microscope:
    return microscope(shape=(32, 32), instant=True)


class Clock:
    """A time that passes when a test says so."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def under_way(plan: Any, *args: Any) -> tuple[Outlook, Clock]:
    """Return the outlook of a plan that has just begun, of one event a second."""
    clock = Clock()
    outlook = Outlook("count", clock)
    outlook.foreseen = preview(plan, *args)
    outlook.begin()
    return outlook, clock


def takes(outlook: Outlook, clock: Clock, events: int, each: float) -> None:
    """Have so many events come, so far apart."""
    for number in range(1, events + 1):
        clock.now += each
        outlook.document(DocumentNames.event, {"descriptor": "one", "seq_num": number})


def by_the_second(number: int) -> Any:
    yield from bps.open_run()
    for _ in range(number):
        yield from bps.sleep(1)
        yield from bps.create()
        yield from bps.read(_reader)
        yield from bps.save()
    yield from bps.close_run()


_reader = microscope(shape=(8, 8)).temperature


def test_it_is_what_was_foreseen_less_what_has_passed() -> None:
    outlook, clock = under_way(by_the_second, 20)
    assert outlook.left == pytest.approx(20, rel=0.01)
    clock.now += 0.5
    assert outlook.left == pytest.approx(19.5, rel=0.01)


def test_a_plan_that_was_to_take_no_time_is_told_by_its_events() -> None:
    def at_once() -> Any:
        yield from bps.open_run()
        for _ in range(4):
            yield from bps.create()
            yield from bps.read(_reader)
            yield from bps.save()
        yield from bps.close_run()

    outlook, clock = under_way(at_once)
    outlook.foreseen = dataclasses.replace(outlook.foreseen, duration=0.0)
    assert outlook.left is None
    takes(outlook, clock, 1, each=2.0)
    assert outlook.left == pytest.approx(6)


def test_it_is_corrected_by_how_the_plan_goes() -> None:
    outlook, clock = under_way(by_the_second, 20)
    takes(outlook, clock, 10, each=2.0)
    assert outlook.left is not None
    assert 16 < outlook.left < 20  # 10 s by the preview, 20 s by the last events
    fast, clock = under_way(by_the_second, 20)
    takes(fast, clock, 10, each=0.5)
    assert fast.left is not None
    assert 5 < fast.left < 7


def test_what_comes_after_the_next_event_is_left_in_any_case() -> None:
    outlook, clock = under_way(by_the_second, 20)
    takes(outlook, clock, 10, each=1.0)
    clock.now += 1000
    assert outlook.left == pytest.approx(9, rel=0.01)


def test_it_does_not_pass_while_the_plan_rests() -> None:
    outlook, clock = under_way(by_the_second, 20)
    takes(outlook, clock, 5, each=1.0)
    outlook.rest(True)
    clock.now += 1000
    assert outlook.left == pytest.approx(15, rel=0.01)
    outlook.rest(False)
    clock.now += 0.5
    assert outlook.left == pytest.approx(14.5, rel=0.01)


def test_a_plan_without_events_takes_what_was_foreseen_and_no_less_than_nothing() -> None:
    outlook, clock = under_way(bps.sleep, 5)
    clock.now += 2
    assert outlook.left == pytest.approx(3, rel=0.01)
    clock.now += 100
    assert outlook.left == 0


def test_very_many_events_have_few_milestones() -> None:
    def plan() -> Any:
        yield from bp.count([_reader], 3000, 0.01)

    foreseen = preview(plan)
    assert len(foreseen.milestones) < 1100
    assert foreseen.milestones[-1][0] == 3000
    counts = [count for count, _ in foreseen.milestones]
    assert counts == sorted(set(counts))
    outlook, clock = under_way(bp.count, [_reader], 3000, 0.01)
    clock.now += 15
    outlook.document(DocumentNames.event, {"descriptor": "one", "seq_num": 1500})
    assert outlook.left == pytest.approx(15, rel=0.1)


def test_a_plan_that_tells_its_points_is_known_by_its_events() -> None:
    clock = Clock()
    outlook = Outlook("count", clock)
    outlook.begin()
    outlook.document(DocumentNames.start, {"plan_name": "count", "num_points": 8})
    assert outlook.left is None
    takes(outlook, clock, 2, each=3.0)
    assert outlook.left == pytest.approx(18)


def test_the_points_of_one_run_of_several_say_nothing() -> None:
    clock = Clock()
    outlook = Outlook("mine", clock)
    outlook.begin()
    outlook.document(DocumentNames.start, {"plan_name": "count", "num_points": 8})
    takes(outlook, clock, 2, each=3.0)
    assert outlook.left is None


# -- on an engine ----------------------------------------------------------------------------------


def test_a_preview_is_known_when_an_equal_call_runs(RE: RunEngine, scope: Microscope) -> None:
    seen: list[float | None] = []

    def plan(number: int) -> Any:
        yield from bps.sleep(0)
        seen.append(RE.snapshot().time_left)
        yield from bps.sleep(0)

    RE(PlanCall(plan, (3,))).result(T)
    foreseen = RE.preview(plan, 3)
    seen.clear()
    RE(PlanCall(plan, (3,))).result(T)
    RE(PlanCall(plan, (4,))).result(T)
    assert seen[0] is not None
    assert 0 <= seen[0] <= foreseen.duration
    assert seen[1] is None


@pytest.mark.parametrize(
    ("one", "other", "known"),
    [
        (np.float64(2), np.float64(2), True),
        (np.linspace(0, 1, 5), np.linspace(0, 1, 5), True),
        (np.linspace(0, 1, 5), np.linspace(0, 1, 6), False),
        (np.zeros(2), np.zeros(2, int), False),
        (np.array([object()]), np.array([object()]), False),
    ],
)
def test_arguments_may_be_of_numpy(RE: RunEngine, one: Any, other: Any, known: bool) -> None:
    seen: list[float | None] = []

    def plan(_: Any) -> Any:
        seen.append(RE.snapshot().time_left)
        yield from bps.null()

    RE.preview(plan, one)
    seen.clear()
    RE(PlanCall(plan, (other,))).result(T)
    assert (seen[0] is not None) == known


def test_a_generator_is_never_run_to_see(RE: RunEngine) -> None:
    made = []

    def plan() -> Any:
        made.append(1)
        yield from bps.null()

    RE(PlanCall(plan)).result(T)
    assert len(made) == 1
    RE.preview.looks_ahead = True
    RE(plan()).result(T)
    assert len(made) == 2


def test_the_queue_says_when_each_will_start(RE: RunEngine, scope: Microscope) -> None:
    RE.preview(bps.sleep, 20)
    sleep = PlanCall(bps.sleep, (20,))
    unknown = PlanCall(bps.sleep, (30,))
    current = RE(sleep)
    for call in (sleep, sleep, unknown, sleep):
        RE.queue.submit(call)
    first, second, third, last = RE.snapshot().waiting
    assert first.duration == pytest.approx(20, rel=0.01)
    assert first.starts_in is not None
    assert 10 < first.starts_in < 20.1
    assert second.starts_in == pytest.approx(first.starts_in + 20, rel=0.02)
    assert third.starts_in == pytest.approx(first.starts_in + 40, rel=0.02)
    assert (third.duration, last.starts_in) == (None, None)
    RE.preview(unknown)  # somebody asks: it is known from now on
    assert RE.snapshot().waiting[3].starts_in == pytest.approx(first.starts_in + 70, rel=0.02)
    RE.request_pause().result(T)
    assert {each.starts_in for each in RE.snapshot().waiting} == {None}
    current = RE.resume()
    assert RE.snapshot().waiting[0].starts_in is not None
    RE.queue.hold()
    assert {each.starts_in for each in RE.snapshot().waiting} == {None}
    RE.queue.clear()
    RE.stop().result(T)
    assert current.time_left is None


def test_a_plan_that_is_edited_is_another_plan(RE: RunEngine) -> None:
    RE.preview(bps.sleep, 20)
    RE(PlanCall(bps.sleep, (20,)))
    waiting = RE.queue.submit(PlanCall(bps.sleep, (20,)))
    RE.queue.edit(waiting, PlanCall(bps.sleep, (30,)))
    assert RE.snapshot().waiting[0].duration is None
    RE.queue.clear()
    RE.stop().result(T)


def test_behind_a_plan_without_an_end_nothing_is_known(RE: RunEngine, scope: Microscope) -> None:
    live = PlanCall(live_view, ([scope.camera],))
    RE.preview(live)
    RE(live)
    RE.queue.submit(live)
    picture = RE.snapshot()
    assert picture.time_left == math.inf
    assert picture.waiting[0].starts_in is None
    again = EngineSnapshot.from_json(picture.to_json())
    assert again.time_left is None
    assert again.waiting[0].starts_in is None
    RE.stop_all().result(T)


def test_calls_are_previewed_as_they_come_where_that_is_asked(RE: RunEngine) -> None:
    known = threading.Event()
    RE.preview.looks_ahead = True
    assert RE.preview.looks_ahead
    RE.events.queue_changed.connect(lambda _: _all_known(RE) and known.set())
    RE(PlanCall(bps.sleep, (20,)))
    RE.queue.submit(PlanCall(bps.sleep, (30,)))
    RE.queue.submit(PlanCall(bps.sleep, (40,)))
    assert known.wait(T)
    assert RE.snapshot().waiting[1].starts_in == pytest.approx(50, abs=10)
    RE.stop_all().result(T)


def _all_known(engine: RunEngine) -> bool:
    waiting = engine.snapshot().waiting
    return len(waiting) == 2 and all(each.starts_in is not None for each in waiting)


def test_no_plan_ends_the_previews_of_those_after_it(RE: RunEngine) -> None:
    known = threading.Event()

    def interrupt() -> Any:
        raise KeyboardInterrupt
        yield from bps.null()

    def told() -> Any:
        if threading.current_thread().name == "freewheel-look-ahead":
            known.set()
        yield from bps.null()

    RE.queue.hold("looking ahead")
    RE.preview.looks_ahead = True
    for plan in (interrupt, told):
        RE(PlanCall(plan))
    assert known.wait(T)
    RE.queue.clear()


def test_a_parked_plan_is_behind_the_one_in_its_place(RE: RunEngine) -> None:
    began = threading.Event()

    def long(seconds: float) -> Any:
        began.set()
        for _ in range(200):
            yield from bps.checkpoint()
            yield from bps.sleep(seconds / 200)

    RE.preview(long, 20)
    RE.preview(bps.sleep, 30)
    parked = threading.Event()
    began.clear()
    RE(PlanCall(long, (20,)))
    RE.queue.submit(PlanCall(bps.sleep, (30,)))
    assert began.wait(T)
    RE.events.plan_started.connect(lambda future: future.plan_name == "sleep" and parked.set())
    RE.preempt(PlanCall(bps.sleep, (30,)))
    assert parked.wait(T)
    picture = RE.snapshot()
    assert picture.parked == ("long",)
    assert picture.time_left is not None
    assert picture.waiting[0].starts_in is not None
    assert picture.waiting[0].starts_in > picture.time_left + 5
    RE.stop_all().result(T)
