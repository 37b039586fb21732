"""`wait_for_action`: it waits, and takes actions as they are."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from bluesky.run_engine import RunEngineInterrupted

from doubles import run
from freewheel import Action, RunEngine, SRLatch
from freewheel.plan_stubs import wait_for_action

WAIT = 20.0


@pytest.fixture
def offered(engine: RunEngine) -> threading.Semaphore:
    """Released each time that actions are on offer."""
    semaphore = threading.Semaphore(0)
    engine.events.actions_changed.connect(lambda names: names and semaphore.release())
    return semaphore


def test_it_waits_until_the_action_is_triggered(
    engine: RunEngine, offered: threading.Semaphore
) -> None:
    snap, end = Action(name="snap"), Action(name="end")

    future = engine(wait_for_action(snap, end))
    assert offered.acquire(timeout=WAIT)
    assert not future.done()
    assert dict(engine.pending_actions) == {"snap": snap.latch, "end": end.latch}
    engine.trigger_action("end")

    assert future.result(WAIT).plan_result == ("end", end.latch)
    assert not engine.pending_actions


def test_of_several_the_first_that_was_triggered_counts(engine: RunEngine) -> None:
    early, late = Action(name="early"), Action(name="late")
    early.latch.set()
    late.latch.set()

    assert run(engine, wait_for_action(late, early)) == ("early", early.latch)


def test_latches_are_taken_and_those_of_actions_keep_their_names(
    engine: RunEngine, offered: threading.Semaphore
) -> None:
    bare, snap, other = SRLatch(), Action(name="snap"), SRLatch()

    future = engine(wait_for_action(bare, snap.latch, other))
    assert offered.acquire(timeout=WAIT)
    assert dict(engine.pending_actions) == {"latch 1": bare, "snap": snap.latch, "latch 3": other}
    other.set()

    assert future.result(WAIT).plan_result == ("latch 3", other)


def test_none_when_the_time_is_over(engine: RunEngine) -> None:
    assert run(engine, wait_for_action(Action(name="snap"), timeout=0.01)) is None


def test_it_waits_for_a_toggle_to_be_switched_off(
    engine: RunEngine, offered: threading.Semaphore
) -> None:
    light = Action(name="light", togglable=True)
    light.latch.set()

    future = engine(wait_for_action(light, wait_for="reset"))
    assert offered.acquire(timeout=WAIT)
    engine.release_action("light")

    assert future.result(WAIT).plan_result == ("light", light.latch)


@pytest.mark.parametrize("defer", [False, True])
def test_after_a_pause_it_waits_on(
    engine: RunEngine, offered: threading.Semaphore, defer: bool
) -> None:
    snap = Action(name="snap")
    future = engine(wait_for_action(snap))
    assert offered.acquire(timeout=WAIT)

    engine.request_pause(defer).result(WAIT)
    with pytest.raises(RunEngineInterrupted):
        future.result(WAIT)
    resumed = engine.resume()
    assert offered.acquire(timeout=WAIT)
    engine.trigger_action("snap")

    assert resumed.result(WAIT).plan_result == ("snap", snap.latch)


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ((), TypeError, "at least one action or latch"),
        (("snap",), TypeError, "'snap' is neither"),
        ((Action(name="a").event_map,), TypeError, r"wait_for_actions\(mapping, timeout=None\)"),
        ((Action(name="a"), Action(name="a")), ValueError, "two actions with the name 'a'"),
    ],
)
def test_what_is_refused(engine: RunEngine, given: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        run(engine, wait_for_action(*given))


def test_one_action_given_twice_is_one(engine: RunEngine) -> None:
    snap = Action(name="snap")
    snap.latch.set()

    assert run(engine, wait_for_action(snap, snap.latch)) == ("snap", snap.latch)
