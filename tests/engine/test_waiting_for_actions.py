"""``wait_for_actions`` through the engine: woken by the latch, and nothing missed."""

# ruff: noqa: N803

from __future__ import annotations

import threading
from typing import Any

import pytest
from bluesky.utils import Msg, RunEngineInterrupted
from ophyd.sim import SynSignal

from freewheel import Action, SRLatch
from freewheel.plan_stubs import read_while_waiting, wait_for_actions

T = 10


@pytest.fixture
def on_offer(RE: Any) -> threading.Event:
    offered = threading.Event()
    RE.events.actions_changed.connect(lambda names: offered.set() if names else None)
    return offered


def test_a_latch_set_in_a_thread_wakes_the_plan(RE: Any, on_offer: threading.Event) -> None:
    latch = SRLatch()
    future = RE(wait_for_actions({"go": latch}, timeout=None))
    assert on_offer.wait(T)
    assert dict(RE.pending_actions) == {"go": latch}
    latch.set()
    assert future.result(T).plan_result == ("go", latch)
    assert dict(RE.pending_actions) == {}


def test_a_latch_that_is_set_already_answers_at_once(RE: Any) -> None:
    latch = SRLatch()
    latch.set()
    assert RE(wait_for_actions({"go": latch}, timeout=None)).result(T).plan_result == ("go", latch)


def test_waiting_for_a_reset(RE: Any, on_offer: threading.Event) -> None:
    latch = SRLatch()
    assert RE(wait_for_actions({"go": latch}, timeout=None, wait_for="reset")).result(
        T
    ).plan_result == ("go", latch)
    latch.set()
    on_offer.clear()
    future = RE(wait_for_actions({"go": latch}, timeout=None, wait_for="reset"))
    assert on_offer.wait(T)
    RE.release_action("go")
    assert future.result(T).plan_result == ("go", latch)


def test_a_time_out_answers_none(RE: Any) -> None:
    assert RE(wait_for_actions({"go": SRLatch()}, timeout=0.01)).result(T).plan_result is None
    assert RE(wait_for_actions({"go": SRLatch()}, timeout=0)).result(T).plan_result is None
    assert dict(RE.pending_actions) == {}


def test_a_pulse_is_not_missed(RE: Any, on_offer: threading.Event) -> None:
    for _ in range(50):
        latch = SRLatch()
        on_offer.clear()
        future = RE(wait_for_actions({"go": latch}, timeout=None))
        assert on_offer.wait(T)
        latch.set()
        latch.reset()
        assert future.result(T).plan_result == ("go", latch)


def test_of_several_the_one_that_changed_first(RE: Any, on_offer: threading.Event) -> None:
    for _ in range(50):
        a, b = SRLatch(), SRLatch()
        on_offer.clear()
        future = RE(wait_for_actions({"a": a, "b": b}, timeout=None))
        assert on_offer.wait(T)
        b.set()
        a.set()
        assert future.result(T).plan_result == ("b", b)


def test_of_those_set_before_the_wait_the_one_that_changed_first(RE: Any) -> None:
    a, b = SRLatch(), SRLatch()
    b.set()
    a.set()
    assert RE(wait_for_actions({"a": a, "b": b}, timeout=None)).result(T).plan_result == ("b", b)


def test_it_waits_on_after_a_pause(RE: Any, on_offer: threading.Event) -> None:
    latch = SRLatch()

    def plan() -> Any:
        yield Msg("checkpoint")
        return (yield from wait_for_actions({"go": latch}, timeout=None))

    future = RE(plan())
    assert on_offer.wait(T)
    for _ in range(5):
        RE.request_pause().result(T)
        assert isinstance(future.exception(T), RunEngineInterrupted)
        on_offer.clear()
        future = RE.resume()
        assert on_offer.wait(T)
    latch.set()
    assert future.result(T).plan_result == ("go", latch)


def test_an_action_during_a_pause_is_there_after_it(RE: Any, on_offer: threading.Event) -> None:
    latch = SRLatch()

    def plan() -> Any:
        yield Msg("checkpoint")
        return (yield from wait_for_actions({"go": latch}, timeout=None))

    RE(plan())
    assert on_offer.wait(T)
    RE.request_pause().result(T)
    latch.set()
    assert RE.resume().result(T).plan_result == ("go", latch)


@pytest.mark.parametrize("call", ["stop", "abort", "halt"])
def test_ends_act_at_once(RE: Any, on_offer: threading.Event, call: str) -> None:
    future = RE(wait_for_actions({"go": SRLatch()}, timeout=None))
    assert on_offer.wait(T)
    getattr(RE, call)().result(T)
    assert isinstance(future.exception(T), RunEngineInterrupted)
    assert dict(RE.pending_actions) == {}


def test_a_bare_message_works_and_senseless_ones_are_refused(RE: Any) -> None:
    latch = SRLatch()
    latch.set()

    def plan() -> Any:
        return (yield Msg("wait_for_actions", None, {"go": latch}, timeout=None, wait_for="set"))

    assert RE(plan()).result(T).plan_result == ("go", latch)
    with pytest.raises(ValueError, match="sideways"):
        RE(wait_for_actions({"go": latch}, wait_for="sideways")).result(T)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="go"):
        RE(wait_for_actions({"go": 3}, timeout=None)).result(T)  # type: ignore[dict-item]


def test_a_latch_knows_its_action(RE: Any, on_offer: threading.Event) -> None:
    action = Action(name="snap", description="one frame")
    future = RE(wait_for_actions(action.event_map, timeout=None))
    assert on_offer.wait(T)
    assert RE.pending_actions["snap"].action is action
    assert [offer.name for offer in RE.snapshot().actions] == ["snap"]
    RE.trigger_action("snap")
    future.result(T)
    assert SRLatch().action is None


@pytest.mark.parametrize("how", ["pulse", "trigger"])
def test_a_change_while_the_plan_reads_is_seen_by_the_next_wait(RE: Any, how: str) -> None:
    """The latch changes in the middle of a reading, each time, and is never missed."""
    action = Action(name="snap")
    seen: list[str] = []

    def read_and_act() -> float:
        if how == "pulse":
            action.latch.set()
            action.latch.reset()
        else:
            RE.trigger_action("snap")
        return 1.0

    detector = SynSignal(name="det", func=lambda: 1)

    class Acting:
        """Triggers the action in the middle of being read, once per turn that asks for it."""

        name = "acting"
        parent = None
        armed = 0

        def read(self) -> Any:
            self.armed += 1
            if self.armed % 3 == 0:
                read_and_act()
            return {"acting": {"value": 1, "timestamp": 0}}

        def describe(self) -> Any:
            return {"acting": {"source": "test", "dtype": "number", "shape": []}}

        def read_configuration(self) -> Any:
            return {}

        def describe_configuration(self) -> Any:
            return {}

    acting = Acting()

    def plan() -> Any:
        yield Msg("open_run")
        for _ in range(20):
            name, latch = yield from read_while_waiting(
                [detector, acting], action.event_map, refresh_period=0.001
            )
            seen.append(name)
            latch.reset()
        yield Msg("close_run")

    RE(plan()).result(T)
    assert seen == ["snap"] * 20
    assert acting.armed <= 3 * 20 + 3
