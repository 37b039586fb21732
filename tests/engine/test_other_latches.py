"""``wait_for_actions`` takes latches of other libraries, for what they can do."""

# ruff: noqa: N803

from __future__ import annotations

import threading
from typing import Any

import pytest
from bluesky.utils import Msg

from doubles import OtherLatch, PlainSensor, in_a_run, on_loop
from freewheel import SRLatch
from freewheel.plan_stubs import read_while_waiting, wait_for_actions

T = 10


@pytest.fixture
def on_offer(RE: Any) -> threading.Event:
    offered = threading.Event()
    RE.events.actions_changed.connect(lambda names: offered.set() if names else None)
    return offered


def test_it_wakes_the_plan_and_comes_back_as_it_was_given(
    RE: Any, on_offer: threading.Event
) -> None:
    latch = OtherLatch()
    future = RE(wait_for_actions({"own": SRLatch(), "go": latch}, timeout=None))
    assert on_offer.wait(T)
    latch.set()
    name, changed = future.result(T).plan_result
    assert name == "go"
    assert changed is latch


def test_one_that_is_set_already_and_one_that_is_not(RE: Any) -> None:
    latch = OtherLatch()
    assert RE(wait_for_actions({"go": latch})).result(T).plan_result is None
    latch.set()
    assert RE(wait_for_actions({"go": latch}, None)).result(T).plan_result == ("go", latch)
    latch.reset()
    for_reset = wait_for_actions({"go": latch}, None, "reset")
    assert RE(for_reset).result(T).plan_result == ("go", latch)


def test_it_is_triggered_as_any_other_and_of_several_the_first_counts(
    RE: Any, on_offer: threading.Event
) -> None:
    one, other = OtherLatch(), SRLatch()
    future = RE(wait_for_actions({"one": one, "other": other}, timeout=None))
    assert on_offer.wait(T)
    assert RE.pending_actions["one"].action is None
    RE.trigger_action("one")
    assert one.is_set()
    assert future.result(T).plan_result == ("one", one)


def test_a_set_that_is_followed_at_once_by_a_reset_is_not_missed(
    RE: Any, on_offer: threading.Event
) -> None:
    latch = OtherLatch()
    future = RE(wait_for_actions({"go": latch}, timeout=None))
    assert on_offer.wait(T)

    def pulse() -> None:
        latch.set()
        latch.reset()

    while not latch.followed:
        on_loop(RE, lambda: None)
    on_loop(RE, pulse)
    assert future.result(T).plan_result == ("go", latch)


def test_one_that_stays_set_ends_a_wait_for_changes_once(RE: Any) -> None:
    latch, told = OtherLatch(), []

    def plan() -> Any:
        sensor = PlainSensor("sensor")
        for turn in range(3):
            if turn == 0:
                latch.set()
            if turn == 2:
                latch.reset()
                latch.set()
            told.append((yield from read_while_waiting([sensor], {"go": latch}, turns=2)))

    RE(in_a_run(plan())).result(T)
    assert [bool(each) for each in told] == [True, False, True]


def test_nobody_follows_it_when_the_plan_has_ended(RE: Any) -> None:
    latch = OtherLatch()
    RE(wait_for_actions({"go": latch}, timeout=0.01)).result(T)
    while latch.followed:
        on_loop(RE, lambda: None)


def test_what_is_no_latch_is_refused(RE: Any) -> None:
    with pytest.raises(TypeError, match=r"'go' is .*Event.*has not what one has: set, reset, is_s"):
        RE([Msg("wait_for_actions", None, {"go": threading.Event()})]).result(T)
