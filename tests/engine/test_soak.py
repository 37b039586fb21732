"""Memory stays flat however long a plan runs: at most 50 bytes an iteration."""

# ruff: noqa: N803

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import pytest
from bluesky.utils import Msg

from doubles import Detector
from freewheel import Status
from freewheel.plan_stubs import stash

T = 110
FLAT = 50  # bytes an iteration


def growth(engine: Any, plan: Any, count: int, warm_up: int) -> float:
    """Run ``plan(count)`` and return the bytes per iteration that are left in the middle of it."""
    sizes: list[int] = []

    def look() -> None:
        gc.collect()
        sizes.append(tracemalloc.get_traced_memory()[0])

    def looking() -> Any:
        yield from plan(warm_up)
        look()
        yield from plan(count)
        look()

    tracemalloc.start()
    try:
        engine(looking()).result(T)
    finally:
        tracemalloc.stop()
    return (sizes[1] - sizes[0]) / count


@pytest.mark.parametrize("checkpoints", [True, False])
def test_messages(RE: Any, checkpoints: bool) -> None:
    """200,000 messages over the four cases, with checkpoints and with none."""

    def nulls(count: int) -> Any:
        for number in range(count):
            if checkpoints and number % 10 == 0:
                yield Msg("checkpoint")
            yield Msg("null")

    assert growth(RE, nulls, 50_000, warm_up=12_000) < FLAT


def test_reads(RE: Any) -> None:
    """20,000 readings over the two kinds of loop."""
    detector = Detector()

    def reads(count: int) -> Any:
        for number in range(count):
            yield Msg("checkpoint")
            yield Msg("trigger", detector, group=f"g{number}")
            yield Msg("wait", None, group=f"g{number}")
            yield Msg("create", name="primary")
            yield Msg("read", detector)
            yield Msg("save")

    RE([Msg("open_run"), Msg("close_run")]).result(T)

    def whole(count: int) -> Any:
        if count == WARM_UP:
            yield Msg("open_run")  # one run: what a run keeps for itself would show
        yield from reads(count)
        if count != WARM_UP:
            yield Msg("null")

    assert growth(RE, whole, 10_000, warm_up=WARM_UP) < FLAT


WARM_UP = 2_000


def test_stash_without_waiting(RE: Any) -> None:
    """Its group is never waited for, and must not be kept for ever."""

    class Cache:
        name = "cache"

        def stash(self, values: Any) -> Status:
            status = Status()
            status.set_finished()
            return status

        def clear(self) -> Status:
            return self.stash({})

    cache = Cache()

    def stashes(count: int) -> Any:
        for _ in range(count):
            yield Msg("checkpoint")
            yield from stash(
                cache, {"det": {"value": 1.0, "timestamp": 0.0}}, group=None, wait=False
            )

    assert growth(RE, stashes, 10_000, warm_up=2_000) < FLAT


def test_messages_without_a_checkpoint_are_bounded_and_a_pause_still_works(RE: Any) -> None:
    def plan() -> Any:
        for _ in range(30_000):
            yield Msg("null")
        yield Msg("pause")
        return "end"

    RE(plan()).exception(T)
    assert RE.state == "paused"
    assert RE.resume().result(T).plan_result == "end"


def test_waits_for_actions(RE: Any) -> None:
    from freewheel import SRLatch
    from freewheel.plan_stubs import wait_for_actions

    latch = SRLatch()

    def waits(count: int) -> Any:
        for _ in range(count):
            yield Msg("checkpoint")
            yield from wait_for_actions({"go": latch}, timeout=0)

    assert growth(RE, waits, 10_000, warm_up=2_000) < FLAT
