"""Clocks: no drift, skipped deadlines, pauses. Time is made by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
from bluesky.protocols import Pausable, Readable

from doubles import Clock
from freewheel.core import Pacer


@pytest.fixture
def clock() -> Clock:
    return Clock()


def take_turn(pacer: Pacer, clock: Clock, work: float, late: float = 0.0) -> float:
    """Take a turn that works so long, then wait for the next; return when it is due."""
    pacer.begin_turn()
    clock.now += work
    due = pacer.next_deadline()
    clock.now = due + late
    return due


def test_neither_work_nor_lateness_adds_up(clock: Clock) -> None:
    pacer = Pacer(0.1, clock=clock)

    dues = [take_turn(pacer, clock, work=0.03, late=0.01) for _ in range(1000)]

    assert dues == pytest.approx([100.0 + 0.1 * n for n in range(1, 1001)], abs=1e-9)
    assert pacer.missed == 0
    assert pacer.turns == 1000


def test_deadlines_that_went_by_are_skipped_and_counted(clock: Clock) -> None:
    pacer = Pacer(0.1, clock=clock)

    dues = [take_turn(pacer, clock, work) for work in (0.05, 0.25, 0.05)]

    assert dues == pytest.approx([100.1, 100.4, 100.5])
    assert pacer.missed == 2


def test_where_there_is_no_pace_none_is_missed(clock: Clock) -> None:
    pacer = Pacer(1e-6, clock=clock)

    dues = [take_turn(pacer, clock, work) for work in (0.05, 0.25)]

    assert dues == pytest.approx([100.05, 100.3], abs=1e-5)
    assert pacer.missed == 0


def test_a_turn_that_ends_on_its_deadline_misses_it(clock: Clock) -> None:
    pacer = Pacer(0.5, clock=clock)

    assert take_turn(pacer, clock, work=0.5) == 101.0
    assert pacer.missed == 1


def test_the_first_turn_is_due_at_once(clock: Clock) -> None:
    pacer = Pacer(0.1, clock=clock)

    assert pacer.next_deadline() == clock.now
    assert pacer.remaining() == 0.0
    assert pacer.rate == pacer.recent_rate == 0.0


def test_a_pause_is_no_time_of_the_clock(clock: Clock) -> None:
    pacer = Pacer(0.1, clock=clock)
    take_turn(pacer, clock, work=0.02)
    pacer.begin_turn()
    clock.now += 0.02
    pacer.pause()
    pacer.pause()
    clock.now += 60.0
    pacer.resume()
    pacer.resume()

    assert pacer.next_deadline() == pytest.approx(160.2)
    assert pacer.missed == 0
    assert pacer.rate == pytest.approx(10.0)


def test_rates(clock: Clock) -> None:
    pacer = Pacer(0.1, clock=clock)
    for _ in range(50):
        take_turn(pacer, clock, work=0.01)
    for _ in range(50):
        take_turn(pacer, clock, work=0.15)
    last = pacer.begin_turn()

    assert last.turns == 101
    assert last.missed == 50
    assert last.rate == pacer.recent_rate == pytest.approx(5.0)
    assert pacer.rate == pytest.approx(100 / 15.0)


def test_it_is_a_device_that_tells_rate_and_missed_ticks(clock: Clock) -> None:
    pacer = Pacer(0.1, name="clock", clock=clock)
    for _ in range(3):
        take_turn(pacer, clock, work=0.15)

    assert isinstance(pacer, Readable)
    assert isinstance(pacer, Pausable)
    assert pacer.read().keys() == pacer.describe().keys() == {"clock-rate", "clock-missed"}
    assert pacer.read()["clock-missed"]["value"] == 3


@pytest.mark.parametrize("period", [0, -1, math.nan, math.inf, "1", None])
def test_a_period_that_is_none_is_refused(period: Any) -> None:
    with pytest.raises(ValueError, match="positive number of seconds, not"):
        Pacer(period)
