"""Lanes: calls in turn, off the loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import pytest

from freewheel.micromanager._lanes import THREAD_NAME, Lane


async def test_calls_are_made_in_turn_on_one_thread():
    lane = Lane("test")
    made: list[tuple[int, str]] = []
    await asyncio.gather(
        *(
            lane.call(lambda number=number: made.append((number, threading.current_thread().name)))
            for number in range(50)
        )
    )
    assert [number for number, _ in made] == list(range(50))
    assert {name for _, name in made} == {f"{THREAD_NAME} test"}


async def test_what_a_call_raises_is_raised():
    def fail() -> None:
        raise KeyError("no")

    with pytest.raises(KeyError, match="no"):
        await Lane("test").call(fail)


async def test_a_call_that_was_given_up_before_its_turn_is_not_made():
    lane = Lane("test")
    begun, release = threading.Event(), threading.Event()
    made: list[str] = []
    first = asyncio.create_task(lane.call(lambda: begun.set() or release.wait(10)))
    second = asyncio.create_task(lane.call(lambda: made.append("second")))
    third = asyncio.create_task(lane.call(lambda: made.append("third")))
    await asyncio.to_thread(begun.wait, 10)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    release.set()
    assert await first
    await third
    assert made == ["third"]


def test_a_lane_belongs_to_no_loop():
    lane = Lane("test")
    assert [asyncio.run(lane.call(lambda: "here")) for _ in range(3)] == ["here"] * 3


def test_an_answer_for_a_loop_that_is_gone_is_dropped():
    lane = Lane("test")
    release = threading.Event()

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(lane.call(lambda: release.wait(10)), 0.01)

    asyncio.run(give_up())
    release.set()
    assert asyncio.run(lane.call(lambda: "still there")) == "still there"


async def test_the_time_of_a_call_counts_from_its_turn():
    lane = Lane("test", look=0.001)
    begun, release = threading.Event(), threading.Event()
    first = asyncio.create_task(lane.call(lambda: begun.set() or release.wait(10), lambda: 20))
    await asyncio.to_thread(begun.wait, 10)
    second = asyncio.create_task(lane.call(lambda: "second", lambda: 1.0))
    done, _ = await asyncio.wait([second], timeout=1.5)  # longer than it may take itself
    assert not done
    release.set()
    assert await first
    assert await second == "second"


async def test_those_behind_a_call_that_does_not_return_are_given_up_with_it():
    lane = Lane("test", look=0.001)
    release = threading.Event()
    made: list[str] = []
    first = asyncio.create_task(lane.call(lambda: release.wait(10), lambda: 0.01))
    second = asyncio.create_task(lane.call(lambda: made.append("second"), lambda: 0.02))
    for call in (first, second):
        with pytest.raises(TimeoutError):
            await call
    release.set()
    while not made:
        with contextlib.suppress(TimeoutError):  # the first one may still be on its way out
            await lane.call(lambda: made.append("third"))
    assert made == ["third"]
